"""The native ONNX Runtime engine: wrong libraries and files first, then its numbers."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lunart
import numpy as np
import onnx
import program
import pytest
import spoil
from lunart import Runner, _core
from lunart.errors import EngineError, UsageError
from lunart.networks import open_network
from lunart.registry import runs_in_python
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ENGINE = "onnxruntime"
VARIABLE = "LUNART_ONNXRUNTIME"
ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "cpp" / "cmake" / "onnxruntime_headers.sh"
SEGMENTATION, CLASSIFICATION = "segmentation", "classification"


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    (status,) = _core.engines(ENGINE)
    if not status["built"]:
        pytest.skip(status["why_not"])
    assert status["supported"], status["why_not"]


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return spoil.copy_of(bundle, tmp_path / "luna")


def _input(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1000, 1000, shape).astype(np.float32)


def _wheel() -> Path:
    spec = find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    return next((Path(spec.origin).parent / "capi").glob("libonnxruntime.so.*"))


def _environment(**changed: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **changed}


# --- libraries -----------------------------------------------------------------------------------

_OLD = """
typedef struct { const void* (*GetApi)(unsigned); const char* (*GetVersionString)(void); } Base;
static const void* none(unsigned version) { (void)version; return 0; }
static const char* version(void) { return VERSION; }
const Base* OrtGetApiBase(void) { static const Base base = {none, version}; return &base; }
"""


def _library_of(folder: Path, version: str) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    path = folder / "libonnxruntime.so.1"
    source = folder / "old.c"
    source.write_text(_OLD)
    define = f'-DVERSION="{version}"'
    subprocess.run([compiler, define, "-shared", "-fPIC", "-o", path, source], check=True)
    return path


def _refused(named: Path, bundle: Path, scan: Path) -> str:
    return program.refused(
        5,
        scan,
        f"--bundle={bundle}",
        f"--engine={ENGINE}",
        env=_environment(**{VARIABLE: str(named)}),
    )


def test_a_variable_that_names_nothing_is_an_error(
    bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    for named in (tmp_path, tmp_path / "none", tmp_path / "none" / "libonnxruntime.so"):
        message = _refused(named, bundle, small_scan)
        assert VARIABLE in message
        assert str(named) in message
        assert "unset it" in message


def test_a_file_that_is_no_library_is_an_error(
    bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    garbage = tmp_path / "libonnxruntime.so.1.99.0"
    for content in (b"", b"garbage" * 100, _wheel().read_bytes()[:100_000]):
        garbage.write_bytes(content)
        message = _refused(tmp_path, bundle, small_scan)
        assert str(garbage) in message
        assert "pip install" in message


def test_another_library_is_an_error(bundle: Path, small_scan: Path, tmp_path: Path) -> None:
    other = ctypes.util.find_library("z")
    if other is None:
        pytest.skip("no libz to take for it")
    (tmp_path / "libonnxruntime.so").symlink_to(_path_of(other))
    message = _refused(tmp_path, bundle, small_scan)
    assert "OrtGetApiBase" in message


def _path_of(library: str) -> str:
    ctypes.CDLL(library)
    maps = Path("/proc/self/maps").read_text().split()
    return next(word for word in maps if Path(word).name.startswith(library))


@pytest.mark.parametrize("version", ["1.9.0", "0.99.9", "", "none", "1", "1.", "99.0.0"])
def test_an_older_library_is_refused_with_both_versions(
    version: str, bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    library = _library_of(tmp_path, version)
    message = _refused(library, bundle, small_scan)
    assert f"{library} is ONNX Runtime {version}, and lunart needs 1." in message
    assert "pip install 'onnxruntime>=1." in message


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """``luna_infer`` and the package as the wheel installs them, without ONNX Runtime."""
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (tmp_path / "env" / "lib" / python / "site-packages" / "lunart").mkdir(parents=True)
    (tmp_path / "env" / "bin").mkdir()
    shutil.copy2(program.path(), tmp_path / "env" / "bin" / "luna_infer")
    return tmp_path / "env"


def _status(environment: Path, **changed: str) -> tuple[int, str]:
    done = subprocess.run(
        [environment / "bin" / "luna_infer", "--engines"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=changed,
    )
    return done.returncode, next(line for line in done.stdout.splitlines() if ENGINE in line)


def test_without_the_library_the_way_out_is_named(installed: Path) -> None:
    if ctypes.util.find_library("onnxruntime"):
        pytest.skip("the system has an ONNX Runtime")
    _, line = _status(installed)
    assert "[✓]" not in line
    assert "pip install 'onnxruntime>=1." in line
    assert VARIABLE in line


def test_the_wheel_beside_lunart_is_found(installed: Path) -> None:
    capi = next(installed.glob("lib/*/site-packages")) / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    (capi / _wheel().name).symlink_to(_wheel())
    assert f"[✓] {ENGINE} 1." in _status(installed)[1]


@pytest.mark.parametrize("folder", ["lib", "lib/lunart", "bin"])
def test_the_library_of_a_folder_that_was_shipped_is_found(folder: str, installed: Path) -> None:
    (installed / folder).mkdir(exist_ok=True)
    (installed / folder / "libonnxruntime.so.1").symlink_to(_wheel())
    assert f"[✓] {ENGINE} 1." in _status(installed)[1]


def test_the_variable_names_a_library_or_its_folder(installed: Path) -> None:
    for named in (_wheel(), _wheel().parent):
        assert f"[✓] {ENGINE} 1." in _status(installed, **{VARIABLE: str(named)})[1]


# --- files ---------------------------------------------------------------------------------------


def _onnx(bundle: Path, model: str = SEGMENTATION) -> Path:
    return bundle / model / "onnx.onnx"


def _selfcheck(bundle: Path) -> list[dict[str, Any]]:
    spoil.rehash(bundle)
    return [c for c in _core.selfcheck(str(bundle), ENGINE, 1) if not c["passed"]]


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\x3a\xff\xff\xff\x7f", b"not a model"])
def test_a_file_that_is_no_model_is_named(content: bytes, copy: Path) -> None:
    path = _onnx(copy)
    path.write_bytes(content)
    wrong = [check for check in _selfcheck(copy) if check["model"] == SEGMENTATION]
    assert [check["check"] for check in wrong] == ["load"]
    assert "onnx.onnx" in wrong[0]["detail"]
    with pytest.raises(EngineError, match=r"segmentation/onnx\.onnx") as caught:
        Runner(copy, engine=ENGINE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99, 1.0])
def test_a_file_that_was_cut_off_is_refused(share: float, copy: Path) -> None:
    path = _onnx(copy)
    content = path.read_bytes()
    path.write_bytes(content[: min(len(content) - 1, int(share * len(content)))])
    wrong = [check["check"] for check in _selfcheck(copy) if check["model"] == SEGMENTATION]
    assert wrong == ["load"]


def test_random_damage_never_ends_the_program(copy: Path) -> None:
    path = _onnx(copy, CLASSIFICATION)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(content)
        # Where the structure is: names and sizes, not the weights.
        for place in random.integers(0, 3000, 8):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        spoil.rehash(copy)
        try:
            network = open_network(copy, CLASSIFICATION, ENGINE, 1)
            network(_input((1, 1, 32, 48, 48)))
        except EngineError as error:
            assert "onnx.onnx" in str(error)  # noqa: PT017


def test_a_changed_weight_is_found_however_small(copy: Path) -> None:
    path = _onnx(copy)
    model = onnx.load(path)
    tensor = max(model.graph.initializer, key=lambda t: int(np.prod(t.dims)))
    array = numpy_helper.to_array(tensor).copy()
    array.flat[0] = np.nextafter(array.flat[0], np.float32(9))
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, path)
    (check,) = _selfcheck(copy)
    assert check["check"] == "weights differing"
    assert check["value"] == 1
    assert tensor.name in check["detail"]


def test_weights_are_read_in_every_form_that_onnx_has(copy: Path) -> None:
    path = _onnx(copy)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.float_data.extend(numpy_helper.to_array(tensor).ravel().tolist())
            tensor.ClearField("raw_data")
    onnx.save(model, path)
    assert _selfcheck(copy) == []


def _identity(kind: int, names: tuple[str, ...] = ("hu",)) -> onnx.ModelProto:
    shape = ["batch", 7, "height", "width"]
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name in names]
    output = helper.make_tensor_value_info("probability", kind, shape)
    node = helper.make_node("Identity", [names[0]], ["probability"])
    graph = helper.make_graph([node], "identity", inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (_identity(TensorProto.DOUBLE), "input hu is no float32 tensor"),
        (_identity(TensorProto.FLOAT, ("hu", "more")), "2 inputs, expected 1"),
    ],
)
def test_a_network_of_another_kind_is_refused(
    model: onnx.ModelProto, said: str, copy: Path
) -> None:
    onnx.save(model, _onnx(copy))
    spoil.rehash(copy)
    with pytest.raises(EngineError, match=said):
        open_network(copy, SEGMENTATION, ENGINE)


def test_an_input_of_another_shape_is_an_error_in_one_line(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = open_network(bundle, SEGMENTATION, ENGINE, 1)
    for shape in ((1, 6, 64, 64), (7, 64, 64), (1, 7, 64, 66)):
        with pytest.raises(EngineError, match=r"onnx\.onnx: ONNX Runtime failed") as caught:
            network(_input(shape))
        assert "\n" not in str(caught.value)
    assert network(_input((1, 7, 64, 64)))["probability"].shape == (1, 1, 64, 64)
    assert capfd.readouterr() == ("", "")


def test_bf16_is_refused_natively_and_in_python(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="does not compute in bf16"):
        Runner(bundle, engine=ENGINE, precision="bf16")
    with pytest.raises(EngineError, match="eager: does not compute in bf16"):
        Runner(bundle, engine="eager", precision="bf16")
    with pytest.raises(UsageError, match="f16"):
        open_network(bundle, SEGMENTATION, ENGINE, precision="f16")
    lacking = [{**status, "supported": False} for status in _core.engines(ENGINE)]
    monkeypatch.setattr(_core, "engines", lambda name: lacking)
    with pytest.raises(EngineError, match="onnxruntime: does not compute in bf16"):
        Runner(bundle, engine=ENGINE, precision="bf16")


def test_who_names_a_library_gets_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = [{**status, "supported": False} for status in _core.engines(ENGINE)]
    monkeypatch.setattr(_core, "engines", lambda name: lacking)
    assert runs_in_python(ENGINE)
    monkeypatch.setenv(VARIABLE, "/none")
    assert not runs_in_python(ENGINE)


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (SEGMENTATION, (1, 7, 64, 64)),
        (SEGMENTATION, (3, 7, 96, 48)),
        (SEGMENTATION, (1, 7, 4, 4)),
        (SEGMENTATION, (2, 7, 132, 260)),
        (CLASSIFICATION, (1, 1, 32, 48, 48)),
        (CLASSIFICATION, (9, 1, 32, 48, 48)),
        ("malignancy", (4, 1, 32, 48, 48)),
    ],
)
@pytest.mark.usefixtures("_one_thread")
def test_numbers_are_eagers(model: str, shape: tuple[int, ...], bundle: Path) -> None:
    array = _input(shape)
    eager = open_network(bundle, model, "eager", 1)(array)
    got = open_network(bundle, model, ENGINE, 2)(array)
    assert list(got) == list(eager)
    for name, expected in eager.items():
        assert got[name].dtype == np.float32
        np.testing.assert_allclose(got[name], expected, rtol=1e-3, atol=1e-3)


def test_two_lanes_equal_one_bit_for_bit(bundle: Path, phantom_scan: Path) -> None:
    one, two = (
        Runner(bundle, engine=ENGINE, threads=threads, all_candidates=True)(phantom_scan)
        for threads in (1, 2)
    )
    assert one.candidates
    assert one.candidates == two.candidates
    np.testing.assert_array_equal(one.mask, two.mask)
    np.testing.assert_array_equal(one.threshold_mask, two.threshold_mask)


def test_calls_side_by_side_equal_calls_in_turn(bundle: Path) -> None:
    network = _core.Network(bundle, SEGMENTATION, ENGINE, 4)
    arrays = [_input((1, 7, 48 + 16 * (k % 3), 64), k) for k in range(24)]
    in_turn = [network(array)[0] for array in arrays]
    with ThreadPoolExecutor(4) as pool:
        side_by_side = list(pool.map(lambda array: network(array)[0], arrays))
    for a, b in zip(in_turn, side_by_side, strict=True):
        np.testing.assert_array_equal(a, b)


_THREADS = """
import os, sys
from lunart import _core
# The library itself starts one.
network = _core.Network(sys.argv[1], "segmentation", "onnxruntime", 1)
before = len(os.listdir("/proc/self/task"))
others = [_core.Network(sys.argv[1], m, "onnxruntime", int(sys.argv[2]))
          for m in ("segmentation", "classification")]
