"""The golden scan of a bundle that finds nodules: one small phantom with its eager result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lunart import Runner, _core
from lunart.bundle import Bundle, FileEntry
from lunart.phantom import generate

SCAN = "golden/phantom.mha"
RESULT = "golden/phantom.json"

_SEED = 3
# Lungs in few voxels, small enough that the embedded networks find nodules in them.
_SHAPE_IRC = (32, 128, 128)
_SPACING_XYZ_MM = (1.5, 1.5, 2.5)
# Turned about the body's axis, so that the result also proves the orientation.
_DIRECTION = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
# What differs from run to run or from place to place, not from result to result.
_VOLATILE = ("timings_s", "peak_rss_mb", "bundle")


def write_phantom(bundle: Bundle) -> dict[str, FileEntry]:
    """Write the phantom scan and its result in eager PyTorch; return both entries."""
    scan, result = bundle.path / SCAN, bundle.path / RESULT
    scan.parent.mkdir(exist_ok=True)
    found = run_phantom(bundle, scan)
    result.write_text(f"{json.dumps(found, indent=1, sort_keys=True)}\n", encoding="utf-8")
    return {"scan": FileEntry.of(bundle.path, SCAN), "result": FileEntry.of(bundle.path, RESULT)}


def run_phantom(bundle: Bundle, scan: Path) -> dict[str, Any]:
    """Generate the phantom at ``scan`` and run the whole pipeline on it, in eager PyTorch."""
    phantom = generate(
        _SEED, shape_irc=_SHAPE_IRC, spacing_xyz_mm=_SPACING_XYZ_MM, direction=_DIRECTION
    )
    _core.write_metaimage(
        str(scan), phantom.hu, phantom.spacing_mm, phantom.origin_mm, phantom.direction
    )
    runner = Runner(bundle.path, engine="eager", threads=1, all_candidates=True)
    result: dict[str, Any] = runner(str(scan)).to_dict()
    for key in _VOLATILE:
        result.pop(key, None)
    result["scan"].pop("path", None)
    return result
