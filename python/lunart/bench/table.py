"""A report for people on a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from lunart.bench import columns
from lunart.bench.columns import Column
from lunart.bench.figures import Report, Row


def render(report: Report) -> str:
    """What was measured on what, a table of the networks, one of the scan, and what failed."""
    parts = [_heading(report)]
    networks = [row for row in report.rows if row.networks is not None]
    if networks:
        parts.append(
            "Networks: ms a slice and a crop as the pipeline calls them\n"
            + aligned(networks, (*columns.IDENTITY, *columns.NETWORKS))
        )
    scans = [row for row in report.rows if row.scan is not None]
    if scans:
        parts.append(
            "Whole scan: seconds by stage\n" + aligned(scans, (*columns.IDENTITY, *columns.SCAN))
        )
    failed = [f"  {row.name}: {row.error}" for row in report.rows if row.error is not None]
    if failed:
        parts.append("Not measured\n" + "\n".join(failed))
    return "\n\n".join(parts)


def to_csv(report: Report) -> str:
    """One line an engine and precision, with a header; numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.key for column in columns.ALL)
    for row in report.rows:
        values = [column.value(row) for column in columns.ALL]
        writer.writerow("" if value is None else value for value in values)
    return text.getvalue()


def aligned(rows: Iterable[Row], chosen: Sequence[Column]) -> str:
    """Columns under titles of two lines; names to the left, numbers to the right."""
    titles = [("\n" + column.title).split("\n")[-2:] for column in chosen]
    lines = [[upper for upper, _ in titles], [lower for _, lower in titles]]
    lines += [[column.text(row) for column in chosen] for row in rows]
    return grid(lines, left=len(columns.IDENTITY))


def grid(lines: Sequence[Sequence[str]], *, left: int) -> str:
    """Lines of cells in columns, the first ``left`` aligned to the left."""
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _heading(report: Report) -> str:
    machine = report.machine
    peaks = [
        f"{precision} {found['gflops']:.0f} GFLOP/s ({found['instructions']})"
        for precision, found in report.peak.items()
        if found is not None
    ]
    lines = [
        f"{machine.processor}, {report.threads} of {machine.processors} processors, "
        f"{machine.memory_gb:.0f} GB; peak of a multiply-add loop: {', '.join(peaks)}"
    ]
    if report.scan is not None:
        shape = "x".join(str(n) for n in report.scan["shape_irc"])
        share = ""
        if report.segmented_share is not None:
            share = f", {report.segmented_share:.0%} of its voxels segmented"
        lines.append(f"{report.scan['path']}: {shape}, region {report.region}{share}")
    return "\n".join(lines)
