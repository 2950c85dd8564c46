"""What is compared of one scan: the nodules that experts marked and the places that were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lunart.data.ct import Xyz
from lunart.data.tables import Malignancy

#: LUNA16's excluded findings are places without a diameter; its script takes 10 mm.
EXCLUDED_DIAMETER_MM = 10.0

Hits = NDArray[np.bool_]


class Voxels(Protocol):
    """The voxels of one nodule."""

    def hold(self, places_xyz_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the places, ``(places, 3)``, lie in them."""


@dataclass(frozen=True)
class Nodule:
    """A place that experts marked.

    ``rated`` is None where no reader judged its malignancy, ``voxels`` where only centre and
    diameter are known.
    """

    center_xyz_mm: Xyz
    diameter_mm: float
    rated: Malignancy | None = None
    voxels: Voxels | None = None


@dataclass(frozen=True)
class Call:
    """A candidate with its probability; ``malignancy`` only of nodules, ``diameter_mm`` measured.

    Both are None in a submission, which knows places and probabilities alone.
    """

    center_xyz_mm: Xyz
    probability: float
    malignancy: float | None = None
    diameter_mm: float | None = None


@dataclass(frozen=True, eq=False)
class ScanTruth:
    """The nodules of a scan, and the findings that are neither nodules nor certainly none."""

    series_uid: str
    patient: str
    nodules: tuple[Nodule, ...]
    excluded: tuple[Nodule, ...] = ()

    def hits(self, calls: Sequence[Call]) -> Hits:
        """``(nodules, calls)``: which call lies in which nodule."""
        return hits(self.nodules, calls)

    def ignored(self, calls: Sequence[Call]) -> NDArray[np.bool_]:
        """Calls that lie in an excluded finding."""
        ignored: NDArray[np.bool_] = np.logical_or.reduce(hits(self.excluded, calls))
        return ignored


def without_small(truth: ScanTruth, least_diameter_mm: float) -> ScanTruth:
    """Nodules below a diameter become excluded findings."""
    small = tuple(n for n in truth.nodules if n.diameter_mm < least_diameter_mm)
    if not small:
        return truth
    large = tuple(n for n in truth.nodules if n.diameter_mm >= least_diameter_mm)
    return replace(truth, nodules=large, excluded=(*truth.excluded, *small))


def centers(rows: Sequence[Nodule] | Sequence[Call]) -> NDArray[np.float64]:
    """LPS millimetres, ``(rows, 3)``."""
    return np.array([row.center_xyz_mm for row in rows], np.float64).reshape(-1, 3)


def hits(nodules: Sequence[Nodule], calls: Sequence[Call]) -> Hits:
    """``(nodules, calls)``, by LUNA16's script: squared distance below the squared radius.

    Where a nodule's voxels are known a call in one of them hits, too.
    """
    places = centers(calls)
    steps = centers(nodules)[:, None] - places[None]
    diameters = np.array([nodule.diameter_mm for nodule in nodules], np.float64)
    radii = np.where(diameters < 0, EXCLUDED_DIAMETER_MM, diameters) / 2
    inside: Hits = (steps**2).sum(axis=2) < (radii**2)[:, None]
    for row, nodule in zip(inside, nodules, strict=True):
        if nodule.voxels is not None:
            row |= nodule.voxels.hold(places)
    return inside


def calls_of(result: Mapping[str, Any]) -> tuple[Call, ...]:
    """Every candidate of a ``lunart.result/2`` with all candidates."""
    return tuple(
        Call(
            tuple(entry["center_xyz_mm"]),
            float(entry["probability"]),
            entry["malignancy"],
            float(entry["diameter_mm"]),
        )
        for entry in result["candidates"]
    )
