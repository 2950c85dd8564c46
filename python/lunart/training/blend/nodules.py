"""The library of nodules: cubes of 1 mm voxels with one reader's mask, one nodule a patient."""

from __future__ import annotations

import csv
import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lunart.errors import UsageError
from lunart.training.blend.marks import known_in

HU = "lidc-cubes-1mm.npz"
TABLE = "lidc-cubes-1mm.csv"


@dataclass(frozen=True, eq=False)
class Cube:
    """A nodule in its surroundings: ``hu`` int16 and ``mask`` bool, index,row,col, 1 mm.

    Where ``known`` is false there may be another one.
    """

    patient_id: str
    hu: NDArray[np.int16]
    mask: NDArray[np.bool_]
    known: NDArray[np.bool_]
    malignancy: float

    @property
    def center_irc(self) -> NDArray[np.float64]:
        """The mask's centre; the publisher's cubes are not centred on it."""
        center: NDArray[np.float64] = np.argwhere(self.mask).mean(axis=0)
        return center

    @property
    def diameter_mm(self) -> float:
        """Of the sphere of the mask's volume."""
        return float((6 * self.mask.sum() / np.pi) ** (1 / 3))


def read_cubes(folder: Path) -> list[Cube]:
    """Every cube of ``folder``. Raises ``UsageError`` when table and voxels do not fit."""
    try:
        with (folder / HU).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            hu, mask = file["hu"], file["mask"]
        with (folder / TABLE).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        patients = [
            (row.get("cube", ""), row["patient_id"], float(row["malignancy"])) for row in rows
        ]
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise UsageError(f"{folder}: no nodule cubes that can be read ({error})") from error
    if not len(hu) == len(mask) == len(patients) or hu.shape != mask.shape or hu.ndim != 4:
        raise UsageError(f"{folder / HU}: {hu.shape} voxels, {mask.shape} mask, {len(rows)} rows")
    return [
        Cube(patient, cube, inside, known_in(name, inside), malignancy)
        for (name, patient, malignancy), cube, inside in zip(
            patients, hu, mask.astype(bool), strict=True
        )
        if inside.any()
    ]
