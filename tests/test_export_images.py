"""Exporting image classifiers: what is refused, what a bundle holds, and what a wrong one fails."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import program
import pytest
import spoil
import torch
from lunart import Classifier, _core
from lunart.bundle import Bundle
from lunart.export.cli import main
from lunart.export.compare import Check
from lunart.export.torchscript_archive import load_module, quiet, save_module
from lunart.export.verify_artifacts import verify_bundle
from lunart.models.architectures import CLASSIFIER, ROLES
from lunart.registry import engines_of
from PIL import Image
from safetensors.torch import load_file
from small_image_weights import SETTINGS, image_network, write_image_weights
from small_weights import write_small_weights
from torch import Tensor, nn

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "docs" / "bundle.schema.json").read_text(encoding="utf-8")
)
CHECKED = jsonschema.Draft202012Validator(SCHEMA)
ODD = ("bird", 'a "cat"\n\x1b[31m\u009b', "鳥")
ROLE = "classification"
TRACE = "torchscript-trace"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual network with odd class names, in every portable format."""
    folder = tmp_path_factory.mktemp("images")
    weights = write_image_weights(folder / "birds.safetensors", "cifar-resdeep", ODD)
    assert main([f"--image-classifier={weights}", f"--output={folder / 'birds'}"]) == 0
    return folder / "birds"


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return spoil.copy_of(exported, tmp_path / "birds")


def _export(weights: Path, output: Path, *more: str) -> int:
    return main([f"--image-classifier={weights}", f"--output={output}", f"--format={TRACE}", *more])


