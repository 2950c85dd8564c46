"""The native program: exit codes first, then what it writes, where, and what it never does."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jail
import jsonschema
import lunart
import numpy as np
import program
import pytest
import SimpleITK as sitk  # noqa: N813
import spoil
from lunart import _core
from lunart.errors import LunartError
from numpy.typing import NDArray

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "result.schema.json").read_text())
CHECKED = jsonschema.Draft202012Validator(SCHEMA)
PACKAGE = Path(lunart.__file__).parent
OPTIONS = (
    *("bundle", "engine", "threads", "region", "threshold", "all-candidates", "json", "csv"),
    *("mask", "region-mask", "progress", "info", "selfcheck", "version", "help"),
)


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    program.path()


@pytest.fixture(scope="module")
def options(bundle: Path) -> tuple[str, ...]:
    return (f"--bundle={bundle}", "--engine=torchscript-trace", "--threads=1", "--progress=none")


@pytest.fixture(scope="module")
def result(phantom_scan: Path, options: tuple[str, ...]) -> dict[str, Any]:
    return program.result_of(phantom_scan, *options, "--all-candidates")


def _write(path: Path, hu: NDArray[Any], spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Path:
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def _noise(shape: tuple[int, ...]) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-1000, 400, shape).astype(np.int16)


# --- 2: usage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no scan or picture is named"),
        (["scan.mhd", "--bogus"], "--bogus"),
        (["--bogus", "scan.mhd"], "--bogus"),
        (["scan.mhd", "-x"], "-x"),
        (["scan.mhd", "--threads"], "--threads"),
        (["scan.mhd", "--help=no"], "--help"),
        (["scan.mhd", "--threads", "0"], '--threads is "0"'),
        (["scan.mhd", "--threads", "two"], '--threads is "two"'),
        (["scan.mhd", "--threads", "1.5"], '--threads is "1.5"'),
        (["scan.mhd", "--threads", "99999999999999999999"], "--threads is"),
        (["scan.mhd", "--threshold", "1.01"], '--threshold is "1.01"'),
        (["scan.mhd", "--threshold", "-1"], '--threshold is "-1"'),
        (["scan.mhd", "--threshold", "nan"], '--threshold is "nan"'),
        (["scan.mhd", "--threshold", ""], '--threshold is ""'),
        (["scan.mhd", "--region", "heart"], '--region is "heart"'),
        (["scan.mhd", "--progress", "loud"], '--progress is "loud"'),
        (["scan.mhd", "--mask", "mask.nrrd"], 'mask "mask.nrrd" must end'),
        (["scan.mhd", "--region-mask", "-"], 'mask "-" must end'),
        (["scan.mhd", "--json", ""], "--json"),
        (["scan.mhd", "--csv", ""], "--csv"),
        (["scan.mhd", "--json", "-", "--csv", "-"], "--json and --csv"),
        (["a.mhd", "b.mhd", "--mask", "m.mhd"], "--region-mask and --markups take one scan"),
    ],
    ids=str,
)
def test_wrong_use_is_2_and_names_the_option(arguments: list[str], said: str) -> None:
    message = program.refused(2, *arguments)
    assert said in message
    assert "--help" in message


def test_an_unknown_engine_is_2_and_lists_the_known(bundle: Path, small_scan: Path) -> None:
    message = program.refused(2, small_scan, "--bundle", bundle, "--engine", "tensorrt")
    assert '"tensorrt"' in message
    assert "torchscript-trace" in message
    environment = {**os.environ, "LUNART_ENGINE": "tensorrt"}
    message = program.refused(2, small_scan, "--bundle", bundle, env=environment)
    assert '"tensorrt"' in message


@pytest.mark.parametrize("option", ["json", "csv", "mask", "region-mask"])
def test_an_output_that_would_overwrite_the_scan_is_2(
    option: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    scan = _write(tmp_path / "s.mha", np.zeros((2, 8, 8), np.int16))
    before = scan.read_bytes()
    (tmp_path / "link.mha").symlink_to(scan)
    for name in ("s.mha", "../" + tmp_path.name + "/s.mha", "link.mha"):
        message = program.refused(2, "s.mha", *options, f"--{option}={name}", cwd=tmp_path)
        assert name in message
    assert scan.read_bytes() == before


# --- 3: scan -------------------------------------------------------------------------------------


def _bad_scans(folder: Path) -> dict[str, Path]:
    good = _write(folder / "good.mhd", np.zeros((4, 8, 8), np.int16))
    text = good.read_text()
    nan = np.zeros((4, 8, 8), np.float32)
    nan[1, 2, 3] = np.nan
    cases = {
        "zero-spacing": text.replace("ElementSpacing = 1 1 1", "ElementSpacing = 1 0 1"),
        "singular": text.replace("TransformMatrix = 1 0 0 0 1 0", "TransformMatrix = 1 0 0 1 0 0"),
        "two-dimensional": text.replace("NDims = 3", "NDims = 2"),
        "no-data": text.replace("good.raw", "none.raw"),
        "too-large": text.replace("DimSize = 8 8 4", "DimSize = 8 8 5"),
        "huge": text.replace("DimSize = 8 8 4", "DimSize = 999999999 999999999 999999999"),
        "garbage": "\0\1\2 no header",
        "empty": "",
    }
    paths = {}
    for name, content in cases.items():
        paths[name] = folder / f"{name}.mhd"
        paths[name].write_text(content)
        assert content != text
    paths["nan"] = _write(folder / "nan.mha", nan)
    paths["missing"] = folder / "missing.mhd"
    paths["folder"] = folder / "folder.mhd"
    paths["folder"].mkdir()
    paths["extension"] = folder / "scan.nii.gz"
    paths["extension"].write_bytes(b"x")
    return paths


BAD = (
    *("zero-spacing", "singular", "two-dimensional", "no-data", "too-large", "huge", "garbage"),
    *("empty", "nan", "missing", "folder", "extension"),
)


@pytest.mark.parametrize("name", BAD)
def test_a_scan_that_cannot_be_used_is_3_and_named(
    name: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    path = _bad_scans(tmp_path)[name]
    outputs = [f"--json={tmp_path}/r.json", f"--csv={tmp_path}/r.csv", f"--mask={tmp_path}/m.mhd"]
    before = sorted(tmp_path.iterdir())
    message = program.refused(3, path, *options, *outputs)
    # The data file is named where that is what is wrong.
    assert path.name.split(".")[0] in message or ("good.raw" in message and name == "too-large")
    assert sorted(tmp_path.iterdir()) == before


def test_one_bad_scan_among_several_is_3_and_the_others_are_kept(
    options: tuple[str, ...], small_scan: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mhd"
    report, table = tmp_path / "r.jsonl", tmp_path / "r.csv"
    done = program.run(
        small_scan, bad, small_scan, *options, "--all-candidates", f"--json={report}",
        f"--csv={table}",
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.count("luna_infer: error: ") == 1
    assert "bad.mhd" in done.stderr
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["scan"]["path"] for line in lines] == [str(small_scan)] * 2
    for line in lines:
        CHECKED.validate(line)
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert len(rows) == sum(line["candidate_count"] for line in lines)
    assert done.stdout.count("slices of") == 2


def test_several_bad_scans_are_3_and_each_is_named(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    done = program.run(tmp_path / "a.mhd", tmp_path / "b.mhd", *options, "--json", "-")
    assert done.returncode == 3
    assert "a.mhd" in done.stderr
    assert "b.mhd" in done.stderr
    assert done.stdout == ""


# --- 4: bundle, 5: engine, 6: check --------------------------------------------------------------


def test_a_bundle_that_is_missing_is_4(small_scan: Path, tmp_path: Path) -> None:
    message = program.refused(4, small_scan, "--bundle", tmp_path / "none")
    assert "none" in message
    assert "luna-export" in message


def test_without_any_bundle_the_default_is_named(small_scan: Path, tmp_path: Path) -> None:
    copy = tmp_path / "luna_infer"
    shutil.copy2(program.path(), copy)
    done = subprocess.run(
        [copy, small_scan], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 4
    assert "exported/luna" in done.stderr


def test_an_engine_that_is_not_here_is_5_and_says_how_to_get_it(
    bundle: Path, small_scan: Path
) -> None:
    for engine in _core.engines():
        if engine["supported"]:
            continue
        message = program.refused(5, small_scan, "--bundle", bundle, "--engine", engine["name"])
        assert engine["name"] in message
        assert "install" in message or "build" in message


@pytest.mark.parametrize(
    ("engine", "there", "wanted"),
    [
        ("torchscript", "onnx", "torchscript-script"),
        ("torchscript-script", "onnx", "torchscript-script"),
        ("onnxruntime", "torchscript-trace", "onnx"),
        ("auto", "none", "torchscript-script"),
    ],
)
def test_an_artifact_that_is_absent_is_5(
    engine: str, there: str, wanted: str, bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    poor = spoil.change(spoil.copy_of(bundle, tmp_path / "poor"), spoil.only_artifacts(there))
    message = program.refused(5, small_scan, "--bundle", poor, "--engine", engine)
    assert wanted in message


def _built_with() -> str:
    recipe = json.loads((PACKAGE / "liblunart_torch.json").read_text())
    return str(recipe["version"])


def test_a_bundle_of_another_torch_is_5_and_names_both(
    bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    other = spoil.copy_of(bundle, tmp_path / "b")
    spoil.change(other, lambda m: m["made_by"].update(torch="1.9.7"))
    message = program.refused(5, small_scan, "--bundle", other, "--engine", "torchscript")
    assert "1.9.7" in message
    assert _built_with().split("+")[0] in message


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """``site-packages`` as the wheel fills it, with a torch of our making."""
    import torch

    site = tmp_path / "env" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    package, library = site / "site-packages" / "lunart", site / "site-packages" / "torch" / "lib"
    package.mkdir(parents=True)
    library.mkdir(parents=True)
    (tmp_path / "env" / "bin").mkdir()
    shutil.copy2(program.path(), tmp_path / "env" / "bin" / "luna_infer")
    shutil.copy2(PACKAGE / "liblunart_torch.so", package)
    recipe = json.loads((PACKAGE / "liblunart_torch.json").read_text())
    recipe["lib_folders"] = ["../torch/lib"]
    (package / "liblunart_torch.json").write_text(json.dumps(recipe))
    for path in (Path(torch.__file__).parent / "lib").iterdir():
        (library / path.name).symlink_to(path)
    return tmp_path / "env"


def _run_installed(environment: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(environment / "bin" / "luna_infer"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={})


def test_another_torch_beside_it_is_5_and_names_both(
    installed: Path, options: tuple[str, ...], small_scan: Path
) -> None:
    torch = next(installed.glob("lib/*/site-packages/torch"))
    (torch / "version.py").write_text("from typing import Optional\n__version__ = '1.9.7+cpu'\n")
    done = _run_installed(installed, small_scan, *options)
    assert done.returncode == 5, done.stderr
    built = _built_with()
    assert "1.9.7+cpu" in done.stderr
    assert built in done.stderr
    assert "pip install torch==" in done.stderr
    # The right one runs.
    (torch / "version.py").write_text(f"x = 1\n__version__ = '{built}'\n")
    done = _run_installed(installed, small_scan, *options)
    assert done.returncode == 0, done.stderr


def _change_recipe(site: Path, **changed: object) -> None:
    path = site / "lunart" / "liblunart_torch.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda site: shutil.rmtree(site / "torch"),
        lambda site: (site / "torch" / "version.py").write_text("nothing"),
        lambda site: (site / "lunart" / "liblunart_torch.so").unlink(),
        lambda site: (site / "lunart" / "liblunart_torch.json").unlink(),
        lambda site: (site / "lunart" / "liblunart_torch.json").write_text('{"version": 3}'),
        lambda site: _change_recipe(site, lib_folders=[]),
        lambda site: _change_recipe(site, lunart="0.0.7"),
    ],
    ids=[
        *("no-torch", "no-version", "no-module", "no-recipe", "wrong-recipe", "no-folders"),
        "other-lunart",
    ],
)
def test_a_broken_installation_is_5_and_says_what_to_install(
    break_it: Any, installed: Path, options: tuple[str, ...], small_scan: Path
) -> None:
    site = next(installed.glob("lib/*/site-packages"))
    import torch

    (site / "torch" / "version.py").write_text(f"\n__version__ = '{torch.__version__}'\n")
    break_it(site)
    done = _run_installed(installed, small_scan, *options)
    assert done.returncode == 5, (done.returncode, done.stderr)
    assert "install" in done.stderr


def test_a_check_that_fails_is_6(bundle: Path, tmp_path: Path) -> None:
    wrong = spoil.copy_of(bundle, tmp_path / "b")
    artifacts = [wrong / role / "torchscript-trace.pt" for role in ("classification", "malignancy")]
    shutil.copy2(artifacts[1], artifacts[0])
    spoil.rehash(wrong)
    done = program.run(
        "--selfcheck", "--bundle", wrong, "--engine=torchscript-trace", "--threads=1"
    )
    assert done.returncode == 6


# --- 7: output -----------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["json", "csv", "mask", "region-mask"])
def test_a_folder_that_is_not_there_is_7_before_the_run(option: str, tmp_path: Path) -> None:
    message = program.refused(7, "no-scan.mhd", f"--{option}={tmp_path}/none/out.mha")
    assert "none" in message


@pytest.mark.parametrize("option", ["json", "csv", "mask", "region-mask"])
def test_an_output_that_cannot_be_written_is_7(
    option: str, options: tuple[str, ...], small_scan: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mha"
    target.mkdir()
    done = program.run(small_scan, *options, f"--{option}={target}")
    assert done.returncode == 7, done.stderr
    assert "out.mha" in done.stderr
    assert list(tmp_path.rglob("*")) == [target]


@pytest.mark.parametrize("arguments", [(), ("--json", "-"), ("--csv", "-")], ids=str)
def test_a_full_standard_output_is_7(
    arguments: tuple[str, ...], options: tuple[str, ...], small_scan: Path
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = program.run(
            small_scan, *options, *arguments, capture_output=False, stdout=full,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 7
    assert "standard output" in done.stderr


@pytest.mark.parametrize("option", ["--help", "--version", "--info"])
def test_help_to_a_full_device_is_7(option: str, bundle: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = program.run(
            option, f"--bundle={bundle}", capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 7


def test_a_reader_that_leaves_is_7(options: tuple[str, ...], small_scan: Path) -> None:
    """Not death by SIGPIPE."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = program.run(
            small_scan, *options, capture_output=False, stdout=write, stderr=subprocess.PIPE
        )
    finally:
        os.close(write)
    assert done.returncode == 7, done.stderr


