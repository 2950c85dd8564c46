"""The 3-D classifier of *Deep Learning with PyTorch* (chapter 11): nodule or look-alike.

The malignancy network is the same architecture with other weights. ``state_dict`` keys are the
book's. The head flattens with ``reshape``: ``view`` would forbid the channels-last layout.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lunart.errors import BundleError
from lunart.models.record import Argument, Record, State, shape_of

_CROP_IRC = (32, 48, 48)


class LunaBlock(nn.Module):
    """Two 3x3x3 convolutions with ReLU, then a max-pool that halves each axis."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, out_channels, kernel_size=3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv3d(out_channels, out_channels, kernel_size=3, padding=1)
        self.relu2 = nn.ReLU()
        self.maxpool = nn.MaxPool3d(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.maxpool(self.relu2(self.conv2(self.relu1(self.conv1(x)))))
        return out


class CropClassifier(nn.Module):
    """Logits and probabilities of two classes for a crop around a candidate.

    Input ``(batch, 1, *crop_irc)`` float32, HU clamped to the bundle's window; outputs
    ``logits`` and ``probability``, both ``(batch, 2)``; column 1 is the positive class.
    """

    input_names = ("hu",)
    output_names = ("logits", "probability")


class NoduleClassifier(CropClassifier):
    """The book's network: four blocks, each of half the size and twice the channels."""

    def __init__(
        self,
        in_channels: int = 1,
        conv_channels: int = 8,
        crop_irc: tuple[int, int, int] = _CROP_IRC,
    ) -> None:
        super().__init__()
        widths = [conv_channels * 2**level for level in range(4)]
        self.tail_batchnorm = nn.BatchNorm3d(1)
        self.block1 = LunaBlock(in_channels, widths[0])
        self.block2 = LunaBlock(widths[0], widths[1])
        self.block3 = LunaBlock(widths[1], widths[2])
        self.block4 = LunaBlock(widths[2], widths[3])
        self.head_linear = nn.Linear(features_of(widths[-1], crop_irc), 2)
        self.head_softmax = nn.Softmax(dim=1)

    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        x = self.tail_batchnorm(hu)
        x = self.block4(self.block3(self.block2(self.block1(x))))
        logits = self.head_linear(torch.reshape(x, (x.shape[0], -1)))
        return logits, self.head_softmax(logits)


def features_of(channels: int, crop_irc: tuple[int, ...]) -> int:
    """What is left of a crop that was halved four times, in so many channels."""
    features = channels
    for size in crop_irc:
        features *= size // 16
    return features


def inferred(
    state: State, first: str, widening: int, crop_irc: tuple[int, int, int]
) -> dict[str, Any]:
    """The arguments of a network of crops of ``crop_irc``, off its ``first`` convolution's weight.

    The last has ``widening`` times its channels. Raises ``BundleError`` for other crops.
    """
    conv_channels, in_channels = shape_of(state, first, 5)[:2]
    features = shape_of(state, "head_linear.weight", 2)[1]
    expected = features_of(conv_channels * widening, crop_irc)
    if features != expected:
        raise BundleError(
            f"head_linear.weight takes {features} features, a classifier of {conv_channels} "
            f"channels and crops of {crop_irc} has {expected}; a checkpoint of another crop must "
            "be a .safetensors that records its architecture"
        )
    return {"in_channels": in_channels, "conv_channels": conv_channels, "crop_irc": list(crop_irc)}


def _infer(state: State) -> dict[str, Any]:
    return inferred(state, "block1.conv1.weight", 8, _CROP_IRC)


RECORD = Record(
    NoduleClassifier,
    "a 3-D nodule classifier",
    {
        "in_channels": Argument(1, 1, 1),
        "conv_channels": Argument(8, 1, 128),
        "crop_irc": Argument(_CROP_IRC, 16, 256),
    },
    ("tail_batchnorm.", "block1.", "head_linear."),
    _infer,
)
