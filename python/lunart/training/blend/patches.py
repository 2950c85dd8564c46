"""Segmentation samples out of blended volumes: 7 x 64 x 64, drawn anew each epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core
from lunart.training.blend.volume import Volume
from lunart.training.source import Sample, generator

CONTEXT = 3
SIDE = 64
HU_WINDOW = (-1000, 1000)
# Shares of an epoch: on a nodule; the rest between bright matter in the lungs and any lung.
POSITIVE = 0.45
BRIGHT = 0.6


@dataclass(frozen=True, eq=False)
class PlacesOf:
    """Where patches of one volume may be centred: flat voxel numbers."""

    nodule: NDArray[np.int64]
    bright: NDArray[np.int64]
    lung: NDArray[np.int64]

    @classmethod
    def of(cls, volume: Volume) -> PlacesOf:
        """``nodule``: the voxels of each nodule, every nodule equally often."""
        labels, count = ndimage.label(volume.nodule)
        each = [np.flatnonzero(labels == number + 1) for number in range(count)]
        rng = generator(count, 17)
        nodule = [rng.choice(where, 64) for where in each if len(where) >= 3]
        free = volume.lungs & volume.known & ~volume.nodule
        bright = np.flatnonzero(free & (volume.hu > -500))
        lung = np.flatnonzero(free)
        return cls(
            np.concatenate(nodule) if nodule else np.zeros(0, np.int64),
            bright[:: max(1, len(bright) // 20000)],
            lung[:: max(1, len(lung) // 20000)],
        )


class Patches:
    """Samples of one epoch; see :mod:`lunart.training.source`."""

    def __init__(self, volumes: list[Volume], seed: int, epoch: int, count: int) -> None:
        self._volumes = volumes
        self._scans = [scan_of(volume) for volume in volumes]
        self._places = [PlacesOf.of(volume) for volume in volumes]
        self._seed, self._epoch, self._count = seed, epoch, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        rng = generator(self._seed, 2, self._epoch, index)
        while True:
            number = int(rng.integers(len(self._volumes)))
            volume, places = self._volumes[number], self._places[number]
            draw = rng.uniform()
            where = places.lung
            if draw < POSITIVE:
                where = places.nodule
            elif rng.uniform() < BRIGHT:
                where = places.bright
            if len(where):
                break
        point = np.unravel_index(int(rng.choice(where)), volume.hu.shape)
        at, row, col = (int(axis) for axis in point)
        row += int(rng.integers(-20, 21))
        col += int(rng.integers(-20, 21))
        row = min(max(row - SIDE // 2, 0), volume.hu.shape[1] - SIDE)
        col = min(max(col - SIDE // 2, 0), volume.hu.shape[2] - SIDE)
        hu = _core.slice_input(self._scans[number], at, CONTEXT)[
            :, row : row + SIDE, col : col + SIDE
        ]
        box = (at, slice(row, row + SIDE), slice(col, col + SIDE))
        mask = volume.nodule[box].astype(np.float32)
        weight = volume.known[box].astype(np.float32)
        data = np.stack([*hu, mask, weight])
        if rng.uniform() < 0.5:
            data = data.swapaxes(1, 2)
        for axis in (1, 2):
            if rng.uniform() < 0.5:
                data = np.flip(data, axis)
        if rng.uniform() < 0.5:
            data = np.concatenate([data[2 * CONTEXT :: -1], data[2 * CONTEXT + 1 :]])
        return {
            "hu": np.ascontiguousarray(data[: 2 * CONTEXT + 1], np.float32),
            "mask": np.ascontiguousarray(data[-2:-1]),
            "weight": np.ascontiguousarray(data[-1:]),
        }


def scan_of(volume: Volume) -> _core.Scan:
    """The volume as the core holds a scan."""
    i, r, c = volume.spacing_irc_mm
    geometry = _core.Geometry(shape_irc=volume.hu.shape, spacing_mm=(c, r, i))
    return _core.scan_from_array(volume.hu, geometry, volume.background, "")
