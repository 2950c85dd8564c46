"""One training volume: a background on a new grid with pieces in its lungs.

A volume is a function of its seed, of the backgrounds and of the library of pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core
from lunart.training.blend.backgrounds import Background
from lunart.training.blend.nodules import Cube
from lunart.training.blend.noise import noise_of
from lunart.training.blend.paste import AIR_HU, draw_piece, put, room_for
from lunart.training.blend.resample import nearest, stretched
from lunart.training.source import generator

_T = TypeVar("_T", bound=np.generic)

# Of the library's cubes: mean and deviation of the air around nodules, median of the noise and the
# deviation of its logarithm. Without them air tells backgrounds from cubes (see ``seam``).
AIR_OF_CUBES_HU = (-833.0, 37.0)
NOISE_OF_CUBES_HU = (9.0, 0.6)


@dataclass(frozen=True)
class Placed:
    """A piece in a volume: its kind, its centre (index, row, column) and its nodule's diameter."""

    kind: str
    center_irc: tuple[float, float, float]
    diameter_mm: float
    patient_id: str


@dataclass(frozen=True, eq=False)
class Volume:
    """``hu`` int16; ``nodule`` and ``known`` bool (nothing is learned where not known); lungs."""

    hu: NDArray[np.int16]
    nodule: NDArray[np.bool_]
    known: NDArray[np.bool_]
    lungs: NDArray[np.bool_]
    spacing_irc_mm: tuple[float, float, float]
    background: str
    pieces: list[Placed] = field(default_factory=list)


@dataclass(frozen=True)
class Mix:
    """How many pieces of each kind go into a volume, at most, and what the scanner adds."""

    nodules: int = 14
    natives: int = 4
    nulls: int = 6
    vessels: int = 8
    noise_hu: float = 30.0
    blur: float = 0.8
    shift_hu: float = 15.0
    slices: int = 72


