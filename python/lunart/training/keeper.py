"""What happens when an epoch is finished: judge it, keep it, say it, and perhaps stop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lunart import _core
from lunart.models.checkpoint import save_weights
from lunart.models.images import Images
from lunart.training.module import TrainingModule
from lunart.training.record import CHECKPOINT_KEY, LAST, METRICS, WEIGHTS, Epoch, Record
from lunart.training.tasks import Task
from lunart.training.trainee import Trainee


class Keeper(Callback):
    """Writes a run's folder. Each file is written whole or not at all.

    Weights come before the checkpoint: a run that is killed between them repeats the epoch and
    writes the same weights again.
    """

    def __init__(
        self,
        folder: Path,
        trainee: Trainee,
        task: Task,
        record: Record,
        *,
        patience: int,
        pipeline: Mapping[str, float | str],
        about: Mapping[str, Any],
        images: Images | None,
        tell: Callable[[Epoch, bool], None],
    ) -> None:
        self.record = record
        self._folder, self._trainee, self._task = folder, trainee, task
        self._patience, self._tell = patience, tell
        self._pipeline, self._about, self._images = pipeline, about, images
        self._began = time.monotonic()

    @property
    def best(self) -> Epoch | None:
        """The best epoch so far; of equals the first."""
        epochs = self.record.history
        return max(epochs, key=lambda e: self._task.rank(e.validation), default=None)

    @property
    def exhausted(self) -> bool:
        """Whether validation has not become better for as long as patience lasts."""
        best = self.best
        if not self._patience or best is None:
            return False
        return self.record.history[-1].number - best.number >= self._patience

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        loss, metrics = pl_module.finished_epoch()
        seconds = time.monotonic() - self._began
        epoch = Epoch(
            trainer.current_epoch + 1, trainer.global_step, loss, metrics, round(seconds, 1)
        )
        self.record = replace(self.record, history=(*self.record.history, epoch))
        improved = self.best is epoch
        if trainer.is_global_zero and improved:
            self._save_weights(epoch)
        trainer.save_checkpoint(self._folder / LAST)
        if trainer.is_global_zero:
            self.write_metrics()
            self._tell(epoch, improved)
        trainer.should_stop = trainer.should_stop or self.exhausted

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[CHECKPOINT_KEY] = self.record.to_json()

    def write_metrics(self) -> None:
        """A line for each epoch of the record; epochs that were not finished leave none."""
        lines = [json.dumps(asdict(epoch)) + "\n" for epoch in self.record.history]
        _core.write_file_atomically(self._folder / METRICS, "".join(lines))

    def _save_weights(self, epoch: Epoch) -> None:
        save_weights(
            self._folder / WEIGHTS,
            self._trainee.shipped(),
            self._trainee.architecture,
            pipeline={**self._task.chosen(epoch.validation), **self._pipeline},
            images=self._images,
            source={
                **self._about,
                "settings": self.record.run,
                "metrics": {"epoch": epoch.number, "validation": epoch.validation},
            },
        )
