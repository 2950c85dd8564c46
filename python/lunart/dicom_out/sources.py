"""What the new objects take from the CT's files: references, geometry, the patient and the study.

highdicom is given headers of our own making that hold only what it needs to place an object, so
that no odd text in a source stops it. Patient and study are copied afterwards, as they are, into
every object alike (`carry_over`): nothing is added, mended or undone, de-identification stays as
the source states it, and private elements stay behind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any

import numpy as np
from highdicom import SOPClass
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat, format_number_as_ds

from lunart import _core
from lunart.errors import ScanError

# Of Patient and General Study: present in every object, empty where the source has none (type 2).
_ALWAYS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
# Said of the patient and the study outside of their modules: whether dates were moved in
# de-identification, and the zone that they are in; and what older CTs hold in those modules, which
# the standard has retired and highdicom leaves out.
_SINGLE = (
    "LongitudinalTemporalInformationModified",
    "TimezoneOffsetFromUTC",
    "EthnicGroup",
    "OtherPatientIDs",
)
# One frame of reference has one: where an object has it, it is the source's.
_INDICATOR = "PositionReferenceIndicator"
# What all slices of a scan must have alike, or objects could be filed under the wrong patient.
_ONE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_SAME = 1e-3  # of the step between slices: at one place


@dataclass(frozen=True)
class Sources:
    """The files of a scan: ``images`` are their headers, each once; ``first`` is as read.

    ``is_aligned`` when slice ``i`` of the scan is the one image ``images[i]``; not so where slices
    were interpolated or shifted, or are frames of one file. ``missing`` names the attributes that
    the source lacks and an object needs: keywords only, never values.
    """

    scan: _core.Scan
    images: tuple[Dataset, ...]
    is_aligned: bool
    first: Dataset
    missing: tuple[str, ...]

    @property
    def study_uid(self) -> str:
        return str(self.images[0].StudyInstanceUID)

    @property
    def series_uid(self) -> str:
        return str(self.images[0].SeriesInstanceUID)

    @property
    def frame_of_reference_uid(self) -> str:
        return str(self.images[0].FrameOfReferenceUID)

    def of_slices(self, indices: Iterable[int]) -> list[Dataset]:
        """The images that slices of the scan are from, each once."""
        if self.is_aligned:
            return [self.images[index] for index in sorted(set(indices))]
        cosines = np.array(self.images[0].ImageOrientationPatient, np.float64)
        normal = np.cross(cosines[:3], cosines[3:])
        places = [np.array(image.ImagePositionPatient, np.float64) for image in self.images]
        step = self.scan.spacing_mm[2]
        found: set[int] = set()
        for index in indices:
            away = (places - np.array(self.scan.geometry.to_xyz((index, 0, 0)))) @ normal
            nearest = int(np.abs(away).argmin())
            found.add(nearest)
            if abs(away[nearest]) > _SAME * step:  # between two: the other side's nearest too
                beyond = np.where(away * away[nearest] < 0, np.abs(away), np.inf)
                if np.isfinite(beyond).any():
                    found.add(int(beyond.argmin()))
        return [self.images[number] for number in sorted(found)]


def sources(
    scan: _core.Scan, stored: Sequence[Dataset], *, is_resampled: bool, spare_frame_uid: str
) -> Sources:
    """The sources of ``scan``, made from the ``stored`` slices (pixels are not needed).

    Unless ``is_resampled``, slice ``i`` is ``stored[i]``. ``spare_frame_uid`` names the frame of
    reference when the source, against the standard, does not. Raises ``ScanError`` when the files
    cannot be referenced.
    """
    if not stored or not (is_resampled or len(stored) == scan.shape_irc[0]):
        raise ScanError(
            f"{scan.path}: {scan.shape_irc[0]} slices in the scan, but {len(stored)} DICOM images"
        )
    for keyword in _ONE:
        if len({str(_value(dataset, keyword)) for dataset in stored}) > 1:
            raise ScanError(
                f"{scan.path}: its slices have different values of {keyword}, so it is not clear "
                "whose they are"
            )
    first, missing = _readable(stored[0])
    frame_uid = uid_of(stored[0], "FrameOfReferenceUID")
    if frame_uid is None:
        missing.append("FrameOfReferenceUID")
        frame_uid = spare_frame_uid
    study_uid = uid_of(stored[0], "StudyInstanceUID")
    if study_uid is None:
        raise ScanError(
            f"{scan.path}: the files have no valid StudyInstanceUID to file anything under"
        )
    images: dict[str, Dataset] = {}
    for number, dataset in enumerate(stored):
        index = min(number, scan.shape_irc[0] - 1)
        header = _header(scan, index, dataset, study_uid, frame_uid)
        images.setdefault(str(header.SOPInstanceUID), header)
    is_aligned = not is_resampled and len(images) == len(stored)
    return Sources(scan, tuple(images.values()), is_aligned, first, tuple(missing))


def carry_over(target: SOPClass, source: Sources) -> tuple[str, ...]:
    """Copy patient and study into ``target`` as they are; the keywords that could not be copied."""
    first = source.first
    if "SpecificCharacterSet" in first:
        target["SpecificCharacterSet"] = first["SpecificCharacterSet"]
    target.copy_patient_and_study_information(first)
    for keyword in (*_SINGLE, *([_INDICATOR] if _INDICATOR in target else [])):
        if keyword in first:
            target[keyword] = first[keyword]
    always = (*_ALWAYS, *([_INDICATOR] if _INDICATOR in target else []))
    lost = tuple(
        element.keyword
        for element in target
        if element.tag in first and not _can_be_written(target, element.tag)
    )
    for keyword in lost:
        del target[keyword]
    for keyword in always:
        if keyword not in target:
            setattr(target, keyword, None)
    target.StudyInstanceUID = source.study_uid
    return lost


def _header(
    scan: _core.Scan, index: int, dataset: Dataset, study_uid: str, frame_uid: str
) -> Dataset:
    """What highdicom asks of a source image, from the file where it is there and whole."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"):
        uid = uid_of(dataset, keyword)
        if uid is None:
            raise ScanError(f"{scan.path}: slice {index} has no valid {keyword} to refer to")
        setattr(header, keyword, uid)
    header.StudyInstanceUID = study_uid
    header.FrameOfReferenceUID = frame_uid
    header.PositionReferenceIndicator = ""
    header.Modality = "CT"
    for keyword in _ALWAYS:
        setattr(header, keyword, None)
    geometry = scan.geometry
    _, header.Rows, header.Columns = scan.shape_irc
    direction = geometry.direction
    columns = [[direction[3 * row + axis] for row in range(3)] for axis in range(3)]
    header.ImageOrientationPatient = _decimals([*columns[0], *columns[1]])
    header.ImagePositionPatient = _decimals(geometry.to_xyz((index, 0, 0)))
    header.PixelSpacing = _decimals([geometry.spacing_mm[1], geometry.spacing_mm[0]])
    thickness = _numbers(dataset, "SliceThickness") or [0.0]
    header.SliceThickness = _decimals([thickness[0] or geometry.spacing_mm[2]])[0]
    header.SpacingBetweenSlices = _decimals([geometry.spacing_mm[2]])[0]
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
        # As the file says it, which the scan's geometry was made from and rounds.
        own = _numbers(dataset, keyword)
        if own is not None and len(own) == len(header[keyword].value):
            header[keyword].value = _decimals(own)
    for keyword in ("Manufacturer", "ManufacturerModelName"):
        text = str(_value(dataset, keyword))
        if text.isascii() and text.isprintable() and 0 < len(text) <= 64 and "\\" not in text:
            setattr(header, keyword, text)
    if str(_value(dataset, "LossyImageCompression")) == "01":
        header.LossyImageCompression = "01"
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if _value(dataset, keyword) != "":
                header[keyword] = dataset[keyword]
    return header


