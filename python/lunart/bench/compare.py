"""How far one engine's numbers are from eager PyTorch's, on the same inputs and the same scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lunart.bench.worker import load_mask
from lunart.export.limits import OF_PRECISION
from lunart.result import Finding
from lunart.verify.nodules import dice_of, lost_nodules, match


@dataclass(frozen=True)
class ScanRun:
    """What one engine found in the scan: a result's JSON, and the file of its masks."""

    result: Mapping[str, Any]
    masks: Path


@dataclass(frozen=True)
class Agreement:
    """A scan's result against eager PyTorch's through the same pipeline."""

    mask_flips: int | None
    dice: float | None
    nodules_unmatched: int
    max_probability_difference: float


def output_errors(reference: Path, outputs: Path) -> dict[str, float]:
    """The largest difference of each model's last output, which is its probability."""
    errors = {}
    with np.load(reference) as wanted, np.load(outputs) as got:
        for name in wanted.files:
            difference = np.abs(wanted[name].astype(np.float64) - got[name])
            errors[name] = float(difference.max())
    return errors


def scan_agreement(reference: ScanRun, run: ScanRun, precision: str) -> Agreement:
    """By the limits of the precision, which say what the same nodules are."""
    limits = OF_PRECISION[precision]
    ours = [_finding(entry) for entry in reference.result["nodules"]]
    region = load_mask(reference.masks, "region")
    theirs = [_finding(entry) for entry in run.result["nodules"]]
    lost = lost_nodules(ours, _inside(theirs, region), reference.result["threshold"], limits)
    pairs = match(
        [_finding(entry) for entry in reference.result["candidates"]],
        [_finding(entry) for entry in run.result["candidates"]],
        limits,
    )
    differences = [
        abs(a.probability - b.probability) for a, b in pairs if a.voxels >= limits.least_voxels
    ]
    a, b = load_mask(reference.masks, "mask"), load_mask(run.masks, "mask")
    dice, flips = dice_of(a, b) if a.shape == b.shape else (None, None)
    return Agreement(flips, dice, len(lost), max(differences, default=0.0))


def _inside(findings: list[Finding], region: Any) -> list[Finding]:
    """Those that the reference looked for: the book's method knows no lungs."""
    if region.size == 0:
        return findings
    most = np.array(region.shape) - 1
    return [f for f in findings if region[tuple(np.rint(f.center_irc).astype(int).clip(0, most))]]


def _finding(entry: Mapping[str, Any]) -> Finding:
    """Of a result, or of the book's method, which measures less."""
    return Finding(
        label=entry.get("label", 0),
        center_xyz_mm=(0.0, 0.0, 0.0),
        center_irc=tuple(entry["center_irc"]),
        probability=entry["probability"],
        malignancy=entry.get("malignancy"),
        diameter_mm=entry.get("diameter_mm", 0.0),
        volume_mm3=entry.get("volume_mm3", 0.0),
        voxels=entry["voxels"],
        mask_runs=entry.get("mask_runs", ""),
    )
