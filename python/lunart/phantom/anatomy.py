"""The shape of one patient: signed distances in millimetres to the walls of the lungs.

Every surface is a formula of (x, y, z), so that a slice, a vessel's way and a nodule's place ask
the same question. Distances are those along the ray from the shape's centre: exact enough for soft
edges and margins, and cheap. Positive is outside. Axes: x to the patient's left, y back, z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lunart.phantom.types import FloatArray, Grid

THORAX_FOV_MM = (352.0, 352.0, 240.0)


def ellipse_distance(
    x: FloatArray, y: FloatArray, a: FloatArray | float, b: FloatArray | float
) -> FloatArray:
    """Distance to an ellipse of half axes ``a`` and ``b`` about the origin."""
    return _outward(x, y, np.sqrt((x / a) ** 2 + (y / b) ** 2))


def box_distance(
    x: FloatArray, y: FloatArray, a: FloatArray | float, b: FloatArray | float
) -> FloatArray:
    """Distance to the superellipse ``|x/a|**2.5 + |y/b|**2.5 = 1``, a box with round corners."""
    u, v = np.abs(x / a), np.abs(y / b)
    # u**2.5 as u*u*sqrt(u): a general power takes five times as long.
    level = (u * u * np.sqrt(u) + v * v * np.sqrt(v)) ** np.float32(0.4)
    return _outward(x, y, level)


def _outward(x: FloatArray, y: FloatArray, level: FloatArray) -> FloatArray:
    """Distance along the ray from the centre to where ``level`` (homogeneous) is 1."""
    distance: FloatArray = np.sqrt(x * x + y * y) * (1 - 1 / np.maximum(level, 1e-3))
    return distance


@dataclass(frozen=True)
class Anatomy:
    """Sizes of one thorax, all in millimetres about the scan's middle."""

    body_a: float
    body_b: float
    fat: float
    cage_a: float
    cage_b: float
    lung_base: float
    lung_height: float
    dome_right: float
    dome_left: float
    mediastinum: float
    heart_xyz: tuple[float, float, float]
    heart_radii: tuple[float, float, float]
    rib_pitch: float
    rib_phase: float
    rib_slope: float
    blood_hu: float
    lung_hu: float
    table_y: float

    @staticmethod
    def sample(rng: np.random.Generator, grid: Grid) -> Anatomy:
        """A patient that fits the field of view, between a small and a large adult's size."""
        fov_x, fov_y, fov_z = grid.extent_xyz
        size = min(max(min(fov_x, 1.25 * fov_y) / THORAX_FOV_MM[0], 0.78), 1.12)
        size *= rng.uniform(0.95, 1.03)
        cage_a = size * rng.uniform(121, 136)
        cage_b = size * rng.uniform(80, 98)
        fat = size * rng.uniform(6, 20)
        height = min(max(0.9 * fov_z, 165), 250) * rng.uniform(0.93, 1.02)
        # The base lies a little above the lowest slice, so that the liver is seen.
        base = -0.5 * height - rng.uniform(-6, 4)
        heart_z = base + height * rng.uniform(0.27, 0.34)
        body_b = cage_b + fat + size * rng.uniform(20, 26)
        return Anatomy(
            body_a=cage_a + fat + size * rng.uniform(16, 24),
            body_b=body_b,
            fat=fat,
            cage_a=cage_a,
            cage_b=cage_b,
            lung_base=base,
            lung_height=height,
            dome_right=height * rng.uniform(0.26, 0.34),
            dome_left=height * rng.uniform(0.20, 0.28),
            mediastinum=size * rng.uniform(23, 29),
            heart_xyz=(size * rng.uniform(14, 24), -0.30 * cage_b, heart_z),
            heart_radii=(
                size * rng.uniform(46, 56),
                size * rng.uniform(38, 46),
                size * rng.uniform(46, 58),
            ),
            rib_pitch=height / rng.uniform(8.2, 9.4),
            rib_phase=rng.uniform(0, 1),
            rib_slope=rng.uniform(55, 80),
            blood_hu=float(rng.choice([rng.uniform(38, 50), rng.uniform(120, 280)])),
            lung_hu=rng.uniform(-875, -835),
            table_y=body_b + rng.uniform(6, 12),
        )

    def level(self, z: FloatArray | float) -> FloatArray:
        """Height within the lungs: 0 at the base, 1 at the apex."""
        return np.asarray((z - self.lung_base) / self.lung_height, dtype=np.float32)

    def cage_axes(self, z: FloatArray | float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Half width, half depth and the shift backwards of the rib cage's inner wall at ``z``."""
        t = self.level(z)
        top = np.clip((t - 0.3) / 0.73, 0, 0.999)
        wide = np.sqrt(1 - top**2.8) * (1 - 0.10 * np.clip(0.35 - t, 0, 1))
        deep = np.sqrt(1 - top**3.4)
        shift = 14 * np.clip((t - 0.5) / 0.5, 0, 1)
        return self.cage_a * wide, self.cage_b * deep, shift

    def cage_distance(self, x: FloatArray, y: FloatArray, z: FloatArray | float) -> FloatArray:
        """Distance to the inner wall of the rib cage."""
        a, b, shift = self.cage_axes(z)
        return box_distance(x, y - shift, a, b)

    def mediastinum_distance(
        self, x: FloatArray, y: FloatArray, z: FloatArray | float
    ) -> FloatArray:
        """Distance to the space between the lungs: its column, the hila, the heart, the spine."""
        t = self.level(z)
        bulge = np.exp(-(((t - 0.5) / 0.13) ** 2))
        half = self.mediastinum * (1 + 0.30 * bulge + 0.35 * np.clip(t - 0.75, 0, 1))
        depth = self.cage_b * (0.62 + 0.1 * np.clip(t - 0.6, 0, 0.4))
        column = ellipse_distance(x, y - 6, half, depth)
        # A thin fold joins the column to the breastbone.
        fold = np.maximum(np.abs(x + 0.06 * y) - 1.3, y + 4)
        hx, hy, hz = self.heart_xyz
        ra, rb, rc = self.heart_radii
        dx, dy, dz = x - hx, y - hy, z - hz
        turned_x, turned_y = dx * 0.9 - dy * 0.43, dx * 0.43 + dy * 0.9
        rho = np.sqrt(turned_x**2 + turned_y**2 + dz**2)
        level = np.sqrt((turned_x / ra) ** 2 + (turned_y / rb) ** 2 + (dz / rc) ** 2)
        heart = rho * (1 - 1 / np.maximum(level, 1e-3))
        spine = ellipse_distance(x, y - self.spine_y, 23.0, 25.0)
        wall: FloatArray = np.minimum(np.minimum(column, fold), np.minimum(heart, spine))
        return wall

    @property
    def spine_y(self) -> float:
        """The middle of the vertebral bodies."""
        return self.cage_b - 22

    def diaphragm_distance(self, x: FloatArray, y: FloatArray, z: FloatArray | float) -> FloatArray:
        """Distance to the two domes, positive above them (in the lungs)."""
        right = x < 0
        height = np.where(right, np.float32(self.dome_right), np.float32(self.dome_left))
        cx = np.where(right, np.float32(-0.47), np.float32(0.5)) * self.cage_a
        q = ((x - cx) / (0.60 * self.cage_a)) ** 2 + ((y + 0.18 * self.cage_b) / self.cage_b) ** 2
        dome = self.lung_base + height * (1 - q)
        distance: FloatArray = (z - np.maximum(dome, self.lung_base)) * np.float32(0.75)
        return distance

    def lung_depth(self, x: FloatArray, y: FloatArray, z: FloatArray | float) -> FloatArray:
        """How far inside a lung a point lies; negative outside."""
        depth = np.minimum(-self.cage_distance(x, y, z), self.mediastinum_distance(x, y, z))
        depth = np.minimum(depth, self.diaphragm_distance(x, y, z))
        result: FloatArray = np.minimum(depth, (self.lung_base + self.lung_height - z) * 0.8)
        return result
