"""The image networks: the book's layouts, every way of rebuilding them, and their checkpoints."""

from __future__ import annotations

import pytest
import torch
from lunart.bundle import Architecture
from lunart.errors import BundleError
from lunart.export.torchscript_archive import quiet
from lunart.models import images
from lunart.models.architectures import (
    CLASSIFIER,
    ROLES,
    build,
    default,
    infer,
    recognise,
    skeleton,
)
from lunart.models.checkpoint import load_checkpoint, load_weights, save_weights
from torch import nn

NAMES = ROLES[CLASSIFIER]
# Weights alone do not tell these from a convolutional network.
ALIKE = ("cifar-wide", "cifar-l2", "cifar-dropout")
IMAGES = images.Images(
    classes=("bird", "airplane"),
    preprocess=images.square(32, mean=[0.49, 0.48, 0.45], deviation=[0.25, 0.24, 0.26]),
)


def lively(name: str, **arguments: int) -> nn.Module:
    """Random weights whose batch norms do something."""
    torch.manual_seed(3)
    module = build(default(name, **arguments))
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for buffer in (part.weight, part.running_var):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
            for buffer in (part.bias, part.running_mean):
                buffer.copy_(torch.randn_like(buffer) * 0.1)
    return module


def pictures(count: int) -> torch.Tensor:
    return torch.randn((count, 3, 32, 32), generator=torch.Generator().manual_seed(1))


def test_every_network_of_the_ladder_is_there():
    rungs = ("linear", "conv", "wide", "l2", "dropout", "batchnorm", "res", "resdeep")
    assert tuple(f"cifar-{rung}" for rung in rungs) == NAMES


# Counted by hand from the book's layouts: weights and biases of each layer.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("cifar-linear", 3072 * 512 + 512 + 512 * 2 + 2),
        ("cifar-conv", (27 * 16 + 16) + (144 * 8 + 8) + (512 * 32 + 32) + 66),
        ("cifar-wide", (27 * 32 + 32) + (288 * 16 + 16) + (1024 * 32 + 32) + 66),
        ("cifar-l2", (27 * 16 + 16) + (144 * 8 + 8) + (512 * 32 + 32) + 66),
        ("cifar-dropout", (27 * 32 + 32) + (288 * 16 + 16) + (1024 * 32 + 32) + 66),
        ("cifar-batchnorm", (27 * 32 + 32) + 64 + (288 * 16 + 16) + 32 + (1024 * 32 + 32) + 66),
        ("cifar-res", (27 * 32 + 32) + (288 * 16 + 16) + (144 * 16 + 16) + (256 * 32 + 32) + 66),
        ("cifar-resdeep", (27 * 32 + 32) + 10 * (288 * 32 + 64) + (2048 * 32 + 32) + 66),
    ],
)
def test_networks_are_as_large_as_the_books(name, parameters):
    assert sum(p.numel() for p in skeleton(default(name)).parameters()) == parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_classes", [2, 10])
def test_logits_and_probabilities_of_each_class(name, n_classes):
    logits, probability = lively(name, n_classes=n_classes)(pictures(3))
    assert logits.shape == probability.shape == (3, n_classes)
    assert logits.dtype == torch.float32
    assert torch.equal(probability, torch.softmax(logits, 1))
    assert logits.std(0).min() > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_judged_alone(name):
    module, batch = lively(name), pictures(3)
    alone = torch.cat([module(picture[None])[0] for picture in batch])
    torch.testing.assert_close(alone, module(batch)[0], rtol=1e-4, atol=1e-5)


def test_blocks_of_the_deep_residual_network_are_independent():
    module = lively("cifar-resdeep", n_blocks=4)
    assert len({block.conv.weight.data_ptr() for block in module.resblocks}) == 4
    before = [block.conv.weight.clone() for block in module.resblocks]
    module.resblocks[1].conv.weight.zero_()
    changed = [
        not torch.equal(block.conv.weight, old)
        for block, old in zip(module.resblocks, before, strict=True)
    ]
    assert changed == [False, True, False, False]


def test_dropout_acts_in_training_only():
    module, batch = lively("cifar-dropout"), pictures(2)
    assert torch.equal(module(batch)[0], module(batch)[0])
    module.train()
    assert not torch.equal(module(batch)[0], module(batch)[0])


