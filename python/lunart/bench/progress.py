"""What is being measured and how long the rest will take, on standard error."""

from __future__ import annotations

import sys
import time

# What was done must tell something about what is left.
_ENOUGH = 4.0


class Progress:
    """Steps with a weight each, which is roughly how long they take."""

    def __init__(self, prog: str, steps: dict[str, float], *, quiet: bool) -> None:
        self._prog = prog
        self._left = dict(steps)
        self._all = len(steps)
        self._done = 0.0
        self._began = time.monotonic()
        self._quiet = quiet or sys.stderr is None
        self._redraws = not self._quiet and sys.stderr.isatty()

    def begin(self, step: str) -> None:
        """Say that a step begins. A step that will not come is ended without beginning."""
        if self._quiet:
            return
        number = self._all - len(self._left) + 1
        text = f"{self._prog}: {number}/{self._all} {step}{self._eta()}"
        end = "" if self._redraws else "\n"
        start = "\r\033[K" if self._redraws else ""
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)

    def end(self, step: str) -> None:
        self._done += self._left.pop(step, 0.0)
        if not self._left and self._redraws:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _eta(self) -> str:
        if self._done < _ENOUGH:
            return ""
        past = time.monotonic() - self._began
        left = past / self._done * sum(self._left.values())
        return f", about {left:.0f} s left"
