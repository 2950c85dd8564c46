"""Pictures of findings as a radiologist sees them: three planes of the patient, and an overview.

Planes are the patient's (axial from the feet, coronal from the front, sagittal with the front at
the left), whatever way the scan is stored: the patient's right is at the picture's left. A plane
passes through the voxel nearest to the finding's centre, so that with a straight scan it shows the
scan's own voxels and not a mixture of two slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lunart import _core
from lunart.report import drawing
from lunart.report.drawing import Picture, Rgb
from lunart.report.sampling import Floats, Grid, Placed, coarse, sample
from lunart.report.voxels import Box, Outlined, box_of

LUNG_WINDOW_HU = (-1350.0, 150.0)
PlaneName = Literal["axial", "coronal", "sagittal"]
#: The patient's direction to the picture's right and down (LPS), and the letters of its edges.
_PLANES: dict[PlaneName, tuple[tuple[int, int, int], tuple[int, int, int], str]] = {
    "axial": ((1, 0, 0), (0, 1, 0), "RLAP"),
    "coronal": ((1, 0, 0), (0, 0, -1), "RLHF"),
    "sagittal": ((0, 1, 0), (0, 0, -1), "APHF"),
}
PLANE_NAMES: tuple[PlaneName, ...] = ("axial", "coronal", "sagittal")
_LEAST_VIEW_MM = 50.0
_MOST_VIEW_MM = 400.0
_OVERVIEW_PIXELS = 640
# A slab of a few slices would have no room for its letters.
_LEAST_OVERVIEW_PIXELS = 160


@dataclass(frozen=True)
class Plane:
    """One picture of a finding.

    ``rgb`` is (h, w, 3); ``center_xyz_mm`` (LPS) is at pixel ((w - 1) / 2, (h - 1) / 2), the middle
    of the picture; ``sides`` are the letters at its left, right, top and bottom.
    """

    name: PlaneName
    rgb: Picture
    mm_per_pixel: float
    center_xyz_mm: tuple[float, float, float]
    sides: str

    @property
    def view_mm(self) -> float:
        """Width and height of what is shown."""
        return float(self.rgb.shape[1] * self.mm_per_pixel)


@dataclass(frozen=True)
class Overview:
    """The chest from the front, with a marker for each finding.

    ``places_px`` are the findings' (x, y) in the picture, in their order.
    """

    rgb: Picture
    mm_per_pixel: float
    places_px: tuple[tuple[float, float], ...]


def planes(
    scan: _core.Scan,
    finding: Outlined,
    *,
    pixels: int = 480,
    outlined: bool = True,
    view_mm: float | None = None,
) -> tuple[Plane, ...]:
    """Axial, coronal and sagittal pictures of a finding, ``pixels`` wide and high.

    ``view_mm`` None: wide enough for the finding and what is around it. Raises ``DataError`` when
    the finding's voxels are none of the scan.
    """
    box = box_of(finding, scan.shape_irc)
    placed = Placed.of(scan.geometry)
    center = placed.origin + placed.axes @ _shown_voxel(box, finding, placed)
    view = view_mm or _view_of(box, placed)
    outlines = [(box, drawing.FOUND)] if outlined else []
    return tuple(plane(scan, name, center, view, pixels, outlines) for name in PLANE_NAMES)


def plane(
    scan: _core.Scan,
    name: PlaneName,
    center_xyz_mm: Floats,
    view_mm: float,
    pixels: int,
    outlines: Sequence[tuple[Box, Rgb]] = (),
) -> Plane:
    """One plane through a place, ``view_mm`` wide, with the outlines of boxes of voxels."""
    right, down, sides = _PLANES[name]
    step = view_mm / pixels
    steps = np.stack([np.zeros(3), np.array(down) * step, np.array(right) * step], axis=1)
    middle = (pixels - 1) / 2
    corner = np.asarray(center_xyz_mm) - steps @ (0, middle, middle)
    grid = Grid(corner, steps, (1, pixels, pixels))
    placed = Placed.of(scan.geometry)
    picture = drawing.grey(sample(scan.hu, placed, grid, outside=np.nan)[0], LUNG_WINDOW_HU)
    for box, color in outlines:
        around = np.pad(box.inside, 1)
        first = placed.origin + placed.axes @ (np.array(box.first) - 1)
        field = sample(around, Placed(first, placed.axes), grid, outside=0)[0]
        drawing.draw_lines(picture, drawing.outline(field), color, max(1.5, pixels / 260))
    drawing.draw_sides(picture, *sides)
    drawing.draw_scale_bar(picture, step)
    x, y, z = map(float, center_xyz_mm)
    return Plane(name, picture, step, (x, y, z), sides)


def overview(scan: _core.Scan, findings: Sequence[Outlined]) -> Overview:
    """The scan seen from the front, as an X-ray would, with numbered markers (1 is the first)."""
    small, placed = coarse(scan)
    return overview_of(small, placed, scan.geometry, findings)


def overview_of(
    small: _core.Scan, placed: Placed, geometry: _core.Geometry, findings: Sequence[Outlined]
) -> Overview:
    """The same from a scan that is already on the patient's grid (``sampling.coarse``)."""
    from PIL import Image

    density = np.zeros((small.shape_irc[0], small.shape_irc[2]), np.float32)
    for row in range(small.shape_irc[1]):
        density += np.clip(small.hu[:, row, :], -1000, 1000) + np.float32(1000)
    density = np.flipud(density)  # the head at the top
    x_mm, _, z_mm = small.spacing_mm
    wide, high = density.shape[1] * x_mm, density.shape[0] * z_mm
    # Round here and there, but one scale for both directions.
    step = max(wide, high) / _OVERVIEW_PIXELS
    size = (max(1, round(wide / step)), max(1, round(high / step)))
    body = density[density > np.float32(0.02) * density.max()] if density.max() > 0 else density
    low, top = np.percentile(body, (2, 99.5))
    level = np.clip((density - low) / max(float(top - low), 1e-6), 0, 1)
    levels = Image.fromarray(np.rint(level * 255).astype(np.uint8))
    drawn = np.asarray(levels.resize(size, Image.Resampling.BICUBIC))
    picture, (above, before) = _roomy(np.repeat(drawn[..., None], 3, axis=2))
    left = placed.origin[0] - x_mm / 2
    head = placed.origin[2] + (small.shape_irc[0] - 0.5) * z_mm
    places = []
    for finding in findings:
        x, _, z = geometry.to_xyz(finding.center_irc)
        across, down = (x - left) / step - 0.5 + before, (head - z) / step - 0.5 + above
        places.append((float(across), float(down)))
    _mark(picture, places)
    drawing.draw_sides(picture, *"RLHF")
    drawing.draw_scale_bar(picture, step)
    return Overview(picture, step, tuple(places))


