"""Puts what luna-bench measured into docs/performance.md: ``python -m lunart.bench.report``.

Reads the JSON files that ``make bench`` wrote and replaces what stands between the page's two
markers: for each file its command and its table. The rest of the page is written by people.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lunart import _core
from lunart.bench import figures, scaling, table
from lunart.cli import Parser, run, say
from lunart.errors import OutputError, UsageError

BEGIN, END = "<!-- measured: make bench -->", "<!-- /measured -->"

#: Files in the page's order, and what each shows; others follow under their own names.
TITLES = {
    "scan": "A whole scan, lung region on",
    "whole-slices": "A whole scan, region off",
    "networks": "The networks alone",
    "slices": "Cost and memory against slices",
    "candidates": "Cost against candidates",
    "threads": "Cost against threads",
}

_PROG = "python -m lunart.bench.report"
# Folders of the machine that measured are nobody's business.
_ABSOLUTE = re.compile(r"(?<![\w.~/-])/(?:[^\s/'\"]+/)+")


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the page and return an exit code."""
    return run(_PROG, lambda: _run(argv), extra="bench")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, "Put the figures of luna-bench's JSON files into a page.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".cache/bench"))
    parser.add_argument("--into", type=Path, default=Path("docs/performance.md"), metavar="PAGE")
    options = parser.parse_args(argv)
    files = sorted(options.folder.glob("*.json"), key=_place)
    if not files:
        raise UsageError(f"{options.folder}: holds no JSON file; run make bench")
    sections = [section(file) for file in files]
    _core.write_file_atomically(options.into, replaced(_page(options.into), sections))
    say(f"{options.into}: {len(sections)} tables")


def section(file: Path) -> str:
    """Title, command and table of one file. Raises ``UsageError`` when it is no measurement."""
    try:
        data = json.loads(file.read_text())
        text, command = _rendered(data), data["command"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: is no result of luna-bench ({error})") from error
    title = TITLES.get(file.stem, file.stem)
    return _ABSOLUTE.sub("", f"## {title}\n```\n$ {command}\n{text}\n```\n")


def replaced(page: str, sections: Sequence[str]) -> str:
    """The page with new sections between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"the page has not the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n" + "\n".join(sections) + f"{END}{after}"


def _rendered(data: dict[str, Any]) -> str:
    if data["schema"] == figures.SCHEMA:
        return table.render(figures.Report.from_json(data))
    if data["schema"] == scaling.SCHEMA:
        return scaling.render(scaling.Study.from_json(data))
    raise ValueError(f"schema is {data['schema']}")


def _page(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror})") from error


def _place(file: Path) -> tuple[int, str]:
    order = list(TITLES)
    return order.index(file.stem) if file.stem in order else len(order), file.name


if __name__ == "__main__":
    sys.exit(main())
