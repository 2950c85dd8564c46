"""Nodules: where they may lie, how they look, and which voxels are theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart.phantom.anatomy import Anatomy
from lunart.phantom.tubes import Point, Tube, draw
from lunart.phantom.types import KINDS, FloatArray, Grid
from lunart.phantom.vessels import Tubing, sample_lung

SMALLEST_MM, LARGEST_MM = 3.0, 25.0
_SHARE = {
    "solid": 0.28,
    "juxta-pleural": 0.20,
    "vessel-attached": 0.12,
    "spiculated": 0.12,
    "part-solid": 0.10,
    "ground-glass": 0.09,
    "calcified": 0.09,
}
# Faint or textured kinds are only told apart above a size; calcified ones are seldom large.
_RANGE_MM = {"spiculated": (7, 25), "part-solid": (7, 22), "ground-glass": (6, 22)}
_RANGE_MM |= {"calcified": (3, 11), "vessel-attached": (3, 14)}
_TRIES = 60


@dataclass(frozen=True)
class Site:
    """A nodule before it is drawn; ``center`` in the grid's millimetres."""

    center: Point
    diameter: float
    kind: str


def place(
    rng: np.random.Generator, grid: Grid, anatomy: Anatomy, tubing: Tubing, count: int
) -> list[Site]:
    """Up to ``count`` nodules that keep apart; fewer when the scan has no room for more."""
    x, y, z = grid.spacing_xyz
    # A nodule smaller than the voxels could be neither seen nor marked.
    smallest = max(SMALLEST_MM, 2.5 * max(x, y), 1.15 * z)
    sites: list[Site] = []
    for _ in range(count):
        kind = str(rng.choice(KINDS, p=[_SHARE[kind] for kind in KINDS]))
        low, high = _RANGE_MM.get(kind, (SMALLEST_MM, LARGEST_MM))
        low = max(low, smallest)
        high = max(high, 1.4 * low)
        for _ in range(_TRIES):
            diameter = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            center = _candidate(rng, anatomy, tubing, kind, diameter / 2)
            if center is not None and _free(grid, sites, center, diameter):
                sites.append(Site(center, diameter, kind))
                break
    return sites


def _candidate(
    rng: np.random.Generator, anatomy: Anatomy, tubing: Tubing, kind: str, radius: float
) -> Point | None:
    side = int(rng.choice([-1, 1]))
    if kind == "vessel-attached":
        vessels = [t for t in tubing.lung_vessels if 0.8 < t.start_radius < 2.2]
        vessel = vessels[int(rng.integers(len(vessels)))]
        aside = rng.normal(size=3)
        center: Point = vessel.end + aside / np.linalg.norm(aside) * 0.8 * radius
        return center if _depth(anatomy, center) > radius + 2 else None
    if kind == "juxta-pleural":
        points = sample_lung(rng, anatomy, side, 0.35 * radius, 400)
        depth = anatomy.lung_depth(*points.astype(np.float32).T)
        points = points[depth < 0.8 * radius]
    else:
        points = sample_lung(rng, anatomy, side, radius + 2, 8)
    # Beside the hila everything is vessel: no reader would mark a nodule there.
    hilum = np.array([side * 1.35 * anatomy.mediastinum, 10.0, 0.0])
    hilum[2] = anatomy.lung_base + 0.51 * anatomy.lung_height
    points = points[np.linalg.norm(points - hilum, axis=1) > 26 + radius]
    return points[0] if len(points) else None


def _depth(anatomy: Anatomy, point: Point) -> float:
    return float(anatomy.lung_depth(*np.float32(point)))


def _free(grid: Grid, sites: list[Site], center: Point, diameter: float) -> bool:
    reach = diameter / 2 + np.array(grid.spacing_xyz)
    half = np.array(grid.extent_xyz) / 2
    if np.any(np.abs(center) + reach > half):
        return False
    return all(
        np.linalg.norm(center - other.center) > 0.5 * (diameter + other.diameter) + 8
        for other in sites
    )


