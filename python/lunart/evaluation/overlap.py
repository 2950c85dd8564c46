"""How well the pipeline's mask covers what readers drew: recall, precision and Dice over voxels.

Two masks are compared: ``segmented``, what the segmentation network marked (above its threshold,
before erosion), and ``called``, the voxels of the nodules that are reported. Masks are turned to
LPS first (:class:`lunart.data.ct.Ct`), as votes and annotations are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.data.masks import Mask
from lunart.evaluation.operating import ratio
from lunart.evaluation.resampling import Bootstrap, Estimate, estimate
from lunart.result import Result

MASKS = ("segmented", "called")


@dataclass(frozen=True)
class Overlap:
    """Voxels in both masks, in ours alone, and in the readers' alone."""

    both: int
    ours: int
    theirs: int

    @property
    def recall(self) -> float:
        """NaN when the readers marked nothing."""
        return ratio(self.both, self.both + self.theirs)

    @property
    def precision(self) -> float:
        """NaN when we marked nothing."""
        return ratio(self.both, self.both + self.ours)

    @property
    def dice(self) -> float:
        """NaN when neither marked anything."""
        return ratio(2 * self.both, 2 * self.both + self.ours + self.theirs)

    def to_json(self) -> dict[str, Any]:
        shares = {"recall": self.recall, "precision": self.precision, "dice": self.dice}
        return {
            "voxels": {"both": self.both, "ours": self.ours, "theirs": self.theirs},
            **{name: None if np.isnan(share) else share for name, share in shares.items()},
        }


#: Of one scan, by the names of :data:`MASKS`.
Overlaps = Mapping[str, Overlap]


@dataclass(frozen=True)
class PooledOverlap:
    """Voxels of all scans together; intervals are over scans."""

    voxels: Overlap
    recall: Estimate
    precision: Estimate
    dice: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "voxels": self.voxels.to_json()["voxels"],
            "recall": self.recall.to_json(),
            "precision": self.precision.to_json(),
            "dice": self.dice.to_json(),
        }


def overlaps_of(result: Result, truth: Mask) -> dict[str, Overlap]:
    """Compare a run's masks with voxels of the same scan turned to LPS."""
    segmented = turned(result.threshold_mask != 0, result)
    called = turned(np.isin(result.mask, [nodule.label for nodule in result.nodules]), result)
    return {
        name: overlap(mask, truth) for name, mask in zip(MASKS, (segmented, called), strict=True)
    }


def overlap(ours: NDArray[Any], theirs: NDArray[Any]) -> Overlap:
    """Count voxels of two masks of one shape."""
    a, b = ours != 0, theirs != 0
    both = int(np.count_nonzero(a & b))
    return Overlap(both, int(np.count_nonzero(a)) - both, int(np.count_nonzero(b)) - both)


def turned(mask: NDArray[np.bool_], result: Result) -> NDArray[np.int16]:
    """A mask of the scan as stored, turned to LPS."""
    scan = result.scan
    geometry = _core.Geometry(
        shape_irc=scan.shape_irc,
        spacing_mm=scan.spacing_mm,
        origin_mm=scan.origin_mm,
        direction=scan.direction,
    )
    stored = _core.scan_from_array(mask.astype(np.int16), geometry, "", "")
    lps: NDArray[np.int16] = _core.oriented(stored).hu.astype(np.int16, copy=False)
    return lps


def pooled(
    scans: Sequence[Overlaps], name: str, bootstrap: Bootstrap | None = None
) -> PooledOverlap:
    """One of :data:`MASKS` over scans."""
    counts = np.array([(o.both, o.ours, o.theirs) for o in (scan[name] for scan in scans)])

    def over(measure: str) -> Estimate:
        return estimate(
            lambda rows: float(getattr(_total(counts[rows]), measure)), range(len(scans)), bootstrap
        )

    return PooledOverlap(_total(counts), over("recall"), over("precision"), over("dice"))


def _total(counts: NDArray[np.int64]) -> Overlap:
    """All voxels together; rows are scans."""
    both, ours, theirs = counts.sum(axis=0).tolist()
    return Overlap(both, ours, theirs)
