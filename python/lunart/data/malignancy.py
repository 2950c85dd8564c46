"""Malignant against benign: the nodules that the malignancy network learns from.

The label is what the readers thought, not a biopsy: a nodule counts as malignant when their median
(or mean) rating is 4 or more, as benign when it is 2 or less; what lies between says nothing and is
left out.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from lunart.data.luna16 import Luna16
from lunart.data.places import Place, by_series, within
from lunart.data.tables import Malignancy

MALIGNANT_AT_LEAST = 4.0
BENIGN_AT_MOST = 2.0
Summary = Literal["median", "mean"]


def malignant(row: Malignancy, summary: Summary = "median") -> bool | None:
    """What the readers thought of a nodule; None where they did not lean either way."""
    if not row.ratings:
        return None
    rating = float(np.median(row.ratings) if summary == "median" else np.mean(row.ratings))
    if rating >= MALIGNANT_AT_LEAST:
        return True
    return False if rating <= BENIGN_AT_MOST else None


class MalignancyPlaces:
    """Places of each series; the same for training and validation."""

    def __init__(self, luna: Luna16, summary: Summary) -> None:
        self._luna, self._summary = luna, summary
        self._rows = by_series(row for row in luna.malignancy if row.series_uid in luna.series)

    def of(self, series_uid: str) -> list[Place]:
        """Nodules with a label."""
        rows = within(self._luna, series_uid, self._rows.get(series_uid, []), "rated nodules")
        labels = [(row, malignant(row, self._summary)) for row in rows]
        return [
            Place(series_uid, row.center_xyz_mm, label)
            for row, label in labels
            if label is not None
        ]
