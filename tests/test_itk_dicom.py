"""DICOM as the native program reads it: voxel for voxel and number for number as in Python."""

from __future__ import annotations

import os
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable
from math import cos, sin
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_series import ROOT, SYNTAXES, Made, by_simple_itk, enhanced, hu_of, save, slices
from itk_here import needs_itk
from lunart import _core, reading
from lunart.errors import ScanError, UsageError
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

pytestmark = needs_itk

_UID = f"{ROOT}.1"
_GEOMETRIES = {
    "axial": Made(),
    "coronal": Made(orientation=(1, 0, 0, 0, 0, -1)),
    "sagittal": Made(orientation=(0, 1, 0, 0, 0, -1)),
    "oblique": Made(orientation=(cos(0.2), sin(0.2), 0, -sin(0.2), cos(0.2), 0)),
    "feet first": Made(orientation=(-1, 0, 0, 0, 1, 0)),
    "a slope a slice": Made(
        slope=[1, 2, 0.5, 1, 1.25, 1, 1, 1], intercept=[-1024, 0, 1, 2, 3.5, 4, 5, 6]
    ),
}


def _require_as_in_python(path: Path, **choices: str) -> _core.Scan:
    native = _core.read_scan(path, **choices)
    python = reading.read_scan(path, **choices)  # type: ignore[arg-type]
    assert native.hu.dtype == python.hu.dtype
    assert np.array_equal(native.hu, python.hu)
    assert native.geometry.shape_irc == python.geometry.shape_irc
    for name in ("spacing_mm", "origin_mm", "direction", "series_uid", "path", "warnings"):
        assert getattr(native, name) == getattr(python, name), name
    return native


