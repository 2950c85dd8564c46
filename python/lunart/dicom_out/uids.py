"""Unique identifiers of what is written: under the site's root, or UUIDs under 2.25 (PS3.5 B.2).

A UID is a digest of a seed and a name. With a random seed no two runs share one; with a seed made
from the result and a fixed date the same command writes the same files again. Two things are named
without the seed: the finding, which later reports of the same result mean again, and the device.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

from lunart.errors import UsageError

_LONGEST = 64  # PS3.5, 9.1
# Digits that a root must leave free: 80 bits of a digest, so that no two names meet by chance.
_FREE_DIGITS = 24
_UUID_ROOT = "2.25"


def checked_root(root: str) -> str:
    """``root`` when UIDs can be made under it. Raises ``UsageError`` that says what is wrong."""
    wrong = f'"{root[:80]}" is no UID root: '
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)+", root, flags=re.ASCII):
        raise UsageError(f"{wrong}numbers with points between them are wanted, such as 1.2.826.0.1")
    arcs = root.split(".")
    padded = next((arc for arc in arcs if len(arc) > 1 and arc.startswith("0")), None)
    if padded is not None:
        raise UsageError(f'{wrong}"{padded[:20]}" begins with a zero')
    if arcs[0] not in {"0", "1", "2"} or (arcs[0] != "2" and int(arcs[1][:4]) > 39):
        raise UsageError(f"{wrong}the first number is 0, 1 or 2, and after 0 and 1 comes 0 to 39")
    if len(root) > _LONGEST - 1 - _FREE_DIGITS:
        raise UsageError(
            f"{wrong}it has {len(root)} characters, and {_LONGEST - 1 - _FREE_DIGITS} are the "
            "most that leave room for what is added"
        )
    if root == _UUID_ROOT or f"{root}.".startswith("1.2.840.10008."):
        raise UsageError(
            f"{wrong}" + "2.25 is what UIDs have without a root: leave the option out"
            if root == _UUID_ROOT
            else f"{wrong}1.2.840.10008 belongs to the DICOM standard"
        )
    return root


@dataclass(frozen=True)
class Uids:
    """Makes UIDs. ``root`` is a checked one or None for 2.25; ``seed`` is a run's own."""

    root: str | None = None
    seed: str = ""

    @classmethod
    def random(cls, root: str | None) -> Uids:
        """UIDs that no other run makes."""
        return cls(root, uuid.uuid4().hex)

    def of_run(self, name: str) -> str:
        """The UID of this run's object ``name``."""
        return self.of_name("run", self.seed, name)

    def of_name(self, *parts: str) -> str:
        """The UID of what ``parts`` name, the same in every run."""
        digest = hashlib.sha256("\0".join(("lunart", *parts)).encode()).digest()
        if self.root is None:
            # Version 8 of RFC 9562: a UUID made from a digest of one's own choice.
            return f"{_UUID_ROOT}.{_uuid8(digest[:16]).int}"
        room = _LONGEST - 1 - len(self.root)
        # A leading zero is forbidden, so the first digit is 1 to 9.
        number = int.from_bytes(digest, "big") % (9 * 10 ** (min(room, 39) - 1))
        return f"{self.root}.{number + 10 ** (min(room, 39) - 1)}"


def _uuid8(digest: bytes) -> uuid.UUID:
    number = int.from_bytes(digest, "big")
    number = (number & ~(0xF << 76)) | (8 << 76)
    number = (number & ~(0x3 << 62)) | (2 << 62)
    return uuid.UUID(int=number)
