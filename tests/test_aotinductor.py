"""Native code of AOTInductor: what it refuses, what it leaves behind, and that it is right."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import program
import pytest
import torch
from conftest import cached_bundle
from lunart import Runner, _core
from lunart.bundle import Bundle
from lunart.errors import BundleError, EngineError
from lunart.export.formats import CHOICES, FORMATS, chosen
from lunart.export.verify_artifacts import verify_bundle
from lunart.networks import open_network, torch_threads
from memory import resident_mb
from small_weights import small_network, write_small_weights
from spoil import change, copy_of, manifest_of, rehash
from torch._inductor import config as inductor_config

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "docs" / "bundle.schema.json").read_text())
CODE = "archive/data/aotinductor/model/model.so"


@pytest.fixture(scope="module")
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two narrow networks as native code; kept between runs, for it takes a while."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("native-weights")
    weights = {
        role: write_small_weights(folder, role, seed)
        for seed, role in enumerate(("segmentation", "classification"))
    }
    formats = (*chosen("torchscript-trace"), *chosen("aotinductor"))
    return cached_bundle(request.config, "native", weights, formats)


def _artifact(manifest: dict[str, Any], model: str = "segmentation") -> dict[str, Any]:
    found: dict[str, Any] = next(
        a for a in manifest["models"][model]["artifacts"] if a["format"] == "aotinductor"
    )
    return found


def _changed(native: Path, folder: Path, **fields: str) -> Path:
    return change(copy_of(native, folder), lambda manifest: _artifact(manifest).update(fields))


def _network(bundle: Path, model: str = "segmentation", threads: int = 1) -> Any:
    return _core.Network(bundle, model, "aotinductor", threads)


def _slices(batch: int = 1, height: int = 32, width: int = 36, channels: int = 7) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.uniform(-1000, 1000, (batch, channels, height, width)).astype(np.float32)


# --- refused -----------------------------------------------------------------------------------


def test_code_for_another_libtorch_is_refused(native: Path, tmp_path: Path) -> None:
    other = _changed(native, tmp_path / "luna", torch="2.12.1")
    here = torch.__version__.split("+")[0]
    with pytest.raises(EngineError, match=rf"aotinductor\.pt2 .* torch 2\.12\.1 .* {here}"):
        _network(other)


@pytest.mark.parametrize("lacking", ["avx10.2", "x86-64-v9", "sve2"])
def test_code_for_another_processor_is_refused(native: Path, tmp_path: Path, lacking: str) -> None:
    other = _changed(native, tmp_path / "luna", instruction_set=f"x86-64-v3 {lacking}")
    with pytest.raises(EngineError, match=f"lacks {lacking}; run luna-export on this machine"):
        _network(other)


def test_auto_takes_another_engine_and_says_so(
    native: Path, tmp_path: Path, small_scan: Path
) -> None:
    other = _changed(native, tmp_path / "luna", instruction_set="x86-64-v3 avx10.2")
    result = Runner(other)(small_scan, progress="none")
    assert result.engine.name.startswith("aotinductor (classification)") or (
        "torchscript" in result.engine.name
    )
    assert any("avx10.2" in warning.text for warning in result.warnings)


@pytest.mark.parametrize("key", ["instruction_set", "torch"])
def test_native_code_must_say_what_it_is_for(native: Path, tmp_path: Path, key: str) -> None:
    bundle = change(copy_of(native, tmp_path / "luna"), lambda m: _artifact(m).pop(key))
    with pytest.raises(BundleError, match=key):
        Bundle.open(bundle)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest_of(bundle), SCHEMA)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (_slices(height=34), r"1x7x34x36: axis 2 has 34, .* in multiples of 4"),
        (_slices(width=38), r"axis 3 has 38, .* in multiples of 4"),
        (_slices(channels=5), "axis 1 has 5, the network takes 7"),
        (_slices(batch=65, height=4, width=4), "axis 0 has 65, the network takes 1 to 64"),
        (_slices(batch=0), "axis 0 has 0"),
        (_slices(height=0), "axis 2 has 0"),
        (_slices()[0], "takes 4 axes"),
    ],
)
def test_sizes_that_it_was_not_compiled_for_are_refused(
    native: Path, array: np.ndarray, expected: str
) -> None:
    with pytest.raises(EngineError, match=expected):
        _network(native)(array)


def test_a_truncated_file_is_named_and_fails_verification(native: Path, tmp_path: Path) -> None:
    spoilt = copy_of(native, tmp_path / "luna")
    file = spoilt / "segmentation" / "aotinductor.pt2"
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(BundleError, match=r"aotinductor\.pt2"):
        _network(spoilt)
    rehash(spoilt)
    with pytest.raises(EngineError, match=r"aotinductor\.pt2: no usable \.pt2"):
        _network(spoilt)
    wrong = [check for check in verify_bundle(Bundle.open(spoilt)) if not check.passed]
    assert {(check.subject.model, check.subject.artifact) for check in wrong} == {
        ("segmentation", "aotinductor")
    }


def test_changed_code_is_never_opened(native: Path, tmp_path: Path) -> None:
    spoilt = copy_of(native, tmp_path / "luna")
    file = spoilt / "segmentation" / "aotinductor.pt2"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"aotinductor\.pt2: its sha256 is"):
        _network(spoilt)


def test_nothing_is_unpacked_by_a_name_of_the_zip(native: Path, tmp_path: Path) -> None:
    """Neither outside the folder nor to be compiled, which libtorch's own loader would do."""
    spoilt = copy_of(native, tmp_path / "luna")
    file = spoilt / "segmentation" / "aotinductor.pt2"
    with zipfile.ZipFile(file) as archive:
        kept = {n: archive.read(n) for n in archive.namelist() if n != CODE}
    escape = f"archive/data/aotinductor/model/../../../../../../../..{tmp_path}/escaped.so"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
        archive.writestr(escape, b"code")
        archive.writestr("archive/data/aotinductor/model/model.cpp", b"int main() {}")
    rehash(spoilt)
    with pytest.raises(EngineError, match=r"has no data/aotinductor/model/model\.so"):
        _network(spoilt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["luna"]


@pytest.mark.parametrize("folder", ["/nowhere/at/all", "/proc"])
def test_a_temporary_folder_that_cannot_be_used_is_named(
    native: Path, small_scan: Path, folder: str
) -> None:
    message = program.refused(
        5, small_scan, "--bundle", native, "--engine", "aotinductor",
        env={**os.environ, "TMPDIR": folder},
    )  # fmt: skip
    assert f"cannot be unpacked in {folder}" in message
    assert "set TMPDIR" in message


def test_without_a_compiler_the_export_says_how_to_get_one(tmp_path: Path) -> None:
    from lunart.export import aotinductor
    from lunart.export.signature import signature_of
    from small_weights import UNET

    with (
        inductor_config.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(EngineError, match=r"no C\+\+ compiler .* install g\+\+"),
    ):
        aotinductor.export(
            small_network("segmentation"),
            torch.zeros(2, 7, 48, 52),
            signature_of(UNET),
            tmp_path / "model.pt2",
        )
    assert list(tmp_path.iterdir()) == []


# --- right -------------------------------------------------------------------------------------


def test_the_manifest_says_what_it_is_for(native: Path) -> None:
    manifest = manifest_of(native)
    jsonschema.validate(manifest, SCHEMA)
    for model in manifest["models"]:
        artifact = _artifact(manifest, model)
        assert artifact["torch"] == torch.__version__.split("+")[0]
        assert artifact["instruction_set"].split()[0] in ("x86-64-v3", "x86-64-v4")
    checks = {
        check["case"]
        for check in manifest["verification"]["checks"]
        if check["artifact"] == "aotinductor"
    }
    assert {"weights", "structured", "batch2", "batch5", "slice"} <= checks


def test_native_code_is_exported_only_when_asked_for() -> None:
    assert [entry.name for entry in chosen("all")] == [entry.name for entry in FORMATS]
    assert "aotinductor" in CHOICES
    assert "aotinductor" not in [entry.name for entry in chosen("portable")]


def test_the_file_holds_the_code_and_no_path_of_this_machine(native: Path) -> None:
    with zipfile.ZipFile(native / "segmentation" / "aotinductor.pt2") as archive:
        names = archive.namelist()
        content = b"".join(archive.read(name) for name in names)
    assert CODE in names
    assert not [name for name in names if name.endswith((".cpp", ".o", ".h"))]
    for path in (str(Path(torch.__file__).parent), "/tmp/", str(Path.home()) + "/"):
        assert path.encode() not in content


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("model", ["segmentation", "classification"])
def test_it_answers_as_eager_does(native: Path, model: str, threads: int) -> None:
    eager = open_network(native, model, "eager", 1)
    network = open_network(native, model, "aotinductor", threads)
    rng = np.random.default_rng(3)
    shapes = (
        [(1, 7, 4, 4), (1, 7, 64, 64), (3, 7, 36, 100)]
        if model == "segmentation"
        else [(1, 1, 32, 48, 48), (5, 1, 32, 48, 48)]
    )
    for shape in shapes:
        array = rng.uniform(-1000, 1000, shape).astype(np.float32)
        expected = eager(array)
        for name, output in network(array).items():
            assert output.shape == expected[name].shape
            assert np.abs(output - expected[name]).max() <= 1e-3


def test_calls_side_by_side_answer_as_calls_alone(native: Path) -> None:
    network, alone = _network(native, threads=2), _network(native, threads=1)
    assert network.lanes == 2
    arrays = [_slices(height=4 * k, width=80 - 4 * k) for k in range(1, 17)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda array: network(array)[0], arrays))
    for array, output in zip(arrays, together, strict=True):
        np.testing.assert_array_equal(output, alone(array)[0])


def test_the_hosts_number_of_threads_stays(native: Path) -> None:
    with torch_threads(3):
        _network(native)(_slices())
        assert torch.get_num_threads() == 3


# --- what it leaves behind ---------------------------------------------------------------------


def test_the_temporary_folder_is_empty_afterwards(
    native: Path, small_scan: Path, tmp_path: Path
) -> None:
    result = program.result_of(
        small_scan, "--bundle", native, "--engine", "aotinductor",
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert result["engine"]["name"] == "aotinductor"
    assert list(tmp_path.iterdir()) == []


def test_fifty_calls_and_fifty_loads_hold_no_more_memory(native: Path) -> None:
    array = _slices(height=128, width=128)
    network = _network(native, threads=2)
    for _ in range(5):
        network(array)
    before = resident_mb()
    for _ in range(50):
        network(array)
        _network(native, threads=2)(array)
    assert resident_mb() < before + 20
