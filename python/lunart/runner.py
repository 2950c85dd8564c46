"""The pipeline from Python: a thin layer over the C++ core that ``luna_infer`` runs too."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from json import dumps as json_text
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from lunart import _core
from lunart.callables import callable_networks
from lunart.errors import UsageError
from lunart.reading.arrays import SimpleItkImage, scan_of_array, scan_of_image
from lunart.reading.choices import Choices, OnDuplicate, OnGap, OnTilt
from lunart.reading.scan import is_meta_image, read
from lunart.registry import runs_in_python
from lunart.result import Result

#: Called with the stage's name, the steps done and all steps; what it raises stops the run.
ProgressCallback = Callable[[str, int, int], object]
ProgressStyle = Literal["bar", "json", "none"]
#: Of the networks' arithmetic; bf16 is faster and coarser, where engine and processor have it.
Precision = Literal["f32", "bf16"]
Path_ = str | os.PathLike[str]

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class Runner:
    """Finds nodules in scans with the networks of one bundle, which stay loaded.

    ``engine``: ``auto``, one that :func:`lunart.engines` lists, or Python's own ``eager`` (PyTorch
    rebuilt from the weights). All run the same C++ pipeline. ``precision``: ``f32``, or ``bf16``,
    which is faster and coarser, where engine and processor have it. ``threads`` None: every
    processor this process may use. ``region``: ``lungs``, or ``off`` for whole slices as in the
    book. ``threshold`` None: the bundle's. ``progress``: a callback, or as the program's: ``bar``
    (drawn on a terminal only), ``json``, ``none``. ``json``, ``csv``, ``mask``, ``region_mask``
    and ``markups`` name files to write after each run.

    Raises the classes of :mod:`lunart.errors`. One run at a time; other threads go on meanwhile,
    and Ctrl-C stops a run within a second.
    """

    def __init__(
        self,
        bundle: Path_ = "exported/luna",
        *,
        engine: str = "auto",
        precision: Precision = "f32",
        threads: int | None = None,
        region: Literal["lungs", "off"] = "lungs",
        threshold: float | None = None,
        all_candidates: bool = False,
        json: Path_ | None = None,
        csv: Path_ | None = None,
        mask: Path_ | None = None,
        region_mask: Path_ | None = None,
        markups: Path_ | None = None,
        progress: ProgressCallback | ProgressStyle = "bar",
    ) -> None:
        _check_progress(progress)
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; expected 1 or more, or None for all")
        engine = _core.wanted_engine(engine)
        networks, version = None, ""
        if runs_in_python(engine):
            networks, version = callable_networks(bundle, engine, threads, precision)
        self._core = _core.Runner(
            bundle=os.fspath(bundle),
            engine=engine,
            threads=threads or 0,
            region=region,
            threshold=threshold,
            networks=networks,
            version=version,
            precision=precision,
        )
        self._bundle = os.fspath(bundle)
        self._all_candidates = all_candidates
        self._outputs = {
            "json": json,
            "csv": csv,
            "mask": mask,
            "region_mask": region_mask,
            "markups": markups,
        }
        self._progress = progress

    def __call__(
        self,
        scan: Path_ | SimpleItkImage | ArrayLike,
        *,
        spacing: Sequence[float] | None = None,
        origin: Sequence[float] = (0.0, 0.0, 0.0),
        direction: Sequence[float] = _IDENTITY,
        json: Path_ | None = None,
        csv: Path_ | None = None,
        mask: Path_ | None = None,
        region_mask: Path_ | None = None,
        markups: Path_ | None = None,
        progress: ProgressCallback | ProgressStyle | None = None,
        series_uid: str | None = None,
        on_gap: OnGap = "refuse",
        on_tilt: OnTilt = "refuse",
        on_duplicate: OnDuplicate = "refuse",
    ) -> Result:
        """Run on a file or folder, a SimpleITK image, or an array of HU, (index, row, col).

        Paths are what :func:`lunart.reading.read_scan` reads; ``series_uid`` and the ``on_...``
        choices are its own, for DICOM. An array needs ``spacing`` (x, y, z in mm) and may have
        ``origin`` and SimpleITK's nine numbers of ``direction``; files and images bring their own.
        ``json``, ``csv``, ``mask``,
        ``region_mask``, ``markups`` and ``progress`` replace the runner's own for this run.
        """
        given = {
            "json": json,
            "csv": csv,
            "mask": mask,
            "region_mask": region_mask,
            "markups": markups,
        }
        names = {
            kind: _name(self._outputs[kind] if path is None else path)
            for kind, path in given.items()
        }
        choices = Choices(
            series_uid=series_uid, on_gap=on_gap, on_tilt=on_tilt, on_duplicate=on_duplicate
        )
        is_array = not isinstance(scan, str | os.PathLike | SimpleItkImage)
        if not is_array and spacing is not None:
            raise UsageError("spacing belongs to an array; a file or an image has its own")
        _core.check_outputs(
            **names,
            scan=os.fspath(scan) if isinstance(scan, str | os.PathLike) else "",
            bundle=self._bundle,
        )
        report = _callback(self._progress if progress is None else progress)
        if isinstance(scan, str | os.PathLike):
            if is_meta_image(scan) and choices == Choices():
                found = self._core.run_file(os.fspath(scan), report)
            else:
                found = self._core.run_scan(read(scan, choices, report), report)
        else:
            if isinstance(scan, SimpleItkImage):
                core_scan = scan_of_image(scan)
            else:
                core_scan = scan_of_array(np.asarray(scan), spacing, origin, direction, "")
            found = self._core.run_scan(core_scan, report)
        result = Result(found, all_candidates=self._all_candidates)
        if isinstance(scan, str | os.PathLike):
            result.remember(Path(scan).absolute(), lambda path: read(path, choices))
        elif isinstance(scan, SimpleItkImage):
            result.remember(scan, scan_of_image)
        else:
            result.remember(
                scan,
                lambda held: scan_of_array(np.asarray(held), spacing, origin, direction, ""),
            )
        if names["mask"]:
            result.write_mask(names["mask"])
        if names["region_mask"]:
            result.write_region(names["region_mask"])
        if names["json"]:
            text = result.to_json()
            line = _core.as_line(text) if _core.wants_lines(names["json"]) else text
            _core.write_file_atomically(names["json"], line + "\n")
        if names["csv"]:
            _core.write_file_atomically(names["csv"], result.to_csv())
        if names["markups"]:
            _core.write_file_atomically(names["markups"], result.to_markups() + "\n")
        return result


def _name(output: Any) -> str:
    if output is None:
        return ""
    name = os.fspath(output)
    if name in ("", "-"):
        raise UsageError(f"an output is called {name!r}; leave it out or name a file")
    return str(name)


def _check_progress(progress: object) -> None:
    if not callable(progress) and progress not in get_args(ProgressStyle):
        raise UsageError(f"progress is {progress!r}; expected a callable, bar, json or none")


def _callback(progress: ProgressCallback | ProgressStyle) -> ProgressCallback | None:
    _check_progress(progress)
    if callable(progress):
        return progress
    if progress == "json":
        return _Lines()
    # A bar is for people: a library's log is none.
    return _Bar() if progress == "bar" and sys.stderr is not None and sys.stderr.isatty() else None


class _Lines:
    """One JSON object a step on standard error, with the seconds left of the stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began = stage, now
        left = (now - self._began) / done * (total - done) if done else None
        step = {"stage": stage, "done": done, "total": total, "eta_s": left}
        print(json_text(step), file=sys.stderr)


class _Bar:
    """One line a stage on standard error, redrawn with the time left."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = self._shown = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._shown = stage, now, 0.0
        last = done == total
        if not done or (now - self._shown < 0.1 and not last):
            return
        self._shown = now
        past = now - self._began
        text = f"{past:.1f} s" if last else f"{past / done * (total - done):.0f} s left"
        end = "\n" if last else ""
        print(f"\r\033[K{stage} {done}/{total}, {text}", end=end, file=sys.stderr)
