"""Which scans are evaluated, and what is known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lunart.data.cache import Cache, default_folder
from lunart.data.luna16 import Luna16
from lunart.data.masks import READERS
from lunart.data.scans import Scans
from lunart.data.split import PARTS, Split
from lunart.data.tables import read_series
from lunart.data.truth import Truth
from lunart.errors import DataError, UsageError
from lunart.evaluation.cases import Case
from lunart.evaluation.findings import ScanTruth, without_small
from lunart.evaluation.label_cases import LabelledScan
from lunart.evaluation.luna_cases import luna_cases, luna_truths


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A folder in LUNA16's layout or a part of it, scans with labels, or both.

    ``split`` with ``part`` (``all`` for every part), or ``series`` (a file that lists UIDs), choose
    from the folder; else every scan in it is taken.
    """

    root: Path | None = None
    split: Path | None = None
    part: str = "validation"
    series: Path | None = None
    labelled: tuple[LabelledScan, ...] = ()
    readers: int = READERS
    least_diameter_mm: float = 0.0


@dataclass(frozen=True)
class Folder:
    """A folder in LUNA16's layout, and the series of it that are wanted."""

    luna: Luna16
    series: tuple[str, ...]
    patients: Mapping[str, str]
    #: Every series that may be spoken of: of the data set and of the split.
    known: frozenset[str]


def gather_cases(wanted: Wanted) -> list[Case]:
    """Every scan with its truth. Raises ``DataError`` or ``ScanError`` before anything is run."""
    cases: list[Case] = []
    if wanted.root is not None:
        folder = _folder(Luna16.open(wanted.root), wanted)
        _require_scans(folder)
        # Digests of scans and masks of nodules are what luna-data prepare keeps there too.
        store = Cache(default_folder())
        scans = Scans(folder.luna.series, store)
        masks = Truth(folder.luna, scans, store, readers=wanted.readers)
        cases += luna_cases(folder.luna, _truths(folder, wanted), scans, masks)
    for labelled in wanted.labelled:
        cases.append(labelled.case(least_diameter_mm=wanted.least_diameter_mm))
    _require_once([case.truth.series_uid for case in cases])
    return cases


def gather_truths(wanted: Wanted) -> tuple[list[ScanTruth], frozenset[str]]:
    """The truth of each series, and every known series; scans need not be there."""
    root = wanted.root
    if root is None:
        raise UsageError("candidates need a folder with annotations.csv")
    tables = Luna16.open(root) if any(root.glob("subset*")) else Luna16(root, {})
    folder = _folder(tables, wanted)
    return _truths(folder, wanted), folder.known


def describe(wanted: Wanted, truths: Sequence[ScanTruth]) -> dict[str, Any]:
    """The report's ``data``."""
    return {
        "root": None if wanted.root is None else str(wanted.root),
        "split": None if wanted.split is None else str(wanted.split),
        "part": None if wanted.split is None else wanted.part,
        "series": None if wanted.series is None else str(wanted.series),
        "scans": len(truths),
        "patients": len({truth.patient for truth in truths}),
        "nodules": sum(len(truth.nodules) for truth in truths),
        "excluded": sum(len(truth.excluded) for truth in truths),
        "readers": wanted.readers,
        "least_diameter_mm": wanted.least_diameter_mm,
    }


def _folder(luna: Luna16, wanted: Wanted) -> Folder:
    split = None if wanted.split is None else Split.read(wanted.split)
    patients = dict(luna.patients)
    known = {*luna.series, *luna.known_series}
    if split is not None:
        patients |= split.patients
        known.update(uid for part in PARTS for uid in split.part(part))
        parts = PARTS if wanted.part == "all" else (wanted.part,)
        series = [uid for part in parts for uid in split.part(part)]
        empty = f"{wanted.split}: the part {wanted.part} is empty; choose another with --part"
    elif wanted.series is not None:
        series = read_series(wanted.series)
        known.update(series)
        empty = f"{wanted.series}: lists no series"
    else:
        series = list(luna.series) or luna.known_series
        empty = f"{luna.root}: no scans and no seriesuids.csv: nothing to evaluate"
    if not series:
        raise DataError(empty)
    _require_once(series)
    return Folder(luna, tuple(series), patients, frozenset(known))


def _truths(folder: Folder, wanted: Wanted) -> list[ScanTruth]:
    truths = luna_truths(folder.luna, folder.series, folder.patients)
    return [without_small(truth, wanted.least_diameter_mm) for truth in truths]


def _require_scans(folder: Folder) -> None:
    absent = [uid for uid in folder.series if uid not in folder.luna.series]
    if absent:
        more = f" and {len(absent) - 1} more series" if len(absent) > 1 else ""
        raise DataError(
            f"{folder.luna.root}: series {absent[0]}{more}: no scan in "
            f"{', '.join(folder.luna.subsets)}; add the missing subset, or leave it out"
        )


def _require_once(series: Sequence[str]) -> None:
    uid, count = Counter(series).most_common(1)[0]
    if count > 1:
        raise DataError(f"series {uid} is listed {count} times; every scan counts once")
