"""What readers of LIDC-IDRI outlined, slice by slice, and the voxels that an outline encloses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart import _core


@dataclass(frozen=True)
class Contour:
    """One reader's outline in one slice, as LIDC-IDRI keeps it.

    ``points_xy`` are columns and rows of the scan as stored; they lie just outside the nodule.
    ``inside`` is False for an outline of what does not belong to the nodule.
    """

    points_xy: tuple[tuple[float, float], ...]
    z_mm: float
    inside: bool = True


def drawn(geometry: _core.Geometry, contours: Sequence[Contour]) -> NDArray[np.uint8]:
    """One reader's nodule in the scan as stored, as ``pylidc.Annotation.boolean_mask`` has it."""
    mask: NDArray[np.uint8] = np.zeros(geometry.shape_irc, np.uint8)
    slices, rows, cols = geometry.shape_irc
    # What is cut out is cut out of everything that the reader drew in the slice.
    for contour in sorted(contours, key=lambda contour: not contour.inside):
        x, y, _ = geometry.origin_mm
        index = round(geometry.to_irc((x, y, contour.z_mm))[0])
        if 0 <= index < slices:
            mask[index][_enclosed(contour.points_xy, rows, cols)] = contour.inside
    return mask


def _enclosed(points_xy: Sequence[tuple[float, float]], rows: int, cols: int) -> NDArray[np.bool_]:
    """Pixels inside a polygon. Its own points are outside, whichever way round it goes."""
    from matplotlib.path import Path as Polygon

    points = np.array(points_xy, dtype=float).reshape(-1, 2)
    inside = np.zeros((rows, cols), bool)
    if len(points) < 3:
        return inside
    low = np.maximum(np.floor(points.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 1, (cols, rows))
    if (high <= low).any():
        return inside
    grid = np.mgrid[low[1] : high[1], low[0] : high[0]]
    polygon = Polygon(np.vstack([points, points[:1]]))
    found = polygon.contains_points(np.column_stack([grid[1].ravel(), grid[0].ravel()]))
    inside[low[1] : high[1], low[0] : high[0]] = found.reshape(grid.shape[1:])
    x, y = np.rint(points).astype(int).T
    within = (x >= 0) & (x < cols) & (y >= 0) & (y < rows)
    inside[y[within], x[within]] = False
    return inside
