"""The mask of each scan, by the way that the settings name, kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from lunart import _core
from lunart.data import lidc, masks
from lunart.data.cache import Arrays, Store
from lunart.data.luna16 import Luna16
from lunart.data.masks import Mask
from lunart.data.places import by_series
from lunart.data.scans import Scans
from lunart.data.tables import Annotation
from lunart.errors import DataError

#: ``best`` is votes where a scan has them and annotations elsewhere.
Way = Literal["best", "annotations", "votes", "contours"]
WAYS: tuple[Way, ...] = get_args(Way)
VERSION = 1


class Truth:
    """Masks by series UID; holds the last one.

    A voxel of votes or contours is nodule where so many ``readers`` marked it.
    """

    def __init__(
        self,
        luna: Luna16,
        scans: Scans,
        store: Store,
        way: Way = "best",
        readers: int = masks.READERS,
    ) -> None:
        self._scans, self._store, self._way, self._readers = scans, store, way, readers
        self._annotations = by_series(a for a in luna.annotations if a.series_uid in luna.series)
        self._votes = {uid: luna.votes(uid) for uid in luna.series}
        self._last: tuple[str, Mask] | None = None
        self._keys: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A mask is as large as a scan; a worker looks it up in the cache.
        return {**self.__dict__, "_last": None}

    def annotations(self, series_uid: str) -> list[Annotation]:
        """Nodules of a series."""
        return self._annotations.get(series_uid, [])

    def mask(self, series_uid: str) -> Mask:
        """Nodule voxels of a series, uint8. Raises ``DataError`` where the way has no data."""
        if self._last is None or self._last[0] != series_uid:
            self._last = (series_uid, self._load(series_uid))
        return self._last[1]

    def key(self, series_uid: str) -> str:
        """What the mask depends on."""
        if series_uid not in self._keys:
            self._keys[series_uid] = self._key(series_uid)
        return self._keys[series_uid]

    def _key(self, series_uid: str) -> str:
        way, votes = self._way_of(series_uid), self._votes[series_uid]
        source = repr(self.annotations(series_uid))
        if way == "votes" and votes is not None:
            stored = _core.read_scan(votes)
            voxels = hashlib.sha256(np.ascontiguousarray(stored.hu).data).hexdigest()
            source = f"{self._readers} of {voxels}"
        elif way == "contours":
            source = f"{self._readers} of {lidc.contours(series_uid)}"
        digest = hashlib.sha256(source.encode()).hexdigest()
        return f"mask.{VERSION}/{self._scans.digest(series_uid).scan}/{way}/{digest}"

    def _load(self, series_uid: str) -> Mask:
        def make() -> Arrays:
            mask = self._make(series_uid)
            return {"bits": np.packbits(mask), "shape": np.array(mask.shape)}

        kept = self._store.arrays(self.key(series_uid), make)
        shape = tuple(int(n) for n in kept["shape"])
        mask: Mask = np.unpackbits(kept["bits"], count=int(np.prod(shape))).reshape(shape)
        return mask

    def _make(self, series_uid: str) -> Mask:
        makers: dict[str, Callable[[str], Mask]] = {
            "annotations": self._from_annotations,
            "votes": self._from_votes,
            "contours": self._from_contours,
        }
        return makers[self._way_of(series_uid)](series_uid)

    def _way_of(self, series_uid: str) -> str:
        if self._way != "best":
            return self._way
        return "annotations" if self._votes[series_uid] is None else "votes"

    def _from_annotations(self, series_uid: str) -> Mask:
        return masks.from_annotations(self._scans.ct(series_uid), self.annotations(series_uid))

    def _from_votes(self, series_uid: str) -> Mask:
        path = self._votes[series_uid]
        if path is None:
            raise DataError(f"series {series_uid} has no votes/{series_uid}_votes.mhd")
        return masks.from_votes(self._scans.ct(series_uid), path, self._readers)

    def _from_contours(self, series_uid: str) -> Mask:
        stored = _core.read_scan(self._scans.path(series_uid))
        return masks.from_contours(stored, lidc.contours(series_uid), self._readers)
