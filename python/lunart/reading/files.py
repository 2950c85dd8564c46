"""The files of a folder or zip, opened one at a time; nothing is unpacked onto the disk."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from lunart.errors import ScanError

_MOST_FILES = 1 << 18
#: A file of a zip is held whole while it is decoded; the largest enhanced CTs have about 1 GB.
_MOST_MEMBER_BYTES = 2 << 30
_STEP, _LEAST = 1 << 20, 1 << 12


class Files(Protocol):
    """Files by name, in order."""

    @property
    def names(self) -> list[str]:
        """For people and for :meth:`open`."""

    def open(self, name: str) -> BinaryIO:
        """A stream that can seek. Raises ``ScanError``."""

    def close(self) -> None:
        """Let go of what is open."""


def files_of(path: Path) -> Files:
    """Of a folder with all its folders, a zip, or the one file. Raises ``ScanError``."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _Folder(path)
        if stat.S_ISREG(mode):
            return _Zip(path) if _begins_as_zip(path) else _One(path)
    except FileNotFoundError:
        raise ScanError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror})") from error
    raise ScanError(f"{path}: is neither a file nor a folder")


def _begins_as_zip(path: Path) -> bool:
    """A DICOM file's preamble may hold anything, also this."""
    with path.open("rb") as file:
        head = file.read(132)
    return head[:2] == b"PK" and head[128:] != b"DICM"


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.names: list[str] = []

        def refuse(error: OSError) -> None:
            raise ScanError(f"{error.filename}: cannot be read ({error.strerror})") from error

        # Links to folders are not followed: they may lead in circles.
        for place, _, names in os.walk(path, onerror=refuse):
            for name in names:
                file = Path(place, name)
                if file.is_file():
                    self.names.append(str(file.relative_to(path)))
            if len(self.names) > _MOST_FILES:
                raise ScanError(
                    f"{path}: holds more than {_MOST_FILES} files; name a smaller folder"
                )
        self.names.sort(key=os.fsencode)

    def open(self, name: str) -> BinaryIO:
        return _opened(self._path / name)

    def close(self) -> None:
        pass


class _One:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.names = [path.name]

    def open(self, name: str) -> BinaryIO:
        return _opened(self._path)

    def close(self) -> None:
        pass


class _Zip:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, EOFError) as error:
            raise ScanError(f"{path}: is no zip archive, or a damaged one ({error})") from error
        # Of one name several times the last counts, as where it is unpacked.
        self._members = {m.filename: m for m in self._archive.infolist() if not m.is_dir()}
        self.names = sorted(self._members)
        if len(self.names) > _MOST_FILES:
            raise ScanError(f"{path}: holds more than {_MOST_FILES} files")

    def open(self, name: str) -> BinaryIO:
        member = self._members[name]
        if member.flag_bits & 1:
            raise ScanError(f"{self._path}: {name!r} is encrypted; unpack the archive first")
        if member.file_size > _MOST_MEMBER_BYTES:
            raise ScanError(f"{self._path}: {name!r} is larger than {_MOST_MEMBER_BYTES >> 30} GB")
        try:
            return _Member(self._archive.open(member), f"{self._path}: {name!r}")
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ScanError(f"{self._path}: {name!r} cannot be unpacked ({error})") from error

    def close(self) -> None:
        self._archive.close()


class _Member(BytesIO):
    """A member of a zip, inflated only as far as it is read."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        super().__init__()
        self._stream = stream
        self._name = name
        self._held = 0

    def read(self, size: int | None = -1, /) -> bytes:
        at = self.tell()
        self._reach(None if size is None or size < 0 else at + size)
        self.seek(at)
        return super().read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END:
            self._reach(None)
        return super().seek(offset, whence)

    def _reach(self, end: int | None) -> None:
        step = 1 << 20
        super().seek(self._held)
        try:
            while end is None or self._held < end:
                chunk = self._stream.read(
                    step if end is None else max(1 << 12, min(step, end - self._held))
                )
                if not chunk:
                    break
                self.write(chunk)
                self._held += len(chunk)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ScanError(f"{self._name} is damaged ({error})") from error

    def close(self) -> None:
        self._stream.close()
        super().close()


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror})") from error
