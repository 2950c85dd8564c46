"""UIDs of what luna-dicom writes: valid, under the site's root, never twice the same."""

from __future__ import annotations

import re
import uuid

import pytest
from lunart.dicom_out.uids import Uids, checked_root
from lunart.errors import UsageError

VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


@pytest.mark.parametrize("root", [None, "1.2.826.0.1.3680043.10.9", "2.999", "2." + "2" * 37])
def test_uids_are_valid_and_differ(root: str | None) -> None:
    uids = Uids.random(root)

    made = {uids.of_run(f"object {k}") for k in range(200)}

    assert len(made) == 200
    for uid in made:
        assert VALID.fullmatch(uid)
        assert len(uid) <= 64
        assert uid.startswith(f"{root or '2.25'}.")


def test_without_a_root_a_uid_is_a_uuid() -> None:
    number = int(Uids.random(None).of_run("report").removeprefix("2.25."))

    assert uuid.UUID(int=number).variant == uuid.RFC_4122
    assert uuid.UUID(int=number).version == 8


def test_runs_differ_unless_they_have_one_seed() -> None:
    assert Uids.random(None).of_run("report") != Uids.random(None).of_run("report")
    assert Uids(None, "a").of_run("report") == Uids(None, "a").of_run("report")
    assert Uids(None, "a").of_run("report") != Uids(None, "b").of_run("report")


def test_a_name_keeps_its_uid_in_every_run() -> None:
    first, second = Uids.random("2.999"), Uids.random("2.999")

    assert first.of_name("finding", "7") == second.of_name("finding", "7")
    assert first.of_name("finding", "7") != first.of_name("finding", "8")


@pytest.mark.parametrize(
    ("root", "word"),
    [
        ("", "numbers with points"),
        ("1", "numbers with points"),
        ("1.2.", "numbers with points"),
        ("1..2", "numbers with points"),
        ("a.b", "numbers with points"),
        ("1.2 ", "numbers with points"),
        ("1.2\n", "numbers with points"),
        ("1.٢", "numbers with points"),
        ("1.02.3", "begins with a zero"),
        ("3.1", "first number"),
        ("1.40.2", "first number"),
        ("2." + "2" * 60, "characters"),
        ("2.25", "leave the option out"),
        ("1.2.840.10008.5", "belongs to the DICOM standard"),
    ],
)
def test_a_root_that_is_none_is_refused(root: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        checked_root(root)


def test_a_root_that_only_begins_like_the_standard_s_is_taken() -> None:
    assert checked_root("1.2.840.100089.1") == "1.2.840.100089.1"
