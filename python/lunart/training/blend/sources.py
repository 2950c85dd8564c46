"""What the training loop draws from: blended volumes as sources of patches and of crops.

    source = segmentation_source(Path("data"), Path(".cache/blend"), SegmentationBlend(seed=1))

The folder is laid out as :func:`lunart.training.blend.library.read_library` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from lunart.data.cache import Store
from lunart.data.fingerprint import fingerprint
from lunart.data.malignancy import BENIGN_AT_MOST, MALIGNANT_AT_LEAST
from lunart.models import SegmentationUNet
from lunart.models.checkpoint import Checkpoint
from lunart.training.blend.findings import Finding, Grouping, find, grouping_of, truths
from lunart.training.blend.jobs import Alone, Blended, Generated, Job, Whole
from lunart.training.blend.library import VALIDATION_PATIENT, Library, contents, read_library
from lunart.training.blend.maker import Maker
from lunart.training.blend.parts import STUDY, VALIDATION, require_parts
from lunart.training.blend.patches import Group, Patches, Slices
from lunart.training.blend.pool import Pool, PoolSettings, gather
from lunart.training.blend.volume import Volume
from lunart.training.source import Samples

#: Raised when the same settings give other samples.
VERSION = 3
# Of calibrated weights: below any threshold that a pipeline would take, for there must be mistakes.
MINING = Grouping(threshold=0.25, erosion=0, least_mm3=5.0)
#: Every cube by itself and nothing else.
RATED = PoolSettings(whole=False, blended=0, validation=0, generated=0, surroundings=8, stitched=0)
_TRAIN, _VALIDATE, _PHANTOM = 3, 5, 2_000_000


@dataclass(frozen=True, kw_only=True)
class SegmentationBlend:
    """How many volumes of each kind an epoch is drawn from, all made anew, and how many patches."""

    seed: int = 1
    blended: int = 32
    alone: int = 64
    generated: int = 3
    patches: int = 12_000
    validation: int = 8
    parts: tuple[int, ...] = STUDY


class SegmentationSource:
    """A :class:`lunart.training.source.Source` of ``hu``, ``mask`` and ``weight``."""

    def __init__(self, maker: Maker, whole: Sequence[str], settings: SegmentationBlend) -> None:
        self._maker, self._whole, self._settings = maker, whole, settings
        self.fingerprint = fingerprint(
            {
                "kind": "blended segmentation",
                "version": VERSION,
                "settings": asdict(settings),
                "library": contents(maker.folder),
            }
        )

    def epoch(self, number: int) -> Samples:
        """Patches of this epoch's volumes; the next epoch's are begun."""
        s = self._settings
        kinds = self._jobs(number)
        for jobs in kinds:
            self._maker.ask(jobs)
        for jobs in self._jobs(number + 1):
            self._maker.ask(jobs)
        blended, alone, generated = (list(self._maker.take(jobs)) for jobs in kinds)
        groups = [
            Group(blended, 0.5, 0.76),
            Group(alone, 0.42, 0.16),
            Group(generated, 0.08, 0.08),
        ]
        return Patches([g for g in groups if g.volumes], s.seed, number, s.patches)

    def validation(self) -> Samples:
        """Slices of volumes of patients and backgrounds of their own, and of a whole scan."""
        return self._validation

    @cached_property
    def _validation(self) -> Samples:
        jobs: list[Job] = [
            Blended((_VALIDATE, k), (VALIDATION,)) for k in range(self._settings.validation)
        ]
        whole: list[Job] = [Whole(name) for name in self._whole]
        return Slices(list(self._maker.take([*jobs, *whole])), every=6)

    def _jobs(self, epoch: int) -> tuple[list[Job], list[Job], list[Job]]:
        s = self._settings
        return (
            [Blended((s.seed, _TRAIN, epoch, k), s.parts) for k in range(s.blended)],
            [Alone((s.seed, _TRAIN, epoch, k), s.parts) for k in range(s.alone)],
            [
                Generated(_PHANTOM + 1000 * s.seed + s.generated * epoch + k)
                for k in range(s.generated)
            ],
        )


def segmentation_source(
    folder: Path, converted: Path, settings: SegmentationBlend
) -> SegmentationSource:
    """Raises ``UsageError`` or ``DataError`` when the folder holds too little to train on."""
    library = _library(folder, converted)
    # The whole labelled scan as it is, where it is at hand.
    whole = [item.name for item in library.backgrounds if item.name == VALIDATION_PATIENT]
    return SegmentationSource(Maker(folder, converted), whole, settings)


def nodule_pool(
    folder: Path,
    converted: Path,
    store: Store,
    checkpoint: Checkpoint,
    settings: PoolSettings,
    folds: Mapping[int, Checkpoint] | None = None,
) -> Pool:
    """Crops at what the segmentation weights propose, and at all that was put in.

    Volumes of a part that ``folds`` has weights for are looked through by those instead.
    """
    by_part = {part: _Finder(weights) for part, weights in (folds or {}).items()}
    otherwise = _Finder(checkpoint)

    def found(volume: Volume, part: int) -> list[Finding]:
        return by_part.get(part, otherwise).find(volume)

    by = "; ".join(f"{part}: {one.name}" for part, one in sorted(by_part.items()))
    library = _library(folder, converted)
    return gather(
        Maker(folder, converted), library, store, found, f"{otherwise.name}; {by}", settings
    )


class _Finder:
    """Segmentation weights, and how the pipeline groups what they see."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        network = checkpoint.module()
        assert isinstance(network, SegmentationUNet)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._pipeline = grouping_of(checkpoint)
        self.name = f"{checkpoint.sha256} {self._pipeline} {MINING}"

    def find(self, volume: Volume) -> list[Finding]:
        return find(self._network, volume, self._pipeline, MINING)


def rated_pool(folder: Path, converted: Path, store: Store, seed: int = 1) -> Pool:
    """Crops of cubes in their own surroundings whose reader leant to one side.

    Positive from a rating of 4 on, negative up to 2; 3 says nothing and is left out.
    """
    library = _library(folder, converted)
    ratings = {cube.patient_id: cube.malignancy for cube in library.cubes}

    def found(volume: Volume, _part: int) -> list[Finding]:
        rated = []
        for finding in truths(volume):
            rating = ratings.get(finding.patient_id)
            if rating is not None and _leans(rating):
                rated.append(replace(finding, nodule=rating >= MALIGNANT_AT_LEAST))
        return rated

    return gather(
        Maker(folder, converted), library, store, found, "ratings", replace(RATED, seed=seed)
    )


def _library(folder: Path, converted: Path) -> Library:
    library = read_library(folder, converted)
    require_parts(library)
    return library


def _leans(rating: float) -> bool:
    return rating <= BENIGN_AT_MOST or rating >= MALIGNANT_AT_LEAST
