"""luna-bench: the table, its files, failing rows, the baseline. No time is asserted."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lunart import Runner, _core
from lunart.bench import columns, process, report, table
from lunart.bench.cli import main
from lunart.bench.figures import STAGES, Report
from lunart.bench.worker import main as worker_main
from lunart.bundle import Architecture, Bundle
from lunart.errors import UsageError
from spoil import rehash

QUICK = ["--repeat", "2", "--threads", "1", "--quiet"]

ROW = {
    "engine", "precision", "runs_in", "version", "artifact", "artifact_mb", "deployable_mb",
    "networks", "scan", "error",
}  # fmt: skip
MODEL = {
    "lanes", "batch", "calls", "p50_ms", "p95_ms", "gflop", "fraction_of_peak", "max_abs_error",
}  # fmt: skip
SCAN = {
    "via", "runs", "seconds", "times_baseline", "segment_fraction_of_peak",
    "classify_fraction_of_peak", "share_outside_networks", "peak_rss_mb", "candidates", "nodules",
    "mask_flips", "dice", "nodules_equal", "nodules_unmatched", "max_probability_difference",
    "warnings",
}  # fmt: skip


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no scan is named"),
        (["{scan}", "--networks"], "--networks goes with"),
        (["--networks", "--scaling", "slices"], "--networks goes with"),
        (["--scaling", "slices", "--csv", "a.csv"], "no --csv"),
        (["{scan}", "--scaling", "slices"], "makes its own scans"),
        (["--networks", "--engines", "openvino,tensorrt"], "no engine is called 'tensorrt'"),
        (["--networks", "--engines", ""], "no engine is called ''"),
        (["--networks", "--threads", "0"], "--threads is 0"),
        (["--networks", "--threads", "10000"], "10000"),
        (["--networks", "--repeat", "0"], "--repeat is 0"),
        (["--networks", "--timeout", "nan"], "--timeout is nan"),
        (["--networks", "--precision", "f16"], "f16"),
        (["--networks", "--json", "-", "--csv", "-"], "cannot both"),
        (["--networks", "--chart", "a.jpg"], r"ends in .png"),
        (["--networks", "--json", ""], "--json has no file name"),
        (["{scan}", "--json", "{scan}"], "overwrite"),
        (["{scan}", "--chart", "{bundle}/x.png"], "bundle"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(bundle, small_scan, arguments, complaint, capsys):
    filled = [a.format(scan=small_scan, bundle=bundle) for a in arguments]
    assert main([str(bundle), *filled]) == UsageError.exit_code
    error = capsys.readouterr().err
    assert complaint in error
    assert "Traceback" not in error


def test_missing_bundle_scan_and_folder_have_their_exit_codes(bundle, small_scan, tmp_path, capsys):
    assert main([str(tmp_path / "none"), "--networks"]) == 4
    assert main([str(bundle), str(tmp_path / "none.mhd"), *QUICK]) == 3
    assert main([str(bundle), str(small_scan), "--json", str(tmp_path / "none/a.json")]) == 7
    assert "Traceback" not in capsys.readouterr().err


def test_nothing_to_measure_is_the_engines_error(bundle, small_scan, capsys):
    arguments = ["--engines", "torchscript", "--precision", "bf16", "--baseline", "off", *QUICK]
    assert main([str(bundle), str(small_scan), *arguments]) == 5
    assert "torchscript does not compute in bf16" in capsys.readouterr().err


# --- rows that fail ------------------------------------------------------------------------------


def test_broken_artifact_is_a_row_that_says_why(bundle, small_scan, tmp_path, capsys):
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    (copy / "segmentation/torchscript-trace.pt").write_bytes(b"PK\x03\x04 this is no archive")
    rehash(copy)
    arguments = ["--engines", "torchscript-trace,eager", "--baseline", "off", *QUICK]
    assert main([str(copy), str(small_scan), *arguments, "--json", str(tmp_path / "r.json")]) == 0
    broken, eager = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert broken["engine"] == "torchscript-trace"
    assert "libtorch cannot load it" in broken["error"]
    assert broken["networks"] is broken["scan"] is None
    assert eager["error"] is None
    assert eager["scan"]["nodules_equal"]
    assert "libtorch cannot load it" in capsys.readouterr().out.partition("Not measured")[2]


def test_crash_of_an_engine_is_a_reason():
    with pytest.raises(process.MeasurementError, match=r"signal 11 \(SIGSEGV\)"):
        process.run_program(
            [sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"], timeout_s=60
        )


def test_exit_code_of_an_engine_is_told_with_its_last_line():
    code = "import sys; sys.exit('first\\nthe reason')"
    with pytest.raises(process.MeasurementError, match="exit code 1: the reason"):
        process.run_program([sys.executable, "-c", code], timeout_s=60)


def test_engine_that_hangs_is_ended():
    with pytest.raises(process.MeasurementError, match="did not end within 1 s"):
        process.run_program([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=1)


def test_worker_answers_with_the_reason(monkeypatch, tmp_path):
    job = {"task": "flops", "bundle": str(tmp_path), "answer": str(tmp_path / "answer")}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(job)))
    assert worker_main() == 0
    assert "manifest.json" in json.loads((tmp_path / "answer").read_text())["error"]


# --- one run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(bundle, phantom_scan, tmp_path_factory) -> dict[str, Any]:
    """A run of whole slices over eager, one native engine and the baseline, with all its files."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("bench")
    arguments = [str(bundle), str(phantom_scan), "--region", "off", *QUICK]
    arguments += ["--engines", "openvino,torchscript,eager"]
    files = {name: folder / f"r.{name}" for name in ("json", "csv")}
    files["chart"] = folder / "r.png"
    for name, file in files.items():
        arguments += [f"--{name}", str(file)]
    assert main(arguments) == 0
    return {"data": json.loads(files["json"].read_text()), **files}


