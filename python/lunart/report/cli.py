"""``luna-report``: a result and its scan as one HTML file, or one picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.errors import OutputError, UsageError
from lunart.reading.arguments import add_choices, choices_of
from lunart.result import Result, load_results, require_same_scan

_PROG = "luna-report"
_DESCRIPTION = """\
Make a report of what luna_infer found in a scan: one HTML file that needs no network.

  luna_infer scan.mhd --json result.json
  luna-report result.json scan.mhd -o report.html

It shows patients: keep it where the scan may be kept."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="report")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, _DESCRIPTION)
    parser.add_argument("result", type=Path, help="what luna_infer --json wrote")
    parser.add_argument(
        "scan",
        type=Path,
        help="the scan it was run on: MetaImage, NRRD, NIfTI, DICOM folder or zip",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="HTML", help="the report to write")
    parser.add_argument("--preview", type=Path, metavar="PNG", help="a picture that sums it up")
    add_choices(parser)
    options = parser.parse_args(argv)
    outputs = [path for path in (options.output, options.preview) if path is not None]
    for path, ends in ((options.output, (".html", ".htm")), (options.preview, (".png",))):
        if path is not None and path.suffix.lower() not in ends:
            raise UsageError(f"{path} is to be {ends[0][1:].upper()}: name it {ends[0]}")
    _check(outputs, options.result, options.scan)

    from lunart.reading.scan import read
    from lunart.report.contents import MOST_PICTURES, contents_of, drawn
    from lunart.report.drawing import png
    from lunart.report.page import render
    from lunart.report.preview import MOST_ROWS, PLANE_PIXELS, preview

    results = load_results(options.result)
    scan = read(options.scan, choices_of(options))
    result = _of_scan(results, scan, options.result)
    it = contents_of(result, scan)
    if options.output is not None:
        whole = drawn(it, scan)
        _core.write_file_atomically(options.output, render(whole))
        left = len(it.nodules) - MOST_PICTURES
        few = f", the last {left} without pictures" if left > 0 else ""
        say(f"{options.output}: nodules: {len(it.nodules)}{few}")
    if options.preview is not None:
        small = drawn(it, scan, pixels=PLANE_PIXELS, most=MOST_ROWS)
        _core.write_file_atomically(options.preview, png(preview(small)))
        say(f"{options.preview}: a picture that sums the report up")


def _check(outputs: Sequence[Path], result: Path, scan: Path) -> None:
    """Refuse outputs that would replace an input, before any work."""
    if not outputs:
        raise UsageError("nothing to write: give -o report.html, --preview picture.png, or both")
    for path in outputs:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; name a file in it")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: the folder {path.parent} does not exist")
        if path.exists() and any(
            other.exists() and path.samefile(other) for other in (result, scan)
        ):
            raise UsageError(f"{path} is an input; the report would replace it")


def _of_scan(results: Sequence[Result], scan: _core.Scan, path: Path) -> Result:
    """The result that belongs to the scan, of a file that may hold those of many scans."""
    errors = []
    for result in results:
        try:
            require_same_scan(result, scan)
        except UsageError as error:
            errors.append(error)
        else:
            return result
    if len(errors) == 1:
        raise errors[0]
    raise UsageError(f"{path}: none of its {len(errors)} results belongs to the scan: {errors[0]}")


if __name__ == "__main__":
    sys.exit(main())
