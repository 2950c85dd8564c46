"""What is done and how long the rest will take, a line a scan on standard error."""

from __future__ import annotations

import sys
import time

from lunart.cli import say
from lunart.evaluation.cases import Case
from lunart.evaluation.matching import match
from lunart.evaluation.score import Outcome


class Progress:
    """Counts scans; the time left follows the slices that were inferred so far."""

    def __init__(self, scans: int, slices: int) -> None:
        self._scans, self._slices_left = scans, slices
        self._done = self._inferred = 0
        self._seconds = 0.0
        self._last = time.monotonic()

    def done(self, threshold: float, case: Case, outcome: Outcome, fresh: bool) -> None:
        """A scan is done; ``fresh`` when it was inferred just now."""
        now = time.monotonic()
        past, self._last = now - self._last, now
        self._done += 1
        self._slices_left -= case.slices
        if fresh:
            self._inferred += case.slices
            self._seconds += past
        matched = match(outcome.truth, outcome.calls)
        text = (
            f"{self._done}/{self._scans} {case.truth.series_uid}: "
            f"{matched.found(threshold)} of {len(matched.best)} found, "
            f"{matched.false_calls(threshold)} false calls; "
        )
        text += f"{past:.1f} s" if fresh else "kept from before"
        if self._inferred and self._slices_left:
            left = self._seconds / self._inferred * self._slices_left
            text += f", about {left:.0f} s left"
        say(text, sys.stderr)
