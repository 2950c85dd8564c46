"""Augmentation: what moves, how far, and on whose random numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lunart.errors import UsageError
from lunart.training.augment import Augmentation, augment_batch, augment_crop

CROP = (8, 24, 24)
NOTHING = {"flip": False, "shift": 0.0, "scale": 0.0, "turn_degrees": 0.0, "noise_hu": 0.0}
STILL = Augmentation(**NOTHING)


def only(**changed: object) -> Augmentation:
    return Augmentation(**{**NOTHING, **changed})


def block(seed: int = 0) -> np.ndarray:
    hu = np.random.default_rng(seed).uniform(-900, 900, (12, 40, 40))
    return hu.astype(np.float32)


def crops(settings: Augmentation, hu: np.ndarray, count: int = 60) -> list[np.ndarray]:
    return [
        augment_crop(np.random.default_rng(k), hu, CROP, settings=settings) for k in range(count)
    ]


def batch(
    settings: Augmentation, hu: torch.Tensor, mask: torch.Tensor, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    return augment_batch(hu, mask, torch.Generator().manual_seed(seed), settings=settings)


def disc(rows: int, cols: int, center: tuple[float, float], radius: float) -> torch.Tensor:
    r, c = torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")
    return ((r - center[0]) ** 2 + (c - center[1]) ** 2 <= radius**2).float()


def middle_of(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask > 0.5).mean(0) - (np.array(mask.shape) - 1) / 2


def test_nothing_is_the_middle_of_the_block():
    [crop] = crops(STILL, block(), 1)
    np.testing.assert_allclose(crop, block()[2:10, 8:32, 8:32], atol=1e-3)
    hu, mask = torch.rand(3, 7, 20, 28) * 500, (torch.rand(3, 1, 20, 28) > 0.5).float()
    moved, same = batch(STILL, hu, mask)
    torch.testing.assert_close(moved, hu, atol=1e-2, rtol=0)
    assert torch.equal(same, mask)


def test_every_flip_of_a_crop_comes_and_changes_nothing_else():
    middle = block()[2:10, 8:32, 8:32]
    flips = [middle[::i, ::r, ::c] for i in (1, -1) for r in (1, -1) for c in (1, -1)]
    seen = [
        [np.allclose(crop, flip, atol=1e-3) for flip in flips]
        for crop in crops(only(flip=True), block())
    ]
    assert all(sum(one) == 1 for one in seen)
    assert np.array(seen).any(0).all()


def test_every_flip_of_a_patch_comes_and_takes_the_mask_along():
    hu = torch.rand(1, 7, 16, 16) * 500
    mask = (hu[:, 3:4] > 250).float()
    moved, marked = batch(only(flip=True), hu.repeat(60, 1, 1, 1), mask.repeat(60, 1, 1, 1))
    axes = [[k for k in (1, 2, 3) if number >> (k - 1) & 1] for number in range(8)]
    seen = [[torch.allclose(one, hu.flip(a)[0], atol=1e-2) for a in axes] for one in moved]
    assert all(sum(one) == 1 for one in seen)
    assert np.array(seen).any(0).all()
    assert torch.equal(marked, (moved[:, 3:4] > 250).float())


def test_a_turn_is_about_the_head_foot_axis():
    hu = np.broadcast_to(np.linspace(-500, 500, 12, dtype=np.float32)[:, None, None], (12, 40, 40))
    for crop in crops(only(turn_degrees=180), hu, 10):
        np.testing.assert_allclose(crop, hu[2:10, 8:32, 8:32], atol=1e-3)
    pole = np.zeros((12, 40, 40), np.float32)
    pole[:, 19:21, 23:25] = 500
    angles = []
    for crop in crops(only(turn_degrees=180), pole):
        places = [middle_of(piece > 200) for piece in crop]
        assert np.ptp(places, axis=0).max() == 0
        assert np.hypot(*places[0]) == pytest.approx(4, abs=0.7)
        angles.append(np.degrees(np.arctan2(*places[0])))
    assert np.ptp(angles) > 250


def test_a_turn_of_a_patch_that_is_no_square_is_rigid():
    mask = disc(32, 80, (15.5, 51.5), 5).expand(40, 1, 32, 80)
    hu = (600 * mask).expand(40, 7, 32, 80)
    moved, marked = batch(only(turn_degrees=15), hu, mask)  # nothing mirrored shows
    for one in marked:
        assert float(one.sum()) == pytest.approx(float(mask[0].sum()), rel=0.12)
        assert np.hypot(*middle_of(one[0].numpy())) == pytest.approx(12, abs=0.5)
    assert ((moved[:, 3:4] > 300).float() != marked).float().mean() < 2e-3


@pytest.mark.parametrize("by", [0.1, 0.25])
def test_a_shift_goes_as_far_as_it_says_both_ways(by: float):
    dot = np.zeros((12, 40, 40), np.float32)
    dot[4:8, 18:22, 18:22] = 800
    places = np.array([middle_of(crop > 400) for crop in crops(only(shift=by), dot, 150)])
    for axis, side in enumerate(CROP):
        assert places[:, axis].max() == pytest.approx(by * side, abs=1)
        assert places[:, axis].min() == pytest.approx(-by * side, abs=1)
    mask = disc(64, 64, (31.5, 31.5), 4).expand(150, 1, 64, 64)
    _, marked = batch(only(shift=by), mask.expand(150, 7, 64, 64), mask)
    shifts = np.array([middle_of(one[0].numpy()) for one in marked])
    assert shifts.max(0) == pytest.approx([by * 64] * 2, abs=1)
    assert shifts.min(0) == pytest.approx([-by * 64] * 2, abs=1)


def test_a_scale_is_as_likely_to_shrink_as_to_grow():
    mask = disc(64, 64, (31.5, 31.5), 12).expand(300, 1, 64, 64)
    _, marked = batch(only(scale=0.5), mask.expand(300, 7, 64, 64), mask)
    zoom = np.sqrt(marked.sum((1, 2, 3)).numpy() / float(mask[0].sum()))
    assert zoom.max() == pytest.approx(1.5, abs=0.05)
    assert zoom.min() == pytest.approx(1 / 1.5, abs=0.03)
    assert np.median(zoom) == pytest.approx(1, abs=0.07)


def test_noise_is_drawn_up_to_its_level():
    flat = np.full((12, 40, 40), 100, np.float32)
    levels = [crop.std() for crop in crops(only(noise_hu=40), flat)]
    assert max(levels) == pytest.approx(40, abs=3)
    assert min(levels) < 4
    hu = torch.full((60, 7, 32, 32), 100.0)
    moved, marked = batch(only(noise_hu=40), hu, torch.zeros(60, 1, 32, 32))
    levels = moved.std((1, 2, 3))
    assert float(levels.max()) == pytest.approx(40, abs=3)
    assert float(levels.min()) < 4
    assert not marked.any()


def test_what_leaves_the_window_is_clamped():
    for crop in crops(Augmentation(noise_hu=900), block(), 5):
        assert -1000 <= crop.min() <= crop.max() <= 1000
    moved, _ = batch(
        Augmentation(noise_hu=900), torch.full((2, 7, 16, 16), 990.0), torch.ones(2, 1, 16, 16)
    )
    assert moved.max() == 1000


def test_every_plane_of_a_mask_moves_along_and_stays_one_of_zeros_and_ones():
    mask = (torch.rand(20, 1, 64, 64) > 0.5).float()
    hu = mask.expand(20, 7, 64, 64)
    _, marked = batch(Augmentation(), hu, mask)
    _, planes = batch(Augmentation(), hu, torch.cat([mask, 1 - mask], 1))
    assert torch.equal(planes[:, :1], marked)
    assert torch.equal(planes[:, 1:], 1 - marked)
    assert set(marked.unique().tolist()) == {0.0, 1.0}
    assert marked.dtype == mask.dtype


def test_samples_depend_on_the_given_generator_alone():
    before = (torch.get_rng_state(), str(np.random.get_state()))
    hu, mask = torch.zeros(4, 7, 16, 16), torch.zeros(4, 1, 16, 16)
    one, two = (batch(Augmentation(), hu, mask, seed=3)[0] for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one, batch(Augmentation(), hu, mask, seed=4)[0])
    first, again = crops(Augmentation(), block(), 2), crops(Augmentation(), block(), 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]


@pytest.mark.parametrize(
    "setting",
    [{"shift": 0.6}, {"scale": -0.1}, {"turn_degrees": 181}, {"noise_hu": float("nan")}],
)
def test_a_setting_without_sense_is_named(setting: dict[str, float]):
    with pytest.raises(UsageError, match=f"augmentation: {next(iter(setting))} is"):
        Augmentation(**setting)
