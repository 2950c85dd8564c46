"""Losses: Dice with the book's recall-weighted term, a mix with cross entropy, and cross entropy.

Segmentation losses take probability and truth, both ``(batch, 1, rows, cols)``, and perhaps a
weight of the same shape, 0 where the truth is unknown and nothing is learnt, else 1. Classification
losses take logits ``(batch, classes)`` and labels ``(batch,)`` int64. All are computed in float32
whatever the network computed in, and return a scalar.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# One pixel's worth, as in the book: an empty truth met by an empty answer costs nothing.
_SMOOTH = 1.0
_IMAGE_AXES = (1, 2, 3)


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice of each image, ``(batch,)`` (Deep Learning with PyTorch, chapter 13)."""
    overlap = (probability * truth).sum(_IMAGE_AXES)
    total = probability.sum(_IMAGE_AXES) + truth.sum(_IMAGE_AXES)
    return 1 - (2 * overlap + _SMOOTH) / (total + _SMOOTH)


def recall_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Dice where only pixels of the truth count: false negatives alone, ``(batch,)`` (book)."""
    return dice_loss(probability * truth, truth)


@dataclass(frozen=True, kw_only=True)
class RecallWeightedDice:
    """``dice(p, y) + recall_weight * dice(p * y, y)``: the book's loss at its weight of 8."""

    recall_weight: float = 8.0

    def __call__(self, probability: Tensor, truth: Tensor, known: Tensor | None = None) -> Tensor:
        probability, truth = _known(probability.float(), truth.float(), known)
        every = dice_loss(probability, truth)
        return every.mean() + self.recall_weight * recall_loss(probability, truth).mean()


@dataclass(frozen=True, kw_only=True)
class MixedLoss:
    """Cross entropy of every pixel, and Dice apart for images with and without a nodule.

    The Dice of empty images is small on purpose: one false pixel there is a loss of one half.
    """

    entropy_weight: float = 5.0
    positive_weight: float = 2.0
    dice_weight: float = 1.0
    recall_weight: float = 3.0
    empty_weight: float = 0.15

    def __call__(self, probability: Tensor, truth: Tensor, known: Tensor | None = None) -> Tensor:
        probability, truth = _known(probability.float(), truth.float(), known)
        weight = 1 + (self.positive_weight - 1) * truth
        # Not allowed under autocast, which is for the network alone.
        with torch.autocast(probability.device.type, enabled=False):
            # 0 where unknown: a probability of 0 for a truth of 0.
            entropy = functional.binary_cross_entropy(
                probability, truth, weight=weight, reduction="sum"
            )
        entropy = entropy / (truth.numel() if known is None else known.sum().clamp(min=1))
        dice, recall = dice_loss(probability, truth), recall_loss(probability, truth)
        present = (truth.sum(_IMAGE_AXES) > 0).float()
        return (
            self.entropy_weight * entropy
            + self.dice_weight * _mean_of(dice, present)
            + self.recall_weight * _mean_of(recall, present)
            + self.empty_weight * _mean_of(dice, 1 - present)
        )


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """Cross entropy with label smoothing (Szegedy et al. 2016, arXiv:1512.00567)."""

    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, label: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float(), label, label_smoothing=self.label_smoothing)


SegmentationLoss = RecallWeightedDice | MixedLoss


def described(loss: SegmentationLoss | CrossEntropy) -> dict[str, Any]:
    """The loss as plain settings, for checkpoints."""
    return {"name": type(loss).__name__, **asdict(loss)}


def _known(probability: Tensor, truth: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """Where the truth is unknown there is no nodule and none is seen."""
    if known is None:
        return probability, truth
    return probability * known, truth * known


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen (1) images, 0 where there are none; no branch on the data."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
