"""Tapering tubes (vessels, airways) and the trees that they form.

A tree splits its leaves in two until one is left, so that it fills the lung, and its radii follow
Murray's law (a parent's radius cubed is the sum of its children's), which is how vessels and
airways really taper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart.phantom.types import FloatArray, Grid

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Tube:
    """A straight piece from ``start`` to ``end`` (x,y,z mm) with a radius at each end."""

    start: Point
    end: Point
    start_radius: float
    end_radius: float


def grow(rng: np.random.Generator, root: Point, leaves: Point, leaf_radius: float) -> list[Tube]:
    """A tree from ``root`` to every point of ``leaves`` ``(n, 3)``."""
    tubes: list[Tube] = []
    pending = [(root, leaves)]
    while pending:
        start, group = pending.pop()
        count = len(group)
        radius = leaf_radius * count ** (1 / 2.7)
        if count == 1:
            _bend(rng, tubes, start, group[0], radius, 0.75 * leaf_radius)
            continue
        toward = group.mean(axis=0) - start
        end = start + toward * rng.uniform(0.30, 0.50)
        # Split across a wide extent at a random share: real branches are unequal.
        extent = group.max(axis=0) - group.min(axis=0)
        axis = int(np.argmax(extent * rng.uniform(0.6, 1.4, 3)))
        order = np.argsort(group[:, axis], kind="stable")
        cut = min(max(round(count * rng.uniform(0.3, 0.7)), 1), count - 1)
        _bend(rng, tubes, start, end, radius, 0.93 * radius)
        pending.append((end, group[order[:cut]]))
        pending.append((end, group[order[cut:]]))
    return tubes


def _bend(
    rng: np.random.Generator, tubes: list[Tube], start: Point, end: Point, first: float, last: float
) -> None:
    """Two pieces with a knee: no real vessel is straight."""
    length = float(np.linalg.norm(end - start))
    knee = (start + end) / 2 + rng.normal(0, 0.07 * length, 3)
    middle = (first + last) / 2
    tubes.append(Tube(start, knee, first, middle))
    tubes.append(Tube(knee, end, middle, last))


def draw(hu: FloatArray, grid: Grid, tubes: list[Tube], value: float) -> None:
    """Draw tubes into ``hu``: brighter tubes never darken a voxel, darker ones never brighten."""
    zs, ys, xs = grid.axis(0), grid.axis(1), grid.axis(2)
    edge = max(grid.spacing_xyz[0], grid.spacing_xyz[1])
    brighten = value > -200
    for tube in tubes:
        reach = max(tube.start_radius, tube.end_radius) + edge
        box = grid.box(
            np.minimum(tube.start, tube.end) - reach, np.maximum(tube.start, tube.end) + reach
        )
        if box is None:
            continue
        dz = zs[box[0], None, None] - np.float32(tube.start[2])
        dy = ys[None, box[1], None] - np.float32(tube.start[1])
        dx = xs[None, None, box[2]] - np.float32(tube.start[0])
        vx, vy, vz = (tube.end - tube.start).astype(np.float32)
        squared = max(float(vx * vx + vy * vy + vz * vz), 1e-6)
        along = np.clip((dx * vx + dy * vy + dz * vz) / np.float32(squared), 0, 1)
        distance = np.sqrt((dx - along * vx) ** 2 + (dy - along * vy) ** 2 + (dz - along * vz) ** 2)
        radius = tube.start_radius + (tube.end_radius - tube.start_radius) * along
        cover = np.clip(0.5 - (distance - radius) / edge, 0, 1)
        # A tube thinner than a voxel fills only its share of it.
        share = min(1.0, 1.6 * max(tube.start_radius, tube.end_radius) / edge)
        part = hu[box]
        change = value - part
        change = np.maximum(change, 0) if brighten else np.minimum(change, 0)
        part += np.float32(share) * cover * change
