"""Crops: where they begin, what fills them, which candidates are rated, and in what order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracles
import pytest
from handmade import FloatArray, bright, certain, found, recording, runner, scan_of, write_handmade
from lunart import _core
from lunart.errors import BundleError, EngineError, UsageError

CROP = (32, 48, 48)
BRIGHT = 900


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade(tmp_path_factory.mktemp("classify") / "b", erosion=0)


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rated") / "b"
    return write_handmade(folder, erosion=0, malignancy=True)


def _dots(shape: tuple[int, int, int], places: list[tuple[int, int, int]]) -> np.ndarray:
    """Noise, in which every place is a candidate of one voxel."""
    hu = np.random.default_rng(4).integers(-3024, BRIGHT, shape).astype(np.int16)
    for place in places:
        hu[place] = 3000
    return hu


def _positive(values: np.ndarray) -> list[FloatArray]:
    both = np.stack([1 - values, values], axis=1).astype(np.float32)
    return [both, both]


# --- networks that do not fit --------------------------------------------------------------------


@pytest.mark.parametrize(
    "outputs",
    [
        lambda batch: [],
        lambda batch: [np.zeros((len(batch), 2), np.float32)],
        lambda batch: [np.zeros((len(batch), 2), np.float32), np.zeros(len(batch), np.float32)],
        lambda batch: [np.zeros((1, 2), np.float32)] * 2,
        lambda batch: _positive(np.full(len(batch), np.nan)),
        lambda batch: _positive(np.full(len(batch), np.inf)),
    ],
    ids=["none", "one", "one-class", "batch", "nan", "inf"],
)
def test_outputs_that_do_not_fit_are_an_engine_error(outputs: object, bundle: Path) -> None:
    hu = _dots((4, 60, 60), [(1, 5, 5), (1, 9, 9)])
    networks = {"segmentation": bright(BRIGHT), "classification": outputs}
    with pytest.raises(EngineError, match="3-D network"):
        found(runner(bundle, networks), scan_of(hu))


def test_without_candidates_no_network_is_asked(rated: Path) -> None:
    calls: list[FloatArray] = []
    networks = {
        "segmentation": bright(5000),
        "classification": recording(certain(), calls),
        "malignancy": recording(certain(), calls),
    }
    result = found(runner(rated, networks), scan_of(_dots((4, 20, 20), [])))
    assert (result.nodules, result.candidates, calls) == ((), (), [])


# --- crops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("border", ["shift", "pad"])
@pytest.mark.parametrize("kind", ["int16", "float32"])
@pytest.mark.parametrize(
    "shape",
    [(40, 60, 70), (32, 48, 48), (31, 47, 49), (1, 60, 60), (5, 9, 120), (3, 3, 3), (1, 1, 1)],
)
def test_crops_are_those_of_the_oracle(
    shape: tuple[int, int, int], kind: str, border: str, tmp_path: Path
) -> None:
    bundle = write_handmade(tmp_path / "b", erosion=0, crop_border=border)
    oracle = {"shift": oracles.crop, "pad": oracles.padded_crop}[border]
    corners = [(i, r, c) for i in (0, -1) for r in (0, -1) for c in (0, -1)]
    middle = tuple(n // 2 for n in shape)
    places = [tuple(v % n for v, n in zip(p, shape, strict=True)) for p in [*corners, middle]]
    hu = _dots(shape, places).astype(kind)
    calls: list[FloatArray] = []
    networks = {
        "segmentation": bright(BRIGHT),
        "classification": recording(certain(), calls),
    }
    result = found(runner(bundle, networks), scan_of(hu))
    crops = np.concatenate(calls)
    assert crops.shape == (result.candidate_count, 1, *CROP)
    for crop, candidate in zip(crops, result.candidates or (), strict=True):
        np.testing.assert_array_equal(crop[0], oracle(hu, candidate.center_irc, CROP))


@pytest.mark.parametrize("kind", ["int16", "float32"])
@pytest.mark.parametrize(
    "spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 2.5), (0.5, 0.8, 5.0), (3, 2, 0.4)]
)
@pytest.mark.parametrize("shape", [(40, 60, 70), (9, 50, 30), (1, 60, 60), (3, 3, 3), (1, 1, 1)])
def test_crops_of_their_own_spacing_are_those_of_the_oracle(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], kind: str, tmp_path: Path
) -> None:
    size = (16, 24, 31)
    bundle = write_handmade(
        tmp_path / "b", erosion=0, crop_border="pad", crop_spacing_mm=1.25, crop_irc=list(size)
    )
    corners = [(i, r, c) for i in (0, -1) for r in (0, -1) for c in (0, -1)]
    middle = tuple(n // 2 for n in shape)
    places = [tuple(v % n for v, n in zip(p, shape, strict=True)) for p in [*corners, middle]]
    hu = _dots(shape, places).astype(kind)
    if shape[2] > 40:
        hu[0, 20:22, 30:31] = 3000  # a centre between two voxels
    calls: list[FloatArray] = []
    networks = {"segmentation": bright(BRIGHT), "classification": recording(certain(), calls)}
    result = found(runner(bundle, networks), scan_of(hu, spacing))
    crops = np.concatenate(calls)
    assert crops.shape == (result.candidate_count, 1, *size)
    for crop, candidate in zip(crops, result.candidates or (), strict=True):
        asked = oracles.spaced_crop(hu, candidate.center_irc, size, spacing[::-1], 1.25)
        np.testing.assert_allclose(crop[0], asked, atol=2e-3)


def test_crops_of_their_own_spacing_hold_as_much_of_thick_slices_as_of_thin(tmp_path: Path) -> None:
    bundle = write_handmade(
        tmp_path / "b", erosion=0, crop_border="pad", crop_spacing_mm=1.0, crop_irc=[8, 16, 16]
    )
    seen = []
    for thick in (1.0, 2.0, 4.0):
        hu = np.full((round(40 / thick), 40, 40), -800, np.int16)
        hu[round(12 / thick) : round(28 / thick), 15:26, 15:26] = 1000
        calls: list[FloatArray] = []
        networks = {"segmentation": bright(BRIGHT), "classification": recording(certain(), calls)}
        found(runner(bundle, networks), scan_of(hu, (1.0, 1.0, thick)))
        seen.append(calls[0][0, 0])
    for crop in seen:
        np.testing.assert_allclose(crop, seen[0], atol=1e-3)


def test_voxels_of_the_scans_own_spacing_are_the_scans() -> None:
    hu = _dots((20, 30, 40), [])
    scan = scan_of(hu, (0.7, 0.7, 0.7))
    for centre in ((0, 0, 0), (9, 15, 20), (19, 29, 39)):
        crop = _core.crop(scan, centre, (9, 15, 17), True, 0.7)
        np.testing.assert_array_equal(crop, oracles.padded_crop(hu, centre, (9, 15, 17)))


@pytest.mark.parametrize(
    ("centre", "spacing", "said"),
    [
        ((1, 1, 1), 0.0, "spacing of 0"),
        ((1, 1, 1), -1.0, "spacing of -1"),
        ((1, 1, 1), np.inf, "spacing of inf"),
        ((1, 1, 1), np.nan, "spacing of nan"),
        ((np.nan, 1, 1), 1.0, "around nan"),
        ((1, np.inf, 1), None, "around inf"),
    ],
)
def test_a_crop_that_is_nowhere_is_refused(
    centre: tuple[float, float, float], spacing: float | None, said: str
) -> None:
    scan = scan_of(np.zeros((3, 3, 3), np.int16))
    with pytest.raises(UsageError, match=said):
        _core.crop(scan, centre, (3, 3, 3), True, spacing)


def test_a_spacing_of_crops_wants_their_centre_in_the_middle(tmp_path: Path) -> None:
    bundle = write_handmade(tmp_path / "b", crop_spacing_mm=1.0)
    with pytest.raises(BundleError, match='crop_border is "shift" and crop_spacing_mm is not null'):
        runner(bundle, {"segmentation": bright(BRIGHT), "classification": certain()})


def test_an_unknown_border_is_refused_with_its_name(tmp_path: Path) -> None:
    bundle = write_handmade(tmp_path / "b", crop_border="mirror")
    with pytest.raises(BundleError, match='crop_border is "mirror"; expected shift or pad'):
        runner(bundle, {"segmentation": bright(BRIGHT), "classification": certain()})


def test_a_centre_between_two_voxels_is_rounded_to_the_even_one(bundle: Path) -> None:
    hu = _dots((50, 80, 80), [])
    for row, col in ((40, 40), (41, 43)):
        hu[24:26, row : row + 2, col : col + 2] = 3000  # centres x.5 on every axis
    hu[24:26, 40:42, 40:45] = -1000
    hu[20:22, 31:33, 26:28] = 3000
    hu[27:29, 50:52, 51:53] = 3000
    calls: list[FloatArray] = []
    networks = {
        "segmentation": bright(BRIGHT),
        "classification": recording(certain(), calls),
    }
    result = found(runner(bundle, networks), scan_of(hu))
    halves = [c for c in result.candidates or () if all(v % 1 == 0.5 for v in c.center_irc)]
    assert {v % 2 for c in halves for v in c.center_irc} == {0.5, 1.5}
    for crop, candidate in zip(np.concatenate(calls), result.candidates or (), strict=True):
        np.testing.assert_array_equal(crop[0], oracles.crop(hu, candidate.center_irc, CROP))


@pytest.mark.parametrize("size", [[5, 7, 9], [1, 1, 1], [64, 16, 16]])
def test_the_crop_size_is_the_manifests(size: list[int], tmp_path: Path) -> None:
    bundle = write_handmade(tmp_path / "b", erosion=0, crop_irc=size)
    hu = _dots((20, 30, 40), [(0, 0, 0), (10, 15, 20), (19, 29, 39)])
    calls: list[FloatArray] = []
    networks = {"segmentation": bright(BRIGHT), "classification": recording(certain(), calls)}
    result = found(runner(bundle, networks), scan_of(hu))
    for crop, candidate in zip(np.concatenate(calls), result.candidates or (), strict=True):
        np.testing.assert_array_equal(crop[0], oracles.crop(hu, candidate.center_irc, size))


# --- which are nodules, and their order ----------------------------------------------------------


def _by_candidate(values: list[float]) -> object:
    """Gives the candidates these probabilities, in the order in which they come."""
    left = iter(values)

    def run(batch: FloatArray) -> list[FloatArray]:
        return _positive(np.array([next(left) for _ in batch]))

    return run


PLACES = [(1, 4, 4 * k + 2) for k in range(20)]


def test_nodules_come_by_falling_probability_and_ties_in_raster_order(rated: Path) -> None:
    hu = _dots((3, 10, 90), PLACES)
    values = [0.5, 0.75, 0.25, 1.0, 0.75, 0.500001, *[0.0] * 13, 0.75]
    rated_crops: list[FloatArray] = []
    networks = {
        "segmentation": bright(BRIGHT),
        "classification": _by_candidate(values),
        "malignancy": recording(_by_candidate([0.1, 0.2, 0.3, 0.4, 0.5]), rated_crops),
    }
    result = found(runner(rated, networks), scan_of(hu))
    assert result.candidate_count == 20
    candidates = result.candidates or ()
    assert [c.label for c in candidates] == list(range(1, 21))
    np.testing.assert_allclose([c.probability for c in candidates], values, atol=1e-7)
    # 0.5 itself is not above the threshold of 0.5.
    assert [n.label for n in result.nodules] == [4, 2, 5, 20, 6]
    malignancy = {n.label: n.malignancy for n in result.nodules}
    expected = {2: 0.1, 4: 0.2, 5: 0.3, 6: 0.4, 20: 0.5}
    assert malignancy == pytest.approx(expected)
    assert all(c.malignancy is None for c in candidates if c.label not in malignancy)
    crops = np.concatenate(rated_crops)
    for crop, label in zip(crops, sorted(malignancy), strict=True):
        center = candidates[label - 1].center_irc
        np.testing.assert_array_equal(crop[0], oracles.crop(hu, center, CROP))
    assert set(np.unique(result.mask)) == {0, *range(1, 21)}


@pytest.mark.parametrize(("threshold", "nodules"), [(0.0, 19), (0.25, 14), (0.99, 0), (1.0, 0)])
def test_the_callers_threshold_replaces_the_bundles(
    threshold: float, nodules: int, bundle: Path
) -> None:
    values = [k * 0.05 for k in range(20)]
    networks = {"segmentation": bright(BRIGHT), "classification": _by_candidate(values)}
    core = runner(bundle, networks, threshold=threshold)
    result = found(core, scan_of(_dots((3, 10, 90), PLACES)))
    assert result.threshold == threshold
    assert len(result.nodules) == nodules


def test_without_a_malignancy_network_nothing_is_rated(bundle: Path) -> None:
    result = found(
        runner(bundle, {"segmentation": bright(BRIGHT)}), scan_of(_dots((3, 10, 90), PLACES))
    )
    assert len(result.nodules) == 20
    assert all(nodule.malignancy is None for nodule in result.nodules)


def test_candidates_come_in_batches(bundle: Path) -> None:
    calls: list[FloatArray] = []
    networks = {"segmentation": bright(BRIGHT), "classification": recording(certain(), calls)}
    found(runner(bundle, networks), scan_of(_dots((3, 10, 90), PLACES)))
    assert [len(call) for call in calls] == [8, 8, 4]
