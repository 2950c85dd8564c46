"""The training set: phantoms by seed, at many voxel sizes, and pieces cut from them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart.phantom import Phantom, generate

HU_WINDOW = (-1000, 1000)
CONTEXT = 3
CROP_IRC = (32, 48, 48)
# Phantoms of these seeds are for evaluation only.
RESERVED_SEEDS = range(1000, 2000)


@dataclass(frozen=True)
class ScanPlan:
    """What one training phantom is generated from."""

    seed: int
    shape_irc: tuple[int, int, int]
    spacing_xyz_mm: tuple[float, float, float] | None


def plan(seed: int) -> ScanPlan:
    """Half the scans are of the default grid, most others of finer voxels, a few tiny ones."""
    if seed in RESERVED_SEEDS:
        raise ValueError(f"seed {seed} is reserved for evaluation")
    rng = np.random.Generator(np.random.PCG64([seed, 7]))
    draw = rng.uniform()
    if draw < 0.5:
        return ScanPlan(seed, (96, 352, 352), None)
    if draw < 0.6:
        return ScanPlan(seed, (32, 128, 128), None)
    plane = float(rng.uniform(0.62, 0.95))
    thick = float(rng.uniform(1.0, 3.0))
    side = 8 * round(min(320 / plane, 440) / 8)
    return ScanPlan(seed, (round(min(220 / thick, 110)), side, side), (plane, plane, thick))


def _generate(job: ScanPlan) -> Phantom:
    return generate(
        job.seed, shape_irc=job.shape_irc, spacing_xyz_mm=job.spacing_xyz_mm, nodule_count=9
    )


def load(seeds: Sequence[int], workers: int) -> list[Phantom]:
    """Generate the phantoms of ``seeds``, in their order, on ``workers`` processes."""
    # "spawn": a forked child of a process that has run torch can hang in OpenMP.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return list(pool.map(_generate, map(plan, seeds)))


def context_slices(hu: NDArray[np.int16], index: int) -> NDArray[np.float32]:
    """The seven slices round ``index`` ``(7, row, col)``, edge slices repeated, HU clamped."""
    wanted = np.clip(np.arange(index - CONTEXT, index + CONTEXT + 1), 0, len(hu) - 1)
    return np.clip(hu[wanted], *HU_WINDOW).astype(np.float32)


def crop(
    hu: NDArray[np.int16], center_irc: Sequence[float] | NDArray[np.float64]
) -> NDArray[np.float32]:
    """The classifier's input ``(32, 48, 48)``: shifted inside at borders, short scans padded."""
    window = []
    pad = []
    for size, center, length in zip(CROP_IRC, center_irc, hu.shape, strict=True):
        start = min(max(round(float(center)) - size // 2, 0), max(length - size, 0))
        window.append(slice(start, start + size))
        pad.append((0, max(size - length, 0)))
    piece = np.pad(hu[tuple(window)], pad, constant_values=HU_WINDOW[0])
    return np.clip(piece, *HU_WINDOW).astype(np.float32)
