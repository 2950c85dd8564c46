"""Segmentation samples out of volumes: 7 x 64 x 64 around chosen voxels, and whole slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core
from lunart.data import blocks
from lunart.data.ct import Ct
from lunart.training.blend.volume import Volume, scan_of
from lunart.training.scans import CONTEXT
from lunart.training.source import Sample, generator

SIDE = 64
# The U-Net halves a slice twice.
_MULTIPLE = 4
# Of the samples without a nodule: on bright matter in the lungs, the rest anywhere in them.
BRIGHT = 0.6
_MOST_PLACES = 20_000


@dataclass(frozen=True, eq=False)
class _Places:
    """Where patches of one volume may be centred: flat voxel numbers."""

    nodule: NDArray[np.int64]
    bright: NDArray[np.int64]
    lung: NDArray[np.int64]

    @classmethod
    def of(cls, volume: Volume) -> _Places:
        """``nodule``: the voxels of each nodule, every nodule equally often."""
        labels, count = ndimage.label(volume.nodule)
        flat = np.flatnonzero(labels)
        owner = labels.ravel()[flat]
        rng = generator(count, 17)
        each = (flat[owner == number + 1] for number in range(count))
        nodule = [rng.choice(where, 64) for where in each if len(where) >= 3]
        free = volume.lungs & volume.known & ~volume.nodule
        return cls(
            np.concatenate(nodule) if nodule else np.zeros(0, np.int64),
            _thinned(np.flatnonzero(free & (volume.hu > -500))),
            _thinned(np.flatnonzero(free)),
        )


def _thinned(places: NDArray[np.int64]) -> NDArray[np.int64]:
    return places[:: max(1, len(places) // _MOST_PLACES)]


@dataclass(frozen=True, eq=False)
class Group:
    """Volumes of one kind and how often samples of each sort come from them, in relation."""

    volumes: Sequence[Volume]
    positives: float
    negatives: float


class Patches:
    """Samples of one epoch, with a nodule and without in turn; see :mod:`lunart.training.source`.

    ``weight`` is 0 where nothing is known.
    """

    def __init__(self, groups: Sequence[Group], seed: int, epoch: int, count: int) -> None:
        self._groups = groups
        self._cts = [[Ct("", scan_of(v)) for v in group.volumes] for group in groups]
        self._places = [[_Places.of(v) for v in group.volumes] for group in groups]
        self._seed, self._epoch, self._count = seed, epoch, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        rng = generator(self._seed, 2, self._epoch, index)
        positive = index % 2 == 0
        while True:
            weights = [g.positives if positive else g.negatives for g in self._groups]
            kind = int(rng.choice(len(weights), p=np.array(weights) / sum(weights)))
            number = int(rng.integers(len(self._places[kind])))
            places = self._places[kind][number]
            where = places.nodule if positive else places.lung
            if not positive and rng.uniform() < BRIGHT:
                where = places.bright
            if len(where):
                break
        volume = self._groups[kind].volumes[number]
        point = np.unravel_index(int(rng.choice(where)), volume.hu.shape)
        at, row, col = (int(axis) for axis in point)
        row, col = (
            blocks.crop_start(float(center + move), SIDE, n)
            for center, move, n in zip(
                (row, col), rng.integers(-20, 21, 2), volume.hu.shape[1:], strict=True
            )
        )
        hu = blocks.cut(
            self._cts[kind][number],
            (at - CONTEXT, row, col),
            (2 * CONTEXT + 1, SIDE, SIDE),
            (1, SIDE, SIDE),
        )
        box = (slice(at, at + 1), slice(row, row + SIDE), slice(col, col + SIDE))
        return _turned(rng, hu, volume.nodule[box], volume.known[box])


def _turned(
    rng: np.random.Generator,
    hu: NDArray[np.int16],
    mask: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> Sample:
    """Mirrored in any axis and transposed, or not."""
    data = np.concatenate([hu, mask, known]).astype(np.float32)
    if rng.uniform() < 0.5:
        data = data.swapaxes(1, 2)
    for axis in (1, 2):
        if rng.uniform() < 0.5:
            data = np.flip(data, axis)
    slices = data[:-2]
    if rng.uniform() < 0.5:
        slices = slices[::-1]
    return {
        "hu": np.ascontiguousarray(slices),
        "mask": np.ascontiguousarray(data[-2:-1]),
        "weight": np.ascontiguousarray(data[-1:]),
    }


class Slices:
    """Whole slices: those with a nodule, and every so many of the others."""

    def __init__(self, volumes: Sequence[Volume], every: int) -> None:
        self._volumes = volumes
        self._scans = [scan_of(volume) for volume in volumes]
        self._which = [
            (number, index)
            for number, volume in enumerate(volumes)
            for index in range(len(volume.hu))
            if index % every == 0 or (volume.nodule[index].any() and index % 2)
        ]

    def __len__(self) -> int:
        return len(self._which)

    def __getitem__(self, index: int) -> Sample:
        number, at = self._which[index]
        volume = self._volumes[number]
        rows, cols = (n // _MULTIPLE * _MULTIPLE for n in volume.hu.shape[1:])
        hu = _core.slice_input(self._scans[number], at, CONTEXT)[:, :rows, :cols]
        known = volume.known[at] & volume.lungs[at]
        return {
            "hu": np.ascontiguousarray(hu),
            "mask": volume.nodule[None, at, :rows, :cols].astype(np.float32),
            "weight": known[None, :rows, :cols].astype(np.float32),
        }
