"""Reading weights: everything that can be wrong with a file, then the files that are right."""

from __future__ import annotations

import datetime
import decimal
import resource
from pathlib import Path

import pytest
import torch
from lunart.bundle import Architecture
from lunart.errors import BundleError
from lunart.export.torchscript_archive import quiet
from lunart.models.checkpoint import load_checkpoint, load_weights, save_weights
from safetensors.torch import load_file, save_file
from small_weights import ARCHITECTURES, UNET, small_network, write_small_weights


@pytest.fixture
def state():
    return small_network("segmentation").state_dict()


def _refused(path: Path, role: str = "segmentation") -> str:
    with pytest.raises(BundleError) as caught:
        load_checkpoint(path, role)
    assert str(path) in str(caught.value)
    return str(caught.value)


def _pickled(folder: Path, content: object) -> Path:
    path = folder / "weights.state"
    torch.save(content, path)
    return path


def test_missing_file(tmp_path):
    assert "no such checkpoint" in _refused(tmp_path / "seg.state")


def test_folder(tmp_path):
    assert "a folder" in _refused(tmp_path)


@pytest.mark.parametrize("name", ["a.safetensors", "a.state", "a.pt", "a"])
@pytest.mark.parametrize(
    "content", [b"", b"hello, this is text\n", b"\x80\x02}q\x00(X", b"PK\x03\x04"]
)
def test_file_that_is_no_checkpoint(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert "not a" in _refused(path)


def test_truncated_checkpoints(tmp_path, state):
    good = write_small_weights(tmp_path, "segmentation")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:-100])
    assert "not a safetensors file" in _refused(cut)
    pickled = _pickled(tmp_path, {"model_state": state})
    pickled.write_bytes(pickled.read_bytes()[:-3000])
    assert "not a checkpoint" in _refused(pickled)


def test_pickle_that_wants_a_forbidden_type_names_it(tmp_path, state):
    path = _pickled(tmp_path, {"model_state": state, "extra": decimal.Decimal("1.5")})
    assert "decimal.Decimal" in _refused(path)


def test_pickle_that_would_run_code_does_not(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = _pickled(tmp_path, {"model_state": Evil()})
    assert "could run code" in _refused(path)
    assert not (tmp_path / "ran").exists()


def test_torchscript_file_is_not_a_checkpoint(tmp_path):
    path = tmp_path / "script.pt"
    with quiet("script", "save"):
        torch.jit.save(torch.jit.script(small_network("segmentation")), path)
    assert "TorchScript module, not a checkpoint" in _refused(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"model_state": {}}, 7])
def test_pickle_without_a_state_dict(tmp_path, content):
    assert "not a checkpoint" in _refused(_pickled(tmp_path, content))


def test_network_that_lunart_does_not_know(tmp_path):
    path = _pickled(tmp_path, {"layer1.0.weight": torch.zeros(3), "fc.bias": torch.zeros(2)})
    message = _refused(path)
    assert "layer1.0.weight" in message
    assert "segmentation U-Net" in message


def test_classifier_given_as_segmentation_is_said_in_words(tmp_path):
    message = _refused(write_small_weights(tmp_path, "classification"), "segmentation")
    assert "holds a 3-D nodule classifier" in message
    assert "--segmentation needs a segmentation U-Net" in message
    assert "--classification" in message


def test_segmentation_given_as_malignancy_is_said_in_words(tmp_path):
    message = _refused(write_small_weights(tmp_path, "segmentation"), "malignancy")
    assert "--malignancy needs a 3-D nodule classifier" in message
    assert "Give this file to --segmentation" in message


def test_missing_and_surplus_keys_are_named(tmp_path, state):
    state["unet.last.scale"] = state.pop("unet.last.bias")
    message = _refused(_pickled(tmp_path, state))
    assert "missing keys: unet.last.bias" in message
    assert "surplus keys: unet.last.scale" in message
    assert "unet(depth=3, in_channels=7, wf=2)" in message


def test_missing_key_that_tells_the_architecture(tmp_path, state):
    del state["unet.down_path.0.block.0.weight"]
    assert "missing key: unet.down_path.0.block.0.weight" in _refused(_pickled(tmp_path, state))


def test_wrong_shapes_are_named(tmp_path, state):
    state["unet.last.weight"] = torch.zeros(1, 5, 1, 1)
    assert "unet.last.weight is 1x5x1x1, expected 1x4x1x1" in _refused(_pickled(tmp_path, state))


