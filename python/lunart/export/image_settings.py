"""What a manifest says of an image classifier: its classes, and how a picture becomes its input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lunart.errors import BundleError
from lunart.models.checkpoint import Checkpoint


def settings_of(checkpoints: Mapping[str, Checkpoint]) -> dict[str, Any]:
    """The manifest's fields of task ``image-classification``, as the weights record them.

    Raises ``BundleError`` when they record none, or what no manifest can hold. The core checks what
    they say.
    """
    (checkpoint,) = checkpoints.values()
    file = checkpoint.source["file"]
    if checkpoint.images is None:
        raise BundleError(
            f"{file}: the weights record neither classes nor preprocessing; give them with "
            "--image-settings"
        )
    settings = checkpoint.images.to_json()
    try:
        json.dumps(settings, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        broken = str(error.object)[error.start : error.end]
        raise BundleError(
            f"{file}: classes or preprocess hold {broken!r}, which is no text"
        ) from error
    return settings
