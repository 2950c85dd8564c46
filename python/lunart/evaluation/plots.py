"""A score as pictures: FROC with its interval, ROC, confusion and reliability. PNG, no display."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from lunart.bench.chart import COLOURS, new_figure, png
from lunart.evaluation.confusion import HIT_DIAMETERS, Confusion
from lunart.evaluation.froc import RATES
from lunart.evaluation.roc import curve
from lunart.evaluation.score import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Scores by the bundle's name, the evaluated one first.
Scores = Mapping[str, Score]

_Corner = Literal["lower right", "upper left"]
_WIDTH, _HEIGHT = 6.4, 4.6
_GREY = "#888888"
# Blue, vermilion: told apart by people who see few colours, too.
_INKS = (COLOURS[2], COLOURS[4])
_DARK = 0.6


def pictures(scores: Scores) -> Iterator[tuple[str, bytes]]:
    """File name and content of each picture that the scores have something to show in."""
    if any(score.froc is not None for score in scores.values()):
        yield "froc.png", _picture(scores, _froc, "lower right")
    if any(len(score.candidates.roc[0]) or _rated(score) for score in scores.values()):
        yield "roc.png", _picture(scores, _roc, "lower right")
    if any(score.candidates.reliability for score in scores.values()):
        yield "reliability.png", _picture(scores, _reliability, "upper left")
    yield "confusion.png", _confusions(scores)


def _picture(scores: Scores, draw: Callable[[Axes, Scores], None], where: _Corner) -> bytes:
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.subplots()
    draw(axes, scores)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc=where)
    return png(figure)


def _froc(axes: Axes, scores: Scores) -> None:
    for ink, (name, score) in zip(_INKS, scores.items(), strict=False):
        found = score.froc
        if found is None:
            continue
        grid = np.geomspace(RATES[0], RATES[-1], 400)
        line = np.interp(grid, found.false_positives, found.sensitivity)
        axes.plot(grid, line, color=ink, label=f"{name}, CPM {found.cpm}")
        if found.band is not None:
            band = found.band
            axes.fill_between(band.rates, band.low, band.high, color=ink, alpha=0.15, linewidth=0)
        point = score.operating
        false, sensitivity = point.false_calls_per_scan.value, point.sensitivity.value
        if false is not None and sensitivity is not None:
            text = f"above {point.threshold:g}: {point.found} of {point.nodules}, {false:.2g} false"
            x = float(np.clip(false, RATES[0], RATES[-1]))
            axes.plot(x, sensitivity, "o", color=ink, clip_on=False, label=text)
    axes.set_xscale("log", base=2)
    axes.set_xticks(RATES, ["1/8", "1/4", "1/2", *(f"{rate:g}" for rate in RATES[3:])])
    axes.set_xlim(RATES[0], RATES[-1])
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.25)
    axes.set_xlabel("false positives a scan")
    axes.set_ylabel("nodules found")
    scans = len(next(iter(scores.values())).scans)
    axes.set_title(f"FROC by LUNA16's rule, {scans} scans", fontsize=10)


def _roc(axes: Axes, scores: Scores) -> None:
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
    for ink, (name, score) in zip(_INKS, scores.items(), strict=False):
        report = score.candidates
        if len(report.roc[0]):
            axes.plot(*report.roc, color=ink, label=f"{name}: nodule, AUC {report.auc}")
        malignancy = score.malignancy
        if malignancy is None or not _rated(score):
            continue
        truth = [rating.malignant for rating in malignancy.ratings]
        for style, what, values, area in (
            ("--", "malignant", [r.network for r in malignancy.ratings], malignancy.network),
            (":", "diameter", [r.diameter_mm for r in malignancy.ratings], malignancy.diameter),
        ):
            axes.plot(
                *curve(values, truth),
                color=ink,
                linestyle=style,
                label=f"{name}: {what}, AUC {area}",
            )
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_aspect("equal")
    axes.set_title("ROC of candidates (nodule) and of called nodules (malignant)", fontsize=10)


def _rated(score: Score) -> bool:
    return score.malignancy is not None and score.malignancy.network.value is not None


def _reliability(axes: Axes, scores: Scores) -> None:
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":", label="calibrated")
    for ink, (name, score) in zip(_INKS, scores.items(), strict=False):
        bins = score.candidates.reliability
        if not bins:
            continue
        x = [one.mean_probability for one in bins]
        y = [one.nodules for one in bins]
        axes.plot(x, y, "o-", color=ink, label=f"{name} (how many candidates)")
        for one in bins:
            axes.annotate(
                str(one.candidates), (one.mean_probability, one.nodules), fontsize=7, color=ink,
                xytext=(3, 4), textcoords="offset points",
            )  # fmt: skip
    axes.set_xlabel("mean probability of candidates")
    axes.set_ylabel("share that lies in nodules")
    axes.set_xlim(-0.02, 1.05)
    axes.set_ylim(-0.02, 1.08)
    axes.set_title("Reliability", fontsize=10)


def _confusions(scores: Scores) -> bytes:
    figure = new_figure(_WIDTH * len(scores), 3.4)
    panels = figure.subplots(1, len(scores), squeeze=False)[0]
    for axes, (name, score) in zip(panels, scores.items(), strict=True):
        _confusion(axes, name, score.confusion)
    figure.suptitle(
        f"What became of nodules and of the rest (the book's {HIT_DIAMETERS} diameters)",
        fontsize=10,
    )
    return png(figure)


def _confusion(axes: Axes, name: str, table: Confusion) -> None:
    """Shades are shares of a row: false candidates would drown the nodules otherwise."""
    rows = table.rows
    counts = np.array([[count or 0 for count in row] for row in rows.values()], np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(rows.values()):
        for k, count in enumerate(row):
            if count is not None:
                ink = "white" if shares[i, k] > _DARK else "black"
                axes.text(k, i, str(count), ha="center", va="center", fontsize=9, color=ink)
    axes.set_xticks(range(len(table.columns)), [c.replace(" ", "\n") for c in table.columns])
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(labelsize=8, length=0)
    axes.set_title(name, fontsize=9)
