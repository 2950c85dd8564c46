"""Results as ``luna_infer --json`` stores them, of findings that a test puts into a scan."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from lunart import _core
from numpy.typing import NDArray


def result_of(
    scan: _core.Scan, labels: NDArray[np.integer[Any]], *, malignancy: bool = False
) -> dict[str, Any]:
    """A ``lunart.result/2`` whose findings are the ``labels`` (index, row, col) of ``scan``."""
    findings = [
        _finding(scan, labels == label, int(label), malignancy)
        for label in np.unique(labels[labels > 0])
    ]
    findings.sort(key=lambda finding: -finding["probability"])
    hu = np.ascontiguousarray(scan.hu, "<i2" if scan.hu.dtype == np.int16 else "<f4")
    return {
        "schema": "lunart.result/2",
        "scan": {
            "path": scan.path or None,
            "series_uid": scan.series_uid or None,
            "shape_irc": list(scan.shape_irc),
            "spacing_mm": list(scan.spacing_mm),
            "origin_mm": list(scan.origin_mm),
            "direction": list(scan.direction),
            "hu_crc32": f"{zlib.crc32(hu.tobytes()):08x}",
        },
        "bundle": {"name": "luna", "sha256": "ab" * 32},
        "engine": {
            "name": "openvino",
            "version": "1.0",
            "device": "cpu",
            "precision": "f32",
            "threads": 1,
        },
        "threshold": 0.3,
        "nodules": findings,
        "candidate_count": len(findings) + 2,
        "slices": {"axis": 0, "probability": [0.5] * scan.shape_irc[0]},
        "timings_s": dict.fromkeys(
            ["load", "read", "region", "segment", "group", "classify", "malignancy", "total"], 0.1
        ),
        "peak_rss_mb": 1.0,
        "warnings": [],
    }


def store(path: Path, result: dict[str, Any]) -> Path:
    """Write a result and give the path back."""
    path.write_text(json.dumps(result))
    return path


def _finding(
    scan: _core.Scan, inside: NDArray[np.bool_], label: int, malignancy: bool
) -> dict[str, Any]:
    voxels = np.argwhere(inside)
    center = [float(value) for value in voxels.mean(axis=0) + 0.123456789]
    volume = float(len(voxels) * scan.geometry.voxel_mm3)
    flat = np.flatnonzero(inside)
    cols = scan.shape_irc[2]
    # A run ends where the next voxel is not beside it, or is in another row.
    starts = np.flatnonzero((np.diff(flat, prepend=-2) != 1) | (flat % cols == 0))
    ends = np.append(starts[1:], len(flat))
    return {
        "label": label,
        "center_xyz_mm": list(scan.geometry.to_xyz(center)),
        "center_irc": center,
        "probability": 0.9071123456789 - 0.1 * label,
        "malignancy": 0.25171 + 0.1 * label if malignancy else None,
        "diameter_mm": float(np.cbrt(6 * volume / np.pi)),
        "volume_mm3": volume,
        "voxels": len(voxels),
        "mask_runs": " ".join(f"{flat[a]}:{b - a}" for a, b in zip(starts, ends, strict=True)),
    }
