"""Pictures on which artifacts of an image classifier are compared with eager PyTorch.

Generated, then preprocessed by the core as the bundle says: networks are judged on what they will
be given. Black, white and saturated fields are the ends of that range.
"""

from __future__ import annotations

import zlib

import numpy as np

from lunart import _core
from lunart.bundle import Bundle, Model
from lunart.export.pictures import Pixels, blocks, pattern, solid
from lunart.export.probes import Probe

# Rows and columns, in what the network needs a multiple of, where it takes any size.
_ANY_SIZE = {"batch2": (7, 10), "batch5": (9, 8)}
_USUAL_SIZE = (12, 16)
_LEVELS = {"black": 0, "white": 255}


def probes(bundle: Bundle, model: Model) -> list[Probe]:
    """The inputs of verification: four kinds, batches 1, 2 and 5."""
    return [*golden_probes(bundle, model), *_probes(bundle, model, "extreme", "batch5")]


def golden_probes(bundle: Bundle, model: Model) -> list[Probe]:
    """The inputs of the bundle's golden vectors: few, since they travel with it."""
    return _probes(bundle, model, "structured", "black", "white", "batch2")


def size_of_picture(bundle: Bundle, model: Model, case: str = "") -> tuple[int, int]:
    """Rows and columns of a picture that becomes the network's input.

    Larger and of another shape where the bundle's preprocessing makes any picture fit.
    """
    rows, cols = (
        size if isinstance(size, int) else count * model.signature.multiple_of
        for size, count in zip(
            model.signature.inputs[0].shape[2:], _ANY_SIZE.get(case, _USUAL_SIZE), strict=True
        )
    )
    preprocess = bundle.manifest["preprocess"]
    resize = preprocess["resize"]
    fits_any = preprocess["center_crop"] or (resize and isinstance(resize["size"], list))
    return (rows * 5 // 4, cols * 3 // 2) if fits_any else (rows, cols)


def _probes(bundle: Bundle, model: Model, *cases: str) -> list[Probe]:
    return [_probe(bundle, model, case) for case in cases]


def _probe(bundle: Bundle, model: Model, case: str) -> Probe:
    rows, cols = size_of_picture(bundle, model, case)
    batch = int(case.removeprefix("batch")) if case.startswith("batch") else 1
    # Seeded by what it is, so that adding a case changes no other.
    seeds = [zlib.crc32(f"{case}{k}".encode()) for k in range(batch)]
    pictures = [_picture(case, rows, cols, seed) for seed in seeds]
    inputs = [_core.preprocessed(bundle.path, _core.Image(pixels)) for pixels in pictures]
    return Probe(case, np.stack(inputs))


def _picture(case: str, rows: int, cols: int, seed: int) -> Pixels:
    if case in _LEVELS:
        return solid(rows, cols, _LEVELS[case])
    return (blocks if case == "extreme" else pattern)(rows, cols, seed)
