"""The scan of a fresh result once more, when a notebook wants its pictures.

A result keeps no voxels: thousands of them would fill the memory. It remembers where they came
from: a path is read again, and an array or image is looked at if somebody else still holds it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeVar

from lunart import _core

#: Gives the scan, or None when it is gone.
Again = Callable[[], "_core.Scan | None"]
Source = TypeVar("Source")


def again(source: Source, read: Callable[[Source], _core.Scan]) -> Again:
    """Remember a scan by what it was read from, without keeping an array alive."""
    if isinstance(source, str) or hasattr(source, "__fspath__"):
        return lambda: read(source)
    try:
        held = weakref.ref(source)
    except TypeError:  # a list, say
        return lambda: None

    def look() -> _core.Scan | None:
        alive = held()
        return None if alive is None else read(alive)

    return look
