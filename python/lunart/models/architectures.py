"""The networks by name, built from a name and arguments as a bundle or a checkpoint records them.

The book's checkpoints carry no arguments: :func:`infer` reads them off the weights' shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lunart.bundle import Architecture
from lunart.errors import BundleError
from lunart.models.classifier import NoduleClassifier
from lunart.models.unet import SegmentationUNet

__all__ = [
    "NETWORKS",
    "ROLES",
    "Architecture",
    "build",
    "describe",
    "infer",
    "recognise",
    "skeleton",
]

NETWORKS: dict[str, type[nn.Module]] = {
    "unet": SegmentationUNet,
    "luna-classifier": NoduleClassifier,
}

#: The architecture that each role of a bundle needs.
ROLES = {
    "segmentation": "unet",
    "classification": "luna-classifier",
    "malignancy": "luna-classifier",
}

_DESCRIPTIONS = {
    "unet": "a segmentation U-Net",
    "luna-classifier": "a 3-D nodule classifier",
}

# The names that a network's state_dict starts with, to tell networks apart before any shape.
_MARKS: dict[str, tuple[str, ...]] = {
    "unet": ("input_batchnorm.", "unet."),
    "luna-classifier": ("tail_batchnorm.", "block1.", "head_linear."),
}

# Wide enough for any network that runs on a CPU, and for some that no machine could hold: hence
# :func:`skeleton`.
_RANGES: dict[str, dict[str, tuple[int, int]]] = {
    "unet": {"in_channels": (1, 99), "depth": (2, 7), "wf": (0, 8)},
    "luna-classifier": {"in_channels": (1, 1), "conv_channels": (1, 128), "crop_irc": (16, 256)},
}


def build(architecture: Architecture) -> nn.Module:
    """The network in eval mode, no parameter requiring a gradient, with random weights.

    Raises ``BundleError`` for an unknown name, unknown arguments or values out of range.
    """
    module = NETWORKS[_checked(architecture)](**_arguments(architecture))
    return module.eval().requires_grad_(False)


def skeleton(architecture: Architecture) -> nn.Module:
    """As :func:`build`, but without memory for weights: to be compared with weights, or given them.

    What an architecture asks for is not allocated before there are weights that fit it. Weights go
    in with ``load_state_dict(state, assign=True)``.
    """
    with torch.device("meta"):
        return build(architecture)


def describe(name: str) -> str:
    """The architecture in words, for messages."""
    return _DESCRIPTIONS[name]


def recognise(keys: Sequence[str]) -> str | None:
    """The network that most of these ``state_dict`` keys belong to, or None."""
    counts = {name: sum(key.startswith(marks) for key in keys) for name, marks in _MARKS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] > 0 else None


def infer(name: str, state: Mapping[str, Tensor]) -> Architecture:
    """The arguments of network ``name``, read off the shapes of a ``state_dict``.

    Raises ``BundleError`` when a weight that tells them is missing or has an impossible shape.
    """
    arguments = _infer_unet(state) if name == "unet" else _infer_classifier(state)
    architecture = Architecture(name, arguments)
    _checked(architecture)
    return architecture


def _infer_unet(state: Mapping[str, Tensor]) -> dict[str, Any]:
    width, in_channels = _shape(state, "unet.down_path.0.block.0.weight", 4)[:2]
    levels = {key.split(".")[2] for key in state if key.startswith("unet.down_path.")}
    wf = width.bit_length() - 1
    if 2**wf != width:
        raise BundleError(
            f"unet.down_path.0.block.0.weight has {width} filters; a unet has a power of two"
        )
    return {"in_channels": in_channels, "depth": len(levels), "wf": wf}


def _infer_classifier(state: Mapping[str, Tensor]) -> dict[str, Any]:
    conv_channels, in_channels = _shape(state, "block1.conv1.weight", 5)[:2]
    features = _shape(state, "head_linear.weight", 2)[1]
    crop = (32, 48, 48)
    expected = conv_channels * 8
    for size in crop:
        expected *= size // 16
    if features != expected:
        raise BundleError(
            f"head_linear.weight takes {features} features, a classifier of {conv_channels} "
            f"channels and crops of {crop} has {expected}; a checkpoint of another crop must be "
            "a .safetensors that records its architecture"
        )
    return {"in_channels": in_channels, "conv_channels": conv_channels, "crop_irc": list(crop)}


def _shape(state: Mapping[str, Tensor], key: str, dimensions: int) -> tuple[int, ...]:
    if key not in state:
        raise BundleError(f"missing key: {key}")
    shape = tuple(state[key].shape)
    if len(shape) != dimensions:
        raise BundleError(f"{key} has shape {shape}, {dimensions} axes are expected")
    return shape


def _arguments(architecture: Architecture) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, (list, tuple)) else value
        for key, value in architecture.arguments.items()
    }


def _checked(architecture: Architecture) -> str:
    name = architecture.name
    if name not in NETWORKS:
        raise BundleError(f"unknown architecture {name!r} (known: {', '.join(NETWORKS)})")
    ranges = _RANGES[name]
    if set(architecture.arguments) != set(ranges):
        raise BundleError(
            f"architecture {name!r} takes the arguments {sorted(ranges)}, "
            f"found {sorted(architecture.arguments)}"
        )
    for key, value in architecture.arguments.items():
        low, high = ranges[key]
        triple = key == "crop_irc"
        values = list(value) if triple and isinstance(value, (list, tuple)) else [value]
        good = all(type(item) is int and low <= item <= high for item in values)
        if not good or len(values) != (3 if triple else 1):
            raise BundleError(
                f"architecture {name!r}: {key} is {value!r}, expected "
                f"{'three integers' if triple else 'an integer'} from {low} to {high}"
            )
    return name
