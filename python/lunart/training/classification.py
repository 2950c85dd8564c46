"""Training the classifier: nodules against what the segmentation network takes for nodules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lunart import _core
from lunart.models import NoduleClassifier, SegmentationUNet
from lunart.training.mining import find
from lunart.training.scans import CROP_IRC, HU_WINDOW, TrainingScan
from lunart.training.steps import Progress, learning_rate

BATCH = 24
PEAK_RATE = 2e-3
# Below the pipeline's threshold, so that there are enough mistakes to learn from.
MINE_THRESHOLD = 0.2
MINE_MM3 = 5.0
MINED_SCANS = 32
JITTER_IRC = (1.5, 2.5, 2.5)


@dataclass(frozen=True)
class Place:
    """A centre to cut a crop at, and whether it is a nodule."""

    scan: int
    center_irc: tuple[float, float, float]
    nodule: bool


def collect(model: SegmentationUNet, pool: list[TrainingScan]) -> list[Place]:
    """Nodules by truth and by the network, and the network's false components."""
    places = []
    for number, item in enumerate(pool[:MINED_SCANS]):
        found = find(model, item, MINE_THRESHOLD, MINE_MM3)
        truth = np.array([nodule.center_irc for nodule in item.phantom.nodules]).reshape(-1, 3)
        for centers, nodule in ((truth, True), (found.hits, True), (found.false, False)):
            places += [Place(number, _triple(center), nodule) for center in centers]
    return places


def _triple(center: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(center[0]), float(center[1]), float(center[2])


def train(
    model: NoduleClassifier,
    pool: list[TrainingScan],
    places: list[Place],
    steps: int,
    seed: int,
    progress: Progress,
) -> None:
    """Train in place; resumes where ``progress`` says that an earlier run stopped."""
    nodules = [place for place in places if place.nodule]
    others = [place for place in places if not place.nodule]
    print(f"classification: {len(nodules)} nodules, {len(others)} look-alikes", flush=True)
    if not nodules or not others:
        raise RuntimeError("the segmentation network found nothing to tell apart: train it longer")
    # Three times as fast as the usual layout in three dimensions.
    model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
    for step in range(progress.restore(model, optimizer, []), steps):
        rng = np.random.Generator(np.random.PCG64([seed, 1, step]))
        hu, truth = _batch(rng, pool, nodules, others)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, PEAK_RATE)
        model.train()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(hu)[0], truth, label_smoothing=0.02)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        progress.report(step, steps, loss.item())
        progress.save(step + 1, model, optimizer, [])
    progress.save(steps, model, optimizer, [], force=True)


def _batch(
    rng: np.random.Generator, pool: list[TrainingScan], nodules: list[Place], others: list[Place]
) -> tuple[Tensor, Tensor]:
    hu = []
    truth = np.arange(BATCH) % 2
    for kind in truth:
        group = nodules if kind else others
        place = group[int(rng.integers(len(group)))]
        center = np.array(place.center_irc) + rng.uniform(-1, 1, 3) * JITTER_IRC
        hu.append(_augment(rng, _core.crop(pool[place.scan].scan, center.tolist(), CROP_IRC)))
    crops = torch.from_numpy(np.stack(hu)[:, None])
    return crops.contiguous(memory_format=torch.channels_last_3d), torch.from_numpy(truth)


def _augment(rng: np.random.Generator, piece: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flips, a transposition, another calibration, more noise."""
    for axis in range(3):
        if rng.uniform() < 0.5:
            piece = np.flip(piece, axis)
    if rng.uniform() < 0.5:
        piece = piece.swapaxes(1, 2)
    piece = piece * np.float32(rng.uniform(0.97, 1.03)) + np.float32(rng.uniform(-20, 20))
    if rng.uniform() < 0.3:
        level = np.float32(rng.uniform(0, 20))
        piece = piece + level * rng.standard_normal(piece.shape, dtype=np.float32)
    return np.clip(piece, *HU_WINDOW)


def describe(steps: int) -> dict[str, Any]:
    """The settings that belong into the weights' metadata."""
    return {
        "steps": steps,
        "batch": BATCH,
        "peak_rate": PEAK_RATE,
        "optimizer": "AdamW",
        "mine_threshold": MINE_THRESHOLD,
    }
