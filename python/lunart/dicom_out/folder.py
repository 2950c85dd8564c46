"""The folder that is written: whole or absent, and never in place of somebody else's files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lunart.errors import OutputError

SEGMENTATION = "seg.dcm"
REPORT = "sr.dcm"


def capture_name(number: int) -> str:
    """The file of key picture ``number`` (from 1)."""
    return f"sc-{number:03}.dcm"


_OURS = re.compile(r"seg\.dcm|sr\.dcm|sc-[0-9]{3,}\.dcm")


def require_writable(output: Path, *, replace: bool) -> None:
    """Raises ``OutputError`` when ``output`` must not be written.

    A missing or empty folder may be; with ``replace`` also one that holds nothing but what this
    program writes.
    """
    if not os.path.lexists(output):
        return
    if not output.is_dir():
        raise OutputError(f"{output} is no folder")
    try:
        entries = list(output.iterdir())
    except OSError as error:
        raise OutputError(f"{output} cannot be read ({error.strerror})") from error
    if not entries:
        return
    if not replace:
        raise OutputError(f"{output} is not empty: give another folder, or --force to replace it")
    foreign = [path.name for path in entries if not _OURS.fullmatch(path.name) or path.is_dir()]
    if foreign:
        raise OutputError(
            f"{output} holds {foreign[0]!r}, which luna-dicom did not write, so it is not "
            "replaced: give another folder"
        )


@contextmanager
def written_whole(output: Path, *, replace: bool) -> Iterator[Path]:
    """A folder to write into that becomes ``output`` when the block ends well, and else goes."""
    require_writable(output, replace=replace)
    target = Path(os.path.realpath(output))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", dir=target.parent))
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror})") from error
    fresh, old = beside / "new", beside / "old"
    try:
        fresh.mkdir()
        yield fresh
        require_writable(output, replace=replace)  # it may have been filled meanwhile
        if target.exists():
            target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except BrokenPipeError:
        raise  # whoever read our progress left: no fault of the folder
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({_reason(error)})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _reason(error: OSError) -> str:
    """The system's words. pydicom raises its own in their place, with an element's value in it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__
    return "writing failed"