def test_filters_that_are_no_power_of_two(tmp_path, state):
    state["unet.down_path.0.block.0.weight"] = torch.zeros(5, 7, 3, 3)
    assert "has 5 filters" in _refused(_pickled(tmp_path, state))


def test_classifier_of_another_crop_needs_its_architecture(tmp_path):
    state = small_network("classification").state_dict()
    state["head_linear.weight"] = torch.zeros(2, 100)
    assert "100 features" in _refused(_pickled(tmp_path, state), "classification")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, state, value):
    state["unet.last.bias"][0] = value
    assert "NaN or infinite weights: unet.last.bias" in _refused(_pickled(tmp_path, state))


def test_integer_weights_are_refused(tmp_path, state):
    state["unet.last.bias"] = state["unet.last.bias"].to(torch.int32)
    assert "unet.last.bias is torch.int32" in _refused(_pickled(tmp_path, state))


@pytest.mark.parametrize(
    ("pipeline", "complaint"),
    [
        ({"nodule_threshold": 0.4}, "'nodule_threshold' is not one of segmentation weights"),
        ({"erosion": 1.5}, "erosion is 1.5"),
        ({"erosion": True}, "erosion is True"),
        ({"segmentation_threshold": 1.5}, "segmentation_threshold is 1.5"),
        ({"segmentation_threshold": "0.5"}, "segmentation_threshold is '0.5'"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, pipeline, complaint):
    assert complaint in _refused(write_small_weights(tmp_path, "segmentation", pipeline=pipeline))


def test_a_word_that_is_no_setting_is_refused(tmp_path):
    path = write_small_weights(tmp_path, "classification", pipeline={"crop_border": "mirror"})
    with pytest.raises(BundleError, match="crop_border is 'mirror', expected pad or shift"):
        load_checkpoint(path, "classification")


@pytest.mark.parametrize("spacing", [0.0, -1.0, 1e9, "1"])
def test_a_spacing_of_crops_that_makes_no_sense_is_refused(tmp_path, spacing):
    recorded = {"crop_spacing_mm": spacing}
    path = write_small_weights(tmp_path, "malignancy", pipeline=recorded)
    with pytest.raises(BundleError, match="crop_spacing_mm is"):
        load_checkpoint(path, "malignancy")


def test_recorded_architecture_that_contradicts_the_weights(tmp_path, state):
    path = tmp_path / "a.safetensors"
    save_weights(path, state, ARCHITECTURES["classification"])
    assert "records architecture 'luna-classifier'" in _refused(path)


@pytest.mark.parametrize("metadata", ["{", "[1]", '{"architecture": 3}'])
def test_metadata_that_is_damaged(tmp_path, state, metadata):
    path = tmp_path / "a.safetensors"
    save_file(state, path, {"lunart": metadata})
    _refused(path)


@pytest.fixture
def _little_memory():
    """Two gigabytes more than this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("_little_memory")
def test_huge_architecture_around_small_weights_is_refused_without_its_memory(tmp_path, state):
    # 32 GB of weights, were they ever made.
    huge = Architecture("unet", {"in_channels": 99, "depth": 7, "wf": 8})
    path = tmp_path / "a.safetensors"
    save_weights(path, state, huge)
    assert "missing keys: unet.down_path.3.block.0.weight" in _refused(path)
    with pytest.raises(BundleError, match="missing keys"):
        load_weights(path, huge)
    deep = Architecture("unet", {"in_channels": 7, "depth": 3, "wf": 8})
    with pytest.raises(BundleError, match=r"wrong shapes: .* is 4x7x3x3, expected 256x7x3x3"):
        load_weights(path, deep)


@pytest.mark.parametrize("role", ["segmentation", "classification"])
def test_loaded_networks_are_the_one_that_was_saved(tmp_path, role):
    path = write_small_weights(tmp_path, role)
    saved = small_network(role)
    checkpoint = load_checkpoint(path, role)
    for module in (checkpoint.module(), load_weights(path, checkpoint.architecture)):
        assert not any(part.training for part in module.modules())
        assert not any(parameter.requires_grad for parameter in module.parameters())
        found = module.state_dict()
        assert list(found) == list(saved.state_dict())
        for key, value in saved.state_dict().items():
            assert found[key].device.type == "cpu"
            assert found[key].dtype == value.dtype
            assert found[key].is_contiguous()
            assert torch.equal(found[key], value), key
        shape = (1, 7, 32, 32) if role == "segmentation" else (1, 1, 32, 48, 48)
        hu = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2000 - 1000
        for ours, theirs in zip(module(hu), saved(hu), strict=True):
            assert torch.equal(ours, theirs)


def test_a_network_may_be_changed_without_its_checkpoint(tmp_path):
    checkpoint = load_checkpoint(write_small_weights(tmp_path, "segmentation"), "segmentation")
    before = {key: value.clone() for key, value in checkpoint.state.items()}
    for parameter in checkpoint.module().parameters():
        parameter.zero_()
    assert all(torch.equal(value, before[key]) for key, value in checkpoint.state.items())


def test_our_weights_carry_architecture_settings_and_source(tmp_path, state):
    settings = {"segmentation_threshold": 0.25, "erosion": 0, "min_component_mm3": 30}
    path = write_small_weights(
        tmp_path, "segmentation", pipeline=settings, source={"data": "phantoms"}
    )
    checkpoint = load_checkpoint(path, "segmentation")
    assert checkpoint.architecture == UNET
    assert checkpoint.pipeline == settings
    assert checkpoint.source["metadata"] == {"data": "phantoms"}
    assert checkpoint.source["file"] == "segmentation.safetensors"
    assert checkpoint.source["sha256"] == checkpoint.sha256
    module = checkpoint.module()
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert not module.training


def test_saved_weights_do_not_depend_on_the_order_of_keys(tmp_path, state):
    turned = dict(reversed(state.items()))
    save_weights(tmp_path / "a", state, UNET)
    save_weights(tmp_path / "b", turned, UNET)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_bare_and_book_state_dicts_are_read(tmp_path, state):
    book = {
        "model_state": state,
        "time": datetime.datetime(2020, 1, 26),
        "epoch": 5,
        "sys_argv": ["/home/someone/training.py"],
        "optimizer_state": {"state": {}},
    }
    for content in (state, book):
        checkpoint = load_checkpoint(_pickled(tmp_path, content), "segmentation")
        assert checkpoint.architecture == UNET
        assert "sys_argv" not in str(checkpoint.source)
    assert checkpoint.source["metadata"] == {"epoch": 5}


def test_batch_counters_of_old_pytorch_may_be_missing(tmp_path, state):
    old = {key: value for key, value in state.items() if not key.endswith("batches_tracked")}
    checkpoint = load_checkpoint(_pickled(tmp_path, old), "segmentation")
    assert checkpoint.state["input_batchnorm.num_batches_tracked"] == 0


def test_other_precisions_become_float32(tmp_path, state):
    half = {key: v.bfloat16() if v.is_floating_point() else v for key, v in state.items()}
    checkpoint = load_checkpoint(_pickled(tmp_path, half), "segmentation")
    assert all(v.dtype in (torch.float32, torch.int64) for v in checkpoint.state.values())


def test_safetensors_without_our_metadata_is_read(tmp_path, state):
    path = tmp_path / "plain.safetensors"
    save_file(state, path)
    assert load_checkpoint(path, "segmentation").architecture == UNET
    assert set(load_file(path)) == set(state)


@pytest.mark.parametrize(
    ("file", "role", "arguments"),
    [
        ("dlwpt-seg-2020.state", "segmentation", {"in_channels": 7, "depth": 3, "wf": 4}),
        (
            "dlwpt-cls-2020.state",
            "classification",
            {"in_channels": 1, "conv_channels": 8, "crop_irc": [32, 48, 48]},
        ),
        (
            "dlwpt-cls-2020.state",
            "malignancy",
            {"in_channels": 1, "conv_channels": 8, "crop_irc": [32, 48, 48]},
        ),
    ],
)
def test_book_checkpoints_load(shared_data, file, role, arguments):
    checkpoint = load_checkpoint(shared_data / "checkpoints" / file, role)
    assert checkpoint.architecture.arguments == arguments
    assert checkpoint.source["metadata"]["model_name"] in ("UNetWrapper", "LunaModel")
    assert "/" not in str(checkpoint.source)


def test_the_books_image_network_as_segmentation_is_said_in_words(shared_data):
    message = _refused(shared_data / "checkpoints" / "dlwpt-birds-vs-airplanes.pt")
    assert "holds a convolutional image classifier" in message
    assert "Give this file to --image-classifier" in message


def test_book_classifier_as_segmentation_is_said_in_words(shared_data):
    message = _refused(shared_data / "checkpoints" / "dlwpt-cls-2020.state", "segmentation")
    assert "holds a 3-D nodule classifier" in message
