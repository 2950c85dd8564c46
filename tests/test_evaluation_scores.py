"""The book's table, masks, malignancy, candidates and comparisons, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from lunart.data.tables import Malignancy
from lunart.evaluation.candidates import candidate_report
from lunart.evaluation.compare import compare
from lunart.evaluation.confusion import confusion
from lunart.evaluation.findings import Call, Nodule, ScanTruth
from lunart.evaluation.malignancy import malignancy_report
from lunart.evaluation.matching import match
from lunart.evaluation.overlap import Overlap, overlap, overlaps_of, pooled
from lunart.evaluation.resampling import Bootstrap
from lunart.evaluation.score import Outcome, Rules, score

FEW = Bootstrap(resamples=50)
BENIGN, MALIGNANT, BETWEEN = (1, 2, 2), (5, 4, 3), (3, 3, 4)


def nodule(x, diameter, ratings=None):
    center = (float(x), 0.0, 0.0)
    rated = None if ratings is None else Malignancy("A", center, diameter, ratings)
    return Nodule(center, diameter, rated)


def scan(*nodules, name="A", excluded=()):
    return ScanTruth(name, f"patient of {name}", nodules, excluded)


def call(x, probability, malignancy=None, diameter=8.0):
    return Call((float(x), 0.0, 0.0), probability, malignancy, diameter)


def table(*scans, malignancy_threshold=None):
    return confusion(scans, threshold=0.5, malignancy_threshold=malignancy_threshold).rows


def test_the_books_table_by_hand():
    """Called, dropped and never segmented nodules of each kind, and three false candidates."""
    truth = scan(
        nodule(0, 10, BENIGN), nodule(100, 10, MALIGNANT), nodule(200, 10, MALIGNANT),
        nodule(300, 10, BENIGN), nodule(400, 10),
    )  # fmt: skip
    found = [
        call(6.9, 0.9, 0.2),  # within 0.7 diameters, though beyond the radius
        call(100, 0.5, None),  # at the threshold: dropped
        call(201, 0.6, 0.3), call(199, 0.7, 0.8),  # the highest counts
        call(400, 0.9, 0.9),
        call(907, 0.8, 0.6), call(950, 0.9, 0.5), call(990, 0.1),
    ]  # fmt: skip
    assert table((truth, found), malignancy_threshold=0.5) == {
        "non-nodule": (None, 1, 1, 1),
        "benign": (1, 0, 1, 0),
        "malignant": (0, 1, 0, 1),
        "not rated": (0, 0, 0, 1),
    }
    assert table((truth, found)) == {
        "non-nodule": (None, 1, 2),
        "benign": (1, 0, 1),
        "malignant": (0, 1, 1),
        "not rated": (0, 0, 1),
    }


def test_in_the_books_table_seven_tenths_are_beyond():
    assert table((scan(nodule(0, 10, BENIGN)), [call(7, 0.9)])) == {
        "non-nodule": (None, 0, 1),
        "benign": (1, 0, 0),
        "malignant": (0, 0, 0),
    }


def test_the_books_table_of_a_scan_without_anything():
    assert table((scan(), [])) == {
        "non-nodule": (None, 0, 0),
        "benign": (0, 0, 0),
        "malignant": (0, 0, 0),
    }


def test_the_books_table_knows_no_excluded_findings():
    truth = scan(excluded=(nodule(0, 10),))
    assert table((truth, [call(0, 0.9)]))["non-nodule"] == (None, 0, 1)


@pytest.mark.parametrize(
    ("ratings", "row"), [((4, 4, 1, 1), "malignant"), ((5, 3, 3, 3), "benign"), ((), "not rated")]
)
def test_malignant_in_the_book_is_what_two_readers_rated_4_or_more(ratings, row):
    assert table((scan(nodule(0, 10, ratings)), []))[row][0] == 1


def test_overlap_by_hand():
    ours = np.array([1, 1, 1, 0, 0], np.uint8)
    theirs = np.array([0, 0, 2, 1, 0], np.uint8)
    counted = overlap(ours, theirs)
    assert counted == Overlap(both=1, ours=2, theirs=1)
    assert (counted.recall, counted.precision, counted.dice) == (1 / 2, 1 / 3, 2 / 5)


def test_overlap_of_nothing_is_undefined():
    nothing = Overlap(0, 0, 0)
    assert nothing.to_json() == {
        "voxels": {"both": 0, "ours": 0, "theirs": 0},
        "recall": None,
        "precision": None,
        "dice": None,
    }
    assert pooled([{"segmented": nothing}], "segmented").dice.value is None


def test_pooled_overlap_counts_voxels_of_all_scans():
    scans = [
        {"called": Overlap(90, 0, 10)},
        {"called": Overlap(0, 50, 0)},
        {"called": Overlap(0, 0, 0)},
    ]
    found = pooled(scans, "called", FEW)
    assert found.recall.value == 0.9
    assert found.precision.value == pytest.approx(90 / 140)
    assert found.dice.value == 0.75
    assert found.recall.resamples < 50, "a resample without marked voxels has no recall"


def test_masks_are_turned_to_lps_before_they_are_compared():
    """A scan stored upside down, in which readers marked one voxel."""
    segmented = np.zeros((4, 3, 3), np.uint8)
    segmented[3, 0, 0] = 1  # the lowest slice as stored last, first in LPS
    labels = np.zeros((4, 3, 3), np.uint32)
    labels[3, 0, 0] = 7
    result = SimpleNamespace(
        threshold_mask=segmented,
        mask=labels,
        nodules=[SimpleNamespace(label=7)],
        scan=SimpleNamespace(
            shape_irc=(4, 3, 3),
            spacing_mm=(1.0, 1.0, 1.0),
            origin_mm=(0.0, 0.0, 0.0),
            direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
        ),
    )
    truth = np.zeros((4, 3, 3), np.uint8)
    truth[0, 0, 0] = 1
    found = overlaps_of(result, truth)
    assert found == {"segmented": Overlap(1, 0, 0), "called": Overlap(1, 0, 0)}
    labels[3, 0, 0] = 6  # a candidate that is no nodule
    assert overlaps_of(result, truth)["called"] == Overlap(0, 0, 1)


def test_malignancy_is_compared_on_called_nodules_that_readers_leaned_on():
    truth = scan(
        nodule(0, 6, BENIGN), nodule(50, 9, BENIGN), nodule(100, 8, MALIGNANT),
        nodule(150, 30, BETWEEN), nodule(200, 30), nodule(250, 30, MALIGNANT),
    )  # fmt: skip
    found = [
        call(0, 0.9, 0.1, 5.0), call(50, 0.9, 0.2, 6.0), call(100, 0.6, 0.1),
        call(101, 0.8, 0.7, 7.0),
        call(150, 0.9, 0.9), call(200, 0.9, 0.9), call(250, 0.3),
    ]  # fmt: skip
    report = malignancy_report([(truth, found)], FEW)
    assert len(report.ratings) == 3
    assert report.leaning == 4
    assert report.network.value == 1
    assert report.diameter.value == 0.5
    assert report.measured_diameter.value == 1
    assert report.above_diameter.value == 0.5
    assert report.network.low is None, "one patient has no interval"
    assert report.to_json()["not_called"] == 1


def test_malignancy_of_one_class_is_undefined():
    report = malignancy_report([(scan(nodule(0, 6, BENIGN)), [call(0, 0.9, 0.1)])])
    assert report.network.value is report.above_diameter.value is None
    assert malignancy_report([(scan(), [])]).leaning == 0


def test_candidates_are_judged_without_those_in_excluded_findings():
    truth = scan(nodule(0, 10), excluded=(nodule(50, 10),))
    found = [call(0, 0.9), call(1, 0.2), call(50, 1.0), call(90, 0.5), call(91, 0.05)]
    report = candidate_report([match(truth, found)], FEW)
    assert (report.count, report.in_nodules, report.second_hits, report.ignored) == (5, 2, 1, 1)
    assert report.auc.value == 0.75
    assert report.brier == pytest.approx((0.1**2 + 0.8**2 + 0.5**2 + 0.05**2) / 4)
    assert [(b.low, b.candidates, b.nodules) for b in report.reliability] == [
        (0.0, 1, 0.0), (0.2, 1, 1.0), (0.5, 1, 0.0), (0.9, 1, 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_ends_of_the_scale_are_in_a_bin(probability):
    [one] = candidate_report([match(scan(), [call(0, probability)])]).reliability
    assert one.candidates == 1


def test_scores_that_are_no_probabilities_have_no_reliability():
    report = candidate_report([match(scan(), [call(0, 12.0)])])
    assert report.brier is None
    assert report.reliability == ()


def scored(*scans):
    outcomes = [Outcome(truth, tuple(found)) for truth, found in scans]
    return score(outcomes, threshold=0.5, rules=Rules(bootstrap=FEW))


def test_two_bundles_are_compared_scan_by_scan():
    a, b = scan(nodule(0, 10), nodule(50, 10)), scan(nodule(0, 10), name="B")
    ours = scored((a, [call(0, 0.9), call(90, 0.9)]), (b, [call(0, 0.9)]))
    theirs = scored((a, [call(50, 0.9)]), (b, [call(70, 0.9), call(90, 0.6), call(95, 0.4)]))
    found = compare(ours, theirs, FEW)
    assert [(s.series_uid, s.nodules, s.found, s.false_calls) for s in found.scans] == [
        ("A", 2, (1, 1), (1, 0)),
        ("B", 1, (1, 0), (0, 2)),
    ]
    assert found.only == (2, 1)
    assert found.sensitivity_difference.value == pytest.approx(1 / 3)
    assert found.false_call_ratio.value == 0.5


def test_a_ratio_over_no_false_calls_is_undefined():
    one = scored((scan(), []))
    assert compare(one, one).false_call_ratio.value is None


def test_the_limit_of_marks_is_the_frocs_alone():
    many = [call(900 + k, 0.9) for k in range(150)]
    limited = scored((scan(nodule(0, 10)), [*many, call(0, 0.6)]), (scan(name="B"), []))
    assert limited.operating.false_calls == 150
    assert limited.operating.found == 1
    assert limited.froc.sensitivity[-1] == 0, "the 100 most suspicious are all equal, and cut"
