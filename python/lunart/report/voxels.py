"""A finding's voxels as a small array, from the runs that a result keeps of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lunart.errors import DataError


class Outlined(Protocol):
    """What a picture needs of a finding (``lunart.result.Finding``)."""

    @property
    def center_irc(self) -> tuple[float, float, float]: ...

    @property
    def mask_runs(self) -> str: ...


@dataclass(frozen=True)
class Box:
    """A box of the scan: ``first`` voxel (index, row, col), and which of its voxels are in."""

    first: tuple[int, int, int]
    inside: NDArray[np.bool_]


def voxels_of(finding: Outlined, shape_irc: tuple[int, int, int]) -> NDArray[np.int64]:
    """Runs as rows (index, row, first col, columns). Raises ``DataError`` beyond the scan."""
    try:
        runs = np.array(
            [[int(number) for number in run.split(":")] for run in finding.mask_runs.split()],
            np.int64,
        ).reshape(-1, 2)
    except (ValueError, OverflowError) as error:
        raise DataError("mask_runs is no list of OFFSET:LENGTH") from error
    _, rows, cols = shape_irc
    offset, length = runs.T
    col = offset % cols
    if (
        not len(runs)
        or (offset < 0).any()
        or (length < 1).any()
        or (offset >= np.prod(shape_irc)).any()
        or (col + length > cols).any()
    ):
        raise DataError(f"mask_runs are none of a scan of {shape_irc}")
    return np.stack([offset // (rows * cols), offset // cols % rows, col, length], axis=1)


def box_of(finding: Outlined, shape_irc: tuple[int, int, int]) -> Box:
    """The smallest box around a finding."""
    runs = voxels_of(finding, shape_irc)
    index, row, col, length = runs.T
    first = (int(index.min()), int(row.min()), int(col.min()))
    last = (int(index.max()), int(row.max()), int((col + length).max()) - 1)
    size = tuple(b - a + 1 for a, b in zip(first, last, strict=True))
    inside = np.zeros(size, np.bool_)
    for i, r, c, n in (runs - [*first, 0]).tolist():
        inside[i, r, c : c + n] = True
    return Box(first, inside)
