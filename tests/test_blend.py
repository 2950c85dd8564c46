"""Blended volumes: what is in them, who is in which part, and what is learnt from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blend_folder import PATIENTS, write_blend_folder, write_cubes
from lunart import _core
from lunart.data import blocks
from lunart.data.cache import Cache
from lunart.data.ct import Ct
from lunart.errors import DataError, UsageError
from lunart.models import SegmentationUNet
from lunart.models.checkpoint import load_checkpoint
from lunart.training.blend import findings, sources
from lunart.training.blend.backgrounds import read_background
from lunart.training.blend.crops import CropBlend, CropSource, rated_source, sort_of
from lunart.training.blend.jobs import Alone, Blended, Generated, Surroundings, Whole
from lunart.training.blend.library import Library, read_library
from lunart.training.blend.maker import Maker
from lunart.training.blend.nodules import read_cubes
from lunart.training.blend.parts import (
    STUDY,
    VALIDATION,
    only,
    part_of_background,
    part_of_patient,
    require_parts,
)
from lunart.training.blend.patches import Group, Patches, Slices
from lunart.training.blend.pool import NOBODY, Pool, PoolSettings, gather
from lunart.training.blend.resample import nearest, stretched
from lunart.training.blend.volume import Mix, make
from lunart.training.cli import main as luna_train
from lunart.training.scans import CUBE_IRC, CUBE_SPACING_MM
from small_weights import write_small_weights

EVERY = (*STUDY, VALIDATION)
MIX = Mix(nodules=6, natives=2, nulls=3, vessels=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blend_folder(tmp_path_factory.mktemp("blend"))


@pytest.fixture(scope="module")
def library(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    return read_library(folder, tmp_path_factory.mktemp("converted"))


def test_nobody_is_in_two_parts_and_everybody_in_one(library):
    parts = [only(library, (part,)) for part in EVERY]
    patients = [cube.patient_id for part in parts for cube in part.cubes]
    scans = [item.name for part in parts for item in part.backgrounds]
    assert sorted(patients) == sorted(PATIENTS)
    assert sorted(scans) == sorted(item.name for item in library.backgrounds)


def test_a_patient_with_a_scan_is_in_the_part_of_the_scan(library, tmp_path):
    write_cubes(tmp_path, ["LIDC-IDRI-0003", *PATIENTS])
    with_slab = Library(read_cubes(tmp_path), library.backgrounds)
    slab = next(item for item in library.backgrounds if item.name == "LIDC-IDRI-0003")
    assert part_of_patient(with_slab, slab.name) == part_of_background(with_slab, slab)


def test_too_few_scans_are_refused_and_the_part_is_named(library):
    with pytest.raises(DataError, match=r"part 3 .* scan to put nodules into"):
        require_parts(Library(library.cubes, library.backgrounds[:3]))
    with pytest.raises(DataError, match="no nodule cube"):
        require_parts(Library(library.cubes[:2], library.backgrounds))


@pytest.mark.parametrize("spoil", ["missing", "truncated", "table", "pickle"])
def test_cubes_that_cannot_be_read_are_named(spoil, tmp_path):
    write_cubes(tmp_path, PATIENTS[:3])
    voxels, table = tmp_path / "lidc-cubes-1mm.npz", tmp_path / "lidc-cubes-1mm.csv"
    if spoil == "missing":
        voxels.unlink()
    elif spoil == "truncated":
        voxels.write_bytes(voxels.read_bytes()[:1000])
    elif spoil == "table":
        table.write_text("patient_id,malignancy\nLIDC-IDRI-0101,3\n")
    else:
        np.savez(voxels, hu=np.array([None]), mask=np.array([None]))
    with pytest.raises(UsageError, match=str(tmp_path)):
        read_cubes(tmp_path)


def test_a_volume_is_a_function_of_its_seed(library):
    one, same, other = (
        Blended(seed, (0, 1), MIX).make(library) for seed in ((1, 2), (1, 2), (1, 3))
    )
    assert np.array_equal(one.hu, same.hu)
    assert one.pieces == same.pieces
    assert one.hu.shape != other.hu.shape or not np.array_equal(one.hu, other.hu)


def test_look_alikes_are_no_nodules_and_nodules_stand_out(library):
    volumes = [Blended((3, k), (0, 1, 2, 3), MIX).make(library) for k in range(4)]
    kinds = {piece.kind for volume in volumes for piece in volume.pieces}
    assert {"nodule", "null"} <= kinds
    for volume in volumes:
        assert set(np.unique(volume.nodule)) <= {False, True}
        for piece in volume.pieces:
            at = tuple(round(axis) for axis in piece.center_irc)
            if piece.kind == "nodule":
                assert volume.nodule[at]
        if volume.nodule.any():
            assert volume.hu[volume.nodule].mean() > -400


def test_pieces_are_of_patients_of_the_part_alone(library):
    for part in STUDY:
        mine = {cube.patient_id for cube in only(library, (part,)).cubes}
        volume = Blended((4, part), (part,), MIX).make(library)
        named = {p.patient_id for p in volume.pieces if p.kind in ("nodule", "native")}
        assert named <= mine
        assert volume.background in {i.name for i in only(library, (part,)).backgrounds}


def test_a_whole_scan_comes_as_it_is_with_its_own_nodules(library):
    volume = Whole("LIDC-IDRI-0003").make(library)
    item = library.backgrounds[-1]
    assert np.array_equal(volume.hu, item.hu)
    assert len(volume.pieces) >= 1
    assert volume.nodule.sum() == item.nodules.sum()


def test_a_nodule_s_surroundings_are_known_but_for_their_mirror_image(library):
    cube = library.cubes[3]
    one, same, other = (Surroundings((8, k), cube.patient_id).make(library) for k in (1, 1, 2))
    assert np.array_equal(one.hu, same.hu)
    assert one.hu.shape != other.hu.shape or not np.array_equal(one.hu, other.hu)
    (piece,) = one.pieces
    at = tuple(round(axis) for axis in piece.center_irc)
    assert one.nodule[at]
    assert one.known[at]
    assert (piece.kind, piece.patient_id, one.background) == ("native", *[cube.patient_id] * 2)
    step = np.array(one.spacing_irc_mm)
    reach = np.abs((np.argwhere(one.known) - (np.array(one.hu.shape) - 1) / 2) * step)
    assert reach.max(axis=0)[0] < 25.5 - 4
    # Mirrored beyond: no crop of a place that is known holds nothing.
    half = np.array(CUBE_IRC) / 2 * CUBE_SPACING_MM
    assert (np.array(one.hu.shape) / 2 * step > reach.max(axis=0)[0] + half[0] - 6).all()
    assert [finding.nodule for finding in findings.truths(one)] == [True]


def test_of_an_unread_scan_only_what_is_put_in_is_known(folder, library):
    path = next((folder / "backgrounds").glob("*.mhd"))
    item = read_background(path, unread=True)
    assert not item.known.any()
    assert not len(item.bright)
    volume = make((3, 1), [item], library.cubes, MIX)
    assert volume.pieces
    assert {piece.kind for piece in volume.pieces} <= {"nodule", "native"}
    assert 0 < volume.known.sum() < volume.known.size / 2
    for piece in volume.pieces:
        assert volume.known[tuple(round(axis) for axis in piece.center_irc)]
    ball = read_background(path, hidden_mm=[(0.0, 0.0, 0.0, 30.0)])
    assert 0 < (~ball.known).sum() < ball.known.size


def test_patches_alternate_and_an_epoch_is_a_function_of_its_number(library):
    groups = [
        Group([Blended((5, k), (0, 1), MIX).make(library) for k in range(2)], 0.5, 0.8),
        Group([Alone((5, k), (0, 1)).make(library) for k in range(3)], 0.5, 0.2),
    ]
    patches = Patches(groups, 1, 7, 24)
    again, other = Patches(groups, 1, 7, 24), Patches(groups, 1, 8, 24)
    for index in range(24):
        sample = patches[index]
        assert sample["hu"].shape == (7, 64, 64)
        assert sample["hu"].min() >= -1000
        assert sample["hu"].max() <= 1000
        assert np.array_equal(sample["hu"], again[index]["hu"])
        if index % 2 == 0:
            assert sample["mask"].any()
    assert any(not np.array_equal(patches[k]["hu"], other[k]["hu"]) for k in range(24))


def test_slices_are_whole_and_count_only_what_is_known_in_lungs(library):
    volume = Whole("LIDC-IDRI-0003").make(library)
    slices = Slices([volume], every=6)
    assert len(slices) >= 4
    sample = slices[0]
    assert all(n % 4 == 0 for n in sample["hu"].shape[1:])
    assert sample["weight"].sum() <= volume.lungs[0].sum()


def test_a_phantom_has_lungs_and_the_nodules_it_was_generated_with(library):
    volume = Generated(2_000_001).make(library)
    assert volume.lungs.any()
    assert len(volume.pieces) >= 1
    assert findings.truths(volume)


def test_processes_make_what_the_jobs_say(folder, library, tmp_path):
    jobs = [Alone((6, 0), (0,)), Blended((6, 1), (1,), MIX)]
    made = list(Maker(folder, tmp_path).take(jobs))
    for job, volume in zip(jobs, made, strict=True):
        assert np.array_equal(volume.hu, job.make(library).hu)


def test_upright_resampling_is_linear_and_keeps_voxels_at_their_places():
    rng = np.random.default_rng(1)
    data = rng.integers(-1000, 400, (6, 9, 8)).astype(np.int16)
    grid = [np.arange(n, dtype=float) for n in data.shape]
    assert np.array_equal(stretched(data, grid, 1), data)
    assert np.array_equal(nearest(data, grid), data)
    halves = [np.arange(n - 1) + 0.5 for n in data.shape]
    middle = stretched(data, halves, 1)
    assert middle[0, 0, 0] == pytest.approx(data[:2, :2, :2].mean(), abs=1e-2)


ALL = findings.Grouping(threshold=0.5, erosion=0, least_mm3=0.0)


def _sees(marked: np.ndarray):
    """In place of a network: these voxels for certain."""
    return lambda model, scan, lungs: marked.astype(np.float32)


def test_findings_are_judged_by_their_distance_from_nodules(library, monkeypatch):
    volume = Whole("LIDC-IDRI-0003").make(library)
    lung = np.argwhere(volume.lungs & ~volume.nodule)
    nodules = np.argwhere(volume.nodule) * volume.spacing_irc_mm
    gaps = [np.linalg.norm(nodules - at * np.array(volume.spacing_irc_mm), axis=1).min()
            for at in lung[::97]]  # fmt: skip
    far = lung[::97][int(np.argmax(gaps))]
    marked = volume.nodule.copy()
    marked[tuple(far)] = True
    monkeypatch.setattr(findings, "probabilities", _sees(marked))
    found = findings.find(SegmentationUNet(7, 2, 1), volume, ALL, ALL)
    proposed = [finding for finding in found if finding.kind == "proposed"]
    wrong = [finding for finding in proposed if not finding.nodule]
    assert [np.allclose(finding.center_irc, far) for finding in wrong] == [True]
    assert any(finding.nodule for finding in proposed)
    assert all(finding.nodule for finding in found if finding.kind == "truth")


def test_what_only_a_lower_threshold_proposes_is_told_from_the_pipelines_own(library, monkeypatch):
    volume = Whole("LIDC-IDRI-0003").make(library)
    seen = _sees(volume.nodule)
    monkeypatch.setattr(findings, "probabilities", lambda *given: 0.4 * seen(*given))
    lower = replace(ALL, threshold=0.3)
    found = findings.find(SegmentationUNet(7, 2, 1), volume, ALL, lower)
    assert {finding.kind for finding in found} == {"mined", "truth"}
    large = replace(lower, least_mm3=1e6)
    assert findings.find(SegmentationUNet(7, 2, 1), volume, lower, large)[0].kind == "proposed"


def test_nothing_is_found_where_nothing_is_known(library, monkeypatch):
    volume = Whole("LIDC-IDRI-0003").make(library)
    volume.known[:] = False
    monkeypatch.setattr(findings, "probabilities", _sees(volume.lungs))
    found = findings.find(SegmentationUNet(7, 2, 1), volume, ALL, ALL)
    assert not [finding for finding in found if finding.kind == "proposed"]


@pytest.fixture(scope="module")
def pool(folder: Path, library: Library, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return _gathered(folder, library, tmp_path_factory.mktemp("cache"))


SETTINGS = PoolSettings(blended=8, validation=2, generated=1, surroundings=1, mix=MIX)


def _look(volume, _part):
    """Every piece by its own word, and one voxel of lung as a false proposal."""
    lung = np.argwhere(volume.lungs & ~volume.nodule)[0]
    false = findings.Finding(tuple(map(float, lung)), False, "proposed", "x", True, 0.0)
    pieces = [
        findings.Finding(p.center_irc, False, p.kind, p.patient_id, False, p.diameter_mm)
        for p in volume.pieces
        if p.kind in findings.LOOKALIKES
    ]
    return [*findings.truths(volume), *pieces, false]


def _gathered(folder: Path, library: Library, cache: Path) -> Pool:
    return gather(Maker(folder, cache), library, Cache(cache), _look, "test", SETTINGS)


def test_a_pool_is_kept_and_read_again(folder, library, tmp_path, monkeypatch):
    first = _gathered(folder, library, tmp_path)
    monkeypatch.setattr(Maker, "take", lambda *_: pytest.fail("made again"))
    second = _gathered(folder, library, tmp_path)
    assert [e.finding for e in first.entries] == [e.finding for e in second.entries]
    assert all(
        np.array_equal(a.block, b.block) for a, b in zip(first.entries, second.entries, strict=True)
    )


def test_a_part_is_looked_through_by_the_network_that_never_saw_it(folder, tmp_path, monkeypatch):
    for seed in range(5):
        (tmp_path / str(seed)).mkdir()
        write_small_weights(tmp_path / str(seed), "segmentation", seed)
    weights = [
        load_checkpoint(tmp_path / str(seed) / "segmentation.safetensors", "segmentation")
        for seed in range(5)
    ]
    looked: list[tuple[str, bytes]] = []

    def find(network, volume, *_groupings):
        looked.append((volume.background, network.unet.last.weight.numpy().tobytes()))
        return [finding for finding in _look(volume, 0) if not finding.nodule]

    monkeypatch.setattr(sources, "find", find)
    cache = Cache(tmp_path / "cache")
    pool = sources.nodule_pool(
        folder, tmp_path, cache, weights[4], SETTINGS, dict(enumerate(weights[:4]))
    )
    saw = [one.state["unet.last.weight"].numpy().tobytes() for one in weights]
    parts = {entry.background: entry.part for entry in pool.entries}
    assert set(parts.values()) == {NOBODY, *EVERY}
    for background, last in looked:
        part = parts[background]
        assert last == saw[part if part in STUDY else 4], (background, part)
    other = sources.nodule_pool(folder, tmp_path, cache, weights[4], SETTINGS)
    assert other.fingerprint != pool.fingerprint


def test_entries_of_a_part_are_of_its_patients_and_backgrounds(pool, library):
    for entry in pool.entries:
        if entry.part == NOBODY:
            assert entry.background == "phantom"
            continue
        mine = only(library, (entry.part,))
        patients = {cube.patient_id for cube in mine.cubes}
        assert entry.background in {item.name for item in mine.backgrounds} | patients
        if entry.finding.nodule and entry.finding.patient_id != entry.background:
            assert entry.finding.patient_id in patients


def test_crops_alternate_and_are_of_the_parts_asked_for(pool):
    source = CropSource(pool, CropBlend(parts=(0, 2), crops=12))
    labels = [int(source.epoch(0)[k]["label"]) for k in range(12)]
    assert labels == [0, 1] * 6
    held = {id(e) for e in pool.entries if e.part in (0, 2, NOBODY)}
    groups = [group for of_truth in source.epoch(0).groups for group in of_truth]
    drawn = {id(e) for group in groups for mine in group.of for e in mine}
    assert drawn <= held
    assert len(source.validation()) == sum(e.part == VALIDATION for e in pool.entries)
    assert source.fingerprint != CropSource(pool, CropBlend(parts=(0, 1))).fingerprint


def test_lungs_are_drawn_by_the_root_of_what_they_show(pool):
    nodule, other = (
        next(e for e in pool.entries if e.finding.nodule is truth and e.part == 0)
        for truth in (True, False)
    )
    mined = replace(other, finding=replace(other.finding, kind="mined"))
    lungs = {"often": 100, "rare": 4}
    entries = [replace(mined, background=name) for name, n in lungs.items() for _ in range(n)]
    source = CropSource(Pool([nodule, *entries], "x"), CropBlend(parts=(0,)))
    (group,) = source.epoch(0).groups[0]
    rng = np.random.default_rng(1)
    drawn = [group.draw(rng).background for _ in range(3000)]
    assert drawn.count("rare") / len(drawn) == pytest.approx(2 / 12, abs=0.03)
    assert len({id(group.draw(rng)) for _ in range(3000)}) == 104


def test_the_same_crop_comes_again_and_another_epoch_draws_others(pool):
    source = CropSource(pool, CropBlend(crops=12))
    first, again, other = source.epoch(1), source.epoch(1), source.epoch(2)
    assert all(np.array_equal(first[k]["hu"], again[k]["hu"]) for k in range(12))
    assert any(not np.array_equal(first[k]["hu"], other[k]["hu"]) for k in range(12))
    assert first[0]["hu"].shape == (1, *CUBE_IRC)


def test_nodules_only_are_refused(pool):
    nodules = Pool([e for e in pool.entries if e.finding.nodule], "x")
    with pytest.raises(DataError, match="nothing to tell apart"):
        CropSource(nodules, CropBlend())


def test_cubes_are_rated_by_their_reader_and_undecided_ones_left_out(
    folder, library, tmp_path, monkeypatch
):
    monkeypatch.setattr(sources, "RATED", replace(sources.RATED, surroundings=1))
    rated = sources.rated_pool(folder, tmp_path, Cache(tmp_path))
    ratings = {cube.patient_id: cube.malignancy for cube in library.cubes}
    assert {e.finding.patient_id for e in rated.entries} == {
        patient for patient, rating in ratings.items() if rating != 3
    }
    for entry in rated.entries:
        assert entry.finding.nodule is (ratings[entry.finding.patient_id] >= 4)


def test_rated_crops_are_drawn_by_their_rating(pool):
    rated = Pool([e for e in pool.entries if sort_of(e) in ("native", "proposed")], "x")
    with pytest.raises(DataError):
        rated_source(rated, CropBlend())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cls"], "--segmentation FILE says"),
        (["cls", "--segmentation", "nowhere.safetensors"], "nowhere.safetensors: no such"),
        (["seg"], "no nodule cubes that can be read"),
        (["mal"], "no nodule cubes that can be read"),
    ],
)
def test_luna_train_says_what_blending_lacks(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    code = luna_train([*arguments, "--blend", "empty", "--cache", "cache", "-o", "run"])
    error = capsys.readouterr().err
    assert code != 0
    assert says in error
    assert error.count("\n") == 1


def test_a_block_keeps_its_finding_in_the_middle_as_the_pipeline_would():
    rng = np.random.default_rng(3)
    hu = rng.integers(-1200, 1200, (20, 70, 60)).astype(np.int16)
    geometry = _core.Geometry(shape_irc=hu.shape, spacing_mm=(0.7, 0.7, 2.0))
    ct = Ct("", _core.scan_from_array(hu, geometry, "", ""))
    for center in ((0.0, 3.0, 59.0), (10.5, 35.5, 30.0), (19.0, 69.0, 0.0)):
        block = blocks.spaced(ct, center, CUBE_IRC, (4, 8, 8), CUBE_SPACING_MM)
        middle = blocks.middle(block.astype(np.float32), CUBE_IRC)
        asked = ct.crop(center, CUBE_IRC, pad=True, spacing_mm=CUBE_SPACING_MM)
        np.testing.assert_allclose(middle, asked, atol=0.5)
        assert block.shape == (40, 48, 48)