def paint(
    rng: np.random.Generator, hu: FloatArray, grid: Grid, anatomy: Anatomy, site: Site
) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]]:
    """Draw a nodule into ``hu``; returns the box and, in it, the voxels that are the nodule's."""
    radius = site.diameter / 2
    if site.kind == "spiculated":
        _spicules(rng, hu, grid, site)
    reach = 1.5 * radius + max(grid.spacing_xyz)
    box = grid.box(site.center - reach, site.center + reach)
    assert box is not None  # place() keeps nodules inside the grid
    rough = 0.12 if site.kind in ("spiculated", "part-solid") else 0.07
    surface = _Surface(rng, rough)
    cover = _cover(grid, box, site.center, radius, surface)
    zs, ys, xs = (grid.axis(axis)[box[axis]] for axis in range(3))
    depth = anatomy.lung_depth(
        xs[None, None, :], ys[None, :, None], zs[:, None, None].astype(np.float32)
    )
    in_lung = np.clip(0.5 + depth / grid.spacing_xyz[0], 0, 1)
    part = hu[box]
    for value, share in _layers(rng, site.kind):
        layer = cover if share == 1 else _cover(grid, box, site.center, share * radius, surface)
        grain = rng.normal(0, 12, part.shape).astype(np.float32)
        part += layer * in_lung * np.maximum(value + grain - part, 0)
    own = (cover > 0.4) & (in_lung > 0.5)
    if not own.any():
        own.flat[int(np.argmax(cover))] = True
    return box, own


def _layers(rng: np.random.Generator, kind: str) -> list[tuple[float, float]]:
    """(HU, share of the radius) from the outside in."""
    if kind == "ground-glass":
        return [(rng.uniform(-650, -450), 1.0)]
    if kind == "part-solid":
        return [(rng.uniform(-620, -420), 1.0), (rng.uniform(-20, 50), rng.uniform(0.4, 0.65))]
    if kind == "calcified":
        return [(rng.uniform(60, 200), 1.0), (rng.uniform(300, 900), rng.uniform(0.6, 0.9))]
    return [(rng.uniform(0, 70), 1.0)]


class _Surface:
    """A lobulated sphere: its radius as a function of the direction, of unit volume."""

    def __init__(self, rng: np.random.Generator, rough: float) -> None:
        self._waves = rng.normal(0, 2.2, (5, 3)).astype(np.float32)
        self._phases = rng.uniform(0, 2 * np.pi, 5).astype(np.float32)
        self._rough = np.float32(rough)
        self._scale = np.float32(1)
        sphere = rng.normal(size=(3, 2000)).astype(np.float32)
        sphere /= np.linalg.norm(sphere, axis=0)
        mean = np.mean(self(sphere[0], sphere[1], sphere[2]) ** 3, dtype=np.float64)
        self._scale = np.float32(mean ** (-1 / 3))

    def __call__(self, ux: FloatArray, uy: FloatArray, uz: FloatArray) -> FloatArray:
        bump = np.zeros(ux.shape, np.float32)
        for wave, phase in zip(self._waves, self._phases, strict=True):
            bump += np.sin(wave[0] * ux + wave[1] * uy + wave[2] * uz + phase)
        result: FloatArray = self._scale * (1 + self._rough * bump)
        return result


def _cover(
    grid: Grid, box: tuple[slice, slice, slice], center: Point, radius: float, surface: _Surface
) -> FloatArray:
    """The covered share of each voxel of a box, by sub-sampling (slices are thick)."""
    fine = [int(np.clip(np.ceil(step / 0.8), 1, 6)) for step in grid.spacing_xyz[::-1]]
    axes = []
    for axis in range(3):
        step = grid.spacing_xyz[2 - axis]
        inner = ((np.arange(fine[axis]) + 0.5) / fine[axis] - 0.5) * step
        at = grid.axis(axis)[box[axis]][:, None] + inner[None] - center[2 - axis]
        axes.append(at.reshape(-1).astype(np.float32))
    dz, dy, dx = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    distance = np.sqrt(dz * dz + dy * dy + dx * dx)
    safe = np.maximum(distance, 1e-3)
    wall = radius * surface(dx / safe, dy / safe, dz / safe)
    inside = np.clip(0.5 + (wall - distance) / 0.5, 0, 1).astype(np.float32)
    shape = [len(axes[0]) // fine[0], fine[0], len(axes[1]) // fine[1], fine[1], -1, fine[2]]
    result: FloatArray = inside.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)
    return result


def _spicules(rng: np.random.Generator, hu: FloatArray, grid: Grid, site: Site) -> None:
    """Thin strands that radiate from the surface."""
    radius = site.diameter / 2
    tubes = []
    for _ in range(int(rng.integers(10, 20))):
        ray = rng.normal(size=3)
        ray /= np.linalg.norm(ray)
        end = site.center + ray * radius * rng.uniform(1.35, 1.9)
        tubes.append(Tube(site.center + 0.7 * radius * ray, end, 0.16 * radius, 0.3))
    draw(hu, grid, tubes, 0.0)
