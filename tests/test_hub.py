"""Torch Hub loads every model from the source tree, without network access."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lunart.errors import BundleError, UsageError
from lunart.models import shipped
from lunart.models.architectures import default, make
from lunart.models.checkpoint import load_checkpoint, save_weights
from program import ROOT
from small_weights import write_small_weights

# A model, its weights' file, and an input for it.
MODELS = {
    "nodule_unet": ("segmentation", (1, 7, 16, 16)),
    "nodule_classifier": ("classification", (1, 1, 32, 48, 48)),
    "strided_classifier": ("classification", (1, 1, 32, 32, 32)),
    "malignancy_classifier": ("malignancy", (1, 1, 32, 48, 48)),
    "cifar_linear": ("cifar-linear", (1, 3, 32, 32)),
    "cifar_conv": ("cifar-conv", (1, 3, 32, 32)),
    "cifar_wide": ("cifar-wide", (1, 3, 32, 32)),
    "cifar_l2": ("cifar-l2", (1, 3, 32, 32)),
    "cifar_dropout": ("cifar-dropout", (1, 3, 32, 32)),
    "cifar_batchnorm": ("cifar-batchnorm", (1, 3, 32, 32)),
    "cifar_res": ("cifar-res", (1, 3, 32, 32)),
    "cifar_resdeep": ("cifar-resdeep", (1, 3, 32, 32)),
    "cifar_resdeep_10": ("cifar-resdeep-10", (1, 3, 32, 32)),
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def load(name, **arguments):
    return torch.hub.load(str(ROOT), name, source="local", **arguments)


def test_what_torch_hub_lists_is_models_with_a_word_of_help():
    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    hubconf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hubconf)
    # Torch Hub's own rule; its list() and help() know no local folders.
    listed = {
        name: entry
        for name, entry in vars(hubconf).items()
        if callable(entry) and not name.startswith("_")
    }
    assert set(listed) == set(MODELS)
    assert all(entry.__doc__ for entry in listed.values())


@pytest.mark.parametrize("name", MODELS)
def test_random_weights_of_the_usual_size(name):
    module = load(name)
    assert not module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    outputs = module(torch.zeros(MODELS[name][1]))
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    assert logits.shape[1] == {"nodule_unet": 1, "cifar_resdeep_10": 10}.get(name, 2)


def test_arguments_reach_the_network():
    assert len(load("cifar_resdeep", n_blocks=3, n_classes=5).resblocks) == 3
    assert load("cifar_resdeep_10", n_classes=7).fc2.out_features == 7
    assert load("nodule_classifier", crop_irc=(16, 16, 16)).head_linear.in_features == 64


@pytest.mark.parametrize("name", MODELS)
def test_pretrained_weights_are_those_of_the_package(name):
    weights = MODELS[name][0]
    path = shipped.FOLDER / f"{weights}.safetensors"
    if not path.exists():
        with pytest.raises(BundleError, match=f"ships no {weights} weights"):
            load(name, pretrained=True)
        return
    checkpoint = shipped.shipped(weights)
    if name == "strided_classifier" and checkpoint.architecture.name != "strided-classifier":
        with pytest.raises(UsageError, match=r"not of strided-classifier\("):
            load(name, pretrained=True)
        return
    module = load(name, pretrained=True)
    assert not module.training
    state = module.state_dict()
    assert set(state) == set(checkpoint.state)
    assert all(torch.equal(state[key], value) for key, value in checkpoint.state.items())
    assert module.metadata["pipeline"] == checkpoint.pipeline
    if weights.startswith("cifar"):
        assert len(module.metadata["classes"]) == (10 if name.endswith("_10") else 2)
        assert module.metadata["preprocess"]["deviation"]


def test_weights_that_are_not_there_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(BundleError, match=r"no malignancy weights \(it ships: none\)"):
        load("malignancy_classifier", pretrained=True)
    write_small_weights(tmp_path, "classification")
    with pytest.raises(BundleError, match=r"no malignancy weights \(it ships: classification\)"):
        load("malignancy_classifier", pretrained=True)


def test_pretrained_weights_have_their_own_arguments(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    path = write_small_weights(tmp_path, "classification")
    recorded = load_checkpoint(path, "classification").architecture
    assert recorded == default("luna-classifier", conv_channels=2, crop_irc=[32, 48, 48])
    load("nodule_classifier", pretrained=True, conv_channels=2, crop_irc=(32, 48, 48))
    with pytest.raises(UsageError, match=r"those of luna-classifier\(conv_channels=2"):
        load("nodule_classifier", pretrained=True, conv_channels=8)
    with pytest.raises(UsageError, match=r"not of strided-classifier\("):
        load("strided_classifier", pretrained=True)


def test_the_nodule_classifier_that_ships_may_be_of_either_kind(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    architecture = default("strided-classifier", conv_channels=2)
    path = tmp_path / "classification.safetensors"
    save_weights(path, make(architecture).state_dict(), architecture, pipeline={}, source={})
    for name in ("nodule_classifier", "strided_classifier"):
        module = load(name, pretrained=True)
        assert torch.equal(
            module.stem.weight, load_checkpoint(path, "classification").state["stem.weight"]
        )


@pytest.mark.parametrize("arguments", [{"depht": 3}, {"wf": 99}])
def test_arguments_that_make_no_sense(arguments):
    with pytest.raises(BundleError, match="architecture 'unet'"):
        load("nodule_unet", **arguments)


def test_a_clone_that_is_not_built_says_so(tmp_path):
    clone = _unbuilt_clone(tmp_path)
    result = _loaded_in_a_program(clone, "torch.hub.load(REPO, 'cifar_conv', source='local')")
    assert result.returncode != 0
    last = result.stderr.splitlines()[-1]
    assert f"lunart is not installed and {clone} is not built" in last
    assert "make build" in last


def _unbuilt_clone(folder: Path) -> Path:
    clone = folder / "clone"
    clone.mkdir()
    shutil.copy(ROOT / "hubconf.py", clone)
    shutil.copytree(
        ROOT / "python", clone / "python", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    return clone


def _loaded_in_a_program(clone: Path, call: str) -> subprocess.CompletedProcess[str]:
    """In a Python that has PyTorch and no lunart of its own."""
    program = (
        "import sys\n"
        f"sys.path = [p for p in sys.path if {str(ROOT / 'python')!r} not in p]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'lunart' not in str(f)]\n"
        f"import torch\nREPO = {str(clone)!r}\n{call}\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
