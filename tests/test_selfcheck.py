"""The self-check: passes on what was exported, and names what somebody changed and re-hashed."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
import spoil
import torch
from lunart import _core
from lunart.bundle import Bundle
from lunart.errors import BundleError, EngineError, UsageError
from lunart.export.torchscript_archive import load_module, quiet, save_module
from lunart.registry import engines_of
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

TRACE, SCRIPT = "torchscript-trace", "torchscript-script"


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return spoil.copy_of(bundle, tmp_path / "luna")


def _checks(bundle: Path, engine: str = TRACE) -> list[dict[str, Any]]:
    return _core.selfcheck(bundle=str(bundle), engine=engine, threads=1)


def _failed(bundle: Path, engine: str = TRACE) -> list[dict[str, Any]]:
    return [check for check in _checks(bundle, engine) if not check["passed"]]


class _Wrapped(nn.Module):
    """An artifact with something done to what goes in or comes out."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


class _Permuted(_Wrapped):
    def forward(self, hu: Tensor) -> Tensor:
        out: Tensor = self.inner(hu[:, [1, 0, 2, 3, 4, 5, 6]])
        return out


class _Dropped(_Wrapped):
    def forward(self, hu: Tensor) -> Tensor:
        outputs: tuple[Tensor, Tensor] = self.inner(hu)
        return outputs[1]


class _Swapped(_Wrapped):
    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        outputs: tuple[Tensor, Tensor] = self.inner(hu)
        return outputs[1], outputs[0]


class _Silent(_Wrapped):
    def forward(self, hu: Tensor) -> Tensor:
        out: Tensor = self.inner(hu) * float("nan")
        return out


class _Narrow(_Wrapped):
    def forward(self, hu: Tensor) -> Tensor:
        out: Tensor = self.inner(hu)[:, :, 1:]
        return out


def _wrap(bundle: Path, role: str, wrapper: type[_Wrapped], artifact: str = TRACE) -> None:
    path = bundle / role / f"{artifact}.pt"
    with quiet(), warnings.catch_warnings():
        # Deprecated in torch 2.13, and what the exporter uses.
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(wrapper(load_module(path)))
        save_module(scripted, path)
    spoil.rehash(bundle)


def _change_a_weight(bundle: Path, role: str, by: float, artifact: str = TRACE) -> str:
    path = bundle / role / f"{artifact}.pt"
    with quiet():
        module = load_module(path)
        name, parameter = max(module.named_parameters(), key=lambda item: item[1].numel())
        with torch.no_grad():
            parameter.view(-1)[parameter.numel() // 2] += by
        save_module(module, path)
    spoil.rehash(bundle)
    return str(name)


# --- wrong artifacts -----------------------------------------------------------------------------


@pytest.mark.parametrize("artifact", [TRACE, SCRIPT])
@pytest.mark.parametrize("role", ["segmentation", "classification", "malignancy"])
def test_a_changed_weight_is_found_however_small(role: str, artifact: str, copy: Path) -> None:
    name = _change_a_weight(copy, role, 1e-6, artifact)
    wrong = [check for check in _failed(copy, artifact) if check["model"] == role]
    assert wrong
    assert wrong[0]["artifact"] == artifact
    assert wrong[0]["check"] == "weights differing"
    assert (wrong[0]["value"], wrong[0]["limit"]) == (1, 0)
    assert name in wrong[0]["detail"]


def test_a_weight_changed_everywhere_is_found_by_the_golden_vectors(copy: Path) -> None:
    """Weights and artifact agree with each other and not with what eager PyTorch computed."""
    _change_a_weight(copy, "segmentation", 0.5)
    path = copy / "segmentation" / "weights.safetensors"
    with quiet():
        state = load_module(copy / "segmentation" / f"{TRACE}.pt").state_dict()
    save_file({key: value.numpy() for key, value in state.items()}, path)
    spoil.rehash(copy)
    wrong = {check["check"] for check in _failed(copy) if check["model"] == "segmentation"}
    assert "weights differing" not in wrong
    assert "structured probability max_abs" in wrong


def test_permuted_input_channels_are_found(copy: Path) -> None:
    _wrap(copy, "segmentation", _Permuted)
    wrong = [check for check in _failed(copy) if check["check"].startswith("structured")]
    assert wrong
    assert all(check["value"] > check["limit"] for check in wrong)


@pytest.mark.parametrize(
    ("role", "wrapper", "said"),
    [
        ("classification", _Dropped, "1 outputs, expected 2"),
        ("malignancy", _Dropped, "1 outputs, expected 2"),
        ("classification", _Swapped, ""),
        ("segmentation", _Silent, ""),
        ("segmentation", _Narrow, "shape"),
    ],
)
def test_wrong_outputs_are_found(role: str, wrapper: type[_Wrapped], said: str, copy: Path) -> None:
    _wrap(copy, role, wrapper)
    wrong = [check for check in _failed(copy) if check["model"] == role]
    golden = [check for check in wrong if check["check"].startswith("structured")]
    assert golden
    assert any(said in check["detail"] for check in golden)


@pytest.mark.parametrize(
    "content", [b"", b"PK\3\4 no archive", b"\0" * 4096], ids=["empty", "archive", "zeros"]
)
def test_an_artifact_that_cannot_be_loaded_is_a_failed_check(content: bytes, copy: Path) -> None:
    (copy / "segmentation" / f"{TRACE}.pt").write_bytes(content)
    spoil.rehash(copy)
    wrong = [check for check in _failed(copy) if check["model"] == "segmentation"]
    assert [check["check"] for check in wrong] == ["load"]
    assert f"{TRACE}.pt" in wrong[0]["detail"]


def test_an_artifact_of_another_network_is_found(copy: Path) -> None:
    shutil.copy2(copy / "malignancy" / f"{TRACE}.pt", copy / "classification" / f"{TRACE}.pt")
    spoil.rehash(copy)
    wrong = [check for check in _failed(copy) if check["model"] == "classification"]
    assert "weights differing" in {check["check"] for check in wrong}
    assert "structured probability max_abs" in {check["check"] for check in wrong}


# --- wrong golden data ---------------------------------------------------------------------------


def _without_vectors(copy: Path) -> None:
    save_file({"nothing": np.zeros(1, np.float32)}, copy / "golden" / "classification.safetensors")


def _without_output(copy: Path) -> None:
    path = copy / "golden" / "classification.safetensors"
    vectors = load_file(path)
    del vectors["structured.probability"]
    save_file(vectors, path)


@pytest.mark.parametrize("change", [_without_vectors, _without_output])
def test_golden_vectors_that_prove_nothing_fail(change: Callable[[Path], None], copy: Path) -> None:
    change(copy)
    spoil.rehash(copy)
    wrong = [check for check in _failed(copy) if check["model"] == "classification"]
    assert wrong


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["golden"]["networks"].pop("classification"),
        lambda m: m["golden"].pop("scan"),
        lambda m: m["golden"].pop("result"),
    ],
    ids=["network", "scan", "result"],
)
def test_a_bundle_without_golden_data_is_an_error(change: Any, copy: Path) -> None:
    spoil.change(copy, change)
    with pytest.raises(BundleError, match="golden"):
        _checks(copy)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"nodules": 3}', '{"nodules": [{"probability": "high"}]}']
)
def test_a_golden_result_that_is_none_is_an_error(content: str, copy: Path) -> None:
    (copy / "golden" / "phantom.json").write_text(content)
    spoil.rehash(copy)
    with pytest.raises(BundleError, match="golden"):
        _checks(copy)


