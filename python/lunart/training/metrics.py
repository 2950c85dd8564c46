"""How well a network did on a validation set, counted over all processes.

``update`` takes what the network answered for a batch, ``compute`` gives numbers by name.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchmetrics import CatMetric, MeanMetric, Metric
from torchmetrics.classification import BinaryStatScores
from torchmetrics.functional import accuracy, auroc, f1_score, precision, recall

from lunart.training.overlay import Shown

#: Of probabilities: trained networks are sure of nodules, and thresholds above 0.9 are common.
BINS = 1000
#: Slices that are shown, and how far they lie apart: neighbours look alike.
SHOWN, _APART = 6, 8
_UNKNOWN = -1


class SegmentationMetrics(nn.Module):
    """Loss of an image, and Dice, recall and precision over the pixels of all images together.

    ``best_dice`` is Dice at the threshold where it is highest, ``best_threshold``: one number for
    what the network can tell, where Dice at a given threshold also says how sure it is of itself.
    A few slices with a nodule are kept to be shown, the same ones each epoch.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        #: Of this process.
        self.shown: list[Shown] = []
        self._seen = 0
        self._loss = MeanMetric()
        self._pixels = BinaryStatScores(threshold, ignore_index=_UNKNOWN, validate_args=False)
        self._bins = _Histogram()

    def update(self, probability: Tensor, batch: Mapping[str, Tensor], loss: Tensor) -> None:
        """``loss`` is the batch's mean; pixels of ``weight`` 0 do not count."""
        probability = probability.float()
        self._loss.update(loss, len(probability))
        truth = batch["mask"].to(torch.int64)
        known = (
            batch["weight"] > 0 if "weight" in batch else torch.ones_like(truth, dtype=torch.bool)
        )
        self._pixels.update(probability, truth.masked_fill(~known, _UNKNOWN))
        self._bins.update(probability[known], truth[known])
        self._show(probability, batch)

    def compute(self) -> dict[str, float]:
        """What is not defined, for lack of nodules, is 0."""
        hits, false, _, missed, _ = self._pixels.compute().tolist()
        best_dice, best_threshold = _best(self._bins.compute())
        return {
            "loss": float(self._loss.compute()),
            "dice": 2 * hits / max(1, 2 * hits + false + missed),
            "recall": hits / max(1, hits + missed),
            "precision": hits / max(1, hits + false),
            "best_dice": best_dice,
            "best_threshold": best_threshold,
        }

    def histograms(self) -> Tensor:
        """``(2, BINS)``: how many pixels outside and in nodules got which probability."""
        counts: Tensor = self._bins.compute()
        return counts.cpu()

    def reset(self) -> None:
        self.shown, self._seen = [], 0
        for metric in (self._loss, self._pixels, self._bins):
            metric.reset()

    def _show(self, probability: Tensor, batch: Mapping[str, Tensor]) -> None:
        for number in range(len(probability)):
            if self._seen <= 0 and len(self.shown) < SHOWN and bool(batch["mask"][number].any()):
                middle = batch["hu"].shape[1] // 2
                planes = (
                    batch["hu"][number, middle],
                    batch["mask"][number, 0],
                    probability[number, 0],
                )
                self.shown.append(Shown(*(plane.cpu() for plane in planes)))
                self._seen = _APART
            self._seen -= 1


class ClassificationMetrics(nn.Module):
    """Loss, AUC, F1, recall, precision and accuracy.

    Of two classes the second is the positive one; of more, AUC, F1, recall and precision are means
    over the classes, each against the rest.
    """

    def __init__(self) -> None:
        super().__init__()
        self._loss = MeanMetric()
        self._probability, self._label = CatMetric(), CatMetric()

    def update(self, logits: Tensor, batch: Mapping[str, Tensor], loss: Tensor) -> None:
        """``loss`` is the batch's mean."""
        self._loss.update(loss, len(logits))
        self._probability.update(logits.float().softmax(1))
        self._label.update(batch["label"])

    def compute(self) -> dict[str, float]:
        """AUC is absent when a class is."""
        probability, label = self.scores()
        classes = probability.shape[1]
        called = probability.argmax(1)
        values = {"loss": float(self._loss.compute())}
        if len(label.bincount().nonzero()) == classes:
            values["auc"] = _area(probability, label)
        for name, measure in (("f1", f1_score), ("recall", recall), ("precision", precision)):
            if classes == 2:
                values[name] = float(measure(called, label, task="binary"))
            else:
                one = measure(
                    called, label, task="multiclass", num_classes=classes, average="macro"
                )
                values[name] = float(one)
        same = accuracy(called, label, task="multiclass", num_classes=classes, average="micro")
        values["accuracy"] = float(same)
        return values

    def scores(self) -> tuple[Tensor, Tensor]:
        """Probabilities ``(samples, classes)`` and labels ``(samples,)`` int64 of all processes."""
        return self._probability.compute(), self._label.compute().to(torch.int64)

    def reset(self) -> None:
        for metric in (self._loss, self._probability, self._label):
            metric.reset()


def _best(counts: Tensor) -> tuple[float, float]:
    """The highest Dice, and its threshold, of a histogram ``(2, BINS)`` of truth 0 and 1."""
    # How many lie in each bin or above; the first bin's lower end is no threshold.
    false, hits = counts.double().flip(1).cumsum(1).flip(1)
    dice = (2 * hits / (hits + false + counts[1].sum()).clamp(min=1))[1:]
    best = int(dice.argmax())
    return (float(dice[best]), (best + 1) / BINS) if dice[best] > 0 else (0.0, 0.5)


def _area(probability: Tensor, label: Tensor) -> float:
    classes = probability.shape[1]
    if classes == 2:
        area = auroc(probability[:, 1], label, task="binary")
    else:
        area = auroc(probability, label, task="multiclass", num_classes=classes)
    assert area is not None
    return float(area)


class _Histogram(Metric):
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(2, BINS, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, probability: Tensor, truth: Tensor) -> None:
        place = (probability * BINS).long().clamp(0, BINS - 1) + BINS * truth
        self.counts += torch.bincount(place, minlength=2 * BINS).reshape(2, BINS)

    def compute(self) -> Tensor:
        return self.counts
