"""The book's method, as a baseline: *Deep Learning with PyTorch* (Stevens, Antiga and Viehmann),
chapters 13 and 14.

Whole slices in batches of four through eager PyTorch, SciPy for erosion, labels and centres of
mass, crops in batches of four through the classifier; every processor, nothing tuned. Written
anew from the method. Thresholds, erosion, crops and the way up in which the networks see the scan
are the bundle's, so that the same nodules can be expected of both.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor, nn

from lunart import _core
from lunart.bench.inputs import as_networks_see, crop
from lunart.bundle import Bundle
from lunart.networks import torch_threads

BATCH = 4

Centre = tuple[float, float, float]


@dataclass(frozen=True)
class Candidate:
    """A component of the eroded mask; ``center_irc`` is in the scan as stored."""

    center_irc: Centre
    voxels: int
    probability: float


@dataclass(frozen=True)
class BaselineResult:
    candidates: list[Candidate]
    mask: NDArray[np.bool_] | None  # before erosion; None where the networks see another way up
    seconds: dict[str, float]  # by stage, load and total (without load)


@dataclass(frozen=True)
class _Book:
    """The numbers of a bundle's pipeline that the method needs."""

    window: tuple[float, float]
    context: int
    multiple_of: int
    threshold: float
    erosion: int  # 1 in the book
    least_mm3: float  # of a component; 0 in the book

    @classmethod
    def of(cls, bundle: Bundle) -> _Book:
        pipeline = bundle.pipeline
        low, high = pipeline["hu_window"]
        return cls(
            (low, high),
            pipeline["context_slices"],
            bundle.model("segmentation").signature.multiple_of,
            pipeline["segmentation_threshold"],
            pipeline["erosion"],
            pipeline["min_component_mm3"],
        )


def find(bundle: Bundle, scan_path: Path, threads: int) -> BaselineResult:
    """Every candidate of a scan, as the book finds them."""
    clock = _Clock()
    segmentation = bundle.eager("segmentation")
    classification = bundle.eager("classification")
    clock.lap("load")
    stored = _core.read_scan(scan_path)
    scan = as_networks_see(stored, bundle.pipeline)
    hu = np.asarray(scan.hu, np.float32)
    clock.lap("read")
    book = _Book.of(bundle)
    with torch.inference_mode(), torch_threads(threads):
        mask = segment(segmentation, hu, book)
        clock.lap("segment")
        centres, voxels = group(mask, hu, book, scan.geometry.voxel_mm3)
        clock.lap("group")
        probabilities = classify(classification, scan, centres, bundle.pipeline)
        clock.lap("classify")
    candidates = [
        Candidate(_stored(scan, stored, centre), count, probability)
        for centre, count, probability in zip(centres, voxels, probabilities, strict=True)
    ]
    as_stored = scan.direction == stored.direction
    return BaselineResult(candidates, mask if as_stored else None, clock.finish())


def segment(network: nn.Module, hu: NDArray[np.float32], book: _Book) -> NDArray[np.bool_]:
    """Which voxels exceed the threshold, whole slices at a time."""
    count, rows, cols = hu.shape
    mask = np.zeros(hu.shape, np.bool_)
    for first in range(0, count, BATCH):
        indices = range(first, min(first + BATCH, count))
        batch = torch.stack([_slice(hu, index, book) for index in indices])
        probability = network(batch)[:, 0, :rows, :cols]
        mask[first : first + len(indices)] = probability.numpy() > book.threshold
    return mask


def _slice(hu: NDArray[np.float32], index: int, book: _Book) -> Tensor:
    """A slice among its neighbours; the scan's end slices repeat."""
    chosen = np.arange(index - book.context, index + book.context + 1).clip(0, len(hu) - 1)
    channels = torch.from_numpy(hu[chosen]).clamp(*book.window)
    # The book knows 512x512 only; other sizes are padded as the pipeline pads them.
    pad = (0, -hu.shape[2] % book.multiple_of, 0, -hu.shape[1] % book.multiple_of)
    return nn.functional.pad(channels, pad, mode="replicate") if any(pad) else channels


def group(
    mask: NDArray[np.bool_], hu: NDArray[np.float32], book: _Book, voxel_mm3: float
) -> tuple[list[Centre], list[int]]:
    """Centres and sizes of the eroded mask's components."""
    # SciPy takes zero iterations for "until nothing changes".
    times = book.erosion
    eroded = ndimage.binary_erosion(mask, iterations=times) if times else mask
    labels, count = ndimage.label(eroded)
    weights = hu.clip(*book.window) + 1001
    centres = ndimage.center_of_mass(weights, labels, np.arange(1, count + 1))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    # The pipeline's least is of the component before erosion: the same where there is none.
    kept = [k for k in range(count) if sizes[k] * voxel_mm3 >= book.least_mm3]
    return [(float(i), float(r), float(c)) for i, r, c in (centres[k] for k in kept)], [
        int(sizes[k]) for k in kept
    ]


def classify(
    network: nn.Module, scan: _core.Scan, centres: list[Centre], pipeline: Mapping[str, Any]
) -> list[float]:
    """The probability of each candidate."""
    probabilities: list[float] = []
    for first in range(0, len(centres), BATCH):
        crops = [crop(scan, centre, pipeline) for centre in centres[first : first + BATCH]]
        _, probability = network(torch.from_numpy(np.stack(crops)))
        probabilities += probability[:, 1].tolist()
    return probabilities


def _stored(scan: _core.Scan, stored: _core.Scan, centre: Centre) -> Centre:
    return stored.geometry.to_irc(scan.geometry.to_xyz(centre))


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._seconds[stage] = now - self._last
        self._last = now

    def finish(self) -> dict[str, float]:
        total = sum(s for stage, s in self._seconds.items() if stage != "load")
        return {**self._seconds, "total": total}
