"""DICOM series: which there are, one of them as a scan, and its source instances.

::

    for series in list_series("study.zip"):
        print(series.id, series.slices, series.unusable)
    with open_series("study.zip", "1.2.840...") as series:
        scan = series.read()
        data = series.slices[0].dataset()
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from lunart import _core
from lunart.errors import ScanError
from lunart.reading.choices import Choices
from lunart.reading.files import Files
from lunart.reading.found import Found, Progress, find, printable
from lunart.reading.pixels import PixelFile, Pixels
from lunart.reading.tags import plain

_Path = str | os.PathLike[str]


class SourceSlice:
    """A slice of a series as it is stored: a file, or one ``frame`` (from 0) of it."""

    def __init__(self, files: Files, name: str, frame: int, sop_instance_uid: str) -> None:
        self._files = files
        self.name = name
        self.frame = frame
        self.sop_instance_uid = sop_instance_uid

    def open(self) -> BinaryIO:
        """The file's bytes. Raises ``ScanError``."""
        return self._files.open(self.name)

    def dataset(self, *, pixels: bool = False) -> Dataset:
        """The file's data set; its pixels only when asked for. Raises ``ScanError``."""
        stream = self.open()
        try:
            return pydicom.dcmread(plain(stream), force=True, stop_before_pixels=not pixels)
        except ScanError:
            raise
        except Exception as error:  # pydicom: any of a dozen for a damaged file
            raise ScanError(f"{self.name}: cannot be read ({error})") from error
        finally:
            stream.close()


class Series:
    """One series of a folder, zip or file, in the order of the scan; a context manager.

    ``slices`` are the stored ones: slice ``i`` of the scan is ``slices[i]``, unless
    ``is_resampled``.
    """

    def __init__(self, found: Found, plan: _core.DicomPlan) -> None:
        self.path = found.path
        self._found = found
        self._plan = plan
        self.slices = [self._source(stored.instance) for stored in plan.slices]

    def __enter__(self) -> Series:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the archive; ``slices`` cannot be read any more."""
        self._found.files.close()

    @property
    def series_uid(self) -> str:
        """Empty when it is no UID."""
        return self._plan.series_uid

    @property
    def geometry(self) -> _core.Geometry:
        """Of the scan."""
        return self._plan.geometry

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """What is mended or left out, as far as tags tell: (code, text)."""
        return self._plan.warnings

    @property
    def is_resampled(self) -> bool:
        """Whether the scan's slices are not simply the stored ones."""
        return self._plan.is_resampled

    def read(self, progress: Progress | None = None) -> _core.Scan:
        """Decode the slices, one at a time. Raises ``ScanError``."""
        volume = _core.DicomVolume(self._plan)
        with _Frames(self.path, Pixels()) as frames:
            for number, stored in enumerate(self._plan.slices):
                if progress is not None:
                    progress("read", number, len(self._plan.slices))
                volume.append(frames.of(self.slices[number]))
                for twin in stored.twins:
                    volume.compare(frames.of(self._source(twin.instance)))
        if progress is not None:
            progress("read", len(self._plan.slices), len(self._plan.slices))
        return volume.finish()

    def _source(self, number: int) -> SourceSlice:
        found = self._found
        return SourceSlice(
            found.files,
            found.names[number],
            found.instances[number].frame,
            found.sop_uids[number],
        )


def list_series(path: _Path, progress: Progress | None = None) -> list[_core.DicomSeries]:
    """Every series of a folder, zip or file, usable ones first. Raises ``ScanError``."""
    found = find(Path(path), progress)
    found.files.close()
    return _core.dicom_series(found.instances)


def open_series(
    path: _Path,
    series_uid: str | None = None,
    *,
    choices: Choices | None = None,
    progress: Progress | None = None,
) -> Series:
    """The one series, or the chosen one. Raises ``ScanError`` (with a list of the series when
    there are several), ``UsageError`` for one that is not there.
    """
    how = choices or Choices()
    found = find(Path(path), progress)
    try:
        plan = _core.dicom_plan(
            found.instances,
            source=printable(path),
            series=series_uid or how.series_uid or "",
            on_gap=how.on_gap,
            on_tilt=how.on_tilt,
            on_duplicate=how.on_duplicate,
            damaged=found.damaged,
        )
        return Series(found, plan)
    except BaseException:
        found.files.close()
        raise


class _Frames:
    """Pixels of slices; the file of the last one stays open, for a file may hold many."""

    def __init__(self, path: Path, pixels: Pixels) -> None:
        self._path = path
        self._pixels = pixels
        self._stream: BinaryIO | None = None
        self._file: PixelFile | None = None
        self._name = ""

    def __enter__(self) -> _Frames:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._pixels.close()

    def of(self, slice_: SourceSlice) -> NDArray[np.integer[Any]]:
        if self._file is None or slice_.name != self._name:
            self._close()
            self._stream = slice_.open()
            self._file = PixelFile(
                self._stream, printable(f"{self._path}: {slice_.name}"), self._pixels
            )
            self._name = slice_.name
        return self._file.frame(slice_.frame)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = self._file = None
