"""Scans and truth of a folder in LUNA16's layout."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence

from lunart import _core
from lunart.data.luna16 import Luna16
from lunart.data.places import by_series, outside
from lunart.data.scans import Scans
from lunart.data.tables import Annotation, Malignancy
from lunart.data.truth import Truth
from lunart.evaluation.cases import Case, Reference
from lunart.evaluation.findings import Nodule, ScanTruth

_LOG = logging.getLogger("lunart.evaluation")
# Tables of one data set round the same centre differently.
_SAME_NODULE_MM = 1.0


def luna_cases(luna: Luna16, truths: Sequence[ScanTruth], scans: Scans, masks: Truth) -> list[Case]:
    """A case for each truth, whose scan must be here. Reads headers; raises ``ScanError``."""
    return [_case(luna, truth, scans, masks) for truth in truths]


def _case(luna: Luna16, truth: ScanTruth, scans: Scans, masks: Truth) -> Case:
    uid = truth.series_uid
    path = luna.series[uid]
    return Case(
        truth=truth,
        slices=_core.read_scan_header(path).shape_irc[0],
        digest=lambda: scans.digest(uid).scan,
        scan=lambda: path,
        reference=Reference(
            "annotations" if luna.votes(uid) is None else "votes",
            lambda: masks.key(uid),
            lambda: masks.mask(uid),
        ),
    )


def luna_truths(
    luna: Luna16, series: Collection[str], patients: Mapping[str, str]
) -> list[ScanTruth]:
    """What the tables know of some series.

    Nodules whose centre lies outside the scan (which may be a slab) join the excluded findings:
    they need not be found, and a call in one is not false.
    """
    annotations, excluded = by_series(luna.annotations), by_series(luna.excluded)
    rated = by_series(_rated(luna))
    truths = []
    for uid in series:
        nodules = annotations.get(uid, [])
        strays = outside(luna, uid, nodules) if uid in luna.series and nodules else []
        if strays:
            _LOG.warning(
                "%s: %d of %d nodules of series %s lie outside the scan: not counted",
                luna.root, len(strays), len(nodules), uid,
            )  # fmt: skip
        known = [_nodule(row, rated.get(uid, [])) for row in nodules if row not in strays]
        others = [Nodule(row.center_xyz_mm, row.diameter_mm) for row in strays]
        others += [Nodule(row.center_xyz_mm, row.diameter_mm) for row in excluded.get(uid, [])]
        truths.append(ScanTruth(uid, patients.get(uid, uid), tuple(known), tuple(others)))
    return truths


def _rated(luna: Luna16) -> list[Malignancy]:
    has_table = luna.table("annotations_with_malignancy") is not None
    return luna.malignancy if has_table else []


def _nodule(row: Annotation, rated: Sequence[Malignancy]) -> Nodule:
    near = min(rated, key=lambda other: _distance_mm(row, other), default=None)
    if near is not None and _distance_mm(row, near) > _SAME_NODULE_MM:
        near = None
    return Nodule(row.center_xyz_mm, row.diameter_mm, near)


def _distance_mm(row: Annotation, other: Malignancy) -> float:
    return math.dist(row.center_xyz_mm, other.center_xyz_mm)
