"""Floating-point operations of a network, counted from its architecture.

A multiply-add is two operations; only convolutions and linear layers count, which are all but a
hundredth. The network runs on PyTorch's meta device: shapes without numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lunart.bundle import Architecture
from lunart.models.architectures import skeleton

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)


def count(architecture: Architecture, input_shape: Sequence[int]) -> int:
    """Operations of one call with an input of ``input_shape``, batch included."""
    module = skeleton(architecture)
    total = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += _operations(layer, inputs[0], output)

    for layer in module.modules():
        if isinstance(layer, (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        module(torch.empty(*input_shape, device="meta"))
    return total


def _operations(layer: nn.Module, given: Tensor, output: Tensor) -> int:
    if isinstance(layer, _CONVOLUTIONS):
        # Every output voxel sums over a window of every channel of its group.
        return 2 * output.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
    if isinstance(layer, _TRANSPOSED):
        # Every input voxel is spread over a window of every channel of its group.
        return 2 * given.numel() * layer.out_channels // layer.groups * math.prod(layer.kernel_size)
    assert isinstance(layer, nn.Linear)
    return 2 * output.numel() * layer.in_features
