"""The slice-by-slice probability as a small chart: where in the scan the networks saw something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_WIDTH, _HEIGHT = 720.0, 100.0
_MOST_COLUMNS = 720
# Numbers that would touch go one above the other.
_APART = 16.0


@dataclass(frozen=True)
class Marker:
    """A finding: its number, where it is along the chart, and how high its number stands."""

    number: int
    x: float
    level: int


@dataclass(frozen=True)
class Strip:
    """A chart ``width`` by ``height``: ``path`` is SVG's, of the area below the probability."""

    width: float
    height: float
    path: str
    markers: tuple[Marker, ...]
    levels: int
    slices: int
    highest: float
    highest_slice: int
    above_half: int


def strip(probability: Sequence[float], slices_of_findings: Sequence[int]) -> Strip:
    """The chart of each slice's highest probability; slices count from 0, markers from 1."""
    values = np.asarray(probability, np.float64)
    count = len(values)
    columns = min(count, _MOST_COLUMNS)
    # Of several slices in one column the highest: a single slice must not vanish.
    edges = np.arange(columns) * count // columns
    heights = np.maximum.reduceat(values, edges)
    steps = []
    for k, height in enumerate(heights):
        y = _HEIGHT * (1 - height)
        steps.append(f"V{y:.1f}H{_WIDTH * (k + 1) / columns:.1f}")
    path = f"M0 {_HEIGHT:g}{''.join(steps)}V{_HEIGHT:g}Z"
    markers = _markers([_WIDTH * (s + 0.5) / count for s in slices_of_findings])
    return Strip(
        _WIDTH,
        _HEIGHT,
        path,
        markers,
        1 + max((marker.level for marker in markers), default=0),
        count,
        float(values.max()),
        int(values.argmax()),
        int(np.count_nonzero(values > 0.5)),
    )


def _markers(places: Sequence[float]) -> tuple[Marker, ...]:
    last: list[float] = []  # of each level, where the last number stands
    levels = {}
    for k in sorted(range(len(places)), key=lambda k: places[k]):
        x = places[k]
        level = next((i for i, end in enumerate(last) if x - end >= _APART), len(last))
        if level == len(last):
            last.append(x)
        last[level] = x
        levels[k] = level
    return tuple(Marker(k + 1, places[k], levels[k]) for k in range(len(places)))
