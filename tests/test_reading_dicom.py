"""DICOM in Python: equal to SimpleITK where that is right, better where it is silently wrong."""

from __future__ import annotations

import io
import json
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="pip install 'lunart[dicom]'")
sitk: Any = pytest.importorskip("SimpleITK", reason="pip install 'lunart[dicom]'")

from dicom_series import (  # noqa: E402
    AXIAL,
    ROOT,
    SYNTAXES,
    Made,
    by_simple_itk,
    encoded,
    enhanced,
    hu_of,
    save,
    slices,
)
from lunart import _core  # noqa: E402
from lunart.data.cli import main  # noqa: E402
from lunart.errors import ScanError, UsageError  # noqa: E402
from lunart.reading import read_scan  # noqa: E402
from lunart.reading.dicom import list_series, open_series  # noqa: E402

UID = f"{ROOT}.1"
_TURNED = (0.8, 0.6, 0.0, -0.6 * 0.96, 0.8 * 0.96, 0.28)


def require_equal(scan: _core.Scan, image: Any) -> None:
    assert np.array_equal(scan.hu, sitk.GetArrayViewFromImage(image))
    assert scan.spacing_mm == pytest.approx(image.GetSpacing(), abs=1e-9)
    assert scan.origin_mm == pytest.approx(image.GetOrigin(), abs=1e-9)
    assert scan.direction == pytest.approx(image.GetDirection(), abs=1e-9)


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize(("signed", "bits"), [(False, 12), (True, 16)])
def test_every_transfer_syntax_is_what_simple_itk_reads(
    tmp_path: Path, name: str, signed: bool, bits: int
) -> None:
    made = Made(count=3, bits_stored=bits, signed=signed, intercept=0 if signed else -1024)
    save(slices(made), tmp_path, syntax=SYNTAXES[name])
    scan = read_scan(tmp_path)

    assert scan.hu.dtype == np.int16
    assert np.array_equal(scan.hu, hu_of(made))
    require_equal(scan, by_simple_itk(tmp_path, UID))
    assert scan.series_uid == UID
    assert scan.path == str(tmp_path)
    assert scan.warnings == []


@pytest.mark.parametrize(
    ("what", "orientation"),
    [
        ("head first", AXIAL),
        ("feet first", (-1, 0, 0, 0, 1, 0)),
        ("prone", (-1, 0, 0, 0, -1, 0)),
        ("decubitus", (0, 1, 0, -1, 0, 0)),
        ("coronal", (1, 0, 0, 0, 0, -1)),
        ("sagittal", (0, 1, 0, 0, 0, -1)),
        ("oblique", _TURNED),
    ],
)
def test_geometry_is_simple_itks_in_every_position(
    tmp_path: Path, what: str, orientation: tuple[float, ...]
) -> None:
    save(slices(Made(count=5, orientation=orientation)), tmp_path)

    require_equal(read_scan(tmp_path), by_simple_itk(tmp_path, UID))


def test_slopes_of_each_slice_are_applied_exactly(tmp_path: Path) -> None:
    made = Made(count=4, slope=[1, 2, 0.5, 1.25], intercept=[-1024, -500, 3, 0.5], bits_stored=12)
    save(slices(made), tmp_path)
    scan = read_scan(tmp_path)

    assert scan.hu.dtype == np.float32
    assert np.array_equal(scan.hu, hu_of(made).astype(np.float32))


def test_overlays_in_unused_bits_do_not_reach_the_voxels(tmp_path: Path) -> None:
    made = Made(count=2, bits_stored=12)
    series = slices(made)
    for data in series:
        dirty = np.frombuffer(data.PixelData, np.uint16) | 0xA000
        data.PixelData = dirty.astype(np.uint16).tobytes()
    save(series, tmp_path)

    assert np.array_equal(read_scan(tmp_path).hu, hu_of(made))