def test_a_golden_file_that_is_no_safetensors_is_named(copy: Path) -> None:
    for content in (b"", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}", (10).to_bytes(8, "little") + b"{"):
        (copy / "golden" / "segmentation.safetensors").write_bytes(content)
        spoil.rehash(copy)
        try:
            wrong = _failed(copy)
        except BundleError as error:
            assert "segmentation.safetensors" in str(error)  # noqa: PT017
        else:
            assert wrong


def test_other_nodules_than_the_golden_ones_are_found(copy: Path) -> None:
    path = copy / "golden" / "phantom.json"
    golden = json.loads(path.read_text())
    assert golden["nodules"], "the golden scan must have nodules, or it proves little"
    lost = golden["nodules"].pop(0)
    path.write_text(json.dumps(golden))
    spoil.rehash(copy)
    (wrong,) = _failed(copy)
    assert (wrong["model"], wrong["check"], wrong["value"]) == (
        "pipeline",
        "nodules without a like",
        1,
    )
    moved = {**lost, "center_irc": [lost["center_irc"][0] + 3, *lost["center_irc"][1:]]}
    golden["nodules"].append(moved)
    path.write_text(json.dumps(golden))
    spoil.rehash(copy)
    assert {check["check"] for check in _failed(copy)} == {"nodules without a like"}


# --- what is asked -------------------------------------------------------------------------------


def test_an_engine_that_cannot_check_is_an_error(copy: Path) -> None:
    spoil.change(copy, spoil.only_artifacts(TRACE))
    with pytest.raises(EngineError, match="onnxruntime"):
        _checks(copy, "onnxruntime")
    with pytest.raises((UsageError, EngineError), match="nonsense"):
        _checks(copy, "nonsense")


def test_every_native_engine_passes(bundle: Path) -> None:
    checks = _checks(bundle, "auto")
    assert [check for check in checks if not check["passed"]] == []
    able = set(engines_of(Bundle.open(bundle)))
    assert able >= {TRACE, SCRIPT, "torchscript", "onnxruntime"}
    ran = {(check["model"], check["engine"]) for check in checks if not check["skipped"]}
    models = ("segmentation", "classification", "malignancy", "pipeline")
    assert ran == {(model, engine) for model in models for engine in able}
    assert {check["engine"] for check in checks if check["skipped"]}.isdisjoint(able)
    cases = {check["check"].split()[0] for check in checks if check["model"] == "segmentation"}
    assert {"structured", "air", "extreme", "batch2", "weights"} <= cases


# --- the program ---------------------------------------------------------------------------------


def test_the_program_passes_and_says_how_many(bundle: Path) -> None:
    arguments = ("--selfcheck", f"--bundle={bundle}", f"--engine={TRACE}", "--threads=1")
    done = program.run(*arguments)
    assert done.returncode == 0, done.stdout
    count = done.stdout.count("[✓]")
    assert done.stdout.splitlines()[-1] == f"all {count} checks passed"
    done = program.run(*arguments, "--json", "-")
    report = json.loads(done.stdout)
    assert report["passed"]
    assert len(report["checks"]) == count


def test_the_program_is_6_and_names_model_artifact_check_and_value(copy: Path) -> None:
    _wrap(copy, "segmentation", _Permuted)
    arguments = ("--selfcheck", f"--bundle={copy}", f"--engine={TRACE}", "--threads=1")
    done = program.run(*arguments)
    assert done.returncode == 6
    lines = [line for line in done.stdout.splitlines() if line.startswith("[✗]")]
    line = next(text for text in lines if "structured" in text)
    assert f"segmentation/{TRACE} structured probability" in line
    assert "limit 0.001" in line or "limit 1e-07" in line
    done = program.run(*arguments, "--json", "-")
    assert done.returncode == 6
    report = json.loads(done.stdout)
    assert not report["passed"]
    assert any(
        not check["passed"] and check["model"] == "segmentation" for check in report["checks"]
    )
