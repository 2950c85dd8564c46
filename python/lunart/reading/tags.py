"""The tags of a DICOM file as the rules want them: text, an entry a file or a frame."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import Tag

from lunart import _core
from lunart.errors import ScanError

_TRANSFER_SYNTAX = 0x00020010
_DESCRIPTION = 0x0008103E
_FRAMES = 0x00280008
_SHARED, _PER_FRAME = _GROUPS = 0x52009229, 0x52009230
_CHARSET = 0x00080005
_PIXELS = 0x7FE00010
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
#: Of one element that is text; a longer one is hostile or no text.
_MOST_TEXT = 4096
_MOST_INFLATED = 1 << 30
_MOST_META = 1 << 16
_MOST_ELEMENTS = 1 << 16
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_EXPLICIT = b"1.2.840.10008.1.2.1".ljust(len(_DEFLATED), b"\0")
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_WANTED = _core.dicom_tags()


class NotDicomError(Exception):
    """A file of another kind, which is passed over."""


def dataset_of(stream: BinaryIO, *, whole: bool) -> Dataset:
    """The file's elements; without ``whole`` only those that the rules look at, and no pixels.

    Large values stay in the file. Raises :class:`NotDicomError`, or whatever pydicom does for a
    damaged file.
    """
    stream.seek(0)
    head = stream.read(132)
    if head[128:] != b"DICM" and not _looks_bare(head):
        raise NotDicomError
    stream.seek(0)
    bare = head[128:] != b"DICM"
    last = _PIXELS if whole else _PIXELS - 3  # or PixelData as floats
    elements = 0

    def is_end(tag: int, vr: str | None, length: int) -> bool:
        nonlocal elements
        elements += 1
        if elements > _MOST_ELEMENTS:  # pydicom would be busy with a hostile file for hours
            raise ValueError(f"has more than {_MOST_ELEMENTS} elements")
        return tag > last or (tag == 0 and length == 0)  # zeros after the last element

    return read_partial(
        stream,
        is_end,
        defer_size=_MOST_TEXT * 16,
        force=bare,
        specific_tags=None if whole else [Tag(tag) for tag in (*_WANTED, *_GROUPS, _CHARSET)],
    )


def plain(stream: BinaryIO) -> BinaryIO:
    """The stream, or when its data set is deflated a copy that is not, bounded.

    pydicom would inflate without a limit. Raises ``zlib.error`` or ``ValueError``.
    """
    stream.seek(0)
    head = stream.read(144)
    meta = b""
    if head[128:136] == b"DICM\x02\0\0\0" and len(head) == 144:
        length = struct.unpack_from("<I", head, 140)[0]
        meta = stream.read(length) if length < _MOST_META else b""
    if _DEFLATED not in meta:
        stream.seek(0)
        return stream
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(stream.read(), _MOST_INFLATED)
    if not inflater.eof:
        raise ValueError(f"its deflated data are cut, or have more than {_MOST_INFLATED >> 20} MB")
    return BytesIO(head + meta.replace(_DEFLATED, _EXPLICIT) + content)


def instances_of(name: str, data: Dataset) -> Iterator[_core.DicomInstance]:
    """One of a plain file; one a frame of an enhanced one. Raises :class:`NotDicomError`."""
    tags: dict[int, str | bytes] = {tag: _text(data, tag) for tag in _WANTED if tag in data}
    meta = getattr(data, "file_meta", Dataset())
    if not tags:
        raise ScanError(f"{name!r}: is cut off: it holds no element of an image")
    tags[_TRANSFER_SYNTAX] = str(meta.get("TransferSyntaxUID", ""))
    if str(meta.get("MediaStorageSOPClassUID", "")) == _MEDIA_DIRECTORY:
        raise NotDicomError
    if _DESCRIPTION in data:
        tags[_DESCRIPTION] = _decoded(data)
    frames = data.get(_PER_FRAME)
    if frames is None or not frames.value:
        yield _core.DicomInstance(file=name, tags=tags)
        return
    shared: dict[int, str | bytes] = {}
    for group in (data[_SHARED].value if _SHARED in data else [])[:1]:
        shared.update(_grouped(group))
    count = _text(data, _FRAMES).strip(b" \0")
    if count != str(len(frames.value)).encode():  # refused by the rules, as frames they cannot see
        yield _core.DicomInstance(file=name, tags={**tags, _FRAMES: count or b"?"})
        return
    for number, group in enumerate(frames.value):
        yield _core.DicomInstance(
            file=name, frame=number, tags={**tags, **shared, **_grouped(group), _FRAMES: "1"}
        )


def sop_instance_uid(data: Dataset) -> str:
    """Of the file; empty when it has none."""
    return _text(data, 0x00080018).strip(b" \0").decode("ascii", "replace")


def _grouped(groups: Dataset) -> dict[int, str | bytes]:
    """What the functional groups of a frame say, flat."""
    found: dict[int, str | bytes] = {}
    for element in groups:
        if element.VR == "SQ" and element.value:
            item = element.value[0]
            found.update({tag: _text(item, tag) for tag in _WANTED if tag in item})
    return found


def _looks_bare(head: bytes) -> bool:
    """A data set without preamble begins with an element of group 8 (or 2), as in
    ``cpp/src/io/dicom_start.hpp``."""
    if len(head) != 132 or head[:2] not in (b"\x08\0", b"\x02\0") or head[3]:
        return False
    return (head[4:6].isalpha() and head[4:6].isupper()) or not any(head[5:8])


def _text(data: Dataset, tag: int) -> bytes:
    element = data.get_item(tag, keep_deferred=True)
    if not isinstance(element, RawDataElement):
        value = None if element is None else element.value
        if element is not None and element.VR == "SQ":
            return b"sequence" if value else b""
        many = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
        return b"\\".join(str("" if v is None else v).encode() for v in many)
    value = element.value or b""
    kind = dictionary_VR(tag) if element.VR in (None, "UN") else element.VR
    if kind == "SQ":
        return b"sequence" if value else b""
    if kind in _BINARY:
        order = "<" if element.is_little_endian else ">"
        size = struct.calcsize(_BINARY[kind])
        count = min(len(value) // size, 16)
        numbers = struct.unpack_from(f"{order}{count}{_BINARY[kind]}", value)
        return b"\\".join(str(number).removesuffix(".0").encode() for number in numbers)
    return bytes(value[:_MOST_TEXT])


def _decoded(data: Dataset) -> str | bytes:
    try:
        return str(data[_DESCRIPTION].value)[:_MOST_TEXT]
    except Exception:  # pydicom: any of a dozen for a charset that is unknown or wrong
        return _text(data, _DESCRIPTION)
