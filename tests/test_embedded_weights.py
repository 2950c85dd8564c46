"""The weights in the package find the nodules of generated scans that they were not trained on."""

from __future__ import annotations

import pytest
from lunart import Runner
from lunart.training.evaluate_phantoms import evaluate


@pytest.mark.timeout(600)
def test_most_nodules_of_unseen_scans_are_found_with_few_false_calls(shipped_bundle):
    scores = evaluate(Runner(shipped_bundle), range(1000, 1005))
    print(*(f"seed {seed}: {score}" for seed, score in scores), sep="\n")
    found = sum(score.found for _, score in scores)
    nodules = sum(score.nodules for _, score in scores)
    assert nodules >= 15
    assert found >= 0.8 * nodules
    assert max(score.false_calls for _, score in scores) <= 5
