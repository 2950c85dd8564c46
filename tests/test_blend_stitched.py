"""Pieces of lung stitched from blocks: what is known there, whose they are, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blend_folder import write_blend_folder
from lunart.errors import UsageError
from lunart.training.blend.backgrounds import Background
from lunart.training.blend.jobs import Stitched
from lunart.training.blend.library import Library, read_library
from lunart.training.blend.parts import (
    STUDY,
    only,
    part_of_background,
    part_of_patient,
    part_of_stitched,
)
from lunart.training.blend.stitched import HU, PATIENTS, Block, Patient, read_stitched, stitch
from lunart.training.blend.volume import Mix

#: The second block lies 40 columns on; the third begins with the scan, apart from both.
PLACES = Patient(
    2.0, 0.7, (Block((20, 100, 100), 6), Block((22, 100, 140), 6), Block((0, 100, 300), 6))
)
DEPTHS = (60, 58, 50)


@pytest.fixture(scope="module")
def chest() -> np.ndarray:
    """A scan of 90 slices: noisy lung, a wall on either side, empty air beyond them."""
    rng = np.random.default_rng(4)
    hu = rng.normal(-840, 20, (90, 210, 420))
    hu[:, :, 100:130] = rng.normal(20, 20, (90, 210, 30))
    hu[:, :, 365:380] = 20
    hu[:, :, :100] = hu[:, :, 380:] = -1000
    return hu.astype(np.int16)


def blocks_of(chest: np.ndarray, places: Patient = PLACES) -> list[np.ndarray]:
    return [
        np.ascontiguousarray(chest[i : i + n, r : r + 100, c : c + 100])
        for (i, r, c), n in zip((b.low_irc for b in places.blocks), DEPTHS, strict=True)
    ]


@pytest.fixture(scope="module")
def stitched(chest) -> Background:
    return stitch("LIDC-IDRI-0379", PLACES, blocks_of(chest))


def test_blocks_lie_where_they_were_cut(stitched, chest):
    for block, n in zip(PLACES.blocks, DEPTHS, strict=True):
        i, r, c = np.array(block.low_irc) - (0, 100, 100)
        mine = stitched.hu[i : i + n, r : r + 100, c : c + 100]
        assert np.array_equal(mine, chest[i : i + n, r + 100 : r + 200, c + 100 : c + 200])


def test_nothing_is_known_at_marks_between_blocks_and_at_their_ends(stitched):
    # The middles of the three blocks; the third's is 30 slices below its end.
    for at in ((50, 50, 50), (52, 50, 90), (20, 50, 250)):
        assert not stitched.known[at]
        assert stitched.known[at[0], at[1] + 10, at[2]]
    assert not stitched.known[:, :, 141:199].any()
    assert not stitched.lungs[:, :, 141:199].any()
    assert not stitched.known[:, :8].any()
    assert stitched.known[50, 50, 70]


def test_only_lung_is_lung(stitched):
    assert stitched.lungs[50, 50, 70]
    assert not stitched.lungs[50, 50, 10:18].any()
    # Air outside the body, in a block that holds nothing else there.
    assert not stitched.lungs[20, 50, 285:].any()


def test_between_blocks_the_lung_goes_on(stitched):
    assert -900 < stitched.hu[50, 50, 145:155].mean() < -780


def test_blocks_that_differ_where_they_overlap_are_refused(chest):
    blocks = blocks_of(chest)
    blocks[1] = blocks[1] + np.int16(1)
    with pytest.raises(ValueError, match="LIDC-IDRI-0379: blocks that overlap differ"):
        stitch("LIDC-IDRI-0379", PLACES, blocks)


@pytest.mark.parametrize("shape", [(61, 100, 100), (40, 90, 100), (0, 100, 100)])
def test_a_block_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="a block of"):
        stitch("one", Patient(1.0, 1.0, PLACES.blocks[:1]), [np.zeros(shape, np.int16)])


@pytest.mark.parametrize("spoil", ["lacks one", "truncated", "pickle", "text"])
def test_a_file_that_cannot_be_read_is_named(spoil, tmp_path):
    path = tmp_path / HU
    names = [f"{name}_{k}" for name, p in PATIENTS.items() for k in range(len(p.blocks))]
    if spoil == "lacks one":
        np.savez(path, **{names[0]: np.zeros((100, 100, 60), np.int16)})
    elif spoil == "truncated":
        np.savez(path, **{name: np.zeros((100, 100, 60), np.int16) for name in names})
        path.write_bytes(path.read_bytes()[:5000])
    elif spoil == "pickle":
        np.savez(path, **{name: np.array([None]) for name in names})
    else:
        path.write_text("no archive")
    with pytest.raises(UsageError, match=HU):
        read_stitched(tmp_path)


def test_a_folder_without_blocks_has_no_stitched_lung(tmp_path):
    assert read_stitched(tmp_path) == []


def named(item: Background, *names: str) -> list[Background]:
    return [replace(item, name=name) for name in names]


@pytest.fixture(scope="module")
def library(stitched, tmp_path_factory) -> Library:
    folder = write_blend_folder(tmp_path_factory.mktemp("blend"))
    plain = read_library(folder, tmp_path_factory.mktemp("converted"))
    slab = next(item.name for item in plain.backgrounds if item.name.startswith("LIDC"))
    names = (plain.cubes[5].patient_id, slab, *(f"LIDC-IDRI-09{n:02d}" for n in range(5)))
    return replace(plain, stitched=named(stitched, *names))


def test_a_patients_stitched_lung_is_in_the_part_of_the_cube_or_the_slab(library):
    cube, slab, *others = library.stitched
    assert part_of_stitched(library, cube) == part_of_patient(library, cube.name)
    scan = next(item for item in library.backgrounds if item.name == slab.name)
    assert part_of_stitched(library, slab) == part_of_background(library, scan)
    assert [part_of_stitched(library, item) for item in others] == [0, 1, 2, 3, 0]


def test_no_stitched_lung_is_in_two_parts(library):
    held = [item.name for part in range(5) for item in only(library, (part,)).stitched]
    assert sorted(held) == sorted(item.name for item in library.stitched)


def test_pieces_of_the_part_are_put_into_the_stitched_lung_alone(library):
    name = library.stitched[2].name
    mine = {cube.patient_id for cube in only(library, (0,)).cubes}
    volumes = [Stitched((7, k), name, STUDY[0], Mix()).make(library) for k in range(3)]
    pieces = [piece for volume in volumes for piece in volume.pieces]
    assert {volume.background for volume in volumes} == {name}
    assert {"nodule", "null"} <= {piece.kind for piece in pieces}
    assert {p.patient_id for p in pieces if p.kind in ("nodule", "native")} <= mine
    assert any((volume.lungs & ~volume.known).any() for volume in volumes)


def test_real_blocks_agree_where_they_overlap(shared_data: Path):
    name = "LIDC-IDRI-0144"
    path = shared_data / "nodules" / HU
    with np.load(path, allow_pickle=False) as file:
        blocks = [file[f"{name}_{k}"].transpose(2, 0, 1) for k in range(5)]
    whole = stitch(name, PATIENTS[name], blocks)
    litres = (whole.lungs & whole.known).sum() * np.prod(whole.spacing_irc_mm) / 1e6
    assert 1 < litres < 2
    assert -900 < np.median(whole.hu[whole.lungs]) < -780
