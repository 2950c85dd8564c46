"""One split for every network: leaks are refused wherever they are planted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from luna_folder import ANNOTATIONS, box_scan, write_table
from lunart.data.cache import NoCache
from lunart.data.sources import classification_source, malignancy_source, segmentation_source
from lunart.data.split import PARTS, Split
from lunart.errors import DataError

SERIES = [f"1.{n}" for n in range(40)]
PATIENTS = {uid: f"P{n // 2}" for n, uid in enumerate(SERIES)}
SOURCES = [segmentation_source, classification_source, malignancy_source]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three scans with a nodule each, and a patient each."""
    for n, uid in enumerate(("1.1", "1.2", "1.3")):
        box_scan(tmp_path, uid, seed=n)
    rows = [(uid, -80, -30, 60, 8) for uid in ("1.1", "1.2", "1.3")]
    write_table(tmp_path / "annotations.csv", ANNOTATIONS, rows)
    (tmp_path / "annotations_with_malignancy.csv").write_text(
        f"{ANNOTATIONS},malignant_details\n"
        + "".join(f'{uid},-80,-30,60,8,"[5, 5]"\n' for uid in ("1.1", "1.2", "1.3"))
    )
    return tmp_path


def test_a_planted_leak_of_a_series_is_refused(tmp_path: Path):
    split = Split.make(SERIES, seed=1).to_json()
    split["validation"].append(split["train"][0])
    path = tmp_path / "split.json"
    path.write_text(json.dumps(split))
    with pytest.raises(DataError, match=r"leak: series 1\.\d+ is in train and in validation"):
        Split.read(path)


def test_a_planted_leak_of_a_patient_is_refused(tmp_path: Path):
    split = Split.make(SERIES, seed=1, patients=PATIENTS).to_json()
    split["test"].append(split["train"].pop())
    path = tmp_path / "split.json"
    path.write_text(json.dumps(split))
    with pytest.raises(DataError, match=r"leak: patient P\d+ is in train and in test"):
        Split.read(path)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_refuses_a_leak(folder: Path, source):
    leak = Split(train=("1.1", "1.2"), validation=("1.2", "1.3"))
    with pytest.raises(DataError, match=r"leak: series 1\.2") as caught:
        source(folder, leak, seed=1, store=NoCache())
    assert caught.value.exit_code == 8


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_asks_the_folder_for_patients(folder: Path, source):
    rows = [("1.1", "A"), ("1.2", "B"), ("1.3", "A")]
    write_table(folder / "patients.csv", "seriesuid,patient", rows)
    split = Split(train=("1.1", "1.2"), validation=("1.3",))
    with pytest.raises(DataError, match="leak: patient A is in train and in validation"):
        source(folder, split, seed=1, store=NoCache())


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_refuses_a_series_that_the_split_does_not_know(folder: Path, source):
    split = Split(train=("1.1",), validation=("1.2",))
    with pytest.raises(DataError, match=r"series 1\.3: in the data but in no part of the split"):
        source(folder, split, seed=1, store=NoCache())


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_names_a_scan_that_is_missing(folder: Path, source):
    split = Split(train=("1.1", "1.2", "1.9"), validation=("1.3", "1.8"))
    with pytest.raises(DataError, match=r"series 1\.9 and 1 more .*no scan in subset0; add the"):
        source(folder, split, seed=1, store=NoCache())


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_refuses_an_empty_part(folder: Path, source):
    split = Split(train=("1.1", "1.2", "1.3"), validation=())
    with pytest.raises(DataError, match="the split has no validation series"):
        source(folder, split, seed=1, store=NoCache())


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_voxels_under_another_name_are_a_leak(folder: Path, source):
    box_scan(folder, "1.3", seed=0)  # those of 1.1
    split = Split(train=("1.1", "1.2"), validation=("1.3",))
    with pytest.raises(DataError, match=r"leak: series 1\.3 .* same voxels as 1\.1"):
        source(folder, split, seed=1, store=NoCache())


def test_patients_stay_together_and_shares_are_kept():
    split = Split.make(SERIES, seed=5, validation=0.2, test=0.1, patients=PATIENTS)
    assert [len(split.part(part)) for part in PARTS] == [28, 8, 4]
    assert sorted(uid for part in PARTS for uid in split.part(part)) == sorted(SERIES)
    split.require_disjoint(PATIENTS)


def test_a_split_is_a_function_of_its_seed():
    one, two = (Split.make(order, seed=3) for order in (SERIES, SERIES[::-1]))
    assert one == two
    assert one.fingerprint == two.fingerprint != Split.make(SERIES, seed=4).fingerprint


def test_a_file_keeps_the_split(tmp_path: Path):
    split = Split.make(SERIES, seed=1, patients=PATIENTS)
    split.write(tmp_path / "split.json")
    again = Split.read(tmp_path / "split.json")
    assert again == split
    assert again.fingerprint == split.fingerprint


def test_a_series_can_be_put_into_a_part_with_its_patient():
    split = Split.make(SERIES, seed=1, patients=PATIENTS, pinned={"1.7": "validation"})
    assert {"1.6", "1.7"} <= set(split.validation)
    with pytest.raises(DataError, match="no such series or part"):
        Split.make(SERIES, seed=1, pinned={"9.9": "train"})
    pins = {"1.6": "test", "1.7": "train"}
    with pytest.raises(DataError, match="another of the patient's series is in test"):
        Split.make(SERIES, seed=1, patients=PATIENTS, pinned=pins)


@pytest.mark.parametrize(
    ("series", "shares"), [(["1.1"], (0.1, 0.0)), (["1.1", "1.2"], (0.1, 0.1)), ([], (0, 0))]
)
def test_too_few_for_the_parts_is_said(series: list[str], shares: tuple[float, float]):
    with pytest.raises(DataError, match="too few"):
        Split.make(series, seed=1, validation=shares[0], test=shares[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a split of schema"),
        ('{"schema": "lunart.split/2"}', "not a split of schema lunart.split/1"),
        ('{"schema": "lunart.split/1", "train": "1.2"}', "train must be a list"),
        ('{"schema": "lunart.split/1", "train": [1]}', "train must be a list"),
        (
            '{"schema": "lunart.split/1", "train": [], "validation": [], "test": [], '
            '"patients": {"1": 2}}',
            "patients must map",
        ),
        (
            '{"schema": "lunart.split/1", "train": ["1", "1"], "validation": [], "test": []}',
            "series 1 is 2 times in train",
        ),
    ],
)
def test_a_bad_split_file_is_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        Split.read(path)


def test_a_missing_split_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(DataError, match="luna-data split makes one"):
        Split.read(tmp_path / "split.json")


def test_a_split_and_a_table_must_name_the_same_patient():
    split = Split(train=("1.1",), validation=("1.2",), patients={"1.1": "A"})
    with pytest.raises(DataError, match="of patient A in the split and of B in the table"):
        split.require_disjoint({"1.1": "B"})
