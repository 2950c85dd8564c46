"""The training set: phantoms by seed, at many voxel sizes, as the pipeline sees scans.

What a network is trained on is cut by the functions of the C++ pipeline that will run it
(``lunart._core``), from the :class:`TrainingScan`'s ``scan``.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from lunart import _core
from lunart.phantom import Phantom, generate

# The pipeline's; what augmentation moves out of it is clamped again.
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


@dataclass(frozen=True, eq=False)
class TrainingScan:
    """A phantom, and its voxels as the core holds them."""

    phantom: Phantom
    scan: _core.Scan

    @classmethod
    def of(cls, phantom: Phantom) -> TrainingScan:
        geometry = _core.Geometry(
            shape_irc=phantom.hu.shape,
            spacing_mm=phantom.spacing_mm,
            origin_mm=phantom.origin_mm,
            direction=phantom.direction,
        )
        return cls(phantom, _core.scan_from_array(phantom.hu, geometry, phantom.series_uid, ""))


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


def load(seeds: Sequence[int], workers: int) -> list[TrainingScan]:
    """Generate the phantoms of ``seeds``, in their order, on ``workers`` processes."""
    # "spawn": a forked child of a process that has run torch can hang in OpenMP.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return [TrainingScan.of(phantom) for phantom in pool.map(_generate, map(plan, seeds))]
