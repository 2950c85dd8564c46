"""From raw numbers to figures: shares of the peak, ratios to the baseline, sizes, agreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lunart
from lunart.bench import sizes
from lunart.bench.compare import output_errors, scan_agreement
from lunart.bench.figures import STAGES, ModelFigures, NetworkFigures, Row, ScanFigures
from lunart.bench.measure import Measured, Raw
from lunart.bench.plan import BASELINE
from lunart.bench.process import luna_infer
from lunart.registry import EAGER

# What a Python engine needs besides Python.
_PACKAGES = {
    EAGER: ("torch", "numpy", "safetensors"),
    BASELINE: ("torch", "numpy", "safetensors", "scipy"),
    "onnxruntime": ("onnxruntime", "numpy"),
}


def fill(rows: list[Row], raw: Raw) -> None:
    """Give each row its figures, as far as it was measured."""
    baseline = next((r for n, r in raw.rows.items() if n.startswith(f"{BASELINE} ")), None)
    total = None
    if baseline is not None and baseline.timed is not None:
        total = baseline.timed["timings_s"]["total"]
    for row in rows:
        measured = raw.rows.get(row.name)
        if measured is None:
            continue
        if measured.networks is not None:
            row.version = row.version or measured.networks["version"]
            row.deployable_mb = _deployable_mb(row, measured.networks)
            row.networks = _networks(row, measured, raw)
        if measured.scan is not None and measured.timed is not None:
            row.scan = _scan(row, measured, raw, total)


def segmented_share(raw: Raw) -> float | None:
    """How much of the scan's voxels the segmentation sees; above 1 where slices are padded."""
    if raw.scan_shape is None:
        return None
    count, rows, cols = raw.scan_shape
    return _voxels(raw) / (count * rows * cols)


def _voxels(raw: Raw) -> int:
    return sum(rows * cols for _, _, _, rows, cols in raw.boxes)


def _networks(row: Row, measured: Measured, raw: Raw) -> NetworkFigures:
    assert measured.networks is not None
    errors: Mapping[str, float] = {}
    if measured.outputs is not None and raw.reference.outputs is not None:
        errors = output_errors(raw.reference.outputs, measured.outputs)
    models = {}
    for name, times in measured.networks["models"].items():
        gflop = raw.flops[name] / 1e9
        models[name] = ModelFigures(
            **times,
            gflop=gflop,
            fraction_of_peak=_fraction(gflop, times["p50_ms"] / 1e3, row, raw),
            max_abs_error=errors.get(name),
        )
    return NetworkFigures(
        load_ms=measured.networks["load_ms"],
        first_call_ms=measured.networks["first_call_ms"],
        models=models,
        peak_rss_mb=measured.networks["peak_rss_mb"],
    )


def _scan(row: Row, measured: Measured, raw: Raw, baseline_s: float | None) -> ScanFigures:
    assert measured.scan is not None
    assert measured.timed is not None
    assert raw.reference.scan is not None
    result = measured.timed
    seconds = _seconds(result["timings_s"])
    networks_s = seconds["segment"] + seconds["classify"] + seconds["malignancy"]
    agreement = scan_agreement(raw.reference.scan, measured.scan, row.precision)
    candidates = result["candidates"]
    # The book knows no lungs: it sees every voxel, and its mask is the whole scan's.
    book = measured.via == "book"
    same_voxels = not book or len(raw.boxes) == 0 or _whole(raw)
    return ScanFigures(
        via=measured.via,
        runs=result.get("runs", 1),
        seconds=seconds,
        times_baseline=baseline_s / seconds["total"] if baseline_s else None,
        segment_fraction_of_peak=_fraction(
            _segment_gflop(raw, whole=book), seconds["segment"], row, raw
        ),
        classify_fraction_of_peak=_fraction(
            raw.flops["classification"] / 1e9 * len(candidates), seconds["classify"], row, raw
        ),
        share_outside_networks=1 - networks_s / seconds["total"],
        peak_rss_mb=result["peak_rss_mb"],
        candidates=len(candidates),
        nodules=len(result["nodules"]),
        mask_flips=agreement.mask_flips if same_voxels else None,
        dice=agreement.dice if same_voxels else None,
        nodules_equal=agreement.nodules_unmatched == 0,
        nodules_unmatched=agreement.nodules_unmatched,
        max_probability_difference=agreement.max_probability_difference,
        warnings=tuple(warning["text"] for warning in result["warnings"]),
    )


def _seconds(timings: Mapping[str, Any]) -> dict[str, float]:
    """By stage; the book has fewer stages."""
    return {stage: float(timings.get(stage, 0.0)) for stage in ("load", *STAGES, "total")}


def _whole(raw: Raw) -> bool:
    share = segmented_share(raw)
    return share is not None and share >= 1


def _segment_gflop(raw: Raw, *, whole: bool) -> float:
    """Every layer is a convolution with padding, so operations are proportional to voxels."""
    assert raw.scan_shape is not None
    rows, cols = raw.shapes["segmentation"][-2:]
    voxels = raw.scan_shape[0] * rows * cols if whole else _voxels(raw)
    return raw.flops["segmentation"] / 1e9 * voxels / (rows * cols)


def _fraction(gflop: float, seconds: float, row: Row, raw: Raw) -> float | None:
    peak = raw.peak.get(row.precision)
    if peak is None or seconds <= 0 or gflop <= 0:
        return None
    return float(gflop / seconds / peak["gflops"])


def _deployable_mb(row: Row, networks: Mapping[str, Any]) -> float:
    if row.runs_in != "native":
        return sizes.package_megabytes(_PACKAGES[row.engine])
    program = luna_infer() or Path(lunart._core.__file__)
    return float(program.stat().st_size / 1e6 + networks["libraries_mb"])