def _refused(
    code: int, arguments: list[str], capsys: pytest.CaptureFixture[str], *words: str
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    for word in words:
        assert word in error, error


# --- refused -------------------------------------------------------------------------------------


def test_weights_that_record_no_classes_say_how_to_give_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_image_weights(tmp_path / "bare.safetensors", recorded=False)
    _refused(
        4, [f"--image-classifier={weights}", f"--output={tmp_path / 'x'}"], capsys,
        "bare.safetensors", "neither classes nor preprocessing", "--image-settings",
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["bare.safetensors"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "an object"),
        ('{"classes": ["bird"], "preprocess": {}}', "the network tells 2 apart"),
        ('{"classes": ["bird", "airplane"]}', "preprocess is None"),
        ('{"classes": ["bird", "airplane"], "preprocess": {}}', "resize is missing"),
    ],
)
def test_settings_that_make_no_sense_are_named(
    content: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_image_weights(tmp_path / "bare.safetensors", recorded=False)
    settings = tmp_path / "settings.json"
    if content is not None:
        settings.write_text(content)
    given = [f"--image-classifier={weights}", f"--image-settings={settings}"]
    _refused(4, [*given, f"--output={tmp_path / 'x'}"], capsys, words)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--segmentation=a.state"], "--segmentation"),
        (["--malignancy=a.state"], "--malignancy"),
        (["--image-settings=a.json"], "records its classes"),
        (["--name=a b"], "--name"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_image_weights(tmp_path / "birds.safetensors")
    _refused(2, [f"--image-classifier={weights}", *more], capsys, words)
    _refused(2, ["--image-settings=a.json"], capsys, "--image-classifier")


def test_a_file_name_that_is_no_name_asks_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_image_weights(tmp_path / "my birds.safetensors")
    _refused(2, [f"--image-classifier={weights}"], capsys, "--name 'my birds'")


def test_weights_that_are_none_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodules = write_small_weights(tmp_path, "classification")
    for weights, words in [
        (nodules, "Give this file to --classification"),
        (tmp_path / "none.pt", "no such checkpoint"),
        ("cifar-vgg", "ships no cifar-vgg weights"),
        (tmp_path, "a folder"),
    ]:
        _refused(4, [f"--image-classifier={weights}", "--name=x"], capsys, words)


@pytest.mark.parametrize(
    ("preprocess", "words"),
    [
        ({"mean": [0.5, 0.5]}, "mean"),
        ({"deviation": [1, 0, 1]}, "deviation"),
        ({"scale": 0}, "scale"),
        ({"resize": {"size": 32, "filter": "lanczos", "antialias": True}}, "lanczos"),
        ({"center_crop": [31, 32]}, "31x32"),
    ],
)
def test_preprocessing_that_makes_no_sense_names_the_weights(
    preprocess: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_image_weights(tmp_path / "birds.safetensors", **preprocess)
    assert _export(weights, tmp_path / "x") == 4
    error = capsys.readouterr().err
    assert error.startswith("luna-export: error: birds.safetensors: ")
    assert words in error
    assert ".tmp-" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["birds.safetensors"]


@pytest.mark.parametrize("name", ["", "x" * 257, "\ud800"])
def test_names_that_no_manifest_can_hold_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_image_weights(tmp_path / "birds.safetensors", classes=("bird", name))
    _refused(4, [f"--image-classifier={weights}", f"--output={tmp_path / 'x'}"], capsys, "classes")


# --- the bundle ----------------------------------------------------------------------------------


def test_the_manifest_fits_the_schema_and_says_what_the_weights_record(exported: Path) -> None:
    manifest = spoil.manifest_of(exported)
    CHECKED.validate(manifest)
    assert manifest["name"] == "birds"
    assert manifest["task"] == "image-classification"
    assert manifest["classes"] == list(ODD)
    assert manifest["preprocess"] == SETTINGS
    model = manifest["models"][ROLE]
    assert model["inputs"][0]["shape"] == ["batch", 3, 32, 32]
    assert [output["name"] for output in model["outputs"]] == ["logits", "probability"]


def test_every_file_is_listed_once(exported: Path) -> None:
    listed = [entry.file for entry in Bundle.open(exported).entries()]
    there = {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()}
    assert len(listed) == len(set(listed))
    assert {*listed, "manifest.json"} == there


def test_verification_covers_what_it_should(exported: Path) -> None:
    verification = spoil.manifest_of(exported)["verification"]
    inputs = {entry["case"]: entry["shape"] for entry in verification["inputs"]}
    assert {shape[0] for shape in inputs.values()} == {1, 2, 5}
    assert {"structured", "black", "white", "extreme"} <= set(inputs)
    ran = {(c["artifact"], c.get("engine"), c["output"]) for c in verification["checks"]}
    for artifact in (TRACE, "torchscript-script", "onnx"):
        for output in ("logits", "probability", "pixels", "classes"):
            assert any(a == artifact and o == output for a, _, o in ran)
    assert set(verification["limits"]) == {"least_power", "f32", "bf16"}


def test_the_golden_picture_is_eagers_and_pillows(exported: Path) -> None:
    result = json.loads((exported / "golden" / "image.json").read_text())
    with Image.open(exported / "golden" / "image.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert result["decoded_sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert result["engine"]["name"] == "eager"
    assert pixels.shape[:2] != (32, 32)  # so that resizing and cropping are proved too
    assert "path" not in result["image"]
    network = Bundle.open(exported).eager(ROLE)
    tensor = torch.from_numpy(_core.preprocessed(exported, _core.Image(pixels)))[None]
    probability = network(tensor)[1][0].tolist()
    found = {entry["name"]: entry["probability"] for entry in result["classes"]}
    assert [found[name] for name in ODD] == pytest.approx(probability, abs=1e-6)
    assert max(probability) - min(probability) > 0.05


def test_exported_weights_can_be_exported_again_with_the_same_bytes(
    exported: Path, tmp_path: Path
) -> None:
    weights = exported / ROLE / "weights.safetensors"
    assert _export(weights, tmp_path / "again", "--name=birds") == 0
    first, second = spoil.manifest_of(exported), spoil.manifest_of(tmp_path / "again")
    for key in ("classes", "preprocess", "golden"):
        assert first[key] == second[key]
    trace = first["models"][ROLE]["artifacts"][0]
    assert second["models"][ROLE]["artifacts"] == [trace]
    CHECKED.validate(second)


def test_weights_without_a_record_take_theirs_from_a_file(tmp_path: Path) -> None:
    """As the book's checkpoint: a bare state_dict."""
    torch.save(image_network("cifar-conv", 2).state_dict(), tmp_path / "birds.pt")
    settings = {"classes": ["airplane", "bird"], "preprocess": {**SETTINGS, "resize": None}}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    more = f"--image-settings={tmp_path / 'settings.json'}"
    assert _export(tmp_path / "birds.pt", tmp_path / "birds", more) == 0
    manifest = spoil.manifest_of(tmp_path / "birds")
    assert {key: manifest[key] for key in settings} == settings


def test_embedded_weights_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    write_image_weights(tmp_path / "weights" / "cifar-conv.safetensors")
    monkeypatch.setattr("lunart.models.shipped.FOLDER", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    assert main(["--image-classifier=cifar-conv", f"--format={TRACE}"]) == 0
    assert Bundle.open(tmp_path / "exported" / "cifar-conv").name == "cifar-conv"


@pytest.mark.parametrize("name", ROLES[CLASSIFIER])
def test_every_network_of_the_ladder_is_proved(name: str, tmp_path: Path) -> None:
    weights = write_image_weights(tmp_path / f"{name}.safetensors", name)
    assert main([f"--image-classifier={weights}", f"--output={tmp_path / name}"]) == 0
    bundle = Bundle.open(tmp_path / name)
    assert bundle.model(ROLE).architecture.name == name
    assert len(bundle.model(ROLE).artifacts) == 3


def test_native_code_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = write_image_weights(tmp_path / "birds.safetensors", "cifar-linear")
    code = main(
        [f"--image-classifier={weights}", f"--output={tmp_path / 'birds'}", "--format=aotinductor"]
    )
    if code == 5:
        pytest.skip(capsys.readouterr().err)
    assert code == 0
    picture = tmp_path / "birds" / "golden" / "image.png"
    native, eager = (Classifier(tmp_path / "birds", e)(picture) for e in ("aotinductor", "eager"))
    assert native.engine.name == "aotinductor"
    assert native.best.name == eager.best.name
    assert native.best.probability == pytest.approx(eager.best.probability, abs=1e-3)


def test_lower_precisions_are_stated(exported: Path) -> None:
    precisions = spoil.manifest_of(exported)["verification"]["precisions"]
    if not precisions:
        pytest.skip("no engine of this machine has bf16")
    statement = precisions["bf16"]
    found = Classifier(exported, statement["engine"], precision="bf16")(
        exported / "golden" / "image.png"
    )
    warned = [warning.code for warning in found.warnings if warning.code == "precision"]
    assert warned == ([] if statement["classes_equal"] else ["precision"])


# --- odd names -----------------------------------------------------------------------------------


def test_names_reach_json_whole_and_a_terminal_harmless(exported: Path) -> None:
    picture = exported / "golden" / "image.png"
    options = (f"--bundle={exported}", f"--engine={TRACE}")
    found = program.result_of(picture, *options)
    assert {entry["name"] for entry in found["classes"]} == set(ODD)
    table = program.run(picture, *options).stdout
    assert "鳥" in table
    assert r"\x0a\x1b[31m\xc2\x9b" in table
    assert not set(table) & {"\x1b", "\u009b"}
    assert len(table.splitlines()) == 2 + len(ODD)
    lines = program.run(picture, picture, *options, "--json=-").stdout.splitlines()
    assert [json.loads(line)["classes"] for line in lines] == [found["classes"]] * 2


# --- what a wrong bundle fails -------------------------------------------------------------------


def _failures(bundle: Path) -> list[Check]:
    spoil.rehash(bundle)
    return [check for check in verify_bundle(Bundle.open(bundle)) if not check.passed]


def _swap(bundle: Path, change: type[nn.Module] | None = None) -> None:
    network = Bundle.open(bundle).eager(ROLE)
    module = network if change is None else change(network).eval()
    with quiet("trace", "trace_method"), torch.no_grad():
        traced = torch.jit.trace(module, torch.zeros(2, 3, 32, 32), check_trace=False)
        save_module(traced, bundle / ROLE / f"{TRACE}.pt")


class _BlueFirst(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        out: tuple[Tensor, Tensor] = self.network(image.flip(1))
        return out


class _Swapped(_BlueFirst):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits, probability = self.network(image)
        return probability, logits


def test_a_good_bundle_passes(exported: Path, tmp_path: Path) -> None:
    assert _failures(spoil.copy_of(exported, tmp_path / "good")) == []


def test_channels_in_another_order_are_caught(copy: Path) -> None:
    _swap(copy, _BlueFirst)
    failures = _failures(copy)
    assert {check.subject.artifact for check in failures} == {TRACE}
    assert {"structured", "golden-picture"} <= {check.subject.case for check in failures}


def test_swapped_outputs_are_caught(copy: Path) -> None:
    _swap(copy, _Swapped)
    assert {"logits", "probability"} <= {check.output for check in _failures(copy)}


def test_the_last_bit_of_one_weight_is_caught(copy: Path) -> None:
    path = copy / ROLE / f"{TRACE}.pt"
    module = load_module(path)
    flat = module.state_dict()["fc1.weight"].view(-1)
    flat[3] = torch.nextafter(flat[3], torch.tensor(9.0))
    save_module(module, path)
    (check,) = _failures(copy)
    assert check.subject.case == "weights"
    assert "fc1.weight" in check.line


def test_other_preprocessing_is_caught_by_the_golden_picture(copy: Path) -> None:
    spoil.change(copy, lambda m: m["preprocess"].update(mean=[0.0, 0.0, 0.0]))
    failures = _failures(copy)
    assert {check.subject.case for check in failures} == {"golden-picture"}
    assert {check.output for check in failures} == {"classes"}
    assert len(failures) > len(engines_of(Bundle.open(copy)))  # every engine, and eager


def test_another_golden_picture_fails_by_its_pixels(copy: Path) -> None:
    with Image.open(copy / "golden" / "image.png") as image:
        turned = image.transpose(Image.Transpose.ROTATE_180)
    turned.save(copy / "golden" / "image.png")
    failures = _failures(copy)
    assert {"pixels", "classes"} == {check.output for check in failures}


@pytest.mark.parametrize("content", ["{}", "[", "[]", '{"classes": [{}], "decoded_sha256": "x"}'])
def test_a_golden_result_that_is_none_is_named(
    content: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lunart.verify.cli import main as verify

    (copy / "golden" / "image.json").write_text(content)
    spoil.rehash(copy)
    assert verify([str(copy)]) == 4
    assert "image.json: is no classification" in capsys.readouterr().err


def test_a_network_that_went_wrong_leaves_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lunart.export import torchscript_trace

    export = torchscript_trace.export

    def wrong(module: nn.Module, *rest: Any) -> None:
        other = image_network("cifar-conv", 2, seed=1)
        other.load_state_dict({**other.state_dict(), "fc2.bias": module.state_dict()["fc2.bias"]})
        export(other.requires_grad_(False).eval(), *rest)

    monkeypatch.setattr(torchscript_trace, "export", wrong)
    weights = write_image_weights(tmp_path / "birds.safetensors")
    assert _export(weights, tmp_path / "birds") == 6
    assert "no bundle was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["birds.safetensors"]


def test_the_self_check_proves_it_natively(exported: Path, copy: Path) -> None:
    done = program.run("--selfcheck", f"--bundle={exported}")
    assert done.returncode == 0, done.stdout
    assert "golden" not in done.stderr
    tensors = load_file(copy / "golden" / f"{ROLE}.safetensors")
    assert {key.split(".")[0] for key in tensors} == {"structured", "black", "white", "batch2"}
    shutil.copy(exported / "golden" / "image.png", copy / "golden" / "image.png")
    spoil.change(copy, lambda m: m["classes"].reverse())
    assert program.run("--selfcheck", f"--bundle={copy}").returncode == 6