def make(
    seed: tuple[int, ...], backgrounds: list[Background], cubes: list[Cube], mix: Mix
) -> Volume:
    """The volume of ``seed``; raises nothing, but a crowded lung takes fewer pieces."""
    rng = generator(*seed)
    base = _regrid(rng, backgrounds[int(rng.integers(len(backgrounds)))], mix.slices)
    donors = [backgrounds[int(rng.integers(len(backgrounds)))] for _ in range(2)]
    hu = _breath(rng, base.hu.astype(np.float32), base.lungs)
    nodule = base.nodules.astype(bool)
    known = base.known.copy()
    taken = ndimage.binary_dilation(nodule, iterations=4)
    free = np.flatnonzero(base.lungs & (hu < AIR_HU))
    placed: list[Placed] = []
    most = {"native": mix.natives, "nodule": mix.nodules, "vessel": mix.vessels, "null": mix.nulls}
    # The lowest count first of "native": half a dozen cubes would fill a lung.
    least = {kind: 1 if kind == "native" else count // 2 for kind, count in most.items()}
    wanted = [kind for kind in most for _ in range(rng.integers(least[kind], most[kind] + 1))]
    hu, noise = _dose(rng, hu, base.lungs)
    for kind in wanted:
        piece = draw_piece(rng, kind, cubes, donors, base.spacing_irc_mm, noise)
        if piece is None or not len(free):
            continue
        at = room_for(rng, piece, hu, base.lungs, free, taken)
        if at is None:
            continue
        put(piece, at, hu, nodule, known, taken)
        center = np.array(at) + piece.center_irc
        placed.append(
            Placed(kind, (float(center[0]), float(center[1]), float(center[2])),
                   piece.diameter_mm, piece.patient_id)
        )  # fmt: skip
    hu = scanned(rng, hu, mix)
    return Volume(
        np.clip(np.rint(hu), -2000, 3000).astype(np.int16),
        nodule, known, base.lungs, base.spacing_irc_mm, base.name, placed,
    )  # fmt: skip


def _regrid(rng: np.random.Generator, item: Background, slices: int) -> Background:
    """Other voxels, mirrored, a part of the slices; thin scans also averaged to thick slices."""
    step = np.array(item.spacing_irc_mm)
    thick = step[0]
    if thick < 2:
        choices = [count for count in (1, 1, 2, 3, 4) if count == 1 or thick * count <= 5.5]
        thick *= choices[int(rng.integers(len(choices)))]
    average = thick
    thick *= rng.uniform(0.8, 1.1)
    plane = rng.uniform(0.55, 0.92)
    # A low-resolution scan is not made finer than it is by much.
    plane = max(plane, 0.75 * step[1])
    extent = np.array(item.hu.shape) * step
    count = min(int(extent[0] / thick), slices)
    count = max(count, min(7, item.hu.shape[0]))
    shape = (count, int(extent[1] / plane), int(extent[2] / plane))
    strides = np.array([thick, plane, plane]) / step
    middle = (np.array(item.hu.shape) - 1) / 2
    slack = max(0.0, (extent[0] - count * thick) / step[0] / 2)
    middle[0] += rng.uniform(-slack, slack)
    readings = max(1, round(average / step[0]))
    flips = [axis for axis in (0, 2) if rng.uniform() < 0.5]

    grid = [
        m + stride * (np.arange(n) - (n - 1) / 2)
        for m, stride, n in zip(middle, strides, shape, strict=True)
    ]

    def turned(data: NDArray[_T]) -> NDArray[_T]:
        return np.ascontiguousarray(np.flip(data, tuple(flips)))

    return Background(
        item.name,
        turned(np.rint(stretched(item.hu, grid, readings)).astype(np.int16)),
        turned(nearest(item.lungs, grid)),
        turned(nearest(item.known, grid)),
        turned((stretched(item.nodules, grid, 1) > 0.5).astype(np.uint8)),
        (float(thick), float(plane), float(plane)),
    )


def _breath(
    rng: np.random.Generator, hu: NDArray[np.float32], lungs: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Lungs filled with another breath.

    Everything below -750 HU is shifted by one number, denser tissue by less, none from -450 on.
    """
    air = lungs & (hu < -700)
    if not air.any():
        return hu
    shift = np.float32(rng.normal(*AIR_OF_CUBES_HU) - hu[air].mean())
    share = np.clip((-450 - hu) / 300, 0, 1) * lungs
    return np.asarray(hu + shift * share, np.float32)


def _dose(
    rng: np.random.Generator, hu: NDArray[np.float32], lungs: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], float]:
    """The background with at least a cube's noise, and its level."""
    own = noise_of(hu[::2, ::2], lungs[::2, ::2], least=1000, otherwise=25.0)
    median, spread = NOISE_OF_CUBES_HU
    wanted = median * float(np.exp(rng.normal(0, spread)))
    if wanted <= own:
        return hu, own
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    return np.asarray(hu + noise * np.float32((wanted**2 - own**2) ** 0.5), np.float32), wanted


def scanned(rng: np.random.Generator, hu: NDArray[np.float32], mix: Mix) -> NDArray[np.float32]:
    """Another kernel, dose and calibration for the volume as a whole, pieces and all."""
    if rng.uniform() < 0.5:
        sigma = float(rng.uniform(0.2, mix.blur))
        hu = ndimage.gaussian_filter(hu, (0, sigma, sigma))
    level = float(rng.uniform(0, mix.noise_hu)) * (rng.uniform() < 0.6)
    if level > 1:
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        grain = float(rng.uniform(0, 0.8))
        noise = ndimage.gaussian_filter(noise, (0, grain, grain))
        hu = hu + noise * np.float32(level / max(float(noise[:2].std()), 1e-3))
    return np.asarray(hu + np.float32(rng.uniform(-mix.shift_hu, mix.shift_hu)), np.float32)


def scan_of(volume: Volume) -> _core.Scan:
    """The volume as the core holds a scan."""
    i, r, c = volume.spacing_irc_mm
    geometry = _core.Geometry(shape_irc=volume.hu.shape, spacing_mm=(c, r, i))
    return _core.scan_from_array(volume.hu, geometry, volume.background, "")
