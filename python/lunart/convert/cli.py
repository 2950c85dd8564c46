"""``luna-convert RESULT.json... -o OUT``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lunart.cli import Parser, run, say
from lunart.convert.formats import convert, format_of
from lunart.errors import UsageError
from lunart.result import Result, load_results

_PROG = "luna-convert"
_DESCRIPTION = """\
Write stored results (luna_infer --json) in the format that the output's name ends in:

  .csv        LUNA16's submission form; several results in one table
  .jsonl      JSON Lines, one result a line; several results in one file
  .mrk.json   points for 3D Slicer, LPS
  .nii.gz, .nii, .mhd, .mha
              label mask in the scan's geometry; the result alone is enough"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-convert`` and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="test")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, _DESCRIPTION)
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULT",
        help="result files, one object or one a line",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="file to write"
    )
    parser.add_argument(
        "--nodules",
        action="store_true",
        help="only the nodules, also of results that list every candidate",
    )
    options = parser.parse_args(argv)
    format_of(options.output)
    for path in options.results:
        _require_other(options.output, path)
    results = [one for path in options.results for one in load_results(path)]
    if options.nodules:
        results = [one.without_candidates() for one in results]
    convert(results, options.output)
    say(f"{options.output}: {_listed(results)} of {_count(len(results), 'result')}")


def _require_other(output: Path, path: Path) -> None:
    try:
        same = output.samefile(path)
    except OSError:
        return
    if same:
        raise UsageError(f"{output}: is the result itself; give the output another name")


def _listed(results: list[Result]) -> str:
    number = sum(len(one.candidates or one.nodules) for one in results)
    kind = "candidate" if any(one.candidates is not None for one in results) else "nodule"
    return _count(number, kind)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
