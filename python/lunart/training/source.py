"""Where training samples come from: what a training loop asks of a data set.

A sample is a function of ``(seed, epoch, index)`` and of the data, with no generator that lives on
between samples: a run that was killed goes on at its last finished epoch as if nothing had been,
and the number of workers changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: ``hu`` float32 (channels first; a classifier's crop is ``(1, *crop_irc)``, an image is called
#: ``image``) and the truth: ``mask`` float32 ``(1, rows, cols)``, or ``label`` int64 ``()``.
Sample = Mapping[str, NDArray[np.generic]]


class Samples(Protocol):
    """A fixed list of samples; picklable, so that worker processes can hold it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class Source(Protocol):
    """A training set that is drawn anew each epoch, and a validation set that never changes."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the data, the split and the settings that the samples depend on."""

    def epoch(self, number: int) -> Samples:
        """The training samples of an epoch, in their order, balanced and augmented."""

    def validation(self) -> Samples:
        """The validation samples: unbalanced, not augmented, the same at every call."""


def generator(seed: int, *keys: int) -> np.random.Generator:
    """The generator of one sample, epoch or volume; the same keys give the same numbers."""
    return np.random.Generator(np.random.PCG64([seed, *keys]))
