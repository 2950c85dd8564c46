"""Sources of crops out of a pool: nodules against look-alikes, malignant against benign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from lunart.data import blocks
from lunart.data.fingerprint import fingerprint
from lunart.errors import DataError
from lunart.training.augment import Augmentation, augment_crop
from lunart.training.blend.findings import MINED
from lunart.training.blend.parts import STUDY, VALIDATION
from lunart.training.blend.pool import NOBODY, Entry, Pool
from lunart.training.scans import CUBE_IRC
from lunart.training.source import Sample, Samples, generator

#: What may be drawn, and how often in relation: nodules in their own surroundings and pasted ones;
#: what a network proposes, in the pipeline and below, and look-alikes that were put in.
POSITIVES = {"native": 0.5, "pasted": 0.4, "phantom": 0.1}
NEGATIVES = {"proposed": 0.5, "mined": 0.3, "null": 0.1, "vessel": 0.1}
_MOST_VALIDATED = 3000


@dataclass(frozen=True, kw_only=True)
class CropBlend:
    """Which parts are learnt from, how many crops an epoch has, and how they are changed."""

    seed: int = 1
    parts: tuple[int, ...] = STUDY
    crops: int = 6000
    #: Pieces were scaled when they were put in.
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(shift=0.04, scale=0.05, noise_hu=10.0)
    )


class CropSource:
    """A :class:`lunart.training.source.Source`: positives and negatives in turn, by ``shares``."""

    def __init__(
        self,
        pool: Pool,
        settings: CropBlend,
        positives: Mapping[str, float] = POSITIVES,
        negatives: Mapping[str, float] = NEGATIVES,
    ) -> None:
        self._settings = settings
        mine = [e for e in pool.entries if e.part in (*settings.parts, NOBODY)]
        self._groups = (_groups(mine, False, negatives), _groups(mine, True, positives))
        if not all(self._groups):
            raise DataError("the volumes show nodules only, or none: nothing to tell apart")
        held = [e for e in pool.entries if e.part == VALIDATION and e.finding.kind != MINED]
        order = generator(settings.seed, 41).permutation(len(held))[:_MOST_VALIDATED]
        self._held = [held[k] for k in np.sort(order)]
        self.fingerprint = fingerprint(
            {
                "kind": "blended crops",
                "pool": pool.fingerprint,
                "settings": asdict(settings),
                "shares": [dict(positives), dict(negatives)],
            }
        )

    def epoch(self, number: int) -> Samples:
        """Augmented crops."""
        return _Drawn(self._groups, self._settings, number)

    def validation(self) -> Samples:
        """Crops of patients and backgrounds of their own, as the pipeline would cut them."""
        return Plain(self._held)


def _groups(
    entries: Sequence[Entry], nodule: bool, shares: Mapping[str, float]
) -> list[tuple[float, list[Entry]]]:
    kinds: dict[str, list[Entry]] = {kind: [] for kind in shares}
    for entry in entries:
        kind = sort_of(entry)
        if entry.finding.nodule is nodule and kind in kinds:
            kinds[kind].append(entry)
    return [(shares[kind], found) for kind, found in kinds.items() if found]


def sort_of(entry: Entry) -> str:
    """``native``, ``pasted`` or ``phantom`` for nodules, else what it is."""
    if not entry.finding.nodule:
        return entry.finding.kind
    if entry.part == NOBODY:
        return "phantom"
    return "native" if entry.finding.native else "pasted"


@dataclass(frozen=True, eq=False)
class Plain:
    """Entries as the pipeline would cut them."""

    entries: Sequence[Entry]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self.entries[index]
        crop = blocks.middle(entry.block.astype(np.float32), CUBE_IRC)
        return _sample(crop, entry)


@dataclass(frozen=True, eq=False)
class _Drawn:
    groups: tuple[list[tuple[float, list[Entry]]], list[tuple[float, list[Entry]]]]
    settings: CropBlend
    epoch: int

    def __len__(self) -> int:
        return self.settings.crops

    def __getitem__(self, index: int) -> Sample:
        rng = generator(self.settings.seed, 43, self.epoch, index)
        groups = self.groups[index % 2]
        shares = np.array([share for share, _ in groups])
        found = groups[int(rng.choice(len(groups), p=shares / shares.sum()))][1]
        entry = found[int(rng.integers(len(found)))]
        block = entry.block.astype(np.float32)
        crop = augment_crop(rng, block, CUBE_IRC, settings=self.settings.augmentation)
        return _sample(crop, entry)


def _sample(crop: NDArray[np.float32], entry: Entry) -> Sample:
    return {
        "hu": np.ascontiguousarray(crop[None]),
        "label": np.array(entry.finding.nodule, np.int64),
    }


def rated_source(pool: Pool, settings: CropBlend) -> CropSource:
    """Malignant against benign: whatever is rated, as often as it is there."""
    return CropSource(pool, settings, {"native": 1.0}, {"truth": 1.0})
