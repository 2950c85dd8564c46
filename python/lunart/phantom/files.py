"""Writing phantoms as LUNA16 keeps its scans, so that every reader of LUNA16 reads them.

``<folder>/subset0/<uid>.mhd`` and ``.raw``, ``annotations.csv`` with LUNA16's columns, and beside
it ``phantoms.csv`` with what only a phantom knows. Every file is written beside its target and
renamed; the header, which makes a scan visible, comes last.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

from lunart import _core
from lunart.errors import OutputError
from lunart.phantom.types import Phantom

ANNOTATION_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
PHANTOM_COLUMNS = ("seriesuid", "seed", "index", "row", "col", "diameter_mm", "kind")


def write(phantom: Phantom, folder: str | os.PathLike[str]) -> Path:
    """Write one phantom into ``folder`` and return its ``.mhd``.

    The tables keep the rows of other series; a series that is written again replaces its own.
    Raises :class:`lunart.errors.OutputError` when the folder cannot be written.
    """
    root = Path(folder)
    uid = phantom.series_uid
    raw, header = root / "subset0" / f"{uid}.raw", root / "subset0" / f"{uid}.mhd"
    annotations = (
        (uid, *map(_number, n.center_xyz_mm), _number(n.diameter_mm)) for n in phantom.nodules
    )
    kinds = (
        (uid, phantom.seed, *map(_number, n.center_irc), _number(n.diameter_mm), n.kind)
        for n in phantom.nodules
    )
    try:
        raw.parent.mkdir(parents=True, exist_ok=True)
        try:
            _core.write_file_atomically(raw, phantom.hu.astype("<i2", copy=False).tobytes())
            _merge(root / "annotations.csv", ANNOTATION_COLUMNS, uid, annotations)
            _merge(root / "phantoms.csv", PHANTOM_COLUMNS, uid, kinds)
            _core.write_file_atomically(header, _header(phantom))
        finally:
            if not header.exists():
                raw.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{error.filename or root}: cannot write the phantom: {error.strerror or error}; "
            "choose a folder that you may write to and that has room"
        ) from error
    return header


def _header(phantom: Phantom) -> str:
    """A MetaImage header with LUNA16's fields in LUNA16's order."""
    # MetaImage lists the axes one after another: the transpose of SimpleITK's direction.
    d = phantom.direction
    matrix = (d[0], d[3], d[6], d[1], d[4], d[7], d[2], d[5], d[8])
    slices, rows, cols = phantom.hu.shape
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
        f"TransformMatrix = {_numbers(matrix)}",
        f"Offset = {_numbers(phantom.origin_mm)}",
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        f"ElementSpacing = {_numbers(phantom.spacing_mm)}",
        f"DimSize = {cols} {rows} {slices}",
        "ElementType = MET_SHORT",
        f"ElementDataFile = {phantom.series_uid}.raw",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return repr(round(value, 6))


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.17g}" for value in values)


def _merge(
    path: Path, columns: tuple[str, ...], uid: str, rows: Iterable[tuple[object, ...]]
) -> None:
    """Replace the rows of one series in a table, keep the others."""
    kept: list[list[str]] = []
    if path.is_file():
        with path.open(newline="") as file:
            kept = [row for row in csv.reader(file) if row and row[0] not in (uid, columns[0])]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(kept)
    table.writerows(rows)
    _core.write_file_atomically(path, text.getvalue())
