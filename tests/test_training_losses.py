"""Losses, optimisers and metrics against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from lunart.errors import UsageError
from lunart.training.augment import Augmentation
from lunart.training.losses import (
    CrossEntropy,
    MixedLoss,
    RecallWeightedDice,
    described,
    dice_loss,
    recall_loss,
)
from lunart.training.metrics import ClassificationMetrics, SegmentationMetrics
from lunart.training.optimiser import Optimiser
from lunart.training.overlay import FALSE, HIT, MISSED, Shown, overlaid
from lunart.training.randomness import augmentation_generator, initialised, seeded_dropout
from lunart.training.tasks import Segmentation
from torch import Tensor, nn


def image(*rows: list[float]) -> Tensor:
    """``(1, 1, rows, cols)``."""
    return torch.tensor([[rows]], dtype=torch.float32)


TRUTH = image([1, 1, 0, 0])
ANSWER = image([0.8, 0.2, 0.4, 0.0])


def test_dice_and_recall_are_those_of_the_book():
    # overlap 1.0, answer 1.4, truth 2, one pixel of smoothing
    assert dice_loss(ANSWER, TRUTH).tolist() == pytest.approx([1 - 3 / 4.4])
    # false positives do not count: answer 1.0
    assert recall_loss(ANSWER, TRUTH).tolist() == pytest.approx([1 - 3 / 4])
    loss = RecallWeightedDice()(ANSWER, TRUTH)
    assert loss.item() == pytest.approx(1 - 3 / 4.4 + 8 * (1 - 3 / 4))
    assert dice_loss(0 * TRUTH, 0 * TRUTH).item() == 0


def test_the_mixed_loss_weighs_entropy_and_dice_of_images_with_and_without_a_nodule():
    empty = image([0, 0, 0, 0])
    answer, truth = torch.cat([ANSWER, ANSWER]), torch.cat([TRUTH, empty])
    right = [0.8, 0.8, 0.2, 0.2, 0.6, 0.2, 0.8, 0.6]  # of the truth; nodule pixels count twice
    entropy = -sum(math.log(p) for p in right) / 8
    wanted = 5 * entropy + (1 - 3 / 4.4) + 3 * (1 - 3 / 4) + 0.15 * (1 - 1 / (1.4 + 1))
    assert MixedLoss()(answer, truth).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", [MixedLoss(), RecallWeightedDice()])
def test_nothing_is_learnt_where_the_truth_is_unknown(loss):
    known = image([1, 1, 1, 0])
    answer = ANSWER.clone().requires_grad_()
    value = loss(answer, TRUTH, known)
    value.backward()
    assert answer.grad[0, 0, 0, 3] == 0
    assert (answer.grad[0, 0, 0, :3] != 0).all()
    other = image([0.8, 0.2, 0.4, 0.9])
    assert loss(other, image([1, 1, 0, 1]), known).item() == pytest.approx(value.item())
    # As if the image ended there.
    assert loss(ANSWER[..., :3], TRUTH[..., :3]).item() == pytest.approx(value.item())
    assert math.isfinite(loss(ANSWER, TRUTH, 0 * known).item())


def test_losses_say_what_they_are():
    assert described(CrossEntropy(label_smoothing=0.1)) == {
        "name": "CrossEntropy", "label_smoothing": 0.1
    }  # fmt: skip


def test_label_smoothing_pulls_the_target_from_the_label():
    logits, label = torch.tensor([[0.0, 2.0]]), torch.tensor([1])
    p = math.exp(2) / (1 + math.exp(2))
    loss = CrossEntropy(label_smoothing=0.2)(logits, label).item()
    assert loss == pytest.approx(-0.9 * math.log(p) - 0.1 * math.log(1 - p), rel=1e-5)


def test_weight_decay_spares_biases_and_batch_norms_and_frozen_parameters():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    network[2].requires_grad_(False)
    optimiser = Optimiser(weight_decay=0.1).build(network)
    decayed, spared = optimiser.param_groups
    assert [p.shape for p in decayed["params"]] == [(2, 1, 3, 3)]
    assert decayed["weight_decay"] == 0.1
    assert [p.dim() for p in spared["params"]] == [1, 1, 1]
    assert spared["weight_decay"] == 0
    with pytest.raises(UsageError, match="nothing to train"):
        Optimiser().build(network.requires_grad_(False))


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)]
)
def test_optimisers_by_name(name: str, kind: type):
    network = nn.Linear(2, 2)
    assert type(Optimiser(name=name).build(network)) is kind
    sgd = Optimiser(name="sgd", momentum=0.8).build(network)
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.param_groups[0]["momentum"] == 0.8


def test_the_rate_warms_up_and_falls_as_a_cosine():
    optimiser = Optimiser(rate=1.0, warmup_steps=9)
    assert optimiser.rate_at(0, 0.0) == pytest.approx(0.1)
    assert optimiser.rate_at(4, 0.0) == pytest.approx(0.5)
    assert optimiser.rate_at(500, 0.5) == pytest.approx(0.01 + 0.99 / 2)
    assert optimiser.rate_at(1000, 1.0) == pytest.approx(0.01)
    assert Optimiser(rate=1.0, schedule="constant").rate_at(7, 0.9) == 1.0


def test_l1_is_the_sum_of_absolute_weights():
    network = nn.Linear(2, 1)
    nn.init.constant_(network.weight, -3.0)
    assert Optimiser(l1=0.5).penalty(network.parameters()).item() == pytest.approx(3.0)
    assert Optimiser().penalty(network.parameters()) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "lion"}, {"rate": 0.0}, {"rate": math.nan}, {"momentum": 1.0},
        {"weight_decay": -1.0}, {"schedule": "step"},
    ],
)  # fmt: skip
def test_optimisers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError):
        Optimiser(**wrong)


def test_segmentation_metrics_count_known_pixels_of_all_images_together():
    metrics = SegmentationMetrics(0.5)
    first = {
        "mask": image([1, 1, 0, 0]),
        "weight": image([1, 1, 1, 0]),
        "hu": torch.zeros(1, 7, 1, 4),
    }
    metrics.update(image([0.9, 0.1, 0.8, 0.9]), first, torch.tensor(1.0))  # hit, miss, false
    second = {"mask": image([1, 1, 1, 0]), "hu": torch.zeros(1, 7, 1, 4)}
    metrics.update(image([0.9, 0.9, 0.9, 0.2]), second, torch.tensor(3.0))  # three hits
    values = metrics.compute()
    assert values == pytest.approx(
        {
            "loss": 2.0, "dice": 8 / 10, "recall": 4 / 5, "precision": 4 / 5,
            # without the false 0.8: 8 / 9, from just above it on
            "best_dice": 8 / 9, "best_threshold": 801 / 1000,
        }
    )  # fmt: skip
    assert metrics.histograms().sum(1).tolist() == [2, 5]
    assert len(metrics.shown) == 1
    metrics.reset()
    metrics.update(image([0.9, 0.1, 0.8, 0.9]), first, torch.tensor(1.0))
    assert metrics.compute()["recall"] == 0.5
    assert metrics.histograms().sum() == 3


def test_classification_metrics():
    metrics = ClassificationMetrics()
    probability = torch.tensor([0.9, 0.6, 0.4, 0.7, 0.2])
    logits = torch.stack([torch.zeros(5), torch.logit(probability)], 1)
    label = torch.tensor([1, 0, 1, 1, 0])
    metrics.update(logits[:2], {"label": label[:2]}, torch.tensor(1.0))
    metrics.update(logits[2:], {"label": label[2:]}, torch.tensor(2.0))
    # called: 1 1 0 1 0; pairs in order: 5 of 6
    assert metrics.compute() == pytest.approx(
        {
            "loss": 1.6,
            "auc": 5 / 6,
            "f1": 2 / 3,
            "recall": 2 / 3,
            "precision": 2 / 3,
            "accuracy": 0.6,
        }
    )


def test_metrics_of_several_classes_are_means_over_them():
    metrics = ClassificationMetrics()
    label = torch.tensor([0, 1, 2, 2])
    logits = 5 * torch.eye(3)[torch.tensor([0, 1, 2, 0])]
    metrics.update(logits, {"label": label}, torch.tensor(0.5))
    values = metrics.compute()
    assert values["accuracy"] == pytest.approx(0.75)
    assert values["recall"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert values["precision"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert 0.8 < values["auc"] < 1


def test_what_is_known_moves_along_with_the_mask():
    mask = torch.zeros(4, 1, 16, 16)
    mask[:, :, 2:9, 3:6] = 1
    batch = {"hu": torch.zeros(4, 7, 16, 16), "mask": mask, "weight": mask.clone()}
    generator = augmentation_generator(1, 0, 0, 0, torch.device("cpu"))
    moved = Segmentation(augmentation=Augmentation()).augmented(batch, generator)
    assert torch.equal(moved["mask"], moved["weight"])
    assert not torch.equal(moved["mask"], mask)
    assert set(moved["mask"].unique().tolist()) == {0.0, 1.0}


def test_random_numbers_belong_to_the_step_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draws = {}
    for keys in ((1, 0, 0, 0), (1, 0, 1, 0), (1, 1, 0, 0), (1, 0, 0, 1), (1, 0, 0, 0)):
        with seeded_dropout(*keys):
            value = torch.rand(1).item()
        assert draws.setdefault(keys, value) == value
    assert len(set(draws.values())) == 4
    weights = [initialised(seed, lambda: nn.Linear(2, 2)).weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_hits_false_calls_and_misses_have_their_colours():
    shown = Shown(
        torch.full((1, 4), -1000.0),
        torch.tensor([[1, 0, 1, 0]]),
        torch.tensor([[0.9, 0.9, 0.1, 0.1]]),
    )
    picture = overlaid(shown, 0.5)
    for place, colour in enumerate((HIT, FALSE, MISSED)):
        assert picture[0, place].tolist() == pytest.approx([0.6 * c for c in colour], abs=0.5)
    assert picture[0, 3].tolist() == [0, 0, 0]
