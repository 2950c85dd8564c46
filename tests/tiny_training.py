"""Trainings of seconds: sources of tiny samples, and what is trained on them.

``python tiny_training.py FOLDER`` runs one in a process of its own, where it can be killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lunart.models.architectures import default
from lunart.training.augment import Augmentation
from lunart.training.fit import Outcome, fit
from lunart.training.optimiser import Optimiser
from lunart.training.settings import Settings
from lunart.training.source import Sample, generator
from lunart.training.tasks import Classification, Segmentation, Task
from lunart.training.trainee import Trainee, crop_classifier, segmenter

CROP = (16, 16, 16)
SIDE = 16
EPOCHS = 3


@dataclass(frozen=True)
class Squares:
    """Every other patch has a bright square; ``hook`` is told of each sample that is asked for."""

    keys: tuple[int, ...]
    count: int
    hook: Callable[[int], None] | None = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if self.hook is not None:
            self.hook(index)
        rng = generator(*self.keys, index)
        mask = np.zeros((1, SIDE, SIDE), np.float32)
        if index % 2 == 0:
            row, col = rng.integers(2, SIDE - 8, 2)
            mask[0, row : row + 6, col : col + 6] = 1
        hu = rng.normal(-700, 60, (7, SIDE, SIDE)).astype(np.float32) + 700 * mask
        return {"hu": hu, "mask": mask, "weight": np.ones_like(mask)}


@dataclass(frozen=True)
class Boxes(Squares):
    """Every other crop has a bright box."""

    def __getitem__(self, index: int) -> Sample:
        if self.hook is not None:
            self.hook(index)
        rng = generator(*self.keys, index)
        label = index % 2
        hu = rng.normal(-700, 60, (1, *CROP)).astype(np.float32)
        hu[0, 5:11, 5:11, 5:11] += 700 * label
        return {"hu": hu, "label": np.array(label, np.int64)}


@dataclass(frozen=True)
class TinySource:
    """``hooks`` by epoch; validation's is -1."""

    kind: type[Squares] = Squares
    count: int = 16
    validated: int = 6
    fingerprint: str = "tiny"
    hooks: dict[int, Callable[[int], None]] = field(default_factory=dict)

    def epoch(self, number: int) -> Squares:
        return self.kind((1, number), self.count, self.hooks.get(number))

    def validation(self) -> Squares:
        return self.kind((2,), self.validated, self.hooks.get(-1))


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {"epochs": EPOCHS, "batch": 4, "optimiser": Optimiser(rate=1e-2)}
    return Settings(**{**values, **changes})


def tiny_segmenter() -> Trainee:
    return segmenter(1, wf=1)


def tiny_classifier() -> Trainee:
    small = default("luna-classifier", conv_channels=2, crop_irc=list(CROP))
    return crop_classifier(small, 1, dropout=0.3)


def train(folder: Path, source: TinySource | None = None, **changes: Any) -> Outcome:
    """Segmentation with augmentation, or classification with dropout, by the source's kind."""
    source = source or TinySource()
    boxes = issubclass(source.kind, Boxes)
    task: Task = Classification() if boxes else Segmentation(augmentation=Augmentation())
    trainee = tiny_classifier() if boxes else tiny_segmenter()
    return fit(trainee, task, source, settings(**changes), folder)


def at(place: int, action: Callable[[], None]) -> Callable[[int], None]:
    """A hook that acts when the sample at ``place`` is asked for."""
    return lambda index: action() if index == place else None


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    train(Path(sys.argv[1]), TinySource(hooks={EPOCHS - 1: at(6, kill)}))
