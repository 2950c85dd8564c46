"""One slice of the thorax without vessels and nodules: body, bones, organs, lung tissue, table."""

from __future__ import annotations

import numpy as np

from lunart.phantom.anatomy import Anatomy, box_distance, ellipse_distance
from lunart.phantom.texture import SmoothField
from lunart.phantom.types import FloatArray, Grid


class TissuePainter:
    """Paints slices of one patient; ``paint`` returns float32 HU ``(row, col)``."""

    def __init__(self, rng: np.random.Generator, grid: Grid, anatomy: Anatomy) -> None:
        self._anatomy = anatomy
        self._y, self._x = np.meshgrid(grid.axis(1), grid.axis(2), indexing="ij")
        self._edge = float(max(grid.spacing_xyz[0], grid.spacing_xyz[1]))
        self._coarse = SmoothField(rng, grid, 22.0)
        self._middle = SmoothField(rng, grid, 8.0)
        self._fine = SmoothField(rng, grid, 3.0)
        self._gas = rng.uniform() < 0.6
        self._gravity = rng.uniform(15, 55)
        self._haze = rng.uniform(0, 160)
        self._fissures = rng.uniform(-1, 1, size=(3, 2)).astype(np.float32)
        self._wave = rng.uniform(-1.5, 1.5)
        # Bones of the spine are drawn only where they can be.
        rows = np.flatnonzero(np.abs(grid.axis(1) - anatomy.spine_y - 20) < 45)
        cols = np.flatnonzero(np.abs(grid.axis(2)) < 40)
        self._spine_box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        # Angles round the cage and how far along its slanted way a rib is there, 0 at the spine.
        angle = np.arctan2(np.abs(self._x), self._y - 0.1 * anatomy.cage_b)
        self._along = (angle / np.pi).astype(np.float32)

    def paint(self, index: int, z: float) -> FloatArray:
        """The slice at height ``z`` (mm)."""
        a, x, y = self._anatomy, self._x, self._y
        coarse, middle = self._coarse.slice(index), self._middle.slice(index)
        fine = self._fine.slice(index)
        hu = np.full(x.shape, -1000, np.float32)
        self._table(hu)
        t = float(a.level(z))
        cage = a.cage_distance(x, y, z)
        self._body(hu, t, coarse, middle)
        inside = self._cover(cage)
        _mix(hu, inside, -85 + 12 * middle)
        self._organs(hu, inside, z, middle)
        self._bones(hu, cage, z, middle)
        depth = a.lung_depth(x, y, z)
        _mix(hu, self._cover(-depth), self._lung(depth, z, coarse, middle, fine))
        return hu

    def _cover(self, distance: FloatArray) -> FloatArray:
        """How much of a voxel lies inside a surface."""
        covered: FloatArray = np.clip(0.5 - distance / self._edge, 0, 1)
        return covered

    def _table(self, hu: FloatArray) -> None:
        a = self._anatomy
        sheet = self._y - a.table_y + (self._x / 60) ** 2
        within = np.abs(self._x) < 1.25 * a.body_a
        _mix(hu, self._cover(np.abs(sheet) - 1.3) * within, np.float32(-150))
        _mix(hu, self._cover(np.abs(sheet - 22) - 2.0) * within, np.float32(20))

    def _body(self, hu: FloatArray, t: float, coarse: FloatArray, middle: FloatArray) -> None:
        a, x, y = self._anatomy, self._x, self._y
        # The shoulders are wider and flatter than the chest.
        shoulder = min(max((t - 0.62) / 0.4, 0.0), 1.0)
        wide, deep = a.body_a * (1 + 0.22 * shoulder), a.body_b * (1 - 0.10 * shoulder)
        skin = box_distance(x, y - 6 * shoulder, wide, deep)
        skin += self._wave * np.cos(3 * np.pi * self._along)
        _mix(hu, self._cover(skin), np.float32(30))
        fat = -skin - 2.2
        _mix(hu, self._cover(-fat), -105 + 6 * middle)
        thickness = a.fat * (1 + 0.35 * np.cos(2 * np.pi * self._along)) + 2 * coarse
        streaks = np.clip(3.2 * middle + 2.2 * coarse - 6.0, 0, 1)
        _mix(hu, self._cover(thickness - fat), 52 + 7 * middle - 130 * streaks)

    def _organs(self, hu: FloatArray, inside: FloatArray, z: float, middle: FloatArray) -> None:
        a, x, y = self._anatomy, self._x, self._y
        below = inside * self._cover(a.diaphragm_distance(x, y, z))
        right = x < 0.25 * a.cage_a
        organ = np.where(right, np.float32(58 + 0.2 * a.blood_hu), np.float32(40)) + 4 * middle
        _mix(hu, below, organ)
        if self._gas:
            sx, sy = 0.45 * a.cage_a, -0.35 * a.cage_b
            height = a.lung_base + 0.45 * a.dome_left - z
            bubble = np.sqrt((x - sx) ** 2 + 1.5 * (y - sy) ** 2 + 1.5 * height**2) - 22
            _mix(hu, below * self._cover(bubble), np.float32(-960))
        above = 1 - below
        hx, hy, hz = a.heart_xyz
        ra, rb, rc = a.heart_radii
        dx, dy, dz = x - hx, y - hy, z - hz
        flat = 1 - (dz / rc) ** 2
        if flat > 0.02:
            scale = flat**0.5
            turned_x, turned_y = dx * 0.9 - dy * 0.43, dx * 0.43 + dy * 0.9
            muscle = ellipse_distance(turned_x, turned_y, (ra - 3) * scale, (rb - 3) * scale)
            _mix(hu, above * self._cover(muscle), 45 + 0.3 * (a.blood_hu - 45) + 4 * middle)
            chamber = ellipse_distance(
                turned_x - 0.15 * ra, turned_y, 0.58 * ra * scale, 0.6 * rb * scale
            )
            _mix(hu, above * self._cover(chamber), np.float32(a.blood_hu))
        # The gullet, beside the aorta.
        gullet = ellipse_distance(x - 4, y - a.spine_y + 33, 9.0, 6.0)
        _mix(hu, self._cover(gullet), np.float32(35))

    def _bones(self, hu: FloatArray, cage: FloatArray, z: float, middle: FloatArray) -> None:
        a, x, y = self._anatomy, self._x, self._y
        t = float(a.level(z))
        # Ribs are rings round the cage that fall from the spine to the front.
        if t < 1.08:
            turns = (z + a.rib_slope * self._along) / a.rib_pitch + a.rib_phase
            dz = (turns - np.round(turns)) * a.rib_pitch * 0.85
            radial = (cage - 6.5) * 1.25
            ring = np.hypot(dz, radial) - 5.6
            front = self._along > 0.86
            cartilage = np.where(front, np.float32(95), np.float32(480))
            _mix(hu, self._cover(ring), cartilage)
            _mix(hu, self._cover(ring + 2.2), np.where(front, np.float32(90), 170 + 30 * middle))
        _, half_depth, shift = a.cage_axes(min(z, a.lung_base + 0.75 * a.lung_height))
        if 0.28 < t < 0.95:
            bone = box_distance(x, y + half_depth - shift + 9, 15 + 10 * t, 6.5)
            _mix(hu, self._cover(bone), np.float32(380))
            _mix(hu, self._cover(bone + 1.8), 120 + 25 * middle)
        if 0.35 < t < 1.0:
            # The shoulder blades, two thin plates behind the ribs.
            behind = np.abs(self._along - 0.24) * 2.2 * a.cage_a - 42 * float(np.sin(np.pi * t))
            plate = np.maximum(np.abs(cage - 22 - 9 * self._along) - 2.0, behind)
            _mix(hu, self._cover(plate) * (y > 0), np.float32(400))
        if t > 0.88:
            # The collar bones rise and turn back towards the shoulders.
            out = np.abs(x)
            rise = (z - a.lung_base) - 0.95 * a.lung_height - 0.12 * out
            clavicle = np.hypot(y + 0.55 * a.cage_b - 0.35 * out, rise) - 6
            _mix(hu, self._cover(np.maximum(clavicle, 22 - out)), np.float32(420))
        self._vertebra(hu, z, middle)

    def _vertebra(self, hu: FloatArray, z: float, middle: FloatArray) -> None:
        a, near = self._anatomy, self._spine_box
        hu, middle = hu[near], middle[near]
        x, back = self._x[near], self._y[near] - self._anatomy.spine_y
        phase = (z / 24 + a.rib_phase) % 1.0
        body = box_distance(x, back, 18 - 2 * float(np.sin(np.pi * phase)), 15.0)
        _mix(hu, self._cover(body - 4), np.float32(45))
        disc = phase < 0.16
        _mix(hu, self._cover(body), np.float32(85 if disc else 420))
        if not disc:
            _mix(hu, self._cover(body + 1.8), 170 + 45 * middle)
        arch = np.abs(np.hypot(x, back - 24) - 11) - 2.4
        wings = np.maximum(np.abs(back - 24 - 0.25 * np.abs(x)) - 3.6, np.abs(x) - 32)
        spine = np.maximum(np.abs(x) - 2.6, np.abs(back - 43) - 12)
        if phase < 0.7:
            _mix(hu, self._cover(np.minimum(np.minimum(arch, wings), spine)), 380 + 40 * middle)
        _mix(hu, self._cover(np.hypot(x, back - 24) - 8.5), np.float32(25))

    def _lung(
        self, depth: FloatArray, z: float, coarse: FloatArray, middle: FloatArray, fine: FloatArray
    ) -> FloatArray:
        a, x, y = self._anatomy, self._x, self._y
        lung = a.lung_hu + self._gravity * y / a.cage_b + 9 * coarse + 8 * middle + 12 * fine
        # Tissue that lies on the back collapses a little: a haze along the dependent pleura.
        haze = np.clip(1 - depth / 7, 0, 1) * np.clip((y / a.cage_b - 0.45) * 3, 0, 1)
        lung += self._haze * haze * np.clip(0.6 + 0.7 * coarse, 0, 1.5)
        middle_z = a.lung_base + 0.5 * a.lung_height
        for side, (offset, tilt) in zip((-1, 1), self._fissures, strict=False):
            plane = (z - middle_z) * 0.62 - y * (0.78 + 0.08 * tilt) + 12 * offset + 4 * coarse
            line = np.clip(1 - np.abs(plane) / (0.8 + 0.5 * self._edge), 0, 1) * (side * x > 0)
            lung += 90 * line
        flat = np.abs(z - middle_z - 10 * self._fissures[2, 0] - 3 * coarse + 0.12 * y)
        lung += 70 * np.clip(1 - flat / 2.0, 0, 1) * ((x < 0) & (y < 0.1 * a.cage_b))
        result: FloatArray = lung
        return result


def _mix(hu: FloatArray, cover: FloatArray, value: FloatArray | np.float32) -> None:
    """Blend ``value`` into ``hu`` where it covers a voxel."""
    hu += cover * (value - hu)
