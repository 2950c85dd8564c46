"""What a data set and a split must agree on before anything is learnt from them."""

from __future__ import annotations

from lunart.data.luna16 import Luna16
from lunart.data.scans import Scans
from lunart.data.split import PARTS, Split
from lunart.errors import DataError


def admit(luna: Luna16, split: Split) -> None:
    """Refuse (``DataError``) a split that leaks, does not know a series, or lacks a scan."""
    split.require_disjoint(luna.patients)
    split.require_knows(luna.series)
    for part in ("train", "validation"):
        if not split.part(part):
            raise DataError(f"the split has no {part} series; luna-data split makes one")
    absent = [uid for uid in (*split.train, *split.validation) if uid not in luna.series]
    if absent:
        more = f" and {len(absent) - 1} more series" if len(absent) > 1 else ""
        raise DataError(
            f"{luna.root}: series {absent[0]}{more} of the split: no scan in "
            f"{', '.join(luna.subsets)}; add the missing subset, or make a split of what is there"
        )


def refuse_copies(scans: Scans, split: Split) -> None:
    """Refuse (``DataError``) the same voxels in two parts. Reads every scan once.

    Test series without a scan here are passed over: they may be kept elsewhere.
    """
    seen: dict[str, tuple[str, str]] = {}
    for part in PARTS:
        for uid in (uid for uid in split.part(part) if uid in scans.series):
            other, where = seen.setdefault(scans.digest(uid).voxels, (uid, part))
            if where != part:
                raise DataError(
                    f"leak: series {uid} of {part} has the same voxels as {other} of {where}; "
                    "remove one of them"
                )
