"""What luna-dicom writes: the mask at its slices, the result's numbers, the source's patient."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="needs lunart[dicom]")

import highdicom
import pydicom
from dicom_ct import AXIAL, MARK, ROOT, chest, with_marks, write_ct
from highdicom.sr.utils import find_content_items
from lunart.dicom_out import codes as terms
from lunart.dicom_out import key_pictures
from lunart.dicom_out.cli import main
from lunart.dicom_out.quiet import quiet
from lunart.dicom_out.scan_files import opened
from lunart.dicom_out.write import write_dicom
from lunart.result import Result
from stored_results import result_of, store

SHAPE = (12, 56, 64)
PLACES = [(3, 24, 13), (7, 30, 42)]
TILTED = (0.98480775, 0.17364818, 0.0, -0.17101007, 0.96984631, 0.17364818)


def ct(tmp_path: Path, **options: Any) -> Path:
    """A series with two marked nodules, one in each lung."""
    write_ct(tmp_path / "ct", with_marks(chest(SHAPE), PLACES), **options)
    return tmp_path / "ct"


def stored(tmp_path: Path, folder: Path, **options: Any) -> tuple[Path, dict[str, Any]]:
    """The result that finds the marks of a series, as a file and as a dictionary."""
    scan = opened(folder).scan
    labels = np.where(scan.hu > MARK, scan.hu - MARK, 0)
    result = result_of(scan, labels, **options)
    return store(tmp_path / "result.json", result), result


def run(
    tmp_path: Path, folder: Path, *options: str, **of_result: Any
) -> tuple[Path, dict[str, Any]]:
    """Run the program over a series; its folder and the result."""
    path, result = stored(tmp_path, folder, **of_result)
    out = tmp_path / "out"
    assert main([str(path), str(folder), "-o", str(out), *options]) == 0
    return out, result


def pixels_by_uid(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    with quiet():
        read = [pydicom.dcmread(path) for path in folder.iterdir()]
        return {str(dataset.SOPInstanceUID): dataset.pixel_array for dataset in read}


@pytest.mark.parametrize(
    ("orientation", "position"),
    [
        pytest.param(AXIAL, "HFS", id="axial"),
        pytest.param((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0), "HFP", id="prone, both axes flipped"),
        pytest.param((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), "FFS", id="feet first"),
        pytest.param(TILTED, "HFS", id="oblique"),
        pytest.param((1.0, 0.0, 0.0, 0.0, 0.0, -1.0), "HFS", id="coronal"),
    ],
)
def test_every_frame_is_the_marked_voxels_of_the_slice_it_names(
    tmp_path: Path, orientation: tuple[float, ...], position: str
) -> None:
    folder = ct(tmp_path, orientation=orientation, position=position)
    out, result = run(tmp_path, folder, "--no-pictures")
    sources = pixels_by_uid(folder)
    positions = {
        str(d.SOPInstanceUID): [float(v) for v in d.ImagePositionPatient]
        for d in map(pydicom.dcmread, folder.iterdir())
    }

    seg = highdicom.seg.segread(out / "seg.dcm")
    marks = [nodule["label"] for nodule in result["nodules"]]
    frames = 0
    for frame, item in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_array_equal(frame, sources[source] == MARK + marks[number - 1])
        np.testing.assert_allclose(
            [float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient],
            positions[source],
            atol=1e-6,
        )
        frames += 1
    assert frames == 2 * len(PLACES)
    marked = sum(int((pixels > MARK).sum()) for pixels in sources.values())
    assert int(seg.pixel_array.sum()) == marked


def test_the_segmentation_in_the_scan_s_grid_is_the_result_s_mask(tmp_path: Path) -> None:
    folder = ct(tmp_path, orientation=TILTED)
    out, _ = run(tmp_path, folder, "--no-pictures")
    files = opened(folder)
    scan = files.scan

    seg = highdicom.seg.segread(out / "seg.dcm")
    uids = [str(header.SOPInstanceUID) for header in files.headers]
    read = seg.get_pixels_by_source_instance(
        uids, combine_segments=True, ignore_spatial_locations=True
    )

    np.testing.assert_array_equal(read, np.where(scan.hu > MARK, scan.hu - MARK, 0))


def test_segments_say_what_they_are_and_what_found_them(tmp_path: Path) -> None:
    out, result = run(tmp_path, ct(tmp_path), "--no-pictures")

    seg = highdicom.seg.segread(out / "seg.dcm")

    assert seg.segmentation_type.value == "BINARY"
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == [
        "Nodule 1",
        "Nodule 2",
    ]
    first = seg.get_segment_description(1)
    assert first.segmented_property_type.value == "27925004"
    assert first.segmented_property_category.value == "49755003"
    assert f"{result['nodules'][0]['probability']:.3f}" in first.SegmentDescription
    assert first.algorithm_identification.parameters["manifest_sha256"] == "ab" * 32
    regions = [seg.get_segment_description(n).anatomic_regions[0] for n in (1, 2)]
    assert [region.value for region in regions] == ["39607008"] * 2
    # LPS: the columns rise to the patient's left, so the first mark is in the right lung.
    assert [region.AnatomicRegionModifierSequence[0].CodeMeaning for region in regions] == [
        "Right",
        "Left",
    ]


@pytest.mark.parametrize("malignancy", [False, True])
def test_the_report_has_the_result_s_numbers(tmp_path: Path, malignancy: bool) -> None:
    folder = ct(tmp_path)
    out, result = run(tmp_path, folder, "--no-pictures", malignancy=malignancy)

    seg = pydicom.dcmread(out / "seg.dcm")
    report = highdicom.sr.srread(out / "sr.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()

    assert len(groups) == len(result["nodules"])
    for number, (group, nodule) in enumerate(zip(groups, result["nodules"], strict=True), 1):
        read = {m.name.value: (m.value, m.unit.value) for m in group.get_measurements()}
        wanted = {
            "118565006": (nodule["volume_mm3"], "mm3"),
            "81827009": (nodule["diameter_mm"], "mm"),
            "111012": (pytest.approx(100 * nodule["probability"], rel=1e-12), "%"),
        }
        if malignancy:
            wanted["111047"] = (pytest.approx(100 * nodule["malignancy"], rel=1e-12), "%")
        assert read == wanted
        points = find_content_items(group[0], value_type=highdicom.sr.ValueTypeValues.SCOORD3D)
        assert [point.name.meaning for point in points] == ["Center of Mass"]
        np.testing.assert_allclose(points[0].value, [nodule["center_xyz_mm"]], atol=1e-4)
        assert points[0].frame_of_reference_uid == f"{ROOT}.4"
        assert group.finding_type.value == "27925004"
        segment = group.referenced_segment
        assert segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert segment.referenced_segment_numbers == [number]
        assert group.tracking_uid == seg.SegmentSequence[number - 1].TrackingUID


def test_the_report_s_observer_is_lunart_with_its_bundle(tmp_path: Path) -> None:
    out, _ = run(tmp_path, ct(tmp_path), "--no-pictures")

    report = highdicom.sr.srread(out / "sr.dcm")
    (observer,) = report.content.get_observer_contexts()
    device = observer.observer_identifying_attributes

    assert device.name.startswith("lunart ")
    assert "luna" in device.model_name
    assert device.serial_number == "ab" * 32


def test_all_objects_belong_to_the_source_s_study_and_refer_to_its_images(tmp_path: Path) -> None:
    folder = ct(tmp_path)
    out, _ = run(tmp_path, folder)
    sources = set(pixels_by_uid(folder))
    seg, report = (pydicom.dcmread(out / name) for name in ("seg.dcm", "sr.dcm"))

    in_seg = seg.ReferencedSeriesSequence[0]
    assert in_seg.SeriesInstanceUID == f"{ROOT}.2"
    assert {i.ReferencedSOPInstanceUID for i in in_seg.ReferencedInstanceSequence} == sources
    evidence = {
        instance.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert evidence == sources | {seg.SOPInstanceUID}
    series = set()
    for path in out.iterdir():
        dataset = pydicom.dcmread(path)
        assert dataset.StudyInstanceUID == f"{ROOT}.1"
        assert str(dataset.PatientName) == "Müller^Jörg"
        assert dataset.PatientID == "PID-77"
        assert dataset.StudyDescription == "CHEST"
        series.add(dataset.SeriesInstanceUID)
    assert len(series) == 3  # segmentation, report, pictures
    assert f"{ROOT}.2" not in series


def test_pictures_are_an_overview_and_one_a_nodule(tmp_path: Path) -> None:
    out, _ = run(tmp_path, ct(tmp_path))

    pictures = [pydicom.dcmread(path) for path in sorted(out.glob("sc-*.dcm"))]

    assert [picture.InstanceNumber for picture in pictures] == [1, 2, 3]
    for picture in pictures:
        assert picture.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
        assert picture.PhotometricInterpretation == "RGB"
        assert picture.BurnedInAnnotation == "NO"
        assert picture.pixel_array.std() > 10
    assert "Nodule 1" in pictures[1].ImageComments
    assert len(pictures[1].SourceImageSequence) == 1


def test_of_many_nodules_the_first_have_pictures_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(key_pictures, "MOST_PICTURES", 1)

    out, _ = run(tmp_path, ct(tmp_path))

    assert len(list(out.glob("sc-*.dcm"))) == 2
    assert "pictures of the 1 most probable" in capsys.readouterr().err
    assert len(pydicom.dcmread(out / "seg.dcm").SegmentSequence) == 2


def test_no_nodules_give_a_report_that_says_so_and_no_segmentation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ct(tmp_path / "ct", chest(SHAPE))
    out, _ = run(tmp_path, tmp_path / "ct")

    assert sorted(path.name for path in out.iterdir()) == ["sc-001.dcm", "sr.dcm"]
    assert "no nodules" in capsys.readouterr().err
    report = highdicom.sr.srread(out / "sr.dcm")
    (group,) = report.content.get_image_measurement_groups()
    (count,) = group.get_measurements()
    assert (count.name.meaning, count.value) == ("Number of lesions", 0)
    (summary,) = group.get_qualitative_evaluations(terms.SUMMARY)
    assert summary.value.meaning == "All algorithms succeeded; without findings"


def test_de_identification_is_carried_over(tmp_path: Path) -> None:
    def removed(dataset: pydicom.Dataset, index: int) -> None:
        dataset.PatientName, dataset.PatientID = "ANON", "ANON"
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "by hand"
        dataset.LongitudinalTemporalInformationModified = "MODIFIED"
        dataset.add_new(0x00130010, "LO", "CTP")
        dataset.add_new(0x00131010, "LO", "who it was")
        hidden = pydicom.Dataset()
        hidden.EncryptedContentTransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        hidden.EncryptedContent = b"secret"
        dataset.EncryptedAttributesSequence = [hidden]

    out, _ = run(tmp_path, ct(tmp_path, edit=removed))

    for path in out.iterdir():
        dataset = pydicom.dcmread(path)
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.DeidentificationMethod == "by hand"
        assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
        assert "EncryptedAttributesSequence" not in dataset
        assert not any(element.tag.is_private for element in dataset)


def test_what_belongs_to_the_patient_and_the_frame_of_reference_is_the_source_s(
    tmp_path: Path,
) -> None:
    def older(dataset: pydicom.Dataset, index: int) -> None:
        dataset.EthnicGroup = "8"
        dataset.OtherPatientIDs = ["A1", "A2"]
        dataset.PositionReferenceIndicator = "SN"
        dataset.TimezoneOffsetFromUTC = "+0900"

    out, _ = run(tmp_path, ct(tmp_path, edit=older))

    far_away = datetime.now(timezone(timedelta(hours=9))).replace(tzinfo=None)
    for path in out.iterdir():
        dataset = pydicom.dcmread(path)
        assert (dataset.EthnicGroup, dataset.OtherPatientIDs) == ("8", ["A1", "A2"])
        assert dataset.TimezoneOffsetFromUTC == "+0900"
        made = datetime.strptime(dataset.ContentDate + dataset.ContentTime, "%Y%m%d%H%M%S")
        assert timedelta(0) <= far_away - made < timedelta(minutes=5)
    assert pydicom.dcmread(out / "seg.dcm").PositionReferenceIndicator == "SN"
    assert "PositionReferenceIndicator" not in pydicom.dcmread(out / "sr.dcm")


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"]
)
def test_identifiers_with_a_leading_zero_are_kept(tmp_path: Path, keyword: str) -> None:
    """Older scanners write them; dciodvfy says so of the source already."""

    def padded(dataset: pydicom.Dataset, index: int) -> None:
        with quiet():
            dataset[keyword].value = f"1.2.3.04.{index if keyword == 'SOPInstanceUID' else 7}"

    with quiet():
        out, _ = run(tmp_path, ct(tmp_path, edit=padded), "--no-pictures")
        seg = highdicom.seg.segread(out / "seg.dcm")
        highdicom.sr.srread(out / "sr.dcm")

    if keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[keyword].value == "1.2.3.04.7"
    else:
        assert "1.2.3.04." in str(seg.ReferencedSeriesSequence[0])


def test_nothing_of_the_patient_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def odd(dataset: pydicom.Dataset, index: int) -> None:
        dataset.PatientName = "Secretname"  # one component, of which highdicom warns
        with quiet():
            dataset.PatientID = "PID-" + "7" * 90

    folder = ct(tmp_path, edit=odd)
    path, _ = stored(tmp_path, folder)
    out = tmp_path / "out"

    assert main([str(path), str(folder), "-o", str(out), "--json"]) == 0

    printed = "".join(capfd.readouterr())
    for secret in ("Secretname", "PID-", "19501231", "ACC1", "Referrer"):
        assert secret not in printed


HOSTILE = {
    "PatientSex": "UNKNOWN AND LONG",
    "PatientBirthDate": "not a date",
    "StudyDate": "2020-13-99",
    "StudyTime": "lunch",
    "PatientID": "x" * 300,
    "AccessionNumber": "\x00\x01<script>",
    "StudyDescription": "a\\b\\c\n<img src=x>",
    "Manufacturer": "M" * 200,
    "SliceThickness": "thick",
    "SpecificCharacterSet": "ISO_IR 999",
}


@pytest.mark.parametrize("keyword", sorted(HOSTILE))
def test_a_hostile_value_in_a_source_stops_nothing(tmp_path: Path, keyword: str) -> None:
    def hostile(dataset: pydicom.Dataset, index: int) -> None:
        tag = pydicom.datadict.tag_for_keyword(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        # As bytes, which pydicom writes unseen.
        dataset[tag] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(tag), vr, 0, HOSTILE[keyword].encode(), 0, False, True
        )

    with quiet():
        out, _ = run(tmp_path, ct(tmp_path, edit=hostile), "--no-pictures")

        for path in out.iterdir():
            str(pydicom.dcmread(path))


def test_a_damaged_sequence_stays_behind_and_is_named(tmp_path: Path) -> None:
    folder = ct(tmp_path)
    path, _ = stored(tmp_path, folder)
    files = opened(folder)
    tag = pydicom.tag.Tag(0x00120064)
    for header in files.headers:
        header[tag] = pydicom.dataelem.RawDataElement(tag, "SQ", 3, b"x\0\1", 0, False, True)

    written, warnings = write_dicom(
        Result.load(path), files.scan, files.headers, tmp_path / "out", pictures=False
    )

    assert any("DeidentificationMethodCodeSequence" in text for text in warnings)
    for one in written:
        assert "DeidentificationMethodCodeSequence" not in pydicom.dcmread(one.path)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_slices_of_two_patients_are_refused_without_naming_them(
    tmp_path: Path, keyword: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def mixed(dataset: pydicom.Dataset, index: int) -> None:
        if index == 4:
            setattr(dataset, keyword, "1.2.3.99")

    folder = ct(tmp_path, edit=mixed)
    path, _ = stored(tmp_path, folder)

    assert main([str(path), str(folder), "-o", str(tmp_path / "out")]) == 3

    error = capsys.readouterr().err
    assert keyword in error
    assert "1.2.3.99" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "keyword",
    [
        "StudyID",
        "AccessionNumber",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "ReferringPhysicianName",
        "SliceThickness",
        "Manufacturer",
        "SpecificCharacterSet",
        "FrameOfReferenceUID",
        "InstanceNumber",
    ],
)
def test_a_source_that_lacks_an_attribute_gives_all_objects(tmp_path: Path, keyword: str) -> None:
    def without(dataset: pydicom.Dataset, index: int) -> None:
        if keyword == "SpecificCharacterSet":
            dataset.PatientName = "Mueller^Joerg"
        delattr(dataset, keyword)

    out, _ = run(tmp_path, ct(tmp_path, edit=without))

    assert len(list(out.iterdir())) == 5
    for path in out.iterdir():
        dataset = pydicom.dcmread(path)
        for type_2 in ("StudyID", "PatientID", "StudyDate", "AccessionNumber"):
            assert type_2 in dataset


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("case", ["nodules", "malignancy", "none", "bare", "oblique"])
def test_dciodvfy_has_no_error_that_the_source_lacks(tmp_path: Path, case: str) -> None:
    def bare(dataset: pydicom.Dataset, index: int) -> None:
        for keyword in ("StudyID", "AccessionNumber", "PatientSex", "SliceThickness"):
            if case == "bare":
                delattr(dataset, keyword)

    if case == "none":
        folder = tmp_path / "ct"
        write_ct(folder, chest(SHAPE))
    else:
        folder = ct(tmp_path, edit=bare, orientation=TILTED if case == "oblique" else AXIAL)
    out, _ = run(tmp_path, folder, malignancy=case == "malignancy")

    known = set().union(*(errors_of(path) for path in folder.iterdir()))
    for path in out.iterdir():
        assert errors_of(path) - known == set()


def errors_of(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(word in " ".join(lines) for word in ("SR", "Segmentation", "SCImage", "CTImage"))
    return {line for line in lines if line.startswith(("Error", "Abort"))}


def test_json_lists_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(tmp_path, ct(tmp_path), "--json")

    printed = capsys.readouterr()
    summary = json.loads(printed.out)

    assert summary["output"] == str(out)
    assert summary["nodules"] == 2
    assert {Path(one["path"]).name for one in summary["objects"]} == {
        path.name for path in out.iterdir()
    }
    for one in summary["objects"]:
        dataset = pydicom.dcmread(one["path"])
        assert one["sop_instance_uid"] == dataset.SOPInstanceUID
        assert one["sop_class_uid"] == dataset.SOPClassUID
        assert one["series_instance_uid"] == dataset.SeriesInstanceUID
    assert "✓ seg.dcm" in printed.err
