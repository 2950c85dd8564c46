"""Exporting: what is refused, what a bundle holds, and that a wrong artifact never passes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from lunart.bundle import ROLES, Bundle, FileEntry, is_bundle
from lunart.cli import run
from lunart.errors import BundleError, CheckError, EngineError, UsageError
from lunart.export import golden_scan
from lunart.export.cli import main
from lunart.export.compare import Check, Subject, above, compare, failed
from lunart.export.golden import write_vectors
from lunart.export.nodule_settings import settings_of
from lunart.export.torchscript_archive import load_module, quiet, save_module
from lunart.export.verify_artifacts import verify_bundle
from lunart.models.checkpoint import load_checkpoint
from lunart.networks import open_network, torch_threads
from lunart.registry import engines_of_artifact
from onnx import numpy_helper
from safetensors.torch import load_file
from small_weights import ARCHITECTURES, small_network, write_small_weights
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "docs" / "bundle.schema.json").read_text())
ARTIFACTS = ("torchscript-trace", "torchscript-script", "onnx")
TWO = ROLES[:2]
_RUN_PHANTOM = golden_scan.run_phantom


def _fake_phantom(bundle: Bundle, scan: Path) -> dict[str, object]:
    """In place of the native pipeline, which has tests of its own."""
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4, 4), np.int16)), str(scan))
    return {"nodules": []}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    settings = {
        "segmentation": {"segmentation_threshold": 0.25, "erosion": 0, "min_component_mm3": 20.0},
        "classification": {"nodule_threshold": 0.4},
        "malignancy": {},
    }
    return {
        role: write_small_weights(folder, role, seed, pipeline=settings[role])
        for seed, role in enumerate(ROLES)
    }


@pytest.fixture(scope="session")
def two(weights: dict[str, Path]) -> dict[str, Path]:
    """Without the optional network: a third less to export."""
    return {role: weights[role] for role in TWO}


def _arguments(weights: dict[str, Path], output: Path, *more: str) -> list[str]:
    given = [f"--{role}={path}" for role, path in weights.items()]
    return [*given, f"--output={output}", *more]


@pytest.fixture(autouse=True)
def _no_native_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_scan, "run_phantom", _fake_phantom)


@pytest.fixture(scope="session")
def exported(
    two: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """A bundle with every format, what was printed, and its JSON."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden_scan, "run_phantom", _fake_phantom)
        out, err = (folder / "out").open("w+"), (folder / "err").open("w+")
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        code = main(_arguments(two, folder / "luna", "--json"))
    with out, err:
        out.seek(0)
        err.seek(0)
        printed, ticks = out.read(), err.read()
    assert code == 0, ticks
    return folder / "luna", ticks, printed


@pytest.fixture
def bundle(exported: tuple[Path, str, str], tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(exported[0], tmp_path / "luna"))


def _manifest(bundle: Path) -> dict:
    return json.loads((bundle / "manifest.json").read_text())


def _change_manifest(bundle: Path, change: Callable[[dict], object]) -> None:
    manifest = _manifest(bundle)
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def _rehash(bundle: Path) -> None:
    """Make the manifest agree with the files, as somebody would who tampers with them."""

    def visit(node: object) -> None:
        if isinstance(node, dict):
            if "sha256" in node and "bytes" in node:
                content = (bundle / node["file"]).read_bytes()
                node["bytes"] = len(content)
                node["sha256"] = hashlib.sha256(content).hexdigest()
            for value in node.values():
                visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    _change_manifest(bundle, visit)


def _failures(bundle: Path) -> list[Check]:
    _rehash(bundle)
    return [check for check in verify_bundle(Bundle.open(bundle)) if not check.passed]


# --- comparing ---------------------------------------------------------------------------------


def _compared(reference: np.ndarray, output: np.ndarray) -> Check:
    specs = (_spec("probability"),)
    (check,) = compare(
        Subject("m", "a", "c", (1, 2)),
        {"probability": reference},
        {"probability": output},
        specs,
        above(0.5),
    )
    return check


