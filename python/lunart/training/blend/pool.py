"""Crops at every finding of many volumes: what the two crop classifiers learn from.

Finding them costs minutes, so that they are kept in the data cache, a volume an entry: a pool that
was interrupted goes on where it was, and every fold of a study draws from the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from lunart.cli import say
from lunart.data import blocks
from lunart.data.cache import Arrays, Store
from lunart.data.ct import Ct
from lunart.data.fingerprint import fingerprint
from lunart.training.blend.findings import Finding
from lunart.training.blend.jobs import Blended, Generated, Job, Stitched, Surroundings, Whole
from lunart.training.blend.library import Library, contents
from lunart.training.blend.maker import Maker
from lunart.training.blend.parts import (
    STUDY,
    VALIDATION,
    part_of_background,
    part_of_patient,
    part_of_stitched,
)
from lunart.training.blend.volume import Mix, Volume, scan_of
from lunart.training.scans import CUBE_IRC, CUBE_SPACING_MM
from lunart.training.source import generator

VERSION = 7
#: Room to turn and shift in.
MARGIN_IRC = (4, 8, 8)
#: The part of what belongs to no patient: phantoms. Never held out.
NOBODY = -1
_POOL, _OWN, _STITCHED, _PHANTOM = 11, 7, 8, 3_000_000

#: What is found in a volume of a part.
Find = Callable[[Volume, int], list[Finding]]


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """Volumes of each kind, and the most of a volume's findings of one truth that are kept.

    ``surroundings`` are those of each nodule's cube by itself, ``stitched`` each stitched lung's.
    """

    seed: int = 1
    whole: bool = True
    blended: int = 160
    validation: int = 10
    generated: int = 30
    surroundings: int = 4
    stitched: int = 10
    most: int = 60
    mix: Mix = field(default_factory=Mix)


@dataclass(frozen=True, eq=False)
class Entry:
    """A finding, its block of clamped HU around the crop, and the part that it belongs to.

    The finding is in the middle, also near a scan's ends, where air is beyond them.
    """

    finding: Finding
    part: int
    volume: int
    background: str
    slice_mm: float
    block: NDArray[np.int16]

    @property
    def whose(self) -> str:
        """What belongs together: a patient's nodules and what is found on them, a lung's rest."""
        return self.finding.patient_id if self.finding.nodule else self.background


@dataclass(frozen=True, eq=False)
class Pool:
    """Every entry, and what they depend on."""

    entries: list[Entry]
    fingerprint: str


def gather(
    maker: Maker, library: Library, store: Store, find: Find, found_by: str, settings: PoolSettings
) -> Pool:
    """Make the volumes, find, cut, and keep. ``found_by`` names what ``find`` depends on."""
    base = fingerprint(
        {
            "version": VERSION,
            "blocks": blocks.VERSION,
            "library": contents(maker.folder),
            "found_by": found_by,
            "settings": asdict(settings),
        }
    )
    jobs = list(_jobs(library, settings))
    entries: list[Entry] = []
    began, made = time.monotonic(), 0
    for number, (part, job) in enumerate(jobs):
        fresh: list[int] = []

        def make(
            job: Job = job, number: int = number, part: int = part, fresh: list[int] = fresh
        ) -> Arrays:
            fresh.append(number)
            # A few ahead, for volumes are large.
            maker.ask(following for _, following in jobs[number : number + 4])
            volume = next(maker.take([job]))
            return _packed(volume, _kept(find(volume, part), number, settings))

        entries += _unpacked(store.arrays(f"pool/{base}/{number}", make), part, number)
        made += len(fresh)
        if fresh and (made % 10 == 0 or number + 1 == len(jobs)):
            left = (time.monotonic() - began) / made * (len(jobs) - number - 1)
            say(f"findings: {number + 1} of {len(jobs)} volumes, {len(entries)}; {left:.0f} s left")
    return Pool(entries, base)


def _jobs(library: Library, settings: PoolSettings) -> Iterator[tuple[int, Job]]:
    for item in library.backgrounds if settings.whole else ():
        yield part_of_background(library, item), Whole(item.name)
    for number in range(settings.validation):
        yield (
            VALIDATION,
            Blended((settings.seed, _POOL, VALIDATION, number), (VALIDATION,), settings.mix),
        )
    for number in range(settings.blended):
        part = STUDY[number % len(STUDY)]
        yield part, Blended((settings.seed, _POOL, part, number), (part,), settings.mix)
    patients = [cube.patient_id for cube in library.cubes] * settings.surroundings
    for number, patient in enumerate(patients):
        part = part_of_patient(library, patient)
        yield part, Surroundings((settings.seed, _POOL, _OWN, number), patient)
    for number, item in enumerate(library.stitched * settings.stitched):
        part = part_of_stitched(library, item)
        seed = (settings.seed, _POOL, _STITCHED, number)
        yield part, Stitched(seed, item.name, part, settings.mix)
    for number in range(settings.generated):
        yield NOBODY, Generated(_PHANTOM + 1000 * settings.seed + number)


def _kept(found: Sequence[Finding], number: int, settings: PoolSettings) -> list[Finding]:
    """Not more than so many of either truth, chosen by chance."""
    rng = generator(settings.seed, _POOL, 1, number)
    kept = []
    for truth in (True, False):
        same = [finding for finding in found if finding.nodule is truth]
        order = np.sort(rng.permutation(len(same))[: settings.most])
        kept += [same[k] for k in order]
    return kept


def _packed(volume: Volume, found: Sequence[Finding]) -> Arrays:
    ct = Ct("", scan_of(volume))
    size = tuple(n + 2 * m for n, m in zip(CUBE_IRC, MARGIN_IRC, strict=True))
    cut = [
        blocks.spaced(ct, finding.center_irc, CUBE_IRC, MARGIN_IRC, CUBE_SPACING_MM)
        for finding in found
    ]
    text = [f"{f.kind}\n{f.patient_id}" for f in found]
    joined = "\0".join([volume.background, *text]).encode()
    numbers = [(*f.center_irc, f.diameter_mm, f.nodule, f.native) for f in found]
    return {
        "hu": np.stack(cut) if cut else np.zeros((0, *size), np.int16),
        "numbers": np.array(numbers, np.float64).reshape(-1, 6),
        "text": np.frombuffer(joined, np.uint8),
        "slice_mm": np.array(volume.spacing_irc_mm[0]),
    }


def _unpacked(arrays: Arrays, part: int, number: int) -> Iterator[Entry]:
    background, *texts = arrays["text"].tobytes().decode().split("\0")
    for block, values, text in zip(arrays["hu"], arrays["numbers"], texts, strict=True):
        kind, patient_id = text.split("\n")
        i, r, c, diameter, nodule, native = (float(v) for v in values)
        finding = Finding((i, r, c), bool(nodule), kind, patient_id, bool(native), diameter)
        yield Entry(finding, part, number, background, arrays["slice_mm"].item(), block)
