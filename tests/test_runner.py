"""``lunart.Runner``: what it refuses, what it accepts, and that every engine finds the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jsonschema
import lunart
import numpy as np
import program
import pytest
import SimpleITK as sitk  # noqa: N813
import spoil
from lunart import Result, Runner, _core
from lunart.bundle import Bundle
from lunart.errors import BundleError, EngineError, OutputError, ScanError, UsageError
from lunart.networks import open_network
from lunart.registry import engines_of

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "result.schema.json").read_text())
CHECKED = jsonschema.Draft202012Validator(SCHEMA)
# What two runs of one thing may differ in.
VOLATILE = ("timings_s", "peak_rss_mb")


@pytest.fixture(scope="module")
def runner(bundle: Path) -> Runner:
    return Runner(bundle, engine="torchscript-trace", threads=1, all_candidates=True)


@pytest.fixture(scope="module")
def result(runner: Runner, phantom_scan: Path) -> Result:
    return runner(phantom_scan)


@pytest.fixture(scope="module")
def small(small_scan: Path) -> sitk.Image:
    return sitk.ReadImage(str(small_scan))


def _stable(result: Result | dict[str, Any], *, scan: bool = True) -> dict[str, Any]:
    data = dict(result) if isinstance(result, dict) else result.to_dict()
    for key in VOLATILE:
        del data[key]
    if not scan:
        del data["scan"]
    return data


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"threads": -3}, "threads is -3"),
        ({"threads": 5000}, "threads is 5000"),
        ({"threshold": -0.1}, "threshold is -0.1"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": float("nan")}, "threshold is"),
        ({"region": "lung"}, 'region is "lung"'),
        ({"engine": "tensorrt"}, 'no engine is called "tensorrt"'),
        ({"engine": ""}, "no engine is called"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: dict[str, Any], said: str, bundle: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        Runner(bundle, **options)


def test_a_progress_that_is_nothing_known_is_refused(runner: Runner, small: sitk.Image) -> None:
    with pytest.raises(UsageError, match="progress"):
        runner(small, progress="loud")


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    for engine in ("auto", "eager"):
        with pytest.raises(BundleError, match="luna-export"):
            Runner(tmp_path / "none", engine=engine)


def test_an_artifact_that_the_bundle_lacks_is_named(bundle: Path, tmp_path: Path) -> None:
    poor = spoil.change(
        spoil.copy_of(bundle, tmp_path / "b"), spoil.only_artifacts("torchscript-script")
    )
    with pytest.raises(EngineError, match=r"torchscript-trace; it has torchscript-script"):
        Runner(poor, engine="torchscript-trace")
    with pytest.raises(EngineError, match=r"no artifact onnx; it has torchscript-script"):
        Runner(poor, engine="onnxruntime")
    assert Runner(poor, threads=1)(np.zeros((1, 4, 4), np.int16), spacing=(1, 1, 1)).nodules == ()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 4), np.int16), "2 dimensions"),
        (np.zeros((2, 4, 4, 4), np.int16), "4 dimensions"),
        (np.zeros((0, 4, 4), np.int16), "0"),
        (np.full((4, 8, 8), np.nan, np.float32), "no finite number"),
        (np.full((4, 8, 8), -np.inf), "no finite number"),
        (np.zeros((4, 8, 8), complex), "complex128"),
        (np.zeros((4, 8, 8), bool), "bool"),
        (np.full((4, 8, 8), None, object), "object"),
        (np.full((4, 8, 8), "a"), "U1"),
    ],
    ids=str,
)
def test_an_array_that_is_no_scan_is_refused(array: Any, said: str, runner: Runner) -> None:
    with pytest.raises(ScanError, match=said):
        runner(array, spacing=(1, 1, 1))


@pytest.mark.parametrize(
    ("geometry", "error"),
    [
        ({}, UsageError),
        ({"spacing": (1, 1)}, UsageError),
        ({"spacing": (1, 1, 1), "origin": (0, 0)}, UsageError),
        ({"spacing": (1, 1, 1), "direction": (1, 0, 0)}, UsageError),
        ({"spacing": (1, 1, 0)}, ScanError),
        ({"spacing": (1, 1, -1)}, ScanError),
        ({"spacing": (1, 1, float("inf"))}, ScanError),
        ({"spacing": (1, 1, 1), "origin": (0, 0, float("nan"))}, ScanError),
        ({"spacing": (1, 1, 1), "direction": (0,) * 9}, ScanError),
        ({"spacing": (1, 1, 1), "direction": (1, 0, 0, 1, 0, 0, 0, 0, 1)}, ScanError),
    ],
    ids=str,
)
def test_a_geometry_that_makes_no_sense_is_refused(
    geometry: dict[str, Any], error: type[Exception], runner: Runner
) -> None:
    with pytest.raises(error):
        runner(np.zeros((4, 8, 8), np.int16), **geometry)


def test_images_that_are_no_volume_are_refused(runner: Runner) -> None:
    with pytest.raises(ScanError, match="2 dimensions"):
        runner(sitk.Image(8, 8, sitk.sitkInt16))
    with pytest.raises(ScanError, match="3 channels"):
        runner(sitk.Image([8, 8, 8], sitk.sitkVectorInt16, 3))


def test_a_folder_that_is_not_there_is_said_before_the_run(
    runner: Runner, small_scan: Path, tmp_path: Path
) -> None:
    steps: list[str] = []
    for key in ("json", "csv", "mask", "region_mask"):
        with pytest.raises(OutputError, match="none"):
            runner(
                small_scan,
                progress=lambda stage, done, total: steps.append(stage),
                **{key: tmp_path / "none" / "out.mha"},
            )
    assert steps == []


# --- the same scan, however it comes -------------------------------------------------------------


def test_a_result_is_what_its_schema_says(result: Result, bundle: Path, small_scan: Path) -> None:
    CHECKED.validate(result.to_dict())
    assert result.candidates is not None
    assert result.candidate_count == len(result.candidates)
    assert [n.probability for n in result.nodules] == sorted(
        (c.probability for c in result.candidates if c.probability > result.threshold),
        reverse=True,
    )
    for nodule in result.nodules:
        assert nodule in result.candidates
        assert nodule.malignancy is not None
        assert np.sum(result.mask == nodule.label) >= nodule.voxels
    assert result.engine.name == "torchscript-trace"
    assert result.engine.threads == 1
    short = Runner(bundle, threads=1)(small_scan)
    CHECKED.validate(short.to_dict())
    assert short.candidates is None
    assert "candidates" not in short.to_dict()
    assert short.engine.name == engines_of(Bundle.open(bundle))[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("warnings"),
        lambda r: r.update(more=1),
        lambda r: r["scan"].update(spacing_mm=[1, 0, 1]),
        lambda r: r["scan"].update(shape_irc=[1, 2]),
        lambda r: r["nodules"][0].update(probability=1.1),
        lambda r: r["nodules"][0].update(center_irc=[1, 2, None]),
        lambda r: r["nodules"][0].pop("malignancy"),
        lambda r: r["bundle"].update(sha256="0"),
    ],
)
def test_the_schema_is_strict(change: Any, result: Result) -> None:
    data = result.to_dict()
    change(data)
    with pytest.raises(jsonschema.ValidationError):
        CHECKED.validate(data)


def test_the_dictionary_is_the_callers_own(result: Result) -> None:
    result.to_dict()["nodules"].clear()
    assert result.to_dict()["nodules"]


def test_file_image_and_array_give_one_result(
    runner: Runner, result: Result, phantom_scan: Path
) -> None:
    image = sitk.ReadImage(str(phantom_scan))
    geometry = {
        "spacing": image.GetSpacing(),
        "origin": image.GetOrigin(),
        "direction": image.GetDirection(),
    }
    array = sitk.GetArrayFromImage(image)
    fortran = np.asfortranarray(array)[:, ::-1][:, ::-1]
    assert not fortran.flags.c_contiguous
    expected = _stable(result, scan=False)
    for scan, given in (
        (str(phantom_scan), {}),
        (image, {}),
        (array, geometry),
        (fortran, geometry),
        (array.astype(np.float64), geometry),
    ):
        got = runner(scan, **given)
        assert _stable(got, scan=False) == expected
        assert got.scan.direction == result.scan.direction
        assert got.scan.spacing_mm == result.scan.spacing_mm
        np.testing.assert_array_equal(got.mask, result.mask)
    assert got.scan.path is None
    assert result.scan.path == str(phantom_scan)
    assert result.scan.series_uid == phantom_scan.stem


@pytest.mark.parametrize(
    "kind", ["int8", "uint8", "int32", "uint32", "int64", "float32", "float64"]
)
def test_every_kind_of_number_is_taken(kind: str, runner: Runner) -> None:
    array = np.random.default_rng(0).integers(0, 100, (3, 20, 24)).astype(kind)
    quiet = runner(array.astype(np.int16), spacing=(1, 1, 1))
    assert _stable(runner(array, spacing=(1, 1, 1))) == _stable(quiet)


def test_the_array_is_left_alone(runner: Runner, small: sitk.Image) -> None:
    array = sitk.GetArrayFromImage(small)
    array.flags.writeable = False
    before = array.copy()
    runner(array, spacing=small.GetSpacing())
    np.testing.assert_array_equal(array, before)


def test_a_dicom_series_uid_is_taken_from_the_image(runner: Runner, small: sitk.Image) -> None:
    image = sitk.Image(small)
    image.SetMetaData("0020|000e", "1.2.3.4 ")
    assert runner(image).scan.series_uid == "1.2.3.4"
    assert runner(small).scan.series_uid is None


def test_the_programs_result_is_the_same(
    bundle: Path, result: Result, phantom_scan: Path, tmp_path: Path
) -> None:
    options = ("--bundle", bundle, "--engine", "torchscript-trace", "--threads", 1)
    mask = tmp_path / "mask.mhd"
    got = program.result_of(phantom_scan, *options, "--all-candidates", "--mask", mask)
    assert _stable(got) == _stable(result)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(mask))), result.mask)


def test_outputs_are_those_of_the_program(
    runner: Runner, bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    names = {"json": "r.json", "csv": "r.csv", "mask": "m.mhd", "region_mask": "g.mha"}
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    runner(small_scan, **{key: ours / name for key, name in names.items()})
    options = [f"--{key.replace('_', '-')}={theirs / name}" for key, name in names.items()]
    engine = ("--engine=torchscript-trace", "--threads=1", "--all-candidates")
    assert program.run(small_scan, f"--bundle={bundle}", *engine, *options).returncode == 0
    assert sorted(p.name for p in ours.iterdir()) == sorted(p.name for p in theirs.iterdir())
    for path in ours.iterdir():
        if path.name == "r.json":
            mine, other = (json.loads(p.read_text()) for p in (path, theirs / path.name))
            assert _stable(mine) == _stable(other)
        else:
            assert path.read_bytes() == (theirs / path.name).read_bytes()


def test_region_off_and_threshold_are_passed_on(bundle: Path, small_scan: Path) -> None:
    off = Runner(bundle, threads=1, region="off", threshold=0.99)(small_scan)
    assert off.region.all()
    assert off.threshold == 0.99


# --- engines -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_engine(engines: tuple[str, ...], bundle: Path, phantom_scan: Path) -> dict[str, Result]:
    return {
        engine: Runner(bundle, engine=engine, threads=1, all_candidates=True)(phantom_scan)
        for engine in engines
    }


def test_the_torchscript_trace_equals_eager_bit_for_bit(by_engine: dict[str, Result]) -> None:
    eager = by_engine["eager"].to_dict()
    for engine in ("torchscript-trace", "torchscript-script"):
        got = by_engine[engine].to_dict()
        assert got["candidates"] == eager["candidates"], engine
        assert got["nodules"] == eager["nodules"], engine
        np.testing.assert_array_equal(by_engine[engine].mask, by_engine["eager"].mask)


def test_every_engine_finds_the_same_nodules(
    by_engine: dict[str, Result], engines: tuple[str, ...]
) -> None:
    eager = by_engine["eager"]
    assert eager.nodules
    for engine, got in by_engine.items():
        assert got.engine.name == engine
        assert got.engine.version
        near = {n.label for n in eager.nodules if abs(n.probability - eager.threshold) < 1e-3}
        for nodule in eager.nodules:
            if nodule.label in near:
                continue
            distance, other = min(
                (float(np.linalg.norm(np.subtract(n.center_irc, nodule.center_irc))), n.label)
                for n in got.nodules
            )
            same = next(n for n in got.nodules if n.label == other)
            assert distance < 0.01
            assert same.probability == pytest.approx(nodule.probability, abs=1e-3)
            assert same.malignancy == pytest.approx(nodule.malignancy, abs=1e-3)
        flips = np.sum(got.threshold_mask != eager.threshold_mask)
        assert flips <= 1e-3 * np.sum(eager.threshold_mask) + 2
    print(f"engines compared: {', '.join(engines)}")


@pytest.mark.parametrize("threads", [1, None])
@pytest.mark.parametrize("engine", ["eager", "onnxruntime"])
def test_pythons_engines_run_with_the_threads_that_the_result_tells(
    engine: str,
    threads: int | None,
    bundle: Path,
    small_scan: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session of the wheel stands in where the core has no ONNX Runtime."""
    lacking = [{**status, "supported": False} for status in _core.engines("onnxruntime")]
    monkeypatch.setattr(_core, "engines", lambda name: lacking)
    given: list[object] = []

    def record(*arguments: Any) -> Any:
        given.append(arguments[-1])
        return open_network(*arguments)

    monkeypatch.setattr("lunart.callables.open_network", record)
    result = Runner(bundle, engine=engine, threads=threads)(small_scan)
    assert result.engine.name == engine
    assert result.engine.threads == (threads or _core.thread_count(0))
    assert set(given) == {result.engine.threads}


