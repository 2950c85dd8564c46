"""CIFAR-10, all ten classes or some of them, as a :class:`lunart.training.source.Source`.

Pictures are decoded once and kept in the cache as one array. Every tenth of a class's training
pictures validates, always the same ones; the test pictures are for evaluation alone. Mean and
deviation are those of the pictures that are learnt from.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lunart.data import pictures
from lunart.data.cache import Arrays, Cache, Store, default_folder
from lunart.data.fingerprint import fingerprint
from lunart.data.pictures import CLASSES, PARTS, SIDE, Pictures
from lunart.errors import DataError, UsageError
from lunart.training.source import Sample, Samples, generator

#: The book's smaller set (chapter 7): labels 0 and 1.
BIRDS_VERSUS_AIRPLANES = ("airplane", "bird")
# Raised when the same files give other arrays.
_VERSION = 1
_ORDER, _SAMPLE = 0, 1
Channels = tuple[float, float, float]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CifarSettings:
    """Which pictures, and how far a training picture is changed."""

    #: A label is the place in this list.
    classes: tuple[str, ...] = CLASSES
    #: Of each class's training pictures, every so many is validated.
    validate_every: int = 10
    #: Left for right, half the time.
    flip: bool = True
    #: Pixels, either way on both axes; what comes in is of the mean colour.
    shift: int = 4

    def __post_init__(self) -> None:
        unknown = [name for name in self.classes if name not in CLASSES]
        if unknown or len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise UsageError(
                f"classes are {', '.join(self.classes)}; expected two or more of "
                f"{', '.join(CLASSES)}"
            )
        if self.validate_every < 2:
            raise UsageError(f"validate_every is {self.validate_every}, expected 2 or more")
        if not 0 <= self.shift < SIDE:
            raise UsageError(f"shift is {self.shift}, expected 0 to {SIDE - 1}")


class CifarSource:
    """Samples ``image`` (3, 32, 32), normalised, and ``label``."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        seed: int,
        settings: CifarSettings | None = None,
        store: Store | None = None,
    ) -> None:
        """Raises ``DataError`` for what is missing, damaged or twice there."""
        self._path, self._seed = Path(path), seed
        self._settings = settings or CifarSettings()
        found = kept_pictures(self._path, store)
        _refuse_copies(self._path, found)
        numbers = self._numbers()[found.label]
        # Workers are sent no more than they need.
        wanted = numbers >= 0
        self._rgb, self._label = found.rgb[wanted], numbers[wanted]
        train, self._test = (np.flatnonzero(found.part[wanted] == k) for k in (0, 1))
        self._train, self._validation = self._divided(train)
        #: Of red, green and blue from 0 to 1, over what is learnt from.
        self.mean, self.deviation = _statistics(self._rgb[self._train])
        self.fingerprint = fingerprint(
            {
                "kind": "cifar",
                "version": _VERSION,
                "seed": seed,
                "settings": asdict(self._settings),
                "pixels": hashlib.sha256(self._rgb.data).hexdigest(),
                "labels": hashlib.sha256(np.stack([found.label, found.part]).data).hexdigest(),
            }
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self._settings.classes

    def epoch(self, number: int) -> Samples:
        """Every training picture once, changed."""
        order = generator(self._seed, number, _ORDER).permutation(self._train)
        return _Changed(self._samples(order), self._settings, self._seed, number)

    def validation(self) -> Samples:
        """The pictures kept from training."""
        return self._samples(self._validation)

    def test(self) -> Samples:
        """The test pictures, for evaluation alone. Raises ``DataError`` when a class has none."""
        self._require_all(self._test, "test")
        return self._samples(self._test)

    def _samples(self, places: Places) -> _Plain:
        return _Plain(self._rgb, self._label, places, self.mean, self.deviation)

    def _numbers(self) -> Places:
        """Label of each of CIFAR-10's classes, -1 for those that are not wanted."""
        numbers = np.full(len(CLASSES), -1)
        for number, name in enumerate(self.classes):
            numbers[CLASSES.index(name)] = number
        return numbers

    def _divided(self, train: Places) -> tuple[Places, Places]:
        self._require_all(train, "train")
        every = self._settings.validate_every
        validates = np.zeros(len(train), bool)
        for number, name in enumerate(self.classes):
            own = np.flatnonzero(self._label[train] == number)
            if len(own) < every:
                raise DataError(
                    f"{self._path}: {len(own)} training pictures of {name}: one in {every} "
                    "validates, and there is none left to"
                )
            validates[own[every - 1 :: every]] = True
        return train[~validates], train[validates]

    def _require_all(self, places: Places, part: str) -> None:
        counts = np.bincount(self._label[places], minlength=len(self.classes))
        missing = [name for name, count in zip(self.classes, counts, strict=True) if not count]
        if missing:
            raise DataError(
                f"{self._path}: no {part} pictures of {', '.join(missing)}: "
                f"{part}/{missing[0]} is missing or empty"
            )


@dataclass(frozen=True, eq=False)
class _Plain:
    rgb: NDArray[np.uint8]
    label: Places
    places: Places
    mean: Channels
    deviation: Channels

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        place = self.places[index]
        scaled = self.rgb[place].astype(np.float32) / 255
        image = (scaled - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return {
            "image": np.ascontiguousarray(image.transpose(2, 0, 1)),
            "label": np.array(self.label[place], np.int64),
        }


@dataclass(frozen=True, eq=False)
class _Changed:
    plain: _Plain
    settings: CifarSettings
    seed: int
    epoch: int

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, index: int) -> Sample:
        sample, most = self.plain[index], self.settings.shift
        rng = generator(self.seed, self.epoch, _SAMPLE, index)
        flipped, (top, left) = rng.uniform() < 0.5, rng.integers(0, 2 * most + 1, 2)
        # Zero is the mean colour.
        padded = np.zeros((3, SIDE + 2 * most, SIDE + 2 * most), np.float32)
        padded[:, most : most + SIDE, most : most + SIDE] = sample["image"]
        image = padded[:, top : top + SIDE, left : left + SIDE]
        if flipped and self.settings.flip:
            image = image[:, :, ::-1]
        return {**sample, "image": np.ascontiguousarray(image)}


def kept_pictures(path: Path, store: Store | None = None) -> Pictures:
    """All pictures, decoded once and then read from the cache. Raises ``DataError``."""
    import PIL

    store = store or Cache(default_folder())

    def make() -> Arrays:
        return asdict(pictures.read_pictures(path))

    key = f"cifar.{_VERSION}/pillow-{PIL.__version__}/{pictures.state(path)}"
    kept = store.arrays(key, make)
    return Pictures(kept["rgb"], kept["label"], kept["part"])


def _refuse_copies(path: Path, found: Pictures) -> None:
    seen: dict[bytes, int] = {}
    for place, rgb in enumerate(found.rgb):
        other = seen.setdefault(hashlib.blake2b(rgb, digest_size=16).digest(), place)
        if other != place:
            a, b = _named(found, other), _named(found, place)
            raise DataError(
                f"{path}: leak: {a} and {b} have the same pixels, and what is learnt from one "
                "would be judged by the other; remove one of them"
            )


def _named(found: Pictures, place: int) -> str:
    part, label = found.part[place], found.label[place]
    before = (found.part[:place] == part) & (found.label[:place] == label)
    return f"picture {int(before.sum()) + 1} of {PARTS[part]}/{CLASSES[label]}"


def _statistics(rgb: NDArray[np.uint8]) -> tuple[Channels, Channels]:
    """Mean and deviation of each channel, exact sums of whole numbers but for the last step."""
    levels = np.arange(256)
    counts = [np.bincount(rgb[..., channel].ravel(), minlength=256) for channel in range(3)]
    means = [float((count * levels).sum() / count.sum()) for count in counts]
    squares = [float((count * levels**2).sum() / count.sum()) for count in counts]
    deviations = [math.sqrt(s - m * m) for s, m in zip(squares, means, strict=True)]
    if not all(deviations):
        raise DataError("the training pictures have one colour: nothing to learn from")
    m, d = ([value / 255 for value in values] for values in (means, deviations))
    return (m[0], m[1], m[2]), (d[0], d[1], d[2])
