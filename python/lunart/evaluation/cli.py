"""``luna-evaluate``: how good a bundle, or a list of candidates, is on scans with expert truth."""

from __future__ import annotations

import json
import math
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lunart.cli import Parser, run, say
from lunart.data.masks import READERS
from lunart.data.split import PARTS
from lunart.errors import OutputError, UsageError
from lunart.evaluation.evaluate import of_bundles, of_submission
from lunart.evaluation.gather import Wanted
from lunart.evaluation.infer import Setting
from lunart.evaluation.label_cases import LabelledScan
from lunart.evaluation.report import Report, write_json, write_pictures
from lunart.evaluation.resampling import Bootstrap
from lunart.evaluation.score import MARKS, Rules

_PROG = "luna-evaluate"
_USAGE = f"{_PROG} [options] BUNDLE [DIR]\n       {_PROG} [options] --candidates FILE DIR"
_DESCRIPTION = """\
Measure a bundle on scans with expert truth: FROC and CPM by LUNA16's rule, the book's confusion
table, masks, and malignancy beside the diameter, with bootstrap intervals.

  luna-evaluate BUNDLE DIR --split split.json          scans in LUNA16's layout
  luna-evaluate BUNDLE --scan CT.nrrd --label L.nrrd   a scan with an expert's label volume
  luna-evaluate BUNDLE DIR --against OTHER --against-region off
                                                       two bundles on the same scans
  luna-evaluate --candidates submission.csv DIR        a list of candidates, no inference
"""
_STDOUT = Path("-")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-evaluate`` and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="evaluate")


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_intermixed_args(argv)
    _check_outputs(options)
    rules = Rules(
        bootstrap=Bootstrap(resamples=options.bootstrap, seed=options.seed), marks=options.marks
    )
    report = (_of_bundles if options.candidates is None else _of_submission)(options, rules)
    report.print(sys.stderr if options.json == _STDOUT else sys.stdout)
    if options.json == _STDOUT:
        say(json.dumps(report.to_json(), indent=1, allow_nan=False))
    elif options.json is not None:
        write_json(report, options.json)
    if options.plots is not None:
        for path in write_pictures(report, options.plots):
            say(f"{_PROG}: {path}", sys.stderr)


def _parser() -> Parser:
    parser = Parser(_PROG, _DESCRIPTION)
    parser.usage = _USAGE
    parser.add_argument(
        "paths", metavar="BUNDLE DIR", nargs="*", type=Path,
        help="a bundle; a folder in LUNA16's layout",
    )  # fmt: skip
    what = parser.add_argument_group("what is evaluated")
    what.add_argument(
        "--split", metavar="FILE", type=Path,
        help="a part of this split (default: every scan in DIR)",
    )  # fmt: skip
    what.add_argument("--part", choices=(*PARTS, "all"), help="(default: validation)")
    what.add_argument(
        "--series", metavar="FILE", type=Path, help="the series that this file lists, one a line"
    )
    what.add_argument(
        "--scan", metavar="FILE", type=Path, action="append", default=[],
        help="a scan whose truth is the --label after it (repeatable, also beside DIR)",
    )  # fmt: skip
    what.add_argument(
        "--label", metavar="FILE", type=Path, action="append", default=[],
        help="a label volume: each component is a nodule",
    )  # fmt: skip
    what.add_argument(
        "--candidates", metavar="FILE", type=Path,
        help="candidates in LUNA16's submission form, in place of a bundle",
    )  # fmt: skip
    what.add_argument(
        "--threshold", metavar="P", type=_number,
        help="above it one of --candidates is a call (default: 0.5; a bundle has its own)",
    )  # fmt: skip
    what.add_argument("--against", metavar="BUNDLE", type=Path, help="a bundle to compare with")
    _add_running(parser)
    _add_measuring(parser)
    return parser


def _add_running(parser: Parser) -> None:
    how = parser.add_argument_group("how a bundle is run")
    how.add_argument(
        "--engine", default="auto", help="one of lunart.engines(), or eager (default: auto)"
    )
    how.add_argument(
        "--region", choices=("lungs", "off"), default="lungs",
        help="off: whole slices, as the book (default: lungs)",
    )  # fmt: skip
    how.add_argument(
        "--against-region", choices=("lungs", "off"), help="of --against (default: as --region)"
    )
    how.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="(default: f32)")
    how.add_argument("--threads", metavar="N", type=_count, help="(default: every processor)")
    how.add_argument(
        "--results", metavar="DIR", type=Path,
        help="keep what is found in each scan: a rerun infers only what has changed",
    )  # fmt: skip


