"""Which voxels of a scan are nodule: from readers' votes, from contours, or from annotations.

Masks are uint8 ``(index, row, col)`` of a :class:`~lunart.data.ct.Ct`, 1 inside.

**Votes and contours** are what readers drew: a voxel is nodule where two readers or more marked it
(half of the four that LIDC-IDRI asked).

**Annotations** are a centre and a diameter. The book (chapter 13) grows a box from the centre until
it meets air and takes the tissue in it, which for a nodule at a vessel or at the pleura takes the
vessel and the wall along. Here it is the tissue (above -700 HU) connected with the nodule's middle
and within 1.15 of its radius, or the plain sphere where there is too little tissue (ground glass).
Measured as Dice: against two readers on a nodule each of LIDC-IDRI-0003, 0001 and 0023, 0.87, 0.90
and 0.80 (the book's way 0.79, 0.79, 0.54; a sphere 0.80, 0.86, 0.72); against the truth of 36
phantom nodules 0.86 (the book's way 0.67, a sphere 0.86).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.data.contours import Contour, drawn
from lunart.data.ct import Ct, Irc
from lunart.data.tables import Annotation
from lunart.errors import DataError

READERS = 2
_TISSUE_HU = -700
_REACH = 1.15
_LEAST_TISSUE = 0.3
# Headers are written with six digits.
_TOLERANCE_MM = 1e-2

Mask = NDArray[np.uint8]


def from_annotations(ct: Ct, annotations: Iterable[Annotation]) -> Mask:
    """The union of the annotated nodules; what lies outside the scan is left out."""
    mask = np.zeros(ct.shape_irc, np.uint8)
    for annotation in annotations:
        center = ct.to_irc(annotation.center_xyz_mm)
        box = _box(ct, center, _REACH * annotation.diameter_mm / 2)
        if all(side.stop > side.start for side in box):
            mask[box] |= _nodule(ct, center, annotation.diameter_mm, box)
    return mask


def from_votes(ct: Ct, path: Path, readers: int = READERS) -> Mask:
    """Voxels that so many readers marked. Raises ``DataError`` for a volume of another scan."""
    votes = Ct.read(path)
    if votes.shape_irc != ct.shape_irc or not same_place(ct, votes):
        raise DataError(
            f"{path}: shape {votes.shape_irc}, spacing {votes.scan.spacing_mm} mm and origin "
            f"{votes.scan.origin_mm} are not those of the scan: {ct.shape_irc}, "
            f"{ct.scan.spacing_mm} and {ct.scan.origin_mm}"
        )
    mask: Mask = (votes.scan.hu >= readers).astype(np.uint8)
    return mask


def from_contours(
    stored: _core.Scan, outlines: Iterable[Sequence[Contour]], readers: int = READERS
) -> Mask:
    """Voxels that so many of the ``outlines`` (one reader's of one nodule each) enclose.

    ``stored`` is the scan as it was read, whose rows and columns the points count; the mask is
    that of the :class:`Ct` of the same scan.
    """
    votes = np.zeros(stored.shape_irc, np.int16)
    for contours in outlines:
        votes += drawn(stored.geometry, contours)
    scan = _core.oriented(_core.scan_from_array(votes, stored.geometry, stored.series_uid, ""))
    mask: Mask = (scan.hu >= readers).astype(np.uint8)
    return mask


def _box(ct: Ct, center: Irc, radius_mm: float) -> tuple[slice, slice, slice]:
    sides = []
    for middle, n, step in zip(center, ct.shape_irc, ct.spacing_irc_mm, strict=True):
        reach = radius_mm / step + 1
        low, high = int(np.floor(middle - reach)), int(np.ceil(middle + reach)) + 1
        sides.append(slice(min(max(low, 0), n), min(max(high, 0), n)))
    return sides[0], sides[1], sides[2]


def _nodule(ct: Ct, center: Irc, diameter_mm: float, box: tuple[slice, slice, slice]) -> Mask:
    from scipy import ndimage  # type: ignore[import-untyped]

    radius = diameter_mm / 2
    distance = _distance_mm(ct, center, box)
    sphere = distance <= radius
    tissue = (ct.scan.hu[box] > _TISSUE_HU) & (distance <= _REACH * radius)
    parts, _ = ndimage.label(tissue)
    middle = distance <= max(radius / 2, 0.6 * max(ct.spacing_irc_mm))
    kept = np.isin(parts, np.unique(parts[middle & tissue]))
    enough = kept.sum() >= _LEAST_TISSUE * sphere.sum()
    return (kept & tissue if enough else sphere).astype(np.uint8)


def _distance_mm(ct: Ct, center: Irc, box: tuple[slice, slice, slice]) -> NDArray[Any]:
    axes = np.ogrid[box]
    squares = [
        ((axis - middle) * step) ** 2
        for axis, middle, step in zip(axes, center, ct.spacing_irc_mm, strict=True)
    ]
    return np.sqrt(squares[0] + squares[1] + squares[2])


def same_place(a: Ct, b: Ct) -> bool:
    """Whether two scans of one shape have their corners at the same places."""
    i, r, c = a.shape_irc
    corners = [(0, 0, 0), (i - 1, r - 1, c - 1)]
    return all(
        np.allclose(a.to_xyz(corner), b.to_xyz(corner), rtol=0, atol=_TOLERANCE_MM)
        for corner in corners
    )
