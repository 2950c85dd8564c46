"""The golden picture of an image classifier: a generated PNG with its eager result."""

from __future__ import annotations

import json

from PIL import Image

from lunart import Classifier
from lunart.bundle import Bundle, FileEntry
from lunart.export.picture_probes import size_of_picture
from lunart.export.pictures import pattern

IMAGE = "golden/image.png"
RESULT = "golden/image.json"

_SEED = 3
# What differs from run to run or from place to place, not from result to result.
_VOLATILE = ("timings_s", "peak_rss_mb", "bundle")


def write_picture(bundle: Bundle) -> dict[str, FileEntry]:
    """Write the picture and what eager PyTorch says of it; return both entries."""
    (model,) = bundle.models.values()
    image, result = bundle.path / IMAGE, bundle.path / RESULT
    image.parent.mkdir(exist_ok=True)
    Image.fromarray(pattern(*size_of_picture(bundle, model), _SEED)).save(image)
    found = Classifier(bundle.path, engine="eager", threads=1)(image).to_dict()
    for key in _VOLATILE:
        del found[key]
    del found["image"]["path"]
    result.write_text(f"{json.dumps(found, indent=1, sort_keys=True)}\n", encoding="utf-8")
    return {"image": FileEntry.of(bundle.path, IMAGE), "result": FileEntry.of(bundle.path, RESULT)}