def _spec(name: str, units: str = "probability"):
    from lunart.bundle import TensorSpec

    return TensorSpec(name, "float32", ("batch", 2), units)


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (np.array([[0.2, 0.7001]], np.float64), "dtype is float64"),
        (np.array([0.2, 0.7], np.float32), "shape is 2, expected 1x2"),
        (np.array([[0.2, np.nan]], np.float32), "1 NaN or infinite values from the artifact"),
        (np.array([[-np.inf, np.nan]], np.float32), "2 NaN or infinite"),
        (np.array([[0.2, 0.702]], np.float32), "max abs 2.00e-03 above 1.0e-03"),
        (np.array([[0.2005, 0.7005]], np.float32), "nmse 9.43e-07 above 1.0e-07"),
        (np.array([[0.2, 0.49]], np.float32), "1 flips"),
    ],
)
def test_a_wrong_output_fails_and_says_why(output, complaint):
    check = _compared(np.array([[0.2, 0.7]], np.float32), output)
    assert not check.passed
    assert complaint in check.line
    assert check.line.startswith("[✗] m/a c 1x2 probability: ")
    json.dumps(check.to_json(), allow_nan=False)


def test_a_reference_that_is_not_finite_fails():
    wrong = np.array([[np.nan, 0.5]], np.float32)
    assert "from the eager" in _compared(wrong, wrong).line


def test_missing_and_surplus_outputs_fail():
    array = np.zeros((1, 2), np.float32)
    specs = (_spec("logits", "logit"), _spec("probability"))
    named = {"logits": array, "probability": array}
    other = {"probability": array, "more": array}
    checks = compare(Subject("m", "a", "c"), named, other, specs, above(0.5))
    assert [(check.output, check.passed) for check in checks] == [
        ("logits", False),
        ("probability", True),
        ("more", False),
    ]


def test_equal_outputs_pass_with_zeroes():
    array = np.array([[0.2, 0.7]], np.float32)
    check = _compared(array, array.copy())
    assert check.passed
    assert (check.max_abs, check.max_rel, check.nmse, check.flips) == (0, 0, 0, 0)
    assert check.line.startswith("[✓] ")


def test_rounding_errors_near_zero_pass():
    tiny = np.array([[1e-8, 3e-8]], np.float32)
    assert _compared(tiny, tiny * 3).passed


# --- the bundle --------------------------------------------------------------------------------


def test_manifest_fits_the_schema(exported):
    manifest = _manifest(exported[0])
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(manifest)
    raw = (exported[0] / "manifest.json").read_text()
    assert raw == json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_every_file_is_listed_once(exported):
    bundle = Bundle.open(exported[0])
    listed = [entry.file for entry in bundle.entries()]
    there = {
        path.relative_to(exported[0]).as_posix()
        for path in exported[0].rglob("*")
        if path.is_file()
    }
    assert len(listed) == len(set(listed))
    assert {*listed, "manifest.json"} == there


def test_settings_come_from_the_weights(exported):
    pipeline = _manifest(exported[0])["pipeline"]
    assert pipeline["segmentation_threshold"] == 0.25
    assert pipeline["erosion"] == 0
    assert pipeline["min_component_mm3"] == 20
    assert pipeline["nodule_threshold"] == 0.4
    assert pipeline["malignancy_threshold"] == 0.5
    assert pipeline["context_slices"] == 3
    assert pipeline["crop_irc"] == [32, 48, 48]
    assert pipeline["crop_spacing_mm"] is None


def test_verification_covers_what_it_should(exported):
    verification = _manifest(exported[0])["verification"]
    shapes = {(entry["model"], entry["case"]): entry["shape"] for entry in verification["inputs"]}
    assert {case for model, case in shapes if model == "segmentation"} >= {
        "structured",
        "air",
        "extreme",
        "batch2",
        "batch5",
    }
    for role in TWO:
        assert {shape[0] for (model, _), shape in shapes.items() if model == role} == {1, 2, 5}
    planes = {tuple(shape[2:]) for (model, _), shape in shapes.items() if model == "segmentation"}
    assert len(planes) > 1
    assert any(height != width for height, width in planes)
    outputs = {(c["model"], c["artifact"], c["output"]) for c in verification["checks"]}
    for artifact in ARTIFACTS:
        assert ("segmentation", artifact, "probability") in outputs
        for output in ("logits", "probability"):
            assert ("classification", artifact, output) in outputs