print((len(os.listdir("/proc/self/task")) - before) / len(others), others[0].lanes)
"""


def _python(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("threads", "workers", "lanes"), [(1, 0, 1), (2, 0, 2), (3, 1, 2), (8, 6, 2)]
)
def test_lanes_and_workers_are_the_threads_that_were_asked_for(
    threads: int, workers: int, lanes: int, bundle: Path
) -> None:
    each, found = _python(_THREADS, bundle, threads).split()
    assert (float(each), int(found)) == (workers, lanes)


def test_one_thread_uses_one_processor(bundle: Path, phantom_scan: Path) -> None:
    runner = Runner(bundle, engine=ENGINE, threads=1, region="off")
    began, used = time.perf_counter(), time.process_time()
    result = runner(phantom_scan, progress="none")
    past, used = time.perf_counter() - began, time.process_time() - used
    assert result.engine.threads == 1
    assert used <= 1.1 * past


def test_fifty_runs_keep_their_memory(bundle: Path, small_scan: Path) -> None:
    runner = Runner(bundle, engine=ENGINE, threads=2, region="off")
    resident = []
    for _ in range(50):
        runner(small_scan, progress="none")
        status = Path("/proc/self/status").read_text()
        resident.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
    print(f"MB after 10 and 50 runs: {resident[9]:.0f}, {resident[49]:.0f}")
    assert resident[49] <= resident[9] + 8


_WITH_PYTHONS = """
import sys
import numpy as np
from lunart import _core
array = np.random.default_rng(0).uniform(-1000, 1000, (1, 7, 64, 64)).astype(np.float32)
def native():
    return _core.Network(sys.argv[1], "segmentation", "onnxruntime", 2)(array)[0]
