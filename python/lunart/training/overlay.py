"""A slice with what was found, missed and called falsely, in colours that all eyes tell apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lunart.training.scans import HU_WINDOW

# Okabe and Ito's: bluish green, vermilion, sky blue.
HIT, FALSE, MISSED = (0, 158, 115), (213, 94, 0), (86, 180, 233)
_OPACITY = 0.6


class Shown(NamedTuple):
    """A validation slice: HU, truth and probability ``(rows, cols)``, on the CPU."""

    hu: Tensor
    truth: Tensor
    probability: Tensor


def overlaid(shown: Shown, threshold: float) -> NDArray[np.uint8]:
    """``(rows, cols, 3)``: grey with hits green, false calls red, what was missed blue."""
    low, high = HU_WINDOW
    grey = (shown.hu.float().numpy() - low) / (high - low) * 255
    picture = np.repeat(np.clip(grey, 0, 255)[..., None], 3, axis=2)
    truth, called = shown.truth.numpy() > 0, shown.probability.float().numpy() > threshold
    for where, colour in (
        (truth & called, HIT),
        (called & ~truth, FALSE),
        (truth & ~called, MISSED),
    ):
        picture[where] += _OPACITY * (np.array(colour) - picture[where])
    return np.rint(picture).astype(np.uint8)
