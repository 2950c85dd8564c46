"""What readers marked in a cube beside its own nodule is no look-alike, and is not judged."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blend_folder import PATIENTS, write_cubes
from lunart.models import SegmentationUNet
from lunart.training.blend import findings
from lunart.training.blend.backgrounds import Background
from lunart.training.blend.jobs import Alone, Surroundings
from lunart.training.blend.library import Library
from lunart.training.blend.marks import MARKED, UNTOLD, known_in
from lunart.training.blend.nodules import HU, TABLE, Cube, read_cubes
from lunart.training.blend.volume import Mix, make

ALL = findings.Grouping(threshold=0.5, erosion=0, least_mm3=0.0)
# A ball beside the nodule, large enough to be seen in thick slices.
_GRID = np.mgrid[0:51, 0:51, 0:51]
BESIDE = sum((axis - c) ** 2 for axis, c in zip(_GRID, (25, 25, 38), strict=True)) <= 5**2


@pytest.fixture
def cube(tmp_path: Path) -> Cube:
    write_cubes(tmp_path, PATIENTS[:1])
    plain = read_cubes(tmp_path)[0]
    hu = np.where(BESIDE, 30, plain.hu).astype(np.int16)
    return replace(plain, hu=hu, known=~BESIDE)


def test_a_marked_ball_is_unknown_and_the_nodule_s_own_rim_is_known():
    mask = np.zeros((51, 51, 51), bool)
    mask[20:31, 20:31, 20:31] = True
    name = "66_nod2_ann0"
    ((i, r, c, radius),) = MARKED[name]
    known = known_in(name, mask)
    assert not known[i, r, c]
    assert not known[i, r, c - radius + 1]
    assert known[i, r, c - radius - 1]
    assert known_in("another", mask).all()
    over = np.zeros_like(mask)
    over[i, r, c] = True
    assert known_in(name, over)[i, r, c]


def test_of_a_cube_that_nobody_s_can_be_called_only_the_nodule_is_known():
    mask = np.zeros((51, 51, 51), bool)
    mask[25, 25, 25] = True
    known = known_in(next(iter(UNTOLD)), mask)
    assert known[25, 25, 27]
    assert known.sum() < 100


def test_the_table_s_names_tell_which_cube_is_meant(tmp_path):
    write_cubes(tmp_path, PATIENTS[:2])
    with (tmp_path / TABLE).open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["cube", "patient_id", "malignancy"])
        table.writerows([["66_nod2_ann0", PATIENTS[0], 3], ["other", PATIENTS[1], 3]])
    marked, plain = read_cubes(tmp_path)
    assert not marked.known.all()
    assert plain.known.all()


@pytest.mark.parametrize("kind", [Alone, Surroundings])
def test_nothing_is_known_of_a_marked_ball_in_a_cube_by_itself(kind, cube):
    job = Alone((1, 2), tuple(range(5))) if kind is Alone else Surroundings((1, 2), PATIENTS[0])

    def known_beside(one: Cube) -> int:
        volume = job.make(Library([replace(one, patient_id=p) for p in PATIENTS], []))
        at = tuple(round(axis) for axis in volume.pieces[0].center_irc)
        assert volume.known[at]
        return int((volume.known & (volume.hu > -300) & ~volume.nodule).sum())

    unmarked = known_beside(replace(cube, known=cube.known | True))
    assert unmarked > 20
    assert known_beside(cube) < 0.4 * unmarked


def test_nothing_is_known_of_a_marked_ball_in_a_cube_that_was_put_in(cube):
    air = np.random.default_rng(3).normal(-840, 12, (40, 120, 120)).astype(np.int16)
    everywhere = np.ones(air.shape, bool)
    lung = Background("lung", air, everywhere, everywhere, np.zeros(air.shape, np.uint8), (2, 1, 1))
    mix = Mix(nodules=0, natives=1, nulls=0, vessels=0, noise_hu=0, blur=0.2)
    volume = make((5, 1), [lung], [cube], mix)
    (piece,) = volume.pieces
    assert piece.kind == "native"
    assert volume.known[tuple(round(axis) for axis in piece.center_irc)]
    bright = (volume.hu > -300) & ~volume.nodule
    assert bright.sum() > 20
    assert not volume.known.all()
    assert (volume.known & bright).sum() < 0.4 * bright.sum()


def test_what_is_proposed_on_a_look_alike_that_was_put_in_is_judged_as_that(monkeypatch):
    air = np.random.default_rng(3).normal(-840, 12, (40, 120, 120)).astype(np.int16)
    air[:, 50:53, :] = 0
    everywhere = np.ones(air.shape, bool)
    lung = Background("lung", air, everywhere, everywhere, np.zeros(air.shape, np.uint8), (2, 1, 1))
    write = np.zeros((51, 51, 51), bool)
    write[20:31, 20:31, 20:31] = True
    item = Cube("p", np.where(write, 0, -840).astype(np.int16), write, write | True, 3.0)
    volume = make((5, 2), [lung], [item], Mix(nodules=0, natives=1, nulls=6, vessels=0))
    nulls = [piece for piece in volume.pieces if piece.kind == "null"]
    assert nulls
    marked = np.zeros(volume.hu.shape, np.float32)
    marked[tuple(round(axis) for axis in nulls[0].center_irc)] = 1
    monkeypatch.setattr(findings, "probabilities", lambda *_: marked)
    found = findings.find(SegmentationUNet(7, 2, 1), volume, ALL, ALL)
    assert [f.kind for f in found if not f.nodule] == ["null"] * len(nulls)


def test_what_is_marked_in_the_real_cubes_is_brighter_than_lung(shared_data: Path):
    with (shared_data / "nodules" / TABLE).open(newline="") as stream:
        names = [row["cube"] for row in csv.DictReader(stream)]
    with np.load(shared_data / "nodules" / HU, allow_pickle=False) as file:
        hu = file["hu"]
    assert {*MARKED, *UNTOLD} <= set(names)
    for name, marks in MARKED.items():
        for i, r, c, _ in marks:
            if min(i, r, c) >= 1 and max(i, r, c) < 50:
                there = hu[names.index(name), i - 1 : i + 2, r - 1 : r + 2, c - 1 : c + 2]
                assert there.max() > -600, name
