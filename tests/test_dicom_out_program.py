"""luna-dicom and bad input: a clear word, and nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="needs lunart[dicom]")

import pydicom
from dicom_ct import MARK, chest, with_marks, write_ct
from lunart import _core
from lunart.dicom_out import write
from lunart.dicom_out.cli import main
from lunart.dicom_out.scan_files import opened
from stored_results import result_of, store

SHAPE = (8, 40, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("series") / "ct"
    write_ct(path, with_marks(chest(SHAPE), [(3, 16, 9)]))
    return path


@pytest.fixture(scope="module")
def result(folder: Path) -> Path:
    scan = opened(folder).scan
    labels = np.where(scan.hu > MARK, scan.hu - MARK, 0)
    return store(folder.parent / "result.json", result_of(scan, labels))


def fails(arguments: list[object], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the program, which must fail with a code and one line; that line."""
    assert main([str(argument) for argument in arguments]) == code
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("luna-dicom: error: ")
    return error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(first: Path, second: Path) -> bool:
    assert names(first) == names(second)
    return all((first / n).read_bytes() == (second / n).read_bytes() for n in names(first))


def test_with_a_date_the_same_command_writes_the_same_bytes(
    tmp_path: Path, folder: Path, result: Path
) -> None:
    for name in ("a", "b"):
        arguments = [str(result), str(folder), "-o", str(tmp_path / name)]
        assert main([*arguments, "--date", "2026-01-31T12:30:00"]) == 0

    assert same(tmp_path / "a", tmp_path / "b")
    report = pydicom.dcmread(tmp_path / "a" / "sr.dcm")
    assert (report.ContentDate, report.ContentTime) == ("20260131", "123000")
    assert (report.SeriesDate, report.InstanceCreationDate) == ("20260131", "20260131")


def test_without_a_date_runs_differ_but_the_findings_keep_their_identifiers(
    tmp_path: Path, folder: Path, result: Path
) -> None:
    segs = []
    for name in ("a", "b"):
        assert main([str(result), str(folder), "-o", str(tmp_path / name), "--no-pictures"]) == 0
        segs.append(pydicom.dcmread(tmp_path / name / "seg.dcm"))

    assert segs[0].SOPInstanceUID != segs[1].SOPInstanceUID
    assert segs[0].SegmentSequence[0].TrackingUID == segs[1].SegmentSequence[0].TrackingUID


def test_uids_are_under_the_site_s_root(tmp_path: Path, folder: Path, result: Path) -> None:
    root = "1.2.826.0.1.3680043.10.77"
    out = tmp_path / "out"

    assert main([str(result), str(folder), "-o", str(out), "--uid-root", root]) == 0

    for path in out.iterdir():
        dataset = pydicom.dcmread(path)
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
            assert dataset[keyword].value.startswith(f"{root}.")
        for item in dataset.get("DimensionOrganizationSequence", []):
            assert item.DimensionOrganizationUID.startswith(f"{root}.")


def test_a_result_of_the_same_scan_in_another_format_is_taken(tmp_path: Path, folder: Path) -> None:
    scan = opened(folder).scan
    path = tmp_path / "scan.mhd"
    _core.write_metaimage(path, scan.hu, scan.spacing_mm, scan.origin_mm, scan.direction)
    other = _core.read_scan(path)
    labels = np.where(other.hu > MARK, 1, 0)
    result = store(tmp_path / "of_mhd.json", result_of(other, labels))

    assert main([str(result), str(folder), "-o", str(tmp_path / "out")]) == 0


