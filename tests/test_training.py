"""Training: its program's errors, and that mining sees a scan as the pipeline does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lunart import _core
from lunart.phantom import generate
from lunart.training import mining
from lunart.training.phantoms import main
from lunart.training.scans import CONTEXT, CROP_IRC, HU_WINDOW, TrainingScan

PYTHON = Path(mining.__file__).parents[2]


@pytest.fixture(scope="module")
def item() -> TrainingScan:
    return TrainingScan.of(generate(11, shape_irc=(40, 128, 128), nodule_count=5))


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--output", "out", "--minutes", "nan"],
        ["--output", "out", "--minutes", "0"],
        ["--output", "out", "--seed", "-1"],
        ["--output", "out", "--colour"],
    ],
)
def test_bad_usage_exits_2_and_makes_nothing(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_exits_7(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["--output", str(tmp_path / "file" / "out")]) == 7
    assert "cannot be made" in capsys.readouterr().err


def test_a_missing_package_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None; from lunart.training.phantoms import main;"
        f"sys.exit(main(['--output', {str(tmp_path)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(PYTHON)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert done.stderr.endswith("torch is not installed: pip install 'lunart[train]'\n")


def test_a_slice_has_its_neighbours_and_the_edges_are_repeated(item):
    hu = item.phantom.hu
    for index in (0, 2, 20, len(hu) - 1):
        wanted = np.clip(np.arange(index - CONTEXT, index + CONTEXT + 1), 0, len(hu) - 1)
        assert np.array_equal(
            _core.slice_input(item.scan, index, CONTEXT), np.clip(hu[wanted], *HU_WINDOW)
        )


def test_a_crop_is_shifted_inside_and_halves_are_rounded_to_even(item):
    hu = item.phantom.hu
    for center, start in (
        ((20.5, 60.5, 61.5), (4, 36, 38)),
        ((-3.0, 500.0, 2.0), (0, 80, 0)),
    ):
        box = tuple(slice(s, s + n) for s, n in zip(start, CROP_IRC, strict=True))
        assert np.array_equal(_core.crop(item.scan, center, CROP_IRC), np.clip(hu[box], *HU_WINDOW))


def test_mining_tells_nodules_from_mistakes(item, monkeypatch):
    seen = (item.phantom.labels > 0).astype(np.float32)
    corner = (slice(0, 4), slice(0, 6), slice(0, 6))
    assert not seen[corner].any()
    seen[corner] = 1
    monkeypatch.setattr(mining, "probabilities", lambda model, scan: seen)
    found = mining.find(None, item, 0.5, 1.0)
    assert 1 <= len(found.hits) <= len(item.phantom.nodules)
    assert len(found.false) == 1
    assert np.allclose(found.false[0], (1.5, 2.5, 2.5), atol=0.5)
    assert mining.find(None, item, 2.0, 1.0).false.shape == (0, 3)
