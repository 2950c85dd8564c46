"""Preprocessing of images, against PyTorch's interpolation, Pillow, and torchvision's rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import handmade_images
import numpy as np
import PIL
import pytest
import torch
from lunart import _core
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

Floats = NDArray[np.float32]
NEUTRAL: dict[str, Any] = {"scale": 1.0, "mean": [0, 0, 0], "deviation": [1, 1, 1]}
SIZES = [((40, 60), (13, 17)), ((9, 5), (40, 33)), ((64, 30), (36, 16)), ((31, 31), (31, 30)),
         ((1, 1), (4, 6)), ((32, 32), (32, 32)), ((20, 30), (60, 1)),
         ((375, 500), (224, 224))]  # fmt: skip
PILLOW = int(PIL.__version__.split(".")[0])
PIL_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return handmade_images.write_bundle(tmp_path / "images")


def _preprocessed(bundle: Path, pixels: NDArray[np.uint8], **preprocess: Any) -> Floats:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["preprocess"] |= {**NEUTRAL, **preprocess}
    manifest["models"]["classification"]["inputs"][0]["shape"][2:] = ["height", "width"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return _core.preprocessed(bundle, _core.Image(pixels))


def _resize(size: object, name: str = "bilinear", *, antialias: bool = True) -> dict[str, Any]:
    return {"resize": {"size": size, "filter": name, "antialias": antialias}}


def _channels_first(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(pixels, 2, 0)


@pytest.mark.parametrize("name", PIL_FILTERS)
def test_resizing_is_pillows_to_the_bit(name: str, bundle: Path) -> None:
    for seed, ((rows, cols), size) in enumerate(SIZES):
        for pixels in (
            handmade_images.picture(rows, cols, seed),
            handmade_images.picture(rows, cols, seed) // 128 * 255,  # bicubic overshoots
        ):
            found = _preprocessed(bundle, pixels, **_resize(list(size), name))
            resized = Image.fromarray(pixels).resize(size[::-1], PIL_FILTERS[name])
            assert np.array_equal(found, _channels_first(np.asarray(resized))), (rows, cols, size)


@pytest.mark.skipif(PILLOW < 13, reason="an older Pillow resizes along the rows first, always")
@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_the_order_of_the_axes_is_pillows(name: str, bundle: Path) -> None:
    random = np.random.default_rng(4)
    for _ in range(60):
        rows, cols, new_rows, new_cols = random.integers(1, 70, 4).tolist()
        pixels = handmade_images.picture(rows, cols, rows) // 128 * 255
        found = _preprocessed(bundle, pixels, **_resize([new_rows, new_cols], name))
        resized = Image.fromarray(pixels).resize((new_cols, new_rows), PIL_FILTERS[name])
        assert np.array_equal(found, _channels_first(np.asarray(resized))), (
            pixels.shape,
            found.shape,
        )


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_without_antialias_it_is_pytorchs_rounded(name: str, bundle: Path) -> None:
    """torchvision's rule for tensors of 8 bits."""
    for (rows, cols), size in SIZES:
        pixels = handmade_images.picture(rows, cols)
        found = _preprocessed(bundle, pixels, **_resize(list(size), name, antialias=False))
        tensor = torch.from_numpy(_channels_first(pixels).astype(np.float32))[None]
        exact = interpolate(tensor, size, mode=name, align_corners=False)[0].clamp(0, 255)
        # PyTorch computes in float32; halves may fall either way.
        assert np.abs(found - exact.numpy()).max() <= 0.5 + 0.02
        assert np.array_equal(found, found.round())


def test_nearest_is_pytorchs_nearest_exact(bundle: Path) -> None:
    for (rows, cols), size in SIZES:
        pixels = handmade_images.picture(rows, cols)
        found = _preprocessed(bundle, pixels, **_resize(list(size), "nearest"))
        tensor = torch.from_numpy(_channels_first(pixels).astype(np.float32))[None]
        assert np.array_equal(found, interpolate(tensor, size, mode="nearest-exact")[0])


@pytest.mark.parametrize(
    ("rows", "cols", "shortest", "expected"),
    [(50, 75, 20, (20, 30)), (75, 50, 20, (30, 20)), (50, 76, 7, (7, 10)), (9, 9, 4, (4, 4)),
     (3, 100, 2, (2, 66)), (480, 640, 256, (256, 341))],
)  # fmt: skip
def test_a_number_is_the_shortest_side(
    rows: int, cols: int, shortest: int, expected: tuple[int, int], bundle: Path
) -> None:
    pixels = handmade_images.picture(rows, cols)
    found = _preprocessed(bundle, pixels, **_resize(shortest))
    assert found.shape == (3, *expected)
    assert np.array_equal(found, _preprocessed(bundle, pixels, **_resize(list(expected))))


@pytest.mark.parametrize("size", [(10, 11), (9, 11), (12, 12), (13, 10), (1, 1), (11, 14)])
def test_the_crop_is_torchvisions(size: tuple[int, int], bundle: Path) -> None:
    """``center_crop`` of torchvision 0.2x: round() to even, zeros around what is smaller."""
    crop = (10, 11)
    pixels = handmade_images.picture(*size)
    padded = pixels
    missing = [max(0, c - n) for c, n in zip(crop, size, strict=True)]
    padded = np.pad(pixels, [*((m // 2, (m + 1) // 2) for m in missing), (0, 0)])
    top, left = (round((n - c) / 2) for n, c in zip(padded.shape, crop, strict=False))
    expected = padded[top : top + crop[0], left : left + crop[1]]
    found = _preprocessed(bundle, pixels, center_crop=list(crop))
    assert np.array_equal(found, _channels_first(expected))


def test_a_crop_of_a_resized_picture_is_a_part_of_it(bundle: Path) -> None:
    pixels = handmade_images.picture(40, 64)
    whole = _preprocessed(bundle, pixels, **_resize(20, "bicubic"))
    part = _preprocessed(bundle, pixels, **_resize(20, "bicubic"), center_crop=[16, 16])
    assert np.array_equal(part, whole[:, 2:18, 8:24])


def test_values_are_scaled_then_normalised_by_channel(bundle: Path) -> None:
    pixels = handmade_images.picture(6, 5)
    settings = {"scale": 1 / 255, "mean": [0.1, 0.2, 0.3], "deviation": [0.5, 0.25, 2.0]}
    found = _preprocessed(bundle, pixels, **settings)
    mean, deviation = (np.array(settings[k])[:, None, None] for k in ("mean", "deviation"))
    expected = (_channels_first(pixels) / 255 - mean) / deviation
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
