"""What volumes are made of, read from one folder: nodules, backgrounds, and what to leave out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lunart import _core
from lunart.errors import UsageError
from lunart.training.blend.backgrounds import Background, read_background
from lunart.training.blend.nodules import Cube, read_cubes
from lunart.training.blend.series import convert
from lunart.training.blend.stitched import read_stitched

#: Never learnt from: the whole labelled scan that decides which epoch is kept.
VALIDATION_PATIENT = "LIDC-IDRI-0023"
#: LUNA16's series of the patients in the folder: the whole scan, then slabs.
SERIES = {
    VALIDATION_PATIENT: "1.3.6.1.4.1.14519.5.2.1.6279.6001.487745546557477250336016826588",
    "LIDC-IDRI-0001": "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192",
    "LIDC-IDRI-0002": "1.3.6.1.4.1.14519.5.2.1.6279.6001.619372068417051974713149104919",
    "LIDC-IDRI-0003": "1.3.6.1.4.1.14519.5.2.1.6279.6001.170706757615202213033480003264",
}
SLAB_PATIENTS = tuple(patient for patient in SERIES if patient != VALIDATION_PATIENT)
DICOM = "c3n-00247"
#: Balls (x, y, z, radius in mm, LPS) around what may well be a nodule and no reader outlined, seen
#: when all that the networks propose in these scans was looked at. None of it is a look-alike.
LESIONS = {
    "c3n-00247": [
        (-81.0, -192.0, -195.0, 32.0),
        (106.8, -130.8, -194.5, 8.0),
        (-114.1, -125.5, -155.2, 7.0),
    ],
    "ACRIN-NSCLC-FDG-PET-042": [
        (-88.6, -51.8, -121.8, 16.0),
        (-92.1, -45.0, -145.9, 12.0),
        (91.5, -118.6, -217.2, 10.0),
        (-25.4, 35.2, -57.1, 8.0),
        (82.9, -65.3, -175.5, 9.0),
    ],
    "LungFCP-01-0001": [
        (-51.1, -148.4, 57.3, 16.0),
        (71.0, -148.1, 58.0, 14.0),
        (105.6, -108.2, 23.1, 8.0),
    ],
}
#: Lungs with too many round lesions to list: takes pieces, gives no look-alikes.
FULL_OF_LESIONS = frozenset({"TCIA_9328.50.1.0117"})


#: What the names of patients begin with whose scans four radiologists have read.
READ = "LIDC-IDRI-"


@dataclass(frozen=True)
class Library:
    """Cubes, backgrounds and pieces of lung; the ``name`` of a scan of LUNA16 is its patient's."""

    cubes: list[Cube]
    backgrounds: list[Background]
    stitched: list[Background] = field(default_factory=list)


def read_library(folder: Path, converted: Path) -> Library:
    """Read ``nodules/``, ``backgrounds/*.mhd``, the scans of ``luna16/`` and ``dicom/``.

    The DICOM series is converted once, into the folder ``converted``.

    Raises ``UsageError`` when there is nothing to train on.
    """
    cubes = [c for c in read_cubes(folder / "nodules") if c.patient_id != VALIDATION_PATIENT]
    scans = sorted((folder / "backgrounds").glob("*.mhd"))
    if not scans:
        raise UsageError(f"{folder / 'backgrounds'}: no .mhd scan to put nodules into")
    archive = folder / "dicom" / f"{DICOM}.zip"
    if archive.exists():
        scans.append(converted / f"{DICOM}.mhd")
        if not scans[-1].exists():
            convert(archive, scans[-1])
    backgrounds = [
        read_background(path, hidden_mm=LESIONS.get(path.stem), unread=path.stem in FULL_OF_LESIONS)
        for path in scans
    ]
    for patient, uid in SERIES.items():
        scan = folder / "luna16" / "subset0" / f"{uid}.mhd"
        if scan.exists():
            votes = folder / "luna16" / "votes" / f"{uid}_votes.mhd"
            backgrounds.append(read_background(scan, votes, name=patient))
    return Library(cubes, backgrounds, read_stitched(folder / "nodules"))


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that a library is read from, by its path in the folder."""
    names = ("nodules/*.npz", "nodules/*.csv", "backgrounds/*", f"dicom/{DICOM}.zip")
    own = [f"luna16/*/{uid}*" for uid in SERIES.values()]
    files = sorted(path for name in (*names, *own) for path in folder.glob(name))
    if not files:
        raise UsageError(f"{folder}: no nodules/, backgrounds/ or luna16/ to train on")
    return {str(path.relative_to(folder)): _core.sha256_of_file(path) for path in files}