def test_folders_in_folders_and_strangers_are_no_matter(tmp_path: Path) -> None:
    series = slices(Made(count=4))
    save(series[:2], tmp_path / "a" / "b", prefix="x")
    save(series[2:], tmp_path / "c", prefix="y")
    (tmp_path / "README").write_text("not DICOM")
    (tmp_path / "empty").touch()

    assert read_scan(tmp_path).shape_irc[0] == 4


def test_a_zip_is_read_member_by_member_and_nothing_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = save(slices(Made()), tmp_path / "made")
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in folder.iterdir():
            out.write(file, f"../../{file.name}")
        out.writestr("README.txt", "no DICOM")
        out.writestr("folder/", "")
    before = sorted(tmp_path.rglob("*"))

    assert np.array_equal(read_scan(archive).hu, hu_of(Made()))
    assert sorted(tmp_path.rglob("*")) == before


def test_one_file_is_one_slice(tmp_path: Path) -> None:
    save(slices(Made()), tmp_path, shuffled=False)
    scan = read_scan(tmp_path / "IM0002")

    assert scan.shape_irc[0] == 1
    assert scan.spacing_mm[2] == 2.5
    assert scan.warnings[0][0] == "dicom-one-slice"


def test_several_series_are_listed_without_patient_data_and_chosen(tmp_path: Path) -> None:
    save(slices(Made()), tmp_path / "1")
    hostile = {"SeriesDescription": "<script>\x1b[2J", "Modality": "CT"}
    save(slices(Made(series=2, count=3, tags=hostile)), tmp_path / "2")
    save(slices(Made(series=3, count=3, tags={"Modality": "PT"})), tmp_path / "3")

    with pytest.raises(ScanError) as caught:
        read_scan(tmp_path)
    text = str(caught.value)
    assert "holds 2 series" in text
    assert "SECRET" not in text.upper()
    assert "\x1b" not in text
    assert [s.slices for s in list_series(tmp_path)] == [8, 3, 3]
    assert read_scan(tmp_path, series_uid=f"{ROOT}.2").shape_irc[0] == 3
    with pytest.raises(UsageError, match="holds no series"):
        read_scan(tmp_path, series_uid="1.2")


def test_a_gap_that_simple_itk_closes_in_silence_is_named(tmp_path: Path) -> None:
    series = slices(Made())
    save([*series[:3], *series[5:]], tmp_path)

    wrong = by_simple_itk(tmp_path, UID).GetSpacing()[2]
    assert wrong == pytest.approx(17.5 / 5)
    with pytest.raises(ScanError, match="2 slices are missing"):
        read_scan(tmp_path)
    scan = read_scan(tmp_path, on_gap="fill")
    assert scan.spacing_mm[2] == 2.5
    expected = hu_of(Made())
    for k in (0, 1, 2, 5, 6, 7):
        assert np.array_equal(scan.hu[k], expected[k])
    between = (2 * expected[2] + expected[5]) / 3
    assert np.abs(scan.hu[3] - between).max() <= 0.5
    assert scan.warnings[0][0] == "dicom-gap-filled"


def test_copies_that_simple_itk_stacks_in_silence_are_dropped(tmp_path: Path) -> None:
    series = slices(Made())
    save(series, tmp_path / "a")
    save(series[:2], tmp_path / "b", syntax=SYNTAXES["RLE"])

    scan = read_scan(tmp_path)
    assert np.array_equal(scan.hu, hu_of(Made()))
    assert scan.warnings[0][0] == "dicom-copies"


def test_a_tilted_gantry_is_named_and_straightened(tmp_path: Path) -> None:
    save(slices(Made(shear=(0, 0.6, 0))), tmp_path)

    with pytest.raises(ScanError, match=r"gantry was tilted by 13\.5 degrees"):
        read_scan(tmp_path)
    scan = read_scan(tmp_path, on_tilt="resample")
    assert scan.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert scan.spacing_mm == (0.5, 0.75, 2.5)
    # Slice 5 lies 5 * 0.6 / 0.75 = 4 rows lower: whole voxels, so without loss.
    assert np.array_equal(scan.hu[5, 4:16], hu_of(Made())[5])


