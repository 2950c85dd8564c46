"""The scans of a data set: opened when asked for, and named by their content."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lunart import _core
from lunart.data.cache import Arrays, Store
from lunart.data.ct import Ct

# A scan of LUNA16 has 100 to 300 MB, and each worker process holds its own.
_HELD = 2


@dataclass(frozen=True)
class Digest:
    """SHA-256 of a scan's voxels alone, and of voxels and geometry."""

    voxels: str
    scan: str


class Scans:
    """Scans by series UID; holds the last ones that were asked for."""

    def __init__(self, paths: Mapping[str, Path], store: Store) -> None:
        self._paths = dict(paths)
        self._store = store
        self._held: OrderedDict[str, Ct] = OrderedDict()
        self._digests: dict[str, Digest] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": OrderedDict()}

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
        if series_uid not in self._digests:
            self._digests[series_uid] = self._look_up(self._paths[series_uid])
        return self._digests[series_uid]

    def _look_up(self, path: Path) -> Digest:
        state = _state(path)
        if state is None:
            return _digest(path)

        def make() -> Arrays:
            digest = _digest(path)
            return {
                "voxels": np.frombuffer(bytes.fromhex(digest.voxels), np.uint8),
                "scan": np.frombuffer(bytes.fromhex(digest.scan), np.uint8),
            }

        kept = self._store.arrays(f"digest.1/{path.resolve()}/{state}", make)
        return Digest(kept["voxels"].tobytes().hex(), kept["scan"].tobytes().hex())


def _digest(path: Path) -> Digest:
    scan = _core.read_scan(path)
    hu = np.ascontiguousarray(scan.hu)
    voxels = hashlib.sha256(f"{hu.dtype.str} {hu.shape}".encode())
    voxels.update(hu.data)
    whole = voxels.copy()
    whole.update(repr((scan.spacing_mm, scan.origin_mm, scan.direction)).encode())
    return Digest(voxels.hexdigest(), whole.hexdigest())


def _state(path: Path) -> str | None:
    """Sizes and times of a scan's files; None when the voxels may be in a file of another name."""
    files = sorted(path.parent.glob(f"{path.stem}.*"))
    if path.suffix == ".mhd" and len(files) < 2:
        return None
    stats = [(file.name, file.stat()) for file in files]
    text = repr([(name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in stats])
    return hashlib.sha256(text.encode()).hexdigest()
