"""The formats of stored results, by the end of the output's name. The core spells each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lunart import _core
from lunart.errors import UsageError
from lunart.result import Result

#: For --help and messages.
ENDINGS = ".csv, .jsonl, .mrk.json, .nii.gz, .nii, .mhd or .mha"

Write = Callable[[Sequence[Result], Path], None]


@dataclass(frozen=True)
class Format:
    """``kind`` is the output's name in ``_core.check_outputs``; ``holds_many``: several results."""

    kind: str
    holds_many: bool
    write: Write


def _write_csv(results: Sequence[Result], output: Path) -> None:
    tables = [result.to_csv().partition("\n") for result in results]
    header, end, _ = tables[0]
    _core.write_file_atomically(output, header + end + "".join(rows for _, _, rows in tables))


def _write_lines(results: Sequence[Result], output: Path) -> None:
    lines = "".join(_core.as_line(result.to_json()) + "\n" for result in results)
    _core.write_file_atomically(output, lines)


def _write_markups(results: Sequence[Result], output: Path) -> None:
    _core.write_file_atomically(output, results[0].to_markups() + "\n")


def _write_mask(results: Sequence[Result], output: Path) -> None:
    results[0].write_mask(os.fspath(output))


_CSV = Format("csv", True, _write_csv)
_LINES = Format("json", True, _write_lines)
_MASK = Format("mask", False, _write_mask)
_FORMATS = {
    ".csv": _CSV,
    ".jsonl": _LINES,
    ".ndjson": _LINES,
    ".mrk.json": Format("markups", False, _write_markups),
    ".nii.gz": _MASK,
    ".nii": _MASK,
    ".mhd": _MASK,
    ".mha": _MASK,
}


def format_of(output: Path) -> Format:
    """The format that a file's name asks for. Raises ``UsageError`` when it names none."""
    for ending, known in _FORMATS.items():
        if output.name.endswith(ending) and output.name != ending:
            return known
    raise UsageError(f"{output}: its name does not say the format; end it in {ENDINGS}")


def convert(results: Sequence[Result], output: Path) -> None:
    """Write results into one file, whole or not at all.

    Raises ``UsageError``: an unknown format, one that holds a single result, or an output that
    would replace a file of the scan; ``OutputError``: it cannot be written.
    """
    chosen = format_of(output)
    if not results:
        raise UsageError("there is no result to convert")
    if len(results) > 1 and not chosen.holds_many:
        raise UsageError(
            f"{output}: holds one result, not {len(results)}; write them one by one, or into .csv "
            "or .jsonl"
        )
    for result in results:
        _require_free(output, chosen, result.scan.path)
    chosen.write(results, output)


def _require_free(output: Path, chosen: Format, scan: str | None) -> None:
    outputs = dict.fromkeys(("json", "csv", "mask", "region_mask", "markups"), "")
    outputs[chosen.kind] = os.fspath(output)
    # What a stored result calls its scan may be anything; only a file can be replaced.
    is_file = scan is not None and "\0" not in scan and Path(scan).is_file()
    _core.check_outputs(**outputs, scan=scan if scan and is_file else "", bundle="")
