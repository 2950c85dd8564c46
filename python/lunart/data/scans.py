"""The scans of a data set: opened when asked for, and named by their content."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lunart import _core
from lunart.data.cache import Arrays, Store
from lunart.data.ct import Ct

# A scan of LUNA16 has 100 to 300 MB, and each worker process holds its own.
_HELD = 2
# Raised when the same file gives other facts.
_VERSION = 2


@dataclass(frozen=True)
class Digest:
    """SHA-256 of a scan's voxels alone, and of voxels and geometry."""

    voxels: str
    scan: str


@dataclass(frozen=True, eq=False)
class _Known:
    """What is asked of every scan of a set, so that a training need not read them all."""

    digest: Digest
    #: Of the :class:`Ct`, not of the scan as stored.
    geometry: _core.Geometry


class Scans:
    """Scans by series UID; holds the last ones that were asked for."""

    def __init__(self, paths: Mapping[str, Path], store: Store) -> None:
        self._paths = dict(paths)
        self._store = store
        self._held: OrderedDict[str, Ct] = OrderedDict()
        self._known: dict[str, _Known] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A scan is large, and the core's objects cannot be sent.
        return {**self.__dict__, "_held": OrderedDict(), "_known": {}}

    @property
    def series(self) -> Set[str]:
        """UIDs of the scans."""
        return self._paths.keys()

    def path(self, series_uid: str) -> Path:
        """File of a scan."""
        return self._paths[series_uid]

    def ct(self, series_uid: str) -> Ct:
        """The scan. Raises :class:`lunart.errors.ScanError`."""
        if series_uid not in self._held:
            self._held[series_uid] = Ct.read(self._paths[series_uid])
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(series_uid)
        return self._held[series_uid]

    def digest(self, series_uid: str) -> Digest:
        """Content of a scan; a file that changed since an earlier run is read again."""
        return self._look_up(series_uid).digest

    def geometry(self, series_uid: str) -> _core.Geometry:
        """Geometry of a scan's :class:`Ct`, for which it is read once at most."""
        return self._look_up(series_uid).geometry

    def _look_up(self, series_uid: str) -> _Known:
        if series_uid not in self._known:
            path = self._paths[series_uid]
            state = _state(path)
            kept = (
                _facts(path)
                if state is None
                else self._store.arrays(
                    f"scan.{_VERSION}/core-{_core.__version__}/{path.resolve()}/{state}",
                    lambda: _facts(path),
                )
            )
            self._known[series_uid] = _known(kept)
        return self._known[series_uid]


def _facts(path: Path) -> Arrays:
    scan = _core.read_scan(path)
    hu = np.ascontiguousarray(scan.hu)
    voxels = hashlib.sha256(f"{hu.dtype.str} {hu.shape}".encode())
    voxels.update(hu.data)
    whole = voxels.copy()
    whole.update(repr((scan.spacing_mm, scan.origin_mm, scan.direction)).encode())
    geometry = _core.oriented(scan).geometry
    return {
        "voxels": np.frombuffer(voxels.digest(), np.uint8),
        "scan": np.frombuffer(whole.digest(), np.uint8),
        "shape_irc": np.array(geometry.shape_irc),
        "spacing_mm": np.array(geometry.spacing_mm),
        "origin_mm": np.array(geometry.origin_mm),
        "direction": np.array(geometry.direction),
    }


def _known(facts: Arrays) -> _Known:
    return _Known(
        Digest(facts["voxels"].tobytes().hex(), facts["scan"].tobytes().hex()),
        _core.Geometry(
            shape_irc=facts["shape_irc"].tolist(),
            spacing_mm=facts["spacing_mm"].tolist(),
            origin_mm=facts["origin_mm"].tolist(),
            direction=facts["direction"].tolist(),
        ),
    )


def _state(path: Path) -> str | None:
    """Sizes and times of a scan's files; None when the voxels may be in a file of another name."""
    files = sorted(path.parent.glob(f"{path.stem}.*"))
    if path.suffix == ".mhd" and len(files) < 2:
        return None
    stats = [(file.name, file.stat()) for file in files]
    text = repr([(name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in stats])
    return hashlib.sha256(text.encode()).hexdigest()
