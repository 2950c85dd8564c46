"""The values that the phantom's parts hand to one another, and the voxel grid they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# float32 in fact: NumPy's stubs cannot follow that a Python float does not widen an array.
FloatArray = NDArray[np.floating[Any]]

KINDS = (
    "solid",
    "juxta-pleural",
    "vessel-attached",
    "spiculated",
    "part-solid",
    "ground-glass",
    "calcified",
)


@dataclass(frozen=True)
class PhantomNodule:
    """One nodule: where it is (LPS mm; index, row, col), its equivalent diameter and its kind."""

    center_xyz_mm: tuple[float, float, float]
    center_irc: tuple[float, float, float]
    diameter_mm: float
    kind: str


@dataclass(frozen=True, eq=False)
class Phantom:
    """A generated scan and its truth.

    ``hu`` and ``labels`` are ``(index, row, col)``; ``labels`` is 0 outside nodules and the
    nodule's place in ``nodules`` plus one inside. ``spacing_mm`` and ``origin_mm`` are x,y,z;
    ``direction`` is SimpleITK's nine numbers (row-major, columns are the array's x,y,z axes).
    """

    series_uid: str
    seed: int
    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    nodules: tuple[PhantomNodule, ...]


@dataclass(frozen=True)
class Grid:
    """Voxel centres in millimetres about the scan's middle: x to the left, y back, z up."""

    shape_irc: tuple[int, int, int]
    spacing_xyz: tuple[float, float, float]

    def axis(self, axis: int) -> FloatArray:
        """Positions along axis 0 (z), 1 (y) or 2 (x)."""
        count, step = self.shape_irc[axis], self.spacing_xyz[2 - axis]
        return ((np.arange(count) - (count - 1) / 2) * step).astype(np.float32)

    @property
    def extent_xyz(self) -> tuple[float, float, float]:
        """Field of view, x, y, z."""
        i, r, c = self.shape_irc
        x, y, z = self.spacing_xyz
        return c * x, r * y, i * z

    def irc(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fractional (index, row, col) of points ``(..., 3)`` of this grid's millimetres."""
        middle = (np.array(self.shape_irc) - 1) / 2
        scaled: NDArray[np.float64] = xyz[..., ::-1] / np.array(self.spacing_xyz[::-1]) + middle
        return scaled

    def box(
        self, low_xyz: NDArray[np.float64], high_xyz: NDArray[np.float64]
    ) -> tuple[slice, slice, slice] | None:
        """The voxels between two corners, or None when the box lies outside the grid."""
        slices = []
        # In plain Python: this is asked for each of thousands of tubes.
        for axis, count in enumerate(self.shape_irc):
            step, middle = self.spacing_xyz[2 - axis], (count - 1) / 2
            low = max(math.floor(float(low_xyz[2 - axis]) / step + middle), 0)
            high = min(math.ceil(float(high_xyz[2 - axis]) / step + middle) + 1, count)
            if high <= low:
                return None
            slices.append(slice(low, high))
        return slices[0], slices[1], slices[2]
