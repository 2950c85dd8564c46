"""Golden vectors of each network: an input and eager PyTorch's outputs.

With them and a golden scan or picture a machine without Python proves the bundle that it was given.
"""

from __future__ import annotations

from safetensors.numpy import save

from lunart.bundle import Bundle, FileEntry
from lunart.export.verify_artifacts import golden_vectors


def write_vectors(bundle: Bundle, model: str) -> FileEntry:
    """Write the golden vectors of a network and return their entry."""
    file = f"golden/{model}.safetensors"
    path = bundle.path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(save(golden_vectors(bundle, model)))
    return FileEntry.of(bundle.path, file)
