"""``luna-verify`` with pictures: what it refuses, what it compares, what a wrong bundle fails."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pngs
import pytest
import spoil
from lunart.bench.cli import main as bench
from lunart.bundle import Bundle
from lunart.export.cli import main as export
from lunart.export.compare import Subject
from lunart.export.limits import BF16, F32
from lunart.export.pictures import pattern
from lunart.registry import engines_of
from lunart.verify.cli import main
from lunart.verify.pictures import Answer, compare_answers
from PIL import Image
from small_image_weights import write_image_weights


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    weights = write_image_weights(folder / "birds.safetensors")
    assert export([f"--image-classifier={weights}", f"--output={folder / 'birds'}"]) == 0
    return folder / "birds"


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = []
    for seed, (rows, cols) in enumerate([(32, 32), (50, 40), (33, 100)]):
        paths.append(str(tmp_path / f"{seed}.png"))
        Image.fromarray(pattern(rows, cols, seed)).save(paths[-1])
    return paths


# --- refused -------------------------------------------------------------------------------------


def test_a_scan_is_no_picture_and_a_picture_no_scan(
    images: Path,
    bundle: Path,
    pictures: list[str],
    small_scan: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, words in [
        ([str(images), str(small_scan)], ("is a scan", "lunart.Runner")),
        ([str(images), pictures[0], str(small_scan)], ("is a scan",)),
        ([str(bundle), pictures[0]], ("is a picture", "lunart.Classifier")),
    ]:
        assert main(arguments) == 3
        error = capsys.readouterr().err.splitlines()[-1]
        assert all(word in error for word in words), error


def test_several_scans_are_refused(
    bundle: Path, small_scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(bundle), str(small_scan), str(small_scan)]) == 2
    assert "one scan, not 2" in capsys.readouterr().err


def test_pictures_that_cannot_be_read_end_with_3(
    images: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = pngs.write(tmp_path, pngs.random_png(32, 32, pngs.RGB, 8)[:90], "cut.png")
    for path in (tmp_path / "none.png", cut, tmp_path):
        assert main([str(images), pictures[0], str(path)]) == 3
        error = capsys.readouterr().err.splitlines()[-1]
        assert path.name in error
        assert "Traceback" not in error


def test_the_bench_of_nodules_refuses_it(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench([str(images), "--networks"]) == 2
    assert "classifies images" in capsys.readouterr().err


# --- compared ------------------------------------------------------------------------------------


def test_good_pictures_pass_over_every_engine(
    images: Path, pictures: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(images), *pictures, "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["passed"]
    compared = [(c["artifact"], c["output"]) for c in report["checks"] if c["model"] == "pipeline"]
    engines = engines_of(Bundle.open(images))
    assert compared == [(engine, what) for engine in engines for what in ("pixels", "classes")]
    assert "0 of 3 pictures differ" in err


def test_a_wrong_artifact_is_named(
    images: Path, tmp_path: Path, pictures: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    copy = spoil.copy_of(images, tmp_path / "birds")
    other = write_image_weights(tmp_path / "other.safetensors", mean=[0.0, 0.0, 0.0])
    assert export([f"--image-classifier={other}", f"--output={tmp_path / 'other'}",
                   "--format=onnx"]) == 0  # fmt: skip
    manifest = spoil.manifest_of(tmp_path / "other")
    spoil.change(copy, lambda m: m.update(preprocess=manifest["preprocess"]))
    assert main([str(copy), *pictures]) == 6
    assert "golden-picture classes" in capsys.readouterr().err


def _answer(sha256: str = "a", **probabilities: float) -> Answer:
    return Answer("cat.png", sha256, probabilities)


def test_pixels_are_compared_before_probabilities() -> None:
    subject = Subject("pipeline", "engine", "pictures")
    ours = [_answer(bird=0.9, cat=0.1), _answer(bird=0.9, cat=0.1)]
    theirs = [ours[0], _answer("b", bird=0.9, cat=0.1)]
    pixels, classes = compare_answers(subject, ours, theirs, F32)
    assert (pixels.output, pixels.passed) == ("pixels", False)
    assert "1 of 2 pictures differ, the first cat.png" in pixels.text
    assert classes.passed


@pytest.mark.parametrize(
    ("found", "limits", "passed", "flips"),
    [
        (_answer(bird=0.9, cat=0.1), F32, True, 0),
        (_answer(bird=0.9005, cat=0.0995), F32, True, 0),
        (_answer(bird=0.902, cat=0.098), F32, False, 0),
        (_answer(bird=0.93, cat=0.07), BF16, True, 0),
        (_answer(cat=0.9, bird=0.1), BF16, False, 1),
        (_answer(bird=0.9, dog=0.1), F32, False, 0),
    ],
)
def test_probabilities_are_judged_by_the_limits_of_the_precision(
    found: Answer, limits: object, passed: bool, flips: int
) -> None:
    subject = Subject("pipeline", "engine", "pictures")
    reference = _answer(bird=0.9, cat=0.1)
    *_, check = compare_answers(subject, [reference], [found], limits)  # type: ignore[arg-type]
    assert check.passed is passed
    assert check.flips == flips
    assert json.dumps(check.to_json(), allow_nan=False)


def test_two_classes_as_probable_may_change_places() -> None:
    ours, theirs = _answer(bird=0.5004, cat=0.4996), _answer(cat=0.5001, bird=0.4999)
    assert ours.is_taken_alike(theirs, F32)
    assert not _answer(bird=0.9, cat=0.1).is_taken_alike(_answer(cat=0.9, bird=0.1), F32)
    assert math.isinf(_answer(bird=1.0).difference(_answer(cat=1.0)))
