"""The weights that ship find nodules of scans that they were not trained on, and little else."""

from __future__ import annotations

import numpy as np
import pytest
from lunart import Runner
from lunart.data.luna16 import Luna16
from lunart.training.blend.library import SERIES, VALIDATION_PATIENT
from lunart.training.evaluate_phantoms import evaluate


@pytest.mark.timeout(600)
def test_the_tests_own_weights_find_most_nodules_of_unseen_phantoms(bundle):
    scores = evaluate(Runner(bundle), range(1000, 1005))
    print(*(f"seed {seed}: {score}" for seed, score in scores), sep="\n")
    found = sum(score.found for _, score in scores)
    nodules = sum(score.nodules for _, score in scores)
    assert nodules >= 15
    assert found >= 0.8 * nodules
    assert max(score.false_calls for _, score in scores) <= 5


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
    assert len(gaps) <= 2


@pytest.mark.timeout(600)
def test_the_shipped_weights_find_nodules_of_phantoms_too(shipped_bundle):
    scores = evaluate(Runner(shipped_bundle), range(1000, 1003))
    assert sum(score.found for _, score in scores) >= 6
    assert max(score.false_calls for _, score in scores) <= 1