@pytest.mark.parametrize("name", NAMES)
def test_scripted_and_traced_networks_are_bit_equal_to_eager(name):
    module = lively(name)
    with quiet("script", "trace", "trace_method"):
        others = (torch.jit.script(module), torch.jit.trace(module, pictures(2)))
    for count in (1, 2, 5):
        for other in others:
            for ours, theirs in zip(module(pictures(count)), other(pictures(count)), strict=True):
                assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_any_batch_is_exported(name):
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        lively(name), (pictures(2),), dynamic_shapes={"image": {0: batch}}
    )
    for count in (1, 7):
        for ours, theirs in zip(
            lively(name)(pictures(count)), program.module()(pictures(count)), strict=True
        ):
            torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_classes", [2, 10])
def test_architecture_is_read_off_the_shapes(name, n_classes):
    architecture = default(name, n_classes=n_classes)
    state = build(architecture).state_dict()
    found = recognise(list(state))
    assert found == ("cifar-conv" if name in ALIKE else name)
    assert infer(found, state) == Architecture(found, architecture.arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("cifar-conv", {"n_classes": 1}, "n_classes is 1, expected an integer from 2"),
        ("cifar-conv", {"channels": 1}, "channels is 1"),
        ("cifar-conv", {"hidden": 3}, "takes the arguments"),
        ("cifar-resdeep", {"n_blocks": 100000}, "n_blocks is 100000"),
        ("cifar-resdeep", {"n_blocks": "10"}, "n_blocks is '10'"),
        ("cifar-vgg", {}, "unknown architecture 'cifar-vgg'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(name, arguments, complaint):
    with pytest.raises(BundleError, match=complaint):
        default(name, **arguments)


@pytest.mark.parametrize("name", NAMES)
def test_saved_weights_come_back_with_classes_and_preprocessing(tmp_path, name):
    path = tmp_path / "a.safetensors"
    module = lively(name)
    save_weights(path, module.state_dict(), default(name), images=IMAGES)
    checkpoint = load_checkpoint(path, CLASSIFIER)
    assert checkpoint.architecture.name == name
    assert checkpoint.images == IMAGES
    for loaded in (checkpoint.module(), load_weights(path, checkpoint.architecture)):
        assert torch.equal(loaded(pictures(2))[1], module(pictures(2))[1])


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"classes": ["bird", "airplane", "cat"]}, "the network tells 2 apart"),
        ({"classes": ["bird", "bird"]}, "the network tells 2 apart"),
        ({"classes": "bird"}, "a list of names is expected"),
        ({"classes": [1, 2]}, "a list of names is expected"),
        ({"preprocess": None}, "preprocess is None"),
        ({"preprocess": [0.5]}, r"preprocess is \[0.5\]"),
    ],
)
def test_classes_that_do_not_fit_are_named(tmp_path, metadata, complaint):
    class Wrong(images.Images):
        def to_json(self):
            return {**super().to_json(), **metadata}

    path = tmp_path / "a.safetensors"
    wrong = Wrong(classes=IMAGES.classes, preprocess=IMAGES.preprocess)
    save_weights(path, lively("cifar-conv").state_dict(), default("cifar-conv"), images=wrong)
    with pytest.raises(BundleError, match=complaint) as caught:
        load_checkpoint(path, CLASSIFIER)
    assert str(path) in str(caught.value)


def test_a_nodule_network_is_no_image_classifier(tmp_path):
    path = tmp_path / "a.safetensors"
    architecture = default("luna-classifier", conv_channels=1)
    save_weights(path, build(architecture).state_dict(), architecture)
    with pytest.raises(BundleError, match="--image-classifier needs an image classifier") as caught:
        load_checkpoint(path, CLASSIFIER)
    assert "Give this file to --classification or --malignancy" in str(caught.value)


def test_pictures_of_other_channels_are_refused(tmp_path):
    state = lively("cifar-conv").state_dict()
    state["conv1.weight"] = torch.zeros(16, 4, 3, 3)
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(BundleError, match="takes 4 channels; a picture has 3"):
        load_checkpoint(tmp_path / "a.pt", CLASSIFIER)


def test_the_books_checkpoint_loads(shared_data):
    file = shared_data / "checkpoints" / "dlwpt-birds-vs-airplanes.pt"
    checkpoint = load_checkpoint(file, CLASSIFIER)
    assert checkpoint.architecture == default("cifar-conv")
    assert checkpoint.images is None
    assert checkpoint.module()(pictures(2))[1].sum(1).tolist() == pytest.approx([1, 1])
