"""The same pictures through every engine of an image classifier, against eager PyTorch.

All engines decode and preprocess in the one C++ core; decoded pixels are compared first all the
same, because a difference there says nothing of a network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lunart.bundle import Bundle
from lunart.classification import Classification
from lunart.classifier import Classifier
from lunart.errors import BundleError, LunartError
from lunart.export.compare import Check, Subject, failed
from lunart.export.limits import F32, OF_PRECISION, Limits
from lunart.registry import EAGER, engines_in, engines_of_artifact
from lunart.runner import Precision


@dataclass(frozen=True)
class Answer:
    """What was seen of a picture, and what it was taken for."""

    picture: str
    decoded_sha256: str
    #: By class, falling.
    probabilities: Mapping[str, float]

    @classmethod
    def of(cls, found: Classification) -> Answer:
        """Of a run."""
        return cls(
            picture=found.image.path or "the picture",
            decoded_sha256=found.decoded_sha256,
            probabilities={entry.name: entry.probability for entry in found.classes},
        )

    @classmethod
    def recorded(cls, path: Path) -> Answer:
        """Of a bundle's golden picture. Raises ``BundleError``."""
        try:
            data = json.loads(path.read_bytes())
            probabilities = {
                str(entry["name"]): float(entry["probability"]) for entry in data["classes"]
            }
            return cls("the golden picture", str(data["decoded_sha256"]), probabilities)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BundleError(f"{path}: is no classification ({error!r}); export again") from error

    def difference(self, other: Answer) -> float:
        """The largest of a class's probability; infinite when the classes are others."""
        if set(self.probabilities) != set(other.probabilities):
            return math.inf
        return max(abs(p - other.probabilities[name]) for name, p in self.probabilities.items())

    def is_taken_alike(self, other: Answer, limits: Limits) -> bool:
        """Whether the most probable class is the same, or nearly as probable in the other."""
        best = next(iter(self.probabilities), "")
        behind = max(other.probabilities.values()) - other.probabilities.get(best, -math.inf)
        return behind <= 2 * limits.probability


def verify_pictures(
    bundle: Bundle,
    pictures: Sequence[Path],
    *,
    threads: int | None = None,
    precision: Precision = "f32",
) -> Iterator[Check]:
    """The pixels and the probabilities of all pictures, one check each an engine.

    Raises the errors of :class:`lunart.Classifier` when a picture cannot be used, ``EngineError``
    when no engine has the precision.
    """
    engines = engines_in(bundle, precision)

    def run(engine: str, precision: Precision) -> list[Answer]:
        classifier = Classifier(bundle.path, engine, precision=precision, threads=threads)
        return [Answer.of(found) for found in classifier(list(pictures))]

    reference = run(EAGER, "f32")
    for engine in engines:
        subject = Subject("pipeline", engine, "pictures")
        try:
            found = run(engine, precision)
        except LunartError as error:
            yield failed(subject, "classes", str(error))
            continue
        yield from compare_answers(subject, reference, found, OF_PRECISION[precision])


def verify_golden_picture(bundle: Bundle, threads: int = 1) -> Iterator[Check]:
    """The bundle's own picture against its recorded result: eager, then every artifact.

    Raises ``BundleError`` when the bundle has none.
    """
    image, result = bundle.golden.image, bundle.golden.result
    if image is None or result is None:
        raise BundleError(f"{bundle.path}: no golden picture; export it again")
    recorded = Answer.recorded(bundle.file(result))
    (model,) = bundle.models.values()
    runs = [(EAGER, EAGER)]
    for artifact in model.artifacts:
        runs += [(artifact.name, engine) for engine in engines_of_artifact(model, artifact.name)]
    for artifact_name, engine in runs:
        named = "" if engine == artifact_name else engine
        subject = Subject(model.name, artifact_name, "golden-picture", engine=named)
        try:
            found = Answer.of(Classifier(bundle.path, engine, threads=threads)(bundle.file(image)))
        except LunartError as error:
            yield failed(subject, "classes", str(error))
            continue
        yield from compare_answers(subject, [recorded], [found], F32)


def compare_answers(
    subject: Subject, reference: Sequence[Answer], found: Sequence[Answer], limits: Limits
) -> Iterator[Check]:
    """Decoded pixels, then the classes, over all pictures; the worst is named."""
    pairs = list(zip(reference, found, strict=True))
    other = [ours for ours, theirs in pairs if ours.decoded_sha256 != theirs.decoded_sha256]
    text = f"{len(other)} of {len(pairs)} pictures differ"
    if other:
        text += f", the first {other[0].picture}"
    yield Check(subject, "pixels", not other, text, max_abs=float(len(other)))
    apart = [ours.difference(theirs) for ours, theirs in pairs]
    worst = max(apart, default=0.0)
    flips = sum(not ours.is_taken_alike(theirs, limits) for ours, theirs in pairs)
    text = f"probabilities differ by at most {worst:.2e}, {flips} other classes"
    if worst > limits.probability or flips:
        text += f", the worst {pairs[apart.index(worst)][0].picture}"
    passed = worst <= limits.probability and not flips
    yield Check(subject, "classes", passed, text, max_abs=worst, flips=flips)
