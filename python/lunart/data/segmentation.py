"""The segmentation set: patches around nodules and elsewhere to learn from, whole slices to judge.

Validation sees every slice that shows a nodule and every tenth of the others: a fixed sample that
is as unbalanced as a scan, or nearly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from lunart import _core
from lunart.data import balance, blocks
from lunart.data.fingerprint import fingerprint
from lunart.data.negatives import Negatives
from lunart.data.patches import VERSION, Patches, PatchSize, Region
from lunart.data.places import Place
from lunart.data.scans import Scans
from lunart.data.truth import Truth, Way
from lunart.errors import DataError
from lunart.training.source import Sample, Samples, generator

_ORDER, _SAMPLE = 0, 1
# The U-Net halves a slice twice; the pipeline rounds its boxes up in the same way.
_MULTIPLE = 4
_AIR_HU = -1000


@dataclass(frozen=True, kw_only=True)
class SegmentationSettings:
    """What a patch is and how an epoch is made of them."""

    size: PatchSize = field(default_factory=PatchSize)
    masks: Way = "best"
    #: None: unbalanced, every region once an epoch.
    negatives_per_positive: int | None = 1
    #: At most; with balance, an epoch otherwise holds every region at least once.
    epoch_samples: int = 50_000
    #: Half of them candidates (or places in the lungs), half anywhere in the body.
    negatives_per_scan: int = 100
    #: Of the slices without a nodule, every so many is validated.
    validate_every: int = 10


@dataclass(frozen=True)
class Slice:
    """One slice of one scan."""

    series_uid: str
    number: int


class Regions:
    """Where each series' patches and validation slices are."""

    def __init__(
        self,
        scans: Scans,
        truth: Truth,
        negatives: Negatives,
        patches: Patches,
        settings: SegmentationSettings,
    ) -> None:
        self._scans, self._truth, self._negatives = scans, truth, negatives
        self._patches, self._settings = patches, settings

    def train(self, series_uid: str) -> list[Region]:
        """Nodules and negatives of a series."""
        count = self._settings.negatives_per_scan
        if self._negatives.from_table:
            places = self._negatives.some_candidates(series_uid, count // 2)
        else:
            places = self._negatives.in_lungs(series_uid, count // 2)
        places += self._negatives.in_body(series_uid, count - count // 2)
        return self._patches.nodules(series_uid) + [self._around(place) for place in places]

    def validation(self, series_uid: str) -> list[Slice]:
        """Slices of a series, in their order."""
        shown = {
            index
            for part in self._patches.nodules(series_uid)
            for index in range(part.start[0], part.stop[0])
        }
        every = self._settings.validate_every
        return [
            Slice(series_uid, index)
            for index in range(self._patches.slices(series_uid))
            if index in shown or index % every == 0
        ]

    def _around(self, place: Place) -> Region:
        to_irc = self._scans.geometry(place.series_uid).to_irc
        i, r, c = (round(v) for v in to_irc(place.center_xyz_mm))
        return Region(place.series_uid, (i, r, c), (i + 1, r + 1, c + 1), False)


class SegmentationSource:
    """A :class:`lunart.training.source.Source`; samples are ``hu`` and ``mask``."""

    def __init__(
        self,
        train: Iterable[Region],
        validation: Iterable[Slice],
        *,
        scans: Scans,
        truth: Truth,
        patches: Patches,
        seed: int,
        settings: SegmentationSettings,
        split_fingerprint: str,
    ) -> None:
        self._train, self._validation = list(train), list(validation)
        for kind in (True, False):
            if not any(region.positive is kind for region in self._train):
                lack = "nodules" if kind else "places without a nodule"
                raise DataError(f"the split's train series show no {lack}: nothing to learn from")
        self._scans, self._truth, self._patches = scans, truth, patches
        self._seed, self._settings = seed, settings
        uids = sorted(
            {r.series_uid for r in self._train} | {s.series_uid for s in self._validation}
        )
        self.fingerprint = fingerprint(
            {
                "kind": "segmentation",
                "versions": [VERSION, blocks.VERSION, _core.__version__],
                "seed": seed,
                "settings": asdict(settings),
                "split": split_fingerprint,
                "truth": [truth.key(uid) for uid in uids],
                "samples": repr((self._train, self._validation)),
            }
        )

    def epoch(self, number: int) -> Samples:
        """Patches ``hu (7, 64, 64)`` and ``mask (1, 64, 64)``; augmentation is the device's."""
        rng = generator(self._seed, number, _ORDER)
        labels = np.array([region.positive for region in self._train])
        s = self._settings
        if s.negatives_per_positive is None:
            order = balance.shuffled(rng, labels, s.epoch_samples)
        else:
            order = balance.alternating(rng, labels, s.negatives_per_positive, s.epoch_samples)
        return _Training(self._patches, [self._train[k] for k in order], self._seed, number)

    def validation(self) -> Samples:
        """Whole slices ``hu (7, rows, cols)`` and ``mask (1, rows, cols)``, multiples of four."""
        return _Slices(self._scans, self._truth, self._settings.size.context, self._validation)


@dataclass(frozen=True)
class _Training:
    patches: Patches
    regions: Sequence[Region]
    seed: int
    epoch: int

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, index: int) -> Sample:
        rng = generator(self.seed, self.epoch, _SAMPLE, index)
        hu, mask = self.patches.cut(rng, self.regions[index])
        return {"hu": hu, "mask": mask}


@dataclass(frozen=True)
class _Slices:
    scans: Scans
    truth: Truth
    context: int
    slices: Sequence[Slice]

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Sample:
        uid, k = self.slices[index].series_uid, self.slices[index].number
        hu = self.scans.ct(uid).slices(k, self.context)
        mask = self.truth.mask(uid)[k][None].astype(np.float32)
        room = [(0, 0), *((0, -n % _MULTIPLE) for n in mask.shape[1:])]
        return {
            "hu": np.pad(hu, room, constant_values=_AIR_HU),
            "mask": np.pad(mask, room),
        }
