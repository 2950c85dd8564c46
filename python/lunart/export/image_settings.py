"""What a manifest says of an image classifier: its classes, and how a picture becomes its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lunart.errors import BundleError
from lunart.models.checkpoint import Checkpoint


def settings_of(checkpoints: Mapping[str, Checkpoint]) -> dict[str, Any]:
    """The manifest's fields of task ``image-classification``, as the weights record them.

    Raises ``BundleError`` when they record none. The core checks what they say.
    """
    (checkpoint,) = checkpoints.values()
    if checkpoint.images is None:
        raise BundleError(
            f"{checkpoint.source['file']}: the weights record neither classes nor preprocessing; "
            "give them with --image-settings"
        )
    return checkpoint.images.to_json()
