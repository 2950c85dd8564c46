"""AUC and bootstrap intervals: against counting by hand, and the same for the same seed."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from lunart.errors import UsageError
from lunart.evaluation.resampling import Bootstrap, bounds, estimate
from lunart.evaluation.roc import auc, auc_difference, auc_estimate, curve


def counted(scores, truth):
    """Share of pairs that are in order, ties counted half: what an AUC means."""
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for (a, x), (b, y) in itertools.product(zip(scores, truth, strict=True), repeat=2)
        if x and not y
    ]
    return sum(pairs) / len(pairs)


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    for levels in (2, 5, 1000):
        scores, truth = rng.integers(levels, size=60) / levels, rng.random(60) < 0.3
        assert auc(scores, truth) == pytest.approx(counted(scores, truth), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([1, 2], [0, 1], 1.0),
        ([2, 1], [0, 1], 0.0),
        ([1, 1], [0, 1], 0.5),
        ([3, 1, 3], [1, 0, 0], 0.75),
    ],
)
def test_auc_of_few_scores(scores, truth, expected):
    assert auc(scores, truth) == expected


@pytest.mark.parametrize("truth", [[0, 0], [1, 1]])
def test_auc_of_one_class_is_undefined(truth):
    assert np.isnan(auc([0.1, 0.2], truth))
    assert auc_estimate([0.1, 0.2], truth).value is None
    assert len(curve([0.1, 0.2], truth)[0]) == 0


@pytest.mark.parametrize(
    ("scores", "truth"), [([0.1, float("nan")], [0, 1]), ([0.1], [0, 1]), ([[0.1, 0.2]], [[0, 1]])]
)
def test_scores_that_make_no_sense_are_refused(scores, truth):
    with pytest.raises(UsageError):
        auc(scores, truth)


def test_groups_must_be_as_many_as_scores():
    with pytest.raises(UsageError, match="3 groups for 2"):
        auc_estimate([0.1, 0.2], [0, 1], groups=["a", "b", "c"])


def test_curve_has_one_step_for_equal_scores():
    false_rate, true_rate = curve([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0])
    assert false_rate.tolist() == [0, 0, 0.5, 1]
    assert true_rate.tolist() == [0, 0.5, 1, 1]
    area = np.trapezoid(true_rate, false_rate)
    assert area == auc([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0])


def test_interval_covers_the_mean_of_known_spread():
    rows = np.random.default_rng(3).normal(size=400)
    mean = estimate(lambda r: float(rows[r].mean()), range(400), Bootstrap(resamples=2000))
    assert mean.low < mean.value < mean.high
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * rows.std() / 20, rel=0.1)


def test_groups_are_drawn_together():
    """Ten rows of each of four patients are worth four observations, not forty."""
    rows = np.repeat([0.0, 1.0, 2.0, 3.0], 10)
    patients = np.repeat(["a", "b", "c", "d"], 10)
    seen = set()

    def mean(places):
        seen.update(np.bincount(places, minlength=40).reshape(4, 10).std(axis=1).tolist())
        return float(rows[places].mean())

    clustered = estimate(mean, patients, Bootstrap(resamples=500))
    assert seen == {0.0}, "rows of one patient come equally often"
    alone = estimate(mean, range(40), Bootstrap(resamples=500))
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)


def test_same_seed_same_interval_another_seed_another():
    scores, truth = np.random.default_rng(5).random((2, 50))
    one, two, other = (
        auc_estimate(scores, truth < 0.4, bootstrap=Bootstrap(resamples=200, seed=seed))
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_paired_difference_is_of_the_same_rows():
    rng = np.random.default_rng(8)
    truth = rng.random(80) < 0.5
    scores = truth + rng.normal(size=80)
    same = auc_difference(scores, 2 * scores + 1, truth)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    worse = auc_difference(scores, rng.random(80), truth, bootstrap=Bootstrap(resamples=300))
    assert worse.low > 0


def test_resamples_without_a_class_are_counted_out():
    found = auc_estimate([0.9, 0.1, 0.2], [1, 0, 0], bootstrap=Bootstrap(resamples=1000, seed=4))
    assert 600 < found.resamples < 800  # 1 - (2/3)^3 - (1/3)^3 = 2/3


def test_a_single_group_has_no_interval():
    found = auc_estimate([0.9, 0.1], [1, 0], groups=["a", "a"])
    assert found.value == 1
    assert found.low is found.high is None
    assert str(found) == "1.000"


def test_bounds_are_those_of_the_luna16_script():
    low, high, count = bounds(np.arange(1000.0)[::-1], 0.95)
    assert (low, high, count) == (25, 975, 1000)
    assert bounds(np.array([np.nan]), 0.95) == (None, None, 0)


@pytest.mark.parametrize("settings", [{"resamples": -1}, {"confidence": 1.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(UsageError):
        Bootstrap(**settings)


def test_the_documents_example_runs():
    page = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text()
    [block] = re.findall(r"```python\n(.*?)```", page, re.S)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(block, "docs/evaluation.md", "exec"), {})
    area, above = printed.getvalue().splitlines()
    assert area.startswith("1.000 [")
    assert above.startswith("0.250 [")
