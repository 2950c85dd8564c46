"""Scans that are in memory already: arrays and SimpleITK images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.errors import ScanError, UsageError

_SERIES_UID_TAG = "0020|000e"


@runtime_checkable
class SimpleItkImage(Protocol):
    """What a ``SimpleITK.Image`` offers; named here so that SimpleITK stays optional."""

    def GetSpacing(self) -> tuple[float, ...]: ...  # noqa: N802
    def GetOrigin(self) -> tuple[float, ...]: ...  # noqa: N802
    def GetDirection(self) -> tuple[float, ...]: ...  # noqa: N802
    def GetDimension(self) -> int: ...  # noqa: N802
    def GetNumberOfComponentsPerPixel(self) -> int: ...  # noqa: N802
    def HasMetaDataKey(self, key: str) -> bool: ...  # noqa: N802
    def GetMetaData(self, key: str) -> str: ...  # noqa: N802


def scan_of_array(
    array: NDArray[Any],
    spacing: Sequence[float] | None,
    origin: Sequence[float],
    direction: Sequence[float],
    series_uid: str,
    path: str = "",
) -> _core.Scan:
    """The core's scan over (index, row, col) HU, without a copy where it can be.

    Raises ``UsageError`` or ``ScanError``.
    """
    if array.ndim != 3:
        raise ScanError(
            f"the array has {array.ndim} dimensions ({array.shape}); expected (index, row, col)"
        )
    if spacing is None:
        raise UsageError("an array needs spacing=(x, y, z) in mm")
    for name, values, count in (
        ("spacing", spacing, 3),
        ("origin", origin, 3),
        ("direction", direction, 9),
    ):
        if len(values) != count:
            raise UsageError(f"{name} has {len(values)} numbers; expected {count}")
    geometry = _core.Geometry(
        shape_irc=array.shape,
        spacing_mm=tuple(map(float, spacing)),
        origin_mm=tuple(map(float, origin)),
        direction=tuple(map(float, direction)),
    )
    # The core reads this machine's byte order, and no half precision.
    if array.dtype.kind in "iuf":
        native = np.float32 if array.dtype == np.float16 else array.dtype.newbyteorder("=")
        array = array.astype(native, copy=False)
    return _core.scan_from_array(array, geometry, series_uid, path)


def scan_of_image(image: SimpleItkImage, path: str = "") -> _core.Scan:
    """The core's scan of a SimpleITK image, which must live as long as the scan.

    With the ``path`` that it was read from it is copied, and need not. Raises ``ScanError`` when it
    is no scan.
    """
    import SimpleITK

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ScanError(
            f"the image has {image.GetDimension()} dimensions and "
            f"{image.GetNumberOfComponentsPerPixel()} channels; expected 3 and 1"
        )
    uid = image.GetMetaData(_SERIES_UID_TAG) if image.HasMetaDataKey(_SERIES_UID_TAG) else ""
    array = SimpleITK.GetArrayFromImage if path else SimpleITK.GetArrayViewFromImage
    return scan_of_array(
        array(cast("SimpleITK.Image", image)),
        image.GetSpacing(),
        image.GetOrigin(),
        image.GetDirection(),
        uid.strip(" \0"),
        path,
    )