@pytest.mark.parametrize("syntax", ["explicit", "JPEG lossless SV1"])
def test_an_enhanced_file_is_the_same_scan(tmp_path: Path, syntax: str) -> None:
    made = Made(slope=[1] * 7 + [2])
    path = tmp_path / "enhanced"
    enhanced(slices(made), SYNTAXES[syntax]).save_as(path, enforce_file_format=True)
    scan = read_scan(path)

    assert np.array_equal(scan.hu, hu_of(made))
    assert scan.spacing_mm == (0.5, 0.75, 2.5)
    with open_series(path) as series:
        assert [s.frame for s in series.slices] == list(range(8))


def test_source_instances_are_in_the_scans_order(tmp_path: Path) -> None:
    save(slices(Made()), tmp_path)
    with open_series(tmp_path) as series:
        scan = series.read()
        assert not series.is_resampled
        for k, source in enumerate(series.slices):
            data = source.dataset()
            assert source.sop_instance_uid == data.SOPInstanceUID == f"{UID}.{k + 1}"
            place = scan.geometry.to_xyz((k, 0, 0))
            assert [float(v) for v in data.ImagePositionPatient] == pytest.approx(place)


def test_progress_is_told_for_files_and_for_slices(tmp_path: Path) -> None:
    save(slices(Made()), tmp_path)
    steps: list[tuple[str, int, int]] = []
    read_scan(tmp_path, progress=lambda *step: steps.append(step))

    assert steps[0] == ("files", 0, 8)
    assert steps[-1] == ("read", 8, 8)


def _cut(content: bytes) -> bytes:
    return content[: len(content) - 100]


def _no_pixels(content: bytes) -> bytes:
    data = pydicom.dcmread(io.BytesIO(content))
    del data.PixelData
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.mark.parametrize("syntax", ["explicit", "JPEG lossless SV1", "RLE", "deflated"])
@pytest.mark.parametrize("spoil", [_cut, _no_pixels])
def test_a_spoiled_slice_is_refused_by_its_name(
    tmp_path: Path, syntax: str, spoil: Callable[[bytes], bytes]
) -> None:
    folder = save(slices(Made(count=3)), tmp_path, syntax=SYNTAXES[syntax], shuffled=False)
    victim = folder / "IM0001"
    victim.write_bytes(spoil(victim.read_bytes()))

    with pytest.raises(ScanError) as caught:
        read_scan(folder)
    assert "IM0001" in str(caught.value)


def test_a_codestream_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    series = [encoded(data, SYNTAXES["JPEG lossless SV1"]) for data in slices(Made(count=2))]
    for k, data in enumerate(series):
        data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 nonsense, and more of it \xff\xd9"])
        data.save_as(tmp_path / f"IM{k}", enforce_file_format=True)

    with pytest.raises(ScanError, match="JPEG lossless, first-order prediction pixels"):
        read_scan(tmp_path)


def test_a_compression_that_nobody_decodes_is_named(tmp_path: Path) -> None:
    series = [encoded(data, SYNTAXES["RLE"]) for data in slices(Made(count=2))]
    for k, data in enumerate(series):
        data.file_meta.TransferSyntaxUID = pydicom.uid.MPEG4HP41
        data.save_as(tmp_path / f"IM{k}", enforce_file_format=True)

    with pytest.raises(ScanError, match="MPEG-4"):
        read_scan(tmp_path)


def test_random_damage_is_an_error_or_a_scan_and_never_more(tmp_path: Path) -> None:
    folder = save(slices(Made(count=2, rows=4, cols=4)), tmp_path / "s", shuffled=False)
    victim = folder / "IM0000"
    whole = victim.read_bytes()
    dice = random.Random(4)
    for _ in range(60):
        spoiled = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            spoiled[dice.randrange(128, len(spoiled))] = dice.randrange(256)
        victim.write_bytes(spoiled[: dice.choice((len(spoiled), dice.randrange(len(spoiled))))])
        said = ""
        try:
            read_scan(folder)
        except (ScanError, UsageError) as error:
            said = str(error)
        assert "SECRET" not in said.upper()


