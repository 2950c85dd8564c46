"""How cost and memory grow: with slices, with candidates, with threads.

Each study is a command of its own (``luna-bench BUNDLE --scaling slices``): whole runs of
luna_infer on scans of 512x512 that are made on the way, or on a given one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lunart import _core
from lunart.bench import outputs, table
from lunart.bench.figures import STAGES, Machine
from lunart.bench.machine import describe
from lunart.bench.measure import Settings
from lunart.bench.process import MeasurementError, luna_infer, run_luna_infer, run_worker
from lunart.bench.progress import Progress
from lunart.bundle import MANIFEST
from lunart.cli import say
from lunart.errors import EngineError, UsageError
from lunart.phantom import generate

SCHEMA = "lunart.bench.scaling/1"

_SLICES = (50, 100, 200, 400, 800)
# The fewer a threshold lets pass, the fewer candidates: one bundle and scan, the real pipeline.
_THRESHOLDS = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
_PHANTOM_SLICES, _PHANTOM_SIDE = 50, 512


@dataclass(frozen=True)
class Run:
    """One run of a study: what was given, and what it took."""

    x: float  # slices, candidates or threads
    engine: str
    precision: str
    slices: int
    segmented_slices: int
    candidates: int
    seconds: Mapping[str, float]
    peak_rss_mb: float


@dataclass(frozen=True)
class Study:
    """What ``--scaling`` measured."""

    study: str
    command: str
    lunart: str
    machine: Machine
    bundle: Mapping[str, str]
    region: str
    runs: tuple[Run, ...]

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Study:
        fields = {key: value for key, value in data.items() if key != "schema"}
        fields["machine"] = Machine(**data["machine"])
        fields["runs"] = tuple(Run(**entry) for entry in data["runs"])
        return cls(**fields)


@dataclass(frozen=True)
class _Point:
    """What to run. ``x`` None: the number of candidates that come out.

    Without a scan in ``settings`` a phantom of ``phantom_slices`` is made.
    """

    settings: Settings
    engine: str
    precision: str
    x: float | None
    phantom_slices: int = 2 * _PHANTOM_SLICES


def run(
    options: Namespace, settings: Settings, engines: Sequence[str] | None, command: str
) -> None:
    """Measure a study and write it where the options say. Raises ``EngineError``."""
    name: str = options.scaling
    if name == "slices" and settings.scan is not None:
        raise UsageError("--scaling slices makes its own scans; leave the scan out")
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as folder:
        points = STUDIES[name](settings, Path(folder))
        precision = options.precision or "f32"
        wanted = [
            replace(point, engine=engine, precision=precision)
            for point in points
            for engine in engines or ["auto"]
        ]
        progress = Progress("luna-bench", _weights(wanted), quiet=options.quiet)
        scans = Path(folder) / "scans"
        scans.mkdir()
        runs = [_measured(point, k, progress, scans) for k, point in enumerate(wanted)]
    study = Study(
        name,
        command,
        _core.__version__,
        describe(),
        {"name": settings.bundle.name, "sha256": settings.bundle.sha256},
        settings.region,
        tuple(sorted(runs, key=lambda r: (r.engine, r.precision, r.x))),
    )
    outputs.deliver(options.json, json.dumps(study.to_json(), indent=1, allow_nan=False) + "\n")
    if options.chart is not None:
        from lunart.bench import scaling_chart

        outputs.deliver(options.chart, scaling_chart.render(study))
    if options.json != outputs.STANDARD_OUTPUT:
        say(render(study))


def render(study: Study) -> str:
    """A table for people."""
    head = [study.study, "engine", *STAGES[:-1], "total s", "ms/slice"]
    head += ["found", "ms/candidate", "RSS MB"]
    lines = [head] + [
        [
            f"{r.x:g}",
            f"{r.engine} {r.precision}",
            *(f"{r.seconds[stage]:.2f}" for stage in (*STAGES[:-1], "total")),
            f"{r.seconds['segment'] * 1e3 / max(1, r.segmented_slices):.1f}",
            str(r.candidates),
            f"{r.seconds['classify'] * 1e3 / max(1, r.candidates):.2f}",
            f"{r.peak_rss_mb:.0f}",
        ]
        for r in study.runs
    ]
    return table.grid(lines, left=2)


def _slices(settings: Settings, folder: Path) -> Iterator[_Point]:
    """The same thorax in ever thinner slices: what is in the scan stays, what it costs grows."""
    for count in _SLICES:
        yield _Point(settings, "auto", "f32", count, count)


def _candidates(settings: Settings, folder: Path) -> Iterator[_Point]:
    """One scan under bundles that differ in the segmentation's threshold."""
    for threshold in _THRESHOLDS:
        copy = folder / f"bundle-{threshold}"
        shutil.copytree(settings.bundle.path, copy)
        manifest = json.loads((copy / MANIFEST).read_text())
        manifest["pipeline"]["segmentation_threshold"] = threshold
        (copy / MANIFEST).write_text(json.dumps(manifest))
        bundle = replace(settings.bundle, path=copy)
        yield _Point(replace(settings, bundle=bundle), "auto", "f32", None)


