"""Small folders in LUNA16's layout: phantoms, and boxes of noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from lunart import _core
from lunart.phantom import generate, write

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
#: Half a turn about the head-foot axis and a tilt: not symmetric, and not LPS as stored.
TILTED = (-0.8, 0.6, 0.0, -0.6, -0.8, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four generated thoraxes of 32 slices of 112x112 with ``annotations.csv``; read only."""
    folder = tmp_path_factory.mktemp("luna16")
    for seed in (21, 22, 23, 24):
        write(generate(seed, shape_irc=(32, 112, 112), nodule_count=4), folder)
    return folder


def box_scan(
    folder: Path,
    uid: str,
    *,
    shape: Sequence[int] = (40, 60, 70),
    seed: int = 0,
    direction: Sequence[float] = IDENTITY,
) -> Path:
    """A scan of noise, so that every voxel can be told from its neighbours."""
    hu = np.random.default_rng(seed).integers(-1200, 1200, shape).astype(np.int16)
    path = folder / "subset0" / f"{uid}.mhd"
    path.parent.mkdir(parents=True, exist_ok=True)
    _core.write_metaimage(path, hu, (0.7, 0.8, 2.0), (-100.0, -50.0, 30.0), direction)
    return path


def write_table(path: Path, columns: str, rows: Sequence[Sequence[object]]) -> Path:
    """A CSV table."""
    lines = [columns, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


ANNOTATIONS = "seriesuid,coordX,coordY,coordZ,diameter_mm"
CANDIDATES = "seriesuid,coordX,coordY,coordZ,class"