def _rows(ran: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = {f"{row['engine']} {row['precision']}": row for row in ran["data"]["rows"]}
    print("rows:", {name: row["error"] for name, row in rows.items()})
    return rows


def test_json_holds_every_figure(ran, bundle):
    data = ran["data"]
    assert data["schema"] == "lunart.bench/1"
    assert data["bundle"]["sha256"] == Bundle.open(bundle).sha256
    assert data["scan"]["shape_irc"] == [40, 160, 160]
    assert data["segmented_share"] == 1.0
    assert data["peak"]["f32"]["gflops"] > 0
    rows = _rows(ran)
    measured = [row for row in rows.values() if row["error"] is None]
    assert {row["engine"] for row in measured} >= {"eager", "torchscript", "baseline"}
    for row in rows.values():
        assert set(row) == ROW
    for row in measured:
        assert row["deployable_mb"] > 0
        for figures in row["networks"]["models"].values():
            assert set(figures) == MODEL
            assert 0 < figures["p50_ms"] <= figures["p95_ms"]
        assert set(row["scan"]) == SCAN
        assert set(row["scan"]["seconds"]) == {"load", "total", *STAGES}
        assert row["scan"]["peak_rss_mb"] > 10
        assert row["scan"]["times_baseline"] > 0


def test_engines_find_what_eager_finds(ran):
    for name, row in _rows(ran).items():
        if row["error"] is not None:
            continue
        assert row["scan"]["nodules_equal"], name
        if name.endswith("f32"):
            assert row["networks"]["models"]["segmentation"]["max_abs_error"] < 1e-3, name
            assert row["scan"]["dice"] > 0.999, name


def test_baseline_is_compared_and_is_the_unit_of_the_ratio(ran):
    scan = _rows(ran)["baseline f32"]["scan"]
    assert scan["via"] == "book"
    assert scan["times_baseline"] == 1.0
    assert scan["nodules_equal"]
    assert scan["mask_flips"] == 0


def test_deployable_counts_the_engines_library(ran):
    sizes = {name: row["deployable_mb"] for name, row in _rows(ran).items()}
    libtorch = sizes["torchscript f32"]
    assert 100 < libtorch < sizes["eager f32"]
    if sizes.get("openvino f32"):
        assert 40 < sizes["openvino f32"] < libtorch


def test_csv_has_a_line_a_row(ran):
    lines = list(csv.DictReader(ran["csv"].read_text().splitlines()))
    assert list(lines[0]) == [column.key for column in columns.ALL]
    rows = ran["data"]["rows"]
    assert [line["engine"] for line in lines] == [row["engine"] for row in rows]
    eager = next(line for line in lines if line["engine"] == "eager")
    assert float(eager["total_s"]) > 0
    assert float(eager["max_abs_error"]) == 0
    assert eager["nodules_equal"] == "True"
    assert eager["error"] == ""


def test_chart_is_a_png_of_sane_size(ran):
    content = ran["chart"].read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(content[k : k + 4], "big") for k in (16, 20))
    assert 800 < width < 3000
    assert 200 < height < 3000
    assert 5_000 < len(content) < 1_000_000


def test_table_fits_a_terminal(ran):
    text = table.render(Report.from_json(ran["data"]))
    assert max(len(line) for line in text.splitlines()[2:]) <= 125
    for word in ("openvino", "torchscript", "eager", "baseline", "times"):
        assert word in text


def test_json_comes_back_as_the_same_report(ran):
    again = json.loads(json.dumps(Report.from_json(ran["data"]).to_json()))
    assert again == ran["data"]


# --- the page ------------------------------------------------------------------------------------


def test_page_gets_the_tables_and_keeps_the_rest(ran, tmp_path, capsys):
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copy(ran["json"], folder / "scan.json")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    assert report.main([str(folder), "--into", str(page)]) == 0
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert "$ luna-bench " in text
    assert "torchscript" in text
    assert str(tmp_path.parent) not in text
    assert report.main([str(folder), "--into", str(page)]) == 0
    assert page.read_text() == text


def test_page_without_markers_and_foreign_json_are_refused(tmp_path, capsys):
    assert report.main([str(tmp_path)]) == 2
    (tmp_path / "a.json").write_text('{"schema": "lunart.result/1"}')
    assert report.main([str(tmp_path)]) == 2
    assert "no result of luna-bench" in capsys.readouterr().err
    with pytest.raises(UsageError, match="has not the lines"):
        report.replaced("a page", [])


