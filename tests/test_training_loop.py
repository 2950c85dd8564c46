"""What the training loop does besides resuming, on networks and sources of seconds."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from lunart.errors import CheckError, DataError, EngineError, UsageError
from lunart.models.architectures import CROP_CLASSIFIERS, build, default
from lunart.models.checkpoint import load_checkpoint
from lunart.training.fit import fit
from lunart.training.losses import CrossEntropy
from lunart.training.modes import OneBatch, Sized
from lunart.training.normalised import NormalisedClassifier
from lunart.training.record import LAST, METRICS, WEIGHTS
from lunart.training.settings import Settings
from lunart.training.share import TrainingShare, ValidationShare
from lunart.training.source import Sample
from lunart.training.storage import read
from lunart.training.tasks import Classification, Segmentation
from lunart.training.trainee import crop_classifier, finetuned
from small_weights import write_small_weights
from tiny_training import (
    CROP,
    EPOCHS,
    Boxes,
    Squares,
    TinySource,
    at,
    settings,
    tiny_classifier,
    tiny_segmenter,
    train,
)
from torch import nn

pytestmark = pytest.mark.usefixtures("_one_thread")
SHORT = TinySource(count=8, validated=4)


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_weights_carry_architecture_settings_data_and_metrics(tmp_path: Path):
    outcome = fit(
        tiny_segmenter(),
        Segmentation(),
        SHORT,
        settings(epochs=2),
        tmp_path,
        pipeline={"segmentation_threshold": 0.4, "erosion": 0, "min_component_mm3": 12.0},
        about={"data": "squares"},
    )
    loaded = load_checkpoint(outcome.weights, "segmentation")
    assert str(loaded.architecture) == "unet(depth=3, in_channels=7, wf=1)"
    assert loaded.pipeline["min_component_mm3"] == 12.0
    recorded = loaded.source["metadata"]
    assert recorded["data"] == "squares"
    assert recorded["settings"]["data"] == SHORT.fingerprint
    assert recorded["settings"]["settings"]["optimiser"]["rate"] == 1e-2
    assert recorded["settings"]["task"]["loss"]["name"] == "MixedLoss"
    assert recorded["metrics"]["epoch"] == outcome.best.number
    assert recorded["metrics"]["validation"] == outcome.best.validation
    checkpoint = read(tmp_path / LAST)
    assert '"data": "tiny"' in checkpoint["lunart"]
    assert '"recall"' in checkpoint["lunart"]


def test_each_epoch_says_its_losses_and_metrics(tmp_path: Path, capsys):
    train(tmp_path / "seg", SHORT, epochs=2)
    train(tmp_path / "cls", TinySource(Boxes, count=8, validated=4), epochs=2)
    assert set(rows(tmp_path / "seg")[0]["validation"]) == {
        "loss", "dice", "recall", "precision", "best_dice", "best_threshold",
    }  # fmt: skip
    assert set(rows(tmp_path / "cls")[0]["validation"]) == {
        "loss", "auc", "f1", "recall", "precision", "accuracy",
    }  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/2: loss ")
    assert " s left" in lines[0]


def test_the_best_epoch_is_kept_and_patience_ends_a_run(tmp_path: Path):
    """A rate of nearly nothing: no epoch is better than the first, but for noise in the loss."""
    from lunart.training.optimiser import Optimiser

    source = TinySource(Boxes, count=4, validated=8)
    still = Optimiser(name="sgd", rate=1e-12, momentum=0)
    outcome = train(tmp_path, source, epochs=50, patience=2, optimiser=still)
    assert len(outcome.epochs) < 50
    assert outcome.epochs[-1].number - outcome.best.number == 2
    again = train(tmp_path, source, epochs=50, patience=2, optimiser=still)
    assert again == outcome


def test_worker_processes_change_nothing(tmp_path: Path):
    source = TinySource(count=8, validated=4)
    train(tmp_path / "none", source, epochs=2, workers=0)
    train(tmp_path / "two", source, epochs=2, workers=2)
    one, other = (tmp_path / name / WEIGHTS for name in ("none", "two"))
    assert one.read_bytes() == other.read_bytes()


def test_one_batch_is_learnt_by_heart(tmp_path: Path):
    source = OneBatch(TinySource(Boxes), 4)
    trainee = tiny_classifier()
    for part in trainee.network.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    outcome = fit(trainee, Classification(), source, settings(epochs=3), tmp_path)
    assert outcome.epochs[-1].train_loss < 0.02
    assert outcome.best.validation["accuracy"] == 1


def test_bf16_trains_and_keeps_float32_weights(tmp_path: Path):
    for kind in (Squares, Boxes):
        folder = tmp_path / kind.__name__
        train(folder, TinySource(kind, count=4, validated=2), epochs=1, precision="bf16")
        state = read(folder / LAST)["state_dict"]
        assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((1, 1), r"nan at step 6 \(epoch 2, batch 2\).*lower learning rate"),
        ((2,), r"loss of validation batch 2 is nan after epoch 1"),
    ],
    ids=["training", "validation"],
)
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_state(
    keys: tuple[int, ...], words: str, tmp_path: Path
):
    @dataclass(frozen=True)
    class Spoilt(Squares):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            if self.keys == keys and index == 5:
                sample["hu"][0, 0, 0] = math.nan
            return sample

    with pytest.raises(CheckError, match=words):
        train(tmp_path, TinySource(Spoilt))
    if keys == (1, 1):
        assert len(rows(tmp_path)) == 1
        load_checkpoint(tmp_path / WEIGHTS, "segmentation")  # refuses what is not finite
        state = read(tmp_path / LAST)["state_dict"]
        assert all(bool(torch.isfinite(value).all()) for value in state.values())


def test_samples_of_several_shapes_are_refused_in_training_and_welcome_in_validation(
    tmp_path: Path,
):
    @dataclass(frozen=True)
    class Mixed(Squares):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            return (
                {
                    name: np.pad(a, ((0, 0), (0, 4 * (index % 3)), (0, 0)))
                    for name, a in sample.items()
                }
                if len(self.keys) == 1 or self.keys == (1, 1)
                else sample
            )

    train(tmp_path / "fine", TinySource(Mixed, count=4, validated=5), epochs=1)
    with pytest.raises(DataError, match="epoch 2, batch 1: samples differ in shape"):
        train(tmp_path / "not", TinySource(Mixed, count=4, validated=5), epochs=2)


def test_empty_sets_are_named(tmp_path: Path):
    with pytest.raises(DataError, match="epoch of 0 samples"):
        train(tmp_path / "a", TinySource(count=0))
    with pytest.raises(DataError, match="0 validation samples"):
        train(tmp_path / "b", TinySource(validated=0))


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch": 0}, {"devices": 0}, {"precision": "f16"}, {"seed": -1}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Settings(**wrong)


def lively(network: nn.Module) -> nn.Module:
    """Statistics and factors of batch norms as after a training."""
    torch.manual_seed(3)
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
            nn.init.normal_(part.running_mean, std=0.3)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return network


@pytest.mark.parametrize("name", CROP_CLASSIFIERS)
def test_folded_batch_norms_change_no_answer(name: str):
    architecture = default(name, conv_channels=2, crop_irc=list(CROP))
    network = crop_classifier(architecture, 1).network
    assert isinstance(network, NormalisedClassifier)
    lively(network)
    plain, folded = network.plain, build(architecture)
    convolutions = sum(isinstance(part, nn.Conv3d) for part in plain.modules())
    assert len(network.norms) == convolutions > 6
    folded.load_state_dict(network.folded())
    hu = torch.randn(3, 1, *CROP)
    network.train()
    assert network.training
    network.folded()
    assert all(part.training for part in network.modules())
    with torch.no_grad():
        answer, plainly = network.eval()(hu)[0], folded.eval()(hu)[0]
    assert torch.allclose(answer, plainly, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(answer, plain.eval()(hu)[0], rtol=1e-2)


def test_mirror_images_are_looked_at_by_what_ships_and_not_while_it_learns():
    plain, mirrored = (
        crop_classifier(
            default("strided-classifier", conv_channels=16, crop_irc=list(CROP), mirrors=n), 1
        )
        for n in (0, 3)
    )
    lively(mirrored.network)
    nn.init.normal_(mirrored.network.plain.head_linear.weight, std=100)
    plain.network.load_state_dict(mirrored.network.state_dict())
    hu = nn.functional.interpolate(torch.rand(3, 1, 2, 2, 2), size=CROP) * 3
    shipped = build(mirrored.architecture)
    shipped.load_state_dict(mirrored.shipped())
    images = torch.stack([hu, hu.flip(2)])
    with torch.no_grad():
        assert torch.equal(mirrored.network.eval()(hu)[0], plain.network.eval()(hu)[0])
        learning, ships = (
            torch.sub(*(network(image)[0] for image in images)).abs().max()
            for network in (mirrored.network, shipped)
        )
    assert learning > 1e-2
    assert ships < 0.01 * learning


def test_what_is_shipped_answers_as_what_was_validated(tmp_path: Path):
    trainee = tiny_classifier()
    source = TinySource(Boxes, count=8, validated=4)
    outcome = fit(trainee, Classification(), source, settings(epochs=1), tmp_path)
    shipped = load_checkpoint(outcome.weights, "classification").module()
    hu = torch.from_numpy(source.validation()[1]["hu"][None])
    with torch.no_grad():
        assert torch.allclose(trainee.network.eval()(hu)[1], shipped(hu)[1], atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2])
def test_frozen_layers_do_not_move_and_new_ones_do(depth: int, tmp_path: Path):
    base = load_checkpoint(write_small_weights(tmp_path, "classification", 4), "classification")

    @dataclass(frozen=True)
    class Crops(Boxes):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            hu = np.pad(sample["hu"], ((0, 0), (8, 8), (16, 16), (16, 16)), constant_values=-700)
            return {**sample, "hu": hu}

    outcome = fit(
        finetuned(base, 1, depth=depth, dropout=0.2),
        Classification(loss_of=CrossEntropy(label_smoothing=0.05)),
        TinySource(Crops, count=4, validated=2),
        settings(epochs=1, batch=2),
        tmp_path / "run",
    )
    tuned = load_checkpoint(outcome.weights, "malignancy")
    new = ("head_linear.", "block4.")[:depth]
    for key, value in base.state.items():
        moved = not torch.equal(value, tuned.state[key])
        assert moved is key.startswith(new), key
    network = tuned.source["metadata"]["settings"]["network"]
    assert network["finetuned"] == {"depth": depth, "sha256": base.sha256}


def test_processes_see_disjoint_samples_and_a_step_is_one_larger_batch():
    samples = Squares((1,), 26)
    shares = [TrainingShare.of(samples, 4, rank, 3) for rank in range(3)]
    seen = [[], [], []]
    for share, mine in zip(shares, seen, strict=True):
        for index in range(len(share)):
            step, place = divmod(index, 4)
            mine.append(step * 12 + share.rank * 4 + place)
            assert np.array_equal(share[index]["hu"], samples[mine[-1]]["hu"])
    assert sorted(place for mine in seen for place in mine) == list(range(24))
    # Each process keeps the balance: positives and negatives in turn.
    assert all(place % 2 == index % 2 for mine in seen for index, place in enumerate(mine))
    held = [ValidationShare(samples, rank, 3) for rank in range(3)]
    assert [len(share) for share in held] == [9, 9, 8]


def test_a_small_epoch_is_one_smaller_step_and_too_small_a_one_is_refused():
    assert len(TrainingShare.of(Squares((1,), 5), 4, 0, 2)) == 2
    with pytest.raises(DataError, match="1 samples for 2 processes"):
        TrainingShare.of(Squares((1,), 1), 4, 0, 2)


def test_sized_epochs_join_or_cut_those_of_their_source():
    inner = TinySource(count=10)
    long, short = Sized(inner, 25), Sized(inner, 4)
    epoch = long.epoch(2)
    assert len(epoch) == 25
    assert np.array_equal(epoch[12]["hu"], inner.epoch(7)[2]["hu"])
    assert len(short.epoch(3)) == 4
    assert np.array_equal(short.epoch(3)[1]["hu"], inner.epoch(3)[1]["hu"])
    assert len({inner.fingerprint, long.fingerprint, short.fingerprint}) == 3
    assert len(long.validation()) == inner.validated


def test_two_processes_train_one_network(tmp_path: Path):
    """DDP over gloo: both write what they saw, the first writes the weights."""
    program = tmp_path / "program.py"
    program.write_text(_TWO_PROCESSES)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]]),
    }
    done = subprocess.run(
        [sys.executable, program, tmp_path / "run"],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [
        {int(line) for line in (tmp_path / "run" / f"seen-{rank}").read_text().split()}
        for rank in (0, 1)
    ]
    assert len(seen[0]) == len(seen[1]) == 8
    assert seen[0].isdisjoint(seen[1])
    assert len(rows(tmp_path / "run")) == 2
    assert done.stdout.count("epoch 1/2") == 1
    # Finite, or they would not be read.
    load_checkpoint(tmp_path / "run" / WEIGHTS, "classification")


_TWO_PROCESSES = """
import os, sys
from pathlib import Path
from tiny_training import Boxes, TinySource, train

