"""Choosing a pipeline's settings for weights, and what the study of classifiers counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lunart import _core
from lunart.errors import UsageError
from lunart.models.checkpoint import load_checkpoint
from lunart.training.blend import choose, folds, study
from lunart.training.blend.crops import Plain
from lunart.training.blend.findings import Finding
from lunart.training.blend.pool import Entry
from small_weights import write_small_weights
from tiny_training import TinySource


def test_moving_the_threshold_to_one_half_moves_no_voxel(tmp_path):
    path = write_small_weights(tmp_path, "segmentation")
    before = load_checkpoint(path, "segmentation").module()
    hu = torch.rand((2, 7, 16, 16), generator=torch.Generator().manual_seed(1)) * 2000 - 1000
    threshold = float(before(hu).median())
    target = tmp_path / "moved.safetensors"
    code = choose.main(
        ["--write", str(target), "--segmentation", str(path), "--threshold", str(threshold),
         "--erosion", "1", "--min-volume", "20"]
    )  # fmt: skip
    assert code == 0
    moved = load_checkpoint(target, "segmentation")
    after = moved.module()(hu)
    far = (before(hu) - threshold).abs() > 1e-4
    assert torch.equal((after > 0.5)[far], (before(hu) > threshold)[far])
    assert dict(moved.pipeline) == {
        "segmentation_threshold": 0.5, "erosion": 1, "min_component_mm3": 20.0
    }  # fmt: skip


def test_a_fold_is_kept_with_the_settings_and_calibration_of_the_given_weights(
    tmp_path, monkeypatch
):
    settings = {"segmentation_threshold": 0.5, "erosion": 1, "min_component_mm3": 60.0}
    given = write_small_weights(
        tmp_path, "segmentation", pipeline=settings, source={"bias_moved": -3.5}
    )
    asked = []

    def source(_data, _cache, blend):
        asked.append(blend.parts)
        return TinySource(count=8)

    monkeypatch.setattr(folds, "segmentation_source", source)
    output = tmp_path / "out"
    arguments = ["segmentation", "data", "--segmentation", str(given), "-o", str(output)]
    arguments += ["--epochs", "1", "--samples", "8"]
    assert study.main([*arguments, "--part", "2"]) == 0
    assert asked == [(0, 1, 3)]
    with pytest.raises(UsageError, match=r"without-0\.safetensors: no such weights"):
        folds.read(output / "segmentation")
    assert study.main(arguments) == 0
    kept = folds.read(output / "segmentation")
    assert sorted(kept) == [0, 1, 2, 3]
    trained = load_checkpoint(
        output / "segmentation" / "without-2" / "weights.safetensors", "segmentation"
    )
    moved = kept[2].state["unet.last.bias"] - trained.state["unet.last.bias"]
    torch.testing.assert_close(moved, torch.tensor([-3.5]))
    assert dict(kept[2].pipeline) == settings


@pytest.mark.parametrize("what", ["segmentation", "nodules"])
def test_the_study_wants_weights_whose_settings_it_takes(what, tmp_path, capsys):
    assert study.main([what, "data", "-o", str(tmp_path)]) == 2
    assert "--segmentation" in capsys.readouterr().err


def test_a_classifiers_threshold_is_written_and_nothing_else_changes(tmp_path):
    path = write_small_weights(tmp_path, "classification", pipeline={"crop_border": "pad"})
    target = tmp_path / "new.safetensors"
    arguments = ["--write", str(target), "--classification", str(path), "--threshold", "0.35"]
    assert choose.main(arguments) == 0
    before, after = (load_checkpoint(one, "classification") for one in (path, target))
    assert dict(after.pipeline) == {"crop_border": "pad", "nodule_threshold": 0.35}
    assert all(torch.equal(before.state[key], value) for key, value in after.state.items())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--segmentation", "x.safetensors"],
        ["data"],
        ["--write", "y.safetensors"],
        ["--write", "y", "--segmentation", "x", "--classification", "z"],
        ["data", "--segmentation", "x.safetensors", "--write", "y.safetensors"],
        ["--segmentation", "x.safetensors", "--write", "y.safetensors", "--threshold", "1"],
        ["--segmentation", "x.safetensors", "--write", "y.safetensors", "--threshold", "nan"],
    ],
)
def test_bad_usage_is_refused_and_nothing_written(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert choose.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_nodules_are_found_once_and_centres_elsewhere_are_false():
    nodule = np.zeros((8, 20, 20), bool)
    nodule[2:6, 2:8, 2:8] = True
    nodule[4, 15, 15] = True  # too small to count as found or missed
    labels, large = choose._nodules(nodule, (1.0, 1.0, 1.0))
    judged = np.ones(nodule.shape, bool)
    judged[:, :, 19] = False
    geometry = _core.Geometry(shape_irc=nodule.shape, spacing_mm=(1.0, 1.0, 1.0))
    scan = _core.scan_from_array(np.zeros(nodule.shape, np.int16), geometry, "", "")
    seen = choose.Seen(scan, nodule.astype(np.float32), labels, large, judged)
    assert len(seen.centers(0.5, 0, 0.0)) == 2
    assert len(seen.centers(0.5, 0, 2.0)) == 1
    count = choose.Count()
    seen.score(count, [(3.0, 4.0, 4.0), (3.4, 5.0, 5.0), (4.0, 15.0, 15.0), (0.0, 19.0, 0.0),
                       (0.0, 0.0, 19.0)])  # fmt: skip
    assert (count.found, count.false) == (1, 1)


def _entry(nodule: bool, patient: str, volume: int, seed: int) -> Entry:
    block = np.random.default_rng(seed).integers(-1000, 400, (40, 48, 48)).astype(np.int16)
    finding = Finding((0.0, 0.0, 0.0), nodule, "truth", patient, True, 6.0)
    return Entry(finding, 0, volume, "lung", 2.0, block)


def test_the_study_asks_the_network_about_the_middle_of_each_block(tmp_path):
    entries = [_entry(bool(k % 2), f"p{k % 3}", k, k) for k in range(5)]
    weights = write_small_weights(tmp_path, "classification", crop_irc=(32, 32, 32))
    network = load_checkpoint(weights, "classification").module()
    hu = torch.from_numpy(np.stack([Plain(entries)[k]["hu"] for k in range(5)]))
    assert hu.shape == (5, 1, 32, 32, 32)
    assert hu[0, 0, 0, 0, 0] == entries[0].block[4, 8, 8]
    np.testing.assert_allclose(
        study.predicted(network, entries), network(hu)[1][:, 1].numpy(), atol=1e-5
    )


def test_the_study_draws_patients_and_lungs_whole():
    entries = [_entry(True, "p1", 1, 1), _entry(True, "p1", 2, 2), _entry(False, "p1", 2, 3)]
    held = study.Held(entries, np.array([0.9, 0.8, 0.1]))
    assert held.groups[0] == held.groups[1] != held.groups[2]
    negatives = held.only(lambda entry: not entry.finding.nodule)
    assert negatives.scores.tolist() == [0.1]
