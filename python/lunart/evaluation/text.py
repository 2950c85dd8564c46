"""A score as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lunart.evaluation.candidates import CandidateReport
from lunart.evaluation.compare import Comparison
from lunart.evaluation.confusion import HIT_DIAMETERS, Confusion
from lunart.evaluation.froc import RATES, Froc
from lunart.evaluation.malignancy import MalignancyReport
from lunart.evaluation.operating import OperatingPoint
from lunart.evaluation.overlap import PooledOverlap
from lunart.evaluation.score import UNDEFINED, Score

_UID_TAIL = 16
# More scans than this are in the JSON alone.
_SCANS_SHOWN = 40


def lines_of(score: Score) -> Iterable[str]:
    """What the program prints of one bundle."""
    if len(score.scans) <= _SCANS_SHOWN:
        yield from _scans(score)
        yield ""
    yield _operating(score.operating, len(score.scans))
    yield from _froc(score.froc)
    yield _candidates(score.candidates)
    yield ""
    yield from _confusion(score.confusion)
    if score.segmentation is not None:
        yield ""
        sources = Counter(scan.reference for scan in score.scans)
        yield "masks against " + ", ".join(f"{what} ({n} scans)" for what, n in sources.items())
        for name, pooled in score.segmentation.items():
            yield _segmentation(name, pooled)
    if score.malignancy is not None:
        yield ""
        yield from _malignancy(score.malignancy)


def lines_of_comparison(comparison: Comparison, names: tuple[str, str]) -> Iterable[str]:
    """The two bundles beside each other, scan by scan."""
    yield f"A: {names[0]}"
    yield f"B: {names[1]}"
    rows = [(_short(s.series_uid), s.nodules, s.found, s.false_calls) for s in comparison.scans]
    total = (
        "all",
        sum(s.nodules for s in comparison.scans),
        _sums(s.found for s in comparison.scans),
        _sums(s.false_calls for s in comparison.scans),
    )
    shown = rows if len(rows) <= _SCANS_SHOWN else []
    yield from _table(
        (
            "scan",
            "nodules",
            *(f"{what} {of}" for what in ("found", "missed", "false") for of in "AB"),
        ),
        [
            (name, nodules, *found, *(nodules - one for one in found), *false)
            for name, nodules, found, false in [*shown, total]
        ],
    )
    a, b = comparison.only
    yield f"only A finds {a} nodules, only B {b}"
    yield f"sensitivity of A less B: {comparison.sensitivity_difference}"
    yield f"false calls of A over B: {comparison.false_call_ratio}"


def _scans(score: Score) -> Iterable[str]:
    threshold = score.operating.threshold
    rows = [
        (
            _short(match.series_uid),
            len(match.best),
            match.found(threshold),
            len(match.best) - match.found(threshold),
            match.false_calls(threshold),
            len(match.probability),
            *(
                ()
                if scan.overlaps is None
                else (
                    _share(scan.overlaps["segmented"].recall),
                    _share(scan.overlaps["called"].dice),
                )
            ),
        )
        for scan, match in zip(score.scans, score.matches, strict=True)
    ]
    columns = ("scan", "nodules", "found", "missed", "false calls", "candidates")
    masks = ("mask recall", "Dice of calls") if score.segmentation is not None else ()
    yield from _table((*columns, *masks), rows)


def _operating(point: OperatingPoint, scans: int) -> str:
    found = (
        f"found {point.found} of {point.nodules} nodules, sensitivity {point.sensitivity}"
        if point.nodules
        else "no annotated nodules"
    )
    return (
        f"above {point.threshold:g}: {found}; {point.false_calls} false calls in {scans} scans, "
        f"{point.false_calls_per_scan} a scan"
    )


def _froc(froc: Froc | None) -> Iterable[str]:
    if froc is None:
        yield UNDEFINED
        return
    yield "FROC by LUNA16's rule: sensitivity at false positives a scan"
    for rate, sensitivity in zip(RATES, froc.at_rates, strict=True):
        yield f"  {rate:5g}  {sensitivity}"
    yield f"  CPM    {froc.cpm}"


def _candidates(report: CandidateReport) -> str:
    text = (
        f"{report.count} candidates: {report.in_nodules} in nodules ({report.second_hits} second "
        f"hits), {report.ignored} in excluded findings; AUC of their probability {report.auc}"
    )
    return text if report.brier is None else f"{text}, Brier score {report.brier:.4f}"


def _confusion(table: Confusion) -> Iterable[str]:
    yield f"the book's table (hit within {HIT_DIAMETERS} diameters, not LUNA16's rule):"
    rows = [
        (name, *("" if count is None else count for count in counts))
        for name, counts in table.rows.items()
    ]
    yield from _table(("", *table.columns), rows)


def _segmentation(name: str, pooled: PooledOverlap) -> str:
    return (
        f"  {name} voxels: recall {pooled.recall}, precision {pooled.precision}, Dice {pooled.dice}"
    )


def _malignancy(report: MalignancyReport) -> Iterable[str]:
    called = len(report.ratings)
    if not report.leaning:
        yield "malignancy: readers leaned on no nodule here"
        return
    yield (
        f"malignancy: {called} of {report.leaning} nodules that readers leaned on were called, "
        f"{sum(rating.malignant for rating in report.ratings)} of them malignant"
    )
    if report.network.value is None:
        yield "  AUC is not defined without both malignant and benign ones"
        return
    yield f"  AUC of the network            {report.network}"
    yield f"  AUC of the readers' diameter  {report.diameter}"
    yield f"  AUC of the measured diameter  {report.measured_diameter}"
    yield f"  network less readers' diameter   {report.above_diameter}"
    yield f"  network less measured diameter   {report.above_measured_diameter}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterable[str]:
    cells = [list(map(str, row)) for row in rows]
    widths = [max(len(row[k]) for row in [list(columns), *cells]) for k in range(len(columns))]
    for row in [list(columns), *cells]:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([row[0].ljust(len(first)), *others]).rstrip()


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _short(series_uid: str) -> str:
    """The end of a UID, which tells scans apart."""
    return series_uid if len(series_uid) <= _UID_TAIL else f"…{series_uid[-_UID_TAIL:]}"


def _sums(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    a, b = zip(*pairs, strict=True)
    return sum(a), sum(b)
