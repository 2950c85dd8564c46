"""Opening a bundle's networks in one engine and timing their calls; runs in a worker process.

A network is called as the pipeline calls it: from as many threads at once as it has lanes, slices
one by one, crops in the engine's batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.bundle import Bundle
from lunart.callables import callable_networks

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Opened:
    """A loaded network."""

    run: Callable[[FloatArray], list[FloatArray]]
    lanes: int
    batch: int  # crops a call


def open_native(bundle: Bundle, engine: str, precision: str, threads: int) -> dict[str, Opened]:
    """Every model of a bundle in an engine of the core."""
    opened = {}
    for model in bundle.models:
        network = _core.Network(bundle.path, model, engine, threads, precision)
        opened[model] = Opened(network, network.lanes, network.batch)
    return opened


def open_python(
    bundle: Bundle, engine: str, threads: int, batch: int
) -> tuple[dict[str, Opened], str]:
    """Every model in one of Python's own engines, and the version of what runs them."""
    networks, version = callable_networks(bundle.path, engine, threads)
    return {model: Opened(run, 1, batch) for model, run in networks.items()}, version


def batches(inputs: FloatArray, size: int) -> Iterator[FloatArray]:
    """Batches of ``size`` without end, going round the inputs."""
    for first in count(0, size):
        yield np.ascontiguousarray(inputs[np.arange(first, first + size) % len(inputs)])


def call_seconds(network: Opened, inputs: FloatArray, batch: int, items: int) -> list[float]:
    """Seconds of each call, enough for at least ``items`` inputs, ``lanes`` calls at once."""
    calls = -(-items // (batch * network.lanes)) * network.lanes
    # A few different ones, made before the clock runs.
    source = batches(inputs, batch)
    prepared = [next(source) for _ in range(min(calls, max(1, len(inputs) // batch)))]
    for _ in range(network.lanes):
        network.run(prepared[0])
    seconds: list[float] = []
    failures: list[Exception] = []
    numbers = iter(range(calls))
    lock = threading.Lock()

    def lane() -> None:
        try:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None or failures:
                    return
                begin = time.perf_counter()
                network.run(prepared[number % len(prepared)])
                seconds.append(time.perf_counter() - begin)
        except Exception as error:
            failures.append(error)

    others = [threading.Thread(target=lane) for _ in range(network.lanes)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    if failures:
        raise failures[0]
    return seconds
