"""``luna-phantom``: write generated chest CTs with known nodules."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from lunart.cli import Parser, run, say
from lunart.errors import UsageError
from lunart.phantom.files import write
from lunart.phantom.generate import DEFAULT_SHAPE_IRC, generate
from lunart.phantom.types import Phantom

_PROG = "luna-phantom"
_DESCRIPTION = """\
Generate chest CTs with known nodules, reproducible from their seeds.

Writes OUT/subset0/<uid>.mhd and .raw, OUT/annotations.csv (LUNA16's columns; LPS millimetres) and
OUT/phantoms.csv (seed, index/row/col and kind of each nodule). Tables that are there already keep
their other series. The paths of the scans are printed on standard output.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-phantom`` and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="export")


def _parser() -> Parser:
    parser = Parser(_PROG, _DESCRIPTION)
    parser.add_argument("out", metavar="OUT", help="folder to write to (made if missing)")
    parser.add_argument("--seed", type=int, required=True, metavar="N", help="the first seed")
    parser.add_argument(
        "--count", type=int, default=1, metavar="K", help="scans: seeds N to N+K-1 (default 1)"
    )
    parser.add_argument(
        "--shape",
        type=int,
        nargs=3,
        default=DEFAULT_SHAPE_IRC,
        metavar=("I", "R", "C"),
        help="slices, rows, columns (default %(default)s)",
    )
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="voxel size in mm (default: such that a whole thorax fits the shape)",
    )
    parser.add_argument(
        "--nodules", type=int, metavar="N", help="nodules a scan (default: 3 to 8 by seed)"
    )
    parser.add_argument(
        "--direction",
        type=float,
        nargs=9,
        metavar="D",
        help="rotation of scan and patient, row by row (default: none)",
    )
    parser.add_argument("--json", action="store_true", help="describe the scans as JSON instead")
    return parser


def _summary(phantom: Phantom, path: str) -> dict[str, object]:
    return {
        "path": path,
        "series_uid": phantom.series_uid,
        "seed": phantom.seed,
        "shape_irc": list(phantom.hu.shape),
        "spacing_mm": list(phantom.spacing_mm),
        "origin_mm": list(phantom.origin_mm),
        "direction": list(phantom.direction),
        "nodules": [
            {
                "center_xyz_mm": list(nodule.center_xyz_mm),
                "center_irc": list(nodule.center_irc),
                "diameter_mm": nodule.diameter_mm,
                "kind": nodule.kind,
            }
            for nodule in phantom.nodules
        ],
    }


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_args(argv)
    if options.count < 1:
        raise UsageError(f"--count must be at least 1, got {options.count}")
    summaries = []
    for done, seed in enumerate(range(options.seed, options.seed + options.count), start=1):
        start = time.monotonic()
        phantom = generate(
            seed,
            shape_irc=options.shape,
            spacing_xyz_mm=options.spacing,
            nodule_count=options.nodules,
            direction=options.direction,
        )
        path = str(write(phantom, options.out))
        seconds = time.monotonic() - start
        print(
            f"{_PROG}: {done}/{options.count} seed {seed}: {len(phantom.nodules)} nodules, "
            f"{seconds:.1f} s",
            file=sys.stderr,
        )
        if not options.json:
            say(str(path))
        summaries.append(_summary(phantom, path))
    if options.json:
        say(json.dumps(summaries, indent=1))


if __name__ == "__main__":
    sys.exit(main())
