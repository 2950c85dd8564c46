"""The scan whose files the objects will refer to: its voxels and a header for each slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from lunart import _core
from lunart.dicom_out.quiet import quiet
from lunart.errors import ScanError
from lunart.reading import Choices
from lunart.reading.dicom import Series, open_series
from lunart.reading.found import Progress

# Said of these before anybody looks for DICOM in them.
_OTHERS = (".mhd", ".mha", ".nrrd", ".nhdr", ".nii", ".gz", ".hdr", ".img", ".zraw", ".raw")


@dataclass(frozen=True)
class ScanFiles:
    """``headers`` are those of the stored slices; see ``write.write_dicom``."""

    scan: _core.Scan
    headers: list[Dataset]
    is_resampled: bool


def opened(
    path: Path, choices: Choices | None = None, progress: Progress | None = None
) -> ScanFiles:
    """The scan and its headers. Raises ``ScanError`` when it is no DICOM."""
    if path.is_file() and path.suffix.lower() in _OTHERS:
        raise ScanError(
            f"{path}: is no DICOM, so there is no study that the objects could belong to; give the "
            "folder or zip of DICOM files that the scan was made from"
        )
    with quiet(), open_series(path, choices=choices, progress=progress) as series:
        return ScanFiles(series.read(progress), _headers(series), series.is_resampled)


def _headers(series: Series) -> list[Dataset]:
    """One a slice; of a file with many frames the same for all."""
    by_name: dict[str, Dataset] = {}
    for stored in series.slices:
        if stored.name not in by_name:
            by_name[stored.name] = stored.dataset()
    return [by_name[stored.name] for stored in series.slices]
