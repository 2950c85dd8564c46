"""``luna-train`` as a user meets it, on scans and pictures of a few pixels."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lunart
import numpy as np
import pytest
from lunart.data.luna16 import Luna16
from lunart.data.split import Split
from lunart.models.architectures import CLASSIFIER
from lunart.models.checkpoint import load_checkpoint
from lunart.training import fit as fitting
from lunart.training import phantoms as generated
from lunart.training.cli import main
from lunart.training.scans import RESERVED_SEEDS, ScanPlan, plan
from PIL import Image

pytestmark = pytest.mark.usefixtures("_one_thread")
QUICK = ("--epochs", "1", "--batch", "4", "--samples", "8", "--warmup", "0")


@pytest.fixture
def luna(phantoms: Path, tmp_path: Path) -> Path:
    """Four small scans in LUNA16's layout, every other nodule rated malignant."""
    folder = tmp_path / "luna"
    shutil.copytree(phantoms, folder)
    with (folder / "annotations.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    with (folder / "annotations_with_malignancy.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*header, "malignant_details"])
        table.writerows([*row, "[5, 5]" if k % 2 else "[1, 1]"] for k, row in enumerate(rows))
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """CIFAR-10 of 10 pictures for each part and two classes."""
    rng = np.random.default_rng(1)
    for part in ("train", "test"):
        for level, name in ((0, "airplane"), (120, "bird")):
            folder = tmp_path / "cifar" / part / name
            folder.mkdir(parents=True)
            for number in range(10):
                rgb = rng.integers(level, level + 120, (32, 32, 3)).astype(np.uint8)
                Image.fromarray(rgb).save(folder / f"{number}.png")
    return tmp_path / "cifar"


