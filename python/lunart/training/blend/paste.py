"""Pieces that go into a lung, and how: every kind through the same alpha, noise and place.

``nodule``: a nodule cut out closely, mostly over what is there (the brighter wins). ``native``: a
whole cube with its surroundings, its edge far from the nodule. ``vessel``: bright matter of another
lung, cut out like a nodule. ``null``: plain lung through a nodule's alpha. The last two are no
nodules: a network that calls the seam a nodule learns better from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart.training.blend.backgrounds import Background
from lunart.training.blend.nodules import Cube
from lunart.training.blend.noise import noise_of
from lunart.training.blend.resample import rotation, sample, sample_known, upright

# What a nodule must stand out by, or it is an invisible one in the mediastinum.
LEAST_CONTRAST_HU = 90.0
LEAST_AIR = 0.6
MOST_VESSEL = 0.45
# Of a whole cube: with more wall than this, half of the ball would be a wall in mid-lung.
MOST_WALL = 0.4
AIR_HU = -450
TRIES = 40


@dataclass(frozen=True, eq=False)
class Piece:
    """Voxels on the volume's grid: ``hu``, ``alpha`` 0..1, ``mask`` (a nodule's, or empty).

    Where not ``known`` there may be another nodule.
    """

    kind: str
    hu: NDArray[np.float32]
    alpha: NDArray[np.float32]
    shape_mask: NDArray[np.bool_]
    known: NDArray[np.bool_]
    brighter_wins: bool
    center_irc: NDArray[np.float64]
    diameter_mm: float
    patient_id: str

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The voxels of a nodule; none for a look-alike."""
        return self.shape_mask if self.kind in ("nodule", "native") else self.shape_mask & False


def draw_piece(
    rng: np.random.Generator,
    kind: str,
    cubes: list[Cube],
    donors: list[Background],
    spacing: tuple[float, float, float],
    noise: float,
) -> Piece | None:
    """A piece on a grid of ``spacing`` with noise of the background's level, or None."""
    cube = cubes[int(rng.integers(len(cubes)))]
    diameter = cube.diameter_mm
    large = diameter >= 14
    scale = float(
        np.exp(rng.uniform(np.log(0.5 if large else 0.6), np.log(1.15 if large else 1.6)))
    )
    if kind == "native":
        scale = float(rng.uniform(0.9, 1.12))
    turn = rotation(rng) if kind != "native" else upright(rng)
    step = np.array(spacing)
    matrix = turn @ np.diag(step / scale)
    reach = 25.0 * scale if kind == "native" else (diameter / 2 + 5) * scale * 1.35
    sizes = 2 * np.ceil(reach / step).astype(int) + 1
    shape = (int(sizes[0]), int(sizes[1]), int(sizes[2]))
    center = np.array(cube.hu.shape) / 2 - 0.5 if kind == "native" else cube.center_irc
    slab = spacing[0] / scale
    share = sample(cube.mask, center, matrix, shape, slab)
    inside = share > 0.5
    if not inside.any():
        return None
    alpha = _whole(shape, step, reach) if kind == "native" else _close(rng, inside, step)
    if kind in ("nodule", "native"):
        hu = sample(cube.hu, center, matrix, shape, slab)
        known = sample_known(cube.known, center, matrix, shape, slab)
        if kind == "native" and (hu[(alpha > 0.5) & ~inside] > AIR_HU).mean() > MOST_WALL:
            return None
        patient = cube.patient_id
    else:
        found = _from_lung(rng, kind, donors, shape, spacing, inside)
        if found is None:
            return None
        hu, name = found
        known = np.ones(shape, bool)
        patient = f"lung of {name}"
    own = noise_of(hu, np.ones(shape, bool), least=100, otherwise=12.0)
    extra = max(noise**2 - own**2, 0.0) ** 0.5
    grain = rng.standard_normal(shape, dtype=np.float32)
    hu = hu + grain * np.float32(extra)
    return Piece(
        kind, hu.astype(np.float32), alpha, inside, known,
        kind in ("nodule", "vessel") and bool(rng.uniform() < 0.8),
        np.argwhere(inside).mean(axis=0), diameter * scale, patient,
    )  # fmt: skip


