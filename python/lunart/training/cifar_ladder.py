"""``python -m lunart.training.cifar_ladder``: every image classifier that lunart ships, trained.

Each rung is one call of ``luna-train cifar`` with the options of :data:`RUNGS`; a run that was
stopped goes on. The plain networks learn without a penalty, so that the one with it (``l2``: added
to the gradient, not decoupled) can be seen beside them.
"""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from lunart.cli import Parser, run, say
from lunart.errors import UsageError

_PROG = "lunart.training.cifar_ladder"
_DESCRIPTION = """\
Train the ladder of image classifiers on CIFAR-10, one after another, each into OUTPUT/<name>:

  python -m lunart.training.cifar_ladder DATA -o runs/ladder

DATA is an image folder, a tar archive of one, or CIFAR-10's binary version. The same command goes
on where it was stopped.
"""
_TWO = ("--classes", "airplane,bird")
_PLAIN = (*_TWO, "--epochs", "12", "--weight-decay", "0")

#: By name of the weights: what ``luna-train cifar`` is told besides data and folder.
RUNGS: dict[str, tuple[str, ...]] = {
    # The book's 512 hidden units make 6 MB of weights and are no better.
    "cifar-linear": ("--network", "linear", "--set", "hidden=64", "--rate", "0.001", *_PLAIN),
    "cifar-conv": ("--network", "conv", *_PLAIN),
    "cifar-l2": (
        *("--network", "l2", *_TWO, "--epochs", "12"),
        *("--optimiser", "adam", "--weight-decay", "0.001"),
    ),
    "cifar-wide": ("--network", "wide", *_PLAIN),
    "cifar-dropout": ("--network", "dropout", *_PLAIN),
    "cifar-batchnorm": ("--network", "batchnorm", *_PLAIN),
    "cifar-res": ("--network", "res", *_PLAIN),
    "cifar-resdeep": ("--network", "resdeep", *_TWO, "--epochs", "30", "--precision", "bf16"),
    "cifar-resdeep-10": ("--network", "resdeep", "--epochs", "10", "--precision", "bf16"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_args(argv)
    chosen = options.only.split(",") if options.only else list(RUNGS)
    unknown = [name for name in chosen if name not in RUNGS]
    if unknown:
        raise UsageError(f"--only {unknown[0]}: it is none of {', '.join(RUNGS)}")
    for name in chosen:
        _train(name, options)


def _parser() -> Parser:
    parser = Parser(_PROG, _DESCRIPTION)
    parser.add_argument("data", metavar="DATA", type=Path, help="CIFAR-10")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path("runs", "ladder"),
        help="a folder for the runs (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--only", metavar="A,B,...", help=f"of {', '.join(RUNGS)}")
    return parser


def _train(name: str, options: Namespace) -> None:
    from lunart.training import cli

    arguments = ["cifar", str(options.data), *RUNGS[name], "--output", str(options.output / name)]
    say(f"luna-train {shlex.join(arguments)}")
    code = cli.main(arguments)
    if code != 0:
        raise SystemExit(code)


if __name__ == "__main__":
    sys.exit(main())
