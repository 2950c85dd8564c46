"""``luna-report``: what it writes, and what it refuses without leaving anything behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lunart import _core
from lunart.report.cli import main
from PIL import Image
from planted import Found, result_json, scan_of_balls, write_result, write_scan

PLACE = (34.0, -26.0, 104.0)


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path, _core.Scan, list[Found]]:
    """A result file, its scan's file, the scan and what was found."""
    scan, found = scan_of_balls(np.eye(3), [(PLACE, 5)], shape_irc=(20, 60, 60))
    path = write_scan(tmp_path, scan)
    return write_result(tmp_path / "result.json", result_json(scan, found)), path, scan, found


def refused(capsys, code: int, *arguments: object) -> str:
    """The one error of a call that must end with ``code``."""
    assert main([str(a) for a in arguments]) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert said.err.count("luna-report: error: ") == 1
    return str(said.err)


def test_it_writes_a_report_and_a_preview(case, tmp_path, capsys):
    result, scan, *_ = case
    out, preview = tmp_path / "report.html", tmp_path / "preview.png"
    assert main([str(result), str(scan), "-o", str(out), "--preview", str(preview)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert str(out) in said.out
    assert str(preview) in said.out
    assert out.read_text("utf-8").startswith("<!DOCTYPE html>")
    with Image.open(preview) as image:
        assert image.width > 600
        assert image.height > 400


def test_a_preview_alone_and_of_nothing_found(case, tmp_path):
    _, path, scan, _ = case
    result = write_result(tmp_path / "none.json", result_json(scan, []))
    preview = tmp_path / "preview.png"
    before = {entry.name for entry in tmp_path.iterdir()}
    assert main([str(result), str(path), "--preview", str(preview)]) == 0
    assert {entry.name for entry in tmp_path.iterdir()} == before | {"preview.png"}


def test_the_same_input_gives_the_same_file(case, tmp_path):
    result, scan, *_ = case
    for name in ("a.html", "b.html"):
        assert main([str(result), str(scan), "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_hostile_names_keep_a_preview_small(case, tmp_path):
    _, path, scan, found = case
    long = "x" * 100_000
    whole = result_json(scan, found)
    result = write_result(
        tmp_path / "long.json",
        {
            **whole,
            "scan": {**whole["scan"], "path": long},
            "bundle": {"name": long, "sha256": "0" * 64},
        },
    )
    preview = tmp_path / "preview.png"
    assert main([str(result), str(path), "--preview", str(preview)]) == 0
    with Image.open(preview) as image:
        assert image.width < 2000
        assert image.height < 2000


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"spacing_mm": (0.9, 0.7, 2.5)}, "spacing"),
        ({"origin_mm": (0.0, 0.0, 0.0)}, "origin"),
        ({"direction": (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)}, "direction"),
        ({"hu_crc32": "00000000"}, "checksum"),
    ],
)
def test_a_result_of_another_scan_is_refused_by_name(case, tmp_path, capsys, change, named):
    _, path, scan, found = case
    whole = result_json(scan, [] if "hu_crc32" not in change else found)
    result = write_result(tmp_path / "other.json", {**whole, "scan": {**whole["scan"], **change}})
    out = tmp_path / "report.html"
    assert named in refused(capsys, 2, result, path, "-o", out)
    assert not out.exists()


def test_of_several_results_the_one_of_the_scan_is_taken(case, tmp_path, capsys):
    _, path, scan, found = case
    other, theirs = scan_of_balls(np.eye(3), [(PLACE, 4)], shape_irc=(18, 60, 60))
    results = write_result(
        tmp_path / "many.jsonl", result_json(other, theirs), result_json(scan, found)
    )
    out = tmp_path / "report.html"
    assert main([str(results), str(path), "-o", str(out)]) == 0
    assert "20 \N{MULTIPLICATION SIGN} 60" in out.read_text("utf-8")
    strangers = write_result(tmp_path / "two.jsonl", *[result_json(other, theirs)] * 2)
    capsys.readouterr()
    message = refused(capsys, 2, strangers, path, "-o", tmp_path / "no.html")
    assert "none of its 2 results" in message
    assert "shape" in message
    assert not (tmp_path / "no.html").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"schema": "lunart.result/1"}', "\x00\xff", "[" * 100_000]
)
def test_what_is_no_result_is_refused(case, tmp_path, capsys, content):
    bad = tmp_path / "bad.json"
    bad.write_bytes(content.encode("latin-1"))
    assert "bad.json" in refused(capsys, 8, bad, case[1], "-o", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_absent_inputs_are_named(case, tmp_path, capsys):
    result, scan, *_ = case
    out = tmp_path / "report.html"
    assert main([str(tmp_path / "no.json"), str(scan), "-o", str(out)]) != 0
    assert "no.json" in capsys.readouterr().err
    assert "no.mhd" in refused(capsys, 3, result, tmp_path / "no.mhd", "-o", out)
    assert not out.exists()


def test_outputs_are_checked_before_any_work(case, tmp_path, capsys):
    result, scan, *_ = case
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert "-o" in refused(capsys, 2, result, scan)
    for name in ("result.json", "scan.mhd", "scan.raw", "report", "report.png"):
        assert ".html" in refused(capsys, 2, result, scan, "-o", tmp_path / name)
    assert ".png" in refused(capsys, 2, result, scan, "--preview", scan.with_suffix(".raw"))
    (tmp_path / "link.html").symlink_to(scan)
    before["link.html"] = scan.read_bytes()
    assert "an input" in refused(capsys, 2, result, scan, "-o", tmp_path / "link.html")
    (tmp_path / "folder.html").mkdir()
    assert "folder" in refused(capsys, 7, result, scan, "-o", tmp_path / "folder.html")
    (tmp_path / "folder.html").rmdir()
    assert "absent" in refused(capsys, 7, result, scan, "-o", tmp_path / "absent" / "report.html")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_report_that_cannot_be_written_leaves_the_old_one(case, tmp_path, capsys, monkeypatch):
    result, scan, *_ = case
    out = tmp_path / "report.html"
    out.write_text("old")

    def full(*_: object) -> None:
        from lunart.errors import OutputError

        raise OutputError("no space left")

    monkeypatch.setattr(_core, "write_file_atomically", full)
    assert "no space left" in refused(capsys, 7, result, scan, "-o", out)
    assert out.read_text() == "old"


def test_the_result_alone_gives_the_mask(case):
    """What is drawn is what the JSON holds: no second file is read."""
    result, _, scan, found = case
    runs = json.loads(result.read_text())["nodules"][0]["mask_runs"]
    inside = np.zeros(scan.shape_irc, np.bool_).ravel()
    for run in runs.split():
        at, count = map(int, run.split(":"))
        inside[at : at + count] = True
    np.testing.assert_array_equal(inside.reshape(scan.shape_irc), found[0].inside)
