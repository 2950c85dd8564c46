"""Filling the cache, a series at a time on several processes; what is there already is kept."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lunart.data.admission import refuse_copies
from lunart.data.cache import Cache
from lunart.data.crops import CropSettings
from lunart.data.segmentation import SegmentationSettings
from lunart.data.sets import DataSet, MalignancySettings, Sets
from lunart.data.split import Split
from lunart.data.truth import Way
from lunart.errors import DataError, ScanError

#: What :func:`prepare` can fill the cache for.
KINDS = ("seg", "cls", "mal")


@dataclass(frozen=True)
class Job:
    """What every worker needs to know."""

    root: Path
    split: Split
    cache: Path
    kinds: tuple[str, ...]
    negatives_per_scan: int
    masks: Way


@dataclass(frozen=True)
class Done:
    """A series that was looked at: how many entries were made, or why none could be."""

    series_uid: str
    made: int
    problem: str | None = None


def series_of(job: Job) -> list[str]:
    """The series that :func:`prepare` looks at; checks folder, split and cache."""
    sets = _Worker(job).sets
    Cache(job.cache).require_writable()
    tested = [uid for uid in sets.split.test if uid in sets.luna.series]
    return [*sets.split.train, *sets.split.validation, *tested]


def refuse_leaks(job: Job) -> None:
    """Refuse (``DataError``) the same voxels in two parts; fast after :func:`prepare`."""
    sets = _Worker(job).sets
    refuse_copies(sets.scans, sets.split)


def prepare(job: Job, series: list[str], workers: int) -> Iterator[Done]:
    """Fill the cache, in no order. A scan that cannot be read does not stop the others.

    Raises ``OutputError`` when the cache cannot be written, ``DataError`` when a worker dies.
    """
    if workers == 1:
        yield from map(_Worker(job), series)
        return
    # "spawn": a forked child would share the parent's connections to the cache.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(job,))
    try:
        with _uninterrupted():
            pending: set[Future[Done]] = {pool.submit(_work, uid) for uid in series}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died, probably for lack of memory; run again with --workers 1: "
            "what was made is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    def __init__(self, job: Job) -> None:
        self.sets = Sets(job.root, job.split, seed=0, store=Cache(job.cache))
        crops = CropSettings(negatives_per_scan=job.negatives_per_scan)
        segmentation = SegmentationSettings(
            negatives_per_scan=job.negatives_per_scan, masks=job.masks
        )
        makers: dict[str, Callable[[], DataSet]] = {
            "seg": lambda: self.sets.segmentation(segmentation),
            "cls": lambda: self.sets.classification(crops),
            "mal": lambda: self.sets.malignancy(MalignancySettings(crops=crops)),
        }
        self._parts = [makers[kind]() for kind in job.kinds]

    def __call__(self, series_uid: str) -> Done:
        try:
            if series_uid in self.sets.split.test:
                self.sets.scans.digest(series_uid)  # for leaks alone: nothing is learnt from it
                return Done(series_uid, 0)
            return Done(series_uid, sum(part.fill(series_uid) for part in self._parts))
        except (ScanError, DataError) as error:
            return Done(series_uid, 0, str(error))


_worker: _Worker | None = None


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: here until the end, in processes that start here until :func:`_start`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(job: Job) -> None:
    global _worker
    # What is being made is lost and nothing else: without a traceback, and at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _worker = _Worker(job)


def _work(series_uid: str) -> Done:
    assert _worker is not None
    return _worker(series_uid)