def _require_as_simple_itk(scan: _core.Scan, image: sitk.Image) -> None:
    assert np.array_equal(scan.hu, sitk.GetArrayViewFromImage(image))
    np.testing.assert_allclose(scan.spacing_mm, image.GetSpacing(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(scan.origin_mm, image.GetOrigin(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(scan.direction, image.GetDirection(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", SYNTAXES)
def test_every_transfer_syntax_gives_the_same_voxels(
    name: str, signed: bool, tmp_path: Path
) -> None:
    made = Made(signed=signed, bits_stored=12)
    save(slices(made), tmp_path, syntax=SYNTAXES[name])
    scan = _require_as_in_python(tmp_path)
    assert np.array_equal(scan.hu, hu_of(made))
    _require_as_simple_itk(scan, by_simple_itk(tmp_path, _UID))


@pytest.mark.parametrize("name", ["explicit", "big endian", "RLE", "JPEG lossless", "JPEG 2000"])
def test_frames_of_an_enhanced_ct_are_slices(name: str, tmp_path: Path) -> None:
    made = Made(slope=[1, 2, 1, 1, 3, 1, 1, 1])
    data = enhanced(slices(made), SYNTAXES[name])
    data.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    for path in (tmp_path, tmp_path / "enhanced.dcm"):
        assert np.array_equal(_require_as_in_python(path).hu, hu_of(made))


@pytest.mark.parametrize("name", _GEOMETRIES)
def test_every_geometry_is_the_same(name: str, tmp_path: Path) -> None:
    made = _GEOMETRIES[name]
    save(slices(made), tmp_path)
    scan = _require_as_in_python(tmp_path)
    assert np.array_equal(scan.hu, hu_of(made).astype(scan.hu.dtype))
    if name != "a slope a slice":  # SimpleITK gives every slice the type of the first
        _require_as_simple_itk(scan, by_simple_itk(tmp_path, _UID))


@pytest.mark.parametrize(
    ("made", "edit", "choices"),
    [
        (Made(), lambda folder: (folder / "IM0003").unlink(), {"on_gap": "fill"}),
        (Made(shear=(0, 0.5, 0)), lambda folder: None, {"on_tilt": "resample"}),
        (
            Made(),
            lambda folder: save(slices(Made(count=1, seed=9)), folder, prefix="T"),
            {"on_duplicate": "first"},
        ),
    ],
    ids=["gap", "tilt", "duplicate"],
)
def test_faults_are_refused_and_mended_alike(
    made: Made, edit: Callable[[Path], object], choices: dict[str, str], tmp_path: Path
) -> None:
    save(slices(made), tmp_path)
    edit(tmp_path)
    with pytest.raises(ScanError) as native:
        _core.read_scan(tmp_path)
    with pytest.raises(ScanError) as python:
        reading.read_scan(tmp_path)
    assert str(native.value) == str(python.value)
    assert _require_as_in_python(tmp_path, **choices).warnings


def test_one_series_among_several_is_chosen(tmp_path: Path) -> None:
    save(slices(Made()), tmp_path / "a")
    save(slices(Made(series=2, seed=5)), tmp_path / "b" / "c")
    with pytest.raises(ScanError, match=rf"(?s)holds 2 series.*{ROOT}.1: 8 slices.*{ROOT}.2: 8"):
        _core.read_scan(tmp_path)
    scan = _require_as_in_python(tmp_path, series_uid=f"{ROOT}.2")
    assert scan.series_uid == f"{ROOT}.2"
    with pytest.raises(UsageError, match=r"no series '1\.2\.3'"):
        _core.read_scan(tmp_path, series_uid="1.2.3")


def test_a_zip_with_hostile_names_is_read_without_a_file_on_the_disk(tmp_path: Path) -> None:
    save(slices(), tmp_path / "in")
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in (tmp_path / "in").iterdir():
            out.write(file, f"../../{file.name}")
        out.writestr("README", "no DICOM")
        out.writestr("bomb", bytes(64 << 20))
    shutil.rmtree(tmp_path / "in")
    scan = _require_as_in_python(archive)
    assert np.array_equal(scan.hu, hu_of(Made()))
    assert [path.name for path in tmp_path.iterdir()] == ["study.zip"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda good: good[:-100], "no zip archive, or a damaged one"),
        (lambda good: b"PK\x05\x06" + bytes(18), "holds no DICOM series .0 files"),
        (lambda good: b"PK", "no zip archive, or a damaged one"),
    ],
)
def test_a_bad_zip_is_refused(content: Callable[[bytes], bytes], said: str, tmp_path: Path) -> None:
    save(slices(), tmp_path / "in")
    archive = Path(shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "in"))
    archive.write_bytes(content(archive.read_bytes()))
    with pytest.raises(ScanError, match=said):
        _core.read_scan(archive)


def test_localizers_and_other_files_are_passed_over(tmp_path: Path) -> None:
    save(slices(), tmp_path)
    localizer = slices(
        Made(count=1, series=3, tags={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    )
    save(localizer, tmp_path, prefix="L")
    (tmp_path / "README.txt").write_text("read me")
    _require_as_in_python(tmp_path)


def _damaged(tmp_path: Path, damage: Callable[[bytes], bytes], syntax: str = "explicit") -> Path:
    save(slices(), tmp_path, syntax=SYNTAXES[syntax])
    file = tmp_path / "IM0003"
    file.write_bytes(damage(file.read_bytes()))
    return tmp_path


@pytest.mark.parametrize("syntax", ["explicit", "RLE", "JPEG-LS", "JPEG 2000", "deflated"])
def test_a_cut_file_is_named(syntax: str, tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"IM0003|1 slice is missing"):
        _core.read_scan(_damaged(tmp_path, lambda data: data[:-60], syntax))


@pytest.mark.parametrize("syntax", ["RLE", "JPEG-LS", "JPEG 2000"])
def test_a_damaged_codestream_is_named(syntax: str, tmp_path: Path) -> None:
    def damage(data: bytes) -> bytes:
        at = data.index(b"\xe0\x7f\x10\x00") + 28
        return data[:at] + bytes(60) + data[at + 60 :]

    with pytest.raises(ScanError, match=r"IM0003: its .* pixels"):
        _core.read_scan(_damaged(tmp_path, damage, syntax))


def test_a_codestream_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    save(slices(Made(rows=40, cols=40)), tmp_path / "large", syntax=SYNTAXES["JPEG 2000"])
    large = (tmp_path / "large" / "IM0003").read_bytes()
    small = large.replace(
        b"\x28\x00\x10\x00US\x02\x00\x28\x00", b"\x28\x00\x10\x00US\x02\x00\x04\x00"
    )
    assert small != large
    (tmp_path / "one.dcm").write_bytes(small)
    with pytest.raises(ScanError, match=r"pixels are 40 x 40 x 1 of 16 bits, not 40 x 4"):
        _core.read_scan(tmp_path / "one.dcm")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"\xff\xc4", b"\xfd\xc4"),  # no marker where one must be
        lambda data: data.replace(b"\xff\xc3\x00\x0b", b"\xff\xc3\x00\x0a"),
    ],
)
def test_a_jpeg_whose_segments_do_not_follow_one_another_is_refused(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    with pytest.raises(ScanError, match=r"IM0003: its JPEG lossless.* pixels are damaged"):
        _core.read_scan(_damaged(tmp_path, damage, "JPEG lossless"))


@pytest.mark.parametrize("at", [0, 7, 11])
def test_a_damaged_rle_is_refused(at: int, tmp_path: Path) -> None:
    def damage(data: bytes) -> bytes:
        begin = data.index(struct.pack("<IIII", 2, 64, 64, 64)[:8]) + at
        return data[:begin] + b"\x81" + data[begin + 1 :]

    with pytest.raises(ScanError, match="IM0003: its RLE lossless pixels"):
        _core.read_scan(_damaged(tmp_path, damage, "RLE"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Thumbs.db", b"\x08\x00" * 200),
        ("text", b"\x08\x00\x05\x00" + b"text" * 100),
    ],
)
def test_what_only_begins_as_dicom_is_passed_over(
    name: str, content: bytes, tmp_path: Path
) -> None:
    save(slices(), tmp_path)
    (tmp_path / name).write_bytes(content)
    assert np.array_equal(_require_as_in_python(tmp_path).hu, hu_of(Made()))


@pytest.mark.parametrize("count", [0, 8 << 20])
def test_a_prefix_without_elements_is_a_damaged_file(count: int, tmp_path: Path) -> None:
    save(slices(), tmp_path)
    (tmp_path / "slice").write_bytes(bytes(128) + b"DICM" + bytes(count))
    for read in (_core.read_scan, reading.read_scan):
        with pytest.raises(ScanError, match=r"1 damaged DICOM file.*'slice'.*holds no element"):
            read(tmp_path)


def test_millions_of_elements_keep_nobody_busy(tmp_path: Path) -> None:
    save(slices(), tmp_path)
    (tmp_path / "slice").write_bytes(bytes(128) + b"DICM" + (1 << 20) * b"\x09\x00\0\0LO\0\0")
    for read in (_core.read_scan, reading.read_scan):
        with pytest.raises(ScanError, match=r"'slice'.*has more than 65536 elements"):
            read(tmp_path)


def test_zeros_after_the_last_element_are_no_damage(tmp_path: Path) -> None:
    save(slices(), tmp_path)
    report = slices(Made(count=1, series=4, tags={"Modality": "SR"}))
    del report[0].PixelData
    save(report, tmp_path, prefix="SR")
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes() + bytes(101))
    _require_as_in_python(tmp_path)


def test_names_of_files_need_not_be_text(tmp_path: Path) -> None:
    save(slices(), tmp_path)
    for number, file in enumerate(sorted(tmp_path.iterdir())):
        file.rename(tmp_path / os.fsdecode(b"\xff\xfe%d" % number))
    assert np.array_equal(_require_as_in_python(tmp_path).hu, hu_of(Made()))
    (tmp_path / os.fsdecode(b"\xff\xfe3")).unlink()
    messages = []
    for read in (_core.read_scan, reading.read_scan):
        with pytest.raises(ScanError, match=r"1 slice is missing.*\\xff\\xfe") as refusal:
            read(tmp_path)
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


def test_a_preamble_may_hold_anything(tmp_path: Path) -> None:
    save(slices(Made(count=1)), tmp_path)
    file = tmp_path / "IM0000"
    file.write_bytes(b"PK\x03\x04" + file.read_bytes()[4:])
    with zipfile.ZipFile(file, "a") as archive:  # a zip, too, for who begins at the end
        archive.writestr("README", "no DICOM")
    _require_as_in_python(file)


def test_of_one_name_several_times_in_a_zip_the_last_counts(tmp_path: Path) -> None:
    old, new = Made(seed=3), Made()
    archive = tmp_path / "study.zip"
    save(slices(new), tmp_path / "new")
    shutil.make_archive(str(tmp_path / "study"), "zip", save(slices(old), tmp_path / "old"))
    with zipfile.ZipFile(archive, "a") as out, warnings.catch_warnings(action="ignore"):
        for file in sorted((tmp_path / "new").iterdir()):
            out.write(file, file.name)
    assert np.array_equal(_require_as_in_python(archive).hu, hu_of(new))


@pytest.mark.parametrize("syntax", ["explicit", "RLE", "deflated"])
def test_voxels_that_a_zip_does_not_keep_are_refused(syntax: str, tmp_path: Path) -> None:
    save(slices(Made(count=1)), tmp_path, syntax=SYNTAXES[syntax])
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(tmp_path / "IM0000", "a")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") - 5] ^= 1
    archive.write_bytes(content)
    for read in (_core.read_scan, reading.read_scan):
        with pytest.raises(ScanError, match=r"'a' is damaged|'a'.* (cut|damaged)"):
            read(archive)


def test_a_frame_may_lie_in_several_fragments(tmp_path: Path) -> None:
    data = enhanced(slices(Made(count=3)), SYNTAXES["JPEG lossless"])
    frames = list(generate_frames(data.PixelData, number_of_frames=3))
    data.PixelData = encapsulate(frames, fragments_per_frame=2)
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    assert np.array_equal(_require_as_in_python(tmp_path).hu, hu_of(Made(count=3)))


def _long(tag: bytes, length: int) -> Callable[[bytes], bytes]:
    """An element of implicit encoding that says it is as long."""

    def damage(data: bytes) -> bytes:
        at = data.index(tag) + 4
        return data[:at] + struct.pack("<I", length) + data[at + 4 :]

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _long(b"\x08\x00\x08\x00", 0xFFFFFFF0),
        _long(b"\x28\x00\x10\x00", 0x7FFFFFF0),
        _long(b"\xe0\x7f\x10\x00", 0xFFFFFF00),
    ],
)
def test_lengths_beyond_the_file_take_no_memory(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    save(slices(), tmp_path, syntax=ImplicitVRLittleEndian)
    file = tmp_path / "IM0003"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ScanError, match=r"IM0003|1 slice is missing"):
        _core.read_scan(tmp_path)


