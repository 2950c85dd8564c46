"""LUNA16's tables: annotations, candidates and the readers' malignancy, as plain values.

Columns are found by name, in LUNA16's spelling (``coordX``) or that of
``annotations_with_malignancy.csv`` (``coord_x``); further columns are ignored. A file may be
packed with xz. Centres are LPS millimetres. Every error is a :class:`lunart.errors.DataError` that
names file and line.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from lunart.errors import DataError

# candidates_V2.csv has 55 MB; a packed file that grows beyond this is no table.
_MOST_BYTES = 1 << 29
_SPELLINGS = {
    "coord_x": "coordx",
    "coord_y": "coordy",
    "coord_z": "coordz",
    "series_uid": "seriesuid",
    "series uid": "seriesuid",
    "series instance uid": "seriesuid",
    "subject id": "patient",
    "patient id": "patient",
    "patientid": "patient",
    "patient_id": "patient",
}
_CENTER = ("coordx", "coordy", "coordz")
_Path = str | os.PathLike[str]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Annotation:
    """A nodule; ``diameter_mm`` is -1 where the excluded list knows only the place."""

    series_uid: str
    center_xyz_mm: tuple[float, float, float]
    diameter_mm: float


@dataclass(frozen=True)
class Candidate:
    """A place that a candidate detector proposed; ``label`` is True inside a nodule."""

    series_uid: str
    center_xyz_mm: tuple[float, float, float]
    label: bool


@dataclass(frozen=True)
class Mark:
    """A place of a submission to LUNA16, with the probability that it is a nodule."""

    series_uid: str
    center_xyz_mm: tuple[float, float, float]
    probability: float


@dataclass(frozen=True)
class Malignancy:
    """A nodule and how malignant each reader judged it, from 1 (benign) to 5 (malignant)."""

    series_uid: str
    center_xyz_mm: tuple[float, float, float]
    diameter_mm: float
    ratings: tuple[int, ...]


def read_annotations(path: _Path) -> list[Annotation]:
    """``annotations.csv`` or ``annotations_excluded.csv``. Raises ``DataError``."""
    return _read(
        Path(path),
        ("seriesuid", *_CENTER, "diameter_mm"),
        lambda row: Annotation(row.uid(), row.center(), row.diameter()),
    )


def read_candidates(path: _Path) -> list[Candidate]:
    """``candidates.csv`` or ``candidates_V2.csv``. Raises ``DataError``."""
    return _read(
        Path(path),
        ("seriesuid", *_CENTER, "class"),
        lambda row: Candidate(row.uid(), row.center(), row.label()),
    )


def read_submission(path: _Path) -> list[Mark]:
    """A submission to LUNA16, as ``luna_infer --csv`` writes it too. Raises ``DataError``."""
    return _read(
        Path(path),
        ("seriesuid", *_CENTER, "probability"),
        lambda row: Mark(row.uid(), row.center(), row.probability()),
    )


def read_malignancy(path: _Path) -> list[Malignancy]:
    """``annotations_with_malignancy.csv``. Raises ``DataError``."""
    return _read(
        Path(path),
        ("seriesuid", *_CENTER, "diameter_mm", "malignant_details"),
        lambda row: Malignancy(row.uid(), row.center(), row.diameter(), row.ratings()),
    )


def read_patients(path: _Path) -> dict[str, str]:
    """Patient of each series; TCIA's column names are understood. Raises ``DataError``."""
    patients: dict[str, str] = {}
    rows = _read(Path(path), ("seriesuid", "patient"), lambda row: (row.uid(), row.text("patient")))
    for series_uid, patient in rows:
        if patients.setdefault(series_uid, patient) != patient:
            raise DataError(
                f"{path}: series {series_uid} has two patients, "
                f"{patients[series_uid]} and {patient}"
            )
    return patients


def read_series(path: _Path) -> list[str]:
    """``seriesuids.csv``: a UID a line, no header. Raises ``DataError``."""
    lines = (line.strip().strip(",") for line in _text(Path(path)).splitlines())
    return [line for line in lines if line and line.lower() != "seriesuid"]


class _Row:
    """One line; what cannot be understood becomes an error with its place."""

    def __init__(self, path: Path, line: int, cells: list[str], columns: dict[str, int]) -> None:
        self._path, self._line, self._cells, self._columns = path, line, cells, columns

    def text(self, column: str) -> str:
        place = self._columns[column]
        value = self._cells[place].strip() if place < len(self._cells) else ""
        if not value:
            self._fail(column, "is empty")
        return value

    def uid(self) -> str:
        return self.text("seriesuid")

    def center(self) -> tuple[float, float, float]:
        x, y, z = (self._number(column) for column in _CENTER)
        return x, y, z

    def diameter(self) -> float:
        diameter = self._number("diameter_mm")
        if diameter <= 0 and diameter != -1:
            self._fail("diameter_mm", f"is {diameter:g}; expected mm, or -1 for unknown")
        return diameter

    def probability(self) -> float:
        return self._number("probability")

    def label(self) -> bool:
        label = self._number("class")
        if label not in (0, 1):
            self._fail("class", f"is {label:g}; expected 0 or 1")
        return label == 1

    def ratings(self) -> tuple[int, ...]:
        text = self.text("malignant_details")
        try:
            ratings = json.loads(text)
        except (ValueError, RecursionError):
            ratings = None
        # bool is an int in Python, but no rating.
        if not isinstance(ratings, list) or not all(
            type(r) is int and 1 <= r <= 5 for r in ratings
        ):
            self._fail("malignant_details", f"is {text[:60]!r}; expected a list like [4, 5, 3]")
        return tuple(ratings)

    def _number(self, column: str) -> float:
        text = self.text(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self._fail(column, f"is {text[:60]!r}; expected a number")
        return value

    def _fail(self, column: str, what: str) -> NoReturn:
        raise DataError(f"{self._path}: line {self._line}: {column} {what}")


def _read(path: Path, columns: tuple[str, ...], make: Callable[[_Row], _T]) -> list[_T]:
    return [make(row) for row in _rows(path, columns)]


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        header = [_name(cell) for cell in next(reader, [])]
        missing = [column for column in columns if column not in header]
        if missing:
            raise DataError(
                f"{path}: no column {', '.join(missing)}; the first line must name "
                f"{', '.join(columns)} (coordX or coord_x, in any order)"
            )
        places = {column: header.index(column) for column in columns}
        for cells in reader:
            if any(cells):
                yield _Row(path, reader.line_num, cells, places)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}; expected a CSV table") from error


def _name(cell: str) -> str:
    name = cell.strip().lower()
    return _SPELLINGS.get(name, name)


def _text(path: Path) -> str:
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, lzma.LZMAError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the table cannot be read: {reason}") from error
    if len(content) > _MOST_BYTES:
        raise DataError(f"{path}: larger than {_MOST_BYTES >> 20} MB; expected a table")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; expected a CSV table") from error
