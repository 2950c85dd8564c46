"""Blocks of clamped HU around a crop, with a margin for augmentation to turn and shift in.

The middle of a block is, voxel for voxel, what ``_core.crop`` gives the network for the same
centre: crops are shifted inside the scan at its borders. The margin beyond the scan repeats its
last voxels, and -1000 HU where the scan is shorter than the crop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lunart.data.ct import Ct, Irc

#: Raised when the same arguments give other voxels; part of every key of the cache.
VERSION = 1
Size = tuple[int, int, int]
_AIR_HU = -1000


def around(ct: Ct, center_irc: Irc, crop_irc: Size, margin_irc: Size) -> NDArray[np.int16]:
    """The crop's voxels in the middle of ``crop + 2 * margin``."""
    starts = [
        crop_start(c, size, n)
        for c, size, n in zip(center_irc, crop_irc, ct.shape_irc, strict=True)
    ]
    i, r, c = (s - m for s, m in zip(starts, margin_irc, strict=True))
    sizes = [size + 2 * m for size, m in zip(crop_irc, margin_irc, strict=True)]
    return cut(ct, (i, r, c), (sizes[0], sizes[1], sizes[2]), crop_irc)


def spaced(
    ct: Ct, center_irc: Irc, crop_irc: Size, margin_irc: Size, spacing_mm: float
) -> NDArray[np.int16]:
    """As :func:`around`, for crops of their own spacing: the centre in their middle, with air
    beyond the scan.

    What ``_core.crop`` gives with ``spacing_mm``, in whole HU.
    """
    i, r, c = (size + 2 * m for size, m in zip(crop_irc, margin_irc, strict=True))
    hu = ct.crop(center_irc, (i, r, c), pad=True, spacing_mm=spacing_mm)
    return np.rint(hu).astype(np.int16)


def cut(ct: Ct, start_irc: Size, size_irc: Size, crop_irc: Size) -> NDArray[np.int16]:
    """Voxels from a start on, which may lie outside; clamped by the core.

    An axis of the scan that is shorter than ``crop_irc`` is padded with air, as a crop is.
    """
    centers, sizes, pads = [], [], []
    for start, size, n in zip(start_irc, size_irc, ct.shape_irc, strict=True):
        low, high = max(start, 0), min(start + size, n)
        # The core's crop starts at the centre less half its size.
        centers.append(float(low + (high - low) // 2))
        sizes.append(high - low)
        pads.append((low - start, start + size - high))
    hu = ct.crop((centers[0], centers[1], centers[2]), (sizes[0], sizes[1], sizes[2]))
    block = np.rint(hu).astype(np.int16)
    for axis, (pad, n, crop) in enumerate(zip(pads, ct.shape_irc, crop_irc, strict=True)):
        widths = [(0, 0)] * 3
        widths[axis] = pad
        if n < crop:
            block = np.pad(block, widths, constant_values=_AIR_HU)
        else:
            block = np.pad(block, widths, mode="edge")
    return block


def middle(block: NDArray[np.float32], crop_irc: Size) -> NDArray[np.float32]:
    """The crop in a block's middle."""
    i, r, c = ((n - size) // 2 for n, size in zip(block.shape, crop_irc, strict=True))
    return block[i : i + crop_irc[0], r : r + crop_irc[1], c : c + crop_irc[2]]


def crop_start(center: float, size: int, n: int) -> int:
    """First voxel of a crop on an axis of ``n``, by the rule of ``_core.crop``."""
    start = round(center) - size // 2
    return min(max(start, min(0, n - size)), max(0, n - size))


def cut_mask(mask: NDArray[np.uint8], start_irc: Size, size_irc: Size) -> NDArray[np.uint8]:
    """The same voxels of a mask; nothing is marked outside the scan."""
    block = np.zeros(size_irc, np.uint8)
    source, target = [], []
    for start, size, n in zip(start_irc, size_irc, mask.shape, strict=True):
        low, high = max(start, 0), min(start + size, n)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    block[tuple(target)] = mask[tuple(source)]
    return block
