"""Training: one loop for every network and every source of samples.

    outcome = fit(segmenter(seed=1), Segmentation(), source, Settings(epochs=20), Path("run"))

The same call in the same folder goes on after the last finished epoch and ends with the same
weights as if it had never been stopped.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from lunart import _core
from lunart.cli import say
from lunart.errors import BundleError, EngineError, OutputError, UsageError
from lunart.models.images import Images
from lunart.training.board import Board
from lunart.training.keeper import Keeper
from lunart.training.module import TrainingModule
from lunart.training.processes import is_first
from lunart.training.progress import ProgressLines
from lunart.training.quiet import quiet
from lunart.training.record import BOARD, LAST, METRICS, RUN, WEIGHTS, Epoch, Record
from lunart.training.settings import Settings
from lunart.training.source import Source
from lunart.training.storage import WholeFiles, read
from lunart.training.tasks import Task
from lunart.training.trainee import Trainee

_FILES = (LAST, WEIGHTS, METRICS, RUN)
_PRECISION = {"f32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Outcome:
    """Where the best epoch's weights are, and every epoch."""

    weights: Path
    best: Epoch
    epochs: tuple[Epoch, ...]


def fit(
    trainee: Trainee,
    task: Task,
    source: Source,
    settings: Settings,
    folder: Path,
    *,
    pipeline: Mapping[str, float | str] | None = None,
    about: Mapping[str, Any] | None = None,
    images: Images | None = None,
    restart: bool = False,
    tell: Callable[[str], None] = say,
) -> Outcome:
    """Train, or go on training, in a folder of the run's own.

    ``pipeline`` are the settings that travel with the weights besides those that validation
    chooses, ``about`` is what their metadata say of data and licence, ``images`` are an image
    classifier's classes. ``restart`` forgets what the folder holds of an earlier run; ``tell``
    gets a line an epoch.

    Raises ``UsageError`` when the folder holds another run, ``DataError`` for an empty set,
    ``CheckError`` when the loss is no number, ``OutputError`` when the folder cannot be written,
    ``EngineError`` when another of several processes was lost.
    """
    run = {
        "architecture": str(trainee.architecture),
        "network": dict(trainee.made),
        "task": task.described(),
        "data": source.fingerprint,
        "settings": settings.described(),
        "pipeline": dict(pipeline or {}),
        "images": None if images is None else images.to_json(),
    }
    first = is_first()
    if first:
        _prepare(folder, run, restart=restart)
    record = _resumed(folder, run)
    lines = ProgressLines(settings.epochs, tell)
    keeper = Keeper(
        folder,
        trainee,
        task,
        record,
        patience=settings.patience,
        pipeline=pipeline or {},
        about=about or {},
        images=images,
        tell=lines.tell,
    )
    if first and record.history:
        keeper.write_metrics()
        tell(f"{folder}: going on after epoch {record.history[-1].number}")
    if len(record.history) < settings.epochs and not keeper.exhausted:
        _train(trainee, task, source, settings, folder, keeper, lines)
    best = keeper.best
    assert best is not None
    return Outcome(folder / WEIGHTS, best, keeper.record.history)


def _train(
    trainee: Trainee,
    task: Task,
    source: Source,
    settings: Settings,
    folder: Path,
    keeper: Keeper,
    lines: ProgressLines,
) -> None:
    with quiet():
        trainer = Trainer(
            accelerator="auto",
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy="auto" if settings.devices * settings.nodes == 1 else "ddp",
            precision=_PRECISION[settings.precision],  # type: ignore[arg-type]
            max_epochs=settings.epochs,
            # Samples are shared among processes by this package, and drawn anew each epoch.
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            callbacks=[lines, keeper, Board(folder, keeper)],
            plugins=[WholeFiles()],
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        module = TrainingModule(trainee, task, source, settings)
        resume = folder / LAST if keeper.record.history else None
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, ckpt_path=resume, weights_only=True)
        except SystemExit as stop:
            # Lightning's answer to Ctrl-C and SIGTERM, after ending what it started. It leaves
            # Ctrl-C without effect.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt(_interrupted(keeper)) from stop
        except RuntimeError as error:
            if not _lost_another(error):
                raise
            raise EngineError(
                "another process of this training ended, or cannot be reached any more; what it "
                f"said of that stands above; {_interrupted(keeper)}"
            ) from error


def _interrupted(keeper: Keeper) -> str:
    done = len(keeper.record.history)
    return f"the same command goes on after epoch {done}" if done else "no epoch was finished"


def _lost_another(error: RuntimeError) -> bool:
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _prepare(folder: Path, run: Mapping[str, Any], *, restart: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if restart:
            for name in _FILES:
                (folder / name).unlink(missing_ok=True)
            if (folder / BOARD).is_dir():
                shutil.rmtree(folder / BOARD)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
    if not (folder / RUN).exists():
        stray = [name for name in _FILES if (folder / name).exists()]
        if stray:
            raise UsageError(
                f"{folder} holds {stray[0]} of a run that nothing is known of ({RUN} is missing); "
                "give another --output, or --restart to begin anew there"
            )
        _core.write_file_atomically(folder / RUN, Record(run).to_json() + "\n")


def _resumed(folder: Path, run: Mapping[str, Any]) -> Record:
    path = folder / LAST
    if path.exists():
        record = Record.from_checkpoint(path, read(path))
    else:
        record = Record.read(folder / RUN)
    record.require_same(run, folder)
    if not record.history:
        return record
    if not (folder / WEIGHTS).exists():
        raise BundleError(
            f"{folder}: {WEIGHTS} of the best epoch is missing; --restart begins anew there"
        )
    return record
