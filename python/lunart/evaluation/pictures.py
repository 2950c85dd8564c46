"""Pictures of what a bundle finds in a scan: a tile for each finding, outlined on its own slice.

    python -m lunart.evaluation.pictures exported/luna scan.mhd -o found.png [--label label.mhd]

Orange is the mask of what was found, blue the label's outline. Pictures show patients: they are
made where the data is and not kept here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.errors import DataError
from lunart.report import drawing
from lunart.report.pictures import plane
from lunart.report.sampling import Placed
from lunart.report.voxels import Box
from lunart.result import Finding, Result

_PROG = "python -m lunart.evaluation.pictures"
REACH_MM = 30.0
_COLUMNS = 6
_PIXELS = 264
_TITLE = 22


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="evaluate")


def _run(argv: Sequence[str] | None) -> None:
    parser = Parser(_PROG, "Draw what a bundle finds in a scan.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("scan", type=Path, help="a MetaImage")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the picture (PNG)")
    parser.add_argument("--label", type=Path, help="an expert's label (MetaImage)")
    parser.add_argument("--most", type=int, default=18, help="findings drawn (default: 18)")
    parser.add_argument("--all-candidates", action="store_true", help="also what was not called")
    parser.add_argument("--region", choices=("lungs", "off"), default="lungs")
    options = parser.parse_args(argv)

    from lunart.runner import Runner

    runner = Runner(options.bundle, region=options.region, all_candidates=options.all_candidates)
    result = runner(options.scan)
    scan = _core.read_scan(options.scan)
    label = None if options.label is None else _core.read_scan(options.label).hu.astype(np.bool_)
    if label is not None and label.shape != scan.shape_irc:
        raise DataError(f"{options.label}: shape {label.shape}, the scan has {scan.shape_irc}")
    found = result.nodules if result.candidates is None else result.candidates
    chosen = sorted(found, key=lambda one: -one.probability)[: options.most]
    draw(scan, result, chosen, label, options.output)
    say(f"{len(found)} findings, {len(chosen)} drawn: {options.output}")


def draw(
    scan: _core.Scan,
    result: Result,
    found: Sequence[Finding],
    label: NDArray[np.bool_] | None,
    path: Path,
) -> None:
    """Write the picture; the label's own middle slice comes first where there is one."""
    places: list[tuple[tuple[float, ...], str]] = []
    if label is not None and label.any():
        middle = np.argwhere(label).mean(axis=0)
        places.append((tuple(middle.tolist()), "expert"))
    for one in found:
        malignancy = "" if one.malignancy is None else f", m {one.malignancy:.2f}"
        places.append(
            (one.center_irc, f"p {one.probability:.2f}{malignancy}, {one.diameter_mm:.0f} mm")
        )
    columns = max(1, min(_COLUMNS, len(places)))
    rows = max(1, -(-len(places) // columns))
    sheet = np.full((rows * (_PIXELS + _TITLE), columns * _PIXELS, 3), 255, np.uint8)
    outlines = [(_whole(np.asarray(result.mask).astype(np.bool_)), drawing.FOUND)]
    if label is not None:
        outlines.append((_whole(label), drawing.EXPERT))
    for k, (center, title) in enumerate(places):
        top, left = k // columns * (_PIXELS + _TITLE), k % columns * _PIXELS
        tile = sheet[top : top + _TITLE + _PIXELS, left : left + _PIXELS]
        tile[:_TITLE] = 0
        drawing.write(tile, title, (4, 3), anchor="la", size=14)
        # Of a slice itself, and not of a place between two.
        nearest = Placed.of(scan.geometry)
        xyz = nearest.origin + nearest.axes @ np.rint(center)
        tile[_TITLE:] = plane(scan, "axial", xyz, 2 * REACH_MM, _PIXELS, outlines).rgb
    path.parent.mkdir(parents=True, exist_ok=True)
    _core.write_file_atomically(path, drawing.png(sheet))


def _whole(inside: NDArray[np.bool_]) -> Box:
    """The voxels that are in, in the smallest box."""
    at = np.argwhere(inside)
    if not len(at):
        return Box((0, 0, 0), inside[:1, :1, :1])
    (i, r, c), (m, n, o) = at.min(axis=0).tolist(), (at.max(axis=0) + 1).tolist()
    return Box((i, r, c), inside[i:m, r:n, c:o])


if __name__ == "__main__":
    sys.exit(main())
