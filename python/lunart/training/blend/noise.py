"""The noise of a scanner, measured where nothing but air is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_AIR_HU = -780


def noise_of(
    hu: NDArray[np.float32], where: NDArray[np.bool_], *, least: int, otherwise: float
) -> float:
    """Standard deviation in HU of the air in ``where``, from neighbours in a row.

    ``otherwise`` where fewer than ``least`` voxels tell.
    """
    bend = hu[:, :, 2:] - 2 * hu[:, :, 1:-1] + hu[:, :, :-2]
    values = bend[(where & (hu < _AIR_HU))[:, :, 1:-1]]
    if values.size < least:
        return otherwise
    return float(1.4826 * np.median(np.abs(values)) / np.sqrt(6))
