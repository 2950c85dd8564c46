"""The options of every ``luna-*`` program that reads a scan once more, as its run read it."""

from __future__ import annotations

import argparse

from lunart.reading.choices import Choices

_MENDED = (
    ("gap", "fill", "slices are missing or uneven"),
    ("tilt", "resample", "the gantry was tilted"),
    ("duplicate", "first", "different slices lie at one place"),
)


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add ``--series`` and ``--on-gap``, ``--on-tilt`` and ``--on-duplicate``."""
    parser.add_argument("--series", metavar="UID", help="which series, where SCAN holds several")
    for name, mended, what in _MENDED:
        parser.add_argument(
            f"--on-{name}",
            choices=("refuse", mended),
            default="refuse",
            help=f"what to do when {what}: as the result's run did (default: refuse)",
        )


def choices_of(options: argparse.Namespace) -> Choices:
    """What was chosen."""
    return Choices(
        series_uid=options.series,
        on_gap=options.on_gap,
        on_tilt=options.on_tilt,
        on_duplicate=options.on_duplicate,
    )
