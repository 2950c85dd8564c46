"""What the three networks learn from: crops, patches, their order, and that all of it repeats."""

from __future__ import annotations

import logging
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import permutations, product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from luna_folder import ANNOTATIONS, CANDIDATES, IDENTITY, TILTED, box_scan, write_table
from lunart import _core
from lunart.data import balance, blocks
from lunart.data.cache import Cache, NoCache
from lunart.data.crops import CropSettings
from lunart.data.ct import Ct
from lunart.data.luna16 import Luna16
from lunart.data.malignancy import malignant
from lunart.data.segmentation import SegmentationSettings
from lunart.data.sets import MalignancySettings
from lunart.data.sources import classification_source, malignancy_source, segmentation_source
from lunart.data.split import Split
from lunart.data.tables import Malignancy
from lunart.errors import DataError, ScanError
from lunart.training.source import Samples
from scipy.spatial.transform import Rotation

CROP, MARGIN = (32, 48, 48), (4, 12, 12)
SEG = SegmentationSettings(negatives_per_scan=6)
CLS = CropSettings(negatives_per_scan=6)


def split_of(root: Path) -> Split:
    *train, last = Luna16.open(root).series
    return Split(train=tuple(train), validation=(last,))


def same(a: Samples, b: Samples, count: int = 8) -> bool:
    if len(a) != len(b):
        return False
    return all(
        np.array_equal(a[k][name], b[k][name]) for k in range(min(count, len(a))) for name in a[k]
    )


@dataclass(frozen=True)
class Classified:
    """A folder of boxes with candidates: nodules of 1.1 and 1.2 in training, 1.3 validates."""

    root: Path
    split: Split


@pytest.fixture
def boxes(tmp_path: Path) -> Classified:
    annotated, proposed, rated = [], [], []
    for n, uid in enumerate(("1.1", "1.2", "1.3")):
        ct = Ct.read(box_scan(tmp_path, uid, seed=n, direction=TILTED if n else IDENTITY))
        x, y, z = ct.to_xyz((20, 30, 40))
        annotated.append((uid, x, y, z, 6))
        proposed.append((uid, x + 1, y, z, 1))
        proposed.append((uid, x + 1, y, z + 1, 0))  # contradicts the annotation
        proposed += [(uid, *ct.to_xyz((5 + k, 50, 10 + 3 * k)), 0) for k in range(10)]
        for k, ratings in enumerate(("[5, 4]", "[1, 2]", "[3, 3]", "[]")):
            place = ct.to_xyz((10, 20 + 5 * k, 30))
            rated.append((uid, *place, 6, f'"{ratings}"'))
    write_table(tmp_path / "annotations.csv", ANNOTATIONS, annotated)
    write_table(tmp_path / "candidates.csv", CANDIDATES, proposed)
    write_table(
        tmp_path / "annotations_with_malignancy.csv", f"{ANNOTATIONS},malignant_details", rated
    )
    return Classified(tmp_path, Split(train=("1.1", "1.2"), validation=("1.3",)))


@pytest.mark.parametrize("direction", [IDENTITY, TILTED])
@pytest.mark.parametrize("shape", [(40, 60, 70), (9, 60, 31), (33, 49, 47)])
def test_the_middle_of_a_block_is_what_the_pipeline_cuts(tmp_path: Path, direction, shape):
    ct = Ct.read(box_scan(tmp_path, "1.2", shape=shape, direction=direction))
    rng = np.random.default_rng(1)
    for _ in range(25):
        center = tuple(float(c) for c in rng.uniform(-0.5, np.array(ct.shape_irc) - 0.5))
        block = blocks.around(ct, center, CROP, MARGIN)
        assert block.shape == (40, 72, 72)
        np.testing.assert_array_equal(blocks.middle(block, CROP), ct.crop(center, CROP))


def test_the_margin_of_a_block_goes_on_as_the_scan_does(tmp_path: Path):
    ct = Ct.read(box_scan(tmp_path, "1.2"))
    block = blocks.around(ct, (0, 30, 35), CROP, MARGIN)
    hu = np.clip(ct.scan.hu, -1000, 1000)
    np.testing.assert_array_equal(block[:4], np.broadcast_to(block[4], (4, 72, 72)))
    np.testing.assert_array_equal(block[4:, 6:66, 1:71], hu[:36])


