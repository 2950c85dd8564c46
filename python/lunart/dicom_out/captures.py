"""The report's key pictures as Secondary Captures, one instance a picture in one series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DA, TM

from lunart.dicom_out.maker import Maker, plain
from lunart.dicom_out.sources import Sources

SERIES_NUMBER = 9003


@dataclass(frozen=True)
class KeyPicture:
    """A picture for people, without anything of the patient in it.

    ``rgb`` is uint8 (rows, cols, 3); ``indices`` are the scan's slices that it shows, if any.
    """

    title: str
    rgb: NDArray[np.uint8]
    indices: tuple[int, ...] = ()


def captures(pictures: Iterable[KeyPicture], source: Sources, maker: Maker) -> Iterator[SCImage]:
    """The objects without patient and study, in the order of ``pictures``, one at a time."""
    series = maker.uids.of_run("captures series")
    for number, picture in enumerate(pictures, 1):
        yield _capture(picture, number, series, source, maker)


def _capture(
    picture: KeyPicture, number: int, series: str, source: Sources, maker: Maker
) -> SCImage:
    image = SCImage.from_ref_dataset(
        ref_dataset=source.images[0],
        pixel_array=np.ascontiguousarray(picture.rgb),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        # Several planes in one picture: no one orientation is true of it, which an empty value says
        # (General Image, type 2C). highdicom wants one; it is emptied below.
        patient_orientation=("L", "P"),
        series_instance_uid=series,
        series_number=SERIES_NUMBER,
        sop_instance_uid=maker.uids.of_run(f"capture {number}"),
        instance_number=number,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description="Lung nodule pictures, lunart (research)",
        **maker.equipment(),
        **maker.times(),
    )
    image["PatientOrientation"].value = None
    image.BodyPartExamined = "CHEST"  # which is no paired part, so that no laterality is asked for
    image.ConversionType = "WSD"  # made by a workstation, not a digital interface
    image.BurnedInAnnotation = "NO"
    image.ImageComments = plain(picture.title, 1024)
    image.DateOfSecondaryCapture = DA(maker.when.date())
    image.TimeOfSecondaryCapture = TM(maker.when.time().replace(microsecond=0))
    image.SourceImageSequence = [_reference(image) for image in source.of_slices(picture.indices)]
    if not image.SourceImageSequence:
        del image.SourceImageSequence
    return image


def _reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item
