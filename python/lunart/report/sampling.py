"""HU of a scan on planes and grids of the patient, whatever way the scan is stored.

A scan may be flipped, permuted or oblique; here every voxel is asked for by where it lies in the
patient (LPS millimetres), so that a picture never depends on the order of the file. Reads only
what a plane needs: no copy of the scan is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core

Floats = NDArray[np.float64]
Voxels = NDArray[np.int16] | NDArray[np.float32] | NDArray[np.bool_]

#: Outside the scan there is nothing; where a number is needed it is air.
AIR_HU = -1000
# Below this the axes are the patient's but for what headers round away.
_STRAIGHT_DEGREES = 0.5
# Of the coarse grid, so that a scan of any size takes the same memory.
_MOST_CELLS = 20_000_000


@dataclass(frozen=True)
class Placed:
    """Where the voxels of an array lie: xyz (mm, LPS) = origin + axes @ irc."""

    origin: Floats
    axes: Floats

    @staticmethod
    def of(geometry: _core.Geometry) -> Placed:
        """The affine map of a scan's geometry."""
        origin = np.array(geometry.to_xyz((0, 0, 0)))
        units = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
        return Placed(origin, np.stack([geometry.to_xyz(u) - origin for u in units], axis=1))

    def to_irc(self, xyz: Floats) -> Floats:
        """Voxel coordinates of a place in mm."""
        return np.asarray(np.linalg.solve(self.axes, xyz - self.origin), np.float64)

    def tilt_degrees(self) -> float:
        """The largest angle between an axis of the scan and the patient's axis nearest to it."""
        along = np.abs(self.axes) / np.linalg.norm(self.axes, axis=0)
        return math.degrees(max(math.acos(min(1.0, c)) for c in along.max(axis=0)))

    def is_oblique(self) -> bool:
        """Whether slices are tilted against the patient's planes."""
        return self.tilt_degrees() > _STRAIGHT_DEGREES


@dataclass(frozen=True)
class Grid:
    """Points of the patient: xyz = corner + steps @ (i, j, k); ``shape`` counts them."""

    corner: Floats
    steps: Floats
    shape: tuple[int, int, int]


def sample(array: Voxels, placed: Placed, grid: Grid, *, outside: float) -> NDArray[np.float32]:
    """Values at the grid's points, linear between voxels; ``outside`` beyond the array's edge.

    The edge is that of the outermost voxels, half a voxel beyond their centres.
    """
    matrix = np.asarray(np.linalg.solve(placed.axes, grid.steps), np.float64)
    offset = placed.to_irc(grid.corner)
    values: NDArray[np.float32] = ndimage.affine_transform(
        array, matrix, offset, grid.shape, output=np.float32, order=1, mode="nearest"
    )
    values[~_inside(matrix, offset, grid.shape, array.shape)] = outside
    return values


def _inside(
    matrix: Floats, offset: Floats, shape: tuple[int, int, int], voxels: tuple[int, ...]
) -> NDArray[np.bool_]:
    within = np.ones(shape, np.bool_)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for axis, count in enumerate(voxels):
        a, b, c = matrix[axis]
        place = a * i + b * j + (c * k + offset[axis])
        within &= (place >= -0.5) & (place <= count - 0.5)
    return within


def coarse(scan: _core.Scan) -> tuple[_core.Scan, Placed]:
    """The whole scan on a grid along the patient's axes: slices from the feet up, rows from the
    front, columns from the right; about 1 mm by 2.5 mm (depth) by 1 mm, of bounded size.
    """
    placed = Placed.of(scan.geometry)
    edges = np.array(
        [
            placed.origin + placed.axes @ ((np.array(corner) * scan.shape_irc) - 0.5)
            for corner in np.ndindex(2, 2, 2)
        ]
    )
    low, high = edges.min(axis=0), edges.max(axis=0)
    step = np.array([1.0, 2.5, 1.0])
    cells = np.prod((high - low) / step)
    if cells > _MOST_CELLS:
        step *= (cells / _MOST_CELLS) ** (1 / 3)
    count = np.maximum(1, np.rint((high - low) / step)).astype(int)
    step = (high - low) / count
    first = low + step / 2
    hu = np.empty(tuple(count[::-1]), np.int16)
    across = np.stack([np.zeros(3), [0, step[1], 0], [step[0], 0, 0]], axis=1)
    shape = (1, int(count[1]), int(count[0]))
    for k in range(count[2]):
        plane = Grid(first + np.array([0, 0, k * step[2]]), across, shape)
        values = sample(scan.hu, placed, plane, outside=AIR_HU)
        hu[k] = np.clip(np.nan_to_num(values[0], nan=AIR_HU), -32000, 32000)
    geometry = _core.Geometry(
        shape_irc=hu.shape, spacing_mm=tuple(map(float, step)), origin_mm=tuple(map(float, first))
    )
    return _core.scan_from_array(hu, geometry, scan.series_uid, ""), Placed.of(geometry)
