"""Smooth random fields for tissue and spatially correlated noise, made slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart.phantom.types import FloatArray, Grid


@dataclass(frozen=True)
class _Steps:
    """Linear interpolation along one axis: the knot before each voxel and the way past it."""

    knot: NDArray[np.intp]
    past: FloatArray

    @staticmethod
    def between(count: int, step: float, cell: float) -> _Steps:
        at = np.arange(count) * step / max(cell, step)
        knot = np.floor(at).astype(np.intp)
        return _Steps(knot, (at - knot).astype(np.float32))

    @property
    def knots(self) -> int:
        return int(self.knot[-1]) + 2


class SmoothField:
    """Random texture of mean 0 and deviation about 1 whose grain is ``cell_mm``.

    Written out instead of as products of matrices: those differ by BLAS and its threads, and the
    scan shall not.
    """

    def __init__(self, rng: np.random.Generator, grid: Grid, cell_mm: float) -> None:
        z, y, x = (
            _Steps.between(count, step, cell_mm)
            for count, step in zip(grid.shape_irc, grid.spacing_xyz[::-1], strict=True)
        )
        self._z, self._y, self._x = z, y, x
        # Linear interpolation in three axes leaves about 0.54 of the knots' deviation.
        self._values = rng.standard_normal((z.knots, y.knots, x.knots), dtype=np.float32)
        self._values /= np.float32(0.54)

    def slice(self, index: int) -> FloatArray:
        """The field of one slice, ``(row, col)``."""
        knot, past = self._z.knot[index], self._z.past[index]
        plane = self._values[knot] * (1 - past) + self._values[knot + 1] * past
        change = plane[:, 1:] - plane[:, :-1]
        lines = plane[:, self._x.knot] + change[:, self._x.knot] * self._x.past
        change = lines[1:] - lines[:-1]
        result: FloatArray = lines[self._y.knot] + change[self._y.knot] * self._y.past[:, None]
        return result


def gaussian_taps(sigma: float) -> FloatArray:
    """Normalised Gaussian weights out to 3 sigma; one tap of 1 for a sigma near zero."""
    radius = int(np.ceil(3 * sigma)) if sigma > 0.15 else 0
    at = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (at / max(sigma, 1e-3)) ** 2)
    normal: FloatArray = (taps / taps.sum()).astype(np.float32)
    return normal


def blur(array: FloatArray, sigma: float, axis: int) -> FloatArray:
    """Gaussian blur along one axis, edges repeated; sigma in voxels."""
    taps = gaussian_taps(sigma)
    radius = len(taps) // 2
    if radius == 0:
        return array
    width = [(0, 0)] * array.ndim
    width[axis] = (radius, radius)
    padded = np.pad(array, width, mode="edge")
    result = np.zeros_like(array)
    window = [slice(None)] * array.ndim
    for offset, tap in enumerate(taps):
        window[axis] = slice(offset, offset + array.shape[axis])
        result += tap * padded[tuple(window)]
    return result
