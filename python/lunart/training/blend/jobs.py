"""Volumes to be made, each a function of its own numbers and of the library.

``Blended`` puts pieces into a background, ``Stitched`` into a piece of lung, ``Alone`` is a cube by
itself with its true surroundings, ``Surroundings`` the same with room to look for look-alikes,
``Whole`` a background as it is, ``Generated`` a phantom, whose anatomy no scan shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core
from lunart.phantom import generate
from lunart.training.blend.backgrounds import near_air
from lunart.training.blend.library import Library
from lunart.training.blend.parts import only
from lunart.training.blend.resample import sample, sample_known, upright
from lunart.training.blend.volume import Mix, Placed, Volume, make, scan_of, scanned
from lunart.training.scans import plan
from lunart.training.source import generator

# What is looked for lies so far from a cube's sides, or it would be its own mirror image; a crop
# may reach so far beyond them.
_INSIDE_MM, _BEYOND_MM = 6.0, 18.0


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
class Stitched:
    """A patient's stitched lung with pieces of a part, for what a network proposes beside them."""

    seed: tuple[int, ...]
    patient_id: str
    part: int
    mix: Mix = field(default_factory=Mix)

    def make(self, library: Library) -> Volume:
        item = next(item for item in library.stitched if item.name == self.patient_id)
        return make(self.seed, [item], only(library, (self.part,)).cubes, self.mix)


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
        known = sample_known(cube.known, middle, matrix, shape, thick)
        spacing = (thick, plane, plane)
        lungs = near_air(hu, spacing)
        where = np.argwhere(nodule)
        placed = []
        if len(where):
            i, r, c = (float(v) for v in where.mean(axis=0))
            placed = [Placed("native", (i, r, c), cube.diameter_mm, cube.patient_id)]
        return Volume(
            np.rint(hu).astype(np.int16), nodule, known, lungs, spacing, cube.patient_id, placed,
        )  # fmt: skip


@dataclass(frozen=True)
class Surroundings:
    """A patient's cube by itself, on a grid that it fits into whichever way it is turned.

    Beyond its sides it goes on mirrored, so that crops near them hold lung; only what lies in the
    cube is ``known``. What a network proposes there beside the nodule, readers have looked at.
    """

    seed: tuple[int, ...]
    patient_id: str

    def make(self, library: Library) -> Volume:
        rng = generator(*self.seed)
        cube = next(cube for cube in library.cubes if cube.patient_id == self.patient_id)
        plane, thick = float(rng.uniform(0.55, 0.92)), float(rng.uniform(1.0, 4.0))
        spacing = (thick, plane, plane)
        i, r, c = (
            int((n + 2 * _BEYOND_MM) / s) for n, s in zip(cube.hu.shape, spacing, strict=True)
        )
        matrix = upright(rng) @ np.diag(spacing)
        # As much again on each side: the turned grid's corners lie there.
        beyond = [(n - 1, n - 1) for n in cube.hu.shape]
        middle = (np.array(cube.hu.shape) - 1) * 1.5

        def turned(data: NDArray[Any], mode: Literal["reflect", "constant"]) -> NDArray[np.float32]:
            return sample(np.pad(data, beyond, mode=mode), middle, matrix, (i, r, c), thick)

        hu = scanned(rng, turned(cube.hu, "reflect"), Mix())
        nodule = turned(cube.mask, "reflect") > 0.5
        known = turned(_far_from_sides(cube.hu.shape) & cube.known, "constant") > 0.5
        placed = []
        where = np.argwhere(nodule & known)
        if len(where):
            at, row, col = (float(v) for v in where.mean(axis=0))
            placed = [Placed("native", (at, row, col), cube.diameter_mm, cube.patient_id)]
        return Volume(
            np.rint(hu).astype(np.int16), nodule, known, near_air(hu, spacing), spacing,
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


def _far_from_sides(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Of a cube of 1 mm voxels."""
    far = np.zeros(shape, np.uint8)
    far[tuple(slice(int(_INSIDE_MM), n - int(_INSIDE_MM)) for n in shape)] = 1
    return far
