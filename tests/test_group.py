"""Grouping: against SciPy on masks of every kind, and sizes that come back grown."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from handmade import scan_of
from lunart import _core
from lunart.errors import UsageError

SHAPE = (9, 14, 17)


def _hu(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Values far outside the window too, where the weights must be clamped."""
    return np.random.default_rng(seed).integers(-3000, 4000, shape).astype(np.int16)


def _masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    one = np.zeros(SHAPE, bool)
    one[4, 5, 6] = True
    plates = np.zeros(SHAPE, bool)
    plates[4] = plates[:, 3] = True
    plates[:, :, 9:11] = True
    corners = np.zeros(SHAPE, bool)
    corners[:4, :4, :4] = corners[-4:, -4:, -4:] = True
    diagonal = np.zeros(SHAPE, bool)
    diagonal[:3, :3, :3] = diagonal[3:6, 3:6, 3:6] = True
    snake = np.zeros(SHAPE, bool)
    snake[4, ::2] = True
    snake[4, 1::4, -1] = snake[4, 3::4, 0] = True
    random = {f"random-{p}": rng.random(SHAPE) < p for p in (0.05, 0.3, 0.6, 0.9, 0.98)}
    smooth = rng.random((30, 40, 50))
    for axis in range(3):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, 2, axis)) / 3
    return {
        "empty": np.zeros(SHAPE, bool),
        "full": np.ones(SHAPE, bool),
        "one-voxel": one,
        "plates": plates,
        "corners": corners,
        "diagonal": diagonal,
        "snake": snake,
        "one-slice": np.ones((1, 5, 7), bool),
        "one-row": rng.random((1, 1, 40)) < 0.5,
        "one-column": rng.random((40, 1, 1)) < 0.5,
        "smooth": smooth > 0.52,
        **random,
    }


@pytest.mark.parametrize("shape", [(9, 14, 16), (9, 14), (14, 9, 17)])
def test_a_mask_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    scan = scan_of(_hu(SHAPE))
    with pytest.raises(UsageError, match="shape"):
        _core.group(scan, np.ones(shape, np.uint8), 1, 0.0)


@pytest.mark.parametrize("erosion", [0, 1, 2])
@pytest.mark.parametrize("name", sorted(_masks()))
@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_components_are_those_of_scipy(name: str, erosion: int, kind: str) -> None:
    mask = _masks()[name]
    hu = _hu(mask.shape).astype(kind)
    components, grown = _core.group(scan_of(hu), mask.astype(np.uint8), erosion, 0.0)
    expected = oracles.blobs(mask, hu, erosion)
    assert [c["label"] for c in components] == list(range(1, len(expected) + 1))
    assert [c["voxels"] for c in components] == [blob.voxels for blob in expected]
    if expected:
        centers = np.array([c["center_irc"] for c in components])
        np.testing.assert_allclose(centers, [blob.center_irc for blob in expected], atol=1e-9)
    _check_grown(grown, mask, erosion)


def _check_grown(grown: np.ndarray, mask: np.ndarray, erosion: int) -> None:
    """Grown breadth first: a voxel has the label of a neighbour that is one step nearer a seed."""
    core = oracles.eroded(mask, erosion)
    steps = oracles.steps_from(core, mask)
    np.testing.assert_array_equal(grown[core], oracles.labelled(core)[core])
    np.testing.assert_array_equal(grown != 0, steps >= 0)
    padded = np.pad(grown, 1)
    padded_steps = np.pad(steps, 1, constant_values=-1)
    allowed = np.zeros(mask.shape, bool)
    middle = (slice(1, -1),) * 3
    for axis in range(3):
        for shift in (-1, 1):
            label = np.roll(padded, shift, axis)[middle]
            nearer = np.roll(padded_steps, shift, axis)[middle] == steps - 1
            allowed |= nearer & (label == grown)
    assert allowed[steps > 0].all()


@pytest.mark.parametrize("thickness", [1, 2])
def test_erosion_deletes_a_plate_that_no_erosion_keeps(thickness: int) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[3 : 3 + thickness] = 1
    scan = scan_of(_hu(SHAPE))
    assert _core.group(scan, mask, 1, 0.0)[0] == []
    assert len(_core.group(scan, mask, 0, 0.0)[0]) == 1


def test_a_centre_of_clamped_air_is_still_a_number() -> None:
    hu = np.full(SHAPE, -3000, np.int16)
    (component,), _ = _core.group(scan_of(hu), np.ones(SHAPE, np.uint8), 0, 0.0)
    assert component["center_irc"] == pytest.approx((4.0, 6.5, 8.0))


