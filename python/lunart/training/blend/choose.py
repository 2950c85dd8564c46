"""Threshold, erosion and least volume of segmentation weights, chosen on what they never saw.

    python -m lunart.training.blend.choose DATA --segmentation FILE

prints, for each setting, how many nodules of the validation part a component's centre lies on, and
how many components lie on none: what the nodule classifier will have to refuse.

With ``--classification`` as well, the same after the nodule classifier, for each threshold of both.

    python -m lunart.training.blend.choose --write FILE --segmentation FILE --threshold 0.98 ...

writes the weights with the setting that was chosen, calibrated (:mod:`.calibrate`).
``--classification`` instead writes the classifier's weights with its threshold.
"""

from __future__ import annotations

import itertools
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from lunart.models.checkpoint import Checkpoint

_PROG = "python -m lunart.training.blend.choose"
THRESHOLDS = (0.25, 0.33, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
NODULE_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
EROSIONS = (0, 1)
LEAST_MM3 = (0.0, 10.0, 20.0, 40.0)
LEAST_DIAMETER_MM = 5.0
_SEED = 61
_BATCH = 32
Center = tuple[float, float, float]


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
    parser.add_argument("--segmentation", type=Path)
    parser.add_argument("--classification", type=Path, help="judge the two networks together")
    parser.add_argument("--volumes", type=int, default=8, help="blended ones (default: 8)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/blend"))
    parser.add_argument("--write", type=Path, metavar="FILE", help="weights with the setting")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--erosion", type=int, default=0)
    parser.add_argument("--min-volume", type=float, default=10.0, metavar="MM3")
    options = parser.parse_args(argv)
    if options.write is not None and (options.segmentation is None) == (
        options.classification is None
    ):
        raise UsageError("--write: give --segmentation or --classification, one at a time")
    if options.data is not None and options.segmentation is None:
        raise UsageError("give --segmentation, the weights to compare settings of")
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
    from lunart.training.blend.calibrate import move_for, write_moved

    if options.classification is not None:
        checkpoint = load_checkpoint(options.classification, "classification")
        save_weights(
            options.write,
            checkpoint.state,
            checkpoint.architecture,
            pipeline={**checkpoint.pipeline, "nodule_threshold": options.threshold},
            source=checkpoint.source["metadata"],
        )
        return
    write_moved(
        options.write,
        load_checkpoint(options.segmentation, "segmentation"),
        move_for(options.threshold),
        erosion=options.erosion,
        least_mm3=options.min_volume,
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """A volume of the validation part and what the segmentation network makes of it."""

    scan: _core.Scan
    probability: NDArray[np.float32]
    labels: NDArray[np.int32]
    large: set[int]
    judged: NDArray[np.bool_]

    def centers(self, threshold: float, erosion: int, least_mm3: float) -> list[Center]:
        """Of the components that the pipeline would see."""
        mask = (self.probability > threshold).astype(np.uint8)
        components, _ = _core.group(self.scan, mask, erosion, least_mm3)
        return [component["center_irc"] for component in components]

    def score(self, count: Count, centers: Sequence[Center]) -> None:
        """Count nodules that a centre lies on, and centres that lie on none."""
        hit = set()
        for center in centers:
            at = tuple(
                min(max(round(c), 0), n - 1) for c, n in zip(center, self.labels.shape, strict=True)
            )
            if self.labels[at]:
                hit.add(int(self.labels[at]))
            elif self.judged[at]:
                count.false += 1
        count.found += len(hit & self.large)


def _compare(options: Namespace) -> None:
    seen = list(_seen(options))
    nodules = sum(len(one.large) for one in seen)
    say(f"{nodules} nodules of {LEAST_DIAMETER_MM:g} mm and more in {len(seen)} volumes")
    if options.classification is not None:
        _compare_both(options, seen)
        return
    say("threshold  erosion  least mm3  found  false a volume")
    for threshold, erosion, least in itertools.product(THRESHOLDS, EROSIONS, LEAST_MM3):
        count = Count()
        for one in seen:
            one.score(count, one.centers(threshold, erosion, least))
        false = count.false / len(seen)
        say(f"{threshold:9.2f} {erosion:8d} {least:10.0f} {count.found:6d} {false:15.1f}")


def _compare_both(options: Namespace, seen: Sequence[Seen]) -> None:
    from lunart.models.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.classification, "classification")
    network = checkpoint.module()
    say("threshold  nodule threshold  found  false a volume")
    for threshold in THRESHOLDS:
        counts = {nodule: Count() for nodule in NODULE_THRESHOLDS}
        for one in seen:
            centers = one.centers(threshold, options.erosion, options.min_volume)
            said = _classified(network, one.scan, centers, checkpoint)
            for nodule, count in counts.items():
                one.score(count, [c for c, p in zip(centers, said, strict=True) if p > nodule])
        for nodule, count in counts.items():
            false = count.false / len(seen)
            say(f"{threshold:9.2f} {nodule:17.1f} {count.found:6d} {false:15.1f}")


def _classified(
    network: nn.Module, scan: _core.Scan, centers: Sequence[Center], checkpoint: Checkpoint
) -> list[float]:
    import torch

    size = checkpoint.architecture.arguments["crop_irc"]
    pad = checkpoint.pipeline.get("crop_border") == "pad"
    spacing = checkpoint.pipeline.get("crop_spacing_mm")
    assert not isinstance(spacing, str)
    found: list[float] = []
    for start in range(0, len(centers), _BATCH):
        some = centers[start : start + _BATCH]
        crops = np.stack([_core.crop(scan, center, size, pad, spacing) for center in some])[:, None]
        with torch.inference_mode():
            found += network(torch.from_numpy(crops))[1][:, 1].tolist()
    return found


def _seen(options: Namespace) -> Iterator[Seen]:
    import torch

    from lunart.models.checkpoint import load_checkpoint
    from lunart.training.blend.findings import probabilities
    from lunart.training.blend.jobs import Blended, Job, Whole
    from lunart.training.blend.library import read_library
    from lunart.training.blend.parts import VALIDATION, only, require_parts
    from lunart.training.blend.volume import scan_of

    network = load_checkpoint(options.segmentation, "segmentation").module()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    library = read_library(options.data, options.cache)
    require_parts(library)
    jobs: list[Job] = [Whole(item.name) for item in only(library, (VALIDATION,)).backgrounds]
    jobs += [Blended((_SEED, k), (VALIDATION,)) for k in range(options.volumes)]
    for job in jobs:
        volume = job.make(library)
        scan = scan_of(volume)
        labels, large = _nodules(volume.nodule, volume.spacing_irc_mm)
        seen = probabilities(network, scan, volume.lungs)
        yield Seen(scan, seen, labels, large, volume.lungs & volume.known)


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


if __name__ == "__main__":
    sys.exit(main())
