"""Candidates from a file in LUNA16's submission form, in place of a bundle's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lunart.data.places import by_series
from lunart.data.tables import Mark
from lunart.errors import DataError
from lunart.evaluation.findings import Call, ScanTruth
from lunart.evaluation.score import Outcome


def outcomes_of(
    marks: Sequence[Mark], truths: Sequence[ScanTruth], known: Collection[str]
) -> tuple[list[Outcome], int]:
    """An outcome for each truth, and how many marks are of other series.

    Raises ``DataError`` for a mark of a series that is not even among the ``known`` ones: with
    UIDs that do not agree everything would be missed and nothing false.
    """
    rows = by_series(marks)
    unknown = [uid for uid in rows if uid not in known]
    if unknown:
        more = f" and {len(unknown) - 1} more series" if len(unknown) > 1 else ""
        raise DataError(
            f"candidates of series {unknown[0]}{more}: no such series in the data, its "
            "seriesuids.csv or the split; the CSV must be of these scans"
        )
    outcomes = [
        Outcome(
            truth,
            tuple(
                Call(mark.center_xyz_mm, mark.probability)
                for mark in rows.get(truth.series_uid, [])
            ),
        )
        for truth in truths
    ]
    return outcomes, len(marks) - sum(len(outcome.calls) for outcome in outcomes)
