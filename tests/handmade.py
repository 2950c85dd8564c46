"""A bundle without networks, for the C++ pipeline with networks written in Python.

Hand-made networks answer exactly what a test needs (a mask looked up from the HU, a probability of
one), so that grouping, regions, orientation and crops are tested apart from trained weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lunart import _core
from lunart.export import limits
from lunart.result import Result
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Network = Callable[[FloatArray], list[FloatArray]]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

_PIPELINE: dict[str, Any] = {
    "hu_window": [-1000, 1000],
    "context_slices": 3,
    "orientation": "LPS",
    "resample_mm": None,
    "region": {
        "air_hu": -320,
        "outside_hu": -940,
        "grid_mm": 2.0,
        "closing_mm": 15.0,
        "margin_mm": 6.0,
        "min_lung_ml": 5.0,
        "max_hole_mm": 60.0,
    },
    "halo": 24,
    "segmentation_threshold": 0.5,
    "erosion": 1,
    "connectivity": 6,
    "min_component_mm3": 0.0,
    "crop_irc": [32, 48, 48],
    "crop_border": "shift",
    "crop_spacing_mm": None,
    "nodule_threshold": 0.5,
    "malignancy_threshold": 0.5,
}


def write_handmade(folder: Path, *, malignancy: bool = False, **pipeline: object) -> Path:
    """A bundle of the given pipeline settings whose models have no artifacts."""
    folder.mkdir(parents=True, exist_ok=True)
    roles = ("segmentation", "classification", *(("malignancy",) if malignancy else ()))
    models = {role: _model(folder, role) for role in roles}
    manifest = {
        "schema": "lunart.bundle/2",
        "name": "handmade",
        "task": "lung-nodules",
        "created": "2026-01-01T00:00:00Z",
        "made_by": {"lunart": "0", "torch": "0"},
        "models": models,
        "pipeline": {**_PIPELINE, **pipeline},
        "intended_input": {
            "spacing_xyz_mm": {"min": [0.1, 0.1, 0.1], "max": [20, 20, 20]},
            "slices": {"min": 1, "max": 1000},
            "hu": {"min": -4000, "max": 40000},
        },
        "golden": {"networks": {}},
        "verification": {"limits": limits.of_nodules(), "precisions": {}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _model(folder: Path, role: str) -> dict[str, Any]:
    content = role.encode()
    (folder / f"{role}.safetensors").write_bytes(content)
    outputs = ["probability"] if role == "segmentation" else ["logits", "probability"]
    return {
        "architecture": {"name": "handmade", "arguments": {}},
        "inputs": [],
        "outputs": [
            {"name": name, "dtype": "float32", "shape": [], "units": name} for name in outputs
        ],
        "multiple_of": 4,
        "batch": {"min": 1, "max": 64},
        "weights": {
            "file": f"{role}.safetensors",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        "source": {},
        "artifacts": [],
    }


def bright(above_hu: float) -> Network:
    """Segmentation that is sure of every voxel of the middle slice above ``above_hu``."""

    def run(batch: FloatArray) -> list[FloatArray]:
        middle = batch[:, batch.shape[1] // 2 : batch.shape[1] // 2 + 1]
        return [(middle > above_hu).astype(np.float32)]

    return run


def certain(probability: float = 1.0) -> Network:
    """A classifier that says the same of every crop."""

    def run(batch: FloatArray) -> list[FloatArray]:
        both = np.tile(np.float32([1 - probability, probability]), (len(batch), 1))
        return [both, both]

    return run


def recording(network: Network, calls: list[FloatArray]) -> Network:
    """``network``, with every input kept in ``calls``."""

    def run(batch: FloatArray) -> list[FloatArray]:
        calls.append(batch)
        return network(batch)

    return run


def runner(
    bundle: Path,
    networks: Mapping[str, Network] | None = None,
    *,
    region: str = "off",
    threshold: float | None = None,
) -> _core.Runner:
    """The core's runner over hand-made networks; by default what is above 0 HU is a nodule."""
    chosen = {"segmentation": bright(0.0), "classification": certain(), **(networks or {})}
    return _core.Runner(
        bundle=str(bundle),
        engine="handmade",
        threads=1,
        region=region,
        threshold=threshold,
        networks=chosen,
        version="1",
        precision="f32",
    )


def scan_of(
    hu: NDArray[Any],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    direction: tuple[float, ...] = IDENTITY,
) -> _core.Scan:
    """A scan over an array, (index, row, col)."""
    geometry = _core.Geometry(
        shape_irc=hu.shape, spacing_mm=spacing, origin_mm=origin, direction=direction
    )
    return _core.scan_from_array(hu, geometry, "", "")


def found(core: _core.Runner, scan: _core.Scan) -> Result:
    """Run, and keep every candidate."""
    return Result(core.run_scan(scan, None), all_candidates=True)
