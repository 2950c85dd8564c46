"""Files of a folder or of a tar archive, by name, read without unpacking anything onto the disk.

A name can lead nowhere where nothing is written; links, devices and folders of an archive are
passed over, and no file is larger than a limit.
"""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from lunart import _core
from lunart.errors import DataError

_MOST_FILES = 1 << 20
Wanted = Callable[[str], bool]


def files(path: Path, wanted: Wanted, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Name (with slashes, from the folder or archive on) and content of the wanted files.

    Raises ``DataError`` for what cannot be read, a file beyond ``most_bytes``, a damaged archive.
    """
    opened = _in_folder if path.is_dir() else _in_tar
    for name, content in opened(path, wanted, most_bytes):
        if len(content) > most_bytes:
            raise DataError(f"{path}: {name} is larger than {most_bytes >> 10} KB")
        yield name, content


def state(path: Path, wanted: Wanted) -> str:
    """What tells two contents apart: an archive's SHA-256, or one of names, sizes and times."""
    if not path.is_dir():
        return _core.sha256_of_file(path)
    digest = hashlib.sha256()
    for file in _listed(path, wanted):
        found = file.stat()
        digest.update(f"{file} {found.st_size} {found.st_mtime_ns} {found.st_ino}\n".encode())
    return digest.hexdigest()


def _in_folder(path: Path, wanted: Wanted, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    for file in _listed(path, wanted):
        try:
            with file.open("rb") as stream:
                yield file.relative_to(path).as_posix(), stream.read(most_bytes + 1)
        except OSError as error:
            raise DataError(f"{file}: cannot be read: {error.strerror}") from error


def _listed(path: Path, wanted: Wanted) -> list[Path]:
    return sorted(
        file
        for file in path.rglob("*")
        if wanted(file.relative_to(path).as_posix()) and file.is_file()
    )


def _in_tar(path: Path, wanted: Wanted, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r:*") as archive:
            # In the order of the archive: another one would unpack it again from the start.
            for number, member in enumerate(archive):
                if number >= _MOST_FILES:
                    raise DataError(f"{path}: holds more than {_MOST_FILES} files")
                name = member.name.removeprefix("./")
                content = archive.extractfile(member) if member.isfile() and wanted(name) else None
                if content is not None:
                    yield name, content.read(most_bytes + 1)
            # The checksums come last.
            while archive.fileobj is not None and archive.fileobj.read(1 << 20):
                pass
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}: no tar archive, or a damaged one ({error})") from error
