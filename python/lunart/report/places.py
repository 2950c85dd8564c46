"""A finding's place in words: which lung, which third of its height, front or back, how deep.

The rules are simple and said in docs/report.md; they know lungs as air, not lobes. Where the scan
does not show enough of the lungs for a word, the word is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.report.sampling import Floats, Placed

Side = Literal["right", "left"]
_LUNG_HU = -400
_LEAST_LUNG_ML = 20.0
# A lung's height counts from where it is this wide, and is cut where the scan ends in so much of
# its widest slice: a missing tip of the recess changes no third.
_LEAST_SLICE_MM2 = 150.0
_CUT = 0.25
# Of less than this height that ends so, no third means anything.
_LEAST_HEIGHT_MM = 120.0
# Where the line between the lungs may run, of the width of both.
_BETWEEN = (0.3, 0.7)
# Lungs that are not apart have so much of their air on that line.
_JOINED = 0.5
_MIDLINE_MM = 5.0
# What lies further from the lungs' air is in neither: the couch, an arm, the liver.
_OUTSIDE_MM = 30.0
# The outer third of the way from the middle of the chest to the lung's edge.
_PERIPHERAL = 2 / 3
_THIRDS = ("lower", "middle", "upper")


@dataclass(frozen=True)
class Place:
    """Where a finding lies; None where the scan does not tell."""

    side: Side | Literal["midline", "outside"] | None = None
    third: Literal["upper", "middle", "lower"] | None = None
    cut: bool = False
    depth: Literal["front", "back"] | None = None
    zone: Literal["central", "peripheral"] | None = None

    def __str__(self) -> str:
        if self.side is None:
            return "not known (no pair of lungs was recognised)"
        if self.side == "outside":
            return f"outside the lungs, more than {_OUTSIDE_MM:.0f} mm from their air"
        words = ["between the lungs" if self.side == "midline" else f"{self.side} lung"]
        if self.third:
            words.append(f"{self.third} third" + (" of the part scanned" if self.cut else ""))
        words += [word for word in (self.depth, self.zone) if word]
        return ", ".join(words)


@dataclass(frozen=True)
class Lungs:
    """The air of both lungs on a grid of the patient (``sampling.coarse``), and what divides them.

    ``air`` is (slices from the feet, rows from the front, columns from the right); ``middle`` is
    the column of the line between the lungs in each slice.
    """

    air: NDArray[np.bool_]
    placed: Placed
    steps: Floats
    middle: NDArray[np.int64]

    @staticmethod
    def find(small: _core.Scan, placed: Placed, threads: int = 1) -> Lungs | None:
        """The lungs of a coarse scan, or None where no pair of them is seen."""
        air = _core.lung_region(small, threads).view(np.bool_) & (small.hu < _LUNG_HU)
        x_mm, y_mm, z_mm = small.spacing_mm
        if np.count_nonzero(air) * x_mm * y_mm * z_mm < _LEAST_LUNG_ML * 1000:
            return None
        depth_mm = air.sum(axis=1) * y_mm
        middle = _line_between(depth_mm)
        if middle is None:
            return None
        return Lungs(air, placed, np.array([x_mm, y_mm, z_mm]), middle)

    def place(self, xyz_mm: tuple[float, float, float]) -> Place:
        """The words for a place in mm (LPS)."""
        index, row, col = self.placed.to_irc(np.array(xyz_mm))
        if not self._is_near(np.array([index, row, col])):
            return Place("outside")
        slice_ = int(np.clip(round(index), 0, len(self.middle) - 1))
        away_mm = (col - self.middle[slice_]) * self.steps[0]
        side: Side = "left" if away_mm > 0 else "right"
        lung = self._lung(side)
        third, cut = self._third(lung, index)
        plane = _nearest_plane(lung, slice_)
        depth = zone = None
        if plane is not None:
            depth = self._depth(lung[plane], row)
            zone = self._zone(lung[plane], slice_, row, col)
        if abs(away_mm) < _MIDLINE_MM:
            return Place("midline", third, cut, depth, None)
        return Place(side, third, cut, depth, zone)

    def _is_near(self, irc: Floats) -> bool:
        """Whether there is air of the lungs within ``_OUTSIDE_MM``."""
        in_mm = self.steps[::-1]
        reach = _OUTSIDE_MM / in_mm
        first = np.clip(np.floor(irc - reach), 0, self.air.shape).astype(int)
        last = np.clip(np.ceil(irc + reach) + 1, 0, self.air.shape).astype(int)
        around = self.air[tuple(map(slice, first, last))]
        away = (np.argwhere(around) + first - irc) * in_mm
        return bool(len(away) and (away**2).sum(axis=1).min() <= _OUTSIDE_MM**2)

    def _lung(self, side: Side) -> NDArray[np.bool_]:
        cols = np.arange(self.air.shape[2])
        beyond = cols > self.middle[:, None] if side == "left" else cols < self.middle[:, None]
        return self.air & beyond[:, None, :]

    def _third(
        self, lung: NDArray[np.bool_], index: float
    ) -> tuple[Literal["upper", "middle", "lower"] | None, bool]:
        area = lung.sum(axis=(1, 2)) * self.steps[0] * self.steps[1]
        seen = np.flatnonzero(area > _LEAST_SLICE_MM2)
        if len(seen) == 0:
            return None, False
        share = (index - seen[0] + 0.5) / (seen[-1] - seen[0] + 1)
        cut = bool(max(area[0], area[-1]) > _CUT * area.max())
        if cut and (seen[-1] - seen[0] + 1) * self.steps[2] < _LEAST_HEIGHT_MM:
            return None, cut
        return _THIRDS[int(np.clip(share * 3, 0, 2))], cut  # type: ignore[return-value]

    def _depth(self, plane: NDArray[np.bool_], row: float) -> Literal["front", "back"]:
        rows = np.flatnonzero(plane.any(axis=1))
        return "front" if row < (rows[0] + rows[-1]) / 2 else "back"

    def _zone(
        self, plane: NDArray[np.bool_], slice_: int, row: float, col: float
    ) -> Literal["central", "peripheral"]:
        rows = np.flatnonzero(plane.any(axis=1))
        start = np.array([(rows[0] + rows[-1]) / 2, float(self.middle[slice_])])
        way = np.array([row, col]) - start
        in_mm = self.steps[[1, 0]]
        length = float(np.hypot(*(way * in_mm)))
        if length == 0:
            return "central"
        # On from the middle through the finding, a millimetre at a time, to the lung's last air.
        reach = np.arange(0, np.hypot(*(np.array(plane.shape) * in_mm)), 1.0)
        at = np.rint(start + (way / length) * reach[:, None]).astype(int)
        on = ((at >= 0) & (at < plane.shape)).all(axis=1)
        air = reach[on][plane[tuple(at[on].T)]]
        edge = max(length, float(air.max()) if len(air) else 0.0)
        return "peripheral" if length / edge > _PERIPHERAL else "central"


def _nearest_plane(lung: NDArray[np.bool_], slice_: int) -> int | None:
    planes = np.flatnonzero(lung.any(axis=(1, 2)))
    return int(planes[np.argmin(np.abs(planes - slice_))]) if len(planes) else None


def _line_between(depth_mm: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """For each slice the column where the least air lies, as one line that bends gently.

    ``depth_mm`` (slices, columns): millimetres of lung from front to back. None where the least is
    still much: one lung alone, or two that cannot be told apart.
    """
    cols = np.flatnonzero(depth_mm.any(axis=0))
    first, last = cols[0], cols[-1]
    low, high = (round(first + share * (last - first)) for share in _BETWEEN)
    if high - low < 3:
        return None
    # In a broad gap the line keeps to its middle: what is far from it costs a little.
    places = np.arange(low, high + 1)
    cost = depth_mm[:, low : high + 1] + 0.01 * np.abs(places - (first + last) / 2)
    best = cost.copy()
    came = np.zeros(cost.shape, np.int64)
    for k in range(1, len(cost)):
        before = np.pad(best[k - 1], 1, constant_values=np.inf)
        options = np.stack([before[:-2], before[1:-1], before[2:]])
        came[k] = options.argmin(axis=0) - 1
        best[k] += options.min(axis=0)
    line = np.empty(len(cost), np.int64)
    line[-1] = best[-1].argmin()
    for k in range(len(cost) - 1, 0, -1):
        line[k - 1] = line[k] + came[k, line[k]]
    on_line = depth_mm[np.arange(len(line)), low + line].mean()
    if on_line > _JOINED * np.percentile(depth_mm[:, first : last + 1].mean(axis=0), 75):
        return None
    return np.asarray(low + line, np.int64)
