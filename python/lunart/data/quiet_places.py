"""Places of a scan where nobody marked anything: negatives that no table names.

In the lungs they stand in for ``candidates.csv``, whose places are what a detector took for nodules
and much harder: a classifier that tells these apart is not yet a good one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.data.ct import Ct
from lunart.data.masks import Mask
from lunart.data.tables import Annotation

VERSION = 1
#: From the surface of what is annotated or marked.
FAR_MM = 10.0
# LUNA16's evaluation takes 10 mm for what has no diameter.
_UNKNOWN_DIAMETER_MM = 10.0
# Vessels and walls look more like nodules than the air between them: half the places are there.
_DENSE_HU = -500
_BODY_HU = -700
_DRAWN_EACH = 8

Places = NDArray[np.int64]


def in_lungs(
    rng: np.random.Generator, ct: Ct, count: int, annotations: list[Annotation], marked: Mask
) -> Places:
    """``(n, 3)`` voxels (index, row, col) of the lung region, n at most ``count``.

    Half of them are in dense tissue. ``annotations`` are all that is known of the scan, also what
    is excluded; ``marked`` are voxels known to be nodule.
    """
    lungs = np.flatnonzero(_core.lung_region(ct.scan))
    dense = lungs[ct.scan.hu.ravel()[lungs] > _DENSE_HU]
    return np.concatenate(
        [
            _draw(rng, ct, pool, wanted, annotations, marked)
            for pool, wanted in ((dense, count // 2), (lungs, count - count // 2))
        ]
    )


def in_body(
    rng: np.random.Generator, ct: Ct, count: int, annotations: list[Annotation], marked: Mask
) -> Places:
    """The same anywhere in the body: what a network sees where no lung region is asked for."""
    body = np.flatnonzero(ct.scan.hu > _BODY_HU)
    return _draw(rng, ct, body, count, annotations, marked)


def _draw(
    rng: np.random.Generator,
    ct: Ct,
    pool: NDArray[np.int64],
    wanted: int,
    annotations: list[Annotation],
    marked: Mask,
) -> Places:
    if not len(pool):
        return np.zeros((0, 3), np.int64)
    drawn = rng.choice(pool, wanted * _DRAWN_EACH)
    irc = np.column_stack(np.unravel_index(drawn, ct.shape_irc)).astype(np.int64)
    return irc[_far(ct, irc, annotations, marked)][:wanted]


def _far(ct: Ct, irc: Places, annotations: list[Annotation], marked: Mask) -> NDArray[np.bool_]:
    from scipy.spatial import cKDTree  # type: ignore[import-untyped]

    mm = irc * np.array(ct.spacing_irc_mm)
    far = np.ones(len(irc), bool)
    for annotation in annotations:
        known = annotation.diameter_mm if annotation.diameter_mm > 0 else _UNKNOWN_DIAMETER_MM
        center = np.array(ct.to_irc(annotation.center_xyz_mm)) * ct.spacing_irc_mm
        far &= np.linalg.norm(mm - center, axis=1) > known / 2 + FAR_MM
    voxels = np.argwhere(marked)
    if len(voxels):
        tree = cKDTree(voxels * np.array(ct.spacing_irc_mm))
        distance, _ = tree.query(mm, distance_upper_bound=FAR_MM)
        far &= ~np.isfinite(distance)
    return far
