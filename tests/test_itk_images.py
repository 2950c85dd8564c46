"""NRRD and NIfTI as the native program reads them, against SimpleITK, and what is refused."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from math import cos, sin
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from itk_here import needs_itk
from lunart import _core, reading
from lunart.errors import ScanError, UsageError
from numpy.typing import DTypeLike, NDArray

pytestmark = needs_itk

_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz")
_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
_DIRECTIONS = {
    "straight": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "turned over": (-1, 0, 0, 0, -1, 0, 0, 0, 1),
    "mirrored": (1, 0, 0, 0, 1, 0, 0, 0, -1),
    "oblique": (cos(0.3), -sin(0.3), 0, sin(0.3), cos(0.3), 0, 0, 0, 1),
    "permuted": (0, 0, 1, 1, 0, 0, 0, 1, 0),
}
_NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 5 6 4
space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)
kinds: domain domain domain
endian: little
encoding: raw
space origin: (1,2,3)
"""
_VOXELS = np.arange(120, dtype="<i2").tobytes()


def _array(dtype: DTypeLike = "int16") -> NDArray[np.generic]:
    values = np.random.default_rng(1).integers(0, 120, (4, 6, 5))
    kind = np.dtype(dtype)
    return (values + (0.25 if kind.kind == "f" else 0)).astype(kind)


def _written(
    path: Path, dtype: DTypeLike = "int16", direction: tuple[float, ...] = _DIRECTIONS["straight"]
) -> Path:
    image = sitk.GetImageFromArray(_array(dtype))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10, 20.5, -300))
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path), True)
    return path


def _require_as_simple_itk(path: Path) -> None:
    scan, image = _core.read_scan(path), sitk.ReadImage(str(path))
    assert np.array_equal(scan.hu, sitk.GetArrayViewFromImage(image))
    assert scan.spacing_mm == image.GetSpacing()
    assert scan.origin_mm == image.GetOrigin()
    assert scan.direction == image.GetDirection()
    assert scan.path == str(path)
    header = _core.read_scan_header(path)
    assert header.shape_irc == scan.shape_irc
    assert header.direction == scan.direction


@pytest.mark.parametrize("dtype", _TYPES)
@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_every_type_is_read_as_simple_itk_does(suffix: str, dtype: str, tmp_path: Path) -> None:
    path = _written(tmp_path / f"scan{suffix}", dtype)
    _require_as_simple_itk(path)
    assert _core.read_scan(path).hu.dtype == ("float32" if dtype.startswith("float") else "int16")


@pytest.mark.parametrize("name", _DIRECTIONS)
@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_every_direction_is_simple_itks(suffix: str, name: str, tmp_path: Path) -> None:
    _require_as_simple_itk(_written(tmp_path / f"scan{suffix}", direction=_DIRECTIONS[name]))


def _nifti(tmp_path: Path, edit: Callable[[bytearray], bytes | None]) -> Path:
    good = bytearray(_written(tmp_path / "good.nii").read_bytes())
    path = tmp_path / "scan.nii"
    made = edit(good)
    path.write_bytes(good if made is None else made)
    return path


def _put(at: int, form: str, *values: float) -> Callable[[bytearray], None]:
    def edit(data: bytearray) -> None:
        struct.pack_into(form, data, at, *values)

    return edit


def test_a_niftis_slope_and_intercept_make_hu(tmp_path: Path) -> None:
    scan = _core.read_scan(_nifti(tmp_path, _put(112, "<2f", 2.0, -1024.0)))
    assert scan.hu.dtype == np.int16
    assert np.array_equal(scan.hu, 2 * _array().astype(int) - 1024)


def test_a_niftis_slope_may_be_nan_as_some_programs_write_none(tmp_path: Path) -> None:
    scan = _core.read_scan(_nifti(tmp_path, _put(112, "<2f", float("nan"), float("nan"))))
    assert np.array_equal(scan.hu, _array())


