"""The 3-D classifier with a strided convolution where the book's has its first block.

That block, at full size, takes most of the book's network's time. It may look at mirror images of
the crop as well: a nodule has no side, and the mean over them is a better answer than any one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lunart.models.classifier import CropClassifier, LunaBlock, features_of, inferred
from lunart.models.record import Argument, Record, State

_CROP_IRC = (32, 32, 32)


class StridedClassifier(CropClassifier):
    """A strided convolution, then three blocks, the first of which keeps the channels.

    The logits are the mean over the crop and its mirror images along the first ``mirrors`` of the
    three axes, alone and together: ``2**mirrors`` of them.
    """

    def __init__(
        self,
        in_channels: int = 1,
        conv_channels: int = 16,
        crop_irc: tuple[int, int, int] = _CROP_IRC,
        mirrors: int = 0,
    ) -> None:
        super().__init__()
        self.tail_batchnorm = nn.BatchNorm3d(in_channels)
        self.stem = nn.Conv3d(in_channels, conv_channels, kernel_size=4, stride=2, padding=1)
        self.stem_relu = nn.ReLU()
        self.block1 = LunaBlock(conv_channels, conv_channels)
        self.block2 = LunaBlock(conv_channels, conv_channels * 2)
        self.block3 = LunaBlock(conv_channels * 2, conv_channels * 4)
        self.head_linear = nn.Linear(features_of(conv_channels * 4, crop_irc), 2)
        self.head_softmax = nn.Softmax(dim=1)
        self._mirrors = mirrors

    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        images = self.tail_batchnorm(hu)
        for axis in range(self._mirrors):
            images = torch.cat([images, torch.flip(images, [2 + axis])])
        x = self.block3(self.block2(self.block1(self.stem_relu(self.stem(images)))))
        each = self.head_linear(torch.reshape(x, (x.shape[0], -1)))
        logits = each.reshape(1 << self._mirrors, -1, 2).mean(0)
        return logits, self.head_softmax(logits)


def _infer(state: State) -> dict[str, Any]:
    return {**inferred(state, "stem.weight", 4, _CROP_IRC), "mirrors": 0}


RECORD = Record(
    StridedClassifier,
    "a 3-D nodule classifier with a strided start",
    {
        "in_channels": Argument(1, 1, 1),
        "conv_channels": Argument(16, 1, 128),
        "crop_irc": Argument(_CROP_IRC, 16, 256),
        "mirrors": Argument(0, 0, 3),
    },
    ("tail_batchnorm.", "stem.", "block1.", "head_linear."),
    _infer,
)
