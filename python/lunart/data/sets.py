"""From a folder and a split to the sets of the three networks, series by series.

A set knows what of a series belongs to it. :meth:`fill` puts that into the cache (``luna-data
prepare``), :meth:`source` joins all series into what the training loop draws from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from lunart.data.admission import admit, refuse_copies
from lunart.data.cache import Store
from lunart.data.candidates import CandidatePlaces
from lunart.data.crops import Crops, CropSettings, CropSource, unmoved
from lunart.data.luna16 import Luna16
from lunart.data.malignancy import MalignancyPlaces, Summary
from lunart.data.negatives import Negatives
from lunart.data.patches import Patches
from lunart.data.places import Place
from lunart.data.scans import Scans
from lunart.data.segmentation import Regions, SegmentationSettings, SegmentationSource
from lunart.data.split import Split
from lunart.data.truth import Truth
from lunart.training.source import Source


@dataclass(frozen=True, kw_only=True)
class MalignancySettings:
    """Crops, and how the readers' ratings become one."""

    crops: CropSettings = field(default_factory=CropSettings)
    summary: Summary = "median"


class DataSet(Protocol):
    """One network's part of the data."""

    def fill(self, series_uid: str) -> int:
        """Put what a series holds into the cache; the number of entries that had to be made."""

    def source(self) -> Source:
        """Everything, for the training loop. Raises ``DataError`` where there is too little."""


class Sets:
    """A folder and a split that agree (see :func:`lunart.data.admission.admit`)."""

    def __init__(
        self, root: str | os.PathLike[str], split: Split, *, seed: int, store: Store
    ) -> None:
        self.luna = Luna16.open(root)
        admit(self.luna, split)
        self.split, self.seed, self.store = split, seed, store
        self.scans = Scans(self.luna.series, store)

    @cached_property
    def _negatives(self) -> Negatives:
        truth = Truth(self.luna, self.scans, self.store)
        return Negatives(self.luna, self.scans, truth, self.store)

    def segmentation(self, settings: SegmentationSettings) -> DataSet:
        """Patches and slices with their masks."""
        return _SegmentationSet(self, self._negatives, settings)

    def classification(self, settings: CropSettings) -> DataSet:
        """Crops of nodules and of what is none."""
        truth = Truth(self.luna, self.scans, self.store)
        places = CandidatePlaces(self.luna, truth, self._negatives, settings.negatives_per_scan)
        return _CropSet(self, "classification", places.train, places.validation, settings)

    def malignancy(self, settings: MalignancySettings) -> DataSet:
        """Crops of nodules that readers thought malignant or benign."""
        places = MalignancyPlaces(self.luna, settings.summary).of
        return _CropSet(self, "malignancy", places, places, settings.crops)


class _CropSet:
    def __init__(
        self,
        sets: Sets,
        kind: str,
        train: Callable[[str], list[Place]],
        validation: Callable[[str], list[Place]],
        settings: CropSettings,
    ) -> None:
        self._sets, self._kind, self._settings = sets, kind, settings
        self._train, self._validation = train, validation

    def fill(self, series_uid: str) -> int:
        learnt = series_uid in self._sets.split.train
        places = self._train if learnt else self._validation
        settings = self._settings if learnt else unmoved(self._settings)
        crops = Crops(self._sets.scans, self._sets.store, settings)
        return sum(crops.fill(place) for place in places(series_uid))

    def source(self) -> CropSource:
        sets = self._sets
        refuse_copies(sets.scans, sets.split)
        return CropSource(
            self._kind,
            [place for uid in sets.split.train for place in self._train(uid)],
            [place for uid in sets.split.validation for place in self._validation(uid)],
            scans=sets.scans,
            store=sets.store,
            seed=sets.seed,
            settings=self._settings,
            split_fingerprint=sets.split.fingerprint,
        )


class _SegmentationSet:
    def __init__(self, sets: Sets, negatives: Negatives, settings: SegmentationSettings) -> None:
        self._sets, self._settings = sets, settings
        self._truth = Truth(sets.luna, sets.scans, sets.store, settings.masks)
        self._patches = Patches(sets.scans, self._truth, sets.store, settings.size)
        self._regions = Regions(sets.scans, self._truth, negatives, self._patches, settings)

    def fill(self, series_uid: str) -> int:
        if series_uid in self._sets.split.train:
            return sum(self._patches.fill(region) for region in self._regions.train(series_uid))
        self._regions.validation(series_uid)
        return 0

    def source(self) -> SegmentationSource:
        sets = self._sets
        refuse_copies(sets.scans, sets.split)
        return SegmentationSource(
            [region for uid in sets.split.train for region in self._regions.train(uid)],
            [item for uid in sets.split.validation for item in self._regions.validation(uid)],
            scans=sets.scans,
            truth=self._truth,
            patches=self._patches,
            seed=sets.seed,
            settings=self._settings,
            split_fingerprint=sets.split.fingerprint,
        )
