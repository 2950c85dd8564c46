"""Generated scans to train on, as a folder in LUNA16's layout: a run that needs no data.

``votes/`` holds which voxels are nodule, exactly; with it the scans are read like any others.
"""

from __future__ import annotations

import csv
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from lunart import _core
from lunart.data.prepare import Job, prepare, series_of
from lunart.data.split import Split
from lunart.errors import DataError, OutputError
from lunart.phantom import Phantom, generate, write
from lunart.training.scans import plan

# Far above the seeds that are reserved for evaluation.
_SEEDS_EACH = 1_000_000
_NODULES = 9
_READERS = 4


def make_folder(
    folder: Path, *, count: int, seed: int, workers: int, tell: Callable[[str], None]
) -> None:
    """Generate ``count`` scans into ``folder``; those that are there already are kept."""
    first = _SEEDS_EACH * (seed + 1)
    there = set(_seeds(folder))
    missing = [number for number in range(first, first + count) if number not in there]
    began = time.monotonic()
    for made, phantom in enumerate(_generated(missing, workers), start=1):
        _write(phantom, folder)
        left = (time.monotonic() - began) / made * (len(missing) - made)
        done = count - len(missing) + made
        tell(f"{folder}: scan {done}/{count}: {len(phantom.nodules)} nodules; {left:.0f} s left")


def fill_cache(
    folder: Path, split: Split, cache: Path, *, kind: str, workers: int, tell: Callable[[str], None]
) -> None:
    """Cut what training draws from, before the first epoch.

    Raises ``DataError`` for a scan that cannot be read.
    """
    job = Job(folder, split, cache, (kind,), 100, "votes")
    series = series_of(job)
    for number, done in enumerate(prepare(job, series, workers), start=1):
        if done.problem is not None:
            raise DataError(f"{done.series_uid}: {done.problem}")
        if done.made:
            tell(f"{cache}: scan {number}/{len(series)}: {done.made} places")


def _generated(seeds: Sequence[int], workers: int) -> Iterator[Phantom]:
    if workers == 1 or len(seeds) < 2:
        yield from map(_generate, seeds)
        return
    # "spawn": a forked child of a process that has run torch can hang in OpenMP.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(seeds)), mp_context=context) as pool:
        yield from pool.map(_generate, seeds)


def _generate(seed: int) -> Phantom:
    job = plan(seed)
    return generate(
        job.seed,
        shape_irc=job.shape_irc,
        spacing_xyz_mm=job.spacing_xyz_mm,
        nodule_count=_NODULES,
    )


def _write(phantom: Phantom, folder: Path) -> None:
    votes = folder / "votes"
    try:
        votes.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{votes}: cannot be made ({error.strerror or error})") from error
    _core.write_metaimage(
        votes / f"{phantom.series_uid}_votes.mhd",
        (phantom.labels > 0).astype(np.uint8) * _READERS,
        phantom.spacing_mm,
        phantom.origin_mm,
        phantom.direction,
    )
    # The scan comes last: what is there is whole.
    write(phantom, folder)


def _seeds(folder: Path) -> Iterator[int]:
    """Seeds of the scans that are there."""
    table = folder / "phantoms.csv"
    if not table.is_file():
        return
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            if (folder / "subset0" / f"{row['seriesuid']}.mhd").is_file():
                yield int(row["seed"])
