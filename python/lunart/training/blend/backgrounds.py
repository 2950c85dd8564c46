"""Real scans that pieces are put into, cut to the lungs and held at their own grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core

MARGIN_MM = 25.0
BRIGHT_HU = -400
_MOST_VOXELS = 200_000
# Of a piece of lung, what lies so close to air can be looked at by a network that knows lungs.
_NEAR_AIR_MM = 6.0


@dataclass(frozen=True, eq=False)
class Background:
    """A scan in LPS order: ``hu`` int16, ``lungs`` and ``known`` bool, index,row,col.

    ``lungs`` is the pipeline's region. ``known`` is false where a finding may hide that is no
    look-alike (a tumour): nothing is learned from there. ``nodules`` labels real ones, 0 elsewhere.
    """

    name: str
    hu: NDArray[np.int16]
    lungs: NDArray[np.bool_]
    known: NDArray[np.bool_]
    nodules: NDArray[np.uint8]
    spacing_irc_mm: tuple[float, float, float]

    @cached_property
    def bright(self) -> NDArray[np.int64]:
        """Flat numbers of voxels of dense tissue in the lungs: vessels, mostly."""
        return _some(self._plain & (self.hu > BRIGHT_HU))

    @cached_property
    def airy(self) -> NDArray[np.int64]:
        """Flat numbers of the other voxels of the lungs."""
        return _some(self._plain & (self.hu <= BRIGHT_HU))

    @property
    def _plain(self) -> NDArray[np.bool_]:
        return np.asarray(self.lungs & self.known & (self.nodules == 0), bool)


def read_background(
    path: Path,
    votes: Path | None = None,
    *,
    name: str | None = None,
    hidden_mm: list[tuple[float, float, float, float]] | None = None,
    unread: bool = False,
) -> Background:
    """Read a scan; ``votes`` counts the readers at each voxel.

    Nothing is known of the balls ``hidden_mm`` (x, y, z and radius in mm), or, where ``unread``, of
    the whole scan. Raises what the core raises.
    """
    scan = _core.oriented(_core.read_scan(path))
    geometry = scan.geometry
    hu = np.asarray(scan.hu)
    lungs = _core.lung_region(scan).astype(bool)
    known = np.full(hu.shape, not unread)
    spacing_xyz = geometry.spacing_mm
    spacing = (spacing_xyz[2], spacing_xyz[1], spacing_xyz[0])
    for x, y, z, radius in hidden_mm or []:
        center = np.array(geometry.to_irc((x, y, z)))
        grid = np.ogrid[tuple(slice(0, n) for n in hu.shape)]
        away = sum(((axis - c) * s) ** 2 for axis, c, s in zip(grid, center, spacing, strict=True))
        known &= np.asarray(away) > radius**2
    nodules = np.zeros(hu.shape, np.uint8)
    if votes is not None:
        counted = np.asarray(_core.oriented(_core.read_scan(votes)).hu, np.int16)
        nodules = (counted >= 2).astype(np.uint8)
        known &= (counted == 0) | (counted >= 2)
    where = np.argwhere(lungs.any(axis=0))
    margin = np.ceil(MARGIN_MM / np.array(spacing[1:])).astype(int)
    low = np.maximum(where.min(axis=0) - margin, 0)
    high = np.minimum(where.max(axis=0) + margin + 1, hu.shape[1:])
    box = (slice(None), slice(low[0], high[0]), slice(low[1], high[1]))
    return Background(
        name=name or path.stem,
        hu=np.ascontiguousarray(hu[box], np.int16),
        lungs=np.ascontiguousarray(lungs[box]),
        known=np.ascontiguousarray(known[box]),
        nodules=np.ascontiguousarray(nodules[box]),
        spacing_irc_mm=spacing,
    )


def near_air(
    hu: NDArray[np.generic], spacing_irc_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """What takes the place of the pipeline's region where less than a chest is at hand."""
    away = ndimage.distance_transform_edt(np.asarray(hu) > -400, sampling=spacing_irc_mm)
    return np.asarray(away <= _NEAR_AIR_MM, bool)


def _some(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    found = np.flatnonzero(where)
    return found[:: max(1, len(found) // _MOST_VOXELS)]
