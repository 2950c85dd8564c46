"""Which voxels are nodule: votes, contours and annotations."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from luna_folder import IDENTITY, TILTED, box_scan
from lunart import _core
from lunart.data import lidc, masks
from lunart.data.contours import Contour, drawn
from lunart.data.ct import Ct
from lunart.data.luna16 import Luna16
from lunart.data.tables import Annotation
from lunart.errors import DataError
from lunart.phantom import generate

SHAPE = (12, 40, 50)
GEOMETRY = _core.Geometry(shape_irc=SHAPE, spacing_mm=(1, 1, 2), origin_mm=(-20, -10, 5))


def ct_of(hu: np.ndarray, direction: tuple[float, ...] = IDENTITY) -> Ct:
    geometry = _core.Geometry(
        shape_irc=hu.shape, spacing_mm=(1, 1, 2), origin_mm=(-20, -10, 5), direction=direction
    )
    return Ct("1.2", _core.oriented(_core.scan_from_array(hu.astype(np.int16), geometry, "", "")))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def square(low: int, high: int, z_mm: float, inside: bool = True) -> Contour:
    """Pixel by pixel round ``low`` to ``high``, as readers' outlines go."""
    side = range(low, high)
    points = (
        [(x, low) for x in side] + [(high, y) for y in side]
        + [(x, high) for x in range(high, low, -1)] + [(low, y) for y in range(high, low, -1)]
    )  # fmt: skip
    return Contour(tuple((float(x), float(y)) for x, y in points), z_mm, inside)


def test_an_outline_is_not_part_of_what_it_encloses():
    for contour in (square(10, 20, 9), Contour(square(10, 20, 9).points_xy[::-1], 9)):
        mask = drawn(GEOMETRY, [contour])
        expected = np.zeros(SHAPE, bool)
        expected[2, 11:20, 11:20] = True
        np.testing.assert_array_equal(mask, expected)


def test_what_is_cut_out_is_no_nodule_in_whatever_order():
    hole, whole = square(13, 16, 9, inside=False), square(10, 20, 9)
    for contours in ([hole, whole], [whole, hole]):
        mask = drawn(GEOMETRY, contours)
        assert not mask[2, 14:16, 14:16].any()
        assert mask.sum() == 81 - 4


def test_contours_beyond_the_scan_are_cut_and_slices_beyond_it_left_out():
    mask = drawn(GEOMETRY, [square(-10, 15, 5), square(10, 20, 5 + 2 * 12), square(10, 20, -100)])
    assert mask[0, :15, :15].all()
    assert mask[0].sum() == 15 * 15
    assert not mask[1:].any()


@pytest.mark.parametrize(
    "points", [(), ((3.0, 3.0),), ((3.0, 3.0), (9.0, 9.0)), ((99.0, 99.0),) * 4]
)
def test_an_outline_without_an_inside_marks_nothing(points: tuple[tuple[float, float], ...]):
    assert not drawn(GEOMETRY, [Contour(points, 9)]).any()


def test_a_voxel_needs_two_readers():
    readers = [[square(10, 20, 9)], [square(15, 25, 9)], [square(30, 34, 9)]]
    stored = _core.scan_from_array(np.zeros(SHAPE, np.int16), GEOMETRY, "", "")
    mask = masks.from_contours(stored, readers)
    expected = np.zeros(SHAPE, bool)
    expected[2, 16:20, 16:20] = True
    np.testing.assert_array_equal(mask, expected)


def test_contours_turn_with_the_scan():
    geometry = _core.Geometry(shape_irc=SHAPE, spacing_mm=(1, 1, 2), direction=TILTED)
    hu = np.zeros(SHAPE, np.int16)
    hu[2, 11:20, 11:16] = 500
    stored = _core.scan_from_array(hu, geometry, "", "")
    corners = ((10.5, 10.5), (15.5, 10.5), (15.5, 19.5), (10.5, 19.5))
    mask = masks.from_contours(stored, [[Contour(corners, 4.0)]] * 2)
    np.testing.assert_array_equal(mask, _core.oriented(stored).hu == 500)
    assert not np.array_equal(mask, hu == 500)


