"""Pictures of what a bundle finds in a scan: a tile for each finding, outlined on its own slice.

    python -m lunart.evaluation.pictures exported/luna scan.mhd -o found.png [--label label.mhd]

Orange is the mask of what was found, blue the label's outline. Pictures show patients: they are
made where the data is and not kept here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.cli import Parser, run, say
from lunart.errors import DataError
from lunart.result import Finding, Result

_PROG = "python -m lunart.evaluation.pictures"
LUNG_WINDOW_HU = (-1350, 150)
REACH_MM = 30.0
_COLUMNS = 6


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
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

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
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(2.4 * columns, 2.6 * rows), squeeze=False
    )
    mask = np.asarray(result.mask).astype(np.bool_)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (center, title) in zip(axes.flat, places, strict=False):
        _tile(axis, scan, mask, label, center)
        axis.set_title(title, fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _tile(
    axis: Any,
    scan: _core.Scan,
    mask: NDArray[np.bool_],
    label: NDArray[np.bool_] | None,
    center: Sequence[float],
) -> None:
    hu = np.asarray(scan.hu)
    index = min(max(round(center[0]), 0), hu.shape[0] - 1)
    x_mm, y_mm, _ = scan.spacing_mm
    low, high = [], []
    for place, step, n in zip(center[1:], (y_mm, x_mm), hu.shape[1:], strict=True):
        reach = REACH_MM / step
        low.append(max(0, round(place - reach)))
        high.append(min(n, round(place + reach) + 1))
    box = (index, slice(low[0], high[0]), slice(low[1], high[1]))
    axis.imshow(
        hu[box], cmap="gray", vmin=LUNG_WINDOW_HU[0], vmax=LUNG_WINDOW_HU[1], aspect=y_mm / x_mm
    )
    for outline, color in ((mask, "tab:orange"), (label, "deepskyblue")):
        if outline is not None and outline[box].any():
            axis.contour(outline[box], [0.5], colors=color, linewidths=0.9)


if __name__ == "__main__":
    sys.exit(main())