def test_a_deflated_bomb_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(slices(Made(count=2)), tmp_path, syntax=SYNTAXES["deflated"])
    monkeypatch.setattr("lunart.reading.tags._MOST_INFLATED", 500)

    with pytest.raises(ScanError, match="deflated data"):
        read_scan(folder)


def test_a_zip_with_a_password_or_a_wrong_sum_is_refused(tmp_path: Path) -> None:
    folder = save(slices(Made(count=2)), tmp_path / "s")
    archive = tmp_path / "s.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for file in folder.iterdir():
            out.write(file, file.name)
    content = bytearray(archive.read_bytes())
    content[content.index(b"DICM") + 700] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(ScanError, match="IM000"):
        read_scan(archive)
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ScanError, match="encrypted"):
        read_scan(archive)
    archive.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ScanError, match=r"s\.zip"):
        read_scan(archive)


@pytest.mark.parametrize("name", ["scan.pdf", "picture.png", "nothing"])
def test_what_is_no_scan_is_refused_with_what_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"%PDF nonsense" * 40)

    with pytest.raises(ScanError, match=name):
        read_scan(path)
    with pytest.raises(ScanError, match="no such file"):
        read_scan(tmp_path / "absent")
    with pytest.raises(ScanError, match="none of them DICOM"):
        read_scan(tmp_path)


@pytest.mark.parametrize("ending", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_other_formats_are_the_same_scan(tmp_path: Path, ending: str) -> None:
    save(slices(Made(orientation=_TURNED)), tmp_path / "s")
    image = by_simple_itk(tmp_path / "s", UID)
    path = tmp_path / f"scan{ending}"
    sitk.WriteImage(image, str(path))
    scan, dicom = read_scan(path), read_scan(tmp_path / "s")

    assert np.array_equal(scan.hu, dicom.hu)
    assert scan.spacing_mm == pytest.approx(dicom.spacing_mm, abs=1e-5)
    assert scan.origin_mm == pytest.approx(dicom.origin_mm, abs=1e-4)
    assert scan.direction == pytest.approx(dicom.direction, abs=1e-5)
    assert scan.path == str(path)
    with pytest.raises(UsageError, match="no DICOM series"):
        read_scan(path, series_uid="1.2")


def test_a_broken_nifti_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"\x1f\x8b nonsense")

    with pytest.raises(ScanError, match=r"scan\.nii\.gz"):
        read_scan(path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(slices(Made(count=2)), tmp_path)
    for module in list(sys.modules):
        if module.split(".")[0] == "pydicom" or module == "lunart.reading.dicom":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pydicom", None)

    with pytest.raises(Exception, match=r"pip install 'lunart\[dicom\]'"):
        read_scan(tmp_path)


def test_a_real_zip_is_what_simple_itk_reads_of_it(shared_data: Path, tmp_path: Path) -> None:
    archive = shared_data / "dicom" / "c3n-00247.zip"
    if not archive.exists():
        pytest.skip(f"no {archive}")
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path)
    scan = read_scan(archive)

    require_equal(scan, by_simple_itk(tmp_path / "chest-dicom", scan.series_uid))
    assert scan.warnings == []


def test_the_program_lists_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(slices(Made()), tmp_path / "1")
    save(slices(Made(series=2, count=3, tags={"Modality": "PT"})), tmp_path / "2")

    assert main(["series", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert f"{UID}: 8 slices, 10 x 12, 0.5 x 0.75 x 2.5 mm, 'Thorax 2.5 lung'" in text
    assert "not usable: modality 'PT', not CT" in text
    assert main(["series", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["series"]
    assert [(one["id"], one["slices"]) for one in listed] == [(UID, 8), (f"{ROOT}.2", 3)]
    assert main(["series", str(tmp_path / "absent")]) == 3
