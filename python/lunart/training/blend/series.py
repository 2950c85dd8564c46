"""A zipped DICOM series as a MetaImage, for a library of backgrounds."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from lunart.errors import UsageError


def convert(archive: Path, target: Path) -> None:
    """Write the archive's one series to ``target`` (.mhd). Raises ``UsageError``."""
    import SimpleITK  # its functions are untyped

    sitk: Any = SimpleITK

    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)
        except (OSError, zipfile.BadZipFile) as error:
            raise UsageError(f"{archive}: cannot be unpacked ({error})") from error
        found: list[tuple[str, ...]] = []
        for place in sorted({path.parent for path in Path(folder).rglob("*") if path.is_file()}):
            for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(place)):
                found.append(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(place), uid))
        if not found:
            raise UsageError(f"{archive}: holds no DICOM series")
        image = sitk.ReadImage(max(found, key=len))
        target.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), str(target), useCompression=True)
