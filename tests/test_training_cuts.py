"""Cutting training samples as the pipeline does."""

from __future__ import annotations

import numpy as np
import pytest
from lunart import _core
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
