"""From what is wanted to the report: the program without its options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lunart.data.tables import read_submission
from lunart.errors import UsageError
from lunart.evaluation.cases import Case
from lunart.evaluation.compare import compare
from lunart.evaluation.gather import Wanted, describe, gather_cases, gather_truths
from lunart.evaluation.infer import Inference, Setting
from lunart.evaluation.progress import Progress
from lunart.evaluation.report import Report
from lunart.evaluation.score import Outcome, Rules, Score, score
from lunart.evaluation.submission import outcomes_of


def of_bundles(
    settings: Sequence[Setting], wanted: Wanted, rules: Rules, results: Path | None
) -> Report:
    """Evaluate one bundle, or compare two. ``results`` is a folder where runs are kept, or None.

    Raises the errors of :class:`lunart.Runner` and ``DataError``; says on standard error which scan
    is done.
    """
    runs = {setting: Inference(setting, results) for setting in settings}
    if len(runs) < len(settings):
        raise UsageError(
            f"{settings[0].bundle} with region {settings[0].region} is compared with itself; "
            "give another bundle or --against-region"
        )
    cases = gather_cases(wanted)
    progress = Progress(len(cases) * len(runs), sum(case.slices for case in cases) * len(runs))
    names = _names(list(runs.values()))
    scores: dict[str, Score] = {}
    for name, run in zip(names, runs.values(), strict=True):
        outcomes = [_outcome(run, case, progress) for case in cases]
        scores[name] = score(
            outcomes,
            threshold=run.threshold,
            malignancy_threshold=run.malignancy_threshold,
            rules=rules,
        )
    both = list(scores.values())
    return Report(
        data=describe(wanted, [case.truth for case in cases]),
        rules=rules,
        scores=scores,
        made_by={name: run.to_json() for name, run in zip(names, runs.values(), strict=True)},
        comparison=compare(both[0], both[1], rules.bootstrap) if len(both) == 2 else None,
        notes=tuple(_notes(scores)),
    )


def of_submission(file: Path, threshold: float, wanted: Wanted, rules: Rules) -> Report:
    """Evaluate candidates from a file; nothing is inferred. Raises ``DataError``."""
    marks = read_submission(file)
    truths, known = gather_truths(wanted)
    outcomes, others = outcomes_of(marks, truths, known)
    notes = [f"{others} candidates are of series that are not evaluated"] if others else []
    return Report(
        data=describe(wanted, truths),
        rules=rules,
        scores={file.stem: score(outcomes, threshold=threshold, rules=rules)},
        made_by={file.stem: {"path": str(file), "candidates": len(marks)}},
        notes=tuple(notes),
    )


def _outcome(run: Inference, case: Case, progress: Progress) -> Outcome:
    outcome, fresh = run.outcome(case)
    progress.done(run.threshold, case, outcome, fresh)
    return outcome


def _names(runs: Sequence[Inference]) -> list[str]:
    """Short where that tells them apart."""
    for name_of in (
        lambda run: run.bundle.name,
        lambda run: f"{run.bundle.name}, region {run.setting.region}",
        lambda run: f"{run.setting.bundle}, region {run.setting.region}",
    ):
        names = [name_of(run) for run in runs]
        if len(set(names)) == len(names):
            break
    return names


def _notes(scores: dict[str, Score]) -> Iterable[str]:
    """Warnings of the runs, each once."""
    for name, of in scores.items():
        warnings = Counter(
            warning["code"]
            for scan in of.scans
            if scan.result is not None
            for warning in scan.result["warnings"]
        )
        for code, count in sorted(warnings.items()):
            yield f"{name}: {count} of {len(of.scans)} scans have the warning {code}"