def _add_measuring(parser: Parser) -> None:
    how = parser.add_argument_group("how it is measured")
    how.add_argument(
        "--readers", metavar="N", type=_count, default=READERS,
        help="votes that make a voxel nodule (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--least-diameter", metavar="MM", type=_number, default=0.0,
        help="smaller nodules count neither as missed nor as false (default: all count)",
    )  # fmt: skip
    how.add_argument(
        "--marks", metavar="N", type=_marks, default=MARKS,
        help="most suspicious candidates of a scan that enter the FROC, or 'all' "
        "(default: %(default)s, as LUNA16's script)",
    )  # fmt: skip
    how.add_argument(
        "--bootstrap", metavar="N", type=_whole, default=1000,
        help="resamples of an interval, 0 for none (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--seed",
        metavar="N",
        type=_whole,
        default=1,
        help="of the resamples (default: %(default)s)",
    )
    how.add_argument(
        "--json", metavar="FILE", type=Path, help="the report as JSON; - for standard output"
    )
    how.add_argument(
        "--plots", metavar="DIR", type=Path, help="FROC, ROC, reliability and confusion as PNG"
    )


def _of_submission(options: Namespace, rules: Rules) -> Report:
    if len(options.paths) != 1:
        raise UsageError(f"--candidates takes DIR alone; {len(options.paths)} paths are given")
    for name in ("scan", "label", "against", "against_region", "threads", "results"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} is for bundles, not for --candidates")
    threshold = 0.5 if options.threshold is None else options.threshold
    return of_submission(options.candidates, threshold, _wanted(options, options.paths[0]), rules)


def _of_bundles(options: Namespace, rules: Rules) -> Report:
    if len(options.paths) not in (1, 2):
        raise UsageError(f"expected BUNDLE [DIR]; {len(options.paths)} paths are given")
    if options.threshold is not None:
        raise UsageError("--threshold is for --candidates; a bundle has its own")
    if options.against_region is not None and options.against is None:
        raise UsageError("--against-region needs --against")
    bundle, *roots = options.paths
    if not roots and not options.scan:
        raise UsageError("nothing to evaluate on: give DIR, or --scan and --label")
    setting = Setting(
        bundle=bundle,
        engine=options.engine,
        region=options.region,
        precision=options.precision,
        threads=options.threads,
        progress="bar",
    )
    settings = [setting]
    if options.against is not None:
        region = options.against_region or options.region
        settings.append(replace(setting, bundle=options.against, region=region))
    wanted = _wanted(options, roots[0] if roots else None)
    return of_bundles(settings, wanted, rules, options.results)


def _wanted(options: Namespace, root: Path | None) -> Wanted:
    if len(options.scan) != len(options.label):
        raise UsageError(
            f"{len(options.scan)} --scan and {len(options.label)} --label; each scan needs its own"
        )
    if options.split is not None and options.series is not None:
        raise UsageError("--split and --series both say which series; give one of them")
    if options.part is not None and options.split is None:
        raise UsageError("--part is one of --split; give the split's file")
    if root is None and (options.split is not None or options.series is not None):
        raise UsageError("--split and --series choose from DIR, which is not given")
    return Wanted(
        root=root,
        split=options.split,
        part=options.part or PARTS[1],
        series=options.series,
        labelled=tuple(map(LabelledScan, options.scan, options.label)),
        readers=options.readers,
        least_diameter_mm=options.least_diameter,
    )


def _check_outputs(options: Namespace) -> None:
    """What would fail after hours of inference fails now."""
    if options.json not in (None, _STDOUT) and not options.json.parent.is_dir():
        raise OutputError(f"{options.json}: no such folder: {options.json.parent}")
    if options.plots is not None:
        import matplotlib  # noqa: F401

        if options.plots.exists() and not options.plots.is_dir():
            raise OutputError(f"{options.plots}: is a file; --plots takes a folder")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r}: expected a number")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r}: expected a whole number, 0 or more")
    return int(text)


def _count(text: str) -> int:
    count = _whole(text)
    if not count:
        raise ArgumentTypeError("0: expected 1 or more")
    return count


def _marks(text: str) -> int | None:
    return None if text == "all" else _count(text)


if __name__ == "__main__":
    sys.exit(main())
