"""From samples to batches, in this process or in others that load ahead.

Apart from the loop, so that those processes need not import it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lunart.training.share import TrainingShare, ValidationShare
from lunart.training.source import Sample, Samples


def loader(
    share: TrainingShare | ValidationShare, batch: int, *, workers: int
) -> DataLoader[Sample]:
    """Batches in the samples' order; ``workers`` 0 loads in this process."""
    workers = min(workers, -(-len(share) // batch))
    return DataLoader(
        _Listed(share),
        batch_size=batch,
        num_workers=workers,
        collate_fn=collate,
        multiprocessing_context=_clean_processes(share.samples) if workers else None,
        pin_memory=torch.cuda.is_available(),
    )


class _Listed(Dataset[Sample]):
    """Samples as PyTorch's loader wants them."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def _clean_processes(samples: Samples) -> BaseContext:
    """Workers forked from a server that has imported everything and run nothing.

    A forked child of a process that has run PyTorch can hang in OpenMP; a spawned one imports
    PyTorch again, each epoch.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__, type(samples).__module__])
    return context


def collate(samples: Iterable[Sample]) -> list[dict[str, Tensor]]:
    """A batch of each shape of sample, in the order in which shapes come."""
    groups: dict[tuple[Any, ...], list[Sample]] = {}
    for sample in samples:
        key = tuple((name, array.shape) for name, array in sorted(sample.items()))
        groups.setdefault(key, []).append(sample)
    return [
        {name: torch.from_numpy(np.stack([one[name] for one in group])) for name in group[0]}
        for group in groups.values()
    ]
