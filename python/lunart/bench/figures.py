"""What luna-bench measures, as values. The JSON is :func:`Report.to_json`; tables, CSV and charts
read the same values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = "lunart.bench/1"

#: The stages of a run in the order in which a scan meets them, as ``timings_s`` of a result.
STAGES = ("read", "region", "segment", "group", "classify", "malignancy")


@dataclass(frozen=True)
class ModelFigures:
    """One network's calls. ``lanes`` calls run at once, each of ``batch`` inputs; the times are a
    call's divided by both, which is what one input costs.
    """

    lanes: int
    batch: int
    calls: int
    p50_ms: float
    p95_ms: float
    gflop: float  # of one input, counted from the architecture
    fraction_of_peak: float | None
    max_abs_error: float | None  # of an output, against eager PyTorch on the same inputs


@dataclass(frozen=True)
class NetworkFigures:
    """The networks alone, called from a Python process that does nothing else."""

    load_ms: float
    first_call_ms: float  # of the segmentation
    models: Mapping[str, ModelFigures]
    peak_rss_mb: float

    @property
    def max_abs_error(self) -> float | None:
        errors = [m.max_abs_error for m in self.models.values() if m.max_abs_error is not None]
        return max(errors) if errors else None


@dataclass(frozen=True)
class ScanFigures:
    """A whole scan: the fastest of ``runs``."""

    via: str  # luna_infer, Runner (Python), or book
    runs: int
    seconds: Mapping[str, float]  # by stage, load and total
    times_baseline: float | None  # the baseline's total over this one's
    segment_fraction_of_peak: float | None
    classify_fraction_of_peak: float | None
    share_outside_networks: float  # of the total
    peak_rss_mb: float
    candidates: int
    nodules: int
    mask_flips: int | None
    dice: float | None
    nodules_equal: bool | None
    nodules_unmatched: int | None
    max_probability_difference: float | None  # over candidates that match
    warnings: tuple[str, ...]


@dataclass
class Row:
    """One engine in one precision; ``error`` says why figures are missing."""

    engine: str
    precision: str
    runs_in: str  # native, python, or book
    version: str = ""
    artifact: str | None = None
    artifact_mb: float | None = None
    deployable_mb: float | None = None
    networks: NetworkFigures | None = None
    scan: ScanFigures | None = None
    error: str | None = None

    @property
    def name(self) -> str:
        return f"{self.engine} {self.precision}"


@dataclass(frozen=True)
class Machine:
    processor: str
    processors: int
    memory_gb: float
    system: str


@dataclass
class Report:
    """One run of luna-bench."""

    command: str
    lunart: str
    machine: Machine
    bundle: Mapping[str, str]
    scan: Mapping[str, Any] | None
    threads: int
    region: str | None
    repeat: int
    peak: dict[str, dict[str, Any] | None]  # by precision: gflops and instructions
    segmented_share: float | None = None  # of the scan's voxels
    rows: list[Row] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        fields = {key: value for key, value in data.items() if key != "schema"}
        fields["machine"] = Machine(**data["machine"])
        fields["rows"] = [_row(entry) for entry in data["rows"]]
        return cls(**fields)


def _row(entry: Mapping[str, Any]) -> Row:
    fields = dict(entry)
    if entry["networks"] is not None:
        models = {k: ModelFigures(**v) for k, v in entry["networks"]["models"].items()}
        fields["networks"] = NetworkFigures(**{**entry["networks"], "models": models})
    if entry["scan"] is not None:
        fields["scan"] = ScanFigures(
            **{**entry["scan"], "warnings": tuple(entry["scan"]["warnings"])}
        )
    return Row(**fields)