def uid_of(dataset: Dataset, keyword: str) -> str | None:
    """The attribute when it is a UID: also one with zeros before a number, which are met."""
    text = str(_value(dataset, keyword))
    return text if len(text) <= 64 and re.fullmatch(r"[0-9]+(\.[0-9]+)+", text, re.A) else None


def zone_of(dataset: Dataset) -> timezone | None:
    """The time zone that the file's dates and times are in, when it says so."""
    text = str(_value(dataset, "TimezoneOffsetFromUTC"))
    found = re.fullmatch(r"([+-])(0[0-9]|1[0-4])([0-5][0-9])", text, re.A)
    if found is None:
        return None
    away = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-away if found[1] == "-" else away)


def _value(dataset: Dataset, keyword: str) -> Any:
    """The attribute's value, or an empty text when it is absent or damaged."""
    try:
        value = dataset.get(keyword)
    except Exception:  # whatever a damaged element makes of pydicom
        return ""
    return "" if value is None else value


def _numbers(dataset: Dataset, keyword: str) -> list[float] | None:
    """The attribute's numbers, or None when it is absent or not all of it are numbers."""
    value = _value(dataset, keyword)
    try:
        numbers = [float(one) for one in (value if isinstance(value, MultiValue) else [value])]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _readable(dataset: Dataset) -> tuple[Dataset, list[str]]:
    """The elements that can be read, without private ones, and the keywords of the others."""
    readable, damaged = Dataset(), []
    for tag in list(dataset.keys()):
        try:
            if not tag.is_private:
                readable.add(dataset[tag])
        except Exception:  # as above
            damaged.append(keyword_for_tag(tag) or str(tag))
    # By it highdicom looks up the modules to copy; patient and study have the same in all classes.
    readable.add_new("SOPClassUID", "UI", CTImageStorage)  # the other stays the file's
    return readable, damaged


def _decimals(numbers: Sequence[float]) -> list[DSfloat]:
    """As decimal strings of at most 16 characters."""
    return [DSfloat(format_number_as_ds(float(number))) for number in numbers]


def _can_be_written(dataset: Dataset, tag: BaseTag) -> bool:
    alone = Dataset()
    alone.add(dataset[tag])
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    try:
        write_dataset(buffer, alone, dataset.get("SpecificCharacterSet", "ISO_IR 6"))
    except Exception:  # whatever a hostile value makes of pydicom: it stays behind
        return False
    return True
