"""One resampling for backgrounds and pieces, so that both carry the same slice profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

_T = TypeVar("_T", bound=np.generic)
#: Places on each axis, in voxels.
Grid = Sequence[NDArray[np.float64]]


def rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A turn about a random axis, or a mirror image of one (index,row,col)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    turn: NDArray[np.float64] = q * np.sign(np.diag(r))
    return turn


def upright(rng: np.random.Generator) -> NDArray[np.float64]:
    """A turn about the head-foot axis, mirrored or not: surroundings stay as people lie."""
    angle = rng.uniform(-np.pi, np.pi)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])
    mirror = np.diag(rng.choice([-1.0, 1.0], 3))
    turned: NDArray[np.float64] = turn @ mirror
    return turned


def sample_known(
    known: NDArray[np.bool_],
    center_irc: NDArray[np.float64],
    matrix: NDArray[np.float64],
    shape: tuple[int, int, int],
    slab_mm: float,
) -> NDArray[np.bool_]:
    """What is known of what :func:`sample` gives: all of it, mostly, at no cost."""
    if known.all():
        return np.ones(shape, bool)
    return np.asarray(sample(known, center_irc, matrix, shape, slab_mm) > 0.5)


def sample(
    volume: NDArray[np.generic],
    center_irc: NDArray[np.float64],
    matrix: NDArray[np.float64],
    shape: tuple[int, int, int],
    slab_mm: float,
) -> NDArray[np.float32]:
    """``volume`` at a grid of ``shape`` around ``center_irc``, as a scanner's slices would hold it.

    ``matrix`` takes a step of the new grid to voxels of ``volume``; its first column is one slice
    of ``slab_mm``, over which the volume is averaged (about one reading a millimetre).
    """
    readings = max(1, round(slab_mm))
    middle = (np.array(shape) - 1) / 2
    total = np.zeros(shape, np.float32)
    data = np.asarray(volume, np.float32)
    for part in range(readings):
        inside = np.array([(part + 0.5) / readings - 0.5, 0.0, 0.0])
        offset = center_irc + matrix @ (inside - middle)
        total += ndimage.affine_transform(data, matrix, offset, shape, order=1, mode="nearest")
    return np.asarray(total / readings, np.float32)


def stretched(volume: NDArray[np.generic], grid: Grid, readings: int) -> NDArray[np.float32]:
    """``volume`` at an upright grid, each slice the mean of so many of its own; linear.

    An axis after the other: many times as fast as a general affine map. Edges are repeated.
    """
    data = np.asarray(volume, np.float32)
    parts = (np.arange(readings) + 0.5) / readings - 0.5
    total = sum(_along(data, grid[0] + part * readings, 0) for part in parts)
    data = np.asarray(total, np.float32) / np.float32(readings)
    return _along(_along(data, grid[1], 1), grid[2], 2)


def nearest(volume: NDArray[_T], grid: Grid) -> NDArray[_T]:
    """``volume`` at the voxels nearest to an upright grid."""
    places = (
        np.clip(np.rint(axis), 0, n - 1).astype(np.intp)
        for axis, n in zip(grid, volume.shape, strict=True)
    )
    return volume[np.ix_(*places)]


def _along(
    data: NDArray[np.float32], places: NDArray[np.float64], axis: int
) -> NDArray[np.float32]:
    inside = np.clip(places, 0, data.shape[axis] - 1)
    low = np.minimum(inside.astype(np.intp), max(0, data.shape[axis] - 2))
    high = np.minimum(low + 1, data.shape[axis] - 1)
    shape = [1, 1, 1]
    shape[axis] = -1
    share = (inside - low).astype(np.float32).reshape(shape)
    below = np.take(data, low, axis)
    return np.asarray(below + share * (np.take(data, high, axis) - below), np.float32)
