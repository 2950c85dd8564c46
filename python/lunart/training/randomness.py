"""Random numbers of a training step, as functions of where in the run it is.

Nothing here outlives a step: a run that goes on at epoch 7 draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

_T = TypeVar("_T")

# The last key says what for, so that two uses in one step share no numbers.
_DROPOUT, _AUGMENTATION, _INITIALISATION = 1, 2, 3


def initialised(seed: int, build: Callable[[], _T]) -> _T:
    """What ``build`` makes, its initial weights drawn from ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_number(seed, _INITIALISATION))
        return build()


@contextmanager
def seeded_dropout(seed: int, epoch: int, batch: int, rank: int) -> Iterator[None]:
    """Dropout draws from PyTorch's global generator: lend it one of this step, then restore it."""
    with torch.random.fork_rng():
        torch.manual_seed(_number(seed, epoch, batch, rank, _DROPOUT))
        yield


def augmentation_generator(
    seed: int, epoch: int, batch: int, rank: int, device: torch.device
) -> torch.Generator:
    """The generator of one batch's augmentation on the device."""
    return torch.Generator(device).manual_seed(_number(seed, epoch, batch, rank, _AUGMENTATION))


def _number(*keys: int) -> int:
    # 63 bits: manual_seed takes no more on every platform.
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> np.uint64(1))
