"""What a picture shows, typed. ``to_dict()`` is the JSON of ``luna_infer``.

The native core writes the JSON (docs/classification.schema.json); these classes only give its parts
names and types.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lunart.result import BundleInfo, EngineInfo, RunWarning

if TYPE_CHECKING:
    from lunart import _core


@dataclass(frozen=True)
class ImageInfo:
    """The picture as decoded; ``path`` is None when it came from memory."""

    path: str | None
    rows: int
    cols: int


@dataclass(frozen=True)
class ClassProbability:
    """A class of the bundle, and how probable the network takes it to be."""

    name: str
    probability: float


@dataclass(frozen=True)
class ClassificationTimings:
    """Seconds; ``classify`` is a picture's share of its batch, ``total`` all but ``load``."""

    load: float
    read: float
    preprocess: float
    classify: float
    total: float


class Classification:
    """What a picture shows."""

    def __init__(self, core: _core.Classification) -> None:
        self._core = core
        data: dict[str, Any] = json.loads(core.to_json())
        self.image = ImageInfo(**data["image"])
        #: SHA-256 of the decoded 8-bit RGB pixels: compare it before probabilities.
        self.decoded_sha256: str = data["decoded_sha256"]
        self.bundle = BundleInfo(**data["bundle"])
        self.engine = EngineInfo(**data["engine"])
        #: By falling probability.
        self.classes = tuple(ClassProbability(**entry) for entry in data["classes"])
        self.timings_s = ClassificationTimings(**data["timings_s"])
        self.peak_rss_mb: float = data["peak_rss_mb"]
        self.warnings = tuple(RunWarning(**entry) for entry in data["warnings"])

    @property
    def best(self) -> ClassProbability:
        """The most probable class."""
        return self.classes[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of ``lunart.classification/1`` as a dictionary of its own."""
        copy: dict[str, Any] = json.loads(self.to_json())
        return copy

    def to_json(self) -> str:
        """The JSON text that ``luna_infer --json`` writes."""
        return self._core.to_json()

    def __str__(self) -> str:
        return self._core.to_table()

    def __repr__(self) -> str:
        return f"<lunart.Classification: {self.best.name!r} {self.best.probability:.3f}>"
