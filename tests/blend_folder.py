"""A small folder of what blended volumes are made of: phantoms as lungs, balls as nodules."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from lunart import _core
from lunart.phantom import Phantom, generate
from lunart.training.blend.library import SERIES, SLAB_PATIENTS

PATIENTS = [f"LIDC-IDRI-{number:04d}" for number in range(101, 119)]


def write_blend_folder(folder: Path) -> Path:
    """Four lungs without nodules, the last slab's series with its own, 18 cubes of a ball each."""
    for number in range(4):
        phantom = generate(31 + number, shape_irc=(24, 96, 96), nodule_count=0)
        _write(folder / "backgrounds" / f"lung{number}.mhd", phantom, phantom.hu)
    slab = generate(41, shape_irc=(24, 96, 96), nodule_count=3)
    uid = SERIES[SLAB_PATIENTS[-1]]
    _write(folder / "luna16" / "subset0" / f"{uid}.mhd", slab, slab.hu)
    votes = np.where(slab.labels > 0, 3, 0).astype(np.int16)
    _write(folder / "luna16" / "votes" / f"{uid}_votes.mhd", slab, votes)
    write_cubes(folder / "nodules", PATIENTS)
    return folder


def write_cubes(folder: Path, patients: list[str]) -> None:
    """Balls of 8 to 18 mm of soft tissue in noisy air, and their readers' ratings of 1 to 5."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    grid = np.mgrid[-25:26, -25:26, -25:26]
    away = np.sqrt((grid**2).sum(axis=0))
    radii = 4 + np.arange(len(patients)) % 6
    mask = np.stack([away <= radius for radius in radii])
    hu = np.where(mask, 30, -840) + rng.normal(0, 12, mask.shape)
    np.savez(folder / "lidc-cubes-1mm.npz", hu=hu.astype(np.int16), mask=mask.astype(np.uint8))
    with (folder / "lidc-cubes-1mm.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["patient_id", "malignancy"])
        table.writerows([patient, 1 + number % 5] for number, patient in enumerate(patients))


def _write(path: Path, phantom: Phantom, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _core.write_metaimage(path, voxels, phantom.spacing_mm, phantom.origin_mm, phantom.direction)
