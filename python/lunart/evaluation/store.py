"""What was inferred for each scan, kept as JSON: a rerun reads it, and an interrupted run goes on.

A file is used again while everything that it depends on is the same: the bundle, the program, the
scan, the voxels that its masks were compared with, and the settings. Else, or when it is damaged,
the scan is inferred anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lunart import _core
from lunart.errors import OutputError
from lunart.evaluation.overlap import MASKS, Overlap

SCHEMA = "lunart.evaluated-scan/1"
_LOG = logging.getLogger("lunart.evaluation")


@dataclass(frozen=True)
class Origin:
    """Everything that an inferred scan depends on. ``core`` is the SHA-256 of the C++ module."""

    bundle: str
    core: str
    scan: str
    reference: str
    region: str
    precision: str
    engine: str


@dataclass(frozen=True)
class Inferred:
    """A scan's ``lunart.result/2`` with all candidates, and how its masks fit the truth."""

    result: Mapping[str, Any]
    overlaps: Mapping[str, Overlap]


class Store:
    """A folder of inferred scans; None keeps nothing. Raises ``OutputError`` when it cannot."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error

    def find(self, series_uid: str, origin: Origin) -> Inferred | None:
        """What was inferred from the same; None when there is nothing, with a warning when the
        file is damaged.
        """
        if self.folder is None:
            return None
        path = self._path(series_uid)
        try:
            kept = json.loads(path.read_bytes())
            if kept["schema"] != SCHEMA or kept["from"] != asdict(origin):
                return None
            overlaps = {name: Overlap(**kept["overlaps"][name]) for name in MASKS}
            kept["result"]["candidates"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _LOG.warning("%s: damaged (%s: %s): inferred again", path, type(error).__name__, error)
            return None
        return Inferred(kept["result"], overlaps)

    def keep(self, series_uid: str, origin: Origin, inferred: Inferred) -> None:
        """Write a scan's file, whole or not at all."""
        if self.folder is None:
            return
        content = {
            "schema": SCHEMA,
            "from": asdict(origin),
            "result": inferred.result,
            "overlaps": {name: asdict(one) for name, one in inferred.overlaps.items()},
        }
        _core.write_file_atomically(self._path(series_uid), json.dumps(content) + "\n")

    def _path(self, series_uid: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{series_uid}.json"


def core_digest() -> str:
    """SHA-256 of the C++ module: another build may find other nodules."""
    return _core.sha256_of_file(_core.__file__)
