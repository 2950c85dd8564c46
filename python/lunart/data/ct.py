"""One CT scan as the networks see it: turned to LPS, with places in voxels and millimetres.

Voxels, clamping and coordinates come from the C++ core, so that training sees what the pipeline
will see. The HU window is applied by :meth:`Ct.crop` and :meth:`Ct.slices` alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart import _core

Irc = tuple[float, float, float]
Xyz = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Ct:
    """A scan whose col, row and index run to the patient's left, posterior and superior.

    Half a turn or a swap of axes at most: an oblique direction stays oblique.
    """

    series_uid: str
    scan: _core.Scan

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Ct:
        """Read a MetaImage. Raises :class:`lunart.errors.ScanError`."""
        scan = _core.oriented(_core.read_scan(path))
        return cls(scan.series_uid, scan)

    @property
    def shape_irc(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        return self.scan.shape_irc

    @property
    def spacing_irc_mm(self) -> tuple[float, float, float]:
        """Millimetres from slice to slice, row to row, column to column."""
        x, y, z = self.scan.spacing_mm
        return z, y, x

    def to_irc(self, center_xyz_mm: Xyz) -> Irc:
        """Voxel place (fractional index, row, col) of LPS millimetres."""
        return self.scan.geometry.to_irc(center_xyz_mm)

    def to_xyz(self, center_irc: Irc) -> Xyz:
        """LPS millimetres of a voxel place."""
        return self.scan.geometry.to_xyz(center_irc)

    def contains(self, center_irc: Irc) -> bool:
        """Whether a place lies in the scan, whose voxels reach half a voxel beyond centres."""
        return inside(self.shape_irc, center_irc)

    def crop(
        self,
        center_irc: Irc,
        crop_irc: tuple[int, int, int],
        *,
        pad: bool = False,
        spacing_mm: float | None = None,
    ) -> NDArray[np.float32]:
        """What a 3-D network sees around a centre: clamped HU.

        ``pad``: the centre stays in the middle at the scan's border, with air beyond it.
        ``spacing_mm``: the distance of the crop's voxels, without it the scan's own.
        """
        return _core.crop(self.scan, center_irc, crop_irc, pad, spacing_mm)

    def slices(self, index: int, context: int) -> NDArray[np.float32]:
        """What the segmentation network sees of a slice: ``(2*context + 1, rows, cols)``."""
        return _core.slice_input(self.scan, index, context)


def inside(shape_irc: tuple[int, int, int], center_irc: Irc) -> bool:
    """Whether a voxel place lies in a scan of this shape."""
    return all(-0.5 <= c < n - 0.5 for c, n in zip(center_irc, shape_irc, strict=True))
