"""The native OpenVINO engine: what it refuses first, then that it is right, and what it uses.

Its model cache has a file of its own: ``test_model_cache.py``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lunart
import numpy as np
import openvino_here
import program
import pytest
import spoil
from lunart import Runner
from lunart.errors import EngineError
from lunart.networks import FloatArray, open_network
from openvino_here import ENGINE

PACKAGE = Path(lunart.__file__).parent
SEGMENTATION = "segmentation"


pytestmark = pytest.mark.usefixtures("openvino_supported", "openvino_cache")


def _onnx(bundle: Path, model: str = SEGMENTATION) -> Path:
    return bundle / model / "onnx.onnx"


# --- bundles that it refuses ---------------------------------------------------------------------


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _without_a_graph(content: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    model.ClearField("graph")
    return bytes(model.SerializeToString())


def _with_an_unknown_operator(content: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    model.graph.node[0].op_type = "Fancy"
    return bytes(model.SerializeToString())


def _with_doubles(content: bytes) -> bytes:
    import onnx

    axes: list[str | int | None] = ["n", 7, "h", "w"]
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, axes)
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, axes)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    opset = onnx.load_from_string(content).opset_import
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(model.SerializeToString())


def _with_two_inputs(content: bytes) -> bytes:
    import onnx

    axes: list[str | int | None] = ["n", 7, "h", "w"]
    a, b, c = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes) for name in "abc"
    )
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "b"], ["c"])], "g", [a, b], [c]
    )
    opset = onnx.load_from_string(content).opset_import
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, ""),
        (lambda content: b"", ""),
        (lambda content: b"garbage " * 100, ""),
        (_without_a_graph, ""),
        (_with_an_unknown_operator, "Fancy"),
        (_with_doubles, "float32"),
        (_with_two_inputs, "2 inputs"),
    ],
    ids=["cut", "empty", "garbage", "no-graph", "unknown-operator", "doubles", "two-inputs"],
)
def test_an_onnx_that_cannot_be_used_is_an_engine_error_of_one_line(
    damage: Callable[[bytes], bytes], said: str, bundle: Path, tmp_path: Path
) -> None:
    wrong = spoil.copy_of(bundle, tmp_path / "b")
    _onnx(wrong).write_bytes(damage(_onnx(bundle).read_bytes()))
    with pytest.raises(EngineError) as raised:
        Runner(spoil.rehash(wrong), engine=ENGINE)
    message = str(raised.value)
    assert message.startswith(f"openvino: {_onnx(wrong)}: "), message
    assert said in message
    assert "\n" not in message
    assert "Exception from" not in message


@pytest.mark.parametrize(
    "shape", [(1, 7, 34, 40), (1, 6, 32, 32), (7, 32, 32), (1, 1, 7, 32, 32)], ids=str
)
def test_an_input_that_does_not_fit_is_an_engine_error_and_the_next_is_answered(
    shape: tuple[int, ...], bundle: Path
) -> None:
    network = open_network(bundle, SEGMENTATION, ENGINE)
    with pytest.raises(EngineError, match=r"^openvino: a network failed: [^\n]+$"):
        network(np.zeros(shape, np.float32))
    assert network(np.zeros((1, 7, 32, 32), np.float32))["probability"].shape == (1, 1, 32, 32)


def test_a_weight_that_differs_in_its_last_bit_is_found(bundle: Path, tmp_path: Path) -> None:
    import onnx

    wrong = spoil.copy_of(bundle, tmp_path / "b")
    model = onnx.load(_onnx(wrong))
    weight = next(w for w in model.graph.initializer if w.name.endswith("block.0.weight"))
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[3] = np.nextafter(values.flat[3], np.float32(9))
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, _onnx(wrong))
    arguments = ("--selfcheck", f"--bundle={spoil.rehash(wrong)}", f"--engine={ENGINE}")
    done = program.run(*arguments)
    assert done.returncode == 6, done.stdout + done.stderr
    assert f"weights differing: 1 (limit 0), first: {weight.name}" in done.stdout


# --- processors and installations ----------------------------------------------------------------


def test_bf16_on_a_processor_without_it_is_5_and_says_what_works(
    bundle: Path, small_scan: Path
) -> None:
    if "bf16" in openvino_here.status()["precisions"]:
        pytest.skip("this processor computes in bf16")
    arguments = (small_scan, f"--bundle={bundle}", f"--engine={ENGINE}", "--precision=bf16")
    message = program.refused(5, *arguments)
    assert "does not compute in bf16" in message
    assert "--precision f32" in message


def test_what_openvino_cannot_compile_is_5_and_one_line(bundle: Path, small_scan: Path) -> None:
    """It lists bf16 by the processor and not by the instruction set it is limited to."""
    if "bf16" not in openvino_here.status()["precisions"]:
        pytest.skip("this processor does not compute in bf16")
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    arguments = (small_scan, f"--bundle={bundle}", f"--engine={ENGINE}", "--precision=bf16")
    message = program.refused(5, *arguments, env=environment)
    assert message.startswith(f"luna_infer: error: openvino: {bundle}")
    assert message.count("\n") == 1


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """``site-packages`` as a wheel fills it, with an OpenVINO of its own."""
    openvino = pytest.importorskip("openvino")
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = tmp_path / "env" / "lib" / python / "site-packages"
    (site / "lunart").mkdir(parents=True)
    (site / "openvino" / "libs").mkdir(parents=True)
    (tmp_path / "env" / "bin").mkdir()
    shutil.copy2(program.path(), tmp_path / "env" / "bin" / "luna_infer")
    shutil.copy2(PACKAGE / "liblunart_openvino.so", site / "lunart")
    recipe = json.loads((PACKAGE / "liblunart_openvino.json").read_text())
    recipe["lib_folders"] = ["../openvino/libs"]
    (site / "lunart" / "liblunart_openvino.json").write_text(json.dumps(recipe))
    for path in (Path(openvino.__file__).parent / "libs").iterdir():
        if not re.search("openvino.so|cpu_plugin|onnx_frontend|tbb|hwloc", path.name):
            continue
        shutil.copy2(path, site / "openvino" / "libs")  # a link would lead to the real folder
    return site


def _run_installed(site: Path, cache: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [site.parents[2] / "bin" / "luna_infer", *arguments, f"--engine={ENGINE}"]
    environment = {"XDG_CACHE_HOME": str(cache.parents[1])}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=120, check=False,
        env=environment,
    )  # fmt: skip


def _library(site: Path) -> Path:
    (library,) = (site / "openvino" / "libs").glob("libopenvino.so.*")
    return library


def _another_release(site: Path) -> None:
    _library(site).rename(site / "openvino" / "libs" / "libopenvino.so.2530")


def _no_library(site: Path) -> None:
    shutil.rmtree(site / "openvino")


def _no_reader(site: Path) -> None:
    for path in (site / "openvino" / "libs").glob("libopenvino_onnx_frontend*"):
        path.unlink()


def _no_plugin(site: Path) -> None:
    (site / "openvino" / "libs" / "libopenvino_intel_cpu_plugin.so").unlink()


def _no_module(site: Path) -> None:
    (site / "lunart" / "liblunart_openvino.so").unlink()


def _no_recipe(site: Path) -> None:
    (site / "lunart" / "liblunart_openvino.json").unlink()


def _another_lunart(site: Path) -> None:
    path = site / "lunart" / "liblunart_openvino.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "lunart": "0.0.7"}))


def _no_library_at_all(site: Path) -> None:
    library = _library(site)
    library.unlink()
    library.write_bytes(b"no library")


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (_no_library, "pip install openvino=="),
        (_another_release, "pip install openvino=="),
        (_no_library_at_all, "libopenvino.so"),
        (_no_plugin, "reinstall openvino"),
        (_no_reader, "onnx.onnx"),
        (_no_module, "install lunart again"),
        (_no_recipe, "install lunart again"),
        (_another_lunart, "0.0.7"),
    ],
)
def test_a_broken_installation_is_5_and_named(
    break_it: Callable[[Path], None],
    said: str,
    installed: Path,
    openvino_cache: Path,
    bundle: Path,
    small_scan: Path,
) -> None:
    break_it(installed)
    done = _run_installed(installed, openvino_cache, small_scan, f"--bundle={bundle}")
    assert done.returncode == 5, (done.returncode, done.stderr)
    assert done.stderr.startswith("luna_infer: error: openvino: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr


def test_an_installation_is_found_without_any_environment(
    installed: Path, openvino_cache: Path, bundle: Path, small_scan: Path
) -> None:
    done = _run_installed(installed, openvino_cache, small_scan, f"--bundle={bundle}")
    assert done.returncode == 0, done.stderr


# --- numbers -------------------------------------------------------------------------------------


def _input(shape: tuple[int, ...]) -> FloatArray:
    values = np.random.default_rng(0).uniform(-1000, 400, shape)
    return np.clip(values, -1000, 1000).astype(np.float32)


SHAPES = [
    *((SEGMENTATION, shape) for shape in ((1, 7, 32, 32), (1, 7, 36, 84), (3, 7, 64, 48))),
    *(("classification", (n, 1, 32, 48, 48)) for n in (1, 2, 5)),
    ("malignancy", (4, 1, 32, 48, 48)),
]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize(("model", "shape"), SHAPES, ids=str)
@pytest.mark.usefixtures("_one_thread")
def test_it_answers_as_pytorch_does(
    model: str, shape: tuple[int, ...], threads: int, bundle: Path
) -> None:
    array = _input(shape)
    expected = open_network(bundle, model, "eager")(array)
    network = open_network(bundle, model, ENGINE, threads)
    for _ in range(2):
        outputs = network(array)
        assert list(outputs) == list(expected)
        for name, values in expected.items():
            assert outputs[name].dtype == np.float32
            np.testing.assert_allclose(outputs[name], values, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("_one_thread")
def test_bf16_is_near_and_named(bundle: Path, small_scan: Path) -> None:
    if "bf16" not in openvino_here.status()["precisions"]:
        pytest.skip("this processor does not compute in bf16")
    array = _input((1, 7, 64, 64))
    expected = open_network(bundle, SEGMENTATION, "eager")(array)["probability"]
    got = open_network(bundle, SEGMENTATION, ENGINE, precision="bf16")(array)["probability"]
    # bf16 keeps eight bits of a number.
    assert abs(got - expected).max() > 0
    assert abs(got - expected).mean() < 0.02
    for precision in ("bf16", "f32"):
        runner = Runner(bundle, engine=ENGINE, precision=precision, region="off", progress="none")
        assert runner(small_scan).to_dict()["engine"]["precision"] == precision


def test_calls_side_by_side_answer_as_one_after_another(bundle: Path) -> None:
    network = open_network(bundle, SEGMENTATION, ENGINE, 2)
    arrays = [_input((1, 7, 32 + 16 * (k % 3), 48)) * (k + 1) / 8 for k in range(8)]
    alone = [network(array)["probability"] for array in arrays]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            together = list(pool.map(lambda array: network(array)["probability"], arrays))
            for one, other in zip(alone, together, strict=True):
                assert np.array_equal(one, other)


# --- threads and memory --------------------------------------------------------------------------


def _seconds_by_thread() -> dict[str, float]:
    """Processor time of each thread of this process."""
    ticks = os.sysconf("SC_CLK_TCK")
    seconds = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        seconds[task.name] = (int(fields[11]) + int(fields[12])) / ticks
    return seconds


def test_one_thread_keeps_one_processor_busy(bundle: Path) -> None:
    network = open_network(bundle, SEGMENTATION, ENGINE, 1)
    array = _input((1, 7, 256, 256))
    network(array)
    before = _seconds_by_thread()
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(network, [array] * 12):
            pass
    wall = time.monotonic() - began
    after = _seconds_by_thread()
    used = sorted(after[task] - before.get(task, 0.0) for task in after)
    assert sum(used) < 1.1 * wall + 0.1
    # The callers copy and wait; who computes is alone.
    assert used[-1] > 0.8 * sum(used)


def test_the_program_with_one_thread_uses_one(bundle: Path, phantom_scan: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    program.result_of(phantom_scan, f"--bundle={bundle}", f"--engine={ENGINE}", "--threads=1")
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 1.1 * wall


def test_memory_is_flat_over_fifty_runs(bundle: Path, small_scan: Path) -> None:
    arguments = [f"--bundle={bundle}", f"--engine={ENGINE}", "--region=off", "--json", "-"]
    done = program.run(*[small_scan] * 50, *arguments)
    assert done.returncode == 0, done.stderr
    peaks = [json.loads(line)["peak_rss_mb"] for line in done.stdout.splitlines()]
    assert len(peaks) == 50
    assert peaks[-1] - peaks[9] < 4


OPENINGS = """
import sys
from pathlib import Path
from lunart.networks import open_network
import numpy as np

