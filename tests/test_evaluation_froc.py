"""LUNA16's rule and FROC, against cases computed by hand and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from lunart.evaluation.findings import Call, Nodule, ScanTruth, without_small
from lunart.evaluation.froc import RATES, froc
from lunart.evaluation.matching import match, most_suspicious
from lunart.evaluation.operating import operating_point
from lunart.evaluation.resampling import Bootstrap

NONE = Bootstrap(resamples=0)


def truth(name, nodules=(), excluded=()):
    """A scan; nodules and excluded findings are (x, diameter) on the x axis."""
    return ScanTruth(
        name,
        name,
        tuple(Nodule((x, 0.0, 0.0), d) for x, d in nodules),
        tuple(Nodule((x, 0.0, 0.0), d) for x, d in excluded),
    )


def calls(*places):
    """Calls are (x, probability) on the x axis."""
    return tuple(Call((x, 0.0, 0.0), p) for x, p in places)


def rates_of(found):
    return [estimate.value for estimate in found.at_rates]


@pytest.fixture
def two_scans():
    """A: two nodules, of which one has two candidates; B: none.

    False are 0.99 (exactly at the radius), 0.7 in A, and 0.9, 0.6 in B; 0.95 hits an excluded one.
    """
    a = match(
        truth("A", nodules=[(0, 10), (50, 8)], excluded=[(200, -1)]),
        calls((1, 0.9), (-2, 0.8), (204, 0.95), (100, 0.7), (5, 0.99)),
    )
    return [a, match(truth("B"), calls((0, 0.6), (30, 0.9)))]


def test_the_highest_of_several_counts_once_and_the_others_are_not_false(two_scans):
    a, b = two_scans
    assert a.best[0] == 0.9
    assert np.isnan(a.best[1])
    assert a.in_nodule.tolist() == [True, True, False, False, False]
    assert a.ignored.tolist() == [False, False, True, False, False]
    assert a.false.tolist() == [False, False, False, True, True]
    assert a.second_hits == 1
    assert b.false.all()


def test_froc_of_two_scans_by_hand(two_scans):
    """Nodules 2, scans 2; falling: 0.99 false, 0.9 found and false, 0.7 false, 0.6 false."""
    found = froc(two_scans, NONE)
    assert found.threshold.tolist() == [np.inf, 0.99, 0.9, 0.7, 0.6]
    assert found.false_positives.tolist() == [0, 0.5, 1, 1.5, 2]
    assert found.sensitivity.tolist() == [0, 0, 0.5, 0.5, 0.5]
    assert rates_of(found) == [0, 0, 0, 0.5, 0.5, 0.5, 0.5]
    assert found.cpm.value == pytest.approx(2 / 7)


def test_a_tie_is_one_step_and_lines_join_the_steps():
    found = froc([match(truth("A", [(0, 10)]), calls((0, 0.5), (90, 0.5)))], NONE)
    assert rates_of(found) == [0.125, 0.25, 0.5, 1, 1, 1, 1]
    assert found.cpm.value == pytest.approx(4.875 / 7)


def test_more_false_positives_than_the_last_rate_are_not_waited_for():
    found = froc([match(truth("A", [(0, 10)]), calls((0, 0.1), *((90, 0.5),) * 10))], NONE)
    assert rates_of(found)[-1] == 0


def test_operating_point_of_two_scans(two_scans):
    point = operating_point(two_scans, 0.7)
    assert (point.found, point.nodules, point.false_calls) == (1, 2, 2)  # 0.7 itself is no call
    assert point.sensitivity.value == 0.5
    assert point.false_calls_per_scan.value == 1


def test_a_candidate_in_two_nodules_counts_for_both():
    one = match(truth("A", [(0, 10), (6, 10)]), calls((3, 0.8)))
    assert one.best.tolist() == [0.8, 0.8]
    assert froc([one], NONE).sensitivity.tolist() == [0, 1]


def test_a_candidate_in_a_nodule_and_an_excluded_finding_counts_for_the_nodule():
    one = match(truth("A", [(0, 10)], [(1, 10)]), calls((0.5, 0.8)))
    assert one.best.tolist() == [0.8]
    assert not one.ignored.any()


@pytest.mark.parametrize(("x", "ignored"), [(4.9, True), (5.0, False)])
def test_an_excluded_finding_without_a_diameter_has_10_mm(x, ignored):
    assert match(truth("A", excluded=[(0, -1)]), calls((x, 0.9))).ignored.tolist() == [ignored]


def test_small_nodules_count_neither_way():
    one = match(without_small(truth("A", [(0, 4), (50, 10)]), 5.0), calls((0, 0.9), (50, 0.8)))
    assert one.best.tolist() == [0.8]
    assert one.ignored.tolist() == [True, False]


def test_without_nodules_the_froc_is_undefined():
    one = match(truth("A"), calls((0, 0.9)))
    assert froc([one]) is None
    assert operating_point([one], 0.5).sensitivity.value is None


@pytest.mark.parametrize("places", [(), ((90, 0.5),)])
def test_without_hits_everything_is_missed(places):
    found = froc([match(truth("A", [(0, 10)]), calls(*places)), match(truth("B"), ())])
    assert found.cpm.value == 0
    assert rates_of(found) == [0] * len(RATES)


def test_of_a_single_scan_there_is_no_interval():
    found = froc([match(truth("A", [(0, 10)]), calls((0, 0.5)))])
    assert (found.cpm.value, found.cpm.low, found.cpm.high) == (1, None, None)
    assert found.band is None


@pytest.mark.parametrize(
    ("marks", "kept"),
    [(None, [0.9, 0.8, 0.8, 0.1]), (4, [0.9, 0.8, 0.8, 0.1]), (3, [0.9, 0.8, 0.8]), (2, [0.9])],
)
def test_the_marks_of_a_scan_are_cut_as_in_the_script(marks, kept):
    """What equals the first that is too many goes with it."""
    some = calls((0, 0.1), (1, 0.8), (2, 0.9), (3, 0.8))
    assert sorted((c.probability for c in most_suspicious(some, marks)), reverse=True) == kept


def many_scans(seed, scans=12):
    rng = np.random.default_rng(seed)
    matches = []
    for number in range(scans):
        nodules = [(40 * k, 10) for k in range(rng.integers(0, 4))]
        places = [(x, p) for x, _ in nodules for p in rng.integers(0, 9, rng.integers(0, 3)) / 8]
        places += [(900 + k, p) for k, p in enumerate(rng.integers(0, 9, rng.integers(0, 30)) / 8)]
        matches.append(match(truth(str(number), nodules), calls(*places)))
    return matches


@pytest.mark.parametrize("seed", range(4))
def test_froc_is_that_of_plain_loops(seed):
    matches = many_scans(seed)
    found = froc(matches, NONE)
    nodules = sum(len(m.best) for m in matches)
    for k, threshold in enumerate(found.threshold):
        hits = sum(best >= threshold for m in matches for best in m.best)
        false = sum(p >= threshold for m in matches for p in m.probability[m.false])
        assert found.sensitivity[k] == pytest.approx(hits / nodules)
        assert found.false_positives[k] == pytest.approx(false / len(matches))


def test_intervals_are_those_of_resampled_scans():
    """The weights of the fast way are scans that come more than once."""
    matches = many_scans(5)
    bootstrap = Bootstrap(resamples=60, seed=9)
    rng = np.random.default_rng(9)
    slow = []
    for _ in range(60):
        drawn = rng.integers(len(matches), size=len(matches))
        slow.append(rates_of(froc([matches[k] for k in drawn], NONE)))
    found = froc(matches, bootstrap)
    columns = np.sort(np.array(slow), axis=0)
    for k, estimate in enumerate(found.at_rates):
        assert estimate.low == pytest.approx(columns[1, k])  # floor(0.025 * 60)
        assert estimate.high == pytest.approx(columns[58, k])  # floor(0.975 * 60)
    assert found.cpm.low == pytest.approx(np.sort(np.mean(slow, axis=1))[1])


def test_the_same_seed_gives_the_same_interval():
    matches = many_scans(6)
    same = [froc(matches, Bootstrap(resamples=50, seed=3)).cpm for _ in range(2)]
    other = froc(matches, Bootstrap(resamples=50, seed=4)).cpm
    assert same[0] == same[1] != other
    assert same[0].value == other.value


def test_resamples_without_nodules_are_left_out():
    matches = [match(truth("A", [(0, 10)]), calls((0, 0.5))), match(truth("B"), ())]
    assert 20 < froc(matches, Bootstrap(resamples=40)).cpm.resamples < 40
