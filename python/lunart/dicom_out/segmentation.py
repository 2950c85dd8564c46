"""The Segmentation object: one binary segment a nodule, on the source's own slices."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray

from lunart.dicom_out.codes import ABNORMAL, LUNG, NODULE, SIDES
from lunart.dicom_out.maker import Maker
from lunart.dicom_out.nodules import Nodule
from lunart.dicom_out.sources import Sources
from lunart.report.drawing import FOUND

SERIES_NUMBER = 9001


def segmentation(nodules: list[Nodule], source: Sources, maker: Maker) -> Segmentation:
    """The object without patient and study. ``nodules`` must not be empty: a SEG has a segment."""
    seg = Segmentation(
        source_images=source.headers,
        pixel_array=_numbers(nodules, source, maker),
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
    return seg


def _numbers(nodules: list[Nodule], source: Sources, maker: Maker) -> NDArray[np.uint16]:
    """Each voxel's segment number, 0 for none (index, row, col)."""
    mask = maker.result.mask
    number_of = np.zeros(int(mask.max()) + 1, np.uint16)
    for nodule in nodules:
        number_of[nodule.finding.label] = nodule.number
    return number_of[mask]


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