def test_a_big_endian_nifti_is_read(tmp_path: Path) -> None:
    swapped = bytearray(_written(tmp_path / "good.nii").read_bytes())
    for form, at, count in (
        ("i", 0, 1), ("i", 32, 1), ("h", 40, 8), ("f", 56, 3), ("h", 68, 4), ("f", 76, 11),
        ("f", 124, 6), ("h", 252, 2), ("f", 256, 18), ("h", 352, 120),
    ):  # fmt: skip
        values = struct.unpack_from(f"<{count}{form}", swapped, at)
        struct.pack_into(f">{count}{form}", swapped, at, *values)
    path = tmp_path / "swapped.nii"
    path.write_bytes(swapped)
    _require_as_simple_itk(path)


def test_a_nifti_without_orientation_warns(tmp_path: Path) -> None:
    scan = _core.read_scan(_nifti(tmp_path, _put(252, "<2h", 0, 0)))
    assert [code for code, _ in scan.warnings] == ["nifti-orientation"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda data: data[:-3], "truncated"),
        (lambda data: data + b"xx", "594 bytes, but its header promises 592"),
        (lambda data: data[:100], "ends within the NIfTI header"),
        (lambda data: b"", "too short for a NIfTI file"),
        (lambda data: bytes(1000), "sizeof_hdr is not 348"),
        (_put(40, "<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1), "no CT scan has so many voxels"),
        (_put(40, "<8h", 3, -5, 6, 4, 1, 1, 1, 1), "a scan has 3 dimensions"),
        (_put(40, "<8h", 4, 5, 6, 2, 2, 1, 1, 1), "a scan has 3 dimensions"),
        (_put(40, "<8h", 2, 5, 24, 1, 1, 1, 1, 1), "a scan has 3 dimensions"),
        (_put(70, "<h", 128), "several values a voxel"),
        (_put(112, "<2f", 0, -1024), "leaves open what the HU are"),
        (_put(112, "<2f", float("inf"), 0), "leaves open what the HU are"),
        (_put(80, "<f", float("nan")), "pixdim.1. = nan is no spacing"),
        (_put(80, "<f", 0), "pixdim.1. = 0 is no spacing"),
        (_put(108, "<f", 1e9), "truncated"),
        (_put(108, "<f", float("nan")), "vox_offset = nan"),
        (_put(280, "<f", float("nan")), "no place of a patient"),
        (_put(268, "<f", 1e38), "no place of a patient"),
        (_put(344, "4s", b"abcd"), "magic is not n.1"),
    ],
)
def test_a_bad_nifti_is_refused_with_the_reason(
    edit: Callable[[bytearray], bytes | None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ScanError, match=rf"scan.nii: .*({said})"):
        _core.read_scan(_nifti(tmp_path, edit))


def test_a_niftis_nan_is_named_though_its_library_hides_it(tmp_path: Path) -> None:
    path = _written(tmp_path / "scan.nii", "float32")
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", float("nan")))
    with pytest.raises(ScanError, match=r"NaN or infinite, the first at .* = \(3, 5, 4\)"):
        _core.read_scan(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda good: gzip.compress(good)[:-10], "truncated|damaged"),
        (lambda good: gzip.compress(good + b"x"), "more than"),
        (
            lambda good: gzip.compress(good[:42] + struct.pack("<3h", 3000, 3000, 400) + good[48:]),
            "cannot inflate",
        ),
        (lambda good: b"\x1f\x8bxxxxxx", "no gzip file, or damaged"),
    ],
)
def test_a_bad_gzip_is_refused_before_memory_is_taken(
    content: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(content(_written(tmp_path / "good.nii").read_bytes()))
    with pytest.raises(ScanError, match=said):
        _core.read_scan(path)


def _nrrd(
    tmp_path: Path,
    change: tuple[str, str] = ("", ""),
    voxels: bytes = _VOXELS,
    *,
    name: str = "scan.nrrd",
) -> Path:
    assert change[0] in _NRRD
    header = _NRRD.replace(*change) if change[0] else _NRRD + change[1]
    path = tmp_path / name
    path.write_bytes(header.encode() + (b"\n" if name.endswith(".nrrd") else b"") + voxels)
    return path


@pytest.mark.parametrize(
    ("change", "voxels"),
    [
        (("", ""), _VOXELS),
        (("raw", "gzip"), gzip.compress(_VOXELS)),
        (("raw", "text"), " ".join(map(str, range(120))).encode()),
        (("endian: little", "endian: big"), np.arange(120, dtype=">i2").tobytes()),
        (("left-posterior-superior", "RAS"), _VOXELS),
    ],
)
def test_encodings_and_spaces_are_read_as_simple_itk_does(
    change: tuple[str, str], voxels: bytes, tmp_path: Path
) -> None:
    _require_as_simple_itk(_nrrd(tmp_path, change, voxels))


@pytest.mark.parametrize(
    ("change", "voxels", "said"),
    [
        (("", ""), _VOXELS[:-2], "holds 238 bytes .* need 240 .truncated"),
        (("", ""), _VOXELS + b"x", "holds 241 bytes .* need 240"),
        (("5 6 4", "50000 60000 40000"), _VOXELS, "no CT scan has so many voxels"),
        (("5 6 4", "4294967301 6 4"), _VOXELS, "no CT scan's"),
        (("5 6 4", "5 -6 4"), _VOXELS, "no number of voxels"),
        (("(0,0,2.5)", "(0,0,nan)"), _VOXELS, "leaves an axis without a spacing"),
        (("(0,0,2.5)", "none"), _VOXELS, "leaves an axis without a spacing"),
        (("(0,0,2.5)", "(0,0.8,0)"), _VOXELS, "singular"),
        (("space directions", "thicknesses"), _VOXELS, "nothing can be measured in millimetres"),
        (("raw", "gzip"), gzip.compress(_VOXELS)[:-20], "cannot be read"),
        (("raw", "bzip2"), _VOXELS, "encoding: 'bzip2' is not supported"),
        (("type: short", "type: block\nblock size: 2"), _VOXELS, "cannot be read"),
        (("raw", "text"), b"1 2 3", "at least 239 are needed"),
        (("", "sizes: 5 6 4\n"), _VOXELS, "'sizes' twice"),
        (("left-posterior-superior", "LAS"), _VOXELS, "versions of ITK turn it over"),
    ],
)
def test_a_bad_nrrd_is_refused_with_the_reason(
    change: tuple[str, str], voxels: bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ScanError, match=rf"scan.nrrd: .*{said}"):
        _core.read_scan(_nrrd(tmp_path, change, voxels))


def test_several_values_a_voxel_are_no_ct(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((4, 6, 5, 3), np.int16), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "vector.nrrd"))
    with pytest.raises(ScanError, match=r"values a voxel|without a spacing"):
        _core.read_scan(tmp_path / "vector.nrrd")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("../secret.raw", "outside the header's folder"),
        ("/etc/passwd", "outside the header's folder"),
        ("link.raw", "leads outside the header's folder"),
        ("absent.raw", "cannot be found"),
        ("LIST", "stands for several files"),
        ("slice%03d.raw 1 4 1", "stands for several files"),
    ],
)
def test_a_nrrd_cannot_name_files_elsewhere(file: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(_VOXELS)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    path = _nrrd(folder, ("", f"data file: {file}\n"), b"", name="scan.nhdr")
    with pytest.raises(ScanError, match=said):
        _core.read_scan(path)


def test_choices_for_dicom_are_refused_for_other_formats(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no DICOM series"):
        _core.read_scan(_nrrd(tmp_path), on_gap="fill")


def test_python_refuses_a_cut_file_likewise(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((3, 4, 5), np.int16)), str(path))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ScanError, match=r"truncated\?"):
        reading.read_scan(path)