def used():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in l)
    return int(line.split()[1]) / 1024

array = np.zeros((1, 7, 64, 64), np.float32)
for k in range(50):
    open_network(sys.argv[1], "segmentation", "openvino", 2)(array)
    if k == 9:
        early = used()
print(used() - early)
"""


def test_memory_is_flat_over_fifty_openings(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPENINGS, str(bundle)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10


ONE_PROCESS = """
import sys
from pathlib import Path
import numpy as np

bundle, scan, first = sys.argv[1:]

def ours():
    from lunart import Runner
    result = Runner(bundle, engine="openvino", region="off", threads=2, progress="none")(scan)
    print(len(result.to_dict()["nodules"]), result.to_dict()["engine"]["name"])

def theirs():
    import onnxruntime, openvino, torch
    path = str(Path(bundle) / "segmentation" / "onnx.onnx")
    array = np.zeros((1, 7, 32, 32), np.float32)
    one = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    two = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert abs(one.run(None, {one.get_inputs()[0].name: array})[0] - two(array)[0]).max() < 1e-3
    torch.nn.functional.conv2d(torch.zeros(1, 7, 32, 32), torch.zeros(7, 7, 3, 3))

for part in ([ours, theirs, ours] if first == "ours" else [theirs, ours, theirs]):
    part()
"""


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_it_shares_a_process_with_torch_onnxruntime_and_openvino(
    first: str, bundle: Path, small_scan: Path
) -> None:
    for module in ("torch", "onnxruntime", "openvino"):
        pytest.importorskip(module)
    done = subprocess.run(
        [sys.executable, "-c", ONE_PROCESS, str(bundle), str(small_scan), first],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "openvino" in done.stdout


INTERRUPTED = """
import os, signal, sys, threading, time
from lunart.networks import open_network

kept = [open_network(sys.argv[1], "segmentation", "openvino", 1)]
ended = threading.Thread(target=kept.clear)
ended.start()
ended.join()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_is_survived_after_another_thread_dropped_the_engine(bundle: Path) -> None:
    """Where the processor has AMX, OpenVINO sets a thread's stack for signals; see openvino.cpp."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(bundle)],
        capture_output=True, text=True, timeout=120, check=False, preexec_fn=_hear_ctrl_c,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
