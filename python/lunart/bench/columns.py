"""The columns of luna-bench's table and CSV: what each is called, and where its number is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lunart.bench.figures import STAGES, ModelFigures, NetworkFigures, Row, ScanFigures


@dataclass(frozen=True)
class Column:
    """``key`` names it in a CSV, ``title`` on a terminal, where ``form`` formats it."""

    key: str
    title: str
    value: Callable[[Row], Any]
    form: str = "{}"

    def text(self, row: Row) -> str:
        value = self.value(row)
        if value is None or value == "":
            return "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        return self.form.format(value)


def _of_model(model: str, read: Callable[[ModelFigures], Any]) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        figures = row.networks.models.get(model) if row.networks else None
        return read(figures) if figures else None

    return value


def _of_networks(read: Callable[[NetworkFigures], Any]) -> Callable[[Row], Any]:
    return lambda row: read(row.networks) if row.networks else None


def _of_scan(read: Callable[[ScanFigures], Any]) -> Callable[[Row], Any]:
    return lambda row: read(row.scan) if row.scan else None


def _stage(name: str) -> Callable[[ScanFigures], float]:
    return lambda scan: scan.seconds[name]


IDENTITY = (
    Column("engine", "engine", lambda row: row.engine),
    Column("precision", "prec", lambda row: row.precision),
)

NETWORKS = (
    Column("artifact_mb", "artifact\nMB", lambda row: row.artifact_mb, "{:.1f}"),
    Column("deployable_mb", "deploy\nMB", lambda row: row.deployable_mb, "{:.0f}"),
    Column("load_ms", "load\nms", _of_networks(lambda n: n.load_ms), "{:.0f}"),
    Column("first_call_ms", "first\nms", _of_networks(lambda n: n.first_call_ms), "{:.0f}"),
    Column("slice_p50_ms", "slice\np50", _of_model("segmentation", lambda m: m.p50_ms), "{:.1f}"),
    Column("slice_p95_ms", "ms\np95", _of_model("segmentation", lambda m: m.p95_ms), "{:.1f}"),
    Column(
        "slice_fraction_of_peak",
        "of\npeak",
        _of_model("segmentation", lambda m: m.fraction_of_peak),
        "{:.0%}",
    ),
    Column("crop_p50_ms", "crop\np50", _of_model("classification", lambda m: m.p50_ms), "{:.2f}"),
    Column("crop_p95_ms", "ms\np95", _of_model("classification", lambda m: m.p95_ms), "{:.2f}"),
    Column(
        "crop_fraction_of_peak",
        "of\npeak",
        _of_model("classification", lambda m: m.fraction_of_peak),
        "{:.0%}",
    ),
    Column("max_abs_error", "max\nerror", _of_networks(lambda n: n.max_abs_error), "{:.0e}"),
    Column("networks_peak_rss_mb", "RSS\nMB", _of_networks(lambda n: n.peak_rss_mb), "{:.0f}"),
)

SCAN = (
    *(
        Column(f"{stage}_s", stage, _of_scan(_stage(stage)), "{:.2f}")
        for stage in STAGES
        if stage != "malignancy"
    ),
    Column("malignancy_s", "rate", _of_scan(_stage("malignancy")), "{:.2f}"),
    Column("total_s", "total\ns", _of_scan(_stage("total")), "{:.2f}"),
    Column("times_baseline", "times\nbook", _of_scan(lambda s: s.times_baseline), "{:.1f}"),
    Column(
        "segment_fraction_of_peak",
        "seg of\npeak",
        _of_scan(lambda s: s.segment_fraction_of_peak),
        "{:.0%}",
    ),
    Column(
        "classify_fraction_of_peak",
        "cls of\npeak",
        _of_scan(lambda s: s.classify_fraction_of_peak),
        "{:.0%}",
    ),
    Column(
        "share_outside_networks",
        "not\nnets",
        _of_scan(lambda s: s.share_outside_networks),
        "{:.0%}",
    ),
    Column("peak_rss_mb", "RSS\nMB", _of_scan(lambda s: s.peak_rss_mb), "{:.0f}"),
    Column("mask_flips", "mask\nflips", _of_scan(lambda s: s.mask_flips)),
    Column("nodules", "nod-\nules", _of_scan(lambda s: s.nodules)),
    Column("nodules_equal", "the\nsame", _of_scan(lambda s: s.nodules_equal)),
)

# For readers of files, not for a terminal.
DETAILS = (
    Column("runs_in", "", lambda row: row.runs_in),
    Column("version", "", lambda row: row.version),
    Column("artifact", "", lambda row: row.artifact),
    Column("via", "", _of_scan(lambda s: s.via)),
    Column("candidates", "", _of_scan(lambda s: s.candidates)),
    Column("dice", "", _of_scan(lambda s: s.dice)),
    Column("max_probability_difference", "", _of_scan(lambda s: s.max_probability_difference)),
    Column("error", "", lambda row: row.error),
)

ALL = (*IDENTITY, *NETWORKS, *SCAN, *DETAILS)
