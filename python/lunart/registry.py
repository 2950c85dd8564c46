"""The engines that run here: the core's, and Python's own.

The core's list stands in ``cpp/src/engines/registry.cpp``, in the order of ``auto``. Python has
``eager`` besides, and stands in for ONNX Runtime where the core was built without it: the session
of the wheel runs the same artifact.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from lunart import _core
from lunart.bundle import Bundle, Model
from lunart.errors import EngineError

#: PyTorch rebuilt from the bundle's weights, the reference of every proof.
EAGER = "eager"
ONNXRUNTIME = "onnxruntime"


@dataclass(frozen=True)
class EngineStatus:
    """A native engine: what it runs of a bundle, and whether it runs here or why not."""

    name: str
    #: Of a bundle that it can run, the preferred first.
    artifacts: tuple[str, ...]
    #: That it computes in on this processor.
    precisions: tuple[str, ...]
    #: Is part of this build.
    built: bool
    #: And runs here.
    supported: bool
    #: Of its library; empty when not supported.
    version: str
    #: With the way out; empty when supported.
    why_not: str


def engines() -> list[EngineStatus]:
    """The native engines in the order in which ``auto`` tries them. Opens their libraries."""
    return _statuses()


def runs_in_python(engine: str) -> bool:
    """Whether the networks of an engine are Python functions that the core calls back."""
    if engine != ONNXRUNTIME:
        return engine == EAGER
    # Who names a library wants that one: then the core says what is wrong with it.
    return not os.environ.get("LUNART_ONNXRUNTIME") and not _statuses(engine)[0].supported


def engines_of(bundle: Bundle) -> list[str]:
    """What can run the whole bundle here besides eager."""
    able = _able()
    return [
        engine.name
        for engine in able
        if all(_preferred(engine, model) for model in bundle.models.values())
    ]


def engines_in(bundle: Bundle, precision: str) -> list[str]:
    """What can run the whole bundle here in that precision, besides eager.

    Raises ``EngineError`` when nothing has it.
    """
    able = engines_of(bundle)
    if precision == "f32":
        return able
    having = {engine.name for engine in engines() if precision in engine.precisions}
    able = [engine for engine in able if engine in having]
    if not able:
        raise EngineError(f"no engine here runs this bundle in {precision}; leave it out")
    return able


def engines_of_lower_precisions(bundle: Bundle) -> dict[str, str]:
    """By precision other than f32 that this processor has: the first engine of ``auto``."""
    names = engines_of(bundle)
    return {
        precision: engine.name
        for engine in reversed(engines())
        if engine.name in names
        for precision in engine.precisions
        if precision != "f32"
    }


def engines_of_artifact(model: Model, artifact: str) -> list[str]:
    """The engines that take this artifact of the model here. Raises ``EngineError`` without any."""
    able = [engine.name for engine in _able() if _preferred(engine, model) == artifact]
    if able:
        return able
    native = [engine for engine in engines() if artifact in engine.artifacts]
    reasons = [engine.why_not for engine in native if engine.why_not]
    why = "; ".join(reasons) or "no engine of this lunart knows it"
    raise EngineError(f"nothing here can run the artifact {artifact}: {why}")


def _statuses(name: str | None = None) -> list[EngineStatus]:
    return [
        EngineStatus(
            name=engine["name"],
            artifacts=tuple(engine["artifacts"]),
            precisions=tuple(engine["precisions"]),
            built=engine["built"],
            supported=engine["supported"],
            version=engine["version"],
            why_not=engine["why_not"],
        )
        for engine in _core.engines(name)
    ]


def _able() -> Iterable[EngineStatus]:
    for engine in engines():
        in_python = engine.name == ONNXRUNTIME and runs_in_python(engine.name)
        if engine.supported or (in_python and find_spec("onnxruntime") is not None):
            yield engine


def _preferred(engine: EngineStatus, model: Model) -> str | None:
    """What the engine loads of a model."""
    held = {artifact.name for artifact in model.artifacts}
    return next((name for name in engine.artifacts if name in held), None)
