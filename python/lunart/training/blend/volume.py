"""One training volume: a background on a new grid with pieces in its lungs.

A volume is a function of its seed, of the backgrounds and of the library of pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart.training.blend.backgrounds import Background
from lunart.training.blend.nodules import Cube
from lunart.training.blend.paste import draw_piece, put, room_for
from lunart.training.source import generator


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
    hu = base.hu.astype(np.float32)
    nodule = base.nodules.astype(bool)
    known = base.known.copy()
    taken = ndimage.binary_dilation(nodule, iterations=4)
    placed: list[Placed] = []
    most = {"native": mix.natives, "nodule": mix.nodules, "vessel": mix.vessels, "null": mix.nulls}
    # The lowest count first of "native": half a dozen cubes would fill a lung.
    least = {kind: 1 if kind == "native" else count // 2 for kind, count in most.items()}
    wanted = [kind for kind in most for _ in range(rng.integers(least[kind], most[kind] + 1))]
    noise = _noise_of(hu, base.lungs)
    for kind in wanted:
        piece = draw_piece(rng, kind, cubes, donors, base.spacing_irc_mm, noise)
        if piece is None:
            continue
        at = room_for(rng, piece, hu, base.lungs, taken)
        if at is None:
            continue
        put(piece, at, hu, nodule, known, taken)
        center = np.array(at) + piece.center_irc
        placed.append(
            Placed(kind, (float(center[0]), float(center[1]), float(center[2])),
                   piece.diameter_mm, piece.patient_id)
        )  # fmt: skip
    hu = _scanner(rng, hu, mix)
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
    matrix = np.diag([thick / step[0], plane / step[1], plane / step[2]])
    middle = (np.array(item.hu.shape) - 1) / 2
    slack = max(0.0, (extent[0] - count * thick) / step[0] / 2)
    middle[0] += rng.uniform(-slack, slack)
    readings = max(1, round(average / step[0]))
    flips = [axis for axis in (0, 2) if rng.uniform() < 0.5]

    def turned(data: NDArray[np.generic], order: int) -> NDArray[np.float32]:
        total = np.zeros(shape, np.float32)
        parts = readings if order else 1
        for part in range(parts):
            shift = np.array([((part + 0.5) / parts - 0.5) * readings, 0, 0])
            offset = middle + shift - matrix @ ((np.array(shape) - 1) / 2)
            total += ndimage.affine_transform(
                data.astype(np.float32), np.diag(matrix), offset, shape, order=order, mode="nearest"
            )
        return np.ascontiguousarray(np.flip(total / parts, tuple(flips)))

    return Background(
        item.name,
        turned(item.hu, 1).astype(np.int16),
        turned(item.lungs, 0) > 0.5,
        turned(item.known, 0) > 0.5,
        (turned(item.nodules, 1) > 0.5).astype(np.uint8),
        (float(thick), float(plane), float(plane)),
    )


def _noise_of(hu: NDArray[np.float32], lungs: NDArray[np.bool_]) -> float:
    """Standard deviation of the noise in the lungs' air, from neighbours in a row."""
    step = (hu[:, :, 2:] - 2 * hu[:, :, 1:-1] + hu[:, :, :-2])[::2, ::2]
    air = (lungs & (hu < -780))[:, :, 1:-1][::2, ::2]
    values = step[air]
    if values.size < 1000:
        return 25.0
    return float(1.4826 * np.median(np.abs(values)) / np.sqrt(6))


def _scanner(rng: np.random.Generator, hu: NDArray[np.float32], mix: Mix) -> NDArray[np.float32]:
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
