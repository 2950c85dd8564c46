"""A scaling study as a picture: seconds by stage, and memory."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from lunart.bench.chart import COLOURS, new_figure, png
from lunart.bench.figures import STAGES

if TYPE_CHECKING:
    from lunart.bench.scaling import Study


def render(study: Study) -> bytes:
    """PNG: a panel of times for each engine, then one of memory."""
    groups = [
        (name, list(runs))
        for name, runs in groupby(study.runs, key=lambda r: f"{r.engine} {r.precision}")
    ]
    figure = new_figure(4.6 * (len(groups) + 1), 3.6)
    *times, memory = figure.subplots(1, len(groups) + 1)
    for axes, (name, runs) in zip(times, groups, strict=True):
        x = [run.x for run in runs]
        shown = [stage for stage in STAGES if any(run.seconds[stage] > 0 for run in runs)]
        colours = [COLOURS[STAGES.index(stage)] for stage in shown]
        by_stage = [[run.seconds[stage] for run in runs] for stage in shown]
        axes.stackplot(x, *by_stage, labels=shown, colors=colours, alpha=0.9)
        axes.plot(x, [run.seconds["total"] for run in runs], "k.-", linewidth=0.8, label="total")
        axes.set_title(name, fontsize=9)
        axes.set_ylabel("seconds")
        axes.legend(fontsize=7, frameon=False, loc="upper left")
        memory.plot(x, [run.peak_rss_mb for run in runs], ".-", label=name)
    memory.set_ylabel("peak memory, MB")
    memory.set_title("memory", fontsize=9)
    memory.legend(fontsize=7, frameon=False)
    for axes in (*times, memory):
        axes.set_xlabel(study.study)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    return png(figure)