@pytest.mark.parametrize("direction", [IDENTITY, TILTED])
def test_places_come_back_through_a_direction_that_is_not_symmetric(tmp_path: Path, direction):
    stored = _core.read_scan(path := box_scan(tmp_path, "1.2", direction=direction))
    ct = Ct.read(path)
    rng = np.random.default_rng(2)
    for _ in range(50):
        irc = tuple(rng.integers(0, ct.shape_irc).tolist())
        np.testing.assert_allclose(ct.to_irc(ct.to_xyz(irc)), irc, rtol=0, atol=1e-9)
        # The same millimetres are the same voxel in the scan as stored.
        place = tuple(round(v) for v in stored.geometry.to_irc(ct.to_xyz(irc)))
        assert ct.scan.hu[irc] == stored.hu[place]
    assert ct.contains((0, 0, 0))
    assert not ct.contains((-0.6, 0, 0))
    assert not ct.contains((0, 0, ct.shape_irc[2] - 0.5))


ALL_ORIENTATIONS = [
    [sign * (axis == row) for row in range(3) for axis, sign in zip(axes, signs, strict=True)]
    for axes in permutations(range(3))
    for signs in product((1.0, -1.0), repeat=3)
]


@pytest.mark.parametrize("oblique", [False, True])
def test_a_candidate_comes_back_from_every_orientation(oblique: bool):
    """Millimetres to the voxel and back, whichever of the 48 ways a scan is stored in."""
    tilt = Rotation.from_euler("xyz", (7, -11, 5), degrees=True).as_matrix()
    assert len({tuple(direction) for direction in ALL_ORIENTATIONS}) == 48
    for direction in ALL_ORIENTATIONS:
        matrix = (
            np.reshape(direction, (3, 3)) if not oblique else tilt @ np.reshape(direction, (3, 3))
        )
        geometry = _core.Geometry(
            shape_irc=(5, 6, 7), spacing_mm=(0.7, 0.8, 2.5), origin_mm=(-30, 12, 7),
            direction=matrix.ravel().tolist(),
        )  # fmt: skip
        numbered = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
        ct = Ct("1.2", _core.oriented(_core.scan_from_array(numbered, geometry, "1.2", "")))
        for irc in ((0, 0, 0), (4, 5, 6), (1, 4, 2), (3, 0, 5)):
            # A table's millimetres, by the definition of MetaImage and not by our code.
            step = np.array([irc[2] * 0.7, irc[1] * 0.8, irc[0] * 2.5])
            xyz = tuple((np.array([-30, 12, 7]) + matrix @ step).tolist())
            place = ct.to_irc(xyz)
            np.testing.assert_allclose(place, np.rint(place), atol=1e-6)
            i, r, c = (round(v) for v in place)
            assert ct.scan.hu[i, r, c] == numbered[irc]
            assert ct.crop(place, (1, 1, 1))[0, 0, 0] == numbered[irc]
            np.testing.assert_allclose(ct.to_xyz(place), xyz, atol=1e-6)
        # The patient's left, back and head are where columns, rows and slices go to.
        steps = [np.subtract(ct.to_xyz(end), ct.to_xyz((0, 0, 0))) for end in np.eye(3)[::-1]]
        assert [int(np.abs(step).argmax()) for step in steps] == [0, 1, 2]
        assert all(step[axis] > 0 for axis, step in enumerate(steps))


def test_epochs_alternate_at_the_ratio_and_use_everything():
    labels = np.array([True] * 3 + [False] * 20)
    order = balance.alternating(np.random.default_rng(1), labels, 2, 10_000)
    assert labels[order].reshape(-1, 3).tolist() == [[True, False, False]] * 10
    counts = np.bincount(order, minlength=23)
    assert counts[3:].tolist() == [1] * 20
    assert counts[:3].max() - counts[:3].min() <= 1
    assert len(balance.alternating(np.random.default_rng(1), labels, 2, 9)) == 9
    assert sorted(balance.shuffled(np.random.default_rng(1), labels, 99)) == list(range(23))


def test_classification_alternates_in_training_and_validates_everything(boxes: Classified):
    source = classification_source(boxes.root, boxes.split, seed=1, settings=CLS, store=NoCache())
    epoch, validation = source.epoch(0), source.validation()
    assert [int(epoch[k]["label"]) for k in range(len(epoch))] == [1, 0] * 12
    # One nodule once, and every candidate but the one in it.
    assert sorted(int(validation[k]["label"]) for k in range(len(validation))) == [0] * 10 + [1]
    sample = epoch[0]
    assert (sample["hu"].shape, sample["hu"].dtype) == ((1, *CROP), np.float32)
    assert (sample["label"].shape, sample["label"].dtype) == ((), np.int64)
    ct = Ct.read(boxes.root / "subset0" / "1.3.mhd")
    np.testing.assert_array_equal(validation[0]["hu"][0], ct.crop((20, 30, 40), CROP))


