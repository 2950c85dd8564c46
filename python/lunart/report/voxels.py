"""A finding's voxels as a small array, from the runs that a result keeps of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lunart.errors import DataError


class Outlined(Protocol):
    """What a picture needs of a finding (``lunart.result.Finding``)."""

    @property
    def center_irc(self) -> tuple[float, float, float]: ...

    def runs(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Box:
    """A box of the scan: ``first`` voxel (index, row, col), and which of its voxels are in."""

    first: tuple[int, int, int]
    inside: NDArray[np.bool_]


def box_of(finding: Outlined, shape_irc: tuple[int, int, int]) -> Box:
    """The smallest box around a finding. Raises ``DataError`` when the scan is too small for it."""
    _, rows, cols = shape_irc
    offset, length = finding.runs().T
    col = offset % cols
    if (
        not len(offset)
        or (offset < 0).any()
        or (length < 1).any()
        or (offset >= math.prod(shape_irc)).any()
        or (col + length > cols).any()
    ):
        raise DataError(f"a finding's mask_runs are none of a scan of {shape_irc}")
    runs = np.stack([offset // (rows * cols), offset // cols % rows, col, length], axis=1)
    index, row, col, length = runs.T
    first = (int(index.min()), int(row.min()), int(col.min()))
    last = (int(index.max()), int(row.max()), int((col + length).max()) - 1)
    size = tuple(b - a + 1 for a, b in zip(first, last, strict=True))
    inside = np.zeros(size, np.bool_)
    for i, r, c, n in (runs - [*first, 0]).tolist():
        inside[i, r, c : c + n] = True
    return Box(first, inside)
