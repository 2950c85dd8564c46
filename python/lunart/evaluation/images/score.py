"""A bundle over labelled pictures: what it called each, and what follows from that.

The bundle runs as it ships, its own preprocessing and an engine of this machine included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from lunart.bundle import Bundle
from lunart.classifier import Classifier
from lunart.errors import BundleError
from lunart.evaluation.resampling import Bootstrap, Estimate, draws, estimated

_AT_ONCE = 200
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True, eq=False)
class Labelled:
    """``rgb`` (n, rows, cols, 3) uint8; ``label`` (n,) by the names of ``classes``."""

    rgb: NDArray[np.uint8]
    label: NDArray[np.int64]
    classes: tuple[str, ...]

    def of(self, classes: Sequence[str]) -> Labelled:
        """The pictures of some classes, labelled by their order.

        Raises ``BundleError`` when there is none of a class: they are a network's.
        """
        missing = [name for name in classes if name not in self.classes]
        if missing:
            raise BundleError(
                f"tells {', '.join(classes)} apart, and no picture is labelled {missing[0]} "
                f"(there are {', '.join(self.classes)})"
            )
        numbers = np.full(len(self.classes), -1)
        numbers[[self.classes.index(name) for name in classes]] = np.arange(len(classes))
        label = numbers[self.label]
        return Labelled(self.rgb[label >= 0], label[label >= 0], tuple(classes))


@dataclass(frozen=True, eq=False)
class Score:
    """What a bundle made of pictures; ``probability`` is (n, classes)."""

    name: str
    pictures: Labelled
    probability: NDArray[np.float64]
    accuracy: Estimate
    #: Of the network, learnt.
    parameters: int
    #: The best epoch and how many there were, as training recorded; None where it did not.
    epochs: tuple[int, int] | None
    preprocess: Mapping[str, Any]
    engine: str

    @property
    def called(self) -> NDArray[np.int64]:
        """The most probable class of each picture."""
        best: NDArray[np.int64] = self.probability.argmax(1)
        return best

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How many pictures of a class (rows) were called another (columns)."""
        n = len(self.pictures.classes)
        return np.bincount(self.pictures.label * n + self.called, minlength=n * n).reshape(n, n)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "engine": self.engine,
            "classes": list(self.pictures.classes),
            "pictures": len(self.pictures.label),
            "accuracy": self.accuracy.to_json(),
            "confusion": self.confusion.tolist(),
            "parameters": self.parameters,
            "epochs": None if self.epochs is None else list(self.epochs),
            "mean": list(self.preprocess["mean"]),
            "deviation": list(self.preprocess["deviation"]),
        }


def score(
    bundle: Bundle,
    labelled: Labelled,
    *,
    engine: str = "auto",
    bootstrap: Bootstrap | None = None,
) -> Score:
    """Run an image classifier's bundle over the pictures of its classes.

    Raises ``UsageError`` for a bundle of another task, ``BundleError`` for unknown classes.
    """
    classifier = Classifier(bundle.path, engine)
    try:
        pictures = labelled.of(bundle.manifest["classes"])
    except BundleError as error:
        raise BundleError(f"{bundle.path}: {error}") from error
    probability = np.empty((len(pictures.label), len(pictures.classes)))
    ran = engine
    for first in range(0, len(probability), _AT_ONCE):
        for place, found in enumerate(classifier(list(pictures.rgb[first : first + _AT_ONCE]))):
            by_name = {entry.name: entry.probability for entry in found.classes}
            probability[first + place] = [by_name[name] for name in pictures.classes]
            ran = f"{found.engine.name} {found.engine.version}"
    (model,) = bundle.models
    return Score(
        name=bundle.name,
        pictures=pictures,
        probability=probability,
        accuracy=_accuracy(probability.argmax(1) == pictures.label, bootstrap or Bootstrap()),
        parameters=_parameters(bundle.file(bundle.models[model].weights)),
        epochs=_epochs(bundle.models[model].source),
        preprocess=bundle.manifest["preprocess"],
        engine=ran,
    )


def _accuracy(right: NDArray[np.bool_], bootstrap: Bootstrap) -> Estimate:
    """Pictures are drawn one by one: nothing groups them."""
    samples = [right[drawn].mean() for drawn in draws(len(right), bootstrap)]
    return estimated(float(right.mean()), samples, bootstrap)


def _parameters(weights: Path) -> int:
    """What was learnt: not the statistics that batch norms collect."""
    with safe_open(weights, framework="np") as file:
        shapes = [
            file.get_slice(key).get_shape()
            for key in file.keys()  # noqa: SIM118
            if not key.endswith(_STATISTICS)
        ]
    return sum(math.prod(shape) for shape in shapes)


def _epochs(source: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        recorded = source["metadata"]
        return int(recorded["metrics"]["epoch"]), int(recorded["settings"]["settings"]["epochs"])
    except (KeyError, TypeError, ValueError):  # weights of another training
        return None