def test_votes_of_another_scan_are_refused(tmp_path: Path):
    ct = Ct.read(box_scan(tmp_path, "1.2"))
    for name, shape, spacing, origin in (
        ("a", (40, 60, 71), (0.7, 0.8, 2.0), (-100, -50, 30)),
        ("b", (40, 60, 70), (0.7, 0.8, 2.1), (-100, -50, 30)),
        ("c", (40, 60, 70), (0.7, 0.8, 2.0), (-100, -50, 32)),
    ):
        path = tmp_path / f"{name}.mhd"
        _core.write_metaimage(path, np.zeros(shape, np.uint8), spacing, origin, IDENTITY)
        with pytest.raises(DataError, match="are not those of the scan"):
            masks.from_votes(ct, path)


def test_a_nodule_on_a_wall_leaves_the_wall():
    hu = np.full((30, 60, 60), -850)
    hu[:, :, :20] = 40
    place = np.indices(hu.shape) - np.array([15, 30, 25]).reshape(3, 1, 1, 1)
    ball = np.sqrt((place[0] * 2) ** 2 + place[1] ** 2 + place[2] ** 2) <= 6
    hu[ball] = 20
    ct = ct_of(hu)
    mask = masks.from_annotations(ct, [Annotation("1.2", ct.to_xyz((15, 30, 25)), 12)]) > 0
    assert dice(mask, ball) > 0.85
    assert mask[:, :, :18].sum() == 0


def test_a_faint_nodule_is_its_sphere():
    ct = ct_of(np.full((30, 60, 60), -820))
    mask = masks.from_annotations(ct, [Annotation("1.2", ct.to_xyz((15, 30, 30)), 10)])
    assert mask.sum() * 2 == pytest.approx(np.pi / 6 * 10**3, rel=0.08)


def test_what_lies_outside_the_scan_marks_nothing():
    ct = ct_of(np.zeros(SHAPE))
    for irc in ((-50, 5, 5), (5, 500, 5), (5, 5, 1e6)):
        assert not masks.from_annotations(ct, [Annotation("1.2", ct.to_xyz(irc), 6)]).any()
    edge = masks.from_annotations(ct, [Annotation("1.2", ct.to_xyz((0, 0, 0)), 6)])
    assert edge[0, 0, 0]


@pytest.mark.parametrize("direction", [IDENTITY, TILTED])
def test_annotations_find_the_nodules_of_phantoms(direction: tuple[float, ...]):
    phantom = generate(5, shape_irc=(48, 176, 176), nodule_count=5, direction=direction)
    geometry = _core.Geometry(
        shape_irc=phantom.hu.shape,
        spacing_mm=phantom.spacing_mm,
        origin_mm=phantom.origin_mm,
        direction=phantom.direction,
    )
    ct = Ct("1.2", _core.oriented(_core.scan_from_array(phantom.hu, geometry, "", "")))
    truth = _core.oriented(_core.scan_from_array(phantom.labels.astype(np.int16), geometry, "", ""))
    rows = [Annotation("1.2", n.center_xyz_mm, n.diameter_mm) for n in phantom.nodules]
    assert len(rows) >= 3
    assert dice(masks.from_annotations(ct, rows) > 0, truth.hu > 0) > 0.75


def test_contours_of_pylidc_are_the_votes(shared_data: Path):
    """The votes count the outlines too, pylidc and we do not: with them the two are equal."""
    if find_spec("pylidc") is None:
        pytest.skip("pylidc is not installed")
    luna = Luna16.open(shared_data / "luna16")
    compared = 0
    for uid, path in luna.series.items():
        votes_path = luna.votes(uid)
        assert votes_path is not None
        geometry = _core.read_scan(path).geometry
        votes = np.zeros(geometry.shape_irc, np.int16)
        for contours in lidc.contours(uid):
            one = drawn(geometry, contours)
            for contour in contours:
                index = round(geometry.to_irc((*geometry.origin_mm[:2], contour.z_mm))[0])
                if contour.inside and 0 <= index < len(one):
                    x, y = np.array(contour.points_xy, int).T
                    one[index, y, x] = 1
            votes += one
        np.testing.assert_array_equal(votes, _core.read_scan(votes_path).hu)
        compared += int((votes > 0).sum())
    assert compared > 10_000


def test_annotations_come_near_to_what_readers_drew(shared_data: Path):
    luna = Luna16.open(shared_data / "luna16")
    for uid in (uid for uid in luna.series if uid.endswith(("0603192", "3003264"))):
        votes_path = luna.votes(uid)
        assert votes_path is not None
        ct = Ct.read(luna.series[uid])
        rows = [row for row in luna.annotations if row.series_uid == uid]
        found = masks.from_annotations(ct, rows) > 0
        assert dice(found, masks.from_votes(ct, votes_path) > 0) > 0.85