def test_sequences_in_sequences_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    save(slices(Made(count=1)), tmp_path, syntax=ExplicitVRLittleEndian)
    file = tmp_path / "IM0000"
    data = file.read_bytes()
    level = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    at = data.index(b"\x10\x00\x10\x00PN")
    file.write_bytes(data[:at] + 100_000 * level + data[at:])
    with pytest.raises(ScanError, match="nested more than 32"):
        _core.read_scan(tmp_path)


def test_a_folder_without_dicom_says_so(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("nothing")
    with pytest.raises(ScanError, match=r"holds no DICOM series .1 files, none of them DICOM"):
        _core.read_scan(tmp_path)


def test_unused_bits_that_hold_something_are_cleared(tmp_path: Path) -> None:
    made = Made(bits_stored=12)
    series = slices(made)
    for data in series:
        data.PixelData = (np.frombuffer(data.PixelData, np.uint16) | 0xA000).tobytes()
    save(series, tmp_path)
    assert np.array_equal(_require_as_in_python(tmp_path).hu, hu_of(made))


def test_the_real_series_is_read_as_in_python_and_by_simple_itk(
    shared_data: Path, tmp_path: Path
) -> None:
    archive = shared_data / "dicom" / "c3n-00247.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is absent")
    scan = _require_as_in_python(archive)
    with zipfile.ZipFile(archive) as members:
        members.extractall(tmp_path)
    folder = next(path.parent for path in tmp_path.rglob("*.dcm"))
    _require_as_simple_itk(scan, by_simple_itk(folder, scan.series_uid))
