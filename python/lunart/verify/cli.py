"""``luna-verify``: every artifact of a bundle against eager PyTorch, and a scan's nodules."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lunart import _core
from lunart.bundle import IMAGES, NODULES, Bundle
from lunart.cli import Parser, run, say
from lunart.errors import CheckError, UsageError
from lunart.reading.scan import is_meta_image, read_scan

if TYPE_CHECKING:
    from lunart.export.compare import Check

_PROG = "luna-verify"


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-verify`` and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="export")


def _parser() -> Parser:
    parser = Parser(
        _PROG,
        "Prove a bundle again: its golden vectors, every artifact against eager PyTorch, and with\n"
        "a scan the nodules of every engine, naming the first stage that differs; with pictures,\n"
        "what they show.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the bundle's folder")
    parser.add_argument(
        "inputs",
        metavar="SCAN|PICTURE",
        type=Path,
        nargs="*",
        help="a CT scan (.mhd, .mha, .nrrd, .nii, a DICOM folder, zip or file), or pictures "
        "(.png, .jpg) for a bundle that classifies images",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads for the scan or pictures (default: all processors)",
    )
    parser.add_argument(
        "--precision",
        choices=("f32", "bf16"),
        default="f32",
        help="of the engines that run the scan or pictures; bf16 leaves out those that have it not "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="JSON on standard output, tick lines on standard error"
    )
    return parser


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_args(argv)
    ticks = sys.stderr if options.json else sys.stdout
    checks: list[Check] = []
    bundle = Bundle.open(options.bundle)
    _look_at(bundle, options.inputs)
    try:
        for check in _checks(bundle, options):
            checks.append(check)
            say(check.line, ticks)
    finally:
        if options.json and checks:
            _print_json(bundle, checks)
    wrong = [check for check in checks if not check.passed]
    if wrong:
        raise CheckError(
            f"{len(wrong)} of {len(checks)} checks failed, the first to diverge: {wrong[0].line}"
        )
    say(f"{len(checks)} checks passed", ticks)


def _look_at(bundle: Bundle, inputs: Sequence[Path]) -> None:
    """Before what takes long: an input that is not there, broken, or for another task."""
    if bundle.task == NODULES and len(inputs) > 1:
        raise UsageError(f"{bundle.path} finds nodules: one scan, not {len(inputs)}")
    for path in inputs:
        if bundle.task == IMAGES:
            _core.read_image(path)
        elif is_meta_image(path):
            _core.read_scan_header(path)
        else:
            read_scan(path)


def _checks(bundle: Bundle, options: Namespace) -> Iterator[Check]:
    from lunart.export.verify_artifacts import verify_bundle
    from lunart.verify.nodules import verify_scan
    from lunart.verify.pictures import verify_pictures

    yield from verify_bundle(bundle)
    how = {"threads": options.threads, "precision": options.precision}
    if bundle.task == IMAGES and options.inputs:
        yield from verify_pictures(bundle, options.inputs, **how)
    elif options.inputs:
        yield from verify_scan(bundle, options.inputs[0], **how)


def _print_json(bundle: Bundle, checks: list[Check]) -> None:
    report = {
        "bundle": str(bundle.path),
        "manifest_sha256": bundle.sha256,
        "passed": all(check.passed for check in checks),
        "checks": [check.to_json() for check in checks],
    }
    say(json.dumps(report, indent=2, sort_keys=True, allow_nan=False))


if __name__ == "__main__":
    sys.exit(main())
