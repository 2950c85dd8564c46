"""Everything that is measured of a bundle over some scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lunart.evaluation.candidates import CandidateReport, candidate_report
from lunart.evaluation.confusion import Confusion, confusion
from lunart.evaluation.findings import Call, ScanTruth
from lunart.evaluation.froc import Froc, froc
from lunart.evaluation.malignancy import MalignancyReport, malignancy_report
from lunart.evaluation.matching import Match, match, most_suspicious
from lunart.evaluation.operating import OperatingPoint, operating_point
from lunart.evaluation.overlap import MASKS, Overlaps, PooledOverlap, pooled
from lunart.evaluation.resampling import Bootstrap

#: LUNA16's script takes no more of a scan.
MARKS = 100
UNDEFINED = "no annotated nodules: sensitivity, FROC and CPM are not defined"


@dataclass(frozen=True, eq=False)
class Outcome:
    """A scan, and what was found in it.

    ``overlaps`` with the ``reference`` that they are of, and ``result`` (the run's JSON) are None
    where only candidates are known.
    """

    truth: ScanTruth
    calls: tuple[Call, ...]
    overlaps: Overlaps | None = None
    reference: str | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """``marks`` None takes every candidate of a scan into the FROC."""

    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    marks: int | None = MARKS


@dataclass(frozen=True, eq=False)
class Score:
    """The measures; ``froc`` is None without nodules, ``segmentation`` without masks, and
    ``malignancy`` without such a network.
    """

    scans: tuple[Outcome, ...]
    matches: tuple[Match, ...]
    froc: Froc | None
    operating: OperatingPoint
    candidates: CandidateReport
    confusion: Confusion
    segmentation: Mapping[str, PooledOverlap] | None
    malignancy: MalignancyReport | None

    def to_json(self) -> dict[str, Any]:
        segmentation = self.segmentation
        return {
            "froc": None if self.froc is None else self.froc.to_json(),
            "froc_undefined": UNDEFINED if self.froc is None else None,
            "operating_point": self.operating.to_json(),
            "candidates": self.candidates.to_json(),
            "book_confusion": self.confusion.to_json(),
            "segmentation": None
            if segmentation is None
            else {name: one.to_json() for name, one in segmentation.items()},
            "malignancy": None if self.malignancy is None else self.malignancy.to_json(),
            "scans": [
                _scan_json(outcome, match, self.operating.threshold)
                for outcome, match in zip(self.scans, self.matches, strict=True)
            ],
        }


def score(
    outcomes: Sequence[Outcome],
    *,
    threshold: float,
    malignancy_threshold: float | None = None,
    rules: Rules | None = None,
) -> Score:
    """Measure the outcomes of one bundle, of at least one scan."""
    rules = rules or Rules()
    bootstrap = rules.bootstrap
    pairs = [(outcome.truth, outcome.calls) for outcome in outcomes]
    matches = tuple(match(truth, calls) for truth, calls in pairs)
    # The script's limit is the FROC's alone: at one threshold every call counts.
    suspicious = [match(truth, most_suspicious(calls, rules.marks)) for truth, calls in pairs]
    overlaps = [outcome.overlaps for outcome in outcomes if outcome.overlaps is not None]
    return Score(
        scans=tuple(outcomes),
        matches=matches,
        froc=froc(suspicious, bootstrap),
        operating=operating_point(matches, threshold, bootstrap),
        candidates=candidate_report(matches, bootstrap),
        confusion=confusion(pairs, threshold=threshold, malignancy_threshold=malignancy_threshold),
        segmentation={name: pooled(overlaps, name, bootstrap) for name in MASKS}
        if overlaps
        else None,
        malignancy=None if malignancy_threshold is None else malignancy_report(pairs, bootstrap),
    )


def _scan_json(outcome: Outcome, match: Match, threshold: float) -> dict[str, Any]:
    result, overlaps = outcome.result, outcome.overlaps
    return {
        "series_uid": outcome.truth.series_uid,
        "nodules": [
            {
                "center_xyz_mm": list(nodule.center_xyz_mm),
                "diameter_mm": nodule.diameter_mm,
                "probability": None if np.isnan(best) else float(best),
                "found": bool(best > threshold),
            }
            for nodule, best in zip(outcome.truth.nodules, match.best, strict=True)
        ],
        "found": match.found(threshold),
        "false_calls": match.false_calls(threshold),
        "candidates": len(match.probability),
        "reference": outcome.reference,
        "segmentation": None
        if overlaps is None
        else {name: overlaps[name].to_json() for name in MASKS},
        "seconds": None if result is None else result["timings_s"]["total"],
        "warnings": [] if result is None else list(result["warnings"]),
    }
