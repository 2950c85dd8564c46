"""How many pages look, so that no server is forgotten when the last one was closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Visitors:
    """Counts open pages; calls ``on_empty`` when the last one has been away for a moment."""

    def __init__(self, on_empty: Callable[[], None], *, moment_s: float = 2.0) -> None:
        self._on_empty = on_empty
        self._moment_s = moment_s  # a page that is loaded anew leaves and returns
        self._lock = threading.Lock()
        self._here = 0
        self._visits = 0
        self._empty_since: float | None = None

    @contextmanager
    def visit(self) -> Iterator[None]:
        """While a page is open."""
        with self._lock:
            self._here += 1
            self._visits += 1
            self._empty_since = None
        try:
            yield
        finally:
            self._leave()

    def seconds_empty(self) -> float:
        """Since the last page was closed; 0 while one is open or before the first."""
        with self._lock:
            return 0.0 if self._empty_since is None else time.monotonic() - self._empty_since

    def _leave(self) -> None:
        with self._lock:
            self._here -= 1
            if self._here:
                return
            self._empty_since = time.monotonic()
            visits = self._visits
        time.sleep(self._moment_s)
        with self._lock:
            returned = self._here > 0 or self._visits != visits
        if not returned:
            self._on_empty()
