"""The receiver operating characteristic as a figure."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_roc


def roc_figure(probability: Tensor, label: Tensor) -> Figure | None:
    """A curve for each class against the rest (of two classes for the second); None without both.

    ``probability`` is ``(samples, classes)``, ``label`` int64 ``(samples,)``.
    """
    classes = probability.shape[1]
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    drawn = False
    for one in range(classes) if classes > 2 else (1,):
        truth = (label == one).long()
        if not 0 < int(truth.sum()) < len(truth):
            continue
        false, true, _ = binary_roc(probability[:, one], truth)
        area = float(binary_auroc(probability[:, one], truth))
        axes.plot(false.numpy(), true.numpy(), label=f"class {one}: AUC {area:.3f}")
        drawn = True
    if not drawn:
        return None
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.legend(loc="lower right")
    return figure
