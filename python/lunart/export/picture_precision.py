"""What a lower precision changes in what pictures show: measured and stated, not judged.

As for nodules (``nodule_precision.py``): the manifest says what bf16 did to generated pictures, and
a run in a precision that gave other classes carries a warning.
"""

from __future__ import annotations

from typing import Any

from lunart import Classifier
from lunart.bundle import Bundle
from lunart.export.limits import OF_PRECISION
from lunart.export.picture_probes import size_of_picture
from lunart.export.pictures import pattern
from lunart.registry import EAGER, engines_of_lower_precisions
from lunart.verify.pictures import Answer

_PICTURES = 32


def lower_precisions(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """By precision: engine, pictures, whether the classes are the same, and how far apart.

    Only precisions that an engine here, this processor and the bundle's artifacts support.
    """
    able = engines_of_lower_precisions(bundle)
    if not able:
        return {}
    (model,) = bundle.models.values()
    size = size_of_picture(bundle, model)
    pictures = [pattern(*size, seed) for seed in range(_PICTURES)]

    def run(engine: str, **options: Any) -> list[Answer]:
        return [Answer.of(found) for found in Classifier(bundle.path, engine, **options)(pictures)]

    reference = run(EAGER, threads=1)
    statements = {}
    for precision, engine in able.items():
        pairs = list(zip(reference, run(engine, precision=precision), strict=True))
        limits = OF_PRECISION[precision]
        statements[precision] = {
            "engine": engine,
            "pictures": len(pairs),
            "classes_equal": all(ours.is_taken_alike(theirs, limits) for ours, theirs in pairs),
            "probability_difference": round(max(a.difference(b) for a, b in pairs), 6),
        }
    return statements


def line_of(precision: str, statement: dict[str, Any]) -> str:
    """The statement for people."""
    same = "the same classes" if statement["classes_equal"] else "other classes"
    return (
        f"[i] {precision} by {statement['engine']}: {same} on {statement['pictures']} generated "
        f"pictures, probabilities differ by at most {statement['probability_difference']:.3f}"
    )
