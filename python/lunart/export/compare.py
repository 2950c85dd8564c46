"""Comparing an artifact's outputs with eager PyTorch's: plain numbers and a verdict.

A value may differ by ``max_abs`` (scaled by the largest reference where that is above one, so that
logits are judged like probabilities); normalised mean-square error is the sum of squared
differences over the sum of squared references, as in llama.cpp's cross-engine tests, the latter
at least 0.01 a value: where every probability is near zero, as on air, the ratio of two rounding
errors would be judged. NaN or infinity anywhere fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart.bundle import TensorSpec
from lunart.export.limits import F32, LEAST_POWER, Limits

#: What is made of an array of probabilities, for counting flips.
Decision = Callable[[NDArray[Any]], NDArray[Any]]


def above(threshold: float) -> Decision:
    """Whether each value is."""
    return lambda probability: probability > threshold


def most_probable(probability: NDArray[Any]) -> NDArray[Any]:
    """The class of each row."""
    classes: NDArray[Any] = probability.argmax(axis=1)
    return classes


@dataclass(frozen=True)
class Subject:
    """What a check is about: an artifact of a model, a case and the shape of its input.

    ``engine`` is the one that ran it, empty where that is called as the artifact.
    """

    model: str
    artifact: str
    case: str
    shape: tuple[int, ...] = ()
    engine: str = ""

    def __str__(self) -> str:
        shape = "x".join(str(size) for size in self.shape)
        engine = f"({self.engine})" if self.engine else ""
        return " ".join(filter(None, (f"{self.model}/{self.artifact}", engine, self.case, shape)))


@dataclass(frozen=True)
class Check:
    """One output of one case, or the weights of an artifact. ``text`` is the finding in words."""

    subject: Subject
    output: str
    passed: bool
    text: str
    max_abs: float = 0.0
    max_rel: float = 0.0
    nmse: float = 0.0
    flips: int = 0

    @property
    def line(self) -> str:
        """The tick line for people."""
        return f"[{'✓' if self.passed else '✗'}] {self.subject} {self.output}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        """As in the manifest; a number that is not finite (only in a failed check) is null."""
        numbers = {"max_abs": self.max_abs, "max_rel": self.max_rel, "nmse": self.nmse}
        return {
            "model": self.subject.model,
            "artifact": self.subject.artifact,
            **({"engine": self.subject.engine} if self.subject.engine else {}),
            "case": self.subject.case,
            "output": self.output,
            **{key: value if math.isfinite(value) else None for key, value in numbers.items()},
            "flips": self.flips,
            "passed": self.passed,
            **({} if self.passed else {"reason": self.text}),
        }


def failed(subject: Subject, output: str, text: str) -> Check:
    """A check that found no numbers to compare."""
    return Check(subject, output, False, text, math.inf, math.inf, math.inf)


def compare(
    subject: Subject,
    reference: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
    specs: tuple[TensorSpec, ...],
    decide: Decision,
    limits: Limits = F32,
) -> list[Check]:
    """One check for every output that the manifest names, and one for every surplus output.

    ``decide`` is what the pipeline makes of a probability, for counting flips.
    """
    checks = []
    for spec in specs:
        if spec.name not in outputs:
            there = ", ".join(outputs) or "none"
            checks.append(failed(subject, spec.name, f"output is missing (outputs: {there})"))
            continue
        made = decide if spec.units == "probability" else None
        checks.append(
            _compare_one(subject, spec, reference[spec.name], outputs[spec.name], made, limits)
        )
    known = {spec.name for spec in specs}
    checks.extend(
        failed(subject, name, "an output that the manifest does not name")
        for name in outputs
        if name not in known
    )
    return checks


def _compare_one(
    subject: Subject,
    spec: TensorSpec,
    reference: NDArray[Any],
    output: NDArray[Any],
    decide: Decision | None,
    limits: Limits,
) -> Check:
    if output.shape != reference.shape:
        text = f"shape is {_shape(output)}, expected {_shape(reference)}"
        return failed(subject, spec.name, text)
    if output.dtype != np.dtype(spec.dtype):
        return failed(subject, spec.name, f"dtype is {output.dtype}, expected {spec.dtype}")
    for what, array in (("eager", reference), ("artifact", output)):
        bad = int(np.count_nonzero(~np.isfinite(array)))
        if bad:
            return failed(subject, spec.name, f"{bad} NaN or infinite values from the {what}")
    expected = reference.astype(np.float64)
    difference = np.abs(output.astype(np.float64) - expected)
    largest = float(np.abs(expected).max(initial=0.0))
    max_abs = float(difference.max(initial=0.0))
    # Relative to no less than the limit: the ratio of two rounding errors says nothing.
    max_rel = float((difference / np.maximum(np.abs(expected), limits.max_abs)).max(initial=0.0))
    power = max(float(np.sum(expected**2)), LEAST_POWER * expected.size)
    nmse = float(np.sum(difference**2)) / power
    flips = 0
    if decide is not None:
        flips = int(np.count_nonzero(decide(output) != decide(reference)))
    allowed = limits.max_abs * max(1.0, largest)
    reasons = []
    if max_abs > allowed:
        reasons.append(f"max abs {max_abs:.2e} above {allowed:.1e}")
    if nmse > limits.nmse:
        reasons.append(f"nmse {nmse:.2e} above {limits.nmse:.1e}")
    numbers = f"max abs {max_abs:.2e}, max rel {max_rel:.2e}, nmse {nmse:.2e}, {flips} flips"
    text = f"{'; '.join(reasons)} ({numbers})" if reasons else numbers
    return Check(subject, spec.name, not reasons, text, max_abs, max_rel, nmse, flips)


def _shape(array: NDArray[Any]) -> str:
    return "x".join(str(size) for size in array.shape) or "a scalar"
