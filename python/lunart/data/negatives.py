"""Negatives of each series: the table's candidates, or quiet places where there is no table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from lunart import _core
from lunart.data import quiet_places
from lunart.data.cache import Arrays, Store
from lunart.data.ct import Ct
from lunart.data.luna16 import Luna16
from lunart.data.masks import Mask
from lunart.data.places import Place, by_series, within
from lunart.data.scans import Scans
from lunart.data.tables import Annotation, Candidate
from lunart.data.truth import Truth
from lunart.training.source import generator

_Draw = Callable[[np.random.Generator, Ct, int, list[Annotation], Mask], quiet_places.Places]
_WAYS: dict[str, _Draw] = {
    "lungs": quiet_places.in_lungs,
    "body": quiet_places.in_body,
}


class Negatives:
    """Draws negatives of each series by itself.

    The same for every seed of a training, so that one cache serves all of them.
    """

    def __init__(self, luna: Luna16, scans: Scans, truth: Truth, store: Store) -> None:
        self._luna, self._scans, self._truth, self._store = luna, scans, truth, store
        rows = luna.candidates
        self._candidates = None if rows is None else by_series(r for r in rows if not r.label)
        self._excluded = by_series(luna.excluded)

    @property
    def from_table(self) -> bool:
        """Whether there is a table of candidates."""
        return self._candidates is not None

    def candidates(self, series_uid: str) -> list[Place]:
        """Every candidate of the table that is no nodule; none without the table."""
        rows = (self._candidates or {}).get(series_uid, [])
        annotations = self._truth.annotations(series_uid)
        rows = within(self._luna, series_uid, rows, "candidates")
        return [
            Place(series_uid, row.center_xyz_mm, False)
            for row in rows
            if not any(_hits(row, annotation) for annotation in annotations)
        ]

    def some_candidates(self, series_uid: str, count: int) -> list[Place]:
        """``count`` of the candidates at most."""
        rows = self.candidates(series_uid)
        rng = generator(_number(series_uid))
        chosen = np.sort(rng.permutation(len(rows))[:count])
        return [rows[k] for k in chosen]

    def in_lungs(self, series_uid: str, count: int) -> list[Place]:
        """Places in the lungs far from whatever is marked, ``count`` at most."""
        return self._quiet("lungs", series_uid, count)

    def in_body(self, series_uid: str, count: int) -> list[Place]:
        """Places anywhere in the body far from whatever is marked, ``count`` at most."""
        return self._quiet("body", series_uid, count)

    def _quiet(self, way: str, series_uid: str, count: int) -> list[Place]:
        known = self._truth.annotations(series_uid) + self._excluded.get(series_uid, [])
        ties = hashlib.sha256(repr((known, self._truth.key(series_uid))).encode()).hexdigest()
        key = (
            f"{way}.{quiet_places.VERSION}/core-{_core.__version__}"
            f"/{self._scans.digest(series_uid).scan}/{ties}/{count}"
        )

        def make() -> Arrays:
            rng = generator(_number(series_uid))
            ct, mask = self._scans.ct(series_uid), self._truth.mask(series_uid)
            irc = _WAYS[way](rng, ct, count, known, mask)
            xyz = [ct.to_xyz((float(i), float(r), float(c))) for i, r, c in irc]
            return {"xyz_mm": np.array(xyz, float).reshape(-1, 3)}

        xyz = self._store.arrays(key, make)["xyz_mm"]
        return [Place(series_uid, (float(x), float(y), float(z)), False) for x, y, z in xyz]


def _hits(candidate: Candidate, annotation: Annotation) -> bool:
    # LUNA16's rule for a hit: a table that calls this place no nodule contradicts itself.
    gap = np.subtract(candidate.center_xyz_mm, annotation.center_xyz_mm)
    return bool(np.linalg.norm(gap) <= annotation.diameter_mm / 2)


def _number(series_uid: str) -> int:
    return int.from_bytes(hashlib.sha256(series_uid.encode()).digest()[:8], "big")
