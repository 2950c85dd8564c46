"""Whichever way a scan is stored, the networks see it alike and the answers are the patient's."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from handmade import FloatArray, bright, found, recording, runner, scan_of, write_handmade
from lunart import _core
from lunart.phantom import Phantom, generate
from lunart.result import Result
from scipy.spatial.transform import Rotation

WAYS = list(
    itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
)
OBLIQUE = Rotation.from_euler("zyx", [17, -11, 8], degrees=True).as_matrix()


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """No two sizes and no two spacings alike, so that a confused axis shows."""
    return generate(3, shape_irc=(20, 46, 58), spacing_xyz_mm=(5.5, 6.5, 11.0), nodule_count=6)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade(tmp_path_factory.mktemp("orientation") / "b", erosion=0)


@pytest.fixture(scope="module")
def stored_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "b"
    return write_handmade(folder, erosion=0, orientation="stored")


def _by_place(batch: FloatArray) -> list[FloatArray]:
    """A probability that depends on every voxel of the crop and on which way up it is."""
    ramp = np.linspace(0.1, 1, batch[0].size, dtype=np.float64).reshape(batch.shape[1:])
    score = (batch.astype(np.float64) * ramp).mean(axis=(1, 2, 3, 4))
    positive = (1 / (1 + np.exp(-(score + 350) / 100))).astype(np.float32)
    both = np.stack([1 - positive, positive], axis=1)
    return [both, both]


def _turned(
    hu: np.ndarray,
    way: tuple[tuple[int, ...], tuple[int, ...]],
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    direction: np.ndarray,
) -> tuple[np.ndarray, _core.Scan]:
    """The same patient stored with other axes: array axis a is the old axis ``order[a]``."""
    order, signs = way
    array = np.ascontiguousarray(hu.transpose(order)[tuple(slice(None, None, s) for s in signs)])
    old_axis = [2 - order[2 - image] for image in range(3)]  # of new x, y, z
    sign = [signs[2 - image] for image in range(3)]
    new_spacing = tuple(spacing[a] for a in old_axis)
    new_direction = np.stack([direction[:, a] * s for a, s in zip(old_axis, sign, strict=True)], 1)
    corner = [0.0, 0.0, 0.0]
    for image, a in enumerate(old_axis):
        if sign[image] < 0:
            corner[a] = (hu.shape[2 - a] - 1) * spacing[a]
    new_origin = tuple(np.array(origin) + direction @ np.array(corner))
    return array, scan_of(array, new_spacing, new_origin, tuple(new_direction.ravel()))


def _back(array: np.ndarray, way: tuple[tuple[int, ...], tuple[int, ...]]) -> np.ndarray:
    order, signs = way
    flipped = array[tuple(slice(None, None, s) for s in signs)]
    return flipped.transpose(np.argsort(order))


def _networks() -> dict:
    return {"segmentation": bright(-200.0), "classification": _by_place}


def _xyz(result: Result) -> np.ndarray:
    assert result.candidates
    return np.array([c.center_xyz_mm for c in result.candidates])


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_turned_scan_has_the_same_nodules_in_the_patient(
    way: tuple[tuple[int, ...], tuple[int, ...]],
    direction: np.ndarray,
    phantom: Phantom,
    bundle: Path,
) -> None:
    core = runner(bundle, _networks(), region="lungs")
    identity = WAYS[0]
    spacing, origin = phantom.spacing_mm, phantom.origin_mm
    _, straight = _turned(phantom.hu, identity, spacing, origin, direction)
    array, scan = _turned(phantom.hu, way, spacing, origin, direction)
    expected, got = found(core, straight), found(core, scan)
    assert got.candidate_count > 3
    assert got.nodules
    assert got.scan.shape_irc == array.shape
    np.testing.assert_allclose(_xyz(got), _xyz(expected), rtol=0, atol=1e-6)
    for mine, theirs in zip(got.candidates, expected.candidates, strict=True):
        assert mine.probability == theirs.probability
        assert (mine.label, mine.voxels) == (theirs.label, theirs.voxels)
        assert mine.volume_mm3 == pytest.approx(theirs.volume_mm3, rel=1e-12)
        place = scan.geometry.to_xyz(mine.center_irc)
        assert place == pytest.approx(mine.center_xyz_mm, abs=1e-9)
    np.testing.assert_array_equal(_back(got.mask, way), expected.mask)
    np.testing.assert_array_equal(_back(got.threshold_mask, way), expected.threshold_mask)
    np.testing.assert_array_equal(_back(got.region, way), expected.region)
    np.testing.assert_array_equal(_core.oriented(scan).hu, phantom.hu)


def test_the_centre_indexes_the_array_as_it_was_given(bundle: Path) -> None:
    hu = np.full((10, 12, 14), -1000, np.int16)
    hu[2:5, 7:10, 3:6] = 100
    flipped = tuple(np.diag([-1.0, -1.0, 1.0]).ravel())
    (nodule,) = found(runner(bundle), scan_of(hu, (1, 2, 3), (5, 6, 7), flipped)).nodules
    assert nodule.center_irc == pytest.approx((3, 8, 4))
    assert nodule.center_xyz_mm == pytest.approx((5 - 4 * 1, 6 - 8 * 2, 7 + 3 * 3))


@pytest.mark.parametrize("way", WAYS[::5], ids=str)
def test_stored_shows_the_networks_the_array_as_it_is(
    way: tuple[tuple[int, ...], tuple[int, ...]], phantom: Phantom, stored_bundle: Path
) -> None:
    calls: list[FloatArray] = []
    array, scan = _turned(phantom.hu, way, phantom.spacing_mm, phantom.origin_mm, np.eye(3))
    networks = {**_networks(), "segmentation": recording(bright(-200.0), calls)}
    result = found(runner(stored_bundle, networks), scan)
    rows, cols = array.shape[1:]
    seen = np.stack([call[0, 3, :rows, :cols] for call in calls])
    np.testing.assert_array_equal(seen, array.clip(-1000, 1000))
    # In raster order of the array itself.
    first = [tuple(np.argwhere(result.mask == c.label)[0]) for c in result.candidates or ()]
    assert first == sorted(first)


def test_lps_turns_what_stored_leaves(phantom: Phantom, bundle: Path, stored_bundle: Path) -> None:
    flipped = ((0, 1, 2), (1, -1, -1))
    _, scan = _turned(phantom.hu, flipped, phantom.spacing_mm, phantom.origin_mm, np.eye(3))
    lps = found(runner(bundle, _networks()), scan)
    stored = found(runner(stored_bundle, _networks()), scan)
    assert [c.probability for c in lps.candidates or ()] != [
        c.probability for c in stored.candidates or ()
    ]
