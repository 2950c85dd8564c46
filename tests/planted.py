"""Scans with a ball at a known place of the patient, stored whichever way; and what finds it."""

from __future__ import annotations

import itertools
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lunart import _core
from numpy.typing import NDArray

LUNG_HU = -850
BALL_HU = 100


def turned(x_degrees: float, y_degrees: float, z_degrees: float) -> NDArray[np.float64]:
    """A rotation about the patient's axes, one after the other."""
    whole = np.eye(3)
    for axis, degrees in enumerate((x_degrees, y_degrees, z_degrees)):
        a, b = [k for k in range(3) if k != axis]
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        one = np.eye(3)
        one[a, a], one[a, b], one[b, a], one[b, b] = c, -s, s, c
        whole = one @ whole
    return whole


STRAIGHT = [
    (np.eye(3)[:, list(order)] * signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
OBLIQUE = [
    turned(20, 0, 0),
    turned(0, 0, -35) @ STRAIGHT[5],
    turned(12, -17, 25) @ STRAIGHT[30],
]


@dataclass(frozen=True)
class Found:
    """A finding of given voxels."""

    center_irc: tuple[float, float, float]
    inside: NDArray[np.bool_]

    def runs(self) -> NDArray[np.int64]:
        offsets = np.flatnonzero(self.inside)
        return np.stack([offsets, np.ones_like(offsets)], axis=1)


def scan_of_balls(
    direction: NDArray[np.float64],
    balls: list[tuple[tuple[float, float, float], float]],
    *,
    middle_mm: tuple[float, float, float] = (30.0, -20.0, 110.0),
    shape_irc: tuple[int, int, int] = (44, 120, 100),
    spacing_mm: tuple[float, float, float] = (0.9, 0.7, 2.0),
) -> tuple[_core.Scan, list[Found]]:
    """A scan around ``middle_mm`` with balls (place in mm, radius in mm), and each as found."""
    half = (np.array(shape_irc[::-1]) - 1) / 2 * spacing_mm
    geometry = _core.Geometry(
        shape_irc=shape_irc,
        spacing_mm=spacing_mm,
        origin_mm=tuple(np.array(middle_mm) - direction @ half),
        direction=tuple(direction.ravel()),
    )
    hu = np.full(shape_irc, LUNG_HU, np.int16)
    found = []
    origin = np.array(geometry.to_xyz((0, 0, 0)))
    axes = direction @ np.diag(spacing_mm)
    index, row, col = np.ogrid[: shape_irc[0], : shape_irc[1], : shape_irc[2]]
    for place, radius in balls:
        away = origin - place
        inside = sum((a * col + b * row + c * index + d) ** 2
                     for (a, b, c), d in zip(axes, away, strict=True)) <= radius**2  # fmt: skip
        hu[inside] = BALL_HU
        found.append(Found(geometry.to_irc(place), inside))
    return _core.scan_from_array(hu, geometry, "1.2.3", ""), found


def result_json(scan: _core.Scan, found: list[Found], /, **changes: Any) -> dict[str, Any]:
    """A result of the scan as ``luna_infer --json`` writes it; ``changes`` replace its keys."""
    nodules = []
    for k, one in enumerate(found):
        volume = float(one.inside.sum() * scan.geometry.voxel_mm3)
        nodules.append(
            {
                "label": k + 1,
                "center_xyz_mm": scan.geometry.to_xyz(one.center_irc),
                "center_irc": one.center_irc,
                "probability": round(0.95 - 0.1 * k, 3),
                "malignancy": None if k else 0.37,
                "diameter_mm": (6 * volume / math.pi) ** (1 / 3),
                "volume_mm3": volume,
                "voxels": int(one.inside.sum()),
                "mask_runs": " ".join(f"{at}:{count}" for at, count in one.runs()),
            }
        )
    per_slice = [0.01] * scan.shape_irc[0]
    for one in found:
        per_slice[round(one.center_irc[0])] = 0.9
    return {
        "schema": "lunart.result/2",
        "scan": {
            "path": "somewhere/scan.mhd",
            "series_uid": scan.series_uid or None,
            "shape_irc": scan.shape_irc,
            "spacing_mm": scan.spacing_mm,
            "origin_mm": scan.origin_mm,
            "direction": scan.direction,
            "hu_crc32": f"{zlib.crc32(scan.hu.tobytes()):08x}",
        },
        "bundle": {"name": "planted", "sha256": "0" * 64},
        "engine": {
            "name": "openvino",
            "version": "1",
            "device": "cpu",
            "precision": "f32",
            "threads": 2,
        },
        "threshold": 0.5,
        "nodules": nodules,
        "candidate_count": len(nodules) + 3,
        "slices": {"axis": 0, "probability": per_slice},
        "timings_s": dict.fromkeys(
            ("load", "read", "region", "segment", "group", "classify", "malignancy", "total"), 0.25
        ),
        "peak_rss_mb": 123.4,
        "warnings": [],
        **changes,
    }


def write_result(path: Path, *results: dict[str, Any]) -> Path:
    """A file of one result, or one a line."""
    path.write_text("\n".join(json.dumps(one) for one in results) + "\n")
    return path


def write_scan(folder: Path, scan: _core.Scan) -> Path:
    """The scan as ``scan.mhd``."""
    path = folder / "scan.mhd"
    _core.write_metaimage(path, scan.hu, scan.spacing_mm, scan.origin_mm, scan.direction)
    return path
