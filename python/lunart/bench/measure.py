"""Measuring the rows of a report: each engine alone, in processes of its own, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lunart import _core
from lunart.bench import inputs
from lunart.bench.compare import ScanRun
from lunart.bench.figures import Row
from lunart.bench.plan import BASELINE
from lunart.bench.process import MeasurementError, luna_infer, run_luna_infer, run_worker
from lunart.bench.progress import Progress
from lunart.bundle import Bundle
from lunart.errors import EngineError
from lunart.registry import EAGER

_BOOK_BATCH = 4

# Roughly what a step takes, in terms of a native engine's networks.
_SLOW, _QUICK = 4.0, 1.0
_SCAN, _BOOK_SCAN = 2.0, 8.0


@dataclass(frozen=True)
class Settings:
    """What to measure, and how often."""

    bundle: Bundle
    scan: Path | None
    threads: int
    region: str = "lungs"
    repeat: int = 20
    scan_runs: int = 1
    timeout_s: float = 1800.0


@dataclass
class Measured:
    """Raw numbers of one row."""

    networks: Mapping[str, Any] | None = None
    outputs: Path | None = None
    scan: ScanRun | None = None  # for comparing
    timed: Mapping[str, Any] | None = None  # the result whose times count
    via: str = ""


@dataclass
class Raw:
    """Raw numbers of all rows, by name; :mod:`lunart.bench.assemble` makes figures of them."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of one input
    flops: dict[str, int] = field(default_factory=dict)  # of one input
    peak: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    boxes: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    scan_shape: tuple[int, int, int] | None = None  # as the networks see it
    rows: dict[str, Measured] = field(default_factory=dict)
    reference: Measured = field(default_factory=Measured)


def measure(settings: Settings, rows: list[Row], folder: Path, *, quiet: bool) -> Raw:
    """Measure every row without an error; one that fails gets its reason in ``error``.

    Raises ``EngineError`` when eager PyTorch, which all are compared with, cannot run.
    """
    return _Measurement(settings, rows, folder, quiet).run()