def test_the_environment_forces_an_engine(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, small_scan: Path
) -> None:
    monkeypatch.setenv("LUNART_ENGINE", "torchscript-script")
    assert Runner(bundle, threads=1)(small_scan).engine.name == "torchscript-script"
    named = Runner(bundle, threads=1, engine="torchscript-trace")
    assert named(small_scan).engine.name == "torchscript-trace"
    monkeypatch.setenv("LUNART_ENGINE", "nonsense")
    with pytest.raises(UsageError, match="nonsense"):
        Runner(bundle, threads=1)


# --- callbacks, threads, Ctrl-C ------------------------------------------------------------------


def test_progress_tells_every_stage_in_order(runner: Runner, phantom_scan: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    runner(phantom_scan, progress=lambda *step: steps.append(step))
    order = ["read", "region", "segment", "group", "classify", "malignancy"]
    seen = list(dict.fromkeys(stage for stage, _, _ in steps))
    assert [stage for stage in order if stage in seen] == seen
    assert {"region", "segment", "group", "classify"} <= set(seen)
    for stage in ("segment", "classify"):
        done = [(d, t) for s, d, t in steps if s == stage]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1] > 0


class _OwnError(Exception):
    pass


@pytest.mark.parametrize("engine", ["torchscript-trace", "eager"])
@pytest.mark.parametrize("at", ["region", "segment", "group", "classify"])
def test_what_a_callback_raises_passes_unchanged(
    at: str, engine: str, bundle: Path, phantom_scan: Path, tmp_path: Path
) -> None:
    mine = _OwnError("mine")

    def stop(stage: str, done: int, total: int) -> None:
        if stage == at:
            raise mine

    runner = Runner(bundle, engine=engine, threads=1)
    with pytest.raises(_OwnError) as caught:
        runner(phantom_scan, progress=stop, json=tmp_path / "r.json", mask=tmp_path / "m.mha")
    assert caught.value is mine
    assert list(tmp_path.iterdir()) == []


