"""What volumes are made of, read from one folder: nodules, backgrounds, and what to leave out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lunart.errors import UsageError
from lunart.training.blend.backgrounds import Background, read_background
from lunart.training.blend.nodules import Cube, read_cubes
from lunart.training.blend.series import convert

#: Never trained on: the scan that the weights are judged by.
VALIDATION_PATIENTS = frozenset({"LIDC-IDRI-0023"})
#: LUNA16's series of the patients in the folder.
SERIES = {
    "LIDC-IDRI-0001": "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192",
    "LIDC-IDRI-0002": "1.3.6.1.4.1.14519.5.2.1.6279.6001.619372068417051974713149104919",
    "LIDC-IDRI-0003": "1.3.6.1.4.1.14519.5.2.1.6279.6001.170706757615202213033480003264",
}
DICOM = "c3n-00247"
#: Balls (x, y, z, radius in mm, LPS) around a tumour that no reader of ours outlined.
TUMOURS = {"c3n-00247": [(-81.0, -192.0, -195.0, 32.0)]}


@dataclass(frozen=True)
class Library:
    """Cubes and backgrounds; a slab's ``name`` is its patient's."""

    cubes: list[Cube]
    backgrounds: list[Background]


def read_library(folder: Path, converted: Path) -> Library:
    """Read ``nodules/``, ``backgrounds/*.mhd``, the slabs of ``luna16/`` and ``dicom/``.

    The DICOM series is converted once, into the folder ``converted``.

    Raises ``UsageError`` when there is nothing to train on.
    """
    cubes = [c for c in read_cubes(folder / "nodules") if c.patient_id not in VALIDATION_PATIENTS]
    scans = sorted((folder / "backgrounds").glob("*.mhd"))
    if not scans:
        raise UsageError(f"{folder / 'backgrounds'}: no .mhd scan to put nodules into")
    archive = folder / "dicom" / f"{DICOM}.zip"
    if archive.exists():
        scans.append(converted / f"{DICOM}.mhd")
        if not scans[-1].exists():
            convert(archive, scans[-1])
    backgrounds = [read_background(path, hidden_mm=TUMOURS.get(path.stem)) for path in scans]
    for patient, uid in SERIES.items():
        scan = folder / "luna16" / "subset0" / f"{uid}.mhd"
        if scan.exists():
            votes = folder / "luna16" / "votes" / f"{uid}_votes.mhd"
            backgrounds.append(read_background(scan, votes, name=patient))
    return Library(cubes, backgrounds)
