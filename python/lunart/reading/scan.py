"""A scan of any format, by what the path is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lunart import _core
from lunart.errors import EngineError, ScanError, UsageError
from lunart.reading.choices import Choices, OnDuplicate, OnGap, OnTilt

#: Formats that SimpleITK reads; MetaImage is the core's own.
_SIMPLE_ITK = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".hdr", ".img")
_ANALYZE = (".hdr", ".img")  # NIfTI in two files
_ITK_MODULE = Path(_core.__file__).with_name("liblunart_itk.so")
_META_IMAGE = (".mhd", ".mha")


def read_scan(
    path: str | os.PathLike[str],
    *,
    series_uid: str | None = None,
    on_gap: OnGap = "refuse",
    on_tilt: OnTilt = "refuse",
    on_duplicate: OnDuplicate = "refuse",
    progress: Callable[[str, int, int], object] | None = None,
) -> _core.Scan:
    """Read MetaImage, NRRD, NIfTI, or DICOM: a folder, a zip or a file.

    For DICOM see :class:`lunart.reading.Choices`; ``progress`` gets a stage's name, the steps done
    and all steps. Raises ``ScanError`` (with a list when ``series_uid`` must choose),
    ``UsageError``, or ``EngineError`` when a package is missing.
    """
    choices = Choices(
        series_uid=series_uid, on_gap=on_gap, on_tilt=on_tilt, on_duplicate=on_duplicate
    )
    return read(path, choices, progress)


def read(
    path: str | os.PathLike[str],
    choices: Choices,
    progress: Callable[[str, int, int], object] | None = None,
) -> _core.Scan:
    """The same with the choices as one value."""
    name = os.fspath(path)
    is_image = not Path(name).is_dir() and name.lower().endswith(_SIMPLE_ITK)
    if not is_image and not is_meta_image(name):
        return _read_dicom(name, choices, progress)
    if choices != Choices():
        raise UsageError(
            f"{name}: is no DICOM series; series_uid and the on_... choices are for those"
        )
    return _read_image(name) if is_image else _core.read_scan(name)


def is_meta_image(path: str | os.PathLike[str]) -> bool:
    """Whether the core reads the file without SimpleITK and pydicom."""
    return Path(path).suffix.lower() in _META_IMAGE and not Path(path).is_dir()


def _read_dicom(
    name: str, choices: Choices, progress: Callable[[str, int, int], object] | None
) -> _core.Scan:
    _refuse_other_files(name)
    try:
        from lunart.reading.dicom import open_series
    except ModuleNotFoundError as error:
        raise EngineError(
            f"{name}: {error.name} is not installed, which reads DICOM: pip install 'lunart[dicom]'"
        ) from error
    with open_series(name, choices=choices, progress=progress) as series:
        return series.read(progress)


def _refuse_other_files(name: str) -> None:
    """What is no folder, zip or DICOM file is refused by the core, which names other formats."""
    try:
        if not Path(name).is_file():
            return
        with Path(name).open("rb") as file:
            head = file.read(132)
    except OSError:
        return  # said where it is read
    is_dicom = head[128:] == b"DICM" or head[:2] in (b"\x08\0", b"\x02\0")
    if not is_dicom and head[:2] != b"PK":
        _core.read_scan(name)  # raises
        raise ScanError(f"{name}: is no scan that lunart reads")


def _read_image(name: str) -> _core.Scan:
    """Natively where the build can: it refuses what ITK guesses at, such as a cut file's voxels."""
    is_native = _ITK_MODULE.exists() and not name.lower().endswith(_ANALYZE)
    return _core.read_scan(name) if is_native else _read_with_simple_itk(name)


def _read_with_simple_itk(name: str) -> _core.Scan:
    try:
        import SimpleITK  # its functions are untyped
    except ModuleNotFoundError as error:
        raise EngineError(
            f"{name}: SimpleITK is not installed, which reads this format: "
            "pip install 'lunart[dicom]'"
        ) from error
    from lunart.reading.arrays import scan_of_image

    sitk: Any = SimpleITK
    if not Path(name).is_file():
        raise ScanError(f"{name}: no such file")
    try:
        image = sitk.ReadImage(name)
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [""])[-1]
        raise ScanError(f"{name}: cannot be read ({reason})") from error
    return scan_of_image(image, name)
