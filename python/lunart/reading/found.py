"""What the files of a path hold: their tags, read one file at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lunart import _core
from lunart.errors import ScanError
from lunart.reading.files import Files, files_of
from lunart.reading.tags import NotDicomError, dataset_of, instances_of, plain, sop_instance_uid

#: Called with the stage's name (``files``, ``read``), the steps done and all steps.
Progress = Callable[[str, int, int], object]


@dataclass
class Found:
    """``names`` (of files) and ``sop_uids`` run alongside ``instances``. ``damaged``: a sentence
    a file.
    """

    path: Path
    files: Files
    instances: list[_core.DicomInstance] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sop_uids: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def find(path: Path, progress: Progress | None = None) -> Found:
    """Read the tags of every DICOM file. Raises ``ScanError``: none there, unreadable."""
    found = Found(path, files_of(path))
    names = found.files.names
    try:
        for number, name in enumerate(names):
            if progress is not None:
                progress("files", number, len(names))
            _read(name, found)
    except BaseException:
        found.files.close()
        raise
    if progress is not None:
        progress("files", len(names), len(names))
    if not found.instances:
        found.files.close()
        why = found.damaged[0] if found.damaged else f"{len(names)} files, none of them DICOM"
        raise ScanError(f"{path}: holds no DICOM series ({why})")
    return found


def printable(path: str | os.PathLike[str]) -> str:
    """Names of files need not be text; the core's messages show such bytes likewise."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _read(name: str, found: Found) -> None:
    stream = found.files.open(name)
    try:
        data = dataset_of(plain(stream), whole=False)
        instances = list(instances_of(printable(name), data))
    except NotDicomError:
        return
    except ScanError as error:
        found.damaged.append(str(error))
        return
    except Exception as error:  # pydicom: any of a dozen for a damaged file
        found.damaged.append(f"{printable(name)!r}: is cut off or damaged ({error})"[:200])
        return
    finally:
        stream.close()
    found.instances.extend(instances)
    found.names.extend([name] * len(instances))
    found.sop_uids.extend([sop_instance_uid(data)] * len(instances))
