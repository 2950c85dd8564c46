"""A result in a notebook: the table of nodules and, where the scan is at hand, their pictures.

Colours are the notebook's own, so that it is readable in light and dark ones.
"""

from __future__ import annotations

from lunart import _core
from lunart.errors import LunartError
from lunart.report.again import Again
from lunart.report.contents import Shown, contents_of, drawn
from lunart.report.page import DISCLAIMER, environment, summary_of
from lunart.report.places import Place
from lunart.result import Result, require_same_scan

#: A notebook is saved with its pictures.
MOST_PICTURES = 6
_PIXELS = 360


def fragment(result: Result, scan: _core.Scan | None, note: str = "") -> str:
    """HTML without a document around it. ``note`` says why there are no pictures."""
    if scan is None:
        rows = tuple(Shown(k + 1, one, Place(), 0, ()) for k, one in enumerate(result.nodules))
    else:
        rows = drawn(contents_of(result, scan), scan, pixels=_PIXELS, most=MOST_PICTURES).nodules
        if len(rows) > MOST_PICTURES:
            note = f"Pictures of the first {MOST_PICTURES}; luna-report shows more."
    return (
        environment()
        .get_template("notebook.html.j2")
        .render(
            result=result,
            rows=rows,
            placed=scan is not None,
            summary=summary_of(result, rows[0].place if rows and scan is not None else None),
            note=note,
            disclaimer=DISCLAIMER,
        )
    )


def view(result: Result, again: Again | None) -> str:
    """The HTML that Jupyter shows; never raises, since a notebook would show nothing at all."""
    scan, note = None, "The scan is not at hand: result.attach_scan(scan) adds pictures."
    if again is not None:
        try:
            scan = again()
            if scan is not None:
                require_same_scan(result, scan)
        except (LunartError, OSError) as error:
            scan, note = None, f"No pictures: {error}"
    return fragment(result, scan, "" if scan is not None else note)