def _sphere(
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    center_mm: tuple[float, ...],
    diameter: float,
) -> np.ndarray:
    """``spacing`` and ``center_mm`` in (index, row, col) order."""
    axes = [np.arange(n) * s - c for n, s, c in zip(shape, spacing, center_mm, strict=True)]
    i, r, c = np.meshgrid(*axes, indexing="ij", sparse=True)
    return i**2 + r**2 + c**2 <= (diameter / 2) ** 2


def _diameter(volume_mm3: float) -> float:
    return float((6 * volume_mm3 / math.pi) ** (1 / 3))


# Off the voxel centres within the plane; between slices a sphere of 6 mm on slices of 2.5 mm would
# cover two of them, which erosion deletes (see the test of plates).
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.3, 0.2)])
@pytest.mark.parametrize("diameter", [6, 7, 8, 10, 13, 16, 20])
@pytest.mark.parametrize("slice_mm", [1.0, 2.5])
def test_a_sphere_comes_back_within_ten_percent(
    diameter: float, slice_mm: float, offset: tuple[float, float]
) -> None:
    shape = (int(26 / slice_mm) | 1, 37, 37)
    spacing = (slice_mm, 0.7, 0.7)
    center = (shape[0] // 2 * slice_mm, 18 * 0.7 + offset[0], 18 * 0.7 + offset[1])
    mask = _sphere(shape, spacing, center, diameter)
    scan = scan_of(np.zeros(shape, np.int16), spacing[::-1])
    (component,), grown = _core.group(scan, mask.astype(np.uint8), 1, 0.0)
    assert _diameter(component["volume_mm3"]) == pytest.approx(diameter, rel=0.1)
    np.testing.assert_array_equal(grown == 1, mask)


@pytest.mark.parametrize("diameter", [8, 10, 13, 16, 20])
def test_a_sphere_between_slices_comes_back_too(diameter: float) -> None:
    shape, spacing = (13, 37, 37), (2.5, 0.7, 0.7)
    mask = _sphere(shape, spacing, (6 * 2.5 + 1.25, 12.6, 12.6), diameter)
    scan = scan_of(np.zeros(shape, np.int16), spacing[::-1])
    (component,), _ = _core.group(scan, mask.astype(np.uint8), 1, 0.0)
    assert _diameter(component["volume_mm3"]) == pytest.approx(diameter, rel=0.1)


def test_spheres_joined_by_a_bridge_never_share_voxels() -> None:
    shape, spacing = (21, 30, 60), (1.0, 1.0, 1.0)
    left = _sphere(shape, spacing, (10, 15, 15), 14)
    right = _sphere(shape, spacing, (10, 15, 42), 10)
    mask = left | right
    mask[10, 15, 15:42] = True
    scan = scan_of(np.zeros(shape, np.int16), spacing)
    components, grown = _core.group(scan, mask.astype(np.uint8), 1, 0.0)
    assert len(components) == 2
    assert (grown[left] == 1).all()
    assert (grown[right] == 2).all()
    np.testing.assert_array_equal(grown != 0, mask)
    assert [c["volume_mm3"] for c in components] == [np.sum(grown == 1), np.sum(grown == 2)]
    # Two lumps that touch are parted where both are equally far.
    bridge = grown[10, 15, 22:37]
    assert set(bridge) == {1, 2}
    assert abs(int(np.sum(bridge == 1)) - int(np.sum(bridge == 2))) <= 1


def test_small_components_are_dropped_by_their_grown_volume_and_numbered_anew() -> None:
    shape, spacing = (9, 30, 30), (2.0, 0.5, 0.5)  # x, y, z below: 0.5, 0.5, 2
    mask = np.zeros(shape, np.uint8)
    mask[1:4, 1:4, 1:4] = 1  # 27 voxels, 13.5 mm3, one voxel when eroded
    mask[4:8, 10:15, 10:15] = 1  # 100 voxels, 50 mm3
    scan = scan_of(np.zeros(shape, np.int16), spacing[::-1])
    both, _ = _core.group(scan, mask, 1, 13.5)
    assert [c["volume_mm3"] for c in both] == [13.5, 50.0]
    kept, grown = _core.group(scan, mask, 1, 13.6)
    assert [(c["label"], c["volume_mm3"]) for c in kept] == [(1, 50.0)]
    assert (grown[1:4, 1:4, 1:4] == 0).all()
    assert (grown[4:8, 10:15, 10:15] == 1).all()
    assert _core.group(scan, mask, 1, 50.1)[0] == []
