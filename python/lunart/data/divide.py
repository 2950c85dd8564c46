"""Which part of a split each patient goes to, at random but the same for a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from lunart.errors import DataError


def divide(
    names: list[str], *, seed: int, shares: Mapping[str, float], pinned: Mapping[str, str]
) -> dict[str, str]:
    """Part of each name (a patient, or a series whose patient is not known).

    ``shares`` holds a share for every part but ``train``, which gets the rest; one name at least
    goes to each part with a share above 0. ``pinned`` names already have their part. Raises
    ``DataError`` when names are too few.
    """
    parts = dict(pinned)
    # By the hash of a name, not by its place in a list: a series that joins moves few others.
    free = sorted(set(names) - set(parts), key=lambda name: _rank(seed, name))
    for part, share in shares.items():
        wanted = max(1, round(share * len(names))) if share > 0 else 0
        missing = max(0, wanted - sum(taken == part for taken in parts.values()))
        parts.update((name, part) for name in free[:missing])
        free = free[missing:]
    parts.update((name, "train") for name in free)
    for part in ("train", *(part for part, share in shares.items() if share > 0)):
        if part not in parts.values():
            raise DataError(
                f"{len(names)} patients (or series, where no patient is known) are too few: "
                f"{part} would be empty; add scans, or give a part the share 0"
            )
    return parts


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{name}".encode()).digest()