def test_a_runner_works_on_after_a_run_that_was_stopped(
    runner: Runner, result: Result, phantom_scan: Path
) -> None:
    def stop(*step: object) -> None:
        raise _OwnError

    with pytest.raises(_OwnError):
        runner(phantom_scan, progress=stop)
    assert _stable(runner(phantom_scan)) == _stable(result)


def test_the_bar_goes_to_standard_error_of_a_terminal_only(
    runner: Runner,
    small_scan: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner(small_scan, progress="bar")
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    runner(small_scan, progress="bar")
    out, err = capfd.readouterr()
    assert out == ""
    assert "segment" in err
    assert err.endswith("\n")


def test_other_threads_go_on_during_a_run(bundle: Path) -> None:
    """A thread that counts makes progress between any two slices, so the GIL was free."""
    counter = 0
    running = True
    seen: list[int] = []

    def count() -> None:
        nonlocal counter
        while running:
            counter += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        scan = np.random.default_rng(0).integers(-1000, 400, (6, 256, 256)).astype(np.int16)
        whole = Runner(bundle, engine="torchscript-trace", threads=1, region="off")
        whole(scan, spacing=(1, 1, 1), progress=lambda *step: seen.append(counter))
    finally:
        running = False
        thread.join()
    assert (np.diff(seen) > 0).sum() >= 5


_CTRL_C = """
import sys, time
import numpy as np
from lunart import Runner
scan = np.random.default_rng(0).integers(-1000, 400, (400, 128, 128)).astype(np.int16)
runner = Runner(sys.argv[1], engine=sys.argv[2], threads=1, region="off")
print("ready", flush=True)
try:
    runner(scan, spacing=(1, 1, 1))
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("finished", flush=True)
"""


@pytest.mark.parametrize("engine", ["torchscript-trace", "eager"])
def test_ctrl_c_stops_a_run(engine: str, bundle: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CTRL_C, str(bundle), engine], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        try:
            answer = child.stdout.readline()
            waited = time.monotonic() - began
        finally:
            child.kill()
    assert answer == "interrupted\n"
    # The promise is one second; a busy machine gets three.
    assert waited < 3


def test_importing_lunart_loads_no_pytorch() -> None:
    code = "import sys, lunart; sys.exit(any(m in sys.modules for m in ('torch', 'SimpleITK')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_scan_is_released_with_its_result(runner: Runner) -> None:
    array = np.zeros((2, 16, 16), np.int16)
    before = sys.getrefcount(array)
    result = runner(array, spacing=(1, 1, 1))
    del result
    assert sys.getrefcount(array) == before


@pytest.mark.parametrize("path", ["Ünïcode nodule.mhd", "with space.mhd", 'a,b"c.mhd'])
def test_any_file_name_is_written_right(
    path: str, runner: Runner, small: sitk.Image, tmp_path: Path
) -> None:
    scan = tmp_path / path
    # SimpleITK writes names with quotes that its own reader refuses; the array does as well.
    lunart._core.write_metaimage(
        str(scan),
        sitk.GetArrayFromImage(small),
        small.GetSpacing(),
        small.GetOrigin(),
        small.GetDirection(),
    )
    result = runner(scan)
    assert result.to_dict()["scan"]["path"] == str(scan)
    assert result.scan.series_uid is None
    CHECKED.validate(result.to_dict())
