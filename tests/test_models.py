"""The networks: sizes, names of their weights, and TorchScript's equality with eager PyTorch."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from lunart.bundle import Architecture
from lunart.errors import BundleError
from lunart.export.torchscript_archive import quiet
from lunart.models import NoduleClassifier, SegmentationUNet
from lunart.models.architectures import build, infer, recognise
from small_weights import CLASSIFIER, UNET, small_network

STRIDED = Architecture(
    "strided-classifier",
    {"in_channels": 1, "conv_channels": 2, "crop_irc": [32, 32, 32], "mirrors": 0},
)
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
# As in the book's checkpoints (dlwpt-seg-2020.state, dlwpt-cls-2020.state).
_UNET_BLOCKS = (
    "unet.down_path.0",
    "unet.down_path.1",
    "unet.down_path.2",
    "unet.up_path.0.conv_block",
    "unet.up_path.1.conv_block",
)
BOOK_UNET_KEYS = {
    *(f"input_batchnorm.{name}" for name in _NORM),
    *(f"{b}.block.{i}.{name}" for b in _UNET_BLOCKS for i in (0, 3) for name in ("weight", "bias")),
    *(f"{b}.block.{i}.{name}" for b in _UNET_BLOCKS for i in (2, 5) for name in _NORM),
    "unet.up_path.0.up.weight",
    "unet.up_path.0.up.bias",
    "unet.up_path.1.up.weight",
    "unet.up_path.1.up.bias",
    "unet.last.weight",
    "unet.last.bias",
}
BOOK_CLASSIFIER_KEYS = {
    *(f"tail_batchnorm.{name}" for name in _NORM),
    "block1.conv1.weight",
    "block1.conv1.bias",
    "block1.conv2.weight",
    "block1.conv2.bias",
    "block2.conv1.weight",
    "block2.conv1.bias",
    "block2.conv2.weight",
    "block2.conv2.bias",
    "block3.conv1.weight",
    "block3.conv1.bias",
    "block3.conv2.weight",
    "block3.conv2.bias",
    "block4.conv1.weight",
    "block4.conv1.bias",
    "block4.conv2.weight",
    "block4.conv2.bias",
    "head_linear.weight",
    "head_linear.bias",
}


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("resnet", {}, "unknown architecture 'resnet'"),
        ("unet", {"in_channels": 7, "depth": 3}, "takes the arguments"),
        ("unet", {"in_channels": 7, "depth": 3, "wf": 40}, "wf is 40"),
        ("unet", {"in_channels": "7", "depth": 3, "wf": 4}, "in_channels is '7'"),
        ("unet", {"in_channels": True, "depth": 3, "wf": 4}, "in_channels is True"),
        (
            "luna-classifier",
            {"in_channels": 1, "conv_channels": 8, "crop_irc": [32, 48]},
            r"crop_irc is \[32, 48\]",
        ),
    ],
)
def test_architecture_that_makes_no_sense_is_refused(name, arguments, complaint):
    with pytest.raises(BundleError, match=complaint):
        build(Architecture(name, arguments))


def test_state_dict_keys_are_the_books():
    assert set(SegmentationUNet().state_dict()) == BOOK_UNET_KEYS
    assert set(NoduleClassifier().state_dict()) == BOOK_CLASSIFIER_KEYS


def test_built_networks_are_in_eval_mode_without_gradients():
    for architecture in (UNET, CLASSIFIER):
        module = build(architecture)
        assert not any(part.training for part in module.modules())
        assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize(
    "architecture",
    [
        UNET,
        Architecture("unet", {"in_channels": 3, "depth": 4, "wf": 1}),
        Architecture("unet", {"in_channels": 7, "depth": 3, "wf": 4}),
        CLASSIFIER,
        Architecture(
            "luna-classifier", {"in_channels": 1, "conv_channels": 8, "crop_irc": [32, 48, 48]}
        ),
        STRIDED,
    ],
)
def test_architecture_is_read_off_the_shapes(architecture):
    state = build(architecture).state_dict()
    assert recognise(list(state)) == architecture.name
    assert infer(architecture.name, state) == architecture


def test_unknown_keys_are_not_recognised():
    assert recognise(["layer1.0.weight", "fc.bias"]) is None


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("size", [(4, 8), (4, 4), (36, 52), (64, 64)])
def test_unet_takes_any_multiple_of_four(batch, size):
    with torch.no_grad():
        result = small_network("segmentation")(torch.zeros(batch, 7, *size))
    assert result.shape == (batch, 1, *size)
    assert result.dtype == torch.float32


def test_unet_depth_decides_the_multiple():
    module = build(Architecture("unet", {"in_channels": 3, "depth": 4, "wf": 1}))
    assert module.multiple_of == 8
    assert module(torch.zeros(1, 3, 8, 24)).shape == (1, 1, 8, 24)


@pytest.mark.parametrize("batch", [1, 5])
def test_classifier_gives_logits_and_probabilities(batch):
    with torch.no_grad():
        logits, probability = small_network("classification")(torch.zeros(batch, 1, 32, 48, 48))
    assert logits.shape == probability.shape == (batch, 2)
    assert torch.equal(probability, torch.softmax(logits, 1))


@pytest.mark.parametrize("crop", [(16, 16, 16), (32, 32, 32), (32, 48, 64), (33, 35, 47)])
def test_strided_classifier_takes_crops_of_16_voxels_and_more(crop):
    strided = build(Architecture(STRIDED.name, {**STRIDED.arguments, "crop_irc": list(crop)}))
    with torch.no_grad():
        logits, probability = strided(torch.randn(3, 1, *crop))
    assert logits.shape == probability.shape == (3, 2)
    assert torch.allclose(torch.softmax(logits, 1), probability)


def mirrored(mirrors: int) -> Architecture:
    return Architecture(STRIDED.name, {**STRIDED.arguments, "mirrors": mirrors})


@pytest.mark.parametrize("mirrors", [1, 2, 3])
def test_mirrored_classifier_is_the_mean_over_its_images(mirrors):
    wide = {**STRIDED.arguments, "conv_channels": 16}
    several, one = (
        small_network("classification", 3, Architecture(STRIDED.name, {**wide, "mirrors": n}))
        for n in (mirrors, 0)
    )
    for network in (several, one):
        network.head_linear.weight.mul_(1000)
    octants = torch.rand(3, 1, 2, 2, 2, generator=torch.Generator().manual_seed(2))
    hu = torch.nn.functional.interpolate(octants, size=32) * 1500 - 1000
    axes = range(2, 2 + mirrors)
    images = [hu.flip(some) for n in range(4) for some in combinations(axes, n)]
    assert len(images) == 2**mirrors
    with torch.no_grad():
        logits, probability = several(hu)
        each = torch.stack([one(image)[0] for image in images])
        again = several(hu.flip(1 + mirrors))[0]
    apart = (each - each.mean(0)).abs().amax(0)
    assert (apart > 1e-3).all()
    assert ((logits - each.mean(0)).abs() < 0.01 * apart).all()
    assert ((logits - again).abs() < 0.01 * apart).all()
    assert torch.equal(probability, torch.softmax(logits, 1))


def test_strided_classifier_of_another_crop_is_not_guessed():
    small = Architecture(STRIDED.name, {**STRIDED.arguments, "crop_irc": [16, 16, 16]})
    with pytest.raises(BundleError, match="takes 8 features, a classifier of 2 channels"):
        infer(STRIDED.name, build(small).state_dict())


@pytest.mark.parametrize(
    ("role", "architecture", "shapes"),
    [
        ("segmentation", UNET, [(1, 7, 4, 8), (3, 7, 36, 52)]),
        ("classification", CLASSIFIER, [(1, 1, 32, 48, 48), (3, 1, 32, 48, 48)]),
        ("classification", mirrored(0), [(1, 1, 32, 32, 32), (3, 1, 32, 32, 32)]),
        ("classification", mirrored(3), [(1, 1, 32, 32, 32), (3, 1, 32, 32, 32)]),
    ],
)
def test_scripted_network_is_bit_equal_to_eager(role, architecture, shapes):
    module = small_network(role, architecture=architecture)
    with quiet("script"):
        scripted = torch.jit.script(module)
    for shape in shapes:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 400 - 500
        with torch.no_grad():
            eager, other = module(x), scripted(x)
        pairs = [(eager, other)] if role == "segmentation" else zip(eager, other, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
