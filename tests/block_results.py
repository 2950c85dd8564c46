"""Results of hand-made networks, and the files they are kept in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from handmade import IDENTITY, found, runner, write_handmade
from lunart import _core
from lunart.result import Result

UID = "1.2.840.113619.2.5.1"
SPACING = (0.7, 0.8, 1.5)
ORIGIN = (-150.25, 12.5, -300.75)


def blocks() -> np.ndarray:
    """HU of three blocks that are found whole when nothing is eroded; no two sides alike."""
    hu = np.full((12, 20, 32), -800, np.int16)
    hu[2:5, 3:8, 4:10] = 50
    hu[7:9, 12:16, 20:31] = 120
    hu[7:9, 2:4, 29:32] = 10
    return hu


def scan(
    hu: np.ndarray | None = None,
    *,
    spacing: tuple[float, float, float] = SPACING,
    origin: tuple[float, float, float] = ORIGIN,
    direction: tuple[float, ...] = IDENTITY,
    series_uid: str = UID,
    path: str = "",
) -> _core.Scan:
    """The blocks as a scan of a known series."""
    voxels = blocks() if hu is None else hu
    geometry = _core.Geometry(
        shape_irc=voxels.shape, spacing_mm=spacing, origin_mm=origin, direction=direction
    )
    return _core.scan_from_array(voxels, geometry, series_uid, path)


def result(folder: Path, of: _core.Scan | None = None) -> Result:
    """What is found of a scan, with every candidate; ``folder`` is for the bundle."""
    bundle = write_handmade(folder / "handmade-bundle", erosion=0)
    return found(runner(bundle), of or scan())


def stored(folder: Path, name: str = "result.json", of: _core.Scan | None = None) -> Path:
    """The file of such a result."""
    path = folder / name
    path.write_text(result(folder, of).to_json(), encoding="utf-8")
    return path
