"""Volumes to be made, each a function of its own numbers and of the library.

``Blended`` puts pieces into a background, ``Alone`` is a cube by itself with its true surroundings,
``Whole`` a background as it is, ``Generated`` a phantom, whose anatomy no scan shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core
from lunart.phantom import generate
from lunart.training.blend.library import Library
from lunart.training.blend.parts import only
from lunart.training.blend.resample import sample, upright
from lunart.training.blend.volume import Mix, Placed, Volume, make, scan_of
from lunart.training.scans import plan
from lunart.training.source import generator

# Of a cube, what lies so close to air can be looked at by a network that knows lungs.
_NEAR_AIR_MM = 6.0


class Job(Protocol):
    """Makes one volume; the same job makes the same."""

    def make(self, library: Library) -> Volume: ...


@dataclass(frozen=True)
class Blended:
    """A background of these parts with pieces of these parts."""

    seed: tuple[int, ...]
    parts: tuple[int, ...]
    mix: Mix = field(default_factory=Mix)

    def make(self, library: Library) -> Volume:
        mine = only(library, self.parts)
        return make(self.seed, mine.backgrounds, mine.cubes, self.mix)


@dataclass(frozen=True)
class Alone:
    """A cube of these parts on a grid of 64 voxels a side and more."""

    seed: tuple[int, ...]
    parts: tuple[int, ...]

    def make(self, library: Library) -> Volume:
        rng = generator(*self.seed)
        cubes = only(library, self.parts).cubes
        cube = cubes[int(rng.integers(len(cubes)))]
        plane, thick = float(rng.uniform(0.5, 0.78)), float(rng.uniform(1.0, 5.0))
        side = int(cube.hu.shape[1] / plane)
        shape = (max(1, int(cube.hu.shape[0] / thick)), side, side)
        matrix = upright(rng) @ np.diag([thick, plane, plane])
        middle = np.array(cube.hu.shape) / 2 - 0.5
        hu = sample(cube.hu, middle, matrix, shape, thick)
        nodule = sample(cube.mask, middle, matrix, shape, thick) > 0.5
        spacing = (thick, plane, plane)
        lungs = ndimage.distance_transform_edt(hu > -400, sampling=spacing) <= _NEAR_AIR_MM
        where = np.argwhere(nodule)
        placed = []
        if len(where):
            i, r, c = (float(v) for v in where.mean(axis=0))
            placed = [Placed("native", (i, r, c), cube.diameter_mm, cube.patient_id)]
        return Volume(
            np.rint(hu).astype(np.int16), nodule, np.ones(shape, bool), lungs, spacing,
            cube.patient_id, placed,
        )  # fmt: skip


@dataclass(frozen=True)
class Whole:
    """A background on its own grid with its own nodules."""

    name: str

    def make(self, library: Library) -> Volume:
        item = next(b for b in library.backgrounds if b.name == self.name)
        nodule = item.nodules.astype(bool)
        labels, count = ndimage.label(nodule)
        voxel_mm3 = float(np.prod(item.spacing_irc_mm))
        placed = []
        for number in range(1, count + 1):
            where = np.argwhere(labels == number)
            i, r, c = (float(v) for v in where.mean(axis=0))
            size = float((6 * len(where) * voxel_mm3 / np.pi) ** (1 / 3))
            placed.append(Placed("native", (i, r, c), size, item.name))
        return Volume(
            item.hu, nodule, item.known, item.lungs, item.spacing_irc_mm, item.name, placed
        )


@dataclass(frozen=True)
class Generated:
    """A phantom."""

    seed: int

    def make(self, library: Library) -> Volume:
        job = plan(self.seed)
        phantom = generate(
            job.seed, shape_irc=job.shape_irc, spacing_xyz_mm=job.spacing_xyz_mm, nodule_count=9
        )
        x, y, z = phantom.spacing_mm
        placed = [
            Placed("nodule", nodule.center_irc, nodule.diameter_mm, "phantom")
            for nodule in phantom.nodules
        ]
        known = np.ones(phantom.hu.shape, bool)
        volume = Volume(phantom.hu, phantom.labels > 0, known, known, (z, y, x), "phantom", placed)
        return replace(volume, lungs=_core.lung_region(scan_of(volume)).astype(bool))