def _roomy(picture: Picture) -> tuple[Picture, tuple[int, int]]:
    """The picture with nothing around it where it is small, and how much above and at the left."""
    more = [max(0, _LEAST_OVERVIEW_PIXELS - side) for side in picture.shape[:2]]
    if not any(more):
        return picture, (0, 0)
    above, before = more[0] // 2, more[1] // 2
    high, wide = picture.shape[:2]
    whole = np.full((high + more[0], wide + more[1], 3), drawing.NOTHING, np.uint8)
    whole[above : above + high, before : before + wide] = picture
    return whole, (above, before)


def _mark(picture: Picture, places: Sequence[tuple[float, float]]) -> None:
    radius = 9.0
    circles = [drawing.circle(x, y, radius) for x, y in places]
    drawing.draw_lines(picture, circles, (0, 0, 0), 4)
    drawing.draw_lines(picture, circles, drawing.FOUND, 2)
    width = picture.shape[1]
    for number, (x, y) in enumerate(places, start=1):
        beside, anchor = (radius + 4, "lm") if x < width - 40 else (-radius - 4, "rm")
        drawing.write(
            picture, str(number), (x + beside, y), anchor=anchor, size=22, color=drawing.FOUND
        )


def _shown_voxel(box: Box, finding: Outlined, placed: Placed) -> Floats:
    """The finding's voxel that is nearest to its centre."""
    voxels = np.argwhere(box.inside) + box.first
    away = (voxels - np.array(finding.center_irc)) @ placed.axes.T
    nearest: Floats = voxels[np.argmin((away**2).sum(axis=1))].astype(np.float64)
    return nearest


def _view_of(box: Box, placed: Placed) -> float:
    """Twice the finding's length along each of the patient's axes, between set limits."""
    extent = float((np.abs(placed.axes) @ np.array(box.inside.shape)).max())
    return float(min(max(_LEAST_VIEW_MM, 10 * np.ceil(extent * 0.2)), _MOST_VIEW_MM))
