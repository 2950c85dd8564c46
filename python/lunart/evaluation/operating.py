"""At the one threshold that a bundle is run with: nodules found, and false calls a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lunart.evaluation.matching import Match
from lunart.evaluation.resampling import Bootstrap, Estimate, estimate


@dataclass(frozen=True)
class OperatingPoint:
    """Calls are candidates above ``threshold``; sensitivity is undefined without nodules."""

    threshold: float
    found: int
    nodules: int
    false_calls: int
    sensitivity: Estimate
    false_calls_per_scan: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "found": self.found,
            "nodules": self.nodules,
            "false_calls": self.false_calls,
            "sensitivity": self.sensitivity.to_json(),
            "false_calls_per_scan": self.false_calls_per_scan.to_json(),
        }


def operating_point(
    matches: Sequence[Match], threshold: float, bootstrap: Bootstrap | None = None
) -> OperatingPoint:
    """Count over scans, with intervals over scans."""
    found = np.array([match.found(threshold) for match in matches], np.float64)
    nodules = np.array([len(match.best) for match in matches], np.float64)
    false = np.array([match.false_calls(threshold) for match in matches], np.float64)
    scans = range(len(matches))
    return OperatingPoint(
        threshold,
        int(found.sum()),
        int(nodules.sum()),
        int(false.sum()),
        estimate(lambda rows: ratio(found[rows].sum(), nodules[rows].sum()), scans, bootstrap),
        estimate(lambda rows: float(false[rows].mean()), scans, bootstrap),
    )


def ratio(part: float, whole: float) -> float:
    """A share; NaN of nothing."""
    return float(part / whole) if whole else float("nan")