def test_page_in_the_repository_has_the_markers():
    page = Path(__file__).parents[1] / "docs/performance.md"
    assert report.BEGIN in page.read_text()
    assert report.END in page.read_text()


# --- scaling -------------------------------------------------------------------------------------


def test_scaling_over_threads(bundle, small_scan, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    files = [tmp_path / "s.json", tmp_path / "s.png"]
    arguments = ["--scaling", "threads", "--threads", "2", "--quiet"]
    arguments += ["--json", str(files[0]), "--chart", str(files[1])]
    if _core.usable_processors() < 2:
        arguments[3] = "1"
    assert main([str(bundle), str(small_scan), *arguments]) == 0
    study = json.loads(files[0].read_text())
    assert study["schema"] == "lunart.bench.scaling/1"
    assert [run["x"] for run in study["runs"]] == [1, 2][: len(study["runs"])]
    assert all(run["seconds"]["total"] > 0 for run in study["runs"])
    assert files[1].read_bytes()[:4] == b"\x89PNG"
    assert "RSS MB" in capsys.readouterr().out


def test_scaling_over_candidates_varies_them(bundle, phantom_scan, capsys):
    arguments = ["--scaling", "candidates", "--json", "-", "--quiet"]
    assert main([str(bundle), str(phantom_scan), *arguments]) == 0
    study = json.loads(capsys.readouterr().out)
    counts = [run["candidates"] for run in study["runs"]]
    print("candidates:", counts)
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


# --- the baseline, operations, the peak ----------------------------------------------------------


def test_baseline_finds_the_pipelines_candidates(bundle, phantom_scan):
    from lunart.bench.baseline import find

    book = find(Bundle.open(bundle), phantom_scan, 1)
    runner = Runner(bundle, engine="eager", region="off", threads=1, all_candidates=True)
    result = runner(phantom_scan, progress="none")
    assert result.candidates
    assert len(book.candidates) == len(result.candidates)
    np.testing.assert_array_equal(book.mask, result.threshold_mask != 0)
    for ours, theirs in zip(book.candidates, result.candidates, strict=True):
        assert ours.voxels == theirs.voxels
        np.testing.assert_allclose(ours.center_irc, theirs.center_irc, atol=1e-4)
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-5)
    assert book.seconds["total"] == pytest.approx(
        sum(book.seconds[stage] for stage in ("read", "segment", "group", "classify"))
    )


def test_operations_agree_with_hand_numbers():
    """A multiply-add is two; per output pixel of each layer, by level of the U-Net."""
    from lunart.bench.flops import count

    full = 18 * (7 * 16 + 16 * 16 + 32 * 16 + 16 * 16) + 2 * 16
    half = 18 * (16 * 32 + 32 * 32 + 64 * 32 + 32 * 32) + 8 * 32 * 16
    quarter = 18 * (32 * 64 + 64 * 64) + 8 * 64 * 32
    unet = Architecture("unet", {"in_channels": 7, "depth": 3, "wf": 4})
    assert count(unet, (1, 7, 512, 512)) == 512**2 * full + 256**2 * half + 128**2 * quarter
    assert count(unet, (2, 7, 512, 256)) == count(unet, (1, 7, 512, 512))
    voxels = 32 * 48 * 48
    levels = [(1, 8), (8, 16), (16, 32), (32, 64)]
    convolutions = [voxels // 8**k * 54 * (a * b + b * b) for k, (a, b) in enumerate(levels)]
    classifier = Architecture(
        "luna-classifier", {"in_channels": 1, "conv_channels": 8, "crop_irc": [32, 48, 48]}
    )
    assert count(classifier, (1, 1, 32, 48, 48)) == sum(convolutions) + 2 * 1152 * 2


def test_peak_is_positive_and_bf16_needs_the_instruction():
    f32 = _core.peak_gflops("f32", 1, 0.05)
    assert f32["gflops"] > 0.1
    flags = Path("/proc/cpuinfo").read_text()
    bf16 = _core.peak_gflops("bf16", 1, 0.05)
    assert (bf16 is None) == ("avx512_bf16" not in flags)
    print(f32, bf16)


@pytest.mark.parametrize(
    ("precision", "threads", "seconds"), [("f16", 1, 1), ("f32", 99999, 1), ("f32", 1, 0)]
)
def test_peak_refuses_what_makes_no_sense(precision, threads, seconds):
    with pytest.raises(UsageError):
        _core.peak_gflops(precision, threads, seconds)


def test_segmented_boxes_are_the_runs(bundle, phantom_scan):
    scan = _core.read_scan(phantom_scan)
    whole = _core.segmented_boxes(scan, bundle, False)
    assert whole == [(i, 0, 0, 160, 160) for i in range(40)]
    inside = _core.segmented_boxes(scan, bundle, True)
    area = sum(rows * cols for _, _, _, rows, cols in inside)
    assert 0 < area < 40 * 160 * 160