def test_a_full_disk_leaves_nothing(
    options: tuple[str, ...], phantom_scan: Path, tmp_path: Path
) -> None:
    """A file-size limit stands in for the disk; the program must survive its signal."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    for option in ("json=r.json", "mask=m.mhd", "region-mask=g.mha"):
        done = program.run(phantom_scan, *options, f"--{option}", cwd=tmp_path, preexec_fn=limit)
        assert done.returncode == 7, (option, done.returncode, done.stderr)
        assert list(tmp_path.iterdir()) == []


# --- 130: interrupted ----------------------------------------------------------------------------


def test_ctrl_c_is_130_and_writes_nothing(bundle: Path, tmp_path: Path) -> None:
    scan = _write(tmp_path / "scan.mha", _noise((400, 128, 128)))
    arguments = [f"--bundle={bundle}", "--threads=1", "--region=off", "--progress=json"]
    outputs = [f"--json={tmp_path}/r.json", f"--mask={tmp_path}/m.mhd"]
    command = [str(program.path()), str(scan), *arguments, *outputs]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        assert p.stderr is not None
        assert p.stdout is not None
        try:
            while '"segment"' not in p.stderr.readline():
                assert p.poll() is None
            began = time.monotonic()
            p.send_signal(signal.SIGINT)
            assert p.wait(timeout=60) == 130
            waited = time.monotonic() - began
            assert "interrupted" in p.stderr.read()
            assert p.stdout.read() == ""
        finally:
            p.kill()
    assert waited < 3  # one second is promised; the machine may be busy
    assert list(tmp_path.iterdir()) == [scan]


def test_ctrl_c_stops_a_self_check(bundle: Path) -> None:
    command = [str(program.path()), "--selfcheck", f"--bundle={bundle}", "--threads=1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        try:
            time.sleep(0.3)
            p.send_signal(signal.SIGINT)
            began = time.monotonic()
            code = p.wait(timeout=60)
            waited = time.monotonic() - began
        finally:
            p.kill()
    assert code == 130
    assert waited < 3


# --- 0: help, version, info ----------------------------------------------------------------------


def test_help_lists_every_option_and_exit_code() -> None:
    done = program.run("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for option in OPTIONS:
        assert f"--{option}" in done.stdout
    codes = {error.exit_code for error in LunartError.__subclasses__()} | {0, 1, 130}
    listed = {int(word) for word in done.stdout.split() if word.isdecimal()}
    assert codes == {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}
    assert codes <= listed
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_version_is_the_librarys() -> None:
    done = program.run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"luna_infer {lunart._core.__version__}\n"


def test_info_shows_scan_and_bundle_without_inference(bundle: Path, phantom_scan: Path) -> None:
    done = program.run(phantom_scan, "--info", f"--bundle={bundle}", "--json", "-")
    assert done.returncode == 0
    info = json.loads(done.stdout)
    assert info["schema"] == "lunart.info/1"
    (scan,) = info["scans"]
    image = sitk.ReadImage(str(phantom_scan))
    assert scan["shape_irc"] == list(image.GetSize()[::-1])
    assert scan["spacing_mm"] == list(image.GetSpacing())
    assert scan["origin_mm"] == list(image.GetOrigin())
    assert scan["direction"] == list(image.GetDirection())
    assert info["bundle"]["name"] == "luna"
    assert set(info["bundle"]["models"]) == {"segmentation", "classification", "malignancy"}
    text = program.run(phantom_scan, "--info", f"--bundle={bundle}")
    assert text.returncode == 0
    assert "shape_irc" in text.stdout


def test_info_of_a_scan_needs_no_bundle(phantom_scan: Path, tmp_path: Path) -> None:
    done = program.run(phantom_scan, "--info", f"--bundle={tmp_path}/none")
    assert done.returncode == 0, done.stderr


# --- 0: results ----------------------------------------------------------------------------------


def test_the_json_is_what_its_schema_says(result: dict[str, Any], phantom_scan: Path) -> None:
    CHECKED.validate(result)
    assert result["nodules"]
    assert result["scan"]["path"] == str(phantom_scan)
    assert result["scan"]["series_uid"] == phantom_scan.stem
    assert result["engine"]["threads"] == 1
    times = result["timings_s"]
    assert sum(v for k, v in times.items() if k not in ("load", "total")) <= times["total"] + 1e-6
    assert 50 < result["peak_rss_mb"] < 1500


def test_two_runs_are_equal(
    result: dict[str, Any], phantom_scan: Path, options: tuple[str, ...]
) -> None:
    again = program.result_of(phantom_scan, *options, "--all-candidates")
    for key in ("nodules", "candidates", "warnings", "bundle", "engine", "scan"):
        assert again[key] == result[key]


def test_the_csv_is_luna16s(
    result: dict[str, Any], phantom_scan: Path, options: tuple[str, ...]
) -> None:
    done = program.run(phantom_scan, *options, "--csv", "-")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "seriesuid,coordX,coordY,coordZ,probability"
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == len(result["nodules"])
    for row, nodule in zip(rows, result["nodules"], strict=True):
        assert row["seriesuid"] == phantom_scan.stem
        place = [float(row[f"coord{axis}"]) for axis in "XYZ"]
        assert place == pytest.approx(nodule["center_xyz_mm"], abs=1e-6)
        assert float(row["probability"]) == pytest.approx(nodule["probability"], abs=1e-8)


def test_the_table_is_for_people(
    result: dict[str, Any], phantom_scan: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    done = program.run(phantom_scan, *options, f"--json={tmp_path}/r.json")
    assert done.returncode == 0
    count, all_ = len(result["nodules"]), result["candidate_count"]
    assert f"{count} nodules above 0.5 among {all_} candidates" in done.stdout
    assert f"{result['nodules'][0]['probability']:.3f}" in done.stdout
    assert done.stderr == ""
    assert json.loads((tmp_path / "r.json").read_text())["nodules"] == result["nodules"]


@pytest.mark.parametrize("every", [False, True])
def test_masks_have_the_scans_geometry_and_the_results_labels(
    every: bool,
    result: dict[str, Any],
    phantom_scan: Path,
    options: tuple[str, ...],
    tmp_path: Path,
) -> None:
    outputs = [f"--mask={tmp_path}/m.mhd", f"--region-mask={tmp_path}/g.mha"]
    more = ["--all-candidates"] if every else []
    assert program.run(phantom_scan, *options, *outputs, *more).returncode == 0
    scan = sitk.ReadImage(str(phantom_scan))
    mask, region = (sitk.ReadImage(str(tmp_path / name)) for name in ("m.mhd", "g.mha"))
    for image in (mask, region):
        assert image.GetSize() == scan.GetSize()
        for get in ("GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(image, get)() == getattr(scan, get)()
    listed = result["candidates" if every else "nodules"]
    labels = sitk.GetArrayFromImage(mask)
    assert set(np.unique(labels)) == {0, *(finding["label"] for finding in listed)}
    voxel = float(np.prod(scan.GetSpacing()))
    inside = sitk.GetArrayFromImage(region)
    assert set(np.unique(inside)) == {0, 1}
    for finding in listed:
        volume = np.sum(labels == finding["label"]) * voxel
        assert volume == pytest.approx(finding["volume_mm3"], rel=1e-9)
        assert inside[tuple(int(np.rint(v)) for v in finding["center_irc"])] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.mha", "m.mhd", "m.zraw"]


def test_several_scans_are_json_lines(options: tuple[str, ...], small_scan: Path) -> None:
    done = program.run(small_scan, small_scan, *options, "--json", "-")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        CHECKED.validate(json.loads(line))
    single = program.run(small_scan, *options, "--json", "-").stdout
    assert json.loads(single)["nodules"] == json.loads(lines[0])["nodules"]


def test_a_line_keeps_what_a_path_holds(options: tuple[str, ...], tmp_path: Path) -> None:
    """Line breaks and runs of blanks in a path are no indentation."""
    odd = tmp_path / 'two   blanks\n  "and" a line.mhd'
    lunart._core.write_metaimage(
        str(tmp_path / "x.mha"), _noise((2, 16, 16)), (1, 1, 1), (0, 0, 0), np.eye(3).ravel()
    )
    odd = odd.with_suffix(".mha")
    (tmp_path / "x.mha").rename(odd)
    done = program.run(odd, odd, *options, "--json", "-")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["scan"]["path"] for line in done.stdout.splitlines()] == [str(odd)] * 2


def test_progress_as_json_lines(phantom_scan: Path, bundle: Path) -> None:
    done = program.run(phantom_scan, f"--bundle={bundle}", "--threads=1", "--progress=json")
    assert done.returncode == 0
    steps = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(set(step) == {"stage", "done", "total", "eta_s"} for step in steps)
    stages = list(dict.fromkeys(step["stage"] for step in steps))
    assert stages.index("segment") < stages.index("classify")
    (last,) = [step for step in steps if step["stage"] == "segment"][-1:]
    assert last["done"] == last["total"]


def test_progress_as_a_bar_goes_to_standard_error(small_scan: Path, bundle: Path) -> None:
    done = program.run(small_scan, f"--bundle={bundle}", "--threads=1", "--json", "-")
    assert done.returncode == 0
    assert "segment" in done.stderr
    json.loads(done.stdout)
    assert "\r" not in done.stderr  # no terminal, so nothing is redrawn


def test_the_environment_forces_an_engine_and_the_option_wins(
    bundle: Path, small_scan: Path
) -> None:
    environment = {**os.environ, "LUNART_ENGINE": "torchscript-script"}
    arguments = (small_scan, f"--bundle={bundle}", "--threads=1", "--progress=none")
    forced = program.result_of(*arguments, env=environment)
    assert forced["engine"]["name"] == "torchscript-script"
    named = program.result_of(*arguments, "--engine=torchscript-trace", env=environment)
    assert named["engine"]["name"] == "torchscript-trace"


# --- odd scans -----------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["lungs", "off"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 7), (1, 64, 64), (3, 20, 61), (40, 16, 16)])
def test_small_scans_run(
    shape: tuple[int, ...], region: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    scan = _write(tmp_path / "s.mha", _noise(shape))
    result = program.result_of(scan, *options, f"--region={region}")
    CHECKED.validate(result)
    assert result["scan"]["shape_irc"] == list(shape)
    codes = {warning["code"] for warning in result["warnings"]}
    assert ("slice-count" in codes) == (shape[0] < 16)


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int32", "float32", "float64"])
def test_every_kind_of_number_runs(kind: str, options: tuple[str, ...], tmp_path: Path) -> None:
    scan = _write(tmp_path / "s.mha", (_noise((2, 32, 32)) % 100).astype(kind))
    result = program.result_of(scan, *options, "--region=off")
    CHECKED.validate(result)
    assert "hu-range" in {warning["code"] for warning in result["warnings"]}


@pytest.mark.parametrize("hu", [-1000, 40], ids=["air", "water"])
def test_a_scan_without_lungs_is_0_with_a_warning(
    hu: int, options: tuple[str, ...], tmp_path: Path
) -> None:
    scan = _write(tmp_path / "s.mha", np.full((8, 64, 64), hu, np.int16))
    result = program.result_of(scan, *options)
    CHECKED.validate(result)
    assert result["nodules"] == []
    assert result["candidate_count"] == 0
    assert "no-lungs" in {warning["code"] for warning in result["warnings"]}


# --- where it runs, and what it never does -------------------------------------------------------


def test_the_default_bundle_is_found_here_and_beside_the_program(
    bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    here, beside, elsewhere = tmp_path / "here", tmp_path / "beside", tmp_path / "elsewhere"
    for folder in (here, beside):
        (folder / "exported").mkdir(parents=True)
        (folder / "exported" / "luna").symlink_to(bundle)
    elsewhere.mkdir()
    arguments = ["--info", "--json", "-"]
    for program_, folder in ((program.path(), here), (beside / "luna_infer", elsewhere)):
        if not program_.exists():
            program_.symlink_to(program.path())
        done = subprocess.run(
            [str(program_), *arguments], cwd=folder, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["bundle"]["name"] == "luna"


def test_it_runs_elsewhere_without_an_environment(
    options: tuple[str, ...], small_scan: Path, tmp_path: Path
) -> None:
    CHECKED.validate(program.result_of(small_scan, *options, cwd=tmp_path, env={}))
    assert list(tmp_path.iterdir()) == []


def test_it_runs_where_nothing_can_be_written_and_no_home_is(
    options: tuple[str, ...], small_scan: Path
) -> None:
    CHECKED.validate(
        program.result_of(small_scan, *options, cwd="/proc", env={"HOME": "/nonexistent"})
    )


@pytest.mark.skipif(not jail.available(), reason="the seccomp filter knows x86-64 Linux only")
def test_it_starts_no_process_and_opens_no_socket(
    bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    for attempt in (
        "import socket; socket.socket()",
        "import socket; socket.socketpair()",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
    ):
        trapped = subprocess.run(
            [sys.executable, "-c", attempt], preexec_fn=jail.enter, timeout=60, check=False
        )
        assert trapped.returncode == -signal.SIGSYS, attempt
    outputs = ["--json", "-", f"--mask={tmp_path}/m.mhd", f"--region-mask={tmp_path}/g.mha"]
    for task in ([small_scan, *outputs], ["--selfcheck", "--engine=torchscript-trace"]):
        done = program.run(*task, f"--bundle={bundle}", "--threads=2", preexec_fn=jail.enter)
        assert done.returncode == 0, (done.returncode, done.stderr)


def test_peak_memory_is_the_programs_own_and_not_its_parents(
    bundle: Path, small_scan: Path
) -> None:
    ballast = bytearray(b"x") * 1_500_000_000
    result = program.result_of(small_scan, f"--bundle={bundle}", "--progress=none")
    assert len(ballast) / 1e6 > 1.2 * result["peak_rss_mb"]