def test_json_and_ticks_are_apart(exported):
    path, ticks, printed = exported
    report = json.loads(printed)
    assert report["passed"] is True
    assert report["bundle"] == str(path)
    manifest = (path / "manifest.json").read_bytes()
    assert report["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert ticks.count("[✓]") == len(report["checks"])
    assert "[✓] segmentation/torchscript-trace structured 1x7x64x64 probability: max abs 0" in ticks


def test_golden_vectors_are_eagers(exported):
    bundle = Bundle.open(exported[0])
    for role in TWO:
        vectors = load_file(bundle.file(bundle.golden.networks[role]))
        names = {spec.name for spec in bundle.model(role).signature.outputs}
        cases = {key.split(".")[0] for key in vectors}
        assert cases == {"structured", "air", "extreme", "batch2"}
        assert set(vectors) == {f"{case}.{name}" for case in cases for name in {"input", *names}}
        result = bundle.eager(role)(vectors["batch2.input"])
        last = result if isinstance(result, Tensor) else result[1]
        torch.testing.assert_close(last, vectors["batch2.probability"], rtol=0, atol=1e-6)


def test_no_file_holds_a_path_of_this_machine(exported, weights):
    forbidden = [
        str(ROOT).encode(),
        str(exported[0].parent).encode(),
        str(weights["segmentation"].parent).encode(),
        str(Path(torch.__file__).parent).encode(),
        b"site-packages",
        b".debug_pkl",
    ]
    for path in exported[0].rglob("*"):
        if not path.is_file():
            continue
        contents = [path.read_bytes()]
        if path.suffix == ".pt":
            with zipfile.ZipFile(path) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        for text in forbidden:
            assert not any(text in content for content in contents), (path.name, text)


def test_another_process_writes_the_same_bytes(exported, two, tmp_path):
    program = """
import sys, warnings
import pytest, torch
from lunart.export import golden_scan
from lunart.export.cli import main
from test_export import _fake_phantom
golden_scan.run_phantom = _fake_phantom
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.jit.script(torch.nn.Conv3d(1, 1, 1))  # shifts the numbers of scripted classes
sys.exit(main(sys.argv[1:]))
"""
    again = tmp_path / "again"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    environment["PYTHONPATH"] = os.pathsep.join((str(ROOT / "python"), str(Path(__file__).parent)))
    subprocess.run(
        [sys.executable, "-c", program, *_arguments(two, again)],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    for path in exported[0].rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            other = again / path.relative_to(exported[0])
            assert path.read_bytes() == other.read_bytes(), path.name
    first, second = _manifest(exported[0]), _manifest(again)
    first.pop("created")
    second.pop("created")
    assert first == second


def test_golden_phantom_holds_the_pipelines_result(two, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(golden_scan, "run_phantom", _RUN_PHANTOM)
    for name in ("first", "second"):
        assert main(_arguments(two, tmp_path / name, "--format=torchscript-trace")) == 0
    first, second = (tmp_path / name / "golden" for name in ("first", "second"))
    assert (first / "phantom.json").read_bytes() == (second / "phantom.json").read_bytes()
    assert (first / "phantom.mha").read_bytes() == (second / "phantom.mha").read_bytes()
    result = json.loads((first / "phantom.json").read_text())
    image = sitk.ReadImage(first / "phantom.mha")
    assert result["schema"] == "lunart.result/2"
    assert result["engine"]["name"] == "eager"
    assert "path" not in result["scan"]
    assert result["scan"]["shape_irc"] == list(reversed(image.GetSize()))
    assert result["scan"]["direction"] == list(image.GetDirection())
    assert image.GetPixelIDTypeAsString() == "16-bit signed integer"
    assert str(tmp_path).encode() not in (first / "phantom.json").read_bytes()


def test_exported_weights_can_be_exported_again(exported, tmp_path, capsys):
    again = {role: exported[0] / role / "weights.safetensors" for role in TWO}
    assert main(_arguments(again, tmp_path / "again", "--format=torchscript-trace")) == 0
    first, second = _manifest(exported[0]), _manifest(tmp_path / "again")
    assert first["pipeline"] == second["pipeline"]
    for role in again:
        trace = first["models"][role]["artifacts"][0]
        assert second["models"][role]["artifacts"] == [trace]
    assert "onnx_opset" not in second["made_by"]
    jsonschema.Draft202012Validator(SCHEMA).validate(second)


# --- frozen ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", TWO)
@pytest.mark.parametrize("artifact", ["torchscript-trace", "torchscript-script"])
def test_torchscript_is_frozen(exported, role, artifact):
    bundle = Bundle.open(exported[0])
    path = bundle.file(bundle.model(role).artifact(artifact).entry)
    module = load_module(path)
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())
    before = {key: value.clone() for key, value in module.state_dict().items()}
    run_network = open_network(bundle, role, artifact, 1)
    size = (2, 7, 16, 16) if role == "segmentation" else (2, 1, 32, 48, 48)
    array = np.random.default_rng(0).normal(-500, 300, size).astype(np.float32)
    first, second = run_network(array), run_network(array)
    alone = run_network(array[:1])
    for name, value in first.items():
        assert np.array_equal(value, second[name])
        # A batch norm that trains would mix the samples of a batch.
        np.testing.assert_allclose(value[:1], alone[name], atol=1e-5)
    module(torch.from_numpy(array))
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    if artifact == "torchscript-trace":
        module.train()
        with torch_threads(1):
            result = module(torch.from_numpy(array))
        last = result if isinstance(result, Tensor) else result[1]
        assert np.array_equal(last.numpy(), first["probability"])


@pytest.mark.parametrize("role", TWO)
def test_onnx_is_frozen(exported, role):
    graph = onnx.load(exported[0] / role / "onnx.onnx").graph
    kinds = {node.op_type for node in graph.node}
    assert not kinds & {"Dropout", "If", "Loop"}
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    assert norms
    for node in norms:
        assert len(node.output) == 1
        assert all(a.i == 0 for a in node.attribute if a.name == "training_mode")


@pytest.mark.parametrize("artifact", ["torchscript-trace", "torchscript-script"])
def test_frozen_state_is_verified(bundle, artifact):
    path = bundle / "segmentation" / f"{artifact}.pt"
    module = load_module(path)
    next(iter(module.parameters())).requires_grad_(True)
    save_module(module, path)
    (check,) = _failures(bundle)
    assert "not frozen: input_batchnorm.weight" in check.line


# --- artifacts that were tampered with, the manifest with them ----------------------------------


def _swap(bundle: Path, role: str, artifact: str, module: nn.Module) -> None:
    sizes = (2, 7, 16, 16) if role == "segmentation" else (2, 1, 32, 48, 48)
    with quiet("trace", "trace_method"), torch.no_grad():
        traced = torch.jit.trace(module, torch.zeros(sizes), check_trace=False)
        save_module(traced, bundle / role / f"{artifact}.pt")


def _rebuilt(bundle: Path, role: str, kind: type[nn.Module]) -> nn.Module:
    """A network of another class with the bundle's own weights."""
    arguments = dict(ARCHITECTURES[role].arguments)
    module = kind(**arguments).eval().requires_grad_(False)
    module.load_state_dict(load_file(bundle / role / "weights.safetensors"))
    return module


@pytest.mark.parametrize("artifact", ["torchscript-trace", "torchscript-script"])
@pytest.mark.parametrize("role", TWO)
def test_a_changed_weight_is_caught_by_weights_and_numbers(bundle, role, artifact):
    path = bundle / role / f"{artifact}.pt"
    module = load_module(path)
    key = "unet.last.bias" if role == "segmentation" else "head_linear.bias"
    module.state_dict()[key][0] += 0.5
    save_module(module, path)
    failures = _failures(bundle)
    assert {(c.subject.model, c.subject.artifact) for c in failures} == {(role, artifact)}
    weights = [check for check in failures if check.subject.case == "weights"]
    assert len(weights) == 1
    assert "max abs 5.00e-01 in " + key in weights[0].line
    assert any("max abs" in c.line and c.subject.case == "structured" for c in failures)


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_the_last_bit_of_one_weight_is_caught(bundle, artifact):
    key = "unet.down_path.1.block.3.weight"
    if artifact == "onnx":
        path = bundle / "segmentation" / "onnx.onnx"
        model = onnx.load(path)
        tensor = next(t for t in model.graph.initializer if t.name == key)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[3] = np.nextafter(array.flat[3], np.float32(9))
        tensor.CopyFrom(numpy_helper.from_array(array, key))
        onnx.save(model, path)
    else:
        path = bundle / "segmentation" / f"{artifact}.pt"
        module = load_module(path)
        flat = module.state_dict()[key].view(-1)
        flat[3] = torch.nextafter(flat[3], torch.tensor(9.0))
        save_module(module, path)
    (check,) = _failures(bundle)
    assert check.subject == Subject("segmentation", artifact, "weights")
    assert f"1 of {81 if artifact != 'onnx' else 70} tensors changed: {key}" in check.line


def test_a_dropped_output_is_caught(bundle):
    from lunart.models import NoduleClassifier

    class Dropped(NoduleClassifier):
        def forward(self, hu: Tensor) -> Tensor:
            return super().forward(hu)[0]

    _swap(
        bundle, "classification", "torchscript-trace", _rebuilt(bundle, "classification", Dropped)
    )
    failures = _failures(bundle)
    assert failures
    assert all(c.subject.artifact == "torchscript-trace" for c in failures)
    assert any(c.output == "probability" and "missing" in c.line for c in failures)


def test_swapped_outputs_are_caught(bundle):
    from lunart.models import NoduleClassifier

    class Swapped(NoduleClassifier):
        def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
            logits, probability = super().forward(hu)
            return probability, logits

    _swap(
        bundle, "classification", "torchscript-script", _rebuilt(bundle, "classification", Swapped)
    )
    failures = _failures(bundle)
    assert {c.output for c in failures} == {"logits", "probability"}


def test_permuted_input_channels_are_caught(bundle):
    from lunart.models import SegmentationUNet

    class Permuted(SegmentationUNet):
        def forward(self, hu: Tensor) -> Tensor:
            return super().forward(hu[:, [0, 2, 1, 3, 4, 5, 6]])

    module = _rebuilt(bundle, "segmentation", Permuted)
    _swap(bundle, "segmentation", "torchscript-script", module)
    failures = _failures(bundle)
    assert {c.subject.artifact for c in failures} == {"torchscript-script"}
    cases = {c.subject.case for c in failures}
    assert "structured" in cases
    assert "weights" not in cases


def test_permuted_onnx_channels_are_caught(bundle):
    path = bundle / "segmentation" / "onnx.onnx"
    model = onnx.load(path)
    order = numpy_helper.from_array(np.array([1, 0, 2, 3, 4, 5, 6], np.int64), "order")
    model.graph.initializer.append(order)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == "hu":
                node.input[index] = "turned"
    gather = onnx.helper.make_node("Gather", ["hu", "order"], ["turned"], axis=1)
    model.graph.node.insert(0, gather)
    onnx.save(model, path)
    failures = _failures(bundle)
    for engine in engines_of_artifact(Bundle.open(bundle).model("segmentation"), "onnx"):
        subject = Subject("segmentation", "onnx", "structured", (1, 7, 64, 64), engine)
        assert any(c.subject == subject for c in failures)


@pytest.mark.parametrize("kind", ["input", "output"])
def test_renamed_onnx_tensors_are_caught(bundle, kind):
    path = bundle / "segmentation" / "onnx.onnx"
    model = onnx.load(path)
    value = getattr(model.graph, kind)[0]
    old, value.name = value.name, "other"
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = "other"
    onnx.save(model, path)
    failures = _failures(bundle)
    assert failures
    assert all(c.subject.artifact == "onnx" for c in failures)
    assert any("other" in check.line for check in failures)


@pytest.mark.parametrize("file", ["torchscript-trace.pt", "onnx.onnx"])
def test_an_artifact_that_does_not_load_is_a_failed_check(bundle, file):
    (bundle / "segmentation" / file).write_bytes(b"not a model")
    failures = _failures(bundle)
    engines = engines_of_artifact(Bundle.open(bundle).model("segmentation"), Path(file).stem)
    assert [c.subject.case for c in failures] == ["weights", *("load" for _ in engines)]


def test_a_frozen_batch_size_is_caught(bundle):
    """The exporter's classic mistake."""
    path = bundle / "segmentation" / "onnx.onnx"
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, path)
    assert {c.subject.case for c in _failures(bundle)} == {"batch2", "batch5"}


def test_weights_and_artifacts_changed_alike_are_caught_by_the_golden_vectors(bundle, weights):
    other = small_network("classification", seed=9).state_dict()
    from lunart.models.checkpoint import save_weights

    save_weights(
        bundle / "classification" / "weights.safetensors", other, ARCHITECTURES["classification"]
    )
    failures = _failures(bundle)
    assert any(c.subject.case == "golden-structured" for c in failures)


# --- opening a bundle --------------------------------------------------------------------------


def test_unknown_models_artifacts_and_engines_are_listed(exported):
    bundle = Bundle.open(exported[0])
    with pytest.raises(BundleError, match=r"no model 'heart'.*segmentation, classification"):
        bundle.model("heart")
    with pytest.raises(BundleError, match=r"no artifact 'tflite'.*torchscript-trace"):
        bundle.model("segmentation").artifact("tflite")
    with pytest.raises(UsageError, match=r"\"tflite\"; this build knows auto, .*onnxruntime"):
        open_network(bundle, "segmentation", "tflite")
    with pytest.raises(EngineError, match=r"artifact tflite: no engine of this lunart knows it"):
        engines_of_artifact(bundle.model("segmentation"), "tflite")


# --- the program -------------------------------------------------------------------------------


def _leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_failed_check_leaves_no_bundle(weights, tmp_path, monkeypatch, capsys):
    bad = failed(Subject("segmentation", "onnx", "air", (1, 7, 64, 64)), "probability", "is wrong")
    monkeypatch.setattr("lunart.export.writer.verify_bundle", lambda bundle: iter([bad]))
    options = _arguments(weights, tmp_path / "luna", "--format=torchscript-trace", "--json")
    assert main(options) == CheckError.exit_code == 6
    out, err = capsys.readouterr()
    assert "[✗] segmentation/onnx air 1x7x64x64 probability: is wrong" in err
    assert "no bundle was written" in err
    report = json.loads(out)
    assert report["passed"] is False
    assert report["bundle"] is None
    assert report["checks"][0]["max_abs"] is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("problem", "code"),
    [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 7), (ValueError("x"), 1)],
)
def test_a_previous_bundle_stays_when_an_export_fails(
    bundle, weights, monkeypatch, capsys, problem, code
):
    def fail(*_: object) -> None:
        raise problem

    before = (bundle / "manifest.json").read_bytes()
    monkeypatch.setattr("lunart.export.writer.write_vectors", fail)
    assert main(_arguments(weights, bundle, "--format=torchscript-trace")) == code
    assert (bundle / "manifest.json").read_bytes() == before
    Bundle.open(bundle)
    assert _leftovers(bundle.parent) == []


