"""What TensorBoard shows of a run, once an epoch: curves, histograms, ROC, overlaid slices.

tensorboard --logdir runs
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.tensorboard import SummaryWriter

from lunart.errors import OutputError
from lunart.training.keeper import Keeper
from lunart.training.metrics import BINS, ClassificationMetrics, SegmentationMetrics
from lunart.training.module import TrainingModule
from lunart.training.overlay import overlaid
from lunart.training.record import BOARD


class Board(Callback):
    """Writes what ``keeper`` kept of the epoch; comes after it in Lightning's list."""

    def __init__(self, folder: Path, keeper: Keeper) -> None:
        self._folder, self._keeper = folder / BOARD, keeper
        self._writer: SummaryWriter | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            # A run that was killed may have written of the epoch that is now repeated.
            self._writer = SummaryWriter(str(self._folder), purge_step=trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        try:
            self._write(trainer, pl_module)
        except OSError as error:
            raise OutputError(
                f"{self._folder}: cannot be written ({error.strerror or error})"
            ) from error

    def _write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        metrics = pl_module.metrics
        # Gathered from all processes, so all must ask.
        scores = metrics.scores() if isinstance(metrics, ClassificationMetrics) else None
        counts = metrics.histograms() if isinstance(metrics, SegmentationMetrics) else None
        if self._writer is None:
            return
        epoch = self._keeper.record.history[-1]
        self._writer.add_scalar("loss/train", epoch.train_loss, epoch.number)
        for name, value in epoch.validation.items():
            tag = "loss/validation" if name == "loss" else f"validation/{name}"
            self._writer.add_scalar(tag, value, epoch.number)
        self._writer.add_scalar("rate", trainer.optimizers[0].param_groups[0]["lr"], epoch.number)
        if scores is not None:
            self._classification(*scores, epoch.number)
        if counts is not None:
            self._histograms(counts, epoch.number)
        if isinstance(metrics, SegmentationMetrics):
            for number, shown in enumerate(metrics.shown):
                picture = overlaid(shown, metrics.threshold)
                self._writer.add_image(f"slices/{number}", picture, epoch.number, dataformats="HWC")
        self._writer.flush()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._writer is not None:
            self._writer.close()

    def _classification(self, probability: torch.Tensor, label: torch.Tensor, number: int) -> None:
        from lunart.training.roc import roc_figure

        assert self._writer is not None
        for one in range(probability.shape[1]):
            own = probability[label == one, one]
            if len(own):
                self._writer.add_histogram(f"probability/of class {one}", own, number)
        figure = roc_figure(probability.cpu(), label.cpu())
        if figure is not None:
            self._writer.add_figure("roc", figure, number)

    def _histograms(self, counts: torch.Tensor, number: int) -> None:
        assert self._writer is not None
        limits = np.arange(1, BINS + 1) / BINS
        middles = limits - 0.5 / BINS
        for name, row in zip(("elsewhere", "in nodules"), counts.tolist(), strict=True):
            if sum(row):
                self._writer.add_histogram_raw(
                    f"probability/{name}",
                    min=0.0,
                    max=1.0,
                    num=sum(row),
                    sum=float(np.dot(row, middles)),
                    sum_squares=float(np.dot(row, middles**2)),
                    bucket_limits=limits.tolist(),
                    bucket_counts=row,
                    global_step=number,
                )
