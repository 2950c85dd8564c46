"""From a result and its DICOM files to a folder of objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from highdicom import SOPClass
from pydicom import Dataset
from pydicom.valuerep import DA, DT, TM

from lunart import _core
from lunart.dicom_out import folder
from lunart.dicom_out.captures import captures
from lunart.dicom_out.key_pictures import key_pictures
from lunart.dicom_out.maker import Maker
from lunart.dicom_out.measurements import report
from lunart.dicom_out.nodules import Nodule, nodules
from lunart.dicom_out.quiet import quiet
from lunart.dicom_out.segmentation import segmentation
from lunart.dicom_out.sources import Sources, carry_over, sources, uid_of, zone_of
from lunart.dicom_out.uids import Uids, checked_root
from lunart.result import Result, require_same_scan


@dataclass(frozen=True)
class Written:
    """One file: its path, what it is, and the identifiers that it was given."""

    path: Path
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


def write_dicom(
    result: Result,
    scan: _core.Scan,
    stored: Sequence[Dataset],
    output: Path,
    *,
    is_resampled: bool = False,
    uid_root: str | None = None,
    date: datetime | None = None,
    pictures: bool = True,
    replace: bool = False,
    done: Callable[[str, str], None] = lambda what, how: None,
) -> tuple[list[Written], list[str]]:
    """Write a result as DICOM beside the files it was found in; what was written, and warnings.

    ``stored`` are the headers of the scan's slices in its order; of scans that ``is_resampled``, of
    the slices that it was made from. With a ``date`` the same input gives the same bytes; without,
    it is now, in the source's time zone where it names one, and every run has UIDs of its own.
    ``done`` hears of each object. Raises ``UsageError`` when the result is of another scan,
    ``ScanError`` when the files cannot be referenced, ``OutputError`` when ``output`` cannot be
    written; then nothing is left behind.
    """
    root = None if uid_root is None else checked_root(uid_root)
    require_same_scan(result, scan)
    zone = zone_of(stored[0]) if stored else None
    when = (date or datetime.now(zone)).replace(microsecond=0, tzinfo=None)
    uids = Uids(root, _seed(result, stored, when)) if date else Uids.random(root)
    with quiet(), folder.written_whole(output, replace=replace) as fresh:
        source = sources(
            scan,
            stored,
            is_resampled=is_resampled,
            spare_frame_uid=uids.of_run("frame of reference"),
        )
        maker = Maker(result, uids, when)
        found = nodules(result, scan, source.series_uid, uids)
        written = []
        lost = set(source.missing)
        for name, kind, made in _objects(found, source, maker, pictures=pictures):
            lost |= set(carry_over(made, source))
            _stamp(made, when)
            made.save_as(fresh / name, enforce_file_format=True)
            written.append(
                Written(
                    output / name,
                    kind,
                    str(made.SOPClassUID),
                    str(made.SOPInstanceUID),
                    str(made.SeriesInstanceUID),
                )
            )
            done(kind, name)
    pictured = sum(one.kind == "picture" for one in written) - 1  # the first is the overview
    return written, _warnings(source, lost, len(found), pictured if pictures else None)


def _objects(
    found: list[Nodule], source: Sources, maker: Maker, *, pictures: bool
) -> Iterator[tuple[str, str, SOPClass]]:
    """File name, kind and object, each made when it is asked for."""
    seg = segmentation(found, source, maker) if found else None
    if seg is not None:
        yield folder.SEGMENTATION, "segmentation", seg
    yield folder.REPORT, "report", report(found, source, seg, maker)
    if pictures:
        shown = key_pictures(found, source.scan)
        for number, image in enumerate(captures(shown, source, maker), 1):
            yield folder.capture_name(number), "picture", image


def _seed(result: Result, stored: Sequence[Dataset], when: datetime) -> str:
    """What a run with a given date depends on."""
    uid = uid_of(stored[0], "SeriesInstanceUID") if stored else None
    content = [_core.__version__, uid, when.isoformat(), result.to_dict()]
    return json.dumps(content, sort_keys=True)


def _stamp(made: SOPClass, when: datetime) -> None:
    """highdicom writes the clock's time."""
    made.InstanceCreationDate = DA(when.date())
    made.InstanceCreationTime = TM(when.time())
    for item in made.ContributingEquipmentSequence:
        if "ContributionDateTime" in item:
            item.ContributionDateTime = DT(when)


def _warnings(source: Sources, lost: set[str], found: int, pictured: int | None) -> list[str]:
    texts = []
    if pictured is not None and pictured < found:
        texts.append(
            f"pictures of the {pictured} most probable nodules; the others are in the segmentation "
            "and the report"
        )
    if not found:
        texts.append(
            "no nodules, so no segmentation: the standard has no empty one; the report says so"
        )
    if "FrameOfReferenceUID" in lost:
        texts.append(
            "the source has no FrameOfReferenceUID: the objects share a new one, and a viewer may "
            "not overlay them"
        )
        lost = lost - {"FrameOfReferenceUID"}
    if lost:
        texts.append(f"not copied, because their values are not valid: {', '.join(sorted(lost))}")
    return texts
