"""What luna-view sends: NIfTI files that are the scan and its mask, in its millimetres."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lunart import _core
from lunart.view.nifti import LabelRuns, NiftiFile, label_file, scan_file
from numpy.typing import NDArray
from viewed import DIRECTIONS, Viewed, write_viewed

WHOLE = (1, 1, 1)


@pytest.fixture(scope="module", params=DIRECTIONS)
def viewed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Viewed:
    return write_viewed(tmp_path_factory.mktemp("viewed"), direction=request.param)


def test_the_scan_arrives_with_its_voxels_where_they_are(viewed: Viewed) -> None:
    sent = read(scan_file(viewed.scan, WHOLE))
    np.testing.assert_array_equal(sent.voxels, viewed.scan.hu)
    for irc in [(0, 0, 0), (3, 17, 5), (23, 47, 55)]:
        expected = viewed.scan.geometry.to_xyz(irc)
        np.testing.assert_allclose(sent.to_xyz(irc), expected, atol=1e-3)


def test_a_large_scan_arrives_with_every_nth_voxel_in_its_place(viewed: Viewed) -> None:
    sent = read(scan_file(viewed.scan, (2, 3, 5)))
    np.testing.assert_array_equal(sent.voxels, viewed.scan.hu[::2, ::3, ::5])
    expected = viewed.scan.geometry.to_xyz((2 * 4, 3 * 7, 5 * 9))
    np.testing.assert_allclose(sent.to_xyz((4, 7, 9)), expected, atol=1e-3)


@pytest.mark.parametrize("step", [WHOLE, (3, 2, 2)])
def test_the_mask_arrives_as_the_runs_say(viewed: Viewed, step: tuple[int, int, int]) -> None:
    runs = LabelRuns({label: runs_of(viewed.labels == label) for label in (1, 2, 3)})
    expected = viewed.labels[:: step[0], :: step[1], :: step[2]]
    np.testing.assert_array_equal(read(label_file(viewed.scan, runs, step)).voxels, expected)


def test_many_labels_take_two_bytes(viewed: Viewed) -> None:
    runs = LabelRuns({3000: runs_of(viewed.labels == 1)})
    sent = read(label_file(viewed.scan, runs, WHOLE))
    np.testing.assert_array_equal(sent.voxels, np.where(viewed.labels == 1, 3000, 0))


@pytest.mark.parametrize("direction", [name for name in DIRECTIONS if name != "tilted"])
def test_another_reader_sees_the_same_scan(direction: str, tmp_path: Path) -> None:
    """But for tilted scans, which SimpleITK refuses."""
    sitk = pytest.importorskip("SimpleITK")
    viewed = write_viewed(tmp_path, direction=direction)
    path = tmp_path / "sent.nii"
    path.write_bytes(content_of(scan_file(viewed.scan, WHOLE)))
    sent, stored = sitk.ReadImage(str(path)), sitk.ReadImage(str(viewed.scan_path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sent), sitk.GetArrayFromImage(stored))
    np.testing.assert_allclose(sent.GetSpacing(), stored.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(sent.GetOrigin(), stored.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(sent.GetDirection(), stored.GetDirection(), atol=1e-6)


def test_hu_that_are_no_whole_numbers_are_rounded_and_clipped() -> None:
    hu = np.linspace(-40000, 40000, 4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6) + 0.3
    geometry = _core.Geometry(shape_irc=hu.shape, spacing_mm=(1, 1, 1))
    sent = read(scan_file(_core.scan_from_array(hu, geometry, "", ""), WHOLE))
    np.testing.assert_array_equal(sent.voxels, np.clip(np.rint(hu), -32768, 32767))


def test_the_scan_is_sent_from_where_it_lies(viewed: Viewed) -> None:
    _, *planes = scan_file(viewed.scan, WHOLE).pieces
    assert all(np.shares_memory(np.frombuffer(one, "<i2"), viewed.scan.hu) for one in planes)


@dataclass(frozen=True)
class Sent:
    """What a file holds, by the offsets of nifti1.h."""

    voxels: NDArray[Any]
    affine_ras: NDArray[np.float32]

    def to_xyz(self, irc: tuple[int, int, int]) -> NDArray[np.float64]:
        ras = self.affine_ras[:, :3] @ np.array(irc[::-1]) + self.affine_ras[:, 3]
        return ras * (-1, -1, 1)


def read(file: NiftiFile) -> Sent:
    content = content_of(file)
    assert len(content) == file.length
    assert struct.unpack_from("<i", content) == (348,)
    assert content[344:348] == b"n+1\0"
    rank, *sides = struct.unpack_from("<4h", content, 40)
    (code,) = struct.unpack_from("<h", content, 70)
    (start,) = struct.unpack_from("<f", content, 108)
    _, sform = struct.unpack_from("<2h", content, 252)
    assert (rank, sform) == (3, 1)
    dtype = {2: "u1", 4: "<i2", 512: "<u2"}[code]
    voxels = np.frombuffer(content, dtype, offset=int(start)).reshape(sides[::-1])
    return Sent(voxels, np.frombuffer(content, "<f4", 12, 280).reshape(3, 4))


def content_of(file: NiftiFile) -> bytes:
    return b"".join(bytes(piece) for piece in file.pieces)


def runs_of(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(runs, 2): offset and length, one voxel each, which is allowed."""
    flat = np.flatnonzero(inside)
    return np.column_stack([flat, np.ones_like(flat)])
