"""What the training loop draws from: blended volumes as a source of patches.

    source = segmentation_source(Path("data"), Path(".cache/blend"), SegmentationBlend(seed=1))

The folder is laid out as :func:`lunart.training.blend.library.read_library` says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from lunart.data.fingerprint import fingerprint
from lunart.training.blend.jobs import Alone, Blended, Generated, Job, Whole
from lunart.training.blend.library import VALIDATION_PATIENT, contents
from lunart.training.blend.maker import Maker
from lunart.training.blend.parts import STUDY, VALIDATION
from lunart.training.blend.patches import Group, Patches, Slices
from lunart.training.source import Samples

#: Raised when the same settings give other samples.
VERSION = 1
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

    def __init__(self, maker: Maker, settings: SegmentationBlend) -> None:
        self._maker, self._settings = maker, settings
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
        return Slices(list(self._maker.take([*jobs, Whole(VALIDATION_PATIENT)])), every=6)

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
    """Raises ``UsageError`` when the folder holds nothing to train on."""
    return SegmentationSource(Maker(folder, converted), settings)
