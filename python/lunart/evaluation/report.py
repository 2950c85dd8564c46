"""The report: JSON (``docs/evaluation.schema.json``), text, and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import lunart
from lunart import _core
from lunart.cli import say
from lunart.errors import OutputError
from lunart.evaluation.compare import Comparison
from lunart.evaluation.score import Rules, Score
from lunart.evaluation.text import lines_of, lines_of_comparison

SCHEMA = "lunart.evaluation/1"


@dataclass(frozen=True, eq=False)
class Report:
    """Scores by name, the evaluated bundle's (or submission's) first, with what made each.

    ``data`` says which scans, ``notes`` what a reader should know.
    """

    data: Mapping[str, Any]
    rules: Rules
    scores: Mapping[str, Score]
    made_by: Mapping[str, Mapping[str, Any]]
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        (name, score), *others = self.scores.items()
        bootstrap = self.rules.bootstrap
        report = {
            "schema": SCHEMA,
            "lunart": lunart.__version__,
            "data": dict(self.data),
            "settings": {
                "bootstrap": bootstrap.resamples,
                "seed": bootstrap.seed,
                "confidence": bootstrap.confidence,
                "marks": self.rules.marks,
            },
            "notes": list(self.notes),
            "of": dict(self.made_by[name]),
            **score.to_json(),
        }
        for other, theirs in others:
            report["against"] = {"of": dict(self.made_by[other]), **theirs.to_json()}
        if self.comparison is not None:
            report["comparison"] = self.comparison.to_json()
        return report

    def print(self, stream: TextIO) -> None:
        """Text for people."""
        names = tuple(self.scores)
        for name, score in self.scores.items():
            say(f"{name}", stream)
            for line in lines_of(score):
                say(line, stream)
            say("", stream)
        if self.comparison is not None:
            for line in lines_of_comparison(self.comparison, (names[0], names[1])):
                say(line, stream)
            say("", stream)
        for note in self.notes:
            say(f"note: {note}", stream)


def write_json(report: Report, path: Path) -> None:
    """Whole or not at all. Raises ``OutputError``."""
    text = json.dumps(report.to_json(), indent=1, allow_nan=False)
    _core.write_file_atomically(path, text + "\n")


def write_pictures(report: Report, folder: Path) -> list[Path]:
    """PNG files in a folder, which is made. Raises ``OutputError``."""
    from lunart.evaluation.plots import pictures

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    written = []
    for name, content in pictures(report.scores):
        _core.write_file_atomically(folder / name, content)
        written.append(folder / name)
    return written
