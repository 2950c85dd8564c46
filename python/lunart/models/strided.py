"""The 3-D classifier with a strided convolution where the book's has its first block.

That block, at full size, takes most of the book's network's time. Same input and outputs as
:class:`lunart.models.NoduleClassifier`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lunart.errors import BundleError
from lunart.models.classifier import LunaBlock
from lunart.models.record import Argument, Record, State, shape_of

_CROP_IRC = (32, 32, 32)


class StridedClassifier(nn.Module):
    """Logits and probabilities of two classes for a crop around a candidate.

    Input ``(batch, 1, *crop_irc)`` float32, HU clamped to the bundle's window; outputs
    ``logits`` and ``probability``, both ``(batch, 2)``; column 1 is the positive class.
    """

    input_names = ("hu",)
    output_names = ("logits", "probability")

    def __init__(
        self,
        in_channels: int = 1,
        conv_channels: int = 16,
        crop_irc: tuple[int, int, int] = _CROP_IRC,
    ) -> None:
        super().__init__()
        self.tail_batchnorm = nn.BatchNorm3d(in_channels)
        self.stem = nn.Conv3d(in_channels, conv_channels, kernel_size=4, stride=2, padding=1)
        self.stem_relu = nn.ReLU()
        self.block1 = LunaBlock(conv_channels, conv_channels)
        self.block2 = LunaBlock(conv_channels, conv_channels * 2)
        self.block3 = LunaBlock(conv_channels * 2, conv_channels * 4)
        self.head_linear = nn.Linear(_features(conv_channels, crop_irc), 2)
        self.head_softmax = nn.Softmax(dim=1)

    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem_relu(self.stem(self.tail_batchnorm(hu)))
        x = self.block3(self.block2(self.block1(x)))
        logits = self.head_linear(torch.reshape(x, (x.shape[0], -1)))
        return logits, self.head_softmax(logits)


def _features(conv_channels: int, crop_irc: tuple[int, ...]) -> int:
    features = conv_channels * 4
    for size in crop_irc:
        features *= size // 16
    return features


def _infer(state: State) -> dict[str, Any]:
    conv_channels, in_channels = shape_of(state, "stem.weight", 5)[:2]
    features = shape_of(state, "head_linear.weight", 2)[1]
    expected = _features(conv_channels, _CROP_IRC)
    if features != expected:
        raise BundleError(
            f"head_linear.weight takes {features} features, a strided classifier of "
            f"{conv_channels} channels and crops of {_CROP_IRC} has {expected}; a checkpoint of "
            "another crop must be a .safetensors that records its architecture"
        )
    return {"in_channels": in_channels, "conv_channels": conv_channels, "crop_irc": list(_CROP_IRC)}


RECORD = Record(
    StridedClassifier,
    "a 3-D nodule classifier with a strided start",
    {
        "in_channels": Argument(1, 1, 1),
        "conv_channels": Argument(16, 1, 128),
        "crop_irc": Argument(_CROP_IRC, 16, 256),
    },
    ("tail_batchnorm.", "stem.", "block1.", "head_linear."),
    _infer,
)
