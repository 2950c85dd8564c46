"""A scan whose truth is a volume of labels, as experts draw it: each component is a nodule.

The scan may be anything that ``lunart.reading`` reads, the label anything that SimpleITK does;
MetaImage needs no SimpleITK.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.data.ct import Ct
from lunart.data.masks import Mask, same_place
from lunart.errors import DataError
from lunart.evaluation.cases import Case, Reference
from lunart.evaluation.findings import Nodule, ScanTruth, without_small
from lunart.reading import read_scan
from lunart.reading.arrays import SimpleItkImage, scan_of_image

_METAIMAGE = (".mhd", ".mha")
# A voxel belongs to its neighbour across a corner, too: an outline is not cut by its own staircase.
_NEIGHBOURS = np.ones((3, 3, 3), np.bool_)


@dataclass(frozen=True, eq=False)
class Component:
    """The voxels of ``numbers`` that have the nodule's number, turned to LPS."""

    numbers: NDArray[np.int32]
    number: int
    geometry: _core.Geometry

    def hold(self, places_xyz_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the places lie in a voxel of the nodule."""
        return np.array([self._holds(place) for place in places_xyz_mm.tolist()], np.bool_)

    def _holds(self, place_xyz_mm: list[float]) -> bool:
        i, r, c = (math.floor(x + 0.5) for x in self.geometry.to_irc(place_xyz_mm))
        inside = all(0 <= x < n for x, n in zip((i, r, c), self.numbers.shape, strict=True))
        return inside and bool(self.numbers[i, r, c] == self.number)


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A scan and its label; both are read when they are first needed."""

    path: Path
    label: Path

    def case(self, *, least_diameter_mm: float = 0.0) -> Case:
        """What to evaluate; smaller components count neither way.

        Raises ``ScanError`` or ``DataError`` when a file cannot be read, they are not of one
        place, or the label marks nothing.
        """
        label = self._label
        uid = self._ct.series_uid or self.path.stem
        truth = ScanTruth(uid, uid, _nodules(label))
        return Case(
            truth=without_small(truth, least_diameter_mm),
            slices=self._ct.shape_irc[0],
            digest=lambda: _digest(self._ct),
            scan=lambda: self.path,
            reference=Reference(
                "label", lambda: f"label/{_digest(label)}", lambda: _marked(label.scan.hu)
            ),
        )

    # The core's scan looks into SimpleITK's memory: the image stays as long as this object does.
    @cached_property
    def _label_image(self) -> SimpleItkImage | None:
        return None if self.label.suffix in _METAIMAGE else _read_image(self.label)

    @cached_property
    def _ct(self) -> Ct:
        scan = _core.oriented(read_scan(self.path))
        return Ct(scan.series_uid, scan)

    @cached_property
    def _label(self) -> Ct:
        label = _ct(self.label, self._label_image)
        if label.shape_irc != self._ct.shape_irc or not same_place(label, self._ct):
            raise DataError(
                f"{self.label}: shape {label.shape_irc}, spacing {label.scan.spacing_mm} mm and "
                f"origin {label.scan.origin_mm} are not those of {self.path}: "
                f"{self._ct.shape_irc}, {self._ct.scan.spacing_mm} and {self._ct.scan.origin_mm}"
            )
        if not label.scan.hu.any():
            raise DataError(f"{self.label}: no voxel is labelled; expected at least one nodule")
        return label


def _nodules(label: Ct) -> tuple[Nodule, ...]:
    """Each component with its centre of mass and the diameter of the sphere of its volume."""
    from scipy import ndimage  # type: ignore[import-untyped]

    geometry = label.scan.geometry
    numbers, count = ndimage.label(_marked(label.scan.hu), _NEIGHBOURS)
    places = np.argwhere(numbers)
    owner = numbers[tuple(places.T)]
    nodules = []
    for number in range(1, count + 1):
        own = places[owner == number]
        i, r, c = own.mean(axis=0).tolist()
        diameter = (6 * len(own) * geometry.voxel_mm3 / math.pi) ** (1 / 3)
        voxels = Component(numbers, number, geometry)
        nodules.append(Nodule(geometry.to_xyz((i, r, c)), diameter, voxels=voxels))
    return tuple(nodules)


def _marked(label: NDArray[Any]) -> Mask:
    marked: Mask = (label != 0).astype(np.uint8)
    return marked


def _ct(path: Path, image: SimpleItkImage | None) -> Ct:
    if image is None:
        return Ct.read(path)
    scan = _core.oriented(scan_of_image(image))
    return Ct(scan.series_uid, scan)


def _read_image(path: Path) -> SimpleItkImage:
    import SimpleITK

    try:
        image: SimpleItkImage = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path}: SimpleITK cannot read it ({reason})") from error
    return image


def _digest(ct: Ct) -> str:
    hu = np.ascontiguousarray(ct.scan.hu)
    where = (hu.dtype.str, hu.shape, ct.scan.spacing_mm, ct.scan.origin_mm, ct.scan.direction)
    digest = hashlib.sha256(repr(where).encode())
    digest.update(hu.data)
    return digest.hexdigest()