class _Measurement:
    def __init__(self, settings: Settings, rows: list[Row], folder: Path, quiet: bool) -> None:
        self._settings = settings
        self._todo = [row for row in rows if row.error is None]
        self._folder = folder
        self._raw = Raw()
        self._program = luna_infer()
        self._progress = Progress("luna-bench", self._steps(), quiet=quiet)

    def run(self) -> Raw:
        self._prepare()
        self._measure_reference()
        for row in self._todo:
            self._measure_peak(row.precision)
            self._raw.rows[row.name] = self._row(row)
        self._measure_peak("f32")
        return self._raw

    def _steps(self) -> dict[str, float]:
        steps = {"inputs": _QUICK, "eager, the reference: networks": _SLOW}
        if self._settings.scan is not None:
            steps["eager, the reference: scan"] = _SLOW * self._settings.scan_runs
        for row in self._todo:
            if row.engine == EAGER:
                continue
            book = row.engine == BASELINE
            steps[f"{row.name}: networks"] = _SLOW if book else _QUICK
            if self._settings.scan is not None:
                runs = self._settings.scan_runs
                steps[f"{row.name}: scan"] = _BOOK_SCAN * runs if book else _SCAN * (1 + runs) / 2
        return steps

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._progress.begin(name)
        try:
            yield
        finally:
            self._progress.end(name)

    def _prepare(self) -> None:
        with self._step("inputs"):
            bundle, raw = self._settings.bundle, self._raw
            scan = self._open_scan()
            samples = inputs.sample(scan, bundle)
            np.savez(self._folder / "inputs.npz", **samples)  # type: ignore[arg-type]
            raw.shapes = {name: (1, *array.shape[1:]) for name, array in samples.items()}
            self._measure_peak("f32")
            if self._settings.scan is not None:
                lungs = self._settings.region == "lungs"
                raw.boxes = _core.segmented_boxes(scan, bundle.path, lungs)
                raw.scan_shape = inputs.as_networks_see(scan, bundle.pipeline).shape_irc

    def _open_scan(self) -> _core.Scan:
        if self._settings.scan is None:
            return inputs.phantom_scan()
        return _core.read_scan(self._settings.scan)

    def _measure_peak(self, precision: str) -> None:
        """Again and again, because another program can only make it smaller."""
        found = _core.peak_gflops(precision, self._settings.threads)
        before = self._raw.peak.get(precision)
        if before is None or (found is not None and found["gflops"] > before["gflops"]):
            self._raw.peak[precision] = found

    def _measure_reference(self) -> None:
        reference = Row(EAGER, "f32", "python")
        try:
            with self._step("eager, the reference: networks"):
                job = {"task": "flops", "bundle": str(self._settings.bundle.path)}
                self._raw.flops = self._worker({**job, "shapes": self._raw.shapes})
                measured = self._networks(reference)
            if self._settings.scan is not None:
                with self._step("eager, the reference: scan"):
                    self._runner_scan(reference, measured, self._settings.scan_runs)
        except MeasurementError as error:
            raise EngineError(f"eager PyTorch, which all are compared with: {error}") from error
        self._raw.reference = measured

    def _row(self, row: Row) -> Measured:
        if row.engine == EAGER:
            return self._raw.reference
        measured = Measured()
        steps: list[tuple[str, Callable[[], None]]] = [
            ("networks", lambda: self._fill_networks(row, measured))
        ]
        if self._settings.scan is not None:
            steps.append(("scan", lambda: self._fill_scan(row, measured)))
        for name, step in steps:
            with self._step(f"{row.name}: {name}"):
                if row.error is not None:
                    continue
                try:
                    step()
                except MeasurementError as error:
                    row.error = f"{name}: {error}"
        return measured

    def _fill_networks(self, row: Row, measured: Measured) -> None:
        found = self._networks(row)
        measured.networks, measured.outputs = found.networks, found.outputs

    def _fill_scan(self, row: Row, measured: Measured) -> None:
        if row.engine == BASELINE:
            result = self._masked("baseline", row, self._settings.scan_runs)
            measured.scan, measured.timed, measured.via = result, result.result, "book"
        elif row.runs_in == "native" and self._program is not None:
            self._runner_scan(row, measured, 1)
            measured.timed, measured.via = self._native_scan(self._program, row), "luna_infer"
        else:
            self._runner_scan(row, measured, self._settings.scan_runs)

    def _networks(self, row: Row) -> Measured:
        book = row.engine == BASELINE
        outputs = self._folder / f"{row.name}.npz"
        answer = self._worker(
            {
                **self._job("networks", row),
                "engine": EAGER if book else row.engine,
                "inputs": str(self._folder / "inputs.npz"),
                "outputs": str(outputs),
                "repeat": self._settings.repeat,
                **({"batch": _BOOK_BATCH} if book else {}),
            }
        )
        return Measured(networks=answer, outputs=outputs)

    def _runner_scan(self, row: Row, measured: Measured, runs: int) -> None:
        measured.scan = self._masked("scan", row, runs)
        measured.timed, measured.via = measured.scan.result, "Runner"

    def _masked(self, task: str, row: Row, runs: int) -> ScanRun:
        masks = self._folder / f"{row.name} masks.npz"
        extra = {"scan": str(self._settings.scan), "region": self._settings.region}
        job = {**self._job(task, row), **extra, "masks": str(masks), "runs": runs}
        return ScanRun(self._worker(job), masks)

    def _native_scan(self, program: Path, row: Row) -> Mapping[str, Any]:
        """The fastest of some runs: another program can only make one slower."""
        results = [
            run_luna_infer(
                program,
                [
                    str(self._settings.scan),
                    f"--bundle={self._settings.bundle.path}",
                    f"--engine={row.engine}",
                    f"--precision={row.precision}",
                    f"--threads={self._settings.threads}",
                    f"--region={self._settings.region}",
                    "--all-candidates",
                ],
                timeout_s=self._settings.timeout_s,
            )
            for _ in range(self._settings.scan_runs)
        ]
        return min(results, key=lambda result: result["timings_s"]["total"])

    def _job(self, task: str, row: Row) -> dict[str, Any]:
        return {
            "task": task,
            "bundle": str(self._settings.bundle.path),
            "runs_in": row.runs_in,
            "engine": row.engine,
            "precision": row.precision,
            "threads": self._settings.threads,
        }

    def _worker(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return run_worker(job, timeout_s=self._settings.timeout_s)
