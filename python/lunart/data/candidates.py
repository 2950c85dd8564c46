"""Nodules against what is none: the places that the nodule classifier learns from.

Positives are the annotations and, for training, the candidates that lie in them (the same nodules
from other centres). Negatives are the candidates that lie in no nodule: some of each scan for
training, every one for validation. Without a table of candidates they are places in the lungs far
from whatever anyone marked (:mod:`lunart.data.quiet_places`).
"""

from __future__ import annotations

from lunart.data.luna16 import Luna16
from lunart.data.negatives import Negatives
from lunart.data.places import Place, by_series, within
from lunart.data.truth import Truth


class CandidatePlaces:
    """Places of each series."""

    def __init__(
        self, luna: Luna16, truth: Truth, negatives: Negatives, negatives_per_scan: int
    ) -> None:
        self._luna, self._truth, self._negatives = luna, truth, negatives
        self._count = negatives_per_scan
        self._positives = by_series(c for c in luna.candidates or [] if c.label)

    def train(self, series_uid: str) -> list[Place]:
        """Places to learn from."""
        others = within(
            self._luna, series_uid, self._positives.get(series_uid, []), "candidates in nodules"
        )
        positives = [Place(series_uid, row.center_xyz_mm, True) for row in others]
        if self._negatives.from_table:
            negatives = self._negatives.some_candidates(series_uid, self._count)
        else:
            negatives = self._negatives.in_lungs(series_uid, self._count)
        return self._annotated(series_uid) + positives + negatives

    def validation(self, series_uid: str) -> list[Place]:
        """Places to be judged by: each nodule once, every candidate."""
        if self._negatives.from_table:
            negatives = self._negatives.candidates(series_uid)
        else:
            negatives = self._negatives.in_lungs(series_uid, self._count)
        return self._annotated(series_uid) + negatives

    def _annotated(self, series_uid: str) -> list[Place]:
        rows = self._truth.annotations(series_uid)
        rows = within(self._luna, series_uid, rows, "annotations")
        return [Place(series_uid, row.center_xyz_mm, True) for row in rows]