def test_without_balance_each_sample_comes_once(boxes: Classified):
    settings = CropSettings(negatives_per_scan=6, negatives_per_positive=None)
    source = classification_source(
        boxes.root, boxes.split, seed=1, settings=settings, store=NoCache()
    )
    epoch = source.epoch(0)
    assert sum(int(epoch[k]["label"]) for k in range(len(epoch))) == 4
    assert len(epoch) == 16


@pytest.mark.parametrize("ratio", [None, 1, 3])
def test_validation_is_never_balanced(boxes: Classified, ratio: int | None):
    cls = replace(CLS, negatives_per_positive=ratio, epoch_samples=3)
    seg = replace(SEG, negatives_per_positive=ratio, epoch_samples=3)
    for factory, settings, plain in (
        (classification_source, cls, CLS),
        (segmentation_source, seg, SEG),
        (malignancy_source, MalignancySettings(crops=cls), MalignancySettings()),
    ):
        made, expected = (
            factory(boxes.root, boxes.split, seed=1, settings=s, store=NoCache()).validation()
            for s in (settings, plain)
        )
        assert len(made) == len(expected) > 1
        assert same(made, expected, len(expected))


def test_several_workers_load_what_one_does(boxes: Classified, tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    for factory, settings in ((classification_source, CLS), (segmentation_source, SEG)):
        source = factory(boxes.root, boxes.split, seed=1, settings=settings, store=cache)
        for samples in (source.epoch(2), source.validation()):
            indices = list(range(0, len(samples), 3))
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                loaded = list(pool.map(samples.__getitem__, indices))
            for index, sample in zip(indices, loaded, strict=True):
                for name, array in samples[index].items():
                    np.testing.assert_array_equal(sample[name], array)


def test_what_is_not_moved_is_kept_without_a_margin(boxes: Classified, tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    source = classification_source(boxes.root, boxes.split, seed=1, settings=CLS, store=cache)
    grown = []
    for samples in (source.validation(), source.epoch(0)):
        before = cache.size_bytes()
        _ = samples[0]
        grown.append(cache.size_bytes() - before)
    assert 0 < grown[0] < grown[1] / 2


def test_workers_are_not_sent_scans_and_masks(phantoms: Path, tmp_path: Path):
    source = segmentation_source(
        phantoms, split_of(phantoms), seed=1, settings=SEG, store=Cache(tmp_path)
    )
    validation = source.validation()
    _ = validation[0]
    assert len(pickle.dumps(validation)) < 50_000  # a mask has 400,000 voxels


def test_a_training_starts_without_reading_scans_again(phantoms: Path, tmp_path: Path, monkeypatch):
    split, store = split_of(phantoms), Cache(tmp_path)
    kinds = ((segmentation_source, SEG), (classification_source, CLS))
    first = [f(phantoms, split, seed=1, settings=s, store=store).fingerprint for f, s in kinds]
    monkeypatch.setattr(_core, "read_scan", lambda path: pytest.fail(f"{path} is read again"))
    again = [f(phantoms, split, seed=1, settings=s, store=store).fingerprint for f, s in kinds]
    assert first == again


def test_malignancy_leaves_out_what_readers_did_not_lean_to(boxes: Classified):
    source = malignancy_source(
        boxes.root, boxes.split, seed=1, settings=MalignancySettings(), store=NoCache()
    )
    validation = source.validation()
    assert [int(validation[k]["label"]) for k in range(len(validation))] == [1, 0]


@pytest.mark.parametrize(
    ("ratings", "median", "mean"),
    [
        ((5, 4, 1), True, None),
        ((4, 3), None, None),
        ((3, 3, 3), None, None),
        ((1, 1, 5), False, None),
        ((2, 2), False, False),
        ((4, 4, 4, 4), True, True),
        ((), None, None),
    ],
)
def test_ratings_become_a_label(ratings: tuple[int, ...], median: bool, mean: bool):
    row = Malignancy("1.2", (0, 0, 0), 5, ratings)
    assert malignant(row, "median") is median
    assert malignant(row, "mean") is mean


@pytest.mark.parametrize(
    ("factory", "settings"), [(segmentation_source, SEG), (classification_source, CLS)]
)
def test_samples_are_a_function_of_seed_epoch_and_index(
    phantoms: Path, tmp_path: Path, factory, settings, caplog
):
    split, cache = split_of(phantoms), Cache(tmp_path / "cache")
    first = factory(phantoms, split, seed=1, settings=settings, store=cache)
    again = factory(phantoms, split, seed=1, settings=settings, store=cache)
    without = factory(phantoms, split, seed=1, settings=settings, store=NoCache())
    worker = pickle.loads(pickle.dumps(first.epoch(3)))
    _ = again.epoch(0)[2]  # an earlier sample changes nothing
    assert same(first.epoch(3), again.epoch(3))
    assert same(first.epoch(3), without.epoch(3))
    assert same(first.epoch(3), worker)
    assert same(first.validation(), without.validation())
    assert not same(first.epoch(3), first.epoch(4))
    assert first.fingerprint == again.fingerprint == without.fingerprint
    other = factory(phantoms, split, seed=2, settings=settings, store=cache)
    assert not same(first.epoch(3), other.epoch(3))
    assert other.fingerprint != first.fingerprint


def test_the_fingerprint_follows_voxels_tables_and_settings(boxes: Classified):
    def fingerprint(settings: CropSettings = CLS) -> str:
        store = NoCache()
        return classification_source(
            boxes.root, boxes.split, seed=1, settings=settings, store=store
        ).fingerprint

    seen = {fingerprint(), fingerprint(CropSettings(negatives_per_scan=5))}
    box_scan(boxes.root, "1.1", seed=77)
    seen.add(fingerprint())
    table = boxes.root / "annotations.csv"
    table.write_text(table.read_text().replace(",6\n", ",7\n", 1))
    same_places = fingerprint()
    table.write_text(table.read_text().replace("1.1,-", "1.1,-1", 1))
    assert len(seen) == 3
    assert same_places in seen


def test_segmentation_shows_nodules_and_places_without(phantoms: Path, tmp_path: Path):
    source = segmentation_source(
        phantoms, split_of(phantoms), seed=1, settings=SEG, store=Cache(tmp_path)
    )
    epoch = source.epoch(0)
    for k in range(min(16, len(epoch))):
        sample = epoch[k]
        assert (sample["hu"].shape, sample["mask"].shape) == ((7, 64, 64), (1, 64, 64))
        assert sample["hu"].dtype == sample["mask"].dtype == np.float32
        assert -1000 <= sample["hu"].min() <= sample["hu"].max() <= 1000
        assert set(np.unique(sample["mask"])) <= {0, 1}
        if k % 2 == 0:
            assert sample["mask"].any()


def test_patches_are_cut_from_the_slices_that_the_network_will_see(phantoms: Path):
    split = split_of(phantoms)
    source = segmentation_source(phantoms, split, seed=1, settings=SEG, store=NoCache())
    epoch = source.epoch(0)
    cts = [
        Ct.read(path) for uid, path in Luna16.open(phantoms).series.items() if uid in split.train
    ]
    slices = [ct.slices(k, 3) for ct in cts for k in range(ct.shape_irc[0])]
    for k in range(4):
        hu = epoch[k]["hu"]
        found = sum(_holds(piece, hu) for piece in slices)
        assert found >= 1


def _holds(whole: np.ndarray, patch: np.ndarray) -> bool:
    """Whether seven slices hold a patch, by its first row."""
    windows = np.lib.stride_tricks.sliding_window_view(whole[3], 64, axis=1)
    for row, col in np.argwhere((windows == patch[3, 0]).all(-1)):
        if np.array_equal(whole[:, row : row + 64, col : col + 64], patch):
            return True
    return False


def test_validation_sees_whole_slices_every_nodule_and_some_others(phantoms: Path):
    split = split_of(phantoms)
    source = segmentation_source(phantoms, split, seed=1, settings=SEG, store=NoCache())
    validation = source.validation()
    samples = [validation[k] for k in range(len(validation))]
    assert {sample["hu"].shape for sample in samples} == {(7, 112, 112)}
    empty = sum(not sample["mask"].any() for sample in samples)
    assert 0 < empty < len(samples)


def test_sizes_are_made_multiples_of_four(tmp_path: Path):
    for n, uid in enumerate(("1.1", "1.2")):
        box_scan(tmp_path, uid, shape=(8, 70, 81), seed=n)
    write_table(
        tmp_path / "annotations.csv", ANNOTATIONS, [(u, -80, -30, 38, 8) for u in ("1.1", "1.2")]
    )
    split = Split(train=("1.1",), validation=("1.2",))
    source = segmentation_source(tmp_path, split, seed=1, settings=SEG, store=NoCache())
    sample = source.validation()[0]
    assert (sample["hu"].shape, sample["mask"].shape) == ((7, 72, 84), (1, 72, 84))
    assert (sample["hu"][:, 70:] == -1000).all()
    assert source.epoch(0)[0]["hu"].shape == (7, 64, 64)


def test_quiet_places_keep_away_from_nodules(phantoms: Path, caplog):
    split = split_of(phantoms)
    with caplog.at_level(logging.WARNING):
        source = classification_source(phantoms, split, seed=1, settings=CLS, store=NoCache())
    assert "no candidates.csv: negatives are random places in the lungs" in caplog.text
    luna, places = Luna16.open(phantoms), source._validation
    truth = [a for a in luna.annotations if a.series_uid == split.validation[0]]
    negatives = [place for place in places if not place.label]
    assert len(negatives) == 6
    region = _core.lung_region(Ct.read(luna.series[split.validation[0]]).scan)
    ct = Ct.read(luna.series[split.validation[0]])
    for place in negatives:
        assert region[tuple(round(v) for v in ct.to_irc(place.center_xyz_mm))]
        for nodule in truth:
            gap = np.linalg.norm(np.subtract(place.center_xyz_mm, nodule.center_xyz_mm))
            assert gap > nodule.diameter_mm / 2 + 10


def test_a_place_outside_the_scan_is_named_and_left_out(boxes: Classified, caplog):
    with (boxes.root / "annotations.csv").open("a") as table:
        table.write("1.1,9999,0,0,5\n")
    with (boxes.root / "candidates.csv").open("a") as table:
        table.write("1.3,0,0,-9999,0\n")
    source = classification_source(boxes.root, boxes.split, seed=1, settings=CLS, store=NoCache())
    assert len(source.validation()) == 11
    assert "1 of 2 annotations of series 1.1 lie outside the scan" in caplog.text
    assert "(9999.0, 0.0, 0.0) mm" in caplog.text
    assert "1 of 12 candidates of series 1.3 lie outside" in caplog.text


def test_a_part_without_nodules_is_refused(boxes: Classified):
    write_table(boxes.root / "annotations.csv", ANNOTATIONS, [("1.1", -70, -30, 60, 6)])
    with pytest.raises(DataError, match="validation has no positives for classification"):
        classification_source(boxes.root, boxes.split, seed=1, settings=CLS, store=NoCache())
    write_table(boxes.root / "annotations.csv", ANNOTATIONS, [("1.3", -70, -30, 60, 6)])
    with pytest.raises(DataError, match="train series show no nodules"):
        segmentation_source(boxes.root, boxes.split, seed=1, settings=SEG, store=NoCache())


def test_a_damaged_scan_is_named(boxes: Classified):
    raw = next((boxes.root / "subset0").glob("1.2.*raw"))
    raw.write_bytes(raw.read_bytes()[:-1000])
    with pytest.raises(ScanError, match=r"1\.2"):
        classification_source(boxes.root, boxes.split, seed=1, settings=CLS, store=NoCache())


def test_real_scans_give_samples_of_all_kinds(shared_data: Path, tmp_path: Path):
    root = shared_data / "luna16"
    validation = tuple(uid for uid in Luna16.open(root).series if uid.endswith("826588"))
    train = tuple(uid for uid in Luna16.open(root).series if uid not in validation)
    split, cache = Split(train=train, validation=validation), Cache(tmp_path)
    seg = segmentation_source(root, split, seed=1, settings=SEG, store=cache)
    cls = classification_source(root, split, seed=1, settings=CLS, store=cache)
    assert seg.epoch(0)[0]["mask"].any()
    assert seg.validation()[0]["hu"].shape == (7, 512, 512)
    assert [int(cls.epoch(0)[k]["label"]) for k in range(4)] == [1, 0, 1, 0]
    nodule = cls.validation()[0]
    assert int(nodule["label"]) == 1
    assert (nodule["hu"][0, 14:18, 20:28, 20:28] > -300).mean() > 0.9
    with pytest.raises(DataError, match="no negatives for malignancy"):
        malignancy_source(root, split, seed=1, store=cache)
