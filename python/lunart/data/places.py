"""Places of a scan to cut crops at, each with the truth about it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from lunart import _core
from lunart.data.ct import Xyz, inside
from lunart.data.luna16 import Luna16

_LOG = logging.getLogger("lunart.data")
_NAMED = 3


@dataclass(frozen=True)
class Place:
    """A centre in LPS millimetres, and whether it is of the positive class."""

    series_uid: str
    center_xyz_mm: Xyz
    label: bool


class Located(Protocol):
    """A row of any of LUNA16's tables."""

    @property
    def series_uid(self) -> str: ...

    @property
    def center_xyz_mm(self) -> Xyz: ...


_Row = TypeVar("_Row", bound=Located)


def by_series(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    """Rows of each series, in their order."""
    grouped: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        grouped[row.series_uid].append(row)
    return dict(grouped)


def outside(luna: Luna16, series_uid: str, rows: Iterable[_Row]) -> list[_Row]:
    """Rows of a series whose centre is not in its scan. Reads the scan's header alone."""
    header = _core.read_scan_header(luna.series[series_uid])
    to_irc = header.geometry.to_irc
    return [row for row in rows if not inside(header.shape_irc, to_irc(row.center_xyz_mm))]


def within(luna: Luna16, series_uid: str, rows: Iterable[_Row], table: str) -> list[_Row]:
    """Rows whose centre is in the scan; the others are left out with a warning that names them."""
    rows = list(rows)
    strays = outside(luna, series_uid, rows)
    if strays:
        named = "; ".join(
            "({:.1f}, {:.1f}, {:.1f})".format(*row.center_xyz_mm) for row in strays[:_NAMED]
        )
        more = f" and {len(strays) - _NAMED} more" if len(strays) > _NAMED else ""
        _LOG.warning(
            "%s: %d of %d %s of series %s lie outside the scan and are left out: %s%s mm",
            luna.root, len(strays), len(rows), table, series_uid, named, more,
        )  # fmt: skip
    kept = set(map(id, strays))
    return [row for row in rows if id(row) not in kept]
