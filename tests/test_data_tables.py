"""LUNA16's tables, well and badly written."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from luna_folder import ANNOTATIONS, CANDIDATES, box_scan, write_table
from lunart.data.luna16 import Luna16
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

RATED = "seriesuid,coord_x,coord_y,coord_z,diameter_mm,malignant_details"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column seriesuid, coordx"),
        (b"seriesuid,coordX,coordY\n1,2,3\n", "no column coordz, diameter_mm"),
        (f"{ANNOTATIONS}\n1.2,1,2,x,4\n".encode(), "line 2: coordz is 'x'; expected a number"),
        (f"{ANNOTATIONS}\n1.2,1,nan,3,4\n".encode(), "line 2: coordy is 'nan'"),
        (f"{ANNOTATIONS}\n1.2,1,2,inf,4\n".encode(), "coordz is 'inf'"),
        (f"{ANNOTATIONS}\n1.2,1,2,3,4\n1.2,1,2\n".encode(), "line 3: coordz is empty"),
        (f"{ANNOTATIONS}\n,1,2,3,4\n".encode(), "seriesuid is empty"),
        (f"{ANNOTATIONS}\n1.2,1,2,3,0\n".encode(), "diameter_mm is 0; expected mm"),
        (f"{ANNOTATIONS}\n1.2,1,2,3,-7\n".encode(), "diameter_mm is -7"),
        (b"\xff\xfe\x00\x01", "is not UTF-8"),
        (f'{ANNOTATIONS}\n"1.2,1,2,3'.encode() + b"9" * 200_000, "field larger than"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "annotations.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no xz", lzma.compress(b"a" * 999)[:-20]])
def test_a_damaged_packed_table_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "annotations.csv.xz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_annotations(path)


def test_a_table_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("lunart.data.tables._MOST_BYTES", 1 << 20)
    path = tmp_path / "annotations.csv.xz"
    path.write_bytes(lzma.compress(bytes(2 << 20)))
    with pytest.raises(DataError, match="larger than 1 MB"):
        read_annotations(path)


def test_a_missing_table_and_a_folder_are_refused(tmp_path: Path):
    for path in (tmp_path / "annotations.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_annotations(path)


@pytest.mark.parametrize("label", ["2", "yes", "-1", "0.5"])
def test_a_candidate_is_a_nodule_or_not(tmp_path: Path, label: str):
    path = write_table(tmp_path / "c.csv", CANDIDATES, [("1.2", 1, 2, 3, label)])
    with pytest.raises(DataError, match="class is"):
        read_candidates(path)


@pytest.mark.parametrize(
    "ratings", ["[0, 3]", "[6]", "[true]", "[2.5]", "4", "{}", "__import__('os')", "[" * 9999]
)
def test_ratings_are_numbers_from_1_to_5(tmp_path: Path, ratings: str):
    path = tmp_path / "m.csv"
    path.write_text(f'{RATED}\n1.2,1,2,3,4,"{ratings}"\n')
    with pytest.raises(DataError, match=r"line 2: malignant_details .*expected a list"):
        read_malignancy(path)


def test_tables_are_read_as_they_are_written(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(f"\ufeff{ANNOTATIONS}\r\n 1.2 ,1,-2.5,3e1,4\r\n\r\n1.3,0,0,0,-1\r\n")
    assert read_annotations(path) == [
        Annotation("1.2", (1.0, -2.5, 30.0), 4.0),
        Annotation("1.3", (0.0, 0.0, 0.0), -1.0),
    ]
    write_table(
        path, "class,coordZ,coordY,coordX,seriesuid", [(1, 3, 2, 1, "1.2"), (0, 6, 5, 4, 9)]
    )
    assert read_candidates(path) == [
        Candidate("1.2", (1, 2, 3), True),
        Candidate("9", (4, 5, 6), False),
    ]
    path.write_text(f'{RATED}\n1.2,1,2,3,4,"[4, 5, 3]"\n')
    assert read_malignancy(path) == [Malignancy("1.2", (1, 2, 3), 4, (4, 5, 3))]
    path.write_text("1.2\n\n1.3\n")
    assert read_series(path) == ["1.2", "1.3"]


def test_a_series_has_one_patient(tmp_path: Path):
    path = write_table(tmp_path / "p.csv", "Series UID,Subject ID", [("1.2", "A"), ("1.3", "A")])
    assert read_patients(path) == {"1.2": "A", "1.3": "A"}
    write_table(path, "seriesuid,patient", [("1.2", "A"), ("1.2", "B")])
    with pytest.raises(DataError, match=r"series 1\.2 has two patients, A and B"):
        read_patients(path)


def test_a_folder_without_scans_says_what_was_expected(tmp_path: Path):
    with pytest.raises(DataError, match=r"no such folder; expected LUNA16's layout"):
        Luna16.open(tmp_path / "nowhere")
    (tmp_path / "subset0").mkdir()
    with pytest.raises(DataError, match="no scans in subset"):
        Luna16.open(tmp_path)


def test_a_series_in_two_subsets_is_refused(tmp_path: Path):
    first = box_scan(tmp_path, "1.2")
    (tmp_path / "subset1").mkdir()
    (tmp_path / "subset1" / "1.2.mhd").write_bytes(first.read_bytes())
    with pytest.raises(DataError, match="also in"):
        Luna16.open(tmp_path)


def test_missing_tables_are_named_when_they_are_needed(tmp_path: Path):
    box_scan(tmp_path, "1.2")
    luna = Luna16.open(tmp_path)
    assert list(luna.series) == ["1.2"]
    assert (luna.candidates, luna.excluded, luna.patients) == (None, [], {})
    with pytest.raises(DataError, match=r"annotations\.csv: missing"):
        _ = luna.annotations
    with pytest.raises(DataError, match="readers' ratings and cannot do without"):
        _ = luna.malignancy


def test_a_nodule_needs_a_diameter(tmp_path: Path):
    box_scan(tmp_path, "1.2")
    write_table(tmp_path / "annotations.csv", ANNOTATIONS, [("1.2", 0, 0, 0, -1)])
    with pytest.raises(DataError, match="has no diameter"):
        _ = Luna16.open(tmp_path).annotations


def test_the_packed_and_the_newer_table_are_found(tmp_path: Path):
    box_scan(tmp_path, "1.2")
    write_table(tmp_path / "candidates.csv", CANDIDATES, [("1.2", 1, 1, 1, 0)])
    text = f"{CANDIDATES}\n1.2,2,2,2,1\n".encode()
    (tmp_path / "candidates_V2.csv.xz").write_bytes(lzma.compress(text))
    assert Luna16.open(tmp_path).candidates == [Candidate("1.2", (2, 2, 2), True)]