def test_segmentation_classification_and_malignancy_share_the_split_of_their_folder(
    luna: Path, tmp_path: Path, capsys
):
    runs = {kind: tmp_path / kind for kind in ("seg", "cls", "mal")}
    assert main(["seg", str(luna), "-o", str(runs["seg"]), "--wf", "1", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "split.json: made, by series: 2 train, 1 validation, 1 test" in out
    assert out.splitlines()[-1] == f"{runs['seg'] / 'weights.safetensors'}: epoch 1 of 1"
    split = (luna / "split.json").read_bytes()
    small = ("--channels", "2", *QUICK)
    assert main(["cls", str(luna), "-o", str(runs["cls"]), "--json", *small]) == 0
    done = capsys.readouterr()
    result = json.loads(done.out)
    assert result["best"]["number"] == 1
    assert "auc" in result["best"]["validation"]
    assert "epoch 1/1: loss" in done.err
    tune = ("--finetune", str(runs["cls"] / "weights.safetensors"), "--depth", "2")
    assert main(["mal", str(luna), "-o", str(runs["mal"]), *tune, *QUICK]) == 0
    assert (luna / "split.json").read_bytes() == split
    pipeline = dict(load_checkpoint(runs["seg"] / "weights.safetensors", "segmentation").pipeline)
    best = json.loads((runs["seg"] / "metrics.jsonl").read_text())["validation"]
    assert pipeline.pop("segmentation_threshold") == best["best_threshold"]
    assert pipeline == {"erosion": 0, "min_component_mm3": 10.0}
    tuned = load_checkpoint(runs["mal"] / "weights.safetensors", "malignancy")
    assert tuned.source["metadata"]["data"] == "luna"
    assert tuned.source["metadata"]["settings"]["network"]["normalised"] == ["block4"]


def test_a_given_split_is_taken_and_a_missing_one_is_named(luna: Path, tmp_path: Path, capsys):
    series = tuple(Luna16.open(luna).series)
    path = tmp_path / "mine.json"
    Split(train=series[:3], validation=series[3:]).write(path)
    command = ["seg", str(luna), "-o", str(tmp_path / "run"), "--wf", "1", *QUICK]
    assert main([*command, "--split", str(path)]) == 0
    assert not (luna / "split.json").exists()
    assert main([*command, "--split", str(tmp_path / "none.json")]) == 8
    assert "none.json" in capsys.readouterr().err


def test_an_empty_validation_part_is_named(luna: Path, tmp_path: Path, capsys):
    path = tmp_path / "split.json"
    Split(train=tuple(Luna16.open(luna).series), validation=()).write(path)
    run = tmp_path / "run"
    assert main(["seg", str(luna), "--split", str(path), "-o", str(run), *QUICK]) == 8
    assert "no validation series" in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize("mode", ["balanced", "unbalanced", "overfit"])
def test_modes_decide_how_many_positives_an_epoch_has(mode: str, luna: Path, tmp_path: Path):
    from lunart.training.options import parser
    from lunart.training.samples import source_of

    options = parser().parse_args(["cls", str(luna), "--mode", mode, "--batch", "6"])
    options.cache = tmp_path / "cache"
    epoch = source_of("cls", options, print).epoch(0)
    share = float(np.mean([epoch[k]["label"] for k in range(40)]))
    assert share == pytest.approx(0.5) if mode != "unbalanced" else share < 0.2
    if mode == "overfit":
        assert len(epoch) == 6 * 25
        assert np.array_equal(epoch[1]["hu"], epoch[7]["hu"])


def test_pictures_are_trained_with_their_classes_and_preprocessing(
    pictures: Path, tmp_path: Path, capsys
):
    command = ["cifar", str(pictures), "--network", "conv", "--classes", "airplane,bird"]
    assert main([*command, "-o", str(tmp_path / "run"), *QUICK]) == 0
    loaded = load_checkpoint(tmp_path / "run" / "weights.safetensors", CLASSIFIER)
    assert loaded.images is not None
    assert loaded.images.classes == ("airplane", "bird")
    assert loaded.images.preprocess["center_crop"] == [32, 32]
    # 0 to 120 and 120 to 240, in equal parts
    assert loaded.images.preprocess["mean"] == pytest.approx([120 / 255] * 3, abs=0.01)


def test_phantoms_need_no_data_and_are_kept(tmp_path: Path, capsys, monkeypatch):
    small = lambda seed: ScanPlan(seed, (24, 96, 96), (2.0, 2.0, 5.0))  # noqa: E731
    monkeypatch.setattr(generated, "plan", small)
    # In this process, where the plan is a small one.
    monkeypatch.setattr("lunart._core.thread_count", lambda wanted: 1)
    run = tmp_path / "run"
    command = ["seg", "--phantoms", "3", "-o", str(run), "--wf", "1", *QUICK]
    assert main(command) == 0
    assert "scan 3/3" in capsys.readouterr().out
    folder = run / "phantoms-3-1"
    luna = Luna16.open(folder)
    assert len(luna.series) == 3
    assert all(luna.votes(uid) for uid in luna.series)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("subset0/*")}
    next(folder.glob("subset0/*.mhd")).unlink()
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "scan 3/3" in out
    assert "scan 2/3" not in out
    assert before.keys() == set(folder.glob("subset0/*"))
    kept = load_checkpoint(run / "weights.safetensors", "segmentation").source["metadata"]
    assert kept["data"] == "3 generated chest CTs (lunart.phantom), no patients"


def test_training_phantoms_are_none_of_the_reserved():
    with pytest.raises(ValueError, match="reserved"):
        plan(RESERVED_SEEDS[0])


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["seg"],
        ["seg", "luna", "--phantoms", "2"],
        ["seg", "luna", "--blend", "there"],
        ["seg", "luna", "--epochs", "0"],
        ["seg", "luna", "--epochs", "many"],
        ["seg", "luna", "--batch", "0"],
        ["seg", "luna", "--rate", "nan"],
        ["seg", "luna", "--rate", "0"],
        ["seg", "luna", "--threshold", "2"],
        ["seg", "luna", "--precision", "f16"],
        ["seg", "luna", "--shift", "0.9"],
        ["cls", "--blend", "there"],
        ["cls", "luna", "--dropout", "-1"],
        ["mal", "--phantoms", "2"],
        ["cls", "luna", "--mirrors", "2"],
        ["cls", "luna", "--network", "strided-classifier", "--mirrors", "4"],
        ["cls", "luna", "--network", "strided-classifier", "--channels", "999"],
        ["mal", "luna", "--depth", "3"],
        ["mal", "luna", "--finetune", "cls.safetensors", "--mirrors", "2"],
        ["mal", "luna", "--finetune", "cls.safetensors", "--channels", "4"],
        ["cifar", "pictures", "--network", "transformer"],
        ["cifar", "pictures", "--classes", "airplane,zeppelin"],
        ["segment", "luna"],
    ],
)
def test_bad_usage_exits_2_and_makes_nothing(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("luna-train: error: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["seg", "nowhere"], 8, "nowhere: no such folder"),
        (["mal", "nowhere", "--finetune", "none.safetensors"], 4, "none.safetensors"),
        (["cifar", "nowhere"], 8, "nowhere"),
    ],
)
def test_what_is_missing_is_named(argv, code, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == code
    assert words in capsys.readouterr().err


def test_weights_of_another_network_cannot_be_fine_tuned(luna: Path, tmp_path: Path, capsys):
    from small_weights import write_small_weights

    unet = write_small_weights(tmp_path, "segmentation")
    command = ["mal", str(luna), "--finetune", str(unet), "-o", str(tmp_path / "run")]
    assert main(command) == 4
    assert "a segmentation U-Net" in capsys.readouterr().err


def test_an_output_that_cannot_be_made_exits_7(luna: Path, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("x")
    command = ["seg", str(luna), "-o", str(tmp_path / "file" / "run"), "--wf", "1", *QUICK]
    assert main(command) == 7
    assert "cannot be made" in capsys.readouterr().err


def test_an_interrupted_run_says_where_it_goes_on(luna: Path, tmp_path: Path, capsys, monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt("the same command goes on after epoch 3")

    monkeypatch.setattr(fitting, "fit", stopped)
    assert main(["seg", str(luna), "-o", str(tmp_path / "run"), "--wf", "1", *QUICK]) == 130
    said = "luna-train: interrupted: the same command goes on after epoch 3\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("package", ["torch", "lightning"])
def test_a_missing_package_says_what_to_install(package: str, luna: Path, tmp_path: Path):
    program = (
        f"import sys; sys.modules[{package!r}] = None; from lunart.training.cli import main;"
        f"sys.exit(main(['seg', {str(luna)!r}, '-o', {str(tmp_path / 'run')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(lunart.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert done.stderr.endswith(f"{package} is not installed: pip install 'lunart[train]'\n")


def test_help_does_not_wait_for_pytorch():
    program = (
        "import sys; from lunart.training.cli import main; code = main(['seg', '--help']);"
        "assert not {'torch', 'lightning', 'matplotlib'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--phantoms" in done.stdout
