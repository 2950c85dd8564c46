"""Disjoint parts of patients and backgrounds: neither is ever in two of them.

A volume is made within parts, so that what was never seen can be told from what was: parts 0 to 3
are learnt from, or held out in turn by the study; the last part decides which epoch is kept.
"""

from __future__ import annotations

from collections.abc import Collection

from lunart.errors import DataError
from lunart.training.blend.backgrounds import Background
from lunart.training.blend.library import SLAB_PATIENTS, VALIDATION_PATIENT, Library
from lunart.training.blend.nodules import Cube

STUDY = (0, 1, 2, 3)
VALIDATION = 4
# Of nine patients in their order, so many go into each part of the study and one into validation.
_ROUND = 9


def part_of_background(library: Library, item: Background) -> int:
    """Whole scans in turn; slabs likewise, but the last of them into validation."""
    if item.name == VALIDATION_PATIENT:
        return VALIDATION
    if item.name in SLAB_PATIENTS:
        return _part_of_slab(item.name)
    whole = [b.name for b in library.backgrounds if not _is_patient(b)]
    return whole.index(item.name) % len(STUDY)


def part_of_patient(library: Library, patient_id: str) -> int:
    """The part of a patient's slab where there is one, else by the order of patients."""
    if patient_id in SLAB_PATIENTS:
        return _part_of_slab(patient_id)
    others = sorted({cube.patient_id for cube in library.cubes} - set(SLAB_PATIENTS))
    place = others.index(patient_id) % _ROUND
    return VALIDATION if place == _ROUND - 1 else place // 2


def part_of_stitched(library: Library, item: Background) -> int:
    """The part of the patient's slab or cube; patients of neither in turn."""
    elsewhere = {*SLAB_PATIENTS, *(cube.patient_id for cube in library.cubes)}
    if item.name in elsewhere:
        return part_of_patient(library, item.name)
    others = [b.name for b in library.stitched if b.name not in elsewhere]
    return STUDY[others.index(item.name) % len(STUDY)]


def require_parts(library: Library) -> None:
    """Raises ``DataError`` where a part has no background or no cube."""
    for part in (*STUDY, VALIDATION):
        mine = only(library, (part,))
        if not mine.backgrounds or not mine.cubes:
            lack = "scan to put nodules into" if not mine.backgrounds else "nodule cube"
            raise DataError(
                f"part {part} of the data has no {lack}: {len(STUDY)} scans in backgrounds/, "
                f"{_ROUND} patients in nodules/ and LUNA16's series of {VALIDATION_PATIENT} or "
                f"{SLAB_PATIENTS[-1]} are needed at least"
            )


def only(library: Library, parts: Collection[int]) -> Library:
    """What belongs to these parts."""
    cubes: list[Cube] = [
        cube for cube in library.cubes if part_of_patient(library, cube.patient_id) in parts
    ]
    scans = [item for item in library.backgrounds if part_of_background(library, item) in parts]
    stitched = [item for item in library.stitched if part_of_stitched(library, item) in parts]
    return Library(cubes, scans, stitched)


def _part_of_slab(patient_id: str) -> int:
    number = SLAB_PATIENTS.index(patient_id)
    return VALIDATION if number == len(SLAB_PATIENTS) - 1 else number % len(STUDY)


def _is_patient(item: Background) -> bool:
    return item.name == VALIDATION_PATIENT or item.name in SLAB_PATIENTS
