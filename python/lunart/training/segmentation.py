"""Training the segmentation network on patches of phantoms."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lunart.models import SegmentationUNet
from lunart.phantom import Phantom
from lunart.training.mining import find
from lunart.training.scans import CONTEXT, HU_WINDOW, TrainingScan
from lunart.training.steps import Progress, learning_rate

PATCH = 96
BATCH = 16
PEAK_RATE = 3e-3
# After these shares of the steps, patches round the network's own mistakes join the batches.
MINE_AT = (0.35, 0.65)
MINED_SCANS = 12


@dataclass
class Mistakes:
    """Places where the network was wrong: (phantom's place in the pool, index, row, col)."""

    places: list[tuple[int, int, int, int]] = field(default_factory=list)


def train(
    model: SegmentationUNet, pool: list[TrainingScan], steps: int, seed: int, progress: Progress
) -> None:
    """Train in place; resumes where ``progress`` says that an earlier run stopped."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    mistakes = Mistakes()
    start = progress.restore(model, optimizer, mistakes.places)
    mine_steps = {int(share * steps) for share in MINE_AT}
    for step in range(start, steps):
        if step in mine_steps:
            _mine(model, pool, mistakes, seed + step)
        # A generator for each step: a resumed run sees the batches that it would have seen.
        rng = np.random.Generator(np.random.PCG64([seed, step]))
        hu, truth = _batch(rng, pool, mistakes)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, PEAK_RATE)
        model.train()
        optimizer.zero_grad()
        loss = _loss(model(hu), truth)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        progress.report(step, steps, loss.item())
        progress.save(step + 1, model, optimizer, mistakes.places)
    progress.save(steps, model, optimizer, mistakes.places, force=True)


def _mine(model: SegmentationUNet, pool: list[TrainingScan], mistakes: Mistakes, seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = rng.choice(len(pool), min(MINED_SCANS, len(pool)), replace=False)
    mistakes.places.clear()
    for number in chosen:
        false = find(model, pool[number], 0.4, 5.0).false
        # No scan may fill the list alone.
        for center in rng.permutation(false)[:20]:
            i, r, c = (int(v) for v in np.rint(center))
            mistakes.places.append((int(number), i, r, c))


def _batch(
    rng: np.random.Generator, pool: list[TrainingScan], mistakes: Mistakes
) -> tuple[Tensor, Tensor]:
    """Half nodules, a quarter mistakes (anywhere, until there are some), a quarter anywhere."""
    hu, truth = [], []
    for number in range(BATCH):
        phantom = pool[int(rng.integers(len(pool)))].phantom
        place = np.array([int(rng.integers(n)) for n in phantom.hu.shape])
        if number < BATCH // 2 and phantom.nodules:
            nodule = phantom.nodules[int(rng.integers(len(phantom.nodules)))]
            reach = 0.5 * nodule.diameter_mm / phantom.spacing_mm[2] + 0.5
            place = np.rint(nodule.center_irc).astype(int)
            place[0] += round(rng.uniform(-reach, reach))
        elif number < 3 * BATCH // 4 and mistakes.places:
            chosen, *irc = mistakes.places[int(rng.integers(len(mistakes.places)))]
            phantom, place = pool[chosen].phantom, np.array(irc)
        place[1:] += rng.integers(-PATCH // 3, PATCH // 3 + 1, 2)
        patch, label = _patch(phantom, place)
        patch, label = _augment(rng, patch, label)
        hu.append(patch)
        truth.append(label)
    return torch.from_numpy(np.stack(hu)), torch.from_numpy(np.stack(truth))


def _patch(
    phantom: Phantom, place: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    slices, rows, cols = phantom.hu.shape
    index = int(np.clip(place[0], 0, slices - 1))
    row = int(np.clip(place[1] - PATCH // 2, 0, rows - PATCH))
    col = int(np.clip(place[2] - PATCH // 2, 0, cols - PATCH))
    wanted = np.clip(np.arange(index - CONTEXT, index + CONTEXT + 1), 0, slices - 1)
    patch = phantom.hu[wanted, row : row + PATCH, col : col + PATCH].astype(np.float32)
    label = phantom.labels[index, row : row + PATCH, col : col + PATCH] > 0
    return patch, label[None].astype(np.float32)


def _augment(
    rng: np.random.Generator, patch: NDArray[np.float32], label: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flips, a transposition, another calibration, more noise."""
    for axis in (0, 1, 2):
        if rng.uniform() < 0.5:
            patch = np.flip(patch, axis)
            label = np.flip(label, axis)
    if rng.uniform() < 0.5:
        patch, label = patch.swapaxes(1, 2), label.swapaxes(1, 2)
    patch = patch * np.float32(rng.uniform(0.97, 1.03)) + np.float32(rng.uniform(-20, 20))
    if rng.uniform() < 0.3:
        level = np.float32(rng.uniform(0, 20))
        patch = patch + level * rng.standard_normal(patch.shape, dtype=np.float32)
    return np.clip(patch, *HU_WINDOW), np.ascontiguousarray(label)


def _loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy, and 1 - Dice of each patch with a nodule, so that small ones count."""
    probability = probability.clamp(1e-6, 1 - 1e-6)
    entropy = torch.nn.functional.binary_cross_entropy(probability, truth, weight=1 + 4 * truth)
    overlap = (probability * truth).sum((1, 2, 3))
    total = (probability + truth).sum((1, 2, 3))
    present = truth.sum((1, 2, 3)) > 0
    dice = (2 * overlap + 1) / (total + 1)
    if not bool(present.any()):
        return entropy
    return 5 * entropy + (1 - dice[present]).mean()


def describe(steps: int) -> dict[str, Any]:
    """The settings that belong into the weights' metadata."""
    return {
        "steps": steps,
        "batch": BATCH,
        "patch": PATCH,
        "peak_rate": PEAK_RATE,
        "optimizer": "AdamW",
        "mined_after": [math.floor(share * steps) for share in MINE_AT],
    }
