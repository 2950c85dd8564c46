"""Which rows there are: every engine and precision that could run a bundle, and why one cannot."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from lunart.bench.figures import Row
from lunart.bundle import Bundle
from lunart.callables import PYTHON_ENGINES
from lunart.errors import UsageError
from lunart.registry import EAGER, engines, runs_in_python

BASELINE = "baseline"


def rows(
    bundle: Bundle, wanted: Sequence[str] | None, precision: str | None, *, baseline: bool
) -> list[Row]:
    """The rows to measure, those that cannot be with their reason in ``error``.

    ``wanted`` None: all. ``precision`` None: all that an engine has. Raises ``UsageError`` for an
    engine that nothing has.
    """
    every = [*_native(bundle), *_python(bundle)]
    known = list(dict.fromkeys(row.engine for row in every))
    for name in wanted or ():
        if name not in known:
            raise UsageError(f"no engine is called {name!r}; --engines takes {', '.join(known)}")
    chosen = [
        row
        for row in every
        if (wanted is None or row.engine in wanted) and precision in (None, row.precision)
    ]
    if wanted is not None and precision is not None:
        # What was asked for by name and cannot be is said, too.
        for name in wanted:
            if name not in {row.engine for row in chosen}:
                chosen.append(
                    Row(name, precision, "native", error=f"{name} does not compute in {precision}")
                )
    if not chosen:
        raise UsageError(f"no engine here computes in {precision}; try --precision f32")
    return chosen + ([Row(BASELINE, "f32", "book")] if baseline else [])


def _native(bundle: Bundle) -> list[Row]:
    found = []
    for status in engines():
        artifact = _artifact(bundle, status.artifacts)
        if runs_in_python(status.name):
            continue
        if not status.supported:
            found.append(Row(status.name, "f32", "native", error=status.why_not))
        elif artifact is None:
            wanted = " or ".join(status.artifacts)
            why = f"the bundle has no {wanted} of every model; export it with luna-export --format"
            found.append(Row(status.name, "f32", "native", status.version, error=why))
        else:
            for precision in status.precisions:
                row = Row(status.name, precision, "native", status.version, artifact)
                row.artifact_mb = _artifact_mb(bundle, artifact)
                found.append(row)
    return found


def _python(bundle: Bundle) -> list[Row]:
    """Python's own engines, but for those that run natively here."""
    found = []
    for name, (artifact, package, extra) in PYTHON_ENGINES.items():
        if not runs_in_python(name):
            continue
        row = Row(name, "f32", "python", artifact=artifact)
        if find_spec(package) is None:
            row.error = f"{package} is not installed: pip install 'lunart[{extra}]'"
        elif name != EAGER and _artifact(bundle, [artifact]) is None:
            row.error = f"the bundle has no {artifact}; export it with luna-export --format"
        else:
            row.artifact_mb = _artifact_mb(bundle, artifact)
        found.append(row)
    return found


def _artifact(bundle: Bundle, names: Sequence[str]) -> str | None:
    """The first of these artifacts that every model has."""
    for name in names:
        if all(name in [a.name for a in model.artifacts] for model in bundle.models.values()):
            return name
    return None


def _artifact_mb(bundle: Bundle, name: str) -> float:
    """Of all models together; eager runs from the weights."""
    entries = [
        model.weights if name == EAGER else model.artifact(name).entry
        for model in bundle.models.values()
    ]
    return sum(entry.bytes for entry in entries) / 1e6
