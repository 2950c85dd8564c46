"""Proving a bundle: every artifact against eager PyTorch, on every probe, and its weights.

Whatever is wrong with an artifact (it does not load, it refuses a batch, an output is gone) is a
failed check, never a crash. An engine that is not installed is an ``EngineError``: nothing was
checked then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from lunart.bundle import Bundle, Model
from lunart.errors import BundleError, EngineError
from lunart.export.compare import Check, Subject, compare, failed
from lunart.export.compare_names import compare_names
from lunart.export.compare_weights import compare_weights
from lunart.export.probes import Probe
from lunart.export.tasks import task_of
from lunart.networks import NetworkFunction, open_network, torch_threads
from lunart.registry import EAGER, engines_of_artifact


@dataclass(frozen=True)
class Reference:
    """A probe and what eager PyTorch answers."""

    probe: Probe
    outputs: dict[str, NDArray[Any]]


def verify_bundle(bundle: Bundle, threads: int = 1) -> Iterator[Check]:
    """Every model's golden vectors, then each of its artifacts; one check an output and case.

    Of an image classifier its golden picture, too.
    """
    for model in bundle.models.values():
        yield from verify_golden(bundle, model.name, threads)
        references = eager_references(bundle, model.name, threads)
        for artifact in model.artifacts:
            yield from verify_artifact(bundle, model.name, artifact.name, references, threads)
    yield from task_of(bundle).verify_golden(bundle, threads)


def eager_references(bundle: Bundle, model: str, threads: int = 1) -> list[Reference]:
    """Eager PyTorch's answers to the probes, from the bundle's own weights."""
    with torch_threads(threads):
        run = open_network(bundle, model, EAGER, threads)
        return [
            Reference(probe, run(probe.array))
            for probe in task_of(bundle).probes(bundle, bundle.model(model))
        ]


def verify_artifact(
    bundle: Bundle,
    model: str,
    artifact: str,
    references: list[Reference],
    threads: int = 1,
) -> Iterator[Check]:
    """One artifact: its weights, then every output on every probe in every engine that takes it."""
    entry = bundle.model(model)
    # Its own engine first: when that is missing, nothing else need be said.
    engines = sorted(engines_of_artifact(entry, artifact), key=lambda engine: engine != artifact)
    readable = True
    try:
        yield compare_weights(bundle, entry, artifact)
    except Exception as error:  # a damaged artifact can make its reader raise anything
        readable = False
        yield failed(Subject(model, artifact, "weights"), "parameters", _reason(error))
    if readable and entry.artifact(artifact).format == "onnx":
        yield compare_names(bundle, entry, artifact)
    with torch_threads(threads):
        for engine in engines:
            named = "" if engine == artifact else engine
            try:
                run = open_network(bundle, model, engine, threads)
            except Exception as error:
                if isinstance(error, EngineError) and readable and engine == artifact:
                    # PyTorch reads the file, so it is the native engine that is not there.
                    raise
                subject = Subject(model, artifact, "load", engine=named)
                yield failed(subject, "all outputs", _reason(error))
                continue
            for reference in references:
                yield from _check(bundle, entry, artifact, reference, run, named)


def verify_golden(bundle: Bundle, model: str, threads: int = 1) -> Iterator[Check]:
    """Eager PyTorch on this machine against the vectors that the bundle carries."""
    entry = bundle.model(model)
    if model not in bundle.golden.networks:
        raise BundleError(f"{bundle.path}: no golden vectors of model {model!r}; export it again")
    vectors = load_file(bundle.file(bundle.golden.networks[model]))
    with torch_threads(threads):
        run = open_network(bundle, model, EAGER, threads)
        for case in sorted({key.split(".")[0] for key in vectors}):
            named = {
                key.split(".", 1)[1]: value
                for key, value in vectors.items()
                if key.startswith(f"{case}.")
            }
            subject = Subject(model, EAGER, f"golden-{case}")
            wanted = {"input", *(spec.name for spec in entry.signature.outputs)}
            if set(named) != wanted:
                text = f"the golden file holds {sorted(named)}, expected {sorted(wanted)}"
                yield failed(subject, "vectors", text)
                continue
            probe = Probe(f"golden-{case}", named.pop("input"))
            yield from _check(bundle, entry, EAGER, Reference(probe, named), run)


def golden_vectors(bundle: Bundle, model: str, threads: int = 1) -> dict[str, NDArray[Any]]:
    """The vectors to store: ``<case>.input`` and ``<case>.<output>``, float32."""
    with torch_threads(threads):
        run = open_network(bundle, model, EAGER, threads)
        vectors: dict[str, NDArray[Any]] = {}
        for probe in task_of(bundle).golden_probes(bundle, bundle.model(model)):
            vectors[f"{probe.case}.input"] = probe.array
            for name, output in run(probe.array).items():
                vectors[f"{probe.case}.{name}"] = np.ascontiguousarray(output)
        return vectors


def _check(
    bundle: Bundle,
    model: Model,
    artifact: str,
    reference: Reference,
    run: NetworkFunction,
    engine: str = "",
) -> list[Check]:
    probe = reference.probe
    subject = Subject(model.name, artifact, probe.case, probe.array.shape, engine)
    try:
        outputs = run(probe.array)
    except Exception as error:  # an engine's own exceptions
        return [failed(subject, "all outputs", _reason(error))]
    decide = task_of(bundle).decision(bundle, model)
    return compare(subject, reference.outputs, outputs, model.signature.outputs, decide)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
