"""A line an epoch on standard output; on a terminal also how far the epoch is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lunart.training.record import Epoch

_REDRAW_S = 0.5


class ProgressLines(Callback):
    """Speaks in the first process only."""

    def __init__(self, epochs: int, say: Callable[[str], None]) -> None:
        self._epochs, self._say = epochs, say
        self._seconds: list[float] = []
        self._drawn = 0.0
        self._redraws = sys.stderr is not None and sys.stderr.isatty()

    def tell(self, epoch: Epoch, improved: bool) -> None:
        """Print an epoch's line."""
        self._seconds.append(epoch.seconds)
        left = sum(self._seconds) / len(self._seconds) * (self._epochs - epoch.number)
        best = " (best so far)" if improved else ""
        self._clear()
        self._say(
            f"epoch {epoch.number}/{self._epochs}: loss {epoch.train_loss:.4f}; "
            f"validation: {in_words(epoch.validation)}{best}; "
            f"{epoch.seconds:.0f} s, {_time(left)} left"
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._draw(trainer, "batch", batch_idx + 1, trainer.num_training_batches)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._draw(trainer, "validation batch", batch_idx + 1, trainer.num_val_batches[0])

    def _draw(self, trainer: Trainer, what: str, number: int, count: float) -> None:
        if not self._redraws or not trainer.is_global_zero:
            return
        now = time.monotonic()
        if now - self._drawn < _REDRAW_S:
            return
        self._drawn = now
        text = f"epoch {trainer.current_epoch + 1}/{self._epochs}: {what} {number}/{count}"
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._redraws:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def in_words(metrics: Mapping[str, float]) -> str:
    """Metrics in one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
