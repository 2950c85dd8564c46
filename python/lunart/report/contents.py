"""What a report says, as plain values: words, numbers and pictures, before any HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from lunart import _core
from lunart.report.pictures import Overview, Plane, overview_of, planes
from lunart.report.places import Lungs, Place
from lunart.report.sampling import Placed, coarse
from lunart.report.strip import Strip, strip
from lunart.result import Finding, Result

#: Pictures and markers of more nodules than this make a page that nobody can read.
MOST_PICTURES = 50
_LETTERS = ("RL", "AP", "FH")  # against and along x, y, z of LPS


@dataclass(frozen=True)
class Shown:
    """One nodule: ``number`` from 1 by falling probability; ``planes`` empty beyond the limit."""

    number: int
    finding: Finding
    place: Place
    slice_number: int
    planes: tuple[Plane, ...]


@dataclass(frozen=True)
class Contents:
    """All of a report. ``axis_ends``: the patient's sides at the first and the last slice."""

    result: Result
    scan_name: str
    nodules: tuple[Shown, ...]
    overview: Overview
    strip: Strip
    axis_ends: str
    tilt_degrees: float
    oblique: bool
    extent_mm: tuple[float, float, float]
    orientation: str


def contents_of(result: Result, scan: _core.Scan) -> Contents:
    """Gather a report on a result of ``scan`` (``lunart.result.require_same_scan``), without the
    nodules' pictures: :func:`drawn` adds them.
    """
    small, grid = coarse(scan)
    lungs = Lungs.find(small, grid)
    axis = result.slices.axis
    count = scan.shape_irc[axis]
    placed = Placed.of(scan.geometry)
    slices = [_nearest(one.center_irc[axis], count) for one in result.nodules]
    shown = tuple(
        Shown(
            k + 1,
            one,
            Place() if lungs is None else lungs.place(one.center_xyz_mm),
            slices[k] + 1,
            (),
        )
        for k, one in enumerate(result.nodules)
    )
    return Contents(
        result,
        _name_of(scan, result),
        shown,
        overview_of(small, grid, scan.geometry, result.nodules[:MOST_PICTURES]),
        strip(result.slices.probability, slices[:MOST_PICTURES]),
        _ends(placed, axis),
        placed.tilt_degrees(),
        placed.is_oblique(),
        _lengths(placed, scan),
        "".join(_ends(placed, k)[1] for k in (2, 1, 0)),
    )


def drawn(
    it: Contents, scan: _core.Scan, *, pixels: int = 480, most: int = MOST_PICTURES
) -> Contents:
    """The same with pictures of its first nodules, each plane ``pixels`` wide and high."""
    nodules = tuple(
        replace(one, planes=planes(scan, one.finding, pixels=pixels) if k < most else ())
        for k, one in enumerate(it.nodules)
    )
    return replace(it, nodules=nodules)


def _nearest(at: float, count: int) -> int:
    """The slice of a place; half way the later one, as the viewer has it."""
    return min(max(math.floor(at + 0.5), 0), count - 1)


def _lengths(placed: Placed, scan: _core.Scan) -> tuple[float, float, float]:
    i, r, c = np.linalg.norm(placed.axes, axis=0) * scan.shape_irc
    return float(i), float(r), float(c)


def _ends(placed: Placed, axis: int) -> str:
    """The patient's sides at an axis' start and end, two letters of R L A P F H."""
    along = placed.axes[:, axis]
    nearest = int(np.abs(along).argmax())
    letters = _LETTERS[nearest]
    return letters if along[nearest] > 0 else letters[::-1]


def _name_of(scan: _core.Scan, result: Result) -> str:
    path = scan.path or result.scan.path
    return PurePath(path).name if path else "a scan from memory"
