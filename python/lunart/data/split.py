"""One division of the series into training, validation and test, shared by every network.

Made once, by patient where the patients are known, and kept as a file (``lunart.split/1``), so that
a scan that a segmentation network has learnt from never judges a classifier. A split is refused
when a series or patient is in two parts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lunart import _core
from lunart.data.divide import divide
from lunart.errors import DataError

SCHEMA = "lunart.split/1"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Series UIDs of each part, sorted; ``patients`` holds those patients that are known."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()
    patients: Mapping[str, str] = field(default_factory=dict)
    #: How it was made, for people; not part of the fingerprint.
    made: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        series: Iterable[str],
        *,
        seed: int,
        validation: float = 0.1,
        test: float = 0.1,
        patients: Mapping[str, str] | None = None,
        pinned: Mapping[str, str] | None = None,
    ) -> Split:
        """Divide series at random but the same for a seed.

        ``validation`` and ``test`` are shares of the patients (of the series, where a patient is
        not known). ``pinned`` puts a series, and with it all of its patient's, into a named part.
        A part with a share above 0 gets one patient at least. Raises ``DataError`` when there are
        too few or pins contradict each other.
        """
        known = dict(patients or {})
        groups: dict[str, list[str]] = {}
        for uid in sorted(set(series)):
            groups.setdefault(known.get(uid, uid), []).append(uid)
        parts = divide(
            sorted(groups),
            seed=seed,
            shares={"validation": validation, "test": test},
            pinned=_pinned_parts(groups, known, pinned or {}),
        )

        def part(name: str) -> tuple[str, ...]:
            return tuple(sorted(u for g, uids in groups.items() if parts[g] == name for u in uids))

        used = {uid: known[uid] for uids in groups.values() for uid in uids if uid in known}
        split = cls(
            part("train"),
            part("validation"),
            part("test"),
            patients=used,
            made={"seed": seed, "by": "patient" if used else "series"},
        )
        split.require_disjoint()
        return split

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Split:
        """Read a split's file and check it. Raises ``DataError``."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(
                f"{path}: the split cannot be read: {error.strerror}; luna-data split makes one"
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: not JSON ({error}); luna-data split makes a split") from error
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise DataError(f"{path}: not a split of schema {SCHEMA}; luna-data split makes one")
        for part in PARTS:
            uids = data.get(part)
            if not isinstance(uids, list) or not all(isinstance(u, str) and u for u in uids):
                raise DataError(f"{path}: {part} must be a list of series UIDs")
        patients, made = data.get("patients", {}), data.get("made", {})
        if not isinstance(patients, dict) or not all(isinstance(p, str) for p in patients.values()):
            raise DataError(f"{path}: patients must map a series UID to a patient")
        if not isinstance(made, dict):
            raise DataError(f"{path}: made must be an object")
        train, validation, test = (tuple(data[part]) for part in PARTS)
        split = cls(train, validation, test, patients=patients, made=made)
        try:
            split.require_disjoint()
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        return split

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the split's file, whole or not at all. Raises ``OutputError``."""
        _core.write_file_atomically(path, json.dumps(self.to_json(), indent=1) + "\n")

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        return {
            "schema": SCHEMA,
            "made": dict(self.made),
            **{part: list(self.part(part)) for part in PARTS},
            "patients": dict(sorted(self.patients.items())),
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 over which series is in which part."""
        parts = {part: sorted(self.part(part)) for part in PARTS}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def part(self, name: str) -> tuple[str, ...]:
        """Series of ``train``, ``validation`` or ``test``."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def require_disjoint(self, patients: Mapping[str, str] | None = None) -> None:
        """Refuse (``DataError``) a series or patient in two parts, and a series twice in one.

        ``patients`` adds what a table knows; where table and split disagree that is refused too.
        """
        known = dict(self.patients)
        for uid, patient in (patients or {}).items():
            if known.setdefault(uid, patient) != patient:
                raise DataError(
                    f"series {uid} is of patient {known[uid]} in the split and of {patient} in the "
                    "table; make the split again"
                )
        where: dict[str, str] = {}
        for part in PARTS:
            for uid, count in Counter(self.part(part)).items():
                if count > 1:
                    raise DataError(f"series {uid} is {count} times in {part}")
                _claim(where, f"series {uid}", part)
                if uid in known:
                    _claim(where, f"patient {known[uid]}", part, (uid,))

    def require_knows(self, series: Collection[str]) -> None:
        """Refuse (``DataError``) series that are in no part."""
        stray = sorted(set(series) - {uid for part in PARTS for uid in self.part(part)})
        if stray:
            more = f" and {len(stray) - 1} more" if len(stray) > 1 else ""
            raise DataError(
                f"series {stray[0]}{more}: in the data but in no part of the split; whether it may "
                "be trained on is unknown: make the split again (luna-data split)"
            )


def _claim(where: dict[str, str], who: str, part: str, example: tuple[str, ...] = ()) -> None:
    other = where.setdefault(who, part)
    if other != part:
        through = f" (series {example[0]})" if example else ""
        raise DataError(
            f"leak: {who} is in {other} and in {part}{through}; what was learnt from it would "
            "judge itself: make the split again (luna-data split)"
        )


def _pinned_parts(
    groups: Mapping[str, list[str]], patients: Mapping[str, str], pinned: Mapping[str, str]
) -> dict[str, str]:
    parts: dict[str, str] = {}
    for uid, part in pinned.items():
        group = patients.get(uid, uid)
        if part not in PARTS or uid not in groups.get(group, ()):
            raise DataError(f"series {uid} cannot be put into {part}: no such series or part")
        if parts.setdefault(group, part) != part:
            raise DataError(
                f"series {uid} of patient {group} cannot be in {part}: "
                f"another of the patient's series is in {parts[group]}"
            )
    return parts
