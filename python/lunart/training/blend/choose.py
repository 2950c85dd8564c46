"""Threshold, erosion and least volume of segmentation weights, chosen on what they never saw.

    python -m lunart.training.blend.choose DATA --segmentation FILE

prints, for each setting, how many nodules of the validation part a component's centre lies on, and
how many components lie on none: what the nodule classifier will have to refuse.

    python -m lunart.training.blend.choose --write FILE --segmentation FILE --threshold 0.98 ...

writes the weights with the setting that was chosen. A loss that weighs recall makes probabilities
that are too high: the last layer's bias is moved by one number, so that what was the threshold is
0.5 from then on, where engines agree best. No voxel changes sides.
"""

from __future__ import annotations

import itertools
import math
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.errors import UsageError

_PROG = "python -m lunart.training.blend.choose"
THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
EROSIONS = (0, 1)
LEAST_MM3 = (0.0, 10.0, 20.0, 40.0)
LAST_BIAS = "unet.last.bias"
_SEED = 61


@dataclass
class Count:
    """Over all volumes."""

    found: int = 0
    false: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table and return the exit code."""
    return run(_PROG, lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, "Compare settings of the pipeline on the validation part.")
    parser.add_argument(
        "data", type=Path, nargs="?", help="the folder with nodules/, backgrounds/, luna16/"
    )
    parser.add_argument("--segmentation", type=Path, required=True)
    parser.add_argument("--volumes", type=int, default=8, help="blended ones (default: 8)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/blend"))
    parser.add_argument("--write", type=Path, metavar="FILE", help="weights with the setting")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--erosion", type=int, default=0)
    parser.add_argument("--min-volume", type=float, default=10.0, metavar="MM3")
    options = parser.parse_args(argv)
    if (options.data is None) == (options.write is None):
        raise UsageError("give a folder DATA to compare settings, or --write to apply one")
    if not 0 < options.threshold < 1:
        raise UsageError(f"--threshold is {options.threshold}; expected more than 0, less than 1")
    if options.write is not None:
        _write(options)
    else:
        _compare(options)


def _write(options: Namespace) -> None:
    from lunart.models.checkpoint import load_checkpoint, save_weights

    checkpoint = load_checkpoint(options.segmentation, "segmentation")
    state = dict(checkpoint.state)
    moved = math.log(options.threshold / (1 - options.threshold))
    state[LAST_BIAS] = state[LAST_BIAS] - moved
    save_weights(
        options.write,
        state,
        checkpoint.architecture,
        pipeline={
            "segmentation_threshold": 0.5,
            "erosion": options.erosion,
            "min_component_mm3": options.min_volume,
        },
        source={**checkpoint.source["metadata"], "bias_moved": -moved},
    )


def _compare(options: Namespace) -> None:
    import torch

    from lunart.models.checkpoint import load_checkpoint
    from lunart.training.blend.findings import probabilities
    from lunart.training.blend.jobs import Blended, Job, Whole
    from lunart.training.blend.library import read_library
    from lunart.training.blend.parts import VALIDATION, only
    from lunart.training.blend.volume import scan_of

    network = load_checkpoint(options.segmentation, "segmentation").module()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    library = read_library(options.data, options.cache)
    jobs: list[Job] = [Whole(item.name) for item in only(library, (VALIDATION,)).backgrounds]
    jobs += [Blended((_SEED, k), (VALIDATION,)) for k in range(options.volumes)]
    counts = {key: Count() for key in itertools.product(THRESHOLDS, EROSIONS, LEAST_MM3)}
    nodules = 0
    for job in jobs:
        volume = job.make(library)
        scan = scan_of(volume)
        seen = probabilities(network, scan, volume.lungs)
        labels, large = _nodules(volume.nodule, volume.spacing_irc_mm)
        nodules += len(large)
        judged = volume.lungs & volume.known
        for (threshold, erosion, least), count in counts.items():
            mask = (seen > threshold).astype(np.uint8)
            components, _ = _core.group(scan, mask, erosion, least)
            _score(count, [c["center_irc"] for c in components], labels, large, judged)
    say(f"{nodules} nodules of {LEAST_DIAMETER_MM:g} mm and more in {len(jobs)} volumes")
    say("threshold  erosion  least mm3  found  false a volume")
    for (threshold, erosion, least), count in counts.items():
        say(
            f"{threshold:9.2f} {erosion:8d} {least:10.0f} {count.found:6d} "
            f"{count.false / len(jobs):15.1f}"
        )


LEAST_DIAMETER_MM = 5.0


def _nodules(
    nodule: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> tuple[NDArray[np.int32], set[int]]:
    """Labels, grown by a voxel so that centres at a rim count, and the large ones' numbers."""
    from scipy import ndimage  # type: ignore[import-untyped]

    labels, _ = ndimage.label(nodule)
    sizes = np.bincount(labels.ravel()) * float(np.prod(spacing))
    diameters = (6 * sizes / np.pi) ** (1 / 3)
    large = {n for n in range(1, len(sizes)) if diameters[n] >= LEAST_DIAMETER_MM}
    return ndimage.grey_dilation(labels, size=3), large


def _score(
    count: Count,
    centers: list[tuple[float, float, float]],
    labels: NDArray[np.int32],
    large: set[int],
    judged: NDArray[np.bool_],
) -> None:
    hit = set()
    for center in centers:
        at = tuple(min(max(round(c), 0), n - 1) for c, n in zip(center, labels.shape, strict=True))
        if labels[at]:
            hit.add(int(labels[at]))
        elif judged[at]:
            count.false += 1
    count.found += len(hit & large)


if __name__ == "__main__":
    sys.exit(main())
