"""The confusion table of *Deep Learning with PyTorch*, chapter 14: not LUNA16's rule.

There a candidate hits a nodule when it is nearer to its centre than 0.7 *diameters*, and excluded
findings are false like all others. Rows are what is there, columns what became of it: nothing was
segmented (complete miss), the classifier dropped it (filtered out), or it was called. A nodule with
several candidates takes the highest of these; a candidate in several nodules counts for all.
Malignant is, as in the book, what two readers or more rated 4 or 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart.data.tables import Malignancy
from lunart.evaluation.findings import Call, ScanTruth, centers

HIT_DIAMETERS = 0.7
ROWS = ("non-nodule", "benign", "malignant", "not rated")
_MISSED, _FILTERED, _CALLED, _MALIGNANT = range(4)
_MALIGNANT_RATING = 4
_MALIGNANT_READERS = 2


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts, ``(len(ROWS), 4)``: complete miss, filtered out, called, called malignant.

    ``with_malignancy`` tells whether the last two are benign and malignant; without such a network
    all calls are in the third.
    """

    counts: NDArray[np.int64]
    with_malignancy: bool

    @property
    def columns(self) -> tuple[str, ...]:
        called = ("benign", "malignant") if self.with_malignancy else ("nodule",)
        return ("complete miss", "filtered out", *(f"predicted {name}" for name in called))

    @property
    def rows(self) -> dict[str, tuple[int | None, ...]]:
        """Counts by name. What is no nodule cannot be missed: None there.

        The row of nodules that nobody rated is left out where there are none.
        """
        table: dict[str, tuple[int | None, ...]] = {}
        for name, counts in zip(ROWS, self.counts[:, : len(self.columns)].tolist(), strict=True):
            table[name] = (None, *counts[1:]) if name == ROWS[0] else tuple(counts)
        if not self.counts[-1].any():
            del table[ROWS[-1]]
        return table

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": f"centre within {HIT_DIAMETERS} diameters (Deep Learning with PyTorch)",
            "columns": list(self.columns),
            "rows": {name: list(counts) for name, counts in self.rows.items()},
        }


def confusion(
    scans: Iterable[tuple[ScanTruth, Sequence[Call]]],
    *,
    threshold: float,
    malignancy_threshold: float | None,
) -> Confusion:
    """The table over scans; ``malignancy_threshold`` is None without such a network."""
    counts = np.zeros((len(ROWS), 4), np.int64)
    for truth, calls in scans:
        fates = np.array([_fate(call, threshold, malignancy_threshold) for call in calls], np.int64)
        hits = near(truth, calls)
        counts[0] += np.bincount(fates[~hits.any(axis=0)], minlength=4)
        for nodule, row in zip(truth.nodules, hits, strict=True):
            counts[_row(nodule.rated), max(fates[row], default=_MISSED)] += 1
    return Confusion(counts, malignancy_threshold is not None)


def near(truth: ScanTruth, calls: Sequence[Call]) -> NDArray[np.bool_]:
    """``(nodules, calls)``: nearer than 0.7 diameters."""
    steps = centers(truth.nodules)[:, None] - centers(calls)[None]
    diameters = np.array([nodule.diameter_mm for nodule in truth.nodules], np.float64)
    distances = np.linalg.norm(steps, axis=2) / diameters[:, None]
    hits: NDArray[np.bool_] = distances < HIT_DIAMETERS
    return hits


def _fate(call: Call, threshold: float, malignancy_threshold: float | None) -> int:
    if call.probability <= threshold:
        return _FILTERED
    if malignancy_threshold is None or call.malignancy is None:
        return _CALLED
    return _MALIGNANT if call.malignancy > malignancy_threshold else _CALLED


def _row(rated: Malignancy | None) -> int:
    if rated is None or not rated.ratings:
        return ROWS.index("not rated")
    suspicious = sum(rating >= _MALIGNANT_RATING for rating in rated.ratings)
    return ROWS.index("malignant" if suspicious >= _MALIGNANT_READERS else "benign")
