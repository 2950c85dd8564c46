"""A folder in LUNA16's layout: which scans and tables it holds.

::

    ROOT/subset*/<series_uid>.mhd (.mha)      scans
    ROOT/annotations.csv                      nodules; the only table that must be there
    ROOT/annotations_excluded.csv             places that count neither way
    ROOT/candidates_V2.csv or candidates.csv  proposals of candidate detectors
    ROOT/annotations_with_malignancy.csv      readers' ratings
    ROOT/seriesuids.csv                       every series of the whole data set
    ROOT/patients.csv                         seriesuid,patient
    ROOT/votes/<series_uid>_votes.mhd         readers that marked a voxel

A table may be packed (``.csv.xz``). Tables are read when they are first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from lunart.data.tables import (
    Annotation,
    Candidate,
    Malignancy,
    read_annotations,
    read_candidates,
    read_malignancy,
    read_patients,
    read_series,
)
from lunart.errors import DataError

_SCANS = (".mhd", ".mha")
NO_CANDIDATES = (
    "no candidates.csv: negatives are random places in the lungs, which are easier than what a "
    "detector proposes"
)
LAYOUT = "expected LUNA16's layout: subset0/<series_uid>.mhd and annotations.csv"


class Luna16:
    """What a folder holds; nothing is read from scans here."""

    def __init__(self, root: Path, series: Mapping[str, Path]) -> None:
        self.root = root
        #: Scan of each series, by rising UID.
        self.series = series

    @classmethod
    def open(cls, root: str | os.PathLike[str]) -> Luna16:
        """List a folder's scans. Raises :class:`lunart.errors.DataError`."""
        folder = Path(root)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {LAYOUT}")
        found: dict[str, Path] = {}
        for path in sorted(folder.glob("subset*/*")):
            if path.suffix not in _SCANS:
                continue
            other = found.setdefault(path.stem, path)
            if other != path:
                raise DataError(f"{path}: the series is also in {other}; keep one of them")
        if not found:
            raise DataError(f"{folder}: no scans in subset*/; {LAYOUT}")
        return cls(folder, dict(sorted(found.items())))

    @cached_property
    def annotations(self) -> list[Annotation]:
        """Nodules. Raises ``DataError`` when the table is missing."""
        path = self.table("annotations")
        if path is None:
            raise DataError(f"{self.root}/annotations.csv: missing; {LAYOUT}")
        annotations = read_annotations(path)
        unknown = next((a for a in annotations if a.diameter_mm < 0), None)
        if unknown is not None:
            raise DataError(
                f"{path}: a nodule of {unknown.series_uid} has no diameter; "
                "only annotations_excluded.csv may leave it out (-1)"
            )
        return annotations

    @cached_property
    def excluded(self) -> list[Annotation]:
        """Places that are neither nodules nor certainly none; empty without the table."""
        path = self.table("annotations_excluded")
        return [] if path is None else read_annotations(path)

    @cached_property
    def candidates(self) -> list[Candidate] | None:
        """Proposals; None without the table."""
        path = self.table("candidates_V2", "candidates")
        return None if path is None else read_candidates(path)

    @cached_property
    def malignancy(self) -> list[Malignancy]:
        """Readers' ratings. Raises ``DataError`` when the table is missing."""
        path = self.table("annotations_with_malignancy")
        if path is None:
            raise DataError(
                f"{self.root}/annotations_with_malignancy.csv: missing; malignancy is trained on "
                "the readers' ratings and cannot do without"
            )
        return read_malignancy(path)

    @cached_property
    def known_series(self) -> list[str]:
        """Every series of the data set, with or without a scan here; empty without the table."""
        path = self.table("seriesuids")
        return [] if path is None else read_series(path)

    @cached_property
    def patients(self) -> dict[str, str]:
        """Patient of each series; empty without the table."""
        path = self.table("patients")
        return {} if path is None else read_patients(path)

    @cached_property
    def subsets(self) -> list[str]:
        """Folders of scans, also empty ones."""
        return sorted(path.name for path in self.root.glob("subset*") if path.is_dir())

    def votes(self, series_uid: str) -> Path | None:
        """The volume that says how many readers marked a voxel, where there is one."""
        path = self.root / "votes" / f"{series_uid}_votes.mhd"
        return path if path.is_file() else None

    def table(self, *names: str) -> Path | None:
        """The first of these tables that is there, plain or packed."""
        paths = (self.root / f"{name}{suffix}" for name in names for suffix in (".csv", ".csv.xz"))
        return next((path for path in paths if path.is_file()), None)
