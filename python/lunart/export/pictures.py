"""Generated pictures, for golden data and probes: no photograph, so nobody's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_DISCS = 6
_BLOCKS = 4


def pattern(rows: int, cols: int, seed: int) -> Pixels:
    """``(rows, cols, 3)``: waves and discs of many colours, and noise, so that networks answer."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, cols), indexing="ij")
    turns = rng.uniform(-2, 2, (3, 2))
    phases = rng.uniform(0, 1, 3)
    waves = [
        np.sin(2 * np.pi * (a * y + b * x + c)) for (a, b), c in zip(turns, phases, strict=True)
    ]
    picture = 128 + 90 * np.stack(waves, axis=2)
    for row, col, radius in rng.uniform([0, 0, 0.05], [1, 1, 0.3], (_DISCS, 3)):
        picture[(y - row) ** 2 + (x - col) ** 2 < radius**2] = rng.uniform(0, 255, 3)
    picture += rng.normal(0, 12, picture.shape)
    pixels: Pixels = picture.clip(0, 255).round().astype(np.uint8)
    return pixels


def solid(rows: int, cols: int, level: int) -> Pixels:
    """``(rows, cols, 3)`` of one grey."""
    return np.full((rows, cols, 3), level, np.uint8)


def blocks(rows: int, cols: int, seed: int) -> Pixels:
    """``(rows, cols, 3)``: fields whose channels are 0 or 255, the farthest from any mean."""
    fields = np.random.default_rng(seed).integers(0, 2, (_BLOCKS, _BLOCKS, 3), dtype=np.uint8) * 255
    row, col = (np.arange(n) * _BLOCKS // n for n in (rows, cols))
    whole: Pixels = fields[row][:, col]
    return whole
