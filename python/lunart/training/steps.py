"""What both trainings share: the learning rate's course, log lines, and checkpoints to resume."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

SAVE_EVERY = 250
LOG_EVERY = 50


def learning_rate(step: int, steps: int, peak: float) -> float:
    """A short warm-up, then half a cosine down to 1 % of the peak."""
    warm = min(1.0, (step + 1) / 100)
    return peak * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Progress:
    """Log and checkpoint of one network's training, ``<folder>/<name>.checkpoint.pt``."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.checkpoint.pt"
        self._name = name
        self._loss = 0.0
        self._since = time.monotonic()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, places: list[Any]) -> int:
        """Load the last checkpoint, if there is one; returns the step to go on with."""
        if not self._path.exists():
            return 0
        state = torch.load(self._path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        places[:] = state["places"]
        print(f"{self._name}: resumed at step {state['step']}", flush=True)
        return int(state["step"])

    def save(
        self,
        step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        places: list[Any],
        *,
        force: bool = False,
    ) -> None:
        """Write a checkpoint every :data:`SAVE_EVERY` steps, whole or not at all."""
        if step % SAVE_EVERY and not force:
            return
        state = {
            "step": step,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "places": places,
        }
        beside = self._path.with_suffix(".part")
        torch.save(state, beside)
        beside.replace(self._path)

    def report(self, step: int, steps: int, loss: float) -> None:
        """Print the mean loss of the last :data:`LOG_EVERY` steps."""
        self._loss += loss / LOG_EVERY
        if (step + 1) % LOG_EVERY == 0:
            pace = (time.monotonic() - self._since) / LOG_EVERY
            print(
                f"{self._name}: step {step + 1}/{steps} loss {self._loss:.4f} {pace:.2f} s/step",
                flush=True,
            )
            self._loss, self._since = 0.0, time.monotonic()
