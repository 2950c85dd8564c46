"""Segmentation networks that never saw one part of the data each.

What a network proposes in lungs that it has learnt from is what it could not learn: a few of the
hardest look-alikes. In a new lung it proposes more, and other ones. So that the nodule classifier
learns from what it will meet, and is judged by it, each part's volumes are looked through by the
network that never saw the part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lunart.cli import say
from lunart.errors import UsageError
from lunart.models.checkpoint import Checkpoint, load_checkpoint
from lunart.training.blend.calibrate import move_of, write_moved
from lunart.training.blend.findings import grouping_of
from lunart.training.blend.parts import STUDY
from lunart.training.blend.sources import SegmentationBlend, segmentation_source
from lunart.training.fit import fit
from lunart.training.losses import MixedLoss
from lunart.training.optimiser import Optimiser
from lunart.training.settings import Settings
from lunart.training.tasks import Segmentation
from lunart.training.trainee import segmenter


def train(
    data: Path,
    cache: Path,
    like: Checkpoint,
    folder: Path,
    *,
    parts: Sequence[int],
    epochs: int,
    patches: int,
    precision: str,
) -> None:
    """A network without each of ``parts``; threshold and grouping are those of ``like``."""
    settings = Settings(
        epochs=epochs,
        precision=precision,
        optimiser=Optimiser(rate=2e-3, weight_decay=1e-3, warmup_steps=100),
    )
    grouping = grouping_of(like)
    for part in parts:
        say(f"segmentation, part {part} held out")
        others = tuple(other for other in STUDY if other != part)
        outcome = fit(
            segmenter(1),
            Segmentation(loss_of=MixedLoss()),
            segmentation_source(data, cache, SegmentationBlend(parts=others, patches=patches)),
            settings,
            folder / f"without-{part}",
        )
        write_moved(
            _file(folder, part),
            load_checkpoint(outcome.weights, "segmentation"),
            move_of(like),
            erosion=grouping.erosion,
            least_mm3=grouping.least_mm3,
        )


def read(folder: Path) -> dict[int, Checkpoint]:
    """The networks of a folder that :func:`train` wrote, by the part that each never saw.

    Raises ``UsageError`` where one is missing, ``BundleError`` where one cannot be read.
    """
    missing = [str(_file(folder, part)) for part in STUDY if not _file(folder, part).exists()]
    if missing:
        raise UsageError(
            f"{missing[0]}: no such weights; `python -m lunart.training.blend.study segmentation` "
            "trains them"
        )
    return {part: load_checkpoint(_file(folder, part), "segmentation") for part in STUDY}


def _file(folder: Path, part: int) -> Path:
    return folder / f"without-{part}.safetensors"
