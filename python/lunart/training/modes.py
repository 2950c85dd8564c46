"""Sources made of another source: an epoch of a wanted size, and one batch to learn by heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lunart.data.fingerprint import fingerprint
from lunart.errors import DataError
from lunart.training.source import Sample, Samples, Source

_REPEATS = 25


class Sized:
    """Epochs of exactly ``samples``: as many epochs of ``inner`` as it takes, one after another."""

    def __init__(self, inner: Source, samples: int) -> None:
        self._inner, self._samples = inner, samples
        self._parts = -(-samples // _counted(inner.epoch(0)))
        self.fingerprint = fingerprint({"inner": inner.fingerprint, "samples": samples})

    def epoch(self, number: int) -> Samples:
        first = number * self._parts
        parts = [self._inner.epoch(first + k) for k in range(self._parts)]
        places = [(part, place) for part in parts for place in range(len(part))]
        return _Chosen(places[: self._samples])

    def validation(self) -> Samples:
        return self._inner.validation()


class OneBatch:
    """The first ``batch`` samples of ``inner`` again and again, for learning and for judging.

    A network and a loss that are right learn them by heart: the loss goes to nearly nothing.
    """

    def __init__(self, inner: Source, batch: int) -> None:
        samples = inner.epoch(0)
        self._places = [(samples, place) for place in range(min(batch, _counted(samples)))]
        self.fingerprint = fingerprint({"inner": inner.fingerprint, "one batch": batch})

    def epoch(self, number: int) -> Samples:
        return _Chosen(self._places * _REPEATS)

    def validation(self) -> Samples:
        return _Chosen(self._places)


@dataclass(frozen=True, eq=False)
class _Chosen:
    places: Sequence[tuple[Samples, int]]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        samples, place = self.places[index]
        return samples[place]


def _counted(samples: Samples) -> int:
    if len(samples) == 0:
        raise DataError("an epoch has no samples: nothing to learn from")
    return len(samples)
