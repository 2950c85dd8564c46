"""What a manifest says of the pipeline that finds nodules, and of the scans that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lunart import _core
from lunart.errors import BundleError
from lunart.models.checkpoint import Checkpoint

# The book's method; "region" and "halo" are ours (see docs/bundle.md for each).
PIPELINE: dict[str, Any] = {
    "hu_window": [-1000, 1000],
    "orientation": "LPS",
    "resample_mm": None,
    "segmentation_threshold": 0.5,
    "erosion": 1,
    "connectivity": 6,
    "min_component_mm3": 0.0,
    "crop_border": "shift",
    "crop_spacing_mm": None,
    "nodule_threshold": 0.5,
    "malignancy_threshold": 0.5,
}

_INTENDED_INPUT = {
    "spacing_xyz_mm": {"min": [0.4, 0.4, 0.5], "max": [1.2, 1.2, 5.0]},
    "slices": {"min": 16, "max": 1000},
    "hu": {"min": -3100, "max": 32767},
}


def settings_of(checkpoints: Mapping[str, Checkpoint]) -> dict[str, Any]:
    """The manifest's fields of task ``lung-nodules``.

    Of the pipeline: the book's, then what the weights record, then their shapes.

    Raises ``BundleError`` when the networks do not fit one pipeline.
    """
    channels = checkpoints["segmentation"].architecture.arguments["in_channels"]
    if channels % 2 == 0:
        raise BundleError(
            f"the segmentation weights take {channels} slices; the pipeline needs an odd number, "
            "the same before and after"
        )
    crop = list(checkpoints["classification"].architecture.arguments["crop_irc"])
    settings = {
        **PIPELINE,
        "region": _core.region_defaults(),
        "context_slices": (channels - 1) // 2,
        "halo": _halo(checkpoints["segmentation"].architecture.arguments["depth"]),
        "crop_irc": crop,
    }
    for role, checkpoint in checkpoints.items():
        settings.update(checkpoint.pipeline)
        _require_same_crops(role, checkpoint, checkpoints["classification"])
    if settings["crop_spacing_mm"] is not None and settings["crop_border"] != "pad":
        raise BundleError(
            f"the classification weights record crop_spacing_mm {settings['crop_spacing_mm']:g} "
            f'and crop_border "{settings["crop_border"]}"; crops of a spacing need "pad"'
        )
    return {"pipeline": settings, "intended_input": _INTENDED_INPUT}


def _require_same_crops(role: str, checkpoint: Checkpoint, classification: Checkpoint) -> None:
    if "crop_irc" not in checkpoint.architecture.arguments:
        return
    (own, own_mm), (crop, crop_mm) = (
        (list(one.architecture.arguments["crop_irc"]), one.pipeline.get("crop_spacing_mm"))
        for one in (checkpoint, classification)
    )
    if own != crop:
        raise BundleError(
            f"the {role} weights take crops of {own}, the classification weights {crop}; "
            "one bundle has one crop size"
        )
    if own_mm != crop_mm:
        of, others = ("the scan's own voxels" if mm is None else f"voxels of {mm:g} mm"
                      for mm in (own_mm, crop_mm))  # fmt: skip
        raise BundleError(
            f"the {role} weights take crops of {of}, the classification weights {others}; "
            "one bundle has one spacing of crops"
        )


def _halo(depth: int) -> int:
    """Voxels that the U-Net sees beyond a pixel, in whole cells of its coarsest grid.

    Counted from the multiple of such a cell that is nearest to the pixel's outer side, and on its
    upper side: what it sees below it is the mirror image.
    """
    cell: int = 2 ** (depth - 1)
    reach = 0
    for pixel in range(cell):
        last = pixel
        for _ in range(depth - 1):  # two 3x3 convolutions a level, and up-sampling
            last = (last + 2) // 2
        last += 2
        for _ in range(depth - 1):  # pooling, and two 3x3 convolutions a level
            last = 2 * last + 3
        nearest = -(-(pixel + 1 - cell // 2) // cell) * cell
        reach = max(reach, last + 1 - nearest)
    return -(-reach // cell) * cell
