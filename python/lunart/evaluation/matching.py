"""LUNA16's rule: which nodules were found, and which candidates are false.

After the challenge's ``noduleCADEvaluationLUNA16.py``: a candidate hits a nodule when it is nearer
to its centre than its radius; a nodule counts with the highest probability of the candidates that
hit it, and the others are neither found nor false; candidates that hit an excluded finding (and no
nodule) are ignored; a candidate that hits two nodules counts for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart.evaluation.findings import Call, ScanTruth


@dataclass(frozen=True, eq=False)
class Match:
    """One scan under LUNA16's rule; probabilities are float64, NaN where a nodule was missed."""

    series_uid: str
    #: Of each nodule: the highest probability of the candidates in it.
    best: NDArray[np.float64]
    #: Of each candidate, in the order of the calls.
    probability: NDArray[np.float64]
    in_nodule: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    #: Candidates beyond the first in each nodule.
    second_hits: int

    @property
    def false(self) -> NDArray[np.bool_]:
        """Candidates in no nodule and in no excluded finding."""
        return ~self.in_nodule & ~self.ignored

    def found(self, threshold: float) -> int:
        """Nodules with a candidate above the threshold."""
        return int((self.best > threshold).sum())

    def false_calls(self, threshold: float) -> int:
        """False candidates above the threshold."""
        return int((self.false & (self.probability > threshold)).sum())


def match(truth: ScanTruth, calls: Sequence[Call]) -> Match:
    """Compare one scan's candidates with its truth."""
    hits = truth.hits(calls)
    probability = np.array([call.probability for call in calls], np.float64)
    best = np.array([probability[row].max() if row.any() else np.nan for row in hits], np.float64)
    in_nodule: NDArray[np.bool_] = np.logical_or.reduce(hits)
    return Match(
        truth.series_uid,
        best,
        probability,
        in_nodule,
        truth.ignored(calls) & ~in_nodule,
        int(np.maximum(hits.sum(axis=1) - 1, 0).sum()),
    )


def most_suspicious(calls: Sequence[Call], marks: int | None) -> tuple[Call, ...]:
    """At most so many of a scan's candidates, as the script takes them: those whose probability is
    above that of the first that is too many, so that candidates equal to it are dropped with it.
    """
    if marks is None or len(calls) <= marks:
        return tuple(calls)
    bar = sorted((call.probability for call in calls), reverse=True)[marks]
    return tuple(call for call in calls if call.probability > bar)