def of_the_wheel():
    import onnxruntime
    session = onnxruntime.InferenceSession(f"{sys.argv[1]}/segmentation/onnx.onnx")
    return session.run(None, {"hu": array})[0]
calls = {"native": native, "wheel": of_the_wheel}
first, second = sys.argv[2:]
a, b, c, d = (calls[name]() for name in (first, second, first, second))
assert (a == c).all() and (b == d).all()
print(np.abs(a - b).max())
"""


@pytest.mark.parametrize("order", [("native", "wheel"), ("wheel", "native")])
def test_it_lives_in_one_process_with_pythons(order: tuple[str, str], bundle: Path) -> None:
    assert float(_python(_WITH_PYTHONS, bundle, *order)) < 1e-4


# --- Python's list -------------------------------------------------------------------------------


def test_the_list_of_engines_says_what_runs_here() -> None:
    found = {engine.name: engine for engine in lunart.engines()}
    assert list(found) == [engine["name"] for engine in _core.engines()]
    here = found[ENGINE]
    assert here.supported
    assert here.artifacts == ("onnx",)
    assert here.precisions == ("f32",)
    assert here.version.startswith("1.")
    for engine in found.values():
        assert bool(engine.why_not) != engine.supported
        assert bool(engine.version) == engine.supported


# --- headers -------------------------------------------------------------------------------------


def _headers(target: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", SCRIPT, target],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=_environment(**changed),
    )


def test_headers_that_are_there_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime_c_api.h").write_text("ours")
    done = _headers(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "onnxruntime_c_api.h").read_text() == "ours"


def _no_apt(tools: Path) -> None:
    for name in ("dirname", "basename"):
        (tools / name).symlink_to(shutil.which(name) or "")


def _apt_that(tools: Path, script: str) -> None:
    """Every tool but apt-get, which is ``script``."""
    for folder in ("/usr/bin", "/bin"):
        for path in Path(folder).iterdir():
            if path.name != "apt-get" and not (tools / path.name).exists():
                (tools / path.name).symlink_to(path)
    (tools / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "apt-get").chmod(0o755)


def _no_mirror(tools: Path) -> None:
    _apt_that(tools, "exit 0")


def _no_network(tools: Path) -> None:
    mirror = "echo https://mirror.invalid/debian/"
    fail = "echo 'E: no route to the mirror'; exit 100"
    _apt_that(tools, f'case "$*" in indextargets*) {mirror};; *) {fail};; esac')


@pytest.mark.parametrize(
    ("spoil_tools", "said"),
    [
        (_no_apt, "apt-get"),
        (_no_mirror, "no mirror of Debian"),
        (_no_network, "no route to the mirror"),
    ],
)
def test_without_apt_or_network_the_headers_stay_away_and_it_is_said(
    spoil_tools: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    spoil_tools(tools)
    (tmp_path / "cache").mkdir()
    done = _headers(tmp_path / "cache" / "headers", PATH=str(tools))
    if "debian-archive-keyring" in done.stderr:
        pytest.skip("no Debian")
    assert done.returncode == 1
    assert said in done.stderr
    assert "LUNART_ONNXRUNTIME_INCLUDE" in done.stderr
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_build_that_wants_the_engine_names_the_script_when_headers_lack(tmp_path: Path) -> None:
    tools = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    cmake = shutil.which("cmake", path=tools)
    if cmake is None:
        pytest.skip("no cmake")
    command = [
        *(cmake, "-S", str(ROOT), "-B", str(tmp_path / "build")),
        *(f"-DPython_EXECUTABLE={sys.executable}", "-DLUNART_ENGINES=onnxruntime"),
        f"-DLUNART_ONNXRUNTIME_INCLUDE={tmp_path}",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=_environment(PATH=tools),
    )
    assert done.returncode != 0
    assert "onnxruntime_headers.sh" in done.stderr
    assert str(tmp_path) in done.stderr
