"""How many nodules of generated scans a bundle finds, through the native pipeline.

    python -m lunart.training.evaluate_phantoms exported/luna --seeds 1000-1004

prints a line a scan and the sum. A nodule is found when a called centre lies within its radius
(LUNA16's rule); nodules below 5 mm neither count as found nor make a call false, and a call within
3 mm of any nodule's surface is not false.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lunart.cli import Parser, run, say
from lunart.errors import UsageError
from lunart.phantom import DEFAULT_SHAPE_IRC, Phantom, generate
from lunart.result import Result
from lunart.runner import Runner

LEAST_DIAMETER_MM = 5.0
_NEAR_MM = 3.0


@dataclass(frozen=True)
class Score:
    """Of one scan: nodules of 5 mm and more found, all of them, and false calls."""

    found: int
    nodules: int
    false_calls: int


def score(phantom: Phantom, result: Result) -> Score:
    """Compare a result with the phantom's truth."""
    calls = np.array([nodule.center_xyz_mm for nodule in result.nodules]).reshape(-1, 3)
    near = np.zeros(len(calls), dtype=bool)
    found = total = 0
    for nodule in phantom.nodules:
        distance = np.linalg.norm(calls - nodule.center_xyz_mm, axis=1)
        radius = nodule.diameter_mm / 2
        near |= distance <= radius + _NEAR_MM
        if nodule.diameter_mm >= LEAST_DIAMETER_MM:
            total += 1
            found += bool((distance <= radius).any())
    return Score(found, total, int((~near).sum()))


def evaluate(
    runner: Runner,
    seeds: Iterable[int],
    shape_irc: tuple[int, int, int] = DEFAULT_SHAPE_IRC,
    spacing_xyz_mm: tuple[float, float, float] | None = None,
) -> list[tuple[int, Score]]:
    """Generate a scan for each seed, run it and score it."""
    scores = []
    for seed in seeds:
        phantom = generate(seed, shape_irc=shape_irc, spacing_xyz_mm=spacing_xyz_mm)
        result = runner(
            phantom.hu,
            spacing=phantom.spacing_mm,
            origin=phantom.origin_mm,
            direction=phantom.direction,
        )
        scores.append((seed, score(phantom, result)))
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation and return its exit code."""
    return run("evaluate_phantoms", lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser("evaluate_phantoms", "Nodules of generated scans that a bundle finds.")
    parser.add_argument("bundle", type=Path, help="the bundle's folder")
    parser.add_argument("--seeds", default="1000-1004", help="A-B (default: 1000-1004)")
    parser.add_argument("--shape", type=int, nargs=3, metavar=("I", "R", "C"))
    parser.add_argument("--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"))
    options = parser.parse_args(argv)
    first, dash, last = options.seeds.partition("-")
    if not (first.isdigit() and (last.isdigit() or not dash)):
        raise UsageError(f"--seeds is {options.seeds!r}; expected A-B")
    seeds = range(int(first), int(last or first) + 1)
    shape = tuple(options.shape) if options.shape else DEFAULT_SHAPE_IRC
    spacing = tuple(options.spacing) if options.spacing else None
    runner = Runner(options.bundle)
    scores: list[Score] = []
    for seed in seeds:
        [(_, one)] = evaluate(runner, [seed], shape, spacing)
        scores.append(one)
        say(f"{seed}: {one.found} of {one.nodules} found, {one.false_calls} false")
    found, nodules = sum(s.found for s in scores), sum(s.nodules for s in scores)
    false_calls = [s.false_calls for s in scores]
    say(
        f"all: {found} of {nodules} found ({found / max(1, nodules):.0%}), "
        f"{sum(false_calls) / len(scores):.1f} false a scan, at most {max(false_calls)}"
    )


if __name__ == "__main__":
    sys.exit(main())
