"""Two bundles on the same scans: what each finds, and how sure the difference is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lunart.evaluation.operating import ratio
from lunart.evaluation.resampling import Bootstrap, Estimate, estimate
from lunart.evaluation.score import Score


@dataclass(frozen=True)
class ScanComparison:
    """One scan at each bundle's own threshold; ours first."""

    series_uid: str
    nodules: int
    found: tuple[int, int]
    false_calls: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Ours against the other. ``false_call_ratio`` is ours over theirs; undefined over none."""

    scans: tuple[ScanComparison, ...]
    #: Nodules that only ours, and only the other found.
    only: tuple[int, int]
    sensitivity_difference: Estimate
    false_call_ratio: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "scans": [
                {
                    "series_uid": scan.series_uid,
                    "nodules": scan.nodules,
                    "found": list(scan.found),
                    "false_calls": list(scan.false_calls),
                }
                for scan in self.scans
            ],
            "found_by_one_only": list(self.only),
            "sensitivity_difference": self.sensitivity_difference.to_json(),
            "false_call_ratio": self.false_call_ratio.to_json(),
        }


def compare(ours: Score, theirs: Score, bootstrap: Bootstrap | None = None) -> Comparison:
    """Pair two scores of the same scans; intervals draw scans for both alike."""
    thresholds = ours.operating.threshold, theirs.operating.threshold
    pairs = list(zip(ours.matches, theirs.matches, strict=True))
    scans = tuple(
        ScanComparison(
            a.series_uid,
            len(a.best),
            (a.found(thresholds[0]), b.found(thresholds[1])),
            (a.false_calls(thresholds[0]), b.false_calls(thresholds[1])),
        )
        for a, b in pairs
    )
    mine = np.concatenate([a.best > thresholds[0] for a, _ in pairs])
    other = np.concatenate([b.best > thresholds[1] for _, b in pairs])
    nodules = np.array([scan.nodules for scan in scans], np.float64)
    found = np.array([scan.found for scan in scans], np.float64)
    false = np.array([scan.false_calls for scan in scans], np.float64)
    rows = range(len(scans))
    return Comparison(
        scans,
        (int((mine & ~other).sum()), int((other & ~mine).sum())),
        estimate(
            lambda r: ratio(float((found[r, 0] - found[r, 1]).sum()), nodules[r].sum()),
            rows,
            bootstrap,
        ),
        estimate(lambda r: ratio(false[r, 0].sum(), false[r, 1].sum()), rows, bootstrap),
    )
