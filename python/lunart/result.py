"""A run's result, typed. ``to_dict()`` is the JSON of ``luna_infer`` (docs/result.schema.json).

The native core writes the JSON; these classes only give its parts names and types.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lunart import _core


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


@dataclass(frozen=True)
class ScanInfo:
    """The scan as stored: voxels by (index, row, col), millimetres by x, y, z."""

    path: str | None
    series_uid: str | None
    shape_irc: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]


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
    """What a run found. Masks are made when they are asked for."""

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
        self.timings_s = Timings(**self._data["timings_s"])
        self.peak_rss_mb: float = self._data["peak_rss_mb"]
        self.warnings = tuple(RunWarning(**entry) for entry in self._data["warnings"])

    def to_dict(self) -> dict[str, Any]:
        """The JSON of ``lunart.result/1`` as a dictionary of its own."""
        copy: dict[str, Any] = json.loads(self.to_json())
        return copy

    def to_json(self) -> str:
        """The JSON text that ``luna_infer --json`` writes."""
        return self._core.to_json(self._all)

    def to_csv(self) -> str:
        """LUNA16's submission form, with its header line."""
        return self._core.to_csv(self._all)

    @property
    def mask(self) -> NDArray[np.uint32]:
        """Labels of the listed findings, (index, row, col) of the scan as it was given."""
        return self._core.label_mask(self._all)

    @property
    def threshold_mask(self) -> NDArray[np.uint8]:
        """1 where the segmentation exceeded its threshold, before erosion."""
        return self._core.threshold_mask()

    @property
    def region(self) -> NDArray[np.uint8]:
        """1 inside the lung region (everywhere when the region was off)."""
        return self._core.region_mask()

    def write_mask(self, path: str) -> None:
        """Write the label mask as ``.mhd`` or ``.mha`` in the scan's geometry."""
        self._core.write_label_mask(path, self._all)

    def write_region(self, path: str) -> None:
        """Write the lung region as ``.mhd`` or ``.mha`` in the scan's geometry."""
        self._core.write_region_mask(path)

    def __str__(self) -> str:
        return self._core.to_table(self._all)

    def __repr__(self) -> str:
        return (
            f"<lunart.Result: {len(self.nodules)} nodules among {self.candidate_count} candidates>"
        )


def _typed(cls: type[Any], entry: dict[str, Any]) -> Any:
    """An instance whose triples are tuples; JSON has only lists."""
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
