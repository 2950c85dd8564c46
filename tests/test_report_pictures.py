"""Pictures show a finding where it lies in the patient, whichever way the scan is stored."""

from __future__ import annotations

import io

import numpy as np
import pytest
from lunart import _core
from lunart.errors import DataError
from lunart.report import drawing
from lunart.report.pictures import Plane, overview, planes
from lunart.report.sampling import Placed
from PIL import Image
from planted import LUNG_HU, OBLIQUE, STRAIGHT, Found, scan_of_balls

BALL = (34.0, -26.0, 104.0)
RADIUS = 8.0
#: Beside the ball, to the patient's left, the back and the head.
SATELLITE = (BALL[0] + 12, BALL[1] + 9, BALL[2] + 11)
RIGHT_DOWN = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}
PIXELS = 300


def pixel_of(plane: Plane, xyz: tuple[float, float, float]) -> tuple[int, int]:
    """Column and row of a place's projection, computed here from the definition."""
    right, down = np.array(RIGHT_DOWN[plane.name])
    away = np.array(xyz) - plane.center_xyz_mm
    middle = (PIXELS - 1) / 2
    return (
        round(middle + away @ right / plane.mm_per_pixel),
        round(middle + away @ down / plane.mm_per_pixel),
    )


def colored(rgb: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Pixels that are near a colour."""
    return (np.abs(rgb.astype(int) - color) < 60).all(axis=-1)


@pytest.mark.parametrize("direction", [*STRAIGHT, *OBLIQUE], ids=str)
def test_a_ball_shows_where_it_lies_and_the_outline_surrounds_it(direction):
    scan, (ball,) = scan_of_balls(direction, [(BALL, RADIUS)])
    for plane in planes(scan, ball, pixels=PIXELS):
        assert np.linalg.norm(np.array(plane.center_xyz_mm) - BALL) < 1.3  # half a voxel
        x, y = pixel_of(plane, BALL)
        line = colored(plane.rgb, drawing.FOUND)
        rows, cols = np.nonzero(line)
        away = np.hypot(rows - y, cols - x) * plane.mm_per_pixel
        assert away.min() > RADIUS - 2.2, plane.name
        assert away.max() < RADIUS + 2.2, plane.name
        angle = np.degrees(np.arctan2(rows - y, cols - x))
        assert np.histogram(angle, 36, (-180, 180))[0].all(), "the outline has a gap"


@pytest.mark.parametrize("direction", [*STRAIGHT, *OBLIQUE], ids=str)
def test_left_is_at_the_right_back_at_the_bottom_head_at_the_top(direction):
    beside = {"axial": (14, 7, 0), "coronal": (14, 0, 7), "sagittal": (0, 14, 7)}
    balls = [(BALL, 3.0), *((tuple(np.add(BALL, away)), 3.0) for away in beside.values())]
    scan, (ball, *_) = scan_of_balls(direction, balls)
    for plane in planes(scan, ball, pixels=PIXELS):
        x, y = pixel_of(plane, tuple(np.add(BALL, beside[plane.name])))
        assert plane.rgb[y, x].min() > 230, plane.name
        for mirrored in ((PIXELS - 1 - x, y), (x, PIXELS - 1 - y), (y, x)):
            assert plane.rgb[mirrored[1], mirrored[0]].max() < 120, plane.name


def test_a_straight_scan_shows_its_own_voxels():
    scan, (ball,) = scan_of_balls(np.eye(3), [(BALL, RADIUS)])
    rng = np.random.default_rng(1)
    noisy = _core.scan_from_array(
        (scan.hu + rng.integers(-300, 300, scan.shape_irc)).astype(np.int16), scan.geometry, "", ""
    )
    plane = planes(noisy, ball, pixels=PIXELS, outlined=False)[0]
    index, row, col = np.rint(Placed.of(scan.geometry).to_irc(np.array(plane.center_xyz_mm)))
    middle = (PIXELS - 1) / 2
    for step in (-9, -4, 3, 8):
        x = round(middle + step * 0.9 / plane.mm_per_pixel)
        y = round(middle)
        hu = noisy.hu[int(index), int(row), int(col) + step]
        grey = np.clip((float(hu) + 1350) / 1500, 0, 1) * 255
        assert abs(float(plane.rgb[y, x, 0]) - grey) < 25


@pytest.mark.parametrize("pixels", [200, 480, 777])
@pytest.mark.parametrize("view_mm", [None, 33.0, 180.0])
def test_the_scale_bar_is_as_long_as_it_says(pixels, view_mm):
    scan, (ball,) = scan_of_balls(OBLIQUE[0], [(BALL, 5)])
    for plane in planes(scan, ball, pixels=pixels, view_mm=view_mm, outlined=False):
        margin = max(6, pixels // 32)
        row = plane.rgb[pixels - margin - 2, : round(pixels * 0.45)]  # beside the letter
        white = np.flatnonzero((row == 255).all(axis=-1))
        said = drawing.bar_mm(plane.view_mm)
        assert abs(len(white) - said / plane.mm_per_pixel) <= 0.5 + 1e-6
        assert len(white) == white[-1] - white[0] + 1
        assert white[0] == margin


def test_a_big_finding_fits_into_its_picture():
    scan, (ball,) = scan_of_balls(np.eye(3), [((30, -20, 110), 38)], spacing_mm=(1, 1, 2.5))
    for plane in planes(scan, ball, pixels=PIXELS):
        assert plane.view_mm >= 1.9 * 76


def test_what_lies_outside_the_scan_is_no_grey():
    scan, (ball,) = scan_of_balls(np.eye(3), [((30, -20, 110), 1)], shape_irc=(1, 60, 60))
    axial, coronal, sagittal = planes(scan, ball, pixels=PIXELS)
    assert colored(coronal.rgb, drawing.NOTHING).mean() > 0.8
    assert colored(sagittal.rgb, drawing.NOTHING).mean() > 0.8
    # The slice is as thick as its spacing says.
    thick = (~colored(coronal.rgb, drawing.NOTHING))[:, PIXELS // 4].sum() * coronal.mm_per_pixel
    assert thick == pytest.approx(2.0, abs=0.4)
    assert colored(axial.rgb, drawing.NOTHING).mean() < 0.35


def test_one_voxel_is_outlined():
    scan, _ = scan_of_balls(OBLIQUE[2], [])
    inside = np.zeros(scan.shape_irc, np.bool_)
    inside[0, 0, 99] = True  # at the very corner
    for plane in planes(scan, Found((0.0, 0.0, 99.0), inside), pixels=PIXELS):
        assert colored(plane.rgb, drawing.FOUND).any()


def test_float_scans_look_as_integer_ones():
    whole, (ball,) = scan_of_balls(OBLIQUE[0], [(BALL, RADIUS)])
    float_ = _core.scan_from_array(whole.hu + np.float32(0.25), whole.geometry, "", "")
    assert float_.hu.dtype == np.float32
    for one, other in zip(planes(whole, ball), planes(float_, ball), strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1


def test_a_crooked_finding_is_shown_where_it_is():
    """The centre of a ring is not in it: a plane through the centre could miss all of it."""
    scan, _ = scan_of_balls(np.eye(3), [])
    inside = np.zeros(scan.shape_irc, np.bool_)
    inside[10:30, 60, 50] = inside[10, 60:80, 50] = inside[29, 60:80, 50] = True
    for plane in planes(scan, Found((19.5, 70.0, 50.0), inside), pixels=PIXELS):
        assert colored(plane.rgb, drawing.FOUND).any(), plane.name


def test_voxels_beyond_the_scan_are_refused():
    scan, (ball,) = scan_of_balls(np.eye(3), [(BALL, 3)])
    smaller, _ = scan_of_balls(np.eye(3), [], shape_irc=(4, 20, 20))
    with pytest.raises(DataError, match="mask_runs"):
        planes(smaller, ball)
    assert scan.shape_irc != smaller.shape_irc


@pytest.mark.parametrize("direction", [STRAIGHT[0], STRAIGHT[29], *OBLIQUE], ids=str)
def test_the_overview_marks_each_finding_where_the_chest_shows_it(direction):
    scan, found = scan_of_balls(direction, [(BALL, RADIUS), (SATELLITE, 3)])
    seen = overview(scan, found)
    high, wide = seen.rgb.shape[:2]
    corners = np.array(
        [
            scan.geometry.to_xyz(np.array(corner) * scan.shape_irc - 0.5)
            for corner in np.ndindex(2, 2, 2)
        ]
    )
    left, head = corners[:, 0].min(), corners[:, 2].max()
    for (x, y), place in zip(seen.places_px, (BALL, SATELLITE), strict=True):
        assert x == pytest.approx((place[0] - left) / seen.mm_per_pixel - 0.5, abs=1)
        assert y == pytest.approx((head - place[2]) / seen.mm_per_pixel - 0.5, abs=1)
        ring = drawing.circle(x, y, 9)
        hits = [colored(seen.rgb[round(b) : round(b) + 1, round(a)], drawing.FOUND).any()
                for a, b in ring if 0 <= round(a) < wide and 0 <= round(b) < high]  # fmt: skip
        assert np.mean(hits) > 0.6
    plain = overview(scan, []).rgb[..., 0].astype(float)
    x, y = seen.places_px[0]
    assert (
        plain[round(y), round(x)] > plain[round(y) + round(20 / seen.mm_per_pixel), round(x)] + 40
    )


def test_the_overview_of_a_thin_slab_has_room_for_its_letters():
    air = np.full((6, 100, 100), LUNG_HU, np.int16)
    straight = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    geometry = _core.Geometry(
        shape_irc=air.shape, spacing_mm=(1, 1, 2.5), origin_mm=(0, 0, 0), direction=straight
    )
    slab = _core.scan_from_array(air, geometry, "1.2.3", "")
    seen = overview(slab, [])
    assert min(seen.rgb.shape[:2]) >= 160
    black = (seen.rgb == drawing.NOTHING).all(axis=-1)
    assert 0.2 < 1 - black.mean() < 0.65


def test_a_scan_is_said_to_be_oblique_when_it_is():
    for direction in STRAIGHT:
        placed = Placed.of(scan_of_balls(direction, [])[0].geometry)
        assert not placed.is_oblique()
    for direction in OBLIQUE:
        placed = Placed.of(scan_of_balls(direction, [])[0].geometry)
        assert placed.is_oblique()
    assert Placed.of(scan_of_balls(OBLIQUE[0], [])[0].geometry).tilt_degrees() == pytest.approx(20)


def test_pictures_are_png_files():
    scan, (ball,) = scan_of_balls(np.eye(3), [(BALL, 3)])
    plane = planes(scan, ball, pixels=64)[0]
    with Image.open(io.BytesIO(drawing.png(plane.rgb))) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), plane.rgb)


def test_an_empty_scan_has_an_overview():
    scan, _ = scan_of_balls(np.eye(3), [])
    assert scan.hu.max() == LUNG_HU
    assert overview(scan, []).rgb.size
