"""ROC: how well scores order two classes. For networks, baselines and out-of-fold studies alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lunart.errors import UsageError
from lunart.evaluation.resampling import Bootstrap, Estimate, Groups, estimate


def auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Area under the ROC curve by ranks, ties counted half; NaN where a class is missing.

    Raises ``UsageError`` when the lengths differ or a score is NaN.
    """
    values, positives = _checked(scores, truth)
    order = np.argsort(values, kind="stable")
    _, first, counts = np.unique(values[order], return_index=True, return_counts=True)
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    positive = int(positives.sum())
    negative = len(positives) - positive
    if not positive or not negative:
        return float("nan")
    above = ranks[positives].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def curve(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates of each threshold, from (0, 0) on; equal scores are one step.

    Empty where a class is missing.
    """
    values, positives = _checked(scores, truth)
    if not positives.any() or positives.all():
        return np.empty(0), np.empty(0)
    order = np.argsort(-values, kind="stable")
    ends = step_ends(values[order])
    hits = np.cumsum(positives[order])[ends]
    misses = ends + 1 - hits
    return (
        np.concatenate([[0.0], misses / misses[-1]]),
        np.concatenate([[0.0], hits / hits[-1]]),
    )


def step_ends(ordered: NDArray[np.float64]) -> NDArray[np.int64]:
    """Place of the last of each run of equal values: a threshold cannot part equal scores."""
    if not len(ordered):
        return np.empty(0, np.int64)
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def auc_estimate(
    scores: ArrayLike,
    truth: ArrayLike,
    groups: Groups | None = None,
    bootstrap: Bootstrap | None = None,
) -> Estimate:
    """AUC with an interval; rows of one of the ``groups`` (patients) are drawn together."""
    values, positives = _checked(scores, truth)
    return estimate(
        lambda rows: auc(values[rows], positives[rows]), _groups(groups, len(values)), bootstrap
    )


def auc_difference(
    scores: ArrayLike,
    others: ArrayLike,
    truth: ArrayLike,
    groups: Groups | None = None,
    bootstrap: Bootstrap | None = None,
) -> Estimate:
    """AUC of ``scores`` less that of ``others`` on the same rows, drawn together (paired)."""
    values, positives = _checked(scores, truth)
    baseline, _ = _checked(others, truth)
    return estimate(
        lambda rows: auc(values[rows], positives[rows]) - auc(baseline[rows], positives[rows]),
        _groups(groups, len(values)),
        bootstrap,
    )


def _groups(groups: Groups | None, rows: int) -> Groups:
    if groups is None:
        return range(rows)
    if len(groups) != rows:
        raise UsageError(f"{len(groups)} groups for {rows} scores")
    return groups


def _checked(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.asarray(scores, np.float64)
    positives = np.asarray(truth, np.bool_)
    if values.ndim != 1 or values.shape != positives.shape:
        raise UsageError(f"scores have shape {values.shape}, the truth has {positives.shape}")
    if np.isnan(values).any():
        raise UsageError(f"score {int(np.flatnonzero(np.isnan(values))[0])} is NaN")
    return values, positives