def _threads(settings: Settings, folder: Path) -> Iterator[_Point]:
    """One scan with 1, 2, 4, ... threads up to those of ``--threads``, or all."""
    count = 1
    while count <= settings.threads:
        yield _Point(replace(settings, threads=count), "auto", "f32", count)
        count *= 2


STUDIES: dict[str, Callable[[Settings, Path], Iterator[_Point]]] = {
    "slices": _slices,
    "candidates": _candidates,
    "threads": _threads,
}


def _phantom(folder: Path, slices: int) -> Path:
    """A generated thorax of 512x512, its slices repeated and as much thinner.

    The only one in its folder: a long one is large.
    """
    path = folder / f"{slices}.mhd"
    if path.exists():
        return path
    for old in folder.glob("*"):
        old.unlink()
    shape = (_PHANTOM_SLICES, _PHANTOM_SIDE, _PHANTOM_SIDE)
    phantom = generate(1, shape_irc=shape, nodule_count=8)
    chosen = np.arange(slices) * _PHANTOM_SLICES // slices
    x, y, z = phantom.spacing_mm
    spacing = (x, y, z * _PHANTOM_SLICES / slices)
    _core.write_metaimage(path, phantom.hu[chosen], spacing, phantom.origin_mm, phantom.direction)
    return path


def _weights(points: Sequence[_Point]) -> dict[str, float]:
    return {_name(point, k): float(point.phantom_slices) for k, point in enumerate(points)}


def _name(point: _Point, k: int) -> str:
    return f"{point.engine} {point.precision}, run {k + 1}"


def _measured(point: _Point, k: int, progress: Progress, scans: Path) -> Run:
    progress.begin(_name(point, k))
    try:
        if point.settings.scan is None:
            scan = _phantom(scans, point.phantom_slices)
            point = replace(point, settings=replace(point.settings, scan=scan))
        settings = point.settings
        results = [_result(point) for _ in range(settings.scan_runs)]
    except MeasurementError as error:
        raise EngineError(f"{point.engine} {point.precision}: {error}") from error
    finally:
        progress.end(_name(point, k))
    result = min(results, key=lambda r: r["timings_s"]["total"])
    assert settings.scan is not None
    boxes = _core.segmented_boxes(
        _core.read_scan(settings.scan), settings.bundle.path, settings.region == "lungs"
    )
    candidates = result["candidate_count"]
    return Run(
        x=candidates if point.x is None else point.x,
        engine=result["engine"]["name"],
        precision=result["engine"]["precision"],
        slices=result["scan"]["shape_irc"][0],
        segmented_slices=len({box[0] for box in boxes}),
        candidates=candidates,
        seconds=result["timings_s"],
        peak_rss_mb=result["peak_rss_mb"],
    )


def _result(point: _Point) -> dict[str, Any]:
    """Of the native program, or of ``lunart.Runner`` where there is none."""
    settings = point.settings
    program = luna_infer()
    if program is not None and point.engine != "eager":
        arguments = [
            str(settings.scan),
            f"--bundle={settings.bundle.path}",
            f"--engine={point.engine}",
            f"--precision={point.precision}",
            f"--threads={settings.threads}",
            f"--region={settings.region}",
        ]
        return run_luna_infer(program, arguments, timeout_s=settings.timeout_s)
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as folder:
        job = {
            "task": "scan",
            "bundle": str(settings.bundle.path),
            "scan": str(settings.scan),
            "engine": point.engine,
            "precision": point.precision,
            "threads": settings.threads,
            "region": settings.region,
            "runs": 1,
            "masks": str(Path(folder) / "masks.npz"),
        }
        return run_worker(job, timeout_s=settings.timeout_s)