def test_a_result_of_another_scan_is_refused(
    tmp_path: Path, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, hu in (("size", chest((9, 40, 48))), ("voxels", chest(SHAPE))):
        write_ct(tmp_path / name, hu)
        fails([result, tmp_path / name, "-o", tmp_path / "out"], 2, capsys)
        assert not (tmp_path / "out").exists()


def test_a_scan_that_is_no_dicom_is_refused_with_the_reason(
    tmp_path: Path, folder: Path, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = opened(folder).scan
    path = tmp_path / "scan.mhd"
    _core.write_metaimage(path, scan.hu, scan.spacing_mm, scan.origin_mm, scan.direction)

    error = fails([result, path, "-o", tmp_path / "out"], 3, capsys)

    assert "scan.mhd" in error
    assert "DICOM" in error
    assert not (tmp_path / "out").exists()


def test_a_missing_or_empty_folder_is_refused(
    tmp_path: Path, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing"):
        assert path.name in fails([result, path, "-o", tmp_path / "out"], 3, capsys)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": "lunart.result/1"}', "null"])
def test_what_is_no_result_is_refused(
    tmp_path: Path, folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.json").write_text(text)

    assert "r.json" in fails([tmp_path / "r.json", folder, "-o", tmp_path / "out"], 8, capsys)


def test_hostile_names_in_a_result_become_harmless_text(
    tmp_path: Path, folder: Path, result: Path
) -> None:
    changed = json.loads(result.read_text())
    changed["bundle"]["name"] = "a\\b\n<script>é" + "x" * 300
    changed["engine"]["version"] = "1\\2\x07"
    path = store(tmp_path / "hostile.json", changed)
    out = tmp_path / "out"

    assert main([str(path), str(folder), "-o", str(out)]) == 0

    seg = pydicom.dcmread(out / "seg.dcm")
    (item,) = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert "\\" not in str(item.AlgorithmParameters)
    assert "é" not in str(item.AlgorithmParameters)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--uid-root", "1.02"], "begins with a zero"),
        (["--date", "yesterday"], "YYYY-MM-DD"),
        (["--date", "2026-01-01T00:00:00+02:00"], "time zone"),
        (["--series"], "expected one argument"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_before_anything_is_read(
    tmp_path: Path, options: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [tmp_path / "no.json", tmp_path / "no", "-o", tmp_path / "out", *options]

    assert word in fails(arguments, 2, capsys)


def test_a_folder_that_is_not_empty_is_refused_and_kept(
    tmp_path: Path, folder: Path, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "seg.dcm").write_text("older")

    assert "--force" in fails([result, folder, "-o", out], 7, capsys)
    assert (out / "seg.dcm").read_text() == "older"

    assert main([str(result), str(folder), "-o", str(out), "--force"]) == 0
    assert pydicom.dcmread(out / "seg.dcm").Modality == "SEG"


def test_force_never_replaces_what_it_did_not_write(
    tmp_path: Path, folder: Path, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")

    assert "thesis.txt" in fails([result, folder, "-o", out, "--force"], 7, capsys)
    assert (out / "thesis.txt").read_text() == "years of work"


def test_an_output_that_is_a_file_is_refused(
    tmp_path: Path, folder: Path, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")

    fails([result, folder, "-o", tmp_path / "out"], 7, capsys)
    assert (tmp_path / "out").read_text() == "a file"


def test_an_empty_folder_is_filled(tmp_path: Path, folder: Path, result: Path) -> None:
    (tmp_path / "out").mkdir()

    assert main([str(result), str(folder), "-o", str(tmp_path / "out"), "--no-pictures"]) == 0
    assert names(tmp_path / "out") == ["seg.dcm", "sr.dcm"]
    assert names(tmp_path) == ["out"]


def test_a_failure_half_way_leaves_nothing(
    tmp_path: Path, folder: Path, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "captures", full)

    assert main([str(result), str(folder), "-o", str(tmp_path / "out")]) == 7
    assert names(tmp_path) == []


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, folder: Path, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # as a disk of 4 kB
    try:
        error = fails([result, folder, "-o", tmp_path / "out"], 7, capsys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert os.strerror(errno.EFBIG) in error
    assert names(tmp_path) == []


def test_ctrl_c_half_way_leaves_nothing(
    tmp_path: Path, folder: Path, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "captures", interrupted)

    assert main([str(result), str(folder), "-o", str(tmp_path / "out")]) == 130
    assert names(tmp_path) == []
