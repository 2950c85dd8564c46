"""Arrays that are slow to make, kept on disk between runs, epochs and worker processes.

A key names everything that an entry depends on (kind and version of the code, the scan's content,
settings), so that an entry is never stale, only unused. An entry is a compressed safetensors file
of its arrays: zlib's checksum tells a damaged one, and nothing is ever unpickled. The folder can be
deleted at any time.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import weakref
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lunart.errors import OutputError

if TYPE_CHECKING:
    from diskcache import FanoutCache  # type: ignore[import-untyped]

Arrays = Mapping[str, NDArray[Any]]
_LOG = logging.getLogger("lunart.data")
# CT noise hardly packs: higher levels take three times as long for 5 %.
_LEVEL = 1
# Writers wait for each other within a shard only.
_SHARDS = 8
_PATIENCE_S = 30.0


class Store(Protocol):
    """Where arrays are looked up before they are made."""

    def arrays(self, key: str, make: Callable[[], Arrays]) -> Arrays:
        """The entry of a key, made where it is not there."""

    def fill(self, key: str, make: Callable[[], Arrays]) -> bool:
        """Make sure that an entry is there; True when it had to be made."""


class NoCache:
    """Makes everything anew."""

    def arrays(self, key: str, make: Callable[[], Arrays]) -> Arrays:
        return make()

    def fill(self, key: str, make: Callable[[], Arrays]) -> bool:
        return False


class Cache:
    """A folder of entries that several processes may use at once.

    A damaged entry is dropped and made again, with a warning. When the folder cannot be used or the
    disk is full, reading goes on without it, with one warning; :meth:`fill`, whose only purpose is
    the folder, raises ``OutputError`` instead.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._open: FanoutCache | None = None
        self._usable = True

    def __getstate__(self) -> dict[str, Any]:
        # A worker opens the folder itself: a connection to SQLite cannot be sent.
        return {"folder": self.folder, "_open": None, "_usable": self._usable}

    def arrays(self, key: str, make: Callable[[], Arrays]) -> Arrays:
        """The entry of a key; made, and kept where that is possible, when it is not there."""
        found = self._read(key) if self._usable else None
        if found is not None:
            return found
        made = make()
        if self._usable:
            try:
                self._write(key, made)
            except OutputError as error:
                self._give_up(error)
        return made

    def fill(self, key: str, make: Callable[[], Arrays]) -> bool:
        """Make an entry that is missing or damaged. Raises ``OutputError``."""
        if self._read(key) is not None:
            return False
        self._write(key, make())
        return True

    def require_writable(self) -> None:
        """Raise ``OutputError`` now rather than after hours of work."""
        self._write("probe", {"probe": np.zeros(1, np.uint8)})

    def size_bytes(self) -> int:
        """What all entries take on the disk. Raises ``OutputError``."""
        return int(self._shards().volume())

    def _read(self, key: str) -> Arrays | None:
        try:
            content = self._shards().get(key)
        except OutputError as error:
            self._give_up(error)
            return None
        except (OSError, sqlite3.Error, ValueError) as error:
            _LOG.warning("%s: entry %s cannot be read (%s): made again", self.folder, key, error)
            return None
        if content is None:
            return None
        try:
            return _unpack(content)
        except Exception as error:
            # Whatever a damaged entry makes zlib or safetensors raise.
            _LOG.warning("%s: entry %s is damaged (%s): made again", self.folder, key, error)
            self._drop(key)
            return None

    def _write(self, key: str, arrays: Arrays) -> None:
        try:
            if not self._shards().set(key, _pack(arrays)):
                raise OutputError(f"{self.folder}: the cache is locked by another process")
        except (OSError, sqlite3.Error) as error:
            raise OutputError(
                f"{self.folder}: the cache cannot be written ({_reason(error)}); free space there "
                "or choose another folder (--cache)"
            ) from error

    def _drop(self, key: str) -> None:
        try:
            self._shards().delete(key)
        except (OSError, sqlite3.Error, OutputError) as error:
            _LOG.warning("%s: entry %s cannot be dropped (%s)", self.folder, key, error)

    def _shards(self) -> FanoutCache:
        if self._open is None:
            self._open = _opened(self.folder)
            # diskcache does not close its files, of which Python 3.13 warns.
            weakref.finalize(self, self._open.close)
        return self._open

    def _give_up(self, error: OutputError) -> None:
        _LOG.warning("%s: going on without the cache", error)
        self._usable = False


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/lunart/data``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "lunart", "data")


def _opened(folder: Path) -> FanoutCache:
    import diskcache

    class BytesOnly(diskcache.Disk):  # type: ignore[misc]
        """Refuses what would have to be unpickled: we store bytes."""

        def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
            if mode == diskcache.core.MODE_PICKLE:
                raise ValueError("not an entry of this program")
            return super().fetch(mode, filename, value, read)

    try:
        return diskcache.FanoutCache(
            str(folder),
            shards=_SHARDS,
            timeout=_PATIENCE_S,
            disk=BytesOnly,
            # Entries are never thrown out behind a training's back: the folder grows until deleted.
            eviction_policy="none",
            cull_limit=0,
        )
    except (OSError, sqlite3.Error, diskcache.Timeout) as error:
        remedy = (
            "" if isinstance(error, OSError) else "delete the folder, which only costs time, or "
        )
        raise OutputError(
            f"{folder}: the cache cannot be opened ({_reason(error)}); {remedy}choose another "
            "folder (--cache)"
        ) from error


def _reason(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return "the disk is full" if full or "disk is full" in str(error) else str(error)


def _pack(arrays: Arrays) -> bytes:
    from safetensors.numpy import save

    return zlib.compress(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}), _LEVEL)


def _unpack(content: bytes) -> Arrays:
    from safetensors.numpy import load

    arrays: Arrays = load(zlib.decompress(content))
    return arrays
