"""The scan whose files the objects will refer to: its voxels and one header a slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from pydicom import Dataset, dcmread

from lunart import _core
from lunart.dicom_out.quiet import quiet
from lunart.errors import ScanError


def opened(path: Path, series_uid: str | None) -> tuple[_core.Scan, list[Dataset]]:
    """The scan, and the header of each of its slices. Raises ``ScanError`` when it is no DICOM."""
    itk: Any = SimpleITK
    files = itk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), series_uid or "")
    if not files:
        raise ScanError(f"{path}: no DICOM series")
    image = itk.ReadImage(files)
    geometry = _core.Geometry(
        shape_irc=image.GetSize()[::-1],
        spacing_mm=image.GetSpacing(),
        origin_mm=image.GetOrigin(),
        direction=image.GetDirection(),
    )
    hu = itk.GetArrayFromImage(image).astype(np.int16)
    with quiet():
        slices: list[Dataset] = [dcmread(file, stop_before_pixels=True) for file in files]
        uid = str(slices[0].SeriesInstanceUID)
    return _core.scan_from_array(hu, geometry, uid, str(path)), slices
