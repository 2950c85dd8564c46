"""What is wrong with a folder in LUNA16's layout, all of it at once rather than one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lunart import _core
from lunart.data.admission import admit
from lunart.data.luna16 import NO_CANDIDATES, Luna16
from lunart.data.places import Located, by_series, outside
from lunart.data.split import Split
from lunart.errors import DataError, LunartError

#: An error spoils training or leaves something out of it; a note is worth knowing.
Severity = Literal["error", "note"]
_SUBSETS = 10


@dataclass(frozen=True)
class Finding:
    """One thing, with what it is about (a series, a table, a subset)."""

    severity: Severity
    kind: str
    where: str
    message: str


def check(luna: Luna16, split: Path | None) -> list[Finding]:
    """Look at every header and table, and at a split; voxels are not read."""
    findings = [*_subsets(luna), *_headers(luna)]
    readable = set(luna.series) - {f.where for f in findings if f.kind == "unreadable-scan"}
    for name, rows in _tables(luna, findings):
        findings += _rows(luna, readable, name, rows)
    findings += _votes(luna, readable)
    if luna.table("candidates_V2", "candidates") is None:
        findings.append(Finding("note", "no-candidates", str(luna.root), NO_CANDIDATES))
    if split is not None:
        findings += _split(luna, split)
    return findings


def _subsets(luna: Luna16) -> Iterator[Finding]:
    filled = {path.parent.name for path in luna.series.values()}
    for name in luna.subsets:
        if name not in filled:
            yield Finding("error", "empty-subset", name, "holds no scans")
    numbers = {int(m[1]) for m in (re.fullmatch(r"subset(\d+)", s) for s in luna.subsets) if m}
    # LUNA16 has ten; a folder that does not claim to be all of it may have fewer, without a gap.
    whole = len(set(luna.known_series)) > len(luna.series)
    last = max(_SUBSETS, *(n + 1 for n in numbers)) if whole else max(numbers, default=-1) + 1
    for number in range(last):
        if number not in numbers:
            yield Finding(
                "note" if whole else "error", "missing-subset", f"subset{number}", "missing"
            )


def _headers(luna: Luna16) -> Iterator[Finding]:
    for uid, path in luna.series.items():
        try:
            _core.read_scan_header(path)
        except LunartError as error:
            yield Finding("error", "unreadable-scan", uid, str(error))


def _tables(luna: Luna16, findings: list[Finding]) -> Iterator[tuple[str, Iterable[Located]]]:
    """Rows of each table that can be read; the others become findings."""
    rated = luna.table("annotations_with_malignancy") is not None
    readers: dict[str, Callable[[], Iterable[Located]]] = {
        "annotations": lambda: luna.annotations,
        "annotations_excluded": lambda: luna.excluded,
        "candidates": lambda: luna.candidates or [],
        "annotations_with_malignancy": lambda: luna.malignancy if rated else [],
    }
    for name, read in readers.items():
        try:
            yield name, read()
        except DataError as error:
            findings.append(Finding("error", "unreadable-table", f"{name}.csv", str(error)))


def _rows(
    luna: Luna16, readable: set[str], name: str, rows: Iterable[Located]
) -> Iterator[Finding]:
    grouped = by_series(rows)
    absent = sorted(set(grouped) - set(luna.series))
    if absent:
        yield Finding(
            "note", "series-without-scan", f"{name}.csv",
            f"{len(absent)} of {len(grouped)} series have no scan here, such as {absent[0]}",
        )  # fmt: skip
    if name == "annotations_excluded":
        return  # never trained on: one that lies elsewhere takes nothing away
    for uid in sorted(set(grouped) & readable):
        for row in outside(luna, uid, grouped[uid]):
            x, y, z = row.center_xyz_mm
            geometry = _core.read_scan_header(luna.series[uid]).geometry
            i, r, c = geometry.to_irc(row.center_xyz_mm)
            yield Finding(
                "error", "outside-volume", uid,
                f"{name}.csv: ({x:.1f}, {y:.1f}, {z:.1f}) mm is index {i:.1f}, row {r:.1f}, column "
                f"{c:.1f} of a scan of {geometry.shape_irc}: it will be left out",
            )  # fmt: skip


def _votes(luna: Luna16, readable: set[str]) -> Iterator[Finding]:
    for uid in sorted(readable):
        path = luna.votes(uid)
        if path is None:
            continue
        try:
            votes, scan = _core.read_scan_header(path), _core.read_scan_header(luna.series[uid])
        except LunartError as error:
            yield Finding("error", "unreadable-votes", uid, str(error))
            continue
        same = votes.shape_irc == scan.shape_irc and np.allclose(
            [*votes.spacing_mm, *votes.origin_mm, *votes.direction],
            [*scan.spacing_mm, *scan.origin_mm, *scan.direction],
            atol=1e-2,
        )
        if not same:
            yield Finding("error", "votes-elsewhere", uid, f"{path}: not in the scan's geometry")


def _split(luna: Luna16, path: Path) -> Iterator[Finding]:
    try:
        admit(luna, Split.read(path))
    except DataError as error:
        yield Finding("error", "split", str(path), str(error))
