"""The same scan through every engine of a bundle, stage by stage against eager PyTorch.

All engines run the one C++ pipeline, so what differs comes from a network. Stages are compared in
the order in which a scan travels; the first that differs is the one to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart.bundle import Bundle
from lunart.export.compare import Check, Subject
from lunart.export.limits import CANDIDATE_VOXELS, F32, OF_PRECISION, Limits
from lunart.registry import engines_in
from lunart.result import Finding, Result
from lunart.runner import Precision, ProgressCallback, Runner

#: The pipeline's stages in order, then what all of it is for.
STAGES = ("region", "segment", "group", "classify", "malignancy", "nodules")


def verify_scan(
    bundle: Bundle,
    scan: Path,
    *,
    threads: int | None = None,
    precision: Precision = "f32",
    progress: ProgressCallback | None = None,
) -> Iterator[Check]:
    """One check an engine and stage, eager PyTorch being the reference.

    Raises the errors of :class:`lunart.Runner`, ``EngineError`` when no engine has the precision.
    """
    able = engines_in(bundle, precision)

    def run(engine: str, precision: Precision) -> Result:
        runner = Runner(
            bundle.path,
            engine=engine,
            precision=precision,
            threads=threads,
            all_candidates=True,
        )
        return runner(scan, progress=progress or "none")

    reference = run("eager", "f32")
    for engine in able:
        yield from compare_results(
            engine, reference, run(engine, precision), OF_PRECISION[precision]
        )


def compare_results(
    engine: str, reference: Result, result: Result, limits: Limits = F32
) -> list[Check]:
    """The stages of one engine's result against the reference's (both with all candidates)."""
    assert reference.candidates is not None
    assert result.candidates is not None
    pairs = match(reference.candidates, result.candidates, limits)
    large = [(a, b) for a, b in pairs if a.voxels >= limits.least_voxels]
    checks = [
        _region(reference, result),
        _segment(reference, result, limits),
        _group(reference.candidates, result.candidates, pairs, limits),
        _probabilities("classify", [(a.probability, b.probability) for a, b in large], limits),
    ]
    rated = [(a.malignancy, b.malignancy) for a, b in pairs]
    both = [(a, b) for a, b in rated if a is not None and b is not None]
    if both:
        checks.append(_probabilities("malignancy", both, limits))
    checks.append(_nodules(reference, result, limits))
    return [
        Check(
            Subject("pipeline", engine, stage),
            "scan",
            passed,
            text,
            max_abs=value,
        )
        for stage, passed, value, text in checks
    ]


def match(
    ours: Sequence[Finding], theirs: Sequence[Finding], limits: Limits = F32
) -> list[tuple[Finding, Finding]]:
    """One-to-one pairs whose centres are within the limit on every axis, nearest first."""
    if not ours or not theirs:
        return []
    a = np.array([finding.center_irc for finding in ours])
    b = np.array([finding.center_irc for finding in theirs])
    pairs = []
    for i, centre in enumerate(a):
        distance = np.abs(b - centre).max(axis=1)
        pairs += [
            (distance[j], i, int(j)) for j in np.flatnonzero(distance <= limits.centre_voxels)
        ]
    used_a: set[int] = set()
    used_b: set[int] = set()
    out = []
    for _, i, j in sorted(pairs):
        if i not in used_a and j not in used_b:
            used_a.add(i)
            used_b.add(j)
            out.append((ours[i], theirs[j]))
    return out


_Verdict = tuple[str, bool, float, str]


def _region(reference: Result, result: Result) -> _Verdict:
    flips = int((reference.region != result.region).sum())
    return "region", flips == 0, float(flips), f"{flips} voxels differ"


def dice_of(a: NDArray[Any], b: NDArray[Any]) -> tuple[float, int]:
    """Dice of two masks (1 when both are empty), and the voxels that differ."""
    flips, total = int((a != b).sum()), int(a.sum()) + int(b.sum())
    return 1 - flips / total if total else 1.0, flips


def _segment(reference: Result, result: Result, limits: Limits) -> _Verdict:
    dice, flips = dice_of(reference.threshold_mask, result.threshold_mask)
    text = f"{flips} mask voxels flip, Dice {dice:.6f}"
    return "segment", dice >= limits.least_dice, 1 - dice, text


def _group(
    ours: Sequence[Finding],
    theirs: Sequence[Finding],
    pairs: list[tuple[Finding, Finding]],
    limits: Limits,
) -> _Verdict:
    matched = {id(finding) for pair in pairs for finding in pair}
    least = max(CANDIDATE_VOXELS, limits.least_voxels)
    lost = [f for f in (*ours, *theirs) if id(f) not in matched and f.voxels >= least]
    allowed = int(limits.unmatched_share * (len(ours) + len(theirs)))
    text = f"{len(theirs)} candidates, eager has {len(ours)}, {len(lost)} without a like"
    return "group", len(lost) <= allowed, float(len(lost)), text


def _probabilities(stage: str, pairs: list[tuple[float, float]], limits: Limits) -> _Verdict:
    worst = max((abs(a - b) for a, b in pairs), default=0.0)
    text = f"probabilities differ by at most {worst:.2e}"
    return stage, worst <= limits.probability, worst, text


def lost_nodules(
    ours: Sequence[Finding], theirs: Sequence[Finding], threshold: float, limits: Limits
) -> list[Finding]:
    """Nodules of either side without a like, but for those near the threshold or too small."""
    matched = {id(finding) for pair in match(ours, theirs, limits) for finding in pair}
    return [
        finding
        for finding in (*ours, *theirs)
        if id(finding) not in matched
        and finding.voxels >= limits.least_voxels
        and abs(finding.probability - threshold) > limits.probability
    ]


def _nodules(reference: Result, result: Result, limits: Limits) -> _Verdict:
    lost = lost_nodules(reference.nodules, result.nodules, reference.threshold, limits)
    text = f"{len(result.nodules)} nodules, eager has {len(reference.nodules)}"
    if lost:
        place = ", ".join(f"{value:.1f}" for value in lost[0].center_irc)
        text += f"; {len(lost)} without a like, the first at irc {place}"
    return "nodules", not lost, float(len(lost)), text