def room_for(
    rng: np.random.Generator,
    piece: Piece,
    hu: NDArray[np.float32],
    lungs: NDArray[np.bool_],
    free: NDArray[np.int64],
    taken: NDArray[np.bool_],
) -> tuple[int, int, int] | None:
    """Where the piece's corner goes: in air of the lungs, off other pieces, and to be seen.

    Its middle is at one of the ``free`` flat voxels.
    """
    shape = np.array(piece.hu.shape)
    for _ in range(TRIES):
        point = np.array(np.unravel_index(int(rng.choice(free)), hu.shape))
        corner = point - shape // 2
        here, there = _overlap(corner, shape, hu.shape)
        inside = piece.shape_mask[here]
        if inside.sum() < 0.9 * piece.shape_mask.sum() or not inside.any():
            continue
        if taken[there][inside].any():
            continue
        below = hu[there][inside]
        if (below < AIR_HU).mean() < LEAST_AIR or not lungs[there][inside].all():
            continue
        contrast = float((piece.hu[here][inside] - below).mean())
        if piece.kind in ("nodule", "native") and contrast < LEAST_CONTRAST_HU:
            continue
        return int(corner[0]), int(corner[1]), int(corner[2])
    return None


def put(
    piece: Piece,
    corner: tuple[int, int, int],
    hu: NDArray[np.float32],
    nodule: NDArray[np.bool_],
    known: NDArray[np.bool_],
    taken: NDArray[np.bool_],
) -> None:
    """Blend the piece into ``hu`` and note what is there now."""
    here, there = _overlap(np.array(corner), np.array(piece.hu.shape), hu.shape)
    below = hu[there]
    alpha = piece.alpha[here]
    blended = alpha * piece.hu[here] + (1 - alpha) * below
    hu[there] = np.maximum(blended, below) if piece.brighter_wins else blended
    covered = alpha > 0.5
    nodule[there] &= ~covered
    nodule[there] |= piece.mask[here]
    known[there] = np.where(covered, piece.known[here], known[there])
    taken[there] |= alpha > 0.05


def _overlap(
    corner: NDArray[np.int_], shape: NDArray[np.int_], whole: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    low = np.maximum(corner, 0)
    high = np.minimum(corner + shape, whole)
    here = tuple(slice(a, max(a, b)) for a, b in zip(low - corner, high - corner, strict=True))
    there = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
    return here, there


def _close(
    rng: np.random.Generator, inside: NDArray[np.bool_], step: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Alpha of a piece cut out closely: grown by 0.5 to 3 mm and softened."""
    away = ndimage.distance_transform_edt(~inside, sampling=step)
    grown = (away <= rng.uniform(0.5, 3.0)).astype(np.float32)
    soft = ndimage.gaussian_filter(grown, rng.uniform(0.5, 1.2) / step)
    return np.asarray(np.clip(1.15 * soft, 0, 1), np.float32)


def _whole(
    shape: tuple[int, int, int], step: NDArray[np.float64], reach: float
) -> NDArray[np.float32]:
    """Alpha of a whole cube: 1 up to 4 mm from the ball that fits into it."""
    grid = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in shape)]
    squares = sum((axis * s) ** 2 for axis, s in zip(grid, step, strict=True))
    away = np.sqrt(np.asarray(squares, np.float32))
    return np.asarray(np.clip((reach - 0.5 - away) / 4.0, 0, 1), np.float32)


def _from_lung(
    rng: np.random.Generator,
    kind: str,
    donors: list[Background],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], str] | None:
    """A place in another lung: bright matter for a vessel, mostly air for a null piece."""
    donor = donors[int(rng.integers(len(donors)))]
    step = np.array(spacing)
    matrix = upright(rng) @ np.diag(step)
    matrix = matrix / np.array(donor.spacing_irc_mm)[:, None]
    where = donor.bright if kind == "vessel" else donor.airy
    if not len(where):
        return None
    for _ in range(60):
        point = np.array(np.unravel_index(int(rng.choice(where)), donor.hu.shape))
        around = np.ceil(np.array(shape) * step / np.array(donor.spacing_irc_mm) / 2).astype(int)
        box = tuple(slice(max(p - a, 0), p + a + 1) for p, a in zip(point, around, strict=True))
        if not donor.known[box].all() or donor.nodules[box].any() or donor.lungs[box].mean() < 0.6:
            continue
        low = np.array([part.start for part in box])
        slab = max(1.0, spacing[0] / donor.spacing_irc_mm[0])
        piece = sample(donor.hu[box], point - low, matrix, shape, slab)
        # A blob of solid tissue would look like the nodule that it is not: vessels are thin.
        if kind == "vessel" and (piece[inside] > AIR_HU).mean() > MOST_VESSEL:
            continue
        return piece, donor.name
    return None
