"""A report as a picture: milliseconds a slice and a crop, and a scan's seconds by stage."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from lunart.bench.figures import STAGES, Report, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by people who see few colours, too (Okabe and Ito).
COLOURS = ("#56B4E9", "#009E73", "#0072B2", "#E69F00", "#D55E00", "#CC79A7")
_DPI = 110
_VISIBLE_S = 0.005


def render(report: Report) -> bytes:
    """PNG. Rows without figures are left out."""
    networks = [row for row in report.rows if row.networks is not None]
    scans = [row for row in report.rows if row.scan is not None]
    panels = 1 + bool(scans)
    height = 1.8 + 0.42 * max(len(networks), len(scans), 2)
    figure = new_figure(6.0 * panels, height)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_networks(axes[0], networks)
    if scans:
        _draw_scans(axes[1], scans)
    figure.suptitle(_title(report), fontsize=9, x=0.01, ha="left")
    return png(figure)


def new_figure(width: float, height: float) -> Figure:
    """A figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _draw_networks(axes: Axes, rows: list[Row]) -> None:
    """A slice and a crop of each engine, side by side; the line ends at the 95th percentile."""
    kinds = (("segmentation", "slice"), ("classification", "crop"))
    for k, (model, what) in enumerate(kinds):
        places, p50, above = [], [], []
        for place, row in enumerate(rows):
            figures = row.networks.models.get(model) if row.networks else None
            if figures is None:
                continue
            places.append(place + (k - 0.5) * 0.38)
            p50.append(figures.p50_ms)
            above.append(max(0.0, figures.p95_ms - figures.p50_ms))
        bars = axes.barh(
            places,
            p50,
            height=0.36,
            color=COLOURS[2 if k == 0 else 3],
            label=f"ms a {what} (median, 95 %)",
            xerr=[[0.0] * len(above), above],
            error_kw={"elinewidth": 0.8, "ecolor": "#555555"},
        )
        labels = [f" {value:.3g}" for value in p50]
        axes.bar_label(bars, labels, fontsize=7, padding=2)
    _name_rows(axes, rows)
    axes.set_xlabel("milliseconds")


def _draw_scans(axes: Axes, rows: list[Row]) -> None:
    left = [0.0] * len(rows)
    for stage, colour in zip(STAGES, COLOURS, strict=True):
        seconds = [row.scan.seconds[stage] if row.scan else 0.0 for row in rows]
        if max(seconds) < _VISIBLE_S:
            continue
        axes.barh(range(len(rows)), seconds, left=left, height=0.7, color=colour, label=stage)
        left = [a + b for a, b in zip(left, seconds, strict=True)]
    for place, row in enumerate(rows):
        if row.scan is not None:
            ratio = row.scan.times_baseline
            text = f" {left[place]:.1f} s" + (f", {ratio:.1f}x" if ratio else "")
            axes.text(left[place], place, text, va="center", fontsize=7)
    _name_rows(axes, rows)
    axes.set_xlabel("seconds for the whole scan")


def _name_rows(axes: Any, rows: list[Row]) -> None:
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.22 * axes.get_xlim()[1])  # room for the numbers
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(STAGES)
    )


def _title(report: Report) -> str:
    title = f"{report.machine.processor}, {report.threads} threads"
    if report.scan is not None:
        shape = "x".join(str(n) for n in report.scan["shape_irc"])
        title += f"; {shape}, region {report.region}"
    return title
