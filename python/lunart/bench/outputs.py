"""Where luna-bench writes: checked before hours of measuring, written whole or not at all."""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

from lunart import _core
from lunart.cli import Parser, say
from lunart.errors import EngineError, UsageError

STANDARD_OUTPUT = "-"


def add_options(parser: Parser, *, csv: bool = True) -> None:
    """Add the options that name the files a benchmark writes."""
    parser.add_argument("--json", metavar="FILE", help="all figures as JSON (-: standard output)")
    if csv:
        parser.add_argument("--csv", metavar="FILE", help="a line a row (-: standard output)")
    parser.add_argument("--chart", metavar="FILE.png", help="a picture; needs matplotlib")


def check(options: Namespace, bundle: Path, scan: Path | None) -> None:
    """Raises ``UsageError`` or ``OutputError`` for an output that cannot or must not be written."""
    if options.json == STANDARD_OUTPUT and options.csv == STANDARD_OUTPUT:
        raise UsageError("--json and --csv cannot both go to standard output")
    for name in ("json", "csv", "chart"):
        if getattr(options, name) == "":
            raise UsageError(f"--{name} has no file name")
    if options.chart is not None:
        if Path(options.chart).suffix.lower() != ".png":
            raise UsageError(f"--chart is {options.chart!r}; expected a name that ends in .png")
        if find_spec("matplotlib") is None:
            raise EngineError("matplotlib is not installed: pip install 'lunart[bench]'")
        _check_places(options.chart, "", bundle, scan)
    json, csv = (
        "" if name in (None, STANDARD_OUTPUT) else str(name) for name in (options.json, options.csv)
    )
    _check_places(json, csv, bundle, scan)


def deliver(target: str | None, content: str | bytes) -> None:
    """Write a file, or standard output for ``-``. Raises ``OutputError``."""
    if target == STANDARD_OUTPUT:
        assert isinstance(content, str)
        say(content.rstrip("\n"))
    elif target is not None:
        _core.write_file_atomically(target, content)


def _check_places(json: str, csv: str, bundle: Path, scan: Path | None) -> None:
    _core.check_outputs(
        json=json,
        csv=csv,
        mask="",
        region_mask="",
        markups="",
        scan="" if scan is None else str(scan),
        bundle=bundle,
    )
