"""NIfTI-1 files that are made while they are sent, from voxels in memory or in a mapped file.

Layout and codes are those of nifti1.h (https://nifti.nimh.nih.gov/nifti-1). A scan larger than a
graphics card holds is sent with every n-th voxel of an axis.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core

Irc = tuple[int, int, int]

_HEADER_BYTES = 352  # with the four bytes that say that no extension follows
_CODES = {"int16": 4, "uint8": 2, "uint16": 512}
_LABELS_INTENT = 1002
_MILLIMETRES = 2
_SCANNER = 1  # sform_code: millimetres of the scanner
# A window in the header spares the reader a pass over all voxels.
_LUNG_HU = (-1350.0, 150.0)


@dataclass(frozen=True)
class NiftiFile:
    """A file's length in bytes, and its pieces."""

    length: int
    pieces: Iterator[bytes | memoryview]


def scan_file(scan: _core.Scan, step: Irc) -> NiftiFile:
    """The HU of a scan as int16, rounded and clipped where they are no whole numbers of 16 bits."""
    header, voxels = _header(scan, step, "int16", _LUNG_HU)
    return NiftiFile(_HEADER_BYTES + 2 * voxels, _scan_pieces(header, scan.hu, step))


def label_file(scan: _core.Scan, runs: LabelRuns, step: Irc) -> NiftiFile:
    """The labels of findings in a scan's geometry, a byte or two a voxel; 0 is none."""
    header, voxels = _header(scan, step, runs.dtype.name, (0.0, float(runs.highest)))
    length = _HEADER_BYTES + runs.dtype.itemsize * voxels
    return NiftiFile(length, _label_pieces(header, runs, scan.shape_irc, step))


class LabelRuns:
    """Runs of voxels with a label each, in the order of the scan; no run crosses a row's end."""

    def __init__(self, runs_of_labels: dict[int, NDArray[np.int64]]) -> None:
        """``runs_of_labels``: label to (runs, 2) of offset in the flattened scan, and length."""
        parts = [
            np.column_stack([runs, np.full(len(runs), label, np.int64)])
            for label, runs in runs_of_labels.items()
        ]
        joined = np.concatenate([np.empty((0, 3), np.int64), *parts])
        self._runs = joined[np.argsort(joined[:, 0], kind="stable")]
        self.highest = max(runs_of_labels, default=1)
        self.dtype = np.dtype("uint8" if self.highest <= 255 else "<u2")

    def fill_plane(self, plane: NDArray[np.unsignedinteger], index: int) -> None:
        """Write the labels of one plane of the scan's first axis, (row, col)."""
        flat = plane.reshape(-1)
        flat[:] = 0
        begin = index * flat.size
        first, last = np.searchsorted(self._runs[:, 0], [begin, begin + flat.size])
        for offset, length, label in self._runs[first:last]:
            flat[offset - begin : offset - begin + length] = label


def _header(
    scan: _core.Scan, step: Irc, dtype: str, window: tuple[float, float]
) -> tuple[bytes, int]:
    """The header, and how many voxels follow it."""
    index, row, col = _sides(scan.shape_irc, step)
    affine = _affine_ras(scan, step)
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    bits = 8 * np.dtype(dtype).itemsize
    labels = _LABELS_INTENT if dtype != "int16" else 0
    header = struct.pack(
        "<i35xB8h3f4h8f3fhBB4f2i80s24s2h6f12f16s4s4x",
        348, 0,
        3, col, row, index, 1, 1, 1, 1,
        0.0, 0.0, 0.0, labels, _CODES[dtype], bits, 0,
        1.0, *lengths, 0.0, 0.0, 0.0, 0.0,
        float(_HEADER_BYTES), 1.0, 0.0, 0, 0, _MILLIMETRES,
        window[1], window[0], 0.0, 0.0, 0, 0,
        b"", b"", 0, _SCANNER, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        *affine.ravel(), b"", b"n+1\0",
    )  # fmt: skip
    return header, index * row * col


def _affine_ras(scan: _core.Scan, step: Irc) -> NDArray[np.float64]:
    """3x4, from (col, row, index) of the file to millimetres that grow right, front and head."""
    to_xyz = scan.geometry.to_xyz
    origin = np.array(to_xyz((0, 0, 0)))
    ends = [(0, 0, step[2]), (0, step[1], 0), (step[0], 0, 0)]
    columns = [np.array(to_xyz(end)) - origin for end in ends]
    affine = np.column_stack([*columns, origin])
    affine[:2] *= -1  # LPS to RAS
    return affine


def _sides(shape: Irc, step: Irc) -> Irc:
    index, row, col = (-(-side // by) for side, by in zip(shape, step, strict=True))
    return index, row, col


def _scan_pieces(
    header: bytes, hu: NDArray[np.int16] | NDArray[np.float32], step: Irc
) -> Iterator[bytes | memoryview]:
    yield header
    for plane in hu[:: step[0], :: step[1], :: step[2]]:
        if plane.dtype != np.int16:
            plane = np.clip(np.rint(plane), -32768, 32767)
        yield _bytes_of(plane, "<i2")


def _label_pieces(
    header: bytes, runs: LabelRuns, shape: Irc, step: Irc
) -> Iterator[bytes | memoryview]:
    yield header
    plane = np.zeros(shape[1:], runs.dtype)
    for index in range(0, shape[0], step[0]):
        runs.fill_plane(plane, index)
        yield _bytes_of(plane[:: step[1], :: step[2]], runs.dtype.str)


def _bytes_of(plane: NDArray[Any], dtype: str) -> memoryview:
    """The plane's bytes; those of the scan itself, without a copy, where they are as wanted."""
    return np.ascontiguousarray(plane, dtype).data.cast("B")
