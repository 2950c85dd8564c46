"""The weights that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from lunart.errors import BundleError
from lunart.models.architectures import CLASSIFIER, ROLES
from lunart.models.checkpoint import Checkpoint, load_checkpoint

FOLDER = Path(__file__).parent.parent / "weights"


def shipped(name: str) -> Checkpoint:
    """The weights ``name``: of a role in a lung-nodule bundle, or of an image classifier.

    Raises ``BundleError`` when this installation has none of that name.
    """
    path = FOLDER / f"{name}.safetensors"
    if not path.exists():
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.safetensors"))) or "none"
        raise BundleError(f"lunart ships no {name} weights (it ships: {there})")
    return load_checkpoint(path, name if name in ROLES else CLASSIFIER)
