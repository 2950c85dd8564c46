"""The weights that ship find nodules of scans that they were not trained on, and little else."""

from __future__ import annotations

import numpy as np
import pytest
from lunart import Runner
from lunart.data.luna16 import Luna16
from lunart.training.blend.library import SERIES, VALIDATION_PATIENT
from lunart.training.evaluate_phantoms import evaluate


@pytest.mark.timeout(600)
@pytest.mark.parametrize("weights", ["bundle", "shipped_bundle"], ids=["tests' own", "shipped"])
def test_most_nodules_of_unseen_phantoms_are_found(weights, request):
    scores = evaluate(Runner(request.getfixturevalue(weights)), range(1000, 1005))
    print(*(f"seed {seed}: {score}" for seed, score in scores), sep="\n")
    found = sum(score.found for _, score in scores)
    nodules = sum(score.nodules for _, score in scores)
    assert nodules >= 15
    assert found >= 0.8 * nodules
    most_false = {"bundle": 5, "shipped_bundle": 1}[weights]
    assert max(score.false_calls for _, score in scores) <= most_false


@pytest.mark.timeout(600)
def test_the_shipped_weights_find_the_nodule_of_the_validation_scan_alone(
    shipped_bundle, shared_data
):
    uid = SERIES[VALIDATION_PATIENT]
    luna = Luna16.open(shared_data / "luna16")
    [nodule] = [one for one in luna.annotations if one.series_uid == uid]
    result = Runner(shipped_bundle)(luna.series[uid])
    gaps = [
        np.linalg.norm(np.subtract(one.center_xyz_mm, nodule.center_xyz_mm))
        for one in result.nodules
    ]
    assert sum(gap <= nodule.diameter_mm / 2 for gap in gaps) == 1
    assert len(gaps) == 1
