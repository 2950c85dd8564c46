"""What a lower precision changes in a scan's nodules: measured and stated, not judged.

bf16 is the user's choice at run time (``--precision``), so an export does not fail by it: the
manifest says what it did to a generated scan, and a run in a precision that did not give the same
nodules carries a warning.
"""

from __future__ import annotations

from typing import Any

from lunart import Runner
from lunart.bundle import Bundle
from lunart.export.limits import OF_PRECISION
from lunart.phantom import generate
from lunart.registry import engines_of_lower_precisions
from lunart.result import Result
from lunart.verify.nodules import compare_results, dice_of, match

# A thorax with several nodules for the embedded weights, in a second or two of eager PyTorch.
_SEED = 7
_SHAPE_IRC = (64, 192, 192)
_SPACING_XYZ_MM = (1.5, 1.5, 2.5)


def lower_precisions(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """By precision: engine, Dice of the mask, nodules of both, whether they are the same.

    Only precisions that an engine here, this processor and the bundle's artifacts support.
    """
    able = engines_of_lower_precisions(bundle)
    if not able:
        return {}
    phantom = generate(_SEED, shape_irc=_SHAPE_IRC, spacing_xyz_mm=_SPACING_XYZ_MM)

    def run(engine: str, **options: Any) -> Result:
        runner = Runner(bundle.path, engine=engine, all_candidates=True, **options)
        return runner(
            phantom.hu, spacing=phantom.spacing_mm, origin=phantom.origin_mm, progress="none"
        )

    reference = run("eager", threads=1)
    return {
        precision: _statement(reference, run(engine, precision=precision), precision)
        for precision, engine in able.items()
    }


def line_of(precision: str, statement: dict[str, Any]) -> str:
    """The statement for people."""
    same = "the same nodules" if statement["nodules_equal"] else "other nodules"
    return (
        f"[i] {precision} by {statement['engine']}: mask Dice {statement['dice']:.4f}, {same} "
        f"({statement['nodules']}, eager has {statement['eager_nodules']}), probabilities differ "
        f"by at most {statement['probability_difference']:.3f}"
    )


def _statement(reference: Result, result: Result, precision: str) -> dict[str, Any]:
    limits = OF_PRECISION[precision]
    checks = compare_results(precision, reference, result, limits)
    same = next(check.passed for check in checks if check.subject.case == "nodules")
    pairs = match(reference.nodules, result.nodules, limits)
    return {
        "engine": result.engine.name,
        "dice": round(dice_of(reference.threshold_mask, result.threshold_mask)[0], 6),
        "eager_nodules": len(reference.nodules),
        "nodules": len(result.nodules),
        "nodules_equal": same,
        "probability_difference": round(
            max((abs(a.probability - b.probability) for a, b in pairs), default=0.0), 6
        ),
    }
