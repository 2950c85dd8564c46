"""Where the tubes go: great vessels, windpipe, and in each lung arteries, veins and bronchi."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lunart.phantom.anatomy import Anatomy
from lunart.phantom.tubes import Point, Tube, draw, grow
from lunart.phantom.types import FloatArray, Grid


@dataclass(frozen=True)
class Tubing:
    """All tubes of a patient: blood, and airways as (outer wall, lumen)."""

    blood: list[Tube]
    lung_vessels: list[Tube]
    walls: list[Tube]
    lumens: list[Tube]

    def draw(self, hu: FloatArray, grid: Grid, blood_hu: float) -> None:
        """Blood and walls first, then the air in the airways."""
        draw(hu, grid, self.blood, blood_hu)
        draw(hu, grid, self.lung_vessels, min(blood_hu, 90.0))
        draw(hu, grid, self.walls, 10.0)
        draw(hu, grid, self.lumens, -985.0)


def sample_lung(
    rng: np.random.Generator, anatomy: Anatomy, side: int, margin: float, count: int
) -> NDArray[np.float64]:
    """``count`` points at least ``margin`` mm inside one lung (-1 right, 1 left)."""
    low = np.array([0.0, -anatomy.cage_b, anatomy.lung_base])
    high = np.array([anatomy.cage_a, anatomy.cage_b, anatomy.lung_base + anatomy.lung_height])
    points = rng.uniform(low, high, size=(8 * count + 64, 3)) * [side, 1, 1]
    x, y, z = points.astype(np.float32).T
    return points[anatomy.lung_depth(x, y, z) > margin][:count]


def plan(rng: np.random.Generator, anatomy: Anatomy) -> Tubing:
    """The vessels and airways of one patient."""
    blood = _great_vessels(anatomy)
    lung_vessels: list[Tube] = []
    top = anatomy.lung_base + anatomy.lung_height
    carina = np.array([0.0, 8.0, anatomy.lung_base + 0.60 * anatomy.lung_height])
    windpipe = rng.uniform(7.5, 9.5)
    walls = [Tube(np.array([0.0, -2.0, top + 60]), carina, windpipe + 1.6, windpipe + 1.6)]
    lumens = [Tube(walls[0].start, carina, windpipe, windpipe)]
    density = rng.uniform(0.8, 1.25)
    leaf = rng.uniform(0.5, 0.68)
    for side in (-1, 1):
        hilum = np.array(
            [side * 1.35 * anatomy.mediastinum, 10.0, carina[2] - 0.09 * anatomy.lung_height]
        )
        _airway(walls, lumens, Tube(carina, hilum, 0.72 * windpipe, 0.55 * windpipe))
        leaves = sample_lung(rng, anatomy, side, 4.0, int(560 * density))
        arteries = grow(rng, hilum + np.array([0, -6, 4]), leaves, leaf)
        lung_vessels += arteries
        leaves = sample_lung(rng, anatomy, side, 5.0, int(380 * density))
        lung_vessels += grow(rng, hilum + np.array([-4 * side, -10, -12]), leaves, leaf)
        lung_vessels += _scars(rng, anatomy, side)
        # A bronchus runs beside each larger artery.
        aside = rng.normal(size=3)
        aside /= np.linalg.norm(aside)
        for artery in arteries:
            if artery.start_radius > 1.5:
                radius = 0.85 * artery.start_radius
                shift = aside * (artery.start_radius + radius + 0.6)
                last = 0.85 * artery.end_radius
                _airway(walls, lumens, Tube(artery.start + shift, artery.end + shift, radius, last))
    return Tubing(blood, lung_vessels, walls, lumens)


def _scars(rng: np.random.Generator, anatomy: Anatomy, side: int) -> list[Tube]:
    """Short bands that a reader takes for scars: long where a nodule is round."""
    bands = []
    for middle in sample_lung(rng, anatomy, side, 3.0, int(rng.integers(0, 4))):
        half = rng.normal(size=3) * [1, 1, 0.5]
        half *= rng.uniform(6, 14) / np.linalg.norm(half)
        radius = rng.uniform(0.9, 1.7)
        bands.append(Tube(middle - half, middle + half, radius, 0.5 * radius))
    return bands


def _airway(walls: list[Tube], lumens: list[Tube], lumen: Tube) -> None:
    wall = 0.5 + 0.13 * lumen.start_radius
    walls.append(Tube(lumen.start, lumen.end, lumen.start_radius + wall, lumen.end_radius + wall))
    lumens.append(lumen)


def _great_vessels(a: Anatomy) -> list[Tube]:
    """Aorta, pulmonary trunk and arteries, upper caval vein, as chains of points x,y,z,radius."""
    hx, hy, hz = a.heart_xyz
    up = a.lung_height
    spine = a.spine_y - 24
    arch = a.lung_base + 0.72 * up
    hila = a.lung_base + 0.53 * up
    half = 1.3 * a.mediastinum
    aorta = [
        (hx - 14, hy + 8, hz + 20, 15),
        (-14, -22, hila + 4, 15),
        (-8, -18, arch - 8, 14),
        (6, -2, arch, 13),
        (17, spine - 8, arch - 8, 12),
        (21, spine, arch - 25, 11.5),
        (16, spine + 4, a.lung_base - 40, 10.5),
    ]
    trunk = [(hx - 8, hy - 4, hz + 25, 13), (12, -12, hila, 13), (half, 4, hila - 2, 9)]
    right = [(10, -10, hila, 10), (-half, 2, hila - 4, 8)]
    caval = [(-22, -10, hz + 15, 10), (-22, -14, arch + 5, 9), (-18, -20, arch + 60, 7)]
    brain = [(-2, -12, arch, 6), (-8, -12, arch + 70, 5)]
    neck = [(10, -2, arch, 4.5), (16, -2, arch + 70, 4)]
    tubes = []
    for chain in (aorta, trunk, right, caval, brain, neck):
        for first, second in pairwise(chain):
            start: Point = np.array(first[:3], float)
            tubes.append(Tube(start, np.array(second[:3], float), first[3], second[3]))
    return tubes
