"""The Structured Report: TID 1500 with one measurement group (TID 1411) a nodule.

A Comprehensive 3D SR, because a centre in millimetres is a SCOORD3D, which Enhanced and
Comprehensive SR do not allow.
"""

from __future__ import annotations

import numpy as np
from highdicom.seg import Segmentation
from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues3D,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    Scoord3DContentItem,
    SourceImageForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes

from lunart.dicom_out import codes as terms
from lunart.dicom_out.maker import MANUFACTURER, Maker
from lunart.dicom_out.nodules import Nodule
from lunart.dicom_out.sources import Sources

SERIES_NUMBER = 9002


def report(
    nodules: list[Nodule], source: Sources, seg: Segmentation | None, maker: Maker
) -> Comprehensive3DSR:
    """The object without patient and study. ``seg`` is None exactly when there are no nodules."""
    groups = (
        [_group(nodule, source, seg, maker) for nodule in nodules]
        if seg is not None
        else [_nothing_found(source, maker)]
    )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_device(maker)),
        procedure_reported=terms.CT,
        imaging_measurements=groups,
    )
    evidence: list[Dataset] = [*source.images, *([seg] if seg is not None else [])]
    return Comprehensive3DSR(
        evidence=evidence,
        content=content,
        series_instance_uid=maker.uids.of_run("report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=maker.uids.of_run("report"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="Lung nodule measurements, lunart (research)",
        **maker.equipment(),
        **maker.times(),
    )


def _device(maker: Maker) -> ObserverContext:
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=maker.device_uid,
            name=f"lunart {maker.version}",
            manufacturer_name=MANUFACTURER,
            model_name=f"bundle {maker.bundle}",
            serial_number=maker.result.bundle.sha256,
        ),
    )


def _group(
    nodule: Nodule, source: Sources, seg: Segmentation, maker: Maker
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    found = nodule.finding
    measurements = [
        Measurement(terms.VOLUME, found.volume_mm3, terms.MM3, method=terms.VOXELS),
        Measurement(terms.DIAMETER, found.diameter_mm, terms.MM),
        Measurement(terms.CERTAINTY, 100.0 * found.probability, terms.PERCENT),
    ]
    if found.malignancy is not None:
        measurements.append(
            Measurement(terms.CANCER, 100.0 * found.malignancy, terms.PERCENT),
        )
    side = terms.SIDES[nodule.side] if nodule.side is not None else None
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(nodule.tracking_uid, nodule.name),
        referenced_segment=_segment(nodule, source, seg),
        finding_category=terms.ABNORMAL,
        finding_type=terms.NODULE,
        finding_sites=[FindingSite(terms.LUNG, laterality=side)],
        algorithm_id=maker.algorithm_in_report(),
        measurements=measurements,
    )
    # TID 1411 is extensible; the term is the one that TID 219 has for such a point.
    group[0].ContentSequence.append(
        Scoord3DContentItem(
            name=terms.CENTER_OF_MASS,
            graphic_type=GraphicTypeValues3D.POINT,
            graphic_data=np.array([found.center_xyz_mm]),
            frame_of_reference_uid=source.frame_of_reference_uid,
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
    )
    return group


def _segment(nodule: Nodule, source: Sources, seg: Segmentation) -> ReferencedSegment:
    # highdicom's from_segmentation fails where a segmentation has but one segment (0.28).
    images = source.of_slices(nodule.slices)
    return ReferencedSegment(
        sop_class_uid=seg.SOPClassUID,
        sop_instance_uid=seg.SOPInstanceUID,
        segment_number=nodule.number,
        source_images=[
            SourceImageForSegmentation(image.SOPClassUID, image.SOPInstanceUID) for image in images
        ],
    )


def _nothing_found(source: Sources, maker: Maker) -> MeasurementsAndQualitativeEvaluations:
    """What a report of no nodule says: that all went well, and that the count is 0."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            maker.uids.of_name("finding", source.series_uid, maker.result.bundle.sha256, "none"),
            "Lung nodules",
        ),
        finding_category=terms.ABNORMAL,
        finding_type=terms.NODULE,
        finding_sites=[FindingSite(terms.LUNG)],
        algorithm_id=maker.algorithm_in_report(),
        measurements=[Measurement(terms.LESIONS, 0, terms.ONE)],
        qualitative_evaluations=[QualitativeEvaluation(terms.SUMMARY, terms.NOTHING)],
    )
