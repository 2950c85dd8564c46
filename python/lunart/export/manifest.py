"""Composing ``manifest.json``: the settings of the pipeline, and everything put in one order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from lunart import _core
from lunart.bundle import MANIFEST, SCHEMA_NAME, SCHEMA_VERSION, Golden, Model
from lunart.errors import BundleError
from lunart.export import limits
from lunart.export.compare import Check
from lunart.models.checkpoint import Checkpoint

TASK = "lung-nodules"

# The book's method; "region" and "halo" are ours (see docs/bundle.md for each).
_PIPELINE: dict[str, Any] = {
    "hu_window": [-1000, 1000],
    "orientation": "LPS",
    "resample_mm": None,
    "segmentation_threshold": 0.5,
    "erosion": 1,
    "connectivity": 6,
    "min_component_mm3": 0.0,
    "nodule_threshold": 0.5,
    "malignancy_threshold": 0.5,
}

_INTENDED_INPUT = {
    "spacing_xyz_mm": {"min": [0.4, 0.4, 0.5], "max": [1.2, 1.2, 5.0]},
    "slices": {"min": 16, "max": 1000},
    "hu": {"min": -3100, "max": 32767},
}


def pipeline_of(checkpoints: Mapping[str, Checkpoint]) -> dict[str, Any]:
    """The pipeline's settings: the book's, then what the weights record, then their shapes.

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
        **_PIPELINE,
        "region": _core.region_defaults(),
        "context_slices": (channels - 1) // 2,
        "halo": _halo(checkpoints["segmentation"].architecture.arguments["depth"]),
        "crop_irc": crop,
    }
    for role, checkpoint in checkpoints.items():
        settings.update(checkpoint.pipeline)
        own = list(checkpoint.architecture.arguments.get("crop_irc", crop))
        if own != crop:
            raise BundleError(
                f"the {role} weights take crops of {own}, the classification weights {crop}; "
                "one bundle has one crop size"
            )
    return settings


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


def compose(
    *,
    name: str,
    created: datetime,
    models: Mapping[str, Model],
    pipeline: Mapping[str, Any],
    opset: int | None,
    golden: Golden,
    verification: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest as a dictionary. ``created`` is all that two exports of one model differ in."""
    made_by: dict[str, Any] = {
        "lunart": _version(),
        # Without "+cpu" or "+cu130": the build does not change what is written.
        "torch": torch.__version__.split("+")[0],
    }
    if opset is not None:
        made_by["onnx_opset"] = opset
    return {
        "schema": f"{SCHEMA_NAME}/{SCHEMA_VERSION}",
        "name": name,
        "task": TASK,
        "created": created.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "made_by": made_by,
        "models": {role: _model(model) for role, model in models.items()},
        "pipeline": dict(pipeline),
        "intended_input": _INTENDED_INPUT,
        "golden": _golden(golden),
        "verification": dict(verification),
    }


def verification_of(
    inputs: list[dict[str, Any]], checks: list[Check], precisions: Mapping[str, Any]
) -> dict[str, Any]:
    """What was compared, by which limits, every number, and what lower precisions change."""
    return {
        "passed": bool(checks) and all(check.passed for check in checks),
        "reference": "eager",
        "limits": limits.to_json(),
        "inputs": inputs,
        "checks": [check.to_json() for check in checks],
        "precisions": dict(precisions),
    }


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """UTF-8, two spaces, sorted keys, a newline at the end."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (root / MANIFEST).write_text(f"{text}\n", encoding="utf-8", newline="\n")


def _model(model: Model) -> dict[str, Any]:
    return {
        "architecture": model.architecture.to_json(),
        **model.signature.to_json(),
        "weights": model.weights.to_json(),
        "source": dict(model.source),
        "artifacts": [artifact.to_json() for artifact in model.artifacts],
    }


def _golden(golden: Golden) -> dict[str, Any]:
    data: dict[str, Any] = {
        "networks": {name: entry.to_json() for name, entry in golden.networks.items()}
    }
    if golden.scan is not None:
        data["scan"] = golden.scan.to_json()
    if golden.result is not None:
        data["result"] = golden.result.to_json()
    return data


def _version() -> str:
    try:
        return metadata.version("lunart")
    except metadata.PackageNotFoundError:  # run from the source tree
        return "0.0.0"
