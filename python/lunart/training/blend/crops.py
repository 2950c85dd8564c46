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
#: what a network proposes, in the pipeline and below, and look-alikes that were put in. What is
#: mined comes from many more lungs than the pipeline's few proposals. A vessel that was cut out in
#: a nodule's shape looks like a nodule that was: few of them, or pasted nodules are learnt away.
POSITIVES = {"native": 0.5, "pasted": 0.4, "phantom": 0.1}
NEGATIVES = {"proposed": 0.25, "mined": 0.57, "null": 0.15, "vessel": 0.03}
#: Raised when the same settings draw other crops.
VERSION = 2
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
                "version": VERSION,
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


class _Group:
    """Crops of one kind, by the patient or lung that they show.

    Drawn in two steps, a patient by the root of its number of crops: halfway between each crop as
    often, where a few lungs would be most of what is seen, and each lung as often.
    """

    def __init__(self, share: float, entries: Sequence[Entry]) -> None:
        self.share = share
        by: dict[str, list[Entry]] = {}
        for entry in entries:
            by.setdefault(entry.whose, []).append(entry)
        self.of = list(by.values())
        roots = np.sqrt([len(mine) for mine in self.of])
        self._odds = roots / roots.sum()

    def draw(self, rng: np.random.Generator) -> Entry:
        """One of them."""
        mine = self.of[int(rng.choice(len(self.of), p=self._odds))]
        return mine[int(rng.integers(len(mine)))]


def _groups(entries: Sequence[Entry], nodule: bool, shares: Mapping[str, float]) -> list[_Group]:
    kinds: dict[str, list[Entry]] = {kind: [] for kind in shares}
    for entry in entries:
        kind = sort_of(entry)
        if entry.finding.nodule is nodule and kind in kinds:
            kinds[kind].append(entry)
    return [_Group(shares[kind], found) for kind, found in kinds.items() if found]


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
    groups: tuple[list[_Group], list[_Group]]
    settings: CropBlend
    epoch: int

    def __len__(self) -> int:
        return self.settings.crops

    def __getitem__(self, index: int) -> Sample:
        rng = generator(self.settings.seed, 43, self.epoch, index)
        groups = self.groups[index % 2]
        shares = np.array([group.share for group in groups])
        entry = groups[int(rng.choice(len(groups), p=shares / shares.sum()))].draw(rng)
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