def test_an_older_bundle_is_replaced_whole(bundle, two, capsys):
    (bundle / "malignancy").mkdir()
    assert main(_arguments(two, bundle, "--format=torchscript-script", "--name=other")) == 0
    assert not (bundle / "malignancy").exists()
    assert Bundle.open(bundle).name == "other"
    assert _leftovers(bundle.parent) == []
    out = capsys.readouterr().out
    assert "[✓] classification/torchscript-script" in out
    assert f"bundle written to {bundle}" in out


def test_a_bundle_that_cannot_be_renamed_leaves_the_older_one(bundle, weights, monkeypatch, capsys):
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if ".tmp-" in self.name:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    before = (bundle / "manifest.json").read_bytes()
    assert main(_arguments(weights, bundle, "--format=torchscript-trace")) == 7
    assert (bundle / "manifest.json").read_bytes() == before
    assert _leftovers(bundle.parent) == []


def test_folders_that_are_no_bundle_are_left_alone(weights, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("miaow")
    (tmp_path / "file").write_text("x")
    assert main(_arguments(weights, tmp_path / "photos")) == 7
    assert main(_arguments(weights, tmp_path / "file")) == 7
    assert main(_arguments(weights, tmp_path / "file" / "below", "--format=torchscript-trace")) == 7
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "miaow"
    assert "is left alone" in capsys.readouterr().err


@pytest.mark.parametrize("own", ["notes.txt", "segmentation/draft/mine.npy", "scans"])
def test_a_users_own_files_in_a_bundle_are_not_replaced(bundle, weights, tmp_path, capsys, own):
    if own == "scans":
        (bundle / own).symlink_to(tmp_path)
    else:
        (bundle / own).parent.mkdir(parents=True, exist_ok=True)
        (bundle / own).write_text("mine")
    before = sorted(bundle.rglob("*"))
    assert main(_arguments(weights, bundle, "--format=torchscript-trace")) == 7
    error = capsys.readouterr().err
    assert f"also holds {own}, which is no file of it" in error
    assert "Traceback" not in error
    assert sorted(bundle.rglob("*")) == before
    assert _leftovers(bundle.parent) == []


def test_the_checkpoint_of_a_bundle_is_no_file_of_it(bundle, two, weights, capsys):
    shutil.copy(weights["segmentation"], bundle / "segmentation.safetensors")
    assert main(_arguments(two, bundle, "--format=torchscript-trace")) == 7
    assert "also holds segmentation.safetensors" in capsys.readouterr().err


def test_files_that_come_during_an_export_are_kept(bundle, two, monkeypatch, capsys):
    def write(*arguments: object) -> FileEntry:
        (bundle / "notes.txt").write_text("mine")
        return write_vectors(*arguments)

    monkeypatch.setattr("lunart.export.writer.write_vectors", write)
    before = (bundle / "manifest.json").read_bytes()
    assert main(_arguments(two, bundle, "--format=torchscript-trace")) == 7
    assert "also holds notes.txt" in capsys.readouterr().err
    assert (bundle / "notes.txt").read_text() == "mine"
    assert (bundle / "manifest.json").read_bytes() == before
    assert _leftovers(bundle.parent) == []


def test_a_folder_that_cannot_be_looked_at_exits_7(bundle, weights, tmp_path, monkeypatch, capsys):
    assert main(_arguments(weights, tmp_path / ("x" * 300))) == 7
    assert "cannot be written (File name too long)" in capsys.readouterr().err

    def fail(self: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", fail)
    assert main(_arguments(weights, bundle)) == 7
    assert "cannot be written (Permission denied)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"schema": "lunart.bundle/2"}' + b" " * (4 << 20), b"\xff", b"[]", b"{}"],
    ids=["nested", "huge", "binary", "list", "empty"],
)
def test_a_manifest_that_is_none_is_left_alone(content, weights, tmp_path, capsys):
    (tmp_path / "manifest.json").write_bytes(content)
    assert not is_bundle(tmp_path)
    assert main(_arguments(weights, tmp_path)) == 7
    assert "is left alone" in capsys.readouterr().err
    assert (tmp_path / "manifest.json").read_bytes() == content


@pytest.mark.parametrize(
    "options",
    [["--format=tflite"], ["--name=../x"], ["--name="], ["--colour"], ["more"], ["--segmentation"]],
)
def test_wrong_usage(options, capsys):
    assert main(options) == 2
    assert capsys.readouterr().err.startswith("luna-export: error: ")


def test_wrong_checkpoints_exit_4(weights, tmp_path, capsys):
    swapped = {
        "segmentation": weights["classification"],
        "classification": weights["segmentation"],
    }
    assert main(_arguments(swapped, tmp_path / "luna")) == 4
    assert "holds a 3-D nodule classifier" in capsys.readouterr().err
    assert main([f"--segmentation={tmp_path / 'none.state'}"]) == 4
    assert list(tmp_path.iterdir()) == []


def test_networks_that_do_not_fit_one_pipeline_exit_4(weights, tmp_path, capsys, monkeypatch):
    from lunart.bundle import Architecture

    even = Architecture("unet", {"in_channels": 4, "depth": 3, "wf": 2})
    monkeypatch.setitem(ARCHITECTURES, "segmentation", even)
    path = write_small_weights(tmp_path, "segmentation")
    given = {"segmentation": path, "classification": weights["classification"]}
    assert main(_arguments(given, tmp_path / "luna")) == 4
    assert "4 slices" in capsys.readouterr().err


def test_networks_whose_crops_have_other_voxels_exit_4(two, tmp_path, capsys):
    spaced = {"crop_spacing_mm": 1.0}
    path = write_small_weights(tmp_path, "malignancy", pipeline=spaced)
    assert main(_arguments({**two, "malignancy": path}, tmp_path / "luna")) == 4
    said = capsys.readouterr().err
    assert "malignancy weights take crops of voxels of 1 mm" in said
    assert "classification weights the scan's own voxels" in said


def test_the_spacing_of_crops_belongs_to_the_weights(two, tmp_path):
    recorded = {"crop_border": "pad", "crop_spacing_mm": 1.25}
    path = write_small_weights(tmp_path, "classification", crop_irc=(16, 32, 32), pipeline=recorded)
    given = {**two, "classification": path}
    assert main(_arguments(given, tmp_path / "luna", "--format=torchscript-trace")) == 0
    pipeline = _manifest(tmp_path / "luna")["pipeline"]
    assert pipeline["crop_spacing_mm"] == 1.25
    assert pipeline["crop_irc"] == [16, 32, 32]


@pytest.mark.parametrize("border", [{}, {"crop_border": "shift"}])
def test_a_spacing_of_crops_without_padding_exits_4(two, tmp_path, capsys, border):
    recorded = {**border, "crop_spacing_mm": 1.25}
    path = write_small_weights(tmp_path, "classification", pipeline=recorded)
    assert main(_arguments({**two, "classification": path}, tmp_path / "luna")) == 4
    assert 'crop_spacing_mm 1.25 and crop_border "shift"' in capsys.readouterr().err


def test_the_schema_wants_padding_of_crops_of_a_spacing(weights):
    checkpoints = {role: load_checkpoint(weights[role], role) for role in TWO}
    settings = settings_of(checkpoints)["pipeline"]
    spaced = {**settings, "crop_border": "pad", "crop_spacing_mm": 1.0}
    schema = {**SCHEMA["properties"]["pipeline"], "$defs": SCHEMA["$defs"]}
    for right in ({}, {"crop_spacing_mm": None}, {"crop_spacing_mm": None, "crop_border": "shift"}):
        jsonschema.validate({**spaced, **right}, schema)
    for wrong in ({"crop_border": "shift"}, {"crop_spacing_mm": 0}, {"crop_spacing_mm": "1"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**spaced, **wrong}, schema)


def test_no_embedded_weights_exit_4(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lunart.export.cli._EMBEDDED", tmp_path)
    assert main([]) == 4
    assert "no embedded segmentation weights: give --segmentation" in capsys.readouterr().err


def test_embedded_weights_are_the_default(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lunart.export.cli._EMBEDDED", weights["segmentation"].parent)
    monkeypatch.chdir(tmp_path)
    assert main(["--format=torchscript-trace"]) == 0
    bundle = Bundle.open(tmp_path / "exported" / "luna")
    assert list(bundle.models) == list(ROLES)
    assert [spec.name for spec in bundle.model("malignancy").signature.outputs] == [
        "logits",
        "probability",
    ]
    given = f"--classification={weights['classification']}"
    assert main(["--format=torchscript-trace", given, "--name=mine"]) == 0
    assert list(Bundle.open(tmp_path / "exported" / "mine").models) == list(TWO)


def test_the_native_core_that_is_not_built_exits_5(weights, tmp_path, monkeypatch, capsys):
    def absent(bundle: Bundle, scan: Path) -> dict[str, object]:
        raise EngineError("the native core is not built")

    monkeypatch.setattr(golden_scan, "run_phantom", absent)
    assert main(_arguments(weights, tmp_path / "luna", "--format=torchscript-trace")) == 5
    assert list(tmp_path.iterdir()) == []


def test_help_is_quick_and_lists_the_exit_codes():
    program = (
        "import sys; from lunart.export.cli import main; code = main(['--help']);"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules; sys.exit(code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = ("exit codes: 0 done", "7 a result could not be written", "130 interrupted")
    expected += ("--malignancy", "(default: portable)")
    for text in expected:
        assert text in " ".join(result.stdout.split())


def test_a_missing_package_says_what_to_install():
    program = (
        "import sys; sys.modules['torch'] = None;"
        "from lunart.export.cli import main; sys.exit(main([]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 5
    assert result.stderr == (
        "luna-export: error: torch is not installed: pip install 'lunart[export]'\n"
    )


def test_unexpected_errors_are_a_defect_and_exit_1(capsys):
    def body() -> None:
        raise ModuleNotFoundError("No module named 'lunart.colour'", name="lunart.colour")

    assert run("luna-x", body, extra="export") == 1
    assert "a defect of lunart" in capsys.readouterr().err
