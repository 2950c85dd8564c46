"""Pixels of one frame as stored: before slope and intercept.

Uncompressed ones are sliced out of the file. Compressed ones go through SimpleITK's GDCM in a data
set of our own, which holds the codestream and nothing else of the file: no tag of a hostile or
private file reaches the decoder or the disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from lunart.errors import ScanError
from lunart.reading.tags import dataset_of, plain

_PIXELS = 0x7FE00010
#: Deflated ones have become explicit by then.
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
#: Transfer syntaxes that GDCM decodes.
DECODED = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first-order prediction",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.5": "RLE lossless",
}


class Pixels:
    """The decoders, and the temporary folder that they need; to be closed."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def decode(self, codestream: bytes, layout: Dataset, syntax: UID) -> NDArray[Any]:
        """Through SimpleITK. Raises ``RuntimeError``."""
        import SimpleITK  # its functions are untyped

        sitk: Any = SimpleITK
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="lunart-")
        path = Path(self._folder.name, "frame.dcm")
        data = Dataset()
        data.update(layout)
        data.SOPClassUID = CTImageStorage
        data.SOPInstanceUID = "1.2.3"
        data.PhotometricInterpretation = "MONOCHROME2"
        data.SamplesPerPixel = 1
        data.PixelData = encapsulate([codestream])
        data["PixelData"].is_undefined_length = True
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = syntax
        data.file_meta.MediaStorageSOPClassUID = CTImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
        data.save_as(path, enforce_file_format=True)
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
        array: NDArray[Any] = sitk.GetArrayFromImage(image)
        return array.reshape(array.shape[-2:])


class PixelFile:
    """One file's frames."""

    def __init__(self, stream: BinaryIO, name: str, pixels: Pixels) -> None:
        self._name = name
        self._pixels = pixels
        try:
            stream.seek(0, os.SEEK_END)  # at the end of a zip's member its checksum is compared
            self._stream = plain(stream)
            self._data = dataset_of(self._stream, whole=True)
            meta = self._data.file_meta
            self._syntax = UID(str(meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)))
            self._layout = self._layout_of(self._data)
            self._frames = int(self._data.get("NumberOfFrames") or 1)
        except ScanError:
            raise
        except Exception as error:  # whatever pydicom raises for a damaged file
            raise ScanError(f"{name}: cannot be read ({error})") from error

    def frame(self, number: int) -> NDArray[Any]:
        """(rows, cols), int8 to uint32. Raises ``ScanError``."""
        element = self._data.get_item(_PIXELS, keep_deferred=True)
        at = element.value_tell if isinstance(element, RawDataElement) else None
        if at is None:
            raise ScanError(f"{self._name}: holds no pixels (PixelData)")
        if self._syntax in _PLAIN:
            return self._sliced(number, at)
        return self._decoded(number, at)

    def _layout_of(self, data: Dataset) -> Dataset:
        layout = Dataset()
        for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
            value = int(data[name].value) if name in data else None
            if value is None and name in ("BitsStored", "HighBit"):
                value = int(layout.BitsAllocated if name == "BitsStored" else layout.BitsStored - 1)
            setattr(layout, name, value)
        layout.PixelRepresentation = int(data.get("PixelRepresentation") or 0)
        allocated, stored, high = layout.BitsAllocated, layout.BitsStored, layout.HighBit
        if (
            allocated not in (8, 16, 32)
            or not 1 <= stored <= allocated
            or not stored - 1 <= high < allocated
        ):
            raise ScanError(
                f"{self._name}: BitsAllocated {allocated}, BitsStored {stored}, HighBit {high}: "
                "no layout of pixels that lunart reads"
            )
        return layout

    def _sliced(self, number: int, at: int) -> NDArray[Any]:
        layout = self._layout
        size = layout.BitsAllocated // 8
        count = layout.Rows * layout.Columns
        order = ">" if self._syntax == ExplicitVRBigEndian else "<"
        if order == ">" and size == 1:
            raise ScanError(f"{self._name}: 8-bit pixels in big endian are not read")
        self._stream.seek(at + number * count * size)
        content = self._stream.read(count * size)
        if len(content) != count * size:
            raise ScanError(
                f"{self._name}: is cut: frame {number + 1} holds {len(content)} bytes of pixels, "
                f"not {layout.Columns} x {layout.Rows} x {size}"
            )
        sign = "i" if layout.PixelRepresentation else "u"
        array = np.frombuffer(content, f"{order}{sign}{size}").astype(f"={sign}{size}", copy=False)
        return self._cleaned(array).reshape(layout.Rows, layout.Columns)

    def _cleaned(self, array: NDArray[Any]) -> NDArray[Any]:
        """What other programs keep in the unused bits goes, the sign is extended."""
        above = self._layout.BitsAllocated - 1 - self._layout.HighBit
        below = self._layout.BitsAllocated - self._layout.BitsStored
        return np.right_shift(np.left_shift(array, above), below) if below else array

    def _decoded(self, number: int, at: int) -> NDArray[Any]:
        layout = self._layout
        if self._syntax not in DECODED:
            raise ScanError(
                f"{self._name}: is compressed as {self._syntax.name}, which lunart does not read; "
                "convert it, e.g. with gdcmconv --raw"
            )
        try:
            self._stream.seek(at)
            codestream = get_frame(self._stream, number, number_of_frames=self._frames)
            array = self._pixels.decode(codestream, layout, self._syntax)
        except Exception as error:  # pydicom's and GDCM's for a damaged codestream
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise ScanError(
                f"{self._name}: its {DECODED[self._syntax]} pixels cannot be decoded ({reason[0]})"
            ) from error
        expected = f"{'i' if layout.PixelRepresentation else 'u'}{layout.BitsAllocated // 8}"
        if array.shape != (layout.Rows, layout.Columns) or array.dtype != np.dtype(expected):
            raise ScanError(
                f"{self._name}: its {DECODED[self._syntax]} pixels are {array.shape[::-1]} "
                f"{array.dtype}, not {layout.Columns} x {layout.Rows} {np.dtype(expected)}"
            )
        return self._cleaned(array)
