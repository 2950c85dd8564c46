"""Whether rating malignancy adds anything to knowing how large a nodule is.

On the nodules that the bundle called and that readers leaned on (median 4 or more against 2 or
less; what lies between is left out): the AUC of the network's rating, beside that of the diameter
that readers measured and of the one that the pipeline measured. Intervals draw patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart.data.malignancy import malignant
from lunart.evaluation.findings import Call, Nodule, ScanTruth
from lunart.evaluation.resampling import Bootstrap, Estimate
from lunart.evaluation.roc import auc_difference, auc_estimate


@dataclass(frozen=True)
class Rating:
    """A called nodule that readers leaned on."""

    patient: str
    malignant: bool
    network: float
    diameter_mm: float
    measured_diameter_mm: float


@dataclass(frozen=True, eq=False)
class MalignancyReport:
    """``leaning`` counts the nodules that readers leaned on, called or not.

    A difference is the network's AUC less the baseline's.
    """

    ratings: tuple[Rating, ...]
    leaning: int
    network: Estimate
    diameter: Estimate
    measured_diameter: Estimate
    above_diameter: Estimate
    above_measured_diameter: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "nodules": len(self.ratings),
            "not_called": self.leaning - len(self.ratings),
            "malignant": sum(rating.malignant for rating in self.ratings),
            "auc": {
                "network": self.network.to_json(),
                "diameter": self.diameter.to_json(),
                "measured_diameter": self.measured_diameter.to_json(),
            },
            "network_above": {
                "diameter": self.above_diameter.to_json(),
                "measured_diameter": self.above_measured_diameter.to_json(),
            },
        }


def malignancy_report(
    scans: Iterable[tuple[ScanTruth, Sequence[Call]]], bootstrap: Bootstrap | None = None
) -> MalignancyReport:
    """Compare the ratings of the called nodules; estimates are undefined without both classes."""
    ratings: list[Rating] = []
    leaning = 0
    for truth, calls in scans:
        for nodule, row in zip(truth.nodules, truth.hits(calls), strict=True):
            verdict = None if nodule.rated is None else malignant(nodule.rated)
            if verdict is None:
                continue
            leaning += 1
            rating = _rating(
                truth.patient,
                nodule,
                verdict,
                [call for call, hit in zip(calls, row, strict=True) if hit],
            )
            if rating is not None:
                ratings.append(rating)
    return _report(tuple(ratings), leaning, bootstrap)


def _rating(patient: str, nodule: Nodule, verdict: bool, calls: Sequence[Call]) -> Rating | None:
    """That of the most probable call; only what is above the bundle's threshold is rated."""
    call = max(calls, key=lambda call: call.probability, default=None)
    if call is None or call.malignancy is None or call.diameter_mm is None:
        return None
    return Rating(patient, verdict, call.malignancy, nodule.diameter_mm, call.diameter_mm)


def _report(
    ratings: tuple[Rating, ...], leaning: int, bootstrap: Bootstrap | None
) -> MalignancyReport:
    truth = np.array([rating.malignant for rating in ratings], np.bool_)
    patients = [rating.patient for rating in ratings]
    network = np.array([rating.network for rating in ratings], np.float64)
    diameter = np.array([rating.diameter_mm for rating in ratings], np.float64)
    measured = np.array([rating.measured_diameter_mm for rating in ratings], np.float64)

    def area(scores: NDArray[np.float64]) -> Estimate:
        return auc_estimate(scores, truth, patients, bootstrap)

    def above(baseline: NDArray[np.float64]) -> Estimate:
        return auc_difference(network, baseline, truth, patients, bootstrap)

    return MalignancyReport(
        ratings,
        leaning,
        area(network),
        area(diameter),
        area(measured),
        above(diameter),
        above(measured),
    )
