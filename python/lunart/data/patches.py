"""Patches of seven slices around nodules and elsewhere: what the U-Net learns from.

An entry of the cache is a block around one connected part of a scan's mask, with room on each side
for the patch to be moved at random, or a slice around a negative place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.data import blocks
from lunart.data.cache import Arrays, Store
from lunart.data.masks import Mask
from lunart.data.scans import Scans
from lunart.data.truth import Truth
from lunart.training.scans import CONTEXT

VERSION = 1
# A block of the core is at most 512 voxels on a side.
_LARGEST = 500


@dataclass(frozen=True, kw_only=True)
class PatchSize:
    """A patch of ``side`` x ``side`` pixels, moved by up to ``offset``, with slices either side."""

    side: int = 64
    offset: int = 16
    context: int = CONTEXT


@dataclass(frozen=True)
class Region:
    """A box of a scan, ``start`` to ``stop`` (index, row, col), that patches are drawn from."""

    series_uid: str
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    positive: bool


@dataclass(frozen=True, eq=False)
class Block:
    """Voxels around a region: ``hu`` has ``context`` slices more than ``mask`` at either end."""

    hu: NDArray[np.int16]
    mask: Mask
    start: tuple[int, int, int]
    shape_irc: tuple[int, int, int]


class Patches:
    """Regions of each series, and their blocks by way of the cache."""

    def __init__(self, scans: Scans, truth: Truth, store: Store, size: PatchSize) -> None:
        self._scans, self._truth, self._store, self._size = scans, truth, store, size

    def nodules(self, series_uid: str) -> list[Region]:
        """The connected parts of a scan's mask."""
        return [
            Region(series_uid, (int(a), int(b), int(c)), (int(d), int(e), int(f)), True)
            for a, b, c, d, e, f in self._survey(series_uid)["boxes"]
        ]

    def slices(self, series_uid: str) -> int:
        """Number of slices of a scan."""
        return int(self._survey(series_uid)["shape"][0])

    def block(self, region: Region) -> Block:
        """Clamped HU and mask around a region."""
        kept = self._store.arrays(self._key(region), lambda: self._make(region))
        start, shape = ([int(v) for v in kept[name]] for name in ("start", "shape"))
        return Block(
            kept["hu"],
            kept["mask"],
            (start[0], start[1], start[2]),
            (shape[0], shape[1], shape[2]),
        )

    def fill(self, region: Region) -> bool:
        """Make sure that a region's block is in the cache; True when it had to be made."""
        return self._store.fill(self._key(region), lambda: self._make(region))

    def cut(
        self, rng: np.random.Generator, region: Region
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A patch ``(slices, side, side)`` and its mask ``(1, side, side)`` at a random place."""
        block, size = self.block(region), self._size
        if region.positive:
            # Each slice of a nodule as often as any other, or its widest would be all one sees.
            # The block may show a part of another nodule, around which it has no room.
            rows, cols = (
                slice(start - corner, stop - corner)
                for start, stop, corner in zip(
                    region.start[1:], region.stop[1:], block.start[1:], strict=True
                )
            )
            own = block.mask[:, rows, cols]
            depth = int(rng.choice(np.flatnonzero(own.any((1, 2)))))
            at = np.argwhere(own[depth])
            row, col = (int(v) for v in at[int(rng.integers(len(at)))] + region.start[1:])
        else:
            depth, (row, col) = 0, region.start[1:]
        down, right = rng.integers(-size.offset, size.offset + 1, 2)
        top, left = (
            blocks.crop_start(float(place), size.side, n) - corner
            for place, n, corner in zip(
                (row + down, col + right), block.shape_irc[1:], block.start[1:], strict=True
            )
        )
        window = (slice(top, top + size.side), slice(left, left + size.side))
        hu = block.hu[depth : depth + 2 * size.context + 1, window[0], window[1]]
        mask = block.mask[depth][window][None]
        return hu.astype(np.float32), mask.astype(np.float32)

    def _survey(self, series_uid: str) -> Arrays:
        def make() -> Arrays:
            mask = self._truth.mask(series_uid)
            return {"boxes": _parts(mask), "shape": np.array(mask.shape)}

        return self._store.arrays(f"parts.{VERSION}/{self._truth.key(series_uid)}", make)

    def _key(self, region: Region) -> str:
        uid, s = region.series_uid, self._size
        return (
            f"patch.{VERSION}.{blocks.VERSION}/core-{_core.__version__}/{self._truth.key(uid)}"
            f"/{region.start}/{region.stop}/{s.side}/{s.offset}/{s.context}"
        )

    def _make(self, region: Region) -> Arrays:
        ct, s = self._scans.ct(region.series_uid), self._size
        index, low, high = region.start[0], [], []
        for start, stop, n in zip(region.start[1:], region.stop[1:], ct.shape_irc[1:], strict=True):
            # Every patch that can be drawn lies within: moved by the offset, shifted inside.
            low.append(blocks.crop_start(float(start - s.offset), s.side, n))
            high.append(blocks.crop_start(float(stop - 1 + s.offset), s.side, n) + s.side)
        depth = region.stop[0] - index
        size = (depth, high[0] - low[0], high[1] - low[1])
        hu = blocks.cut(
            ct,
            (index - s.context, low[0], low[1]),
            (depth + 2 * s.context, size[1], size[2]),
            # Slices beyond the ends repeat the last one however few there are.
            (1, s.side, s.side),
        )
        mask, corner = self._truth.mask(region.series_uid), (index, low[0], low[1])
        return {
            "hu": hu,
            "mask": blocks.cut_mask(mask, corner, size),
            "start": np.array(corner),
            "shape": np.array(ct.shape_irc),
        }


def _parts(mask: Mask) -> NDArray[np.int64]:
    """``(n, 6)``: start and stop of each part, cut into pieces where it is very large."""
    from scipy import ndimage  # type: ignore[import-untyped]

    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    boxes = [
        [side.start for side in box] + [side.stop for side in box]
        for box in ndimage.find_objects(labels)
        if box is not None
    ]
    pieces = [
        [first, box[1], box[2], min(first + _LARGEST, box[3]), box[4], box[5]]
        for box in boxes
        for first in range(box[0], box[3], _LARGEST)
    ]
    return np.array(pieces, np.int64).reshape(-1, 6)
