"""Flip, shift, scale, turn about the head-foot axis and noise, for crops and batches of patches.

All movement is one affine map and one linear interpolation. Voxels of a plane count as square, as
those of CT are. Random numbers come from the caller's generator alone, and the same number of them
is drawn for every sample whatever the settings are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lunart.errors import UsageError
from lunart.training.scans import HU_WINDOW

if TYPE_CHECKING:
    from torch import Generator, Tensor

Size = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far a sample is changed; every number is the most that is drawn, either way.

    ``shift`` is a share of the side, ``scale`` a share of the size (0.2: from 1/1.2 to 1.2),
    ``noise_hu`` the deviation of white noise. The defaults are the book's, but for the noise:
    Deep Learning with PyTorch adds 25 HU to every sample, here it is 0 to 25.
    """

    flip: bool = True
    shift: float = 0.1
    scale: float = 0.2
    turn_degrees: float = 180.0
    noise_hu: float = 25.0

    def __post_init__(self) -> None:
        for what, most in (
            ("shift", 0.5), ("scale", 1.0), ("turn_degrees", 180.0), ("noise_hu", 1000.0)
        ):  # fmt: skip
            value = getattr(self, what)
            if not 0 <= value <= most:
                raise UsageError(f"augmentation: {what} is {value}, expected 0 to {most:g}")


#: Nothing is changed.
UNCHANGED = Augmentation(flip=False, shift=0.0, scale=0.0, turn_degrees=0.0, noise_hu=0.0)


def augment_crop(
    rng: np.random.Generator, block: NDArray[np.float32], crop_irc: Size, *, settings: Augmentation
) -> NDArray[np.float32]:
    """A changed crop from the middle of a block of clamped HU, which is larger by a margin.

    What a turn or shift asks for beyond the block is the block mirrored.
    """
    flips = np.where(settings.flip & (rng.uniform(size=3) < 0.5), -1.0, 1.0)
    shift = rng.uniform(-1, 1, 3) * settings.shift * crop_irc
    zoom = math.exp(rng.uniform(-1, 1) * math.log1p(settings.scale))
    angle = math.radians(rng.uniform(-1, 1) * settings.turn_degrees)
    level = np.float32(rng.uniform(0, 1) * settings.noise_hu)
    noise = rng.standard_normal(crop_irc, dtype=np.float32)

    # Places in the block of the crop's voxels, from the middle on.
    i, r, c = (
        flip / zoom * (np.arange(n) - (n - 1) / 2) for n, flip in zip(crop_irc, flips, strict=True)
    )
    r, c = r[:, None], c[None, :]
    sine, cosine = math.sin(angle), math.cos(angle)
    turned = (i, cosine * r - sine * c, sine * r + cosine * c)
    (index, up), (row, down), (col, right) = (
        _mirrored(place + by + (n - 1) / 2, n)
        for place, by, n in zip(turned, shift, block.shape, strict=True)
    )
    # The turn leaves slices whole: between slices first, then in all of them at once.
    up = up[:, None, None]
    slices = block[index] * (1 - up) + block[index + 1] * up
    moved: NDArray[np.float32] = level * noise
    for row_step, row_share in ((0, 1 - down), (1, down)):
        for col_step, col_share in ((0, 1 - right), (1, right)):
            moved += slices[:, row + row_step, col + col_step] * (row_share * col_share)
    return moved.clip(*HU_WINDOW)


def _mirrored(place: NDArray[np.float64], n: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The voxel below a place on an axis of ``n``, and how far the place is on its way to the next.

    Good for places up to ``n`` beyond either end.
    """
    inside = n - 1 - np.abs(n - 1 - np.abs(place))
    low = np.clip(np.floor(inside).astype(np.intp), 0, n - 2)
    return low, (inside - low).astype(np.float32)


def augment_batch(
    hu: Tensor, mask: Tensor, generator: Generator, *, settings: Augmentation
) -> tuple[Tensor, Tensor]:
    """The same for a batch of patches, on the device that they and the generator are on.

    ``hu`` is ``(batch, slices, rows, cols)`` clamped, ``mask`` is ``(batch, any, rows, cols)`` of 0
    and 1 and moves along. Each patch has its own draw; slices are flipped but not moved. What lies
    beyond a patch is the patch mirrored.
    """
    import torch
    from torch.nn import functional

    batch, planes, rows, cols = hu.shape
    draw = torch.rand((batch, 8), generator=generator, device=hu.device)
    noise = torch.randn(hu.shape, generator=generator, device=hu.device)
    flips = torch.where(settings.flip & (draw[:, :3] < 0.5), -1.0, 1.0)
    shift = (2 * draw[:, 3:5] - 1) * settings.shift * 2  # grids go from -1 to 1
    zoom = torch.exp((2 * draw[:, 5] - 1) * math.log1p(settings.scale))
    angle = (2 * draw[:, 6] - 1) * math.radians(settings.turn_degrees)
    level = draw[:, 7] * settings.noise_hu

    sine, cosine = torch.sin(angle) / zoom, torch.cos(angle) / zoom
    # Rows and columns need not be as many: a turn is one in pixels, not in the grid's units.
    x = torch.stack([cosine * flips[:, 1], -sine * flips[:, 2] * rows / cols, shift[:, 0]], 1)
    y = torch.stack([sine * flips[:, 1] * cols / rows, cosine * flips[:, 2], shift[:, 1]], 1)
    grid = functional.affine_grid(
        torch.stack([x, y], 1), [batch, 1, rows, cols], align_corners=False
    )
    hu = torch.where(flips[:, 0].view(-1, 1, 1, 1) < 0, hu.flip(1), hu)
    # One interpolation for both.
    both = functional.grid_sample(
        torch.cat([hu, mask.to(hu.dtype)], 1),
        grid.to(hu.dtype),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=False,
    )
    moved = both[:, :planes] + level.view(-1, 1, 1, 1) * noise
    return moved.clamp(*HU_WINDOW), (both[:, planes:] > 0.5).to(mask.dtype)
