"""What a network is trained for: its loss, its metrics, and which of two epochs was the better.

Segmentation: the higher Dice over all validation pixels, each epoch at the threshold that suits it,
then the lower loss. Classification: the higher AUC, then the lower loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from lunart.training.augment import Augmentation, augment_batch
from lunart.training.losses import CrossEntropy, MixedLoss, SegmentationLoss, described
from lunart.training.metrics import ClassificationMetrics, SegmentationMetrics

_EVEN = 0.5
Batch = Mapping[str, Tensor]
Metrics = SegmentationMetrics | ClassificationMetrics


class Task(Protocol):
    """What the loop asks."""

    @property
    def input(self) -> str:
        """The name of the network's input in a sample."""

    def augmented(self, batch: Batch, generator: Generator) -> Batch:
        """A training batch as it is learnt from, on its device."""

    def loss(self, answer: Tensor, batch: Batch) -> Tensor:
        """The batch's mean loss; ``answer`` is the network's first output."""

    def metrics(self) -> Metrics:
        """Fresh metrics."""

    def rank(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """To be compared with another epoch's: the higher is better."""

    def chosen(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Settings of the pipeline that an epoch's validation chooses."""

    def described(self) -> dict[str, Any]:
        """As plain settings, for the record."""


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Samples ``hu``, ``mask`` and perhaps ``weight``, which is 0 where the truth is unknown.

    ``threshold`` None: the weights get the one at which Dice is highest.
    """

    loss_of: SegmentationLoss = field(default_factory=MixedLoss)
    threshold: float | None = None
    augmentation: Augmentation | None = None
    input: str = "hu"

    def augmented(self, batch: Batch, generator: Generator) -> Batch:
        if self.augmentation is None:
            return batch
        # What is known moves along with the mask.
        names = [name for name in ("mask", "weight") if name in batch]
        hu, planes = augment_batch(
            batch["hu"],
            torch.cat([batch[name] for name in names], 1),
            generator,
            settings=self.augmentation,
        )
        return {"hu": hu, **dict(zip(names, torch.split(planes, 1, 1), strict=True))}

    def loss(self, answer: Tensor, batch: Batch) -> Tensor:
        return self.loss_of(answer, batch["mask"], batch.get("weight"))

    def metrics(self) -> SegmentationMetrics:
        return SegmentationMetrics(_EVEN if self.threshold is None else self.threshold)

    def rank(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        return metrics["best_dice"], -metrics["loss"]

    def chosen(self, metrics: Mapping[str, float]) -> dict[str, float]:
        own = metrics["best_threshold"] if self.threshold is None else self.threshold
        return {"segmentation_threshold": own}

    def described(self) -> dict[str, Any]:
        augmentation = None if self.augmentation is None else asdict(self.augmentation)
        return {
            "name": "segmentation",
            "loss": described(self.loss_of),
            "threshold": self.threshold,
            "augmentation": augmentation,
        }


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Samples ``hu`` or ``image``, and ``label``; their source augments them."""

    loss_of: CrossEntropy = field(default_factory=CrossEntropy)
    input: str = "hu"

    def augmented(self, batch: Batch, generator: Generator) -> Batch:
        return batch

    def loss(self, answer: Tensor, batch: Batch) -> Tensor:
        return self.loss_of(answer, batch["label"])

    def metrics(self) -> ClassificationMetrics:
        return ClassificationMetrics()

    def rank(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        return metrics.get("auc", 0.0), -metrics["loss"]

    def chosen(self, metrics: Mapping[str, float]) -> dict[str, float]:
        return {}

    def described(self) -> dict[str, Any]:
        return {"name": "classification", "loss": described(self.loss_of)}
