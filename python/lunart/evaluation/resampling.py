"""Bootstrap intervals: of any number that is computed from rows, over groups of rows.

What is drawn with replacement is a *group* (a scan, a patient): two nodules of one patient are not
two independent observations. The bounds are those of LUNA16's evaluation script, the sorted values
at places floor(p * n) and floor((1 - p) * n).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lunart.errors import UsageError

#: Takes places of rows, which may come more than once, and returns a number or NaN (undefined).
Statistic = Callable[[NDArray[np.int64]], float]
#: The group of each row: names, numbers.
Groups = Sequence[Hashable] | NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals are made; the same ``seed`` gives the same ones."""

    resamples: int = 1000
    seed: int = 1
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 0 or not 0 < self.confidence < 1:
            raise UsageError(
                f"{self.resamples} resamples with confidence {self.confidence}; "
                "expected 0 or more, and a confidence between 0 and 1"
            )


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; None where it is not defined.

    There is no interval of fewer than two groups. ``resamples`` counts those in which the number
    was defined; the others say nothing.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    resamples: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "resamples": self.resamples,
        }

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(statistic: Statistic, groups: Groups, bootstrap: Bootstrap | None = None) -> Estimate:
    """A statistic of all rows, with its interval. ``groups`` names the group of each row."""
    bootstrap = bootstrap or Bootstrap()
    members = _members(groups)
    whole = np.arange(len(groups))
    samples = [
        statistic(np.concatenate([members[group] for group in drawn]))
        for drawn in draws(len(members), bootstrap)
    ]
    return estimated(statistic(whole), samples, bootstrap)


def estimated(value: float, samples: ArrayLike, bootstrap: Bootstrap) -> Estimate:
    """A number, and its interval from what it was in each resample."""
    if not np.isfinite(value):
        return Estimate(None)
    low, high, defined = bounds(np.asarray(samples, np.float64), bootstrap.confidence)
    return Estimate(float(value), low, high, defined)


def bounds(
    samples: NDArray[np.float64], confidence: float
) -> tuple[float | None, float | None, int]:
    """Lower and upper bound of the finite samples (None where there are none), and their number."""
    finite = np.sort(samples[np.isfinite(samples)])
    n = len(finite)
    if not n:
        return None, None, 0
    tail = (1 - confidence) / 2
    low, high = int(tail * n), min(n - 1, int((1 - tail) * n))
    return float(finite[low]), float(finite[high]), n


def draws(count: int, bootstrap: Bootstrap) -> Iterator[NDArray[np.int64]]:
    """``count`` groups drawn with replacement, once for each resample; none of a single group."""
    if count < 2:
        return
    rng = np.random.default_rng(bootstrap.seed)
    for _ in range(bootstrap.resamples):
        yield rng.integers(count, size=count)


def _members(groups: Groups) -> list[NDArray[np.int64]]:
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return [np.array(places, np.int64) for places in rows.values()]
