"""A run's result, typed. ``to_dict()`` is the JSON of ``luna_infer`` (docs/result.schema.json).

The native core writes the JSON; these classes only give its parts names and types.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.errors import DataError
from lunart.report.again import Again, Source, again

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Finding:
    """A candidate, or when its probability exceeds the threshold a nodule.

    ``center_irc`` indexes the array as it was given, ``center_xyz_mm`` is LPS; ``label`` is the
    value of its voxels in the mask; ``voxels`` counts the eroded component, ``volume_mm3`` and
    ``diameter_mm`` the one grown back inside the thresholded mask.
    """

    label: int
    center_xyz_mm: tuple[float, float, float]
    center_irc: tuple[float, float, float]
    probability: float
    malignancy: float | None
    diameter_mm: float
    volume_mm3: float
    voxels: int
    #: The voxels with its label in the mask, as the JSON has them; :meth:`runs` parses it.
    mask_runs: str

    def runs(self) -> NDArray[np.int64]:
        """The finding's voxels, (runs, 2): offset in the flattened scan as stored, and length.

        Offsets rise, and no run crosses the end of a row.
        """
        numbers = np.array(self.mask_runs.replace(":", " ").split(), np.int64)
        return numbers.reshape(-1, 2)


@dataclass(frozen=True)
class SliceProbabilities:
    """The highest segmentation probability in the lung region of each slice.

    ``axis`` of the scan as stored is the one that the networks took slices along: 0 index, 1 row,
    2 col.
    """

    axis: int
    probability: tuple[float, ...]


@dataclass(frozen=True)
class ScanInfo:
    """The scan as stored: voxels by (index, row, col), millimetres by x, y, z.

    ``hu_crc32`` is the checksum of its voxels, see docs/result.md.
    """

    path: str | None
    series_uid: str | None
    shape_irc: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    hu_crc32: str


@dataclass(frozen=True)
class BundleInfo:
    """The bundle that ran; ``sha256`` is that of its manifest."""

    name: str
    sha256: str


@dataclass(frozen=True)
class EngineInfo:
    """The engine that really ran."""

    name: str
    version: str
    device: str
    precision: str
    threads: int


@dataclass(frozen=True)
class Timings:
    """Seconds of each stage; ``total`` is wall time from opening the scan, without ``load``."""

    load: float
    read: float
    region: float
    segment: float
    group: float
    classify: float
    malignancy: float
    total: float


@dataclass(frozen=True)
class RunWarning:
    """Something about the scan that a reader of the result should know."""

    code: str
    text: str


class Result:
    """What a run found, or :meth:`load` read. Masks are made when they are asked for."""

    def __init__(self, core: _core.Result, *, all_candidates: bool) -> None:
        self._core = core
        self._all = all_candidates
        self._data: dict[str, Any] = json.loads(core.to_json(all_candidates))
        self.scan = _typed(ScanInfo, self._data["scan"])
        self.bundle = BundleInfo(**self._data["bundle"])
        self.engine = EngineInfo(**self._data["engine"])
        self.threshold: float = self._data["threshold"]
        self.nodules = tuple(_typed(Finding, entry) for entry in self._data["nodules"])
        self.candidate_count: int = self._data["candidate_count"]
        #: Every candidate in raster order, or None unless the runner was asked for all.
        self.candidates: tuple[Finding, ...] | None = (
            tuple(_typed(Finding, entry) for entry in self._data["candidates"])
            if all_candidates
            else None
        )
        self.slices: SliceProbabilities = _typed(SliceProbabilities, self._data["slices"])
        self.timings_s = Timings(**self._data["timings_s"])
        self.peak_rss_mb: float = self._data["peak_rss_mb"]
        self.warnings = tuple(RunWarning(**entry) for entry in self._data["warnings"])
        self._again: Again | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """The result that ``luna_infer --json`` or :meth:`to_json` wrote into a file.

        Raises ``DataError`` naming the file, the key and the value when it is anything else.
        """
        results = load_results(path)
        if len(results) != 1:
            raise DataError(
                f"{path}: holds {len(results)} results, one a line; expected one "
                "(lunart.result.load_results reads them all)"
            )
        return results[0]

    def without_candidates(self) -> Result:
        """The same result, listing its nodules alone."""
        return Result(self._core, all_candidates=False)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of ``lunart.result/2`` as a dictionary of its own."""
        copy: dict[str, Any] = json.loads(self.to_json())
        return copy

    def to_json(self) -> str:
        """The JSON text that ``luna_infer --json`` writes."""
        return self._core.to_json(self._all)

    def to_csv(self) -> str:
        """LUNA16's submission form, with its header line."""
        return self._core.to_csv(self._all)

    def to_markups(self) -> str:
        """Points for 3D Slicer, one a listed finding: the text of a ``.mrk.json`` file."""
        return self._core.to_markups(self._all)

    @property
    def mask(self) -> NDArray[np.uint32]:
        """Labels of the listed findings, (index, row, col) of the scan as it was given."""
        return self._core.label_mask(self._all)

    @property
    def threshold_mask(self) -> NDArray[np.uint8]:
        """1 where the segmentation exceeded its threshold, before erosion.

        A stored result does not hold it: ``UsageError``.
        """
        return self._core.threshold_mask()

    @property
    def region(self) -> NDArray[np.uint8]:
        """1 inside the lung region (everywhere when the region was off).

        A stored result does not hold it: ``UsageError``.
        """
        return self._core.region_mask()

    def write_mask(self, path: str) -> None:
        """Write the label mask (.mhd, .mha, .nii, .nii.gz) in the scan's geometry."""
        self._core.write_label_mask(path, self._all)

    def write_region(self, path: str) -> None:
        """Write the lung region (.mhd, .mha, .nii, .nii.gz) in the scan's geometry."""
        self._core.write_region_mask(path)

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each listed finding, by falling probability; also empty, columns have types.

        Raises ``EngineError`` when pandas is not installed.
        """
        from lunart.report.frame import frame_of

        return frame_of(self)

    def attach_scan(self, scan: _core.Scan | str | os.PathLike[str]) -> Result:
        """Say which scan (or its file) the result is of, so that a notebook can show pictures.

        A fresh result knows while its file or array is still there. Returns the result itself;
        raises ``UsageError`` when it is another scan.
        """
        from lunart.reading import read_scan

        held = scan if isinstance(scan, _core.Scan) else read_scan(scan)
        require_same_scan(self, held)
        self._again = lambda: held
        return self

    def remember(self, source: Source, read: Callable[[Source], _core.Scan]) -> None:
        """Remember how to read the scan once more; an array or image is not kept alive for it."""
        self._again = again(source, read)

    def _repr_html_(self) -> str | None:
        """For Jupyter: table and pictures of the nodules; None without ``lunart[report]``."""
        try:
            from lunart.report.notebook import view
        except ModuleNotFoundError:
            return None
        return view(self, self._again)

    def __str__(self) -> str:
        return self._core.to_table(self._all)

    def __repr__(self) -> str:
        return (
            f"<lunart.Result: {len(self.nodules)} nodules among {self.candidate_count} candidates>"
        )


def load_results(path: str | os.PathLike[str]) -> list[Result]:
    """The results of a file: one, or one a line as ``luna_infer`` writes for several scans.

    Raises ``DataError`` when it holds anything else.
    """
    found = _core.read_results(os.fspath(path))
    return [Result(one, all_candidates=one.lists_candidates) for one in found]


def require_same_scan(result: Result, scan: _core.Scan) -> None:
    """Raise ``UsageError`` naming what differs when a result does not belong to a scan.

    Shape, spacing, origin, direction (beyond what file formats round), series UID when both are
    known, and the checksum of the voxels.
    """
    _core.require_same_scan(result._core, scan)


def _typed(cls: type[Any], entry: dict[str, Any]) -> Any:
    """An instance whose triples are tuples; JSON has only lists."""
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
