"""``luna-dicom``: a result and its DICOM files to a folder of DICOM objects."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lunart.cli import Parser, run, say
from lunart.dicom_out.folder import require_writable
from lunart.dicom_out.uids import checked_root
from lunart.errors import UsageError
from lunart.reading.arguments import add_choices, choices_of

if TYPE_CHECKING:
    from lunart.dicom_out.write import Written

_PROG = "luna-dicom"


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-dicom`` and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="dicom")


def _parser() -> Parser:
    parser = Parser(
        _PROG,
        "Write what luna_infer found as DICOM for the archive that the CT is from:\n"
        "a Segmentation (seg.dcm), a Structured Report after TID 1500 (sr.dcm) and key pictures\n"
        "as Secondary Captures (sc-NNN.dcm). They belong to the CT's study and refer to its\n"
        "images. Patient and study are copied as they are and never printed; de-identified\n"
        "files stay so.\n"
        "This is research software and no medical device.",
    )
    parser.add_argument(
        "result", metavar="RESULT.json", type=Path, help="what luna_infer --json wrote"
    )
    parser.add_argument(
        "scan",
        metavar="SCAN_DIR",
        type=Path,
        help="the CT's DICOM files: a folder or a zip. The result may be of the same scan in "
        "another format, such as .mhd",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="the folder to make; it must be missing or empty",
    )
    add_choices(parser)
    parser.add_argument(
        "--uid-root",
        metavar="ROOT",
        help="make UIDs under the site's own root, such as 1.2.826.0.1.3680043.10.9 "
        "(default: UUIDs under 2.25)",
    )
    parser.add_argument(
        "--date",
        metavar="WHEN",
        help="date and time of the objects, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS; the same command "
        "then writes the same bytes (default: now, with new UIDs in every run)",
    )
    parser.add_argument("--no-pictures", action="store_true", help="no Secondary Captures")
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace OUT when it holds nothing but what luna-dicom wrote",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="what was written as JSON on standard output, progress on standard error",
    )
    return parser


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_args(argv)
    if options.uid_root is not None:
        checked_root(options.uid_root)
    date = None if options.date is None else _date(options.date)
    # Before the scan is read, which takes longest.
    require_writable(options.output, replace=options.force)

    from lunart.dicom_out.scan_files import opened
    from lunart.dicom_out.write import write_dicom
    from lunart.result import Result

    result = Result.load(options.result)
    progress = sys.stderr if options.json else sys.stdout
    say(f"reading {options.scan}", progress)
    files = opened(options.scan, choices_of(options))
    count = len(result.nodules)
    say(f"{files.scan.shape_irc[0]} slices, {count} nodule{'' if count == 1 else 's'}", progress)
    written, warnings = write_dicom(
        result,
        files.scan,
        files.headers,
        options.output,
        is_resampled=files.is_resampled,
        uid_root=options.uid_root,
        date=date,
        pictures=not options.no_pictures,
        replace=options.force,
        done=lambda kind, name: say(f"✓ {name}: {kind}", progress),
    )
    for text in warnings:
        say(f"{_PROG}: warning: {text}", sys.stderr)
    if options.json:
        say(json.dumps(_summary(options, len(result.nodules), written, warnings), indent=2))
    else:
        say(f"{options.output}: {len(written)} objects")


def _summary(
    options: Namespace, nodules: int, written: list[Written], warnings: list[str]
) -> dict[str, object]:
    """Nothing in it is from the source but for names that the user gave."""
    return {
        "output": str(options.output),
        "result": str(options.result),
        "nodules": nodules,
        "objects": [
            {
                "path": str(one.path),
                "kind": one.kind,
                "sop_class_uid": one.sop_class_uid,
                "sop_instance_uid": one.sop_instance_uid,
                "series_instance_uid": one.series_instance_uid,
            }
            for one in written
        ],
        "warnings": warnings,
    }


def _date(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        date = None
    if date is None or date.tzinfo is not None or date.year < 1900:
        raise UsageError(
            f'--date is "{text[:40]}"; it is YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, without a time zone'
        )
    return date
