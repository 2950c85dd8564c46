"""luna-dicom over what archives hold: compressed, zipped, mended, many frames, many series."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="needs lunart[dicom]")

import highdicom
import pydicom
from dicom_series import SYNTAXES, Made, enhanced, save, slices
from lunart import _core
from lunart.dicom_out.cli import main
from lunart.dicom_out.scan_files import opened
from lunart.reading import Choices
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian
from stored_results import result_of, store
from test_dicom_out import errors_of

MADE = Made(count=9, rows=24, cols=20)


def labels_in(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    labels = np.zeros(shape, np.uint8)
    labels[2:4, 5:9, 3:6] = 1
    labels[2, 5, 6] = 1
    labels[5:7, 12:15, 11:16] = 2
    return labels


def run(tmp_path: Path, path: Path, choices: Choices | None = None, *options: str) -> Path:
    """Write a result of two findings in the scan of ``path``, and check its mask."""
    scan = opened(path, choices).scan
    labels = labels_in(scan.shape_irc)
    result = store(tmp_path / "result.json", result_of(scan, labels))
    out = tmp_path / "out"
    assert main([str(result), str(path), "-o", str(out), "--no-pictures", *options]) == 0
    np.testing.assert_array_equal(mask_of(out / "seg.dcm", scan), labels)
    highdicom.sr.srread(out / "sr.dcm")
    return out


def mask_of(path: Path, scan: _core.Scan) -> NDArray[Any]:
    """A segmentation's numbers in the scan's voxels, each frame put where it says it lies."""
    seg = highdicom.seg.segread(path)
    assert seg.pixel_array.shape[1:] == scan.shape_irc[1:]
    mask = np.zeros(scan.shape_irc, np.uint8)
    for frame, item in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        place = [float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient]
        index, row, col = scan.geometry.to_irc(place)
        assert (row, col) == pytest.approx((0, 0), abs=1e-3)
        assert index == pytest.approx(round(index), abs=1e-3)
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        mask[round(index)][frame > 0] = number
    shared = seg.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    x_mm, y_mm, z_mm = scan.spacing_mm
    assert [float(v) for v in measures.PixelSpacing] == pytest.approx([y_mm, x_mm])
    assert float(measures.SpacingBetweenSlices) == pytest.approx(z_mm)
    return mask


def referenced(out: Path) -> dict[str, str]:
    """Class of each source instance that the segmentation refers to."""
    seg = pydicom.dcmread(out / "seg.dcm")
    return {
        str(item.ReferencedSOPInstanceUID): str(item.ReferencedSOPClassUID)
        for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }


@pytest.mark.parametrize("syntax", ["JPEG lossless SV1", "JPEG-LS", "RLE"])
def test_compressed_sources(tmp_path: Path, syntax: str) -> None:
    save(slices(MADE), tmp_path / "ct", syntax=SYNTAXES[syntax])

    run(tmp_path, tmp_path / "ct")


def test_a_zip(tmp_path: Path) -> None:
    save(slices(MADE), tmp_path / "ct")
    archive = Path(shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "ct"))
    with zipfile.ZipFile(archive) as zipped:
        assert zipped.namelist()

    run(tmp_path, archive)


def test_one_series_among_many_must_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        made = Made(count=9, rows=24, cols=20, series=number, seed=number)
        save(slices(made), tmp_path / "ct", prefix=f"S{number}")
    uid = str(slices(Made(series=2))[0].SeriesInstanceUID)

    out = run(tmp_path, tmp_path / "ct", Choices(series_uid=uid), "--series", uid)

    assert all(instance.startswith(f"{uid}.") for instance in referenced(out))
    capsys.readouterr()
    arguments = [str(tmp_path / "result.json"), str(tmp_path / "ct"), "-o", str(tmp_path / "b")]
    assert main(arguments) == 3
    assert uid in capsys.readouterr().err
    assert main([*arguments, "--series", uid.replace(".2", ".1")]) == 2  # of the other series


def test_a_filled_gap_lies_on_the_filled_slices(tmp_path: Path) -> None:
    series = slices(MADE)
    del series[3]
    save(series, tmp_path / "ct")

    out = run(tmp_path, tmp_path / "ct", Choices(on_gap="fill"), "--on-gap", "fill")

    assert len(referenced(out)) == 8
    groups = highdicom.sr.srread(out / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    images = groups[0].referenced_segment.source_images_for_segmentation
    wanted = {str(one.SOPInstanceUID) for one in (series[2], series[3])}  # both sides of the gap
    assert wanted <= {str(image.referenced_sop_instance_uid) for image in images}


def test_a_tilted_gantry_lies_on_the_straightened_slices(tmp_path: Path) -> None:
    save(slices(Made(count=9, rows=24, cols=20, shear=(0.0, 0.75, 0.0))), tmp_path / "ct")

    run(tmp_path, tmp_path / "ct", Choices(on_tilt="resample"), "--on-tilt", "resample")


def test_frames_of_one_enhanced_file(tmp_path: Path) -> None:
    data = enhanced(slices(MADE), ExplicitVRLittleEndian)
    (tmp_path / "ct").mkdir()
    data.save_as(tmp_path / "ct" / "enhanced.dcm", enforce_file_format=True)

    out = run(tmp_path, tmp_path / "ct")

    assert referenced(out) == {str(data.SOPInstanceUID): EnhancedCTImageStorage}


def test_plain_slices_are_referred_to_as_such(tmp_path: Path) -> None:
    save(slices(MADE), tmp_path / "ct")

    out = run(tmp_path, tmp_path / "ct")

    assert referenced(out) == {str(one.SOPInstanceUID): CTImageStorage for one in slices(MADE)}


def test_a_real_ct(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "dicom" / "c3n-00247.zip"

    out = run(tmp_path, path)

    if shutil.which("dciodvfy"):
        for file in out.iterdir():
            assert errors_of(file) == set()
    seg = pydicom.dcmread(out / "seg.dcm")
    assert seg.PatientIdentityRemoved == "YES"
    assert len(seg.DeidentificationMethodCodeSequence) == 8
