"""``luna-train cifar`` and the ladder of its runs, on pictures of two brightnesses."""

from __future__ import annotations

import numpy as np
import pytest
from lunart.errors import UsageError
from lunart.models.architectures import CLASSIFIER, ROLES, default
from lunart.models.checkpoint import load_checkpoint
from lunart.training import cifar_ladder, cli
from lunart.training.cifar_ladder import RUNGS
from lunart.training.options import parser
from PIL import Image

NAMES = ("airplane", "bird")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for part, count in (("train", 40), ("test", 10)):
        for label, name in enumerate(NAMES):
            (root / part / name).mkdir(parents=True)
            for k in range(count):
                rng = np.random.default_rng([label, k, part == "test"])
                rgb = rng.integers(80 * label, 120 + 80 * label, (32, 32, 3)).astype(np.uint8)
                Image.fromarray(rgb).save(root / part / name / f"{k:02}.png")
    return root


def train(data, folder, *options):
    return cli.main(
        ["cifar", str(data), "--classes", "airplane,bird", "--output", str(folder), *options]
    )


def test_every_network_is_on_the_ladder():
    networks = {parser().parse_args(["cifar", "x", *rung]).network for rung in RUNGS.values()}
    assert {f"cifar-{network}" for network in networks} == set(ROLES[CLASSIFIER])


def test_weights_say_what_they_are(data, tmp_path, capsys):
    options = ("--network", "linear", "--set", "hidden=4", "--epochs", "3", "--rate", "0.01")
    assert train(data, tmp_path / "run", *options) == 0, capsys.readouterr().err
    found = load_checkpoint(tmp_path / "run" / "weights.safetensors", CLASSIFIER)
    assert found.architecture == default("cifar-linear", hidden=4)
    assert found.images.classes == NAMES
    assert found.images.preprocess["resize"]["size"] == 32
    learnt = [k for k in range(40) if k % 10 != 9]  # every tenth validates
    pixels = np.stack(
        [Image.open(data / "train" / name / f"{k:02}.png") for name in NAMES for k in learnt]
    ).reshape(-1, 3)
    assert found.images.preprocess["mean"] == pytest.approx(pixels.mean(0) / 255)
    assert found.images.preprocess["deviation"] == pytest.approx(pixels.std(0) / 255)
    assert found.source["metadata"]["metrics"]["validation"]["accuracy"] == 1
    assert str(data) not in str(found.source)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--network", "vgg"), "'vgg' is none of linear"),
        (("--set", "hidden=4"), "takes the arguments"),
        (("--set", "channels=0"), "channels is 0"),
        (("--set", "channels=wide"), "expected NAME=N"),
        (("--set", "n_classes=3"), "give --classes"),
        (("--classes", "bird,plane"), "classes are bird, plane"),
    ],
)
def test_networks_that_make_no_sense_are_named_at_once(tmp_path, capsys, options, complaint):
    # Before any data is read: there is none.
    code = cli.main(["cifar", str(tmp_path / "none"), "--output", str(tmp_path / "run"), *options])
    assert code == UsageError.exit_code
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_ladder_trains_what_is_asked_and_goes_on(data, tmp_path, capsys):
    asked = [str(data), "-o", str(tmp_path), "--only", "cifar-linear"]
    assert cifar_ladder.main(asked) == 0
    first = capsys.readouterr().out
    assert first.startswith(f"luna-train cifar {data} --network linear")
    weights = (tmp_path / "cifar-linear" / "weights.safetensors").read_bytes()
    assert cifar_ladder.main(asked) == 0
    assert "going on after epoch 12" in capsys.readouterr().out
    assert (tmp_path / "cifar-linear" / "weights.safetensors").read_bytes() == weights


def test_a_rung_that_fails_stops_the_ladder(tmp_path, capsys):
    assert cifar_ladder.main([str(tmp_path / "none"), "-o", str(tmp_path / "runs")]) == 8
    printed = capsys.readouterr()
    assert printed.out.count("luna-train") == 1
    assert "no such file or folder" in printed.err


def test_an_unknown_rung_is_named(tmp_path, capsys):
    assert cifar_ladder.main([str(tmp_path), "--only", "cifar-vgg"]) == 2
    assert "cifar-vgg: it is none of cifar-linear" in capsys.readouterr().err
