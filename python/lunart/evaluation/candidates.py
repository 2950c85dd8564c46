"""How well the nodule classifier orders and judges the candidates that the segmentation proposes.

A candidate in a nodule is positive, also a second one; one in an excluded finding is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart.evaluation.matching import Match
from lunart.evaluation.resampling import Bootstrap, Estimate
from lunart.evaluation.roc import auc_estimate, curve

_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Candidates whose probability is from ``low`` to below ``high``."""

    low: float
    high: float
    candidates: int
    mean_probability: float
    nodules: float


@dataclass(frozen=True, eq=False)
class CandidateReport:
    """``reliability`` is empty where what was given is no probability (outside 0 to 1).

    The Brier score is the mean squared difference of probability and truth.
    """

    count: int
    in_nodules: int
    second_hits: int
    ignored: int
    auc: Estimate
    brier: float | None
    reliability: tuple[Bin, ...]
    roc: tuple[NDArray[np.float64], NDArray[np.float64]]

    def to_json(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "in_nodules": self.in_nodules,
            "second_hits": self.second_hits,
            "ignored": self.ignored,
            "auc": self.auc.to_json(),
            "brier": self.brier,
            "reliability": [vars(one) for one in self.reliability],
        }


def candidate_report(
    matches: Sequence[Match], bootstrap: Bootstrap | None = None
) -> CandidateReport:
    """Over all candidates of some scans; the AUC's interval draws scans."""
    probability = np.concatenate([match.probability[~match.ignored] for match in matches])
    truth = np.concatenate([match.in_nodule[~match.ignored] for match in matches])
    scans = np.repeat(np.arange(len(matches)), [int((~match.ignored).sum()) for match in matches])
    judged = bool(len(probability)) and bool(((probability >= 0) & (probability <= 1)).all())
    return CandidateReport(
        count=sum(len(match.probability) for match in matches),
        in_nodules=int(truth.sum()),
        second_hits=sum(match.second_hits for match in matches),
        ignored=sum(int(match.ignored.sum()) for match in matches),
        auc=auc_estimate(probability, truth, scans, bootstrap),
        brier=float(((probability - truth) ** 2).mean()) if judged else None,
        reliability=_reliability(probability, truth) if judged else (),
        roc=curve(probability, truth),
    )


def _reliability(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[Bin, ...]:
    places = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    return tuple(
        Bin(
            place / _BINS,
            (place + 1) / _BINS,
            int((places == place).sum()),
            float(probability[places == place].mean()),
            float(truth[places == place].mean()),
        )
        for place in np.unique(places).tolist()
    )
