"""One resampling for backgrounds and pieces, so that both carry the same slice profile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]


def rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A turn about a random axis, or a mirror image of one (index,row,col)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    turn: NDArray[np.float64] = q * np.sign(np.diag(r))
    return turn


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
