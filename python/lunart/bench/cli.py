"""``luna-bench``: which engine is fastest here, how large is it, does it find the same nodules."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from lunart import _core
from lunart.bench import outputs, plan, scaling, table
from lunart.bench.figures import Report, Row
from lunart.bench.machine import describe
from lunart.bench.measure import Settings, measure
from lunart.bundle import NODULES, Bundle
from lunart.cli import Parser, run, say
from lunart.errors import EngineError, UsageError

_PROG = "luna-bench"
_DESCRIPTION = """\
Measure every engine of a bundle on this machine, each in a process of its own, against eager
PyTorch and against the book's method (whole slices in batches of four in eager PyTorch, SciPy).

  luna-bench BUNDLE SCAN         networks and a whole scan: time by stage, memory, the same nodules
  luna-bench BUNDLE --networks   the networks alone, on a generated scan of 512x512
  luna-bench BUNDLE --scaling S  cost and memory against slices, candidates or threads
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-bench`` and return its exit code."""
    return run(_PROG, lambda: _run(sys.argv[1:] if argv is None else argv), extra="bench")


def _parser() -> Parser:
    parser = Parser(_PROG, _DESCRIPTION)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the bundle's folder")
    parser.add_argument("scan", metavar="SCAN", type=Path, nargs="?", help="a CT scan (.mhd, .mha)")
    parser.add_argument("--networks", action="store_true", help="without a scan")
    parser.add_argument(
        "--scaling", choices=list(scaling.STUDIES), help="a study instead of the table"
    )
    parser.add_argument("--engines", metavar="A,B", help="only these (default: all that there are)")
    parser.add_argument("--precision", choices=["f32", "bf16"], help="only this (default: both)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all processors")
    parser.add_argument("--region", choices=["lungs", "off"], default="lungs", help="default lungs")
    parser.add_argument(
        "--baseline", choices=["on", "off"], default="on", help="the book's method (default on)"
    )
    parser.add_argument(
        "--repeat", type=int, default=20, metavar="N", help="slices and crops timed (default 20)"
    )
    parser.add_argument(
        "--scan-runs",
        type=int,
        default=1,
        metavar="N",
        help="runs of the scan, of which the fastest counts, the book's too (default 1)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=1800.0,
        metavar="S",
        help="seconds for one measurement (default 1800)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    outputs.add_options(parser)
    return parser


def _run(argv: Sequence[str]) -> None:
    options = _parser().parse_args(argv)
    _check(options)
    outputs.check(options, options.bundle, options.scan)
    bundle = Bundle.open(options.bundle)
    if bundle.task != NODULES:
        raise UsageError(
            f"{options.bundle}: classifies images, and luna-bench measures bundles that find "
            "nodules; luna_infer tells the seconds of each picture"
        )
    settings = Settings(
        bundle=bundle,
        scan=options.scan,
        threads=_core.thread_count(options.threads or 0),
        region=options.region,
        repeat=options.repeat,
        scan_runs=options.scan_runs,
        timeout_s=options.timeout,
    )
    command = shlex.join([_PROG, *map(str, argv)])
    engines = options.engines.split(",") if options.engines is not None else None
    if options.scaling is not None:
        scaling.run(options, settings, engines, command)
        return
    rows = plan.rows(bundle, engines, options.precision, baseline=options.baseline == "on")
    if all(row.error is not None for row in rows):
        raise EngineError(f"nothing can be measured; {rows[0].name}: {rows[0].error}")
    report = _report(settings, rows, command, quiet=options.quiet)
    _deliver(report, options)
    if all(row.networks is None and row.scan is None for row in rows):
        raise EngineError(f"nothing could be measured; {rows[0].name}: {rows[0].error}")


def _check(options: Namespace) -> None:
    if options.scan is None and not options.networks and options.scaling is None:
        raise UsageError("no scan is named; name one, or use --networks (see luna-bench --help)")
    if options.networks and (options.scan is not None or options.scaling is not None):
        raise UsageError("--networks goes with neither a scan nor --scaling")
    if options.scaling is not None and options.csv is not None:
        raise UsageError("--scaling writes --json and --chart, no --csv")
    for name in ("threads", "repeat", "scan_runs", "timeout"):
        value = getattr(options, name)
        if value is not None and not value >= 1:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; expected 1 or more")


def _report(settings: Settings, rows: list[Row], command: str, *, quiet: bool) -> Report:
    from lunart.bench import assemble

    scan = None
    if settings.scan is not None:
        header = _core.read_scan_header(settings.scan)
        scan = {
            "path": str(settings.scan),
            "shape_irc": header.shape_irc,
            "spacing_mm": header.spacing_mm,
        }
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as folder:
        raw = measure(settings, rows, Path(folder), quiet=quiet)
        assemble.fill(rows, raw)
    return Report(
        command=command,
        lunart=_core.__version__,
        machine=describe(),
        bundle={"name": settings.bundle.name, "sha256": settings.bundle.sha256},
        scan=scan,
        threads=settings.threads,
        region=None if scan is None else settings.region,
        repeat=settings.repeat,
        peak=raw.peak,
        segmented_share=assemble.segmented_share(raw),
        rows=rows,
    )


def _deliver(report: Report, options: Namespace) -> None:
    text = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    outputs.deliver(options.json, text)
    outputs.deliver(options.csv, table.to_csv(report))
    if options.chart is not None:
        from lunart.bench import chart

        outputs.deliver(options.chart, chart.render(report))
    if outputs.STANDARD_OUTPUT not in (options.json, options.csv):
        say(table.render(report))


if __name__ == "__main__":
    sys.exit(main())
