"""Scores of image classifiers as pictures: confusion, and examples of what was seen. PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lunart.bench.chart import new_figure, png
from lunart.evaluation.images.score import Score

_COLUMNS = 10
_SIDE = 1.15
_DARK = 0.6


def pictures(scores: Sequence[Score], seed: int) -> Iterator[tuple[str, bytes]]:
    """File name and content: two pictures for each score."""
    for score in scores:
        yield f"{score.name}-confusion.png", confusion(score)
        yield f"{score.name}-examples.png", examples(score, seed)


def confusion(score: Score) -> bytes:
    """Counts, shaded by their share of a row."""
    counts, classes = score.confusion, score.pictures.classes
    side = 1.8 + 0.52 * max(len(classes), 4)
    figure = new_figure(side, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        ink = "white" if shares[row, column] > _DARK else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink)
    axes.set_xticks(range(len(classes)), classes, rotation=45 if len(classes) > 2 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("called")
    axes.set_ylabel("is")
    axes.set_title(f"{score.name}\naccuracy {score.accuracy}", fontsize=9)
    return png(figure)


def examples(score: Score, seed: int) -> bytes:
    """A row drawn by chance, and two rows of mistakes, the surest first; each with its call."""
    count = min(_COLUMNS, len(score.called))
    drawn = np.random.default_rng(seed).choice(len(score.called), count, replace=False)
    rows = [drawn, *np.split(surest_mistakes(score, 2 * _COLUMNS), [_COLUMNS])]
    figure = new_figure(_SIDE * _COLUMNS, 0.6 + (_SIDE + 0.4) * len(rows))
    panels = figure.subplots(len(rows), _COLUMNS)
    for axes in panels.flat:
        axes.set_axis_off()
    for line, places in zip(panels, rows, strict=True):
        for axes, place in zip(line, places.tolist(), strict=False):
            axes.imshow(score.pictures.rgb[place], interpolation="nearest")
            axes.set_title(_call(score, place), fontsize=6.5)
    figure.suptitle(
        f"{score.name}: calls of pictures drawn by chance (first row), and its surest mistakes",
        fontsize=9,
    )
    return png(figure)


def surest_mistakes(score: Score, count: int) -> NDArray[np.int64]:
    """Places of wrong calls by falling probability of what was called."""
    wrong = np.flatnonzero(score.called != score.pictures.label)
    sureness = score.probability[wrong, score.called[wrong]]
    return wrong[np.argsort(-sureness, kind="stable")][:count]


def _call(score: Score, place: int) -> str:
    called, label = int(score.called[place]), int(score.pictures.label[place])
    name = score.pictures.classes[called]
    truth = "" if called == label else f"\nis {score.pictures.classes[label]}"
    return f"{name} {score.probability[place, called]:.2f}{truth}"
