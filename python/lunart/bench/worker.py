"""The process in which one engine is measured: ``python -m lunart.bench.worker``.

Reads a job as JSON from standard input and writes its answer to the file that the job names:
``figures``, or ``error`` in a sentence. Standard output belongs to the engines' libraries.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from lunart.bench import sizes
from lunart.bench.calls import Opened, batches, call_seconds, open_native, open_python
from lunart.bench.machine import peak_rss_mb
from lunart.bundle import Bundle
from lunart.errors import LunartError
from lunart.result import Result
from lunart.runner import Runner

# As in the core, for networks that do not say what suits them.
_PYTHON_BATCH = 8

Json = dict[str, Any]


def networks(job: Json) -> Json:
    """Load, first call, and calls of every model; the outputs are stored for comparison."""
    bundle = Bundle.open(job["bundle"])
    inputs = dict(np.load(job["inputs"]))
    libraries = sizes.mapped_libraries()
    begin = time.perf_counter()
    version = ""
    if job["runs_in"] == "native":
        opened = open_native(bundle, job["engine"], job["precision"], job["threads"])
    else:
        batch = job.get("batch", _PYTHON_BATCH)
        opened, version = open_python(bundle, job["engine"], job["threads"], batch)
    load_s = time.perf_counter() - begin
    first = next(batches(inputs["segmentation"], 1))
    begin = time.perf_counter()
    opened["segmentation"].run(first)
    first_s = time.perf_counter() - begin
    models = {
        name: _timed(network, inputs[name], _batch_of(name, network, job), job["repeat"])
        for name, network in opened.items()
    }
    np.savez(job["outputs"], **_outputs(opened, inputs))
    return {
        "version": version,
        "load_ms": load_s * 1e3,
        "first_call_ms": first_s * 1e3,
        "models": models,
        "libraries_mb": sizes.megabytes(sizes.mapped_libraries() - libraries),
        "peak_rss_mb": peak_rss_mb(),
    }


def _batch_of(model: str, network: Opened, job: Json) -> int:
    """Slices go one by one, but for the book's."""
    return job.get("batch", 1) if model == "segmentation" else network.batch


def _timed(network: Opened, inputs: Any, batch: int, repeat: int) -> Json:
    seconds = call_seconds(network, inputs, batch, repeat)
    each = np.array(seconds) * 1e3 / (batch * network.lanes)
    return {
        "lanes": network.lanes,
        "batch": batch,
        "calls": len(seconds),
        "p50_ms": float(np.percentile(each, 50)),
        "p95_ms": float(np.percentile(each, 95)),
    }


def _outputs(opened: dict[str, Opened], inputs: dict[str, Any]) -> dict[str, Any]:
    """The last output of each model (the probability) for every input."""
    return {
        name: np.concatenate([network.run(each[None])[-1] for each in inputs[name]])
        for name, network in opened.items()
    }


def scan(job: Json) -> Json:
    """A whole scan through :class:`lunart.Runner`: its result, and its masks in a file."""
    runner = Runner(
        job["bundle"],
        engine=job["engine"],
        precision=job["precision"],
        threads=job["threads"],
        region=job["region"],
        all_candidates=True,
        progress="none",
    )
    best: Result | None = None
    for _ in range(job["runs"]):
        result = runner(job["scan"])
        if best is None or result.timings_s.total < best.timings_s.total:
            best = result
    assert best is not None
    region = best.region if job["region"] == "lungs" else np.zeros(0, np.uint8)
    _store_masks(job["masks"], mask=best.threshold_mask, region=region)
    return best.to_dict()


def baseline(job: Json) -> Json:
    """The book's method on a scan, in the form of a result as far as it has one."""
    from lunart.bench.baseline import find

    bundle = Bundle.open(job["bundle"])
    best = None
    for _ in range(job["runs"]):
        found = find(bundle, Path(job["scan"]), job["threads"])
        if best is None or found.seconds["total"] < best.seconds["total"]:
            best = found
    assert best is not None
    none = np.zeros(0, np.bool_)
    _store_masks(job["masks"], mask=none if best.mask is None else best.mask, region=none)
    threshold = bundle.pipeline["nodule_threshold"]
    candidates = [
        {"center_irc": c.center_irc, "voxels": c.voxels, "probability": c.probability}
        for c in best.candidates
    ]
    return {
        "timings_s": best.seconds,
        "threshold": threshold,
        "candidates": candidates,
        "nodules": [c for c in candidates if c["probability"] > threshold],
        "peak_rss_mb": peak_rss_mb(),
        "warnings": [],
    }


def flops(job: Json) -> Json:
    """Operations of a call of each model, by the shapes of its inputs."""
    from lunart.bench.flops import count

    bundle = Bundle.open(job["bundle"])
    return {
        name: count(bundle.model(name).architecture, shape) for name, shape in job["shapes"].items()
    }


TASKS = {"networks": networks, "scan": scan, "baseline": baseline, "flops": flops}


def _store_masks(path: str, **masks: Any) -> None:
    stored: dict[str, Any] = {}
    for name, mask in masks.items():
        stored[name] = np.packbits(mask != 0)
        stored[f"{name}_shape"] = np.array(mask.shape)
    np.savez(path, **stored)


def load_mask(path: Path, name: str) -> Any:
    """A mask that a worker stored."""
    with np.load(path) as stored:
        shape = tuple(stored[f"{name}_shape"])
        bits = np.unpackbits(stored[name], count=int(np.prod(shape)))
    return bits.reshape(shape).astype(bool)


def main() -> int:
    job = json.load(sys.stdin)
    try:
        answer: Json = {"figures": TASKS[job["task"]](job)}
    except (LunartError, ModuleNotFoundError) as error:
        answer = {"error": str(error)}
    except Exception as error:  # one engine's failure is one row's
        answer = {"error": f"{type(error).__name__}: {error}"}
    Path(job["answer"]).write_text(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
