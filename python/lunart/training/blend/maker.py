"""Makes volumes on processes of its own, ahead of their use; what is made depends on jobs alone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lunart.training.blend.jobs import Job
from lunart.training.blend.library import Library, read_library
from lunart.training.blend.volume import Volume


@dataclass
class Maker:
    """``folder`` holds the library; ``converted`` is for what is made of it once."""

    folder: Path
    converted: Path
    processes: int = 1
    _pool: ProcessPoolExecutor | None = None
    _ahead: dict[Job, Future[Volume]] = field(default_factory=dict)

    def ask(self, jobs: Iterable[Job]) -> None:
        """Begin with these."""
        if self._pool is None:
            # "spawn": a forked child of a process that has run torch can hang in OpenMP.
            self._pool = ProcessPoolExecutor(
                self.processes,
                multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(self.folder, self.converted),
            )
        for job in jobs:
            if job not in self._ahead:
                self._ahead[job] = self._pool.submit(_make, job)

    def take(self, jobs: Sequence[Job]) -> Iterator[Volume]:
        """The volumes of these jobs, in their order."""
        self.ask(jobs)
        for job in jobs:
            yield self._ahead.pop(job).result()


_library: Library | None = None


def _start(folder: Path, converted: Path) -> None:
    global _library
    _library = read_library(folder, converted)


def _make(job: Job) -> Volume:
    assert _library is not None
    return job.make(_library)
