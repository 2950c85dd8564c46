"""From a seed to a scan: choose the grid, draw the patient, add the nodules, then the scanner."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lunart.errors import UsageError
from lunart.phantom import nodules as nodule_parts
from lunart.phantom import vessels
from lunart.phantom.anatomy import THORAX_FOV_MM, Anatomy
from lunart.phantom.texture import blur
from lunart.phantom.tissue import TissuePainter
from lunart.phantom.types import FloatArray, Grid, Phantom, PhantomNodule

DEFAULT_SHAPE_IRC = (96, 352, 352)
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
# A generator that draws differently must not reuse series UIDs: raise this with the drawing.
_VERSION = 1


def generate(
    seed: int,
    *,
    shape_irc: Sequence[int] = DEFAULT_SHAPE_IRC,
    spacing_xyz_mm: Sequence[float] | None = None,
    nodule_count: int | None = None,
    direction: Sequence[float] | None = None,
) -> Phantom:
    """Generate one chest CT.

    ``spacing_xyz_mm`` None chooses voxels so that a whole thorax (352 x 352 x 240 mm) fits
    whatever the shape is, give or take 4 % by seed: about 1.0 x 1.0 x 2.5 mm for the default shape,
    coarse voxels for a tiny one. A given spacing is kept; a field of view that is smaller than a
    thorax then shows a slightly smaller patient, and below about 280 x 230 x 185 mm a cut-out.
    ``nodule_count`` None draws 3 to 8; where there is no room there are fewer. Nodules smaller than
    the voxels are never made. ``direction`` (nine numbers, a rotation) turns scan and patient
    together, as a tilted scanner would: the array stays the same.

    Raises :class:`lunart.errors.UsageError` for an argument that makes no sense.
    """
    shape, given = _checked(seed, shape_irc, spacing_xyz_mm, nodule_count)
    turn = _checked_direction(_IDENTITY if direction is None else direction)
    root = np.random.Generator(np.random.PCG64(seed))
    layout, tissue, tubing_rng, nodule_rng, scanner = root.spawn(5)
    # Drawn even when it is not used: the patient must not depend on how the grid was chosen.
    fitting = _thorax_spacing(layout, shape)
    grid = Grid(shape, given or fitting)
    anatomy = Anatomy.sample(layout, grid)
    hu = _draw_tissue(tissue, grid, anatomy)
    tubing = vessels.plan(tubing_rng, anatomy)
    tubing.draw(hu, grid, anatomy.blood_hu)
    count = int(nodule_rng.integers(3, 9)) if nodule_count is None else nodule_count
    sites = nodule_parts.place(nodule_rng, grid, anatomy, tubing, count)
    labels = np.zeros(shape, np.uint8)
    for number, site in enumerate(sites, start=1):
        box, own = nodule_parts.paint(nodule_rng, hu, grid, anatomy, site)
        labels[box][own] = number
    scanned = _scan(scanner, hu, grid)
    corner = np.round(layout.uniform((-190, -200, -320), (-160, -160, -120)), 3)
    origin = (float(corner[0]), float(corner[1]), float(corner[2]))
    made = tuple(_describe(grid, turn, origin, site) for site in sites)
    return Phantom(
        series_uid=_series_uid(seed, grid, nodule_count, turn),
        seed=seed,
        hu=scanned,
        labels=labels,
        spacing_mm=grid.spacing_xyz,
        origin_mm=origin,
        direction=turn,
        nodules=made,
    )


def _checked(
    seed: int,
    shape_irc: Sequence[int],
    spacing_xyz_mm: Sequence[float] | None,
    nodule_count: int | None,
) -> tuple[tuple[int, int, int], tuple[float, float, float] | None]:
    if seed < 0:
        raise UsageError(f"seed must be zero or more, got {seed}")
    if len(shape_irc) != 3 or not all(8 <= n <= 2048 for n in shape_irc):
        raise UsageError(
            f"shape must be three sizes (index row col) from 8 to 2048, got {tuple(shape_irc)}"
        )
    if nodule_count is not None and not 0 <= nodule_count <= 255:
        raise UsageError(f"the number of nodules must be 0 to 255, got {nodule_count}")
    i, r, c = (int(n) for n in shape_irc)
    if spacing_xyz_mm is None:
        return (i, r, c), None
    if len(spacing_xyz_mm) != 3 or not all(0.1 <= s <= 20 for s in spacing_xyz_mm):
        raise UsageError(
            f"spacing must be three lengths (x y z) from 0.1 to 20 mm, got {tuple(spacing_xyz_mm)}"
        )
    x, y, z = (float(s) for s in spacing_xyz_mm)
    return (i, r, c), (x, y, z)


def _checked_direction(direction: Sequence[float]) -> tuple[float, ...]:
    turn = tuple(float(v) for v in direction)
    matrix = np.array(turn)
    if len(turn) == 9 and np.isfinite(matrix).all():
        matrix = matrix.reshape(3, 3)
        if np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-5) and np.linalg.det(matrix) > 0:
            return turn
    raise UsageError(f"direction must be the nine numbers of a rotation matrix, got {turn}")


def _thorax_spacing(
    rng: np.random.Generator, shape_irc: tuple[int, int, int]
) -> tuple[float, float, float]:
    i, r, c = shape_irc
    fov_x, fov_y, fov_z = THORAX_FOV_MM
    plane = max(fov_x / c, 0.8 * fov_y / r) * rng.uniform(0.96, 1.04)
    height = fov_z / i * rng.uniform(0.96, 1.04)
    return round(plane, 6), round(plane, 6), round(height, 6)


def _draw_tissue(rng: np.random.Generator, grid: Grid, anatomy: Anatomy) -> FloatArray:
    painter = TissuePainter(rng, grid, anatomy)
    hu = np.empty(grid.shape_irc, np.float32)
    for index, z in enumerate(grid.axis(0)):
        hu[index] = painter.paint(index, float(z))
    return hu


def _scan(rng: np.random.Generator, hu: FloatArray, grid: Grid) -> NDArray[np.int16]:
    """What the scanner does to the patient: slice profile, kernel, correlated noise, rounding."""
    plane = grid.spacing_xyz[0]
    kernel_mm = rng.uniform(0.45, 0.75)
    hu = blur(hu, float(rng.uniform(0.28, 0.42)), 0)
    sharpness = rng.uniform(0.45, 0.8)
    level = rng.uniform(9, 26)
    # Most quanta are lost in the middle of the body.
    y, x = np.meshgrid(grid.axis(1), grid.axis(2), indexing="ij")
    depth = np.exp(-((x / 140) ** 2) - (y / 110) ** 2)
    amplitude = (level * (0.45 + 0.75 * depth)).astype(np.float32)
    result = np.empty(hu.shape, np.int16)
    for index, piece in enumerate(hu):
        image = blur(blur(piece, kernel_mm / plane, 0), kernel_mm / plane, 1)
        noise = rng.standard_normal(piece.shape, dtype=np.float32)
        noise = blur(blur(noise, sharpness, 0), sharpness, 1)
        noise *= 1 / np.float32(noise.std())
        result[index] = np.rint(np.clip(image + amplitude * noise, -1024, 3071))
    return result


def _describe(
    grid: Grid, turn: tuple[float, ...], origin: tuple[float, ...], site: nodule_parts.Site
) -> PhantomNodule:
    i, r, c = (float(v) for v in grid.irc(site.center))
    step = np.array([c, r, i]) * grid.spacing_xyz
    x, y, z = (float(v) for v in np.array(turn).reshape(3, 3) @ step + origin)
    return PhantomNodule((x, y, z), (i, r, c), site.diameter, site.kind)


def _series_uid(seed: int, grid: Grid, count: int | None, turn: tuple[float, ...]) -> str:
    """A UID of the arc for UUIDs (DICOM PS3.5 B.2): equal arguments, equal name."""
    key = json.dumps([_VERSION, seed, grid.shape_irc, grid.spacing_xyz, count, turn])
    return f"2.25.{int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], 'big')}"
