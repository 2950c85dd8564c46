"""``luna-verify``: it passes on a good bundle, and names the first stage that differs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from lunart import Runner
from lunart.bundle import Bundle
from lunart.registry import engines_of
from lunart.verify.cli import main
from lunart.verify.nodules import compare_results, match


@pytest.fixture(scope="module")
def pair(bundle, phantom_scan):
    """One scan's result with all candidates, twice."""
    runner = Runner(bundle, engine="torchscript-trace", all_candidates=True)
    return runner(phantom_scan), runner(phantom_scan)


def test_good_bundle_and_scan_pass_over_every_engine(bundle, phantom_scan, capsys):
    assert main([str(bundle), str(phantom_scan), "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["passed"]
    engines = engines_of(Bundle.open(bundle))
    print("engines compared:", *engines)
    compared = {c["artifact"] for c in report["checks"] if c["model"] == "pipeline"}
    assert compared == set(engines) >= {"torchscript-trace", "torchscript-script", "onnxruntime"}
    assert "✗" not in err


def test_missing_bundle_and_scan_have_their_exit_codes(bundle, tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 4
    assert main([str(bundle), str(tmp_path / "none.mhd")]) == 3
    assert main([]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_equal_results_have_no_difference(pair):
    checks = compare_results("again", *pair)
    assert [c.subject.case for c in checks if not c.passed] == []


def test_changed_mask_is_named_first(pair, monkeypatch):
    reference, result = pair
    mask = result.threshold_mask.copy()
    mask[: len(mask) // 2] = 0
    monkeypatch.setattr(type(result), "threshold_mask", property(lambda r: _mask(r, result, mask)))
    wrong = [c.subject.case for c in compare_results("spoiled", reference, result) if not c.passed]
    assert wrong[0] == "segment"


def _mask(which, spoiled, mask):
    return mask if which is spoiled else which._core.threshold_mask()


def test_changed_probability_is_named_classify(pair, monkeypatch):
    reference, result = pair
    moved = tuple(replace(c, probability=min(1.0, c.probability + 0.01)) for c in result.candidates)
    monkeypatch.setattr(result, "candidates", moved)
    wrong = [c.subject.case for c in compare_results("spoiled", reference, result) if not c.passed]
    assert wrong == ["classify"]


def test_lost_nodule_is_found_missing(pair, monkeypatch):
    reference, result = pair
    assert reference.nodules, "the phantom must have a nodule that the bundle finds"
    monkeypatch.setattr(result, "nodules", result.nodules[1:])
    [check] = [c for c in compare_results("spoiled", reference, result) if not c.passed]
    assert check.subject.case == "nodules"
    assert "1 without a like" in check.text


def test_matching_is_one_to_one(pair):
    _, result = pair
    twice = (*result.candidates, *result.candidates)
    assert len(match(twice, result.candidates)) == len(result.candidates)


def test_spoiled_artifact_fails_and_is_named(bundle, tmp_path, capsys):
    from spoil import rehash

    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    shutil.copy(
        copy / "malignancy/torchscript-trace.pt", copy / "classification/torchscript-trace.pt"
    )
    rehash(copy)
    assert main([str(copy)]) == 6
    error = capsys.readouterr().err
    assert "classification/torchscript-trace" in error
