"""Cutting training samples as the pipeline does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from luna_folder import ANNOTATIONS, box_scan, write_table
from lunart import _core
from lunart.data.cache import NoCache
from lunart.data.segmentation import SegmentationSettings
from lunart.data.sources import segmentation_source
from lunart.data.split import Split
from lunart.phantom import Phantom, generate
from lunart.training.scans import CROP_IRC, HU_WINDOW

CONTEXT = 3


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return generate(11, shape_irc=(40, 128, 128), nodule_count=5)


@pytest.fixture(scope="module")
def scan(phantom: Phantom) -> _core.Scan:
    geometry = _core.Geometry(
        shape_irc=phantom.hu.shape,
        spacing_mm=phantom.spacing_mm,
        origin_mm=phantom.origin_mm,
        direction=phantom.direction,
    )
    return _core.scan_from_array(phantom.hu, geometry, phantom.series_uid, "")


def test_a_slice_has_its_neighbours_and_the_edges_are_repeated(phantom, scan):
    hu = phantom.hu
    for index in (0, 2, 20, len(hu) - 1):
        wanted = np.clip(np.arange(index - CONTEXT, index + CONTEXT + 1), 0, len(hu) - 1)
        assert np.array_equal(
            _core.slice_input(scan, index, CONTEXT), np.clip(hu[wanted], *HU_WINDOW)
        )


def test_a_crop_is_shifted_inside_and_halves_are_rounded_to_even(phantom, scan):
    hu = phantom.hu
    for center, start in (
        ((20.5, 60.5, 61.5), (4, 36, 38)),
        ((-3.0, 500.0, 2.0), (0, 80, 0)),
    ):
        box = tuple(slice(s, s + n) for s, n in zip(start, CROP_IRC, strict=True))
        assert np.array_equal(_core.crop(scan, center, CROP_IRC), np.clip(hu[box], *HU_WINDOW))


def test_a_patch_shows_its_own_nodule_where_another_lies_beside_it(tmp_path: Path):
    """The block around one nodule shows the other, from which a patch would leave the block."""
    for seed, uid in enumerate(("1.1", "1.2")):
        path = box_scan(tmp_path, uid, shape=(12, 120, 120), seed=seed)
        scan = _core.read_scan(path)
        votes = np.zeros((12, 120, 120), np.uint8)
        votes[4:7, 50:56, 50:56] = votes[5:8, 50:54, 62:66] = 2
        (tmp_path / "votes").mkdir(exist_ok=True)
        _core.write_metaimage(
            tmp_path / "votes" / f"{uid}_votes.mhd",
            votes, scan.spacing_mm, scan.origin_mm, scan.direction,
        )  # fmt: skip
    write_table(tmp_path / "annotations.csv", ANNOTATIONS, [])
    settings = SegmentationSettings(negatives_per_scan=8, masks="votes")
    split = Split(train=("1.1",), validation=("1.2",))
    source = segmentation_source(tmp_path, split, seed=1, settings=settings, store=NoCache())
    epochs = [source.epoch(number) for number in range(10)]
    positives = [epoch[k] for epoch in epochs for k in range(0, len(epoch), 2)]
    assert len(positives) >= 40
    assert {sample["hu"].shape for sample in positives} == {(7, 64, 64)}
    assert all(sample["mask"].any() for sample in positives)
