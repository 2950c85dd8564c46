"""A source of crops for a 3-D classifier, from places and what they are.

Blocks come from the cache, with a margin; augmentation and the cut to the crop's size come after
it, so that one entry serves every epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.data import balance, blocks
from lunart.data.cache import Arrays, Store
from lunart.data.fingerprint import fingerprint
from lunart.data.places import Place
from lunart.data.scans import Scans
from lunart.errors import DataError
from lunart.training.augment import Augmentation, augment_crop
from lunart.training.source import Sample, Samples, generator

# Keys of random numbers: the order of an epoch, and one sample of it.
_ORDER, _SAMPLE = 0, 1


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """What a crop is and how an epoch is made of them."""

    crop_irc: tuple[int, int, int] = (32, 48, 48)
    #: Beyond the crop on each side: room to turn (48 voxels need 10) and to shift.
    margin_irc: tuple[int, int, int] = (4, 12, 12)
    #: None: unbalanced, every sample once an epoch.
    negatives_per_positive: int | None = 1
    #: At most; with balance, an epoch otherwise holds everything at least once.
    epoch_samples: int = 50_000
    #: For training; validation takes every candidate of the table.
    negatives_per_scan: int = 100
    #: Of training crops. The shift is 2 of 48 pixels: what the margin leaves beside the turn.
    augmentation: Augmentation | None = field(default_factory=lambda: Augmentation(shift=0.04))


def unmoved(settings: CropSettings) -> CropSettings:
    """What validation cuts: nothing moves, so that no margin need be kept."""
    return replace(settings, margin_irc=(0, 0, 0))


class Crops:
    """Crops at places, by way of the cache."""

    def __init__(self, scans: Scans, store: Store, settings: CropSettings) -> None:
        self._scans, self._store, self._settings = scans, store, settings

    def block(self, place: Place) -> NDArray[np.float32]:
        """Clamped HU of crop and margin."""
        kept = self._store.arrays(self._key(place), lambda: self._make(place))
        return kept["hu"].astype(np.float32)

    def fill(self, place: Place) -> bool:
        """Make sure that a place's block is in the cache; True when it had to be made."""
        return self._store.fill(self._key(place), lambda: self._make(place))

    def _key(self, place: Place) -> str:
        s = self._settings
        return (
            f"block.{blocks.VERSION}/core-{_core.__version__}"
            f"/{self._scans.digest(place.series_uid).scan}"
            f"/{place.center_xyz_mm}/{s.crop_irc}/{s.margin_irc}"
        )

    def _make(self, place: Place) -> Arrays:
        ct, s = self._scans.ct(place.series_uid), self._settings
        center = ct.to_irc(place.center_xyz_mm)
        return {"hu": blocks.around(ct, center, s.crop_irc, s.margin_irc)}


class CropSource:
    """A :class:`lunart.training.source.Source` over places; samples are ``hu`` and ``label``."""

    def __init__(
        self,
        kind: str,
        train: Iterable[Place],
        validation: Iterable[Place],
        *,
        scans: Scans,
        store: Store,
        seed: int,
        settings: CropSettings,
        split_fingerprint: str,
    ) -> None:
        self._train, self._validation = list(train), list(validation)
        for part, places in (("train", self._train), ("validation", self._validation)):
            kinds = {place.label for place in places}
            if len(kinds) < 2:
                lack = "places" if not kinds else "negatives" if True in kinds else "positives"
                raise DataError(
                    f"the split's {part} has no {lack} for {kind}: nothing to learn from"
                )
        self._crops = Crops(scans, store, settings)
        self._unmoved = Crops(scans, store, unmoved(settings))
        self._seed, self._settings = seed, settings
        parts = (self._train, self._validation)
        uids = sorted({place.series_uid for places in parts for place in places})
        self.fingerprint = fingerprint(
            {
                "kind": kind,
                "versions": [blocks.VERSION, _core.__version__],
                "seed": seed,
                "settings": asdict(settings),
                "split": split_fingerprint,
                "scans": [scans.digest(uid).scan for uid in uids],
                "samples": repr(parts),
            }
        )

    def epoch(self, number: int) -> Samples:
        """Training crops of an epoch, augmented."""
        rng = generator(self._seed, number, _ORDER)
        labels = np.array([place.label for place in self._train])
        s = self._settings
        if s.negatives_per_positive is None:
            order = balance.shuffled(rng, labels, s.epoch_samples)
        else:
            order = balance.alternating(rng, labels, s.negatives_per_positive, s.epoch_samples)
        return _Training(self._crops, s, [self._train[k] for k in order], self._seed, number)

    def validation(self) -> Samples:
        """Every validation crop, as the pipeline would cut it."""
        return _Plain(self._unmoved, self._settings, self._validation)


@dataclass(frozen=True)
class _Plain:
    crops: Crops
    settings: CropSettings
    places: Sequence[Place]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        place = self.places[index]
        return _sample(blocks.middle(self.crops.block(place), self.settings.crop_irc), place)


@dataclass(frozen=True)
class _Training(_Plain):
    seed: int
    epoch: int

    def __getitem__(self, index: int) -> Sample:
        place, s = self.places[index], self.settings
        block = self.crops.block(place)
        if s.augmentation is None:
            return _sample(blocks.middle(block, s.crop_irc), place)
        rng = generator(self.seed, self.epoch, _SAMPLE, index)
        return _sample(augment_crop(rng, block, s.crop_irc, settings=s.augmentation), place)


def _sample(crop: NDArray[np.float32], place: Place) -> Sample:
    return {"hu": np.ascontiguousarray(crop[None]), "label": np.array(place.label, np.int64)}
