"""FROC: the share of nodules that are found against the false positives a scan that it costs.

As LUNA16's script has it: the curve is joined by straight lines, nodules without any candidate are
never found, every scan counts in "a scan", and the intervals draw scans with replacement. The
sensitivities at 1/8 ... 8 false positives a scan are read off, and their mean is the competition
performance metric (CPM). Where the script would divide by zero (no nodule has a candidate) the
sensitivity is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart.evaluation.matching import Match
from lunart.evaluation.resampling import Bootstrap, Estimate, bounds, draws, estimated
from lunart.evaluation.roc import step_ends

#: False positives a scan.
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_BAND_POINTS = 121

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Band:
    """The interval of the sensitivity over false positives a scan, for a plot."""

    rates: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Froc:
    """The curve by falling ``threshold``, the first of which is infinite: nothing is called."""

    false_positives: Floats
    sensitivity: Floats
    threshold: Floats
    at_rates: tuple[Estimate, ...]
    cpm: Estimate
    band: Band | None

    def to_json(self) -> dict[str, Any]:
        return {
            "at_rates": [
                {"false_positives_per_scan": rate, "sensitivity": estimate.to_json()}
                for rate, estimate in zip(RATES, self.at_rates, strict=True)
            ],
            "cpm": self.cpm.to_json(),
            "curve": {
                "false_positives_per_scan": self.false_positives.tolist(),
                "sensitivity": self.sensitivity.tolist(),
                "threshold": [None, *self.threshold[1:].tolist()],
            },
        }


def froc(matches: Sequence[Match], bootstrap: Bootstrap | None = None) -> Froc | None:
    """The FROC of some scans; None when they have no nodule, for then it is not defined."""
    bootstrap = bootstrap or Bootstrap()
    marks = _Marks(matches)
    once = np.ones(len(matches))
    if not marks.nodules.sum():
        return None
    false_positives, sensitivity = marks.curve(once)
    grid = np.geomspace(RATES[0], RATES[-1], _BAND_POINTS)
    samples, bands = [], []
    for drawn in draws(len(matches), bootstrap):
        times = np.bincount(drawn, minlength=len(matches)).astype(np.float64)
        if times @ marks.nodules:
            curve = marks.curve(times)
            samples.append(np.interp(RATES, *curve))
            bands.append(np.interp(grid, *curve))
    drawn_rates = np.array(samples).reshape(-1, len(RATES))
    values = np.interp(RATES, false_positives, sensitivity)
    return Froc(
        false_positives,
        sensitivity,
        np.concatenate([[np.inf], marks.steps]),
        tuple(
            estimated(float(value), drawn_rates[:, k], bootstrap) for k, value in enumerate(values)
        ),
        estimated(float(values.mean()), drawn_rates.mean(axis=1), bootstrap),
        _band(grid, np.array(bands), bootstrap) if bands else None,
    )


class _Marks:
    """The marks of all scans by falling probability, with the scan that each is in."""

    def __init__(self, matches: Sequence[Match]) -> None:
        probabilities, scans, positives = [], [], []
        for place, match in enumerate(matches):
            for values, positive in (
                (match.best[~np.isnan(match.best)], True),
                (match.probability[match.false], False),
            ):
                probabilities.append(values)
                scans.append(np.full(len(values), place))
                positives.append(np.full(len(values), positive))
        probability = np.concatenate(probabilities)
        order = np.argsort(-probability, kind="stable")
        self._scan = np.concatenate(scans)[order]
        self._positive = np.concatenate(positives)[order]
        self._ends = step_ends(probability[order])
        self.steps = probability[order][self._ends]
        self.nodules = np.array([len(match.best) for match in matches], np.float64)

    def curve(self, times: Floats) -> tuple[Floats, Floats]:
        """False positives a scan and sensitivity where each scan comes ``times``."""
        weight = times[self._scan]
        found = np.cumsum(weight * self._positive)[self._ends]
        false = np.cumsum(weight * ~self._positive)[self._ends]
        return (
            np.concatenate([[0.0], false / len(times)]),
            np.concatenate([[0.0], found / (times @ self.nodules)]),
        )


def _band(rates: Floats, samples: Floats, bootstrap: Bootstrap) -> Band:
    columns = [bounds(column, bootstrap.confidence) for column in samples.T]
    return Band(
        rates,
        np.array([low for low, _, _ in columns], np.float64),
        np.array([high for _, high, _ in columns], np.float64),
    )
