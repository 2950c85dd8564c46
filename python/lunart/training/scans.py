"""The grids of generated training scans, and what the pipeline makes of every scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# What augmentation moves out of the window is clamped again.
HU_WINDOW = (-1000, 1000)
CROP_IRC = (32, 48, 48)
#: Crops of blended volumes: as many millimetres whatever a scan's voxels are, for slices of a few
#: lungs teach little of those of another thickness.
CUBE_IRC = (32, 32, 32)
CUBE_SPACING_MM = 1.0
# Slices that the segmentation network sees either side of its own.
CONTEXT = 3
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