folder = Path(sys.argv[1])

def saw(index):
    with (folder / f"seen-{os.environ.get('LOCAL_RANK', '0')}").open("a") as file:
        file.write(f"{index}\\n")

if __name__ == "__main__":
    train(folder, TinySource(Boxes, count=16, validated=5, hooks={0: saw}), epochs=2, devices=2)
"""


def test_a_lost_process_is_said_and_the_run_goes_on(tmp_path: Path):
    def lost() -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Connection reset by peer")

    with pytest.raises(EngineError, match=r"another process.*goes on after epoch 1"):
        train(tmp_path, TinySource(hooks={1: at(5, lost)}))
    assert len(train(tmp_path).epochs) == EPOCHS


def test_tensorboard_shows_losses_metrics_curves_histograms_and_slices(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path / "seg", TinySource(count=4, validated=10), epochs=2)
    train(tmp_path / "cls", TinySource(Boxes, count=4, validated=6), epochs=2)
    shown = {}
    for name in ("seg", "cls"):
        events = EventAccumulator(str(tmp_path / name / "tensorboard"))
        events.Reload()
        shown[name] = events.Tags()
        assert [e.step for e in events.Scalars("loss/train")] == [1, 2]
    assert {"loss/train", "loss/validation", "validation/dice", "rate"} <= set(
        shown["seg"]["scalars"]
    )
    assert {"validation/auc", "validation/f1", "validation/precision", "validation/recall"} <= set(
        shown["cls"]["scalars"]
    )
    assert shown["seg"]["images"] == ["slices/0", "slices/1"]
    assert shown["cls"]["images"] == ["roc"]
    assert shown["seg"]["histograms"] == ["probability/elsewhere", "probability/in nodules"]
    assert shown["cls"]["histograms"] == ["probability/of class 0", "probability/of class 1"]


def test_validation_without_one_class_has_no_auc(tmp_path: Path):

    @dataclass(frozen=True)
    class OneClass(Boxes):
        def __getitem__(self, index: int) -> Sample:
            return super().__getitem__(2 * index if self.keys == (2,) else index)

    train(tmp_path, TinySource(OneClass, count=4, validated=3), epochs=1)
    assert "auc" not in rows(tmp_path)[0]["validation"]
