"""``python -m lunart.evaluation.images``: the ladder of image classifiers, in one table."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.errors import OutputError, UsageError

if TYPE_CHECKING:
    from lunart.evaluation.images.score import Labelled, Score

_PROG = "lunart.evaluation.images"
_DESCRIPTION = """\
Measure bundles of task image-classification on CIFAR-10's test pictures, each on its own classes:
accuracy with a bootstrap interval, confusion, and the pictures that were called wrong.

  python -m lunart.evaluation.images DATA exported/cifar-*

DATA is an image folder (test/<class>/*.jpg), a tar archive of one, or CIFAR-10's binary version.
"""
_COLUMNS = ("network", "classes", "accuracy", "parameters", "epochs", "mean", "deviation")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="evaluate")


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_args(argv)
    if options.plots is not None and options.plots.exists() and not options.plots.is_dir():
        raise UsageError(f"--plots {options.plots}: a file is there; give a folder")
    scores = _scores(options)
    to_stdout = options.json == Path("-")
    say(table(scores), sys.stderr if to_stdout else sys.stdout)
    if options.json is not None:
        text = json.dumps({"scores": [one.to_json() for one in scores]}, indent=1, allow_nan=False)
        if to_stdout:
            say(text)
        else:
            _core.write_file_atomically(options.json, text + "\n")
    if options.plots is not None:
        _write_pictures(scores, options.plots)


def _parser() -> Parser:
    parser = Parser(_PROG, _DESCRIPTION)
    parser.add_argument("data", metavar="DATA", type=Path, help="CIFAR-10")
    parser.add_argument("bundles", metavar="BUNDLE", type=Path, nargs="+", help="to be measured")
    parser.add_argument(
        "--engine", default="auto", help="as lunart.engines() lists, or eager (default: auto)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="as JSON; - for standard output")
    parser.add_argument(
        "--plots", metavar="DIR", type=Path, help="confusion and example pictures as PNG"
    )
    return parser


def table(scores: Sequence[Score]) -> str:
    """A line for each, in the order given."""
    from lunart.bench.table import grid

    return grid([_COLUMNS, *(_row(one) for one in scores)], left=1)


def _row(one: Score) -> tuple[str, ...]:
    mean, deviation = (
        " ".join(f"{value:.4f}" for value in one.preprocess[key]) for key in ("mean", "deviation")
    )
    return (
        one.name,
        str(len(one.pictures.classes)),
        str(one.accuracy),
        f"{one.parameters:,}",
        "-" if one.epochs is None else f"{one.epochs[0]} of {one.epochs[1]}",
        mean,
        deviation,
    )


def _scores(options: Namespace) -> list[Score]:
    from lunart.bundle import Bundle
    from lunart.evaluation.images.score import score

    bundles = [Bundle.open(path) for path in options.bundles]
    labelled = _test_pictures(options.data)
    scores = []
    for bundle in bundles:
        scores.append(score(bundle, labelled, engine=options.engine))
        say(f"{_PROG}: {len(scores)} of {len(bundles)}: {bundle.name}", sys.stderr)
    return scores


def _test_pictures(path: Path) -> Labelled:
    import numpy as np

    from lunart.data.cifar import kept_pictures
    from lunart.data.pictures import CLASSES, PARTS
    from lunart.evaluation.images.score import Labelled

    found = kept_pictures(path)
    chosen = found.part == PARTS.index("test")
    there = np.unique(found.label[chosen])
    return Labelled(
        rgb=found.rgb[chosen],
        label=np.searchsorted(there, found.label[chosen]),
        classes=tuple(CLASSES[number] for number in there),
    )


def _write_pictures(scores: Sequence[Score], folder: Path) -> None:
    from lunart.evaluation.images.plots import pictures

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    for name, content in pictures(scores, seed=1):
        _core.write_file_atomically(folder / name, content)
        say(f"{_PROG}: {folder / name}", sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
