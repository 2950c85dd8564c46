"""The Segmentation object: one binary segment a nodule, on the source's own slices."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from highdicom import (
    CoordinateSystemNames,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
)
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from lunart import _core
from lunart.dicom_out.codes import ABNORMAL, LUNG, NODULE, SIDES
from lunart.dicom_out.maker import Maker
from lunart.dicom_out.nodules import Nodule
from lunart.dicom_out.sources import Sources
from lunart.report.drawing import FOUND

SERIES_NUMBER = 9001


def segmentation(nodules: list[Nodule], source: Sources, maker: Maker) -> Segmentation:
    """The object without patient and study. ``nodules`` must not be empty: a SEG has a segment."""
    # Only slices that a nodule is in: a big scan's mask is never held whole.
    shown = sorted({index for nodule in nodules for index in nodule.slices})
    images = [_as_ct(image) for image in source.images]
    if source.is_aligned:
        beside = set(shown)
        places: dict[str, Any] = {
            "source_images": [images[index] for index in shown],
            "further_source_images": [
                image for index, image in enumerate(images) if index not in beside
            ],
        }
    else:
        places = {"source_images": images, **_places(source.scan.geometry, shown)}
    seg = Segmentation(
        **places,
        pixel_array=_numbers(nodules, shown, source.scan.shape_irc),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(nodule, maker) for nodule in nodules],
        series_instance_uid=maker.uids.of_run("segmentation series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=maker.uids.of_run("segmentation"),
        instance_number=1,
        content_label="LUNG_NODULES",
        content_description="Lung nodules found by lunart (research software)",
        series_description="Lung nodules, lunart (research)",
        omit_empty_frames=True,
        **maker.equipment(),
        **maker.times(),
    )
    # highdicom made one under its own root.
    organization = maker.uids.of_run("dimension organization")
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    _name_classes(seg, {image.SOPInstanceUID: image.SOPClassUID for image in source.images})
    return seg


def _places(geometry: _core.Geometry, indices: list[int]) -> dict[str, Any]:
    """Where slices of the scan lie, for a segmentation that is not on the source's own slices."""
    x_mm, y_mm, z_mm = geometry.spacing_mm
    along_row, along_col = (geometry.direction[axis::3] for axis in (0, 1))
    patient = CoordinateSystemNames.PATIENT
    return {
        "plane_positions": [
            PlanePositionSequence(patient, geometry.to_xyz((index, 0, 0))) for index in indices
        ],
        "plane_orientation": PlaneOrientationSequence(patient, (*along_row, *along_col)),
        "pixel_measures": PixelMeasuresSequence((y_mm, x_mm), z_mm, z_mm),
    }


def _as_ct(image: Dataset) -> Dataset:
    """The header as that of a single CT slice, as which highdicom asks least of it."""
    if image.SOPClassUID == CTImageStorage:
        return image
    plain = deepcopy(image)  # a shallow copy shares its elements
    plain.SOPClassUID = CTImageStorage
    return plain


def _name_classes(dataset: Dataset, classes: dict[str, str]) -> None:
    """Give every reference to a source its true class, after `_as_ct`."""
    if set(classes.values()) == {CTImageStorage}:
        return
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                if item.get("ReferencedSOPInstanceUID") in classes:
                    item.ReferencedSOPClassUID = classes[item.ReferencedSOPInstanceUID]
                _name_classes(item, classes)


def _numbers(
    nodules: list[Nodule], shown: list[int], shape_irc: tuple[int, int, int]
) -> NDArray[np.uint16]:
    """Each voxel's segment number, 0 for none (shown slice, row, col)."""
    _, rows, cols = shape_irc
    numbers = np.zeros((len(shown), rows, cols), np.uint16)
    flat = numbers.reshape(-1)
    place = {index: number * rows * cols for number, index in enumerate(shown)}
    for nodule in nodules:
        for offset, length in nodule.finding.runs().tolist():
            index, within = divmod(offset, rows * cols)
            first = place[index] + within
            flat[first : first + length] = nodule.number
    return numbers


def _description(nodule: Nodule, maker: Maker) -> SegmentDescription:
    description = SegmentDescription(
        segment_number=nodule.number,
        segment_label=nodule.name,
        segmented_property_category=ABNORMAL,
        segmented_property_type=NODULE,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=maker.algorithm(),
        tracking_uid=nodule.tracking_uid,
        tracking_id=nodule.name,
        display_color=CIELabColor.from_rgb(*FOUND),
    )
    description.SegmentDescription = nodule.sentence
    region = deepcopy(LUNG)
    if nodule.side is not None:
        region.AnatomicRegionModifierSequence = [SIDES[nodule.side]]
    description.AnatomicRegionSequence = [region]
    return description
