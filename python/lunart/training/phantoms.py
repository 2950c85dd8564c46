"""Train lunart's embedded weights on generated scans, from nothing, with one command.

    python -m lunart.training.phantoms --output DIR [--minutes N] [--seed S]

writes ``DIR/segmentation.safetensors`` and ``DIR/classification.safetensors``; a run that was
stopped goes on from its last checkpoint in ``DIR``. The minutes choose the number of steps, not a
clock, so that the result depends on the arguments and not on the machine's load: an idle machine
with two cores needs about that long for the steps, and as much again for generating and mining.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lunart.bundle import Architecture
from lunart.cli import Parser, run
from lunart.errors import OutputError, UsageError
from lunart.training.scans import CROP_IRC, load

_PROG = "python -m lunart.training.phantoms"

SEGMENTATION_ARGUMENTS = {"in_channels": 7, "depth": 3, "wf": 3}
CLASSIFICATION_ARGUMENTS = {"in_channels": 1, "conv_channels": 4, "crop_irc": list(CROP_IRC)}
# Compared with other settings on phantoms neither trained on nor reserved (see the model card).
SEGMENTATION_PIPELINE = {"segmentation_threshold": 0.5, "erosion": 0, "min_component_mm3": 10.0}
CLASSIFICATION_PIPELINE = {"nodule_threshold": 0.5}
SCANS = 56
SEGMENTATION_STEPS_PER_MINUTE = 144
CLASSIFICATION_STEPS_PER_MINUTE = 150


def _source(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": "generated chest CT (lunart.phantom), no patients; not for clinical use",
        "license": "Apache-2.0",
        "metrics": {},
        "settings": settings,
    }


def train(output: Path, minutes: float, seed: int) -> None:
    """Train both networks and write their weights. Raises ``OutputError``."""
    # PyTorch is loaded from here on: --help does not wait for it, nor does a process that generates
    # scans, which imports this module too.
    import torch

    from lunart.models import NoduleClassifier, SegmentationUNet
    from lunart.models.checkpoint import save_weights
    from lunart.training import classification, segmentation
    from lunart.training.steps import Progress

    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made ({error.strerror or error})") from error
    torch.manual_seed(seed)
    started = time.monotonic()
    # Far above the seeds that are reserved for evaluation.
    first = 1_000_000 * (seed + 1)
    pool = load(range(first, first + SCANS), workers=os.cpu_count() or 1)
    print(f"{len(pool)} scans after {time.monotonic() - started:.0f} s", flush=True)
    shared = {"first_seed": first, "scans": SCANS, "seed": seed}

    segmenter = SegmentationUNet(**SEGMENTATION_ARGUMENTS)
    steps = max(1, round(minutes * SEGMENTATION_STEPS_PER_MINUTE))
    segmentation.train(segmenter, pool, steps, seed, Progress(output, "segmentation"))
    save_weights(
        output / "segmentation.safetensors",
        segmenter.state_dict(),
        Architecture("unet", SEGMENTATION_ARGUMENTS),
        pipeline=SEGMENTATION_PIPELINE,
        source=_source(shared | segmentation.describe(steps)),
    )
    classifier = NoduleClassifier(in_channels=1, conv_channels=4, crop_irc=CROP_IRC)
    places = classification.collect(segmenter, pool)
    steps = max(1, round(minutes * CLASSIFICATION_STEPS_PER_MINUTE))
    classification.train(classifier, pool, places, steps, seed, Progress(output, "classification"))
    save_weights(
        output / "classification.safetensors",
        classifier.state_dict(),
        Architecture("luna-classifier", CLASSIFICATION_ARGUMENTS),
        pipeline=CLASSIFICATION_PIPELINE,
        source=_source(shared | classification.describe(steps)),
    )
    print(f"done after {(time.monotonic() - started) / 60:.1f} minutes", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the training and return the exit code."""
    return run(_PROG, lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, "Train the segmentation network and the classifier on generated scans.")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--minutes", type=float, default=16.0, metavar="N", help="size of the training (default 16)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    options = parser.parse_args(argv)
    if not 0 < options.minutes < math.inf:
        raise UsageError(f"--minutes is {options.minutes}; expected more than 0")
    if options.seed < 0:
        raise UsageError(f"--seed is {options.seed}; expected 0 or more")
    train(options.output, options.minutes, options.seed)


if __name__ == "__main__":
    sys.exit(main())
