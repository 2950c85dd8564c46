"""The segmentation network: a batch norm on the input, a small U-Net, a sigmoid.

The layout, and therefore every ``state_dict`` key, is that of *Deep Learning with PyTorch*
(chapter 13), whose U-Net follows Ronneberger et al. 2015 (arXiv:1505.04597) with padding.
Because every convolution is padded, up-sampled and skipped maps have equal sizes and nothing
is cropped; height and width must be multiples of ``2 ** (depth - 1)``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lunart.errors import BundleError
from lunart.models.record import Argument, Record, State, shape_of


class ConvBlock(nn.Module):
    """Twice: 3x3 convolution with bias, ReLU, *then* batch norm (the book's order)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x)
        return out


class UpBlock(nn.Module):
    """Transposed 2x2 convolution, concatenation ``[up, skip]``, then a :class:`ConvBlock`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
        self.conv_block = ConvBlock(in_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out: Tensor = self.conv_block(torch.cat([self.up(x), skip], 1))
        return out


class UNet(nn.Module):
    """The encoder and decoder between the input batch norm and the sigmoid."""

    def __init__(self, in_channels: int, depth: int, wf: int) -> None:
        super().__init__()
        widths = [2 ** (wf + level) for level in range(depth)]
        self.down_path = nn.ModuleList(
            [ConvBlock(a, b) for a, b in zip([in_channels, *widths[:-1]], widths, strict=True)]
        )
        self.up_path = nn.ModuleList(
            [UpBlock(b, a) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)]
        )
        self.last = nn.Conv2d(widths[0], 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, down in enumerate(self.down_path):
            if level > 0:
                x = nn.functional.avg_pool2d(x, 2)
            x = down(x)
            skips.append(x)
        for level, up in enumerate(self.up_path):
            x = up(x, skips[-2 - level])
        out: Tensor = self.last(x)
        return out


class SegmentationUNet(nn.Module):
    """Nodule probability of every pixel of the middle slice.

    Input ``(batch, in_channels, height, width)`` float32, HU clamped to the bundle's window, the
    channels being neighbouring slices by rising index; output ``(batch, 1, height, width)``
    probability. Height and width are multiples of :attr:`multiple_of`.
    """

    input_names = ("hu",)
    output_names = ("probability",)

    def __init__(self, in_channels: int = 7, depth: int = 3, wf: int = 4) -> None:
        super().__init__()
        self.multiple_of = 2 ** (depth - 1)
        self.input_batchnorm = nn.BatchNorm2d(in_channels)
        self.unet = UNet(in_channels, depth, wf)
        self.final = nn.Sigmoid()

    def forward(self, hu: Tensor) -> Tensor:
        out: Tensor = self.final(self.unet(self.input_batchnorm(hu)))
        return out


def _infer(state: State) -> dict[str, Any]:
    width, in_channels = shape_of(state, "unet.down_path.0.block.0.weight", 4)[:2]
    levels = {key.split(".")[2] for key in state if key.startswith("unet.down_path.")}
    wf = width.bit_length() - 1
    if 2**wf != width:
        raise BundleError(
            f"unet.down_path.0.block.0.weight has {width} filters; a unet has a power of two"
        )
    return {"in_channels": in_channels, "depth": len(levels), "wf": wf}


RECORD = Record(
    SegmentationUNet,
    "a segmentation U-Net",
    {"in_channels": Argument(7, 1, 99), "depth": Argument(3, 2, 7), "wf": Argument(4, 0, 8)},
    ("input_batchnorm.", "unet."),
    _infer,
)
