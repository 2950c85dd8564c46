"""Candidates of the segmentation network under training, for hard-negative mining.

The pipeline proper is C++ (``lunart.Runner``) and wants a finished bundle; while a network is
being trained there is none. Hence these few lines of SciPy, which only choose training crops: no
result that anybody sees is made here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart.models import SegmentationUNet
from lunart.phantom import Phantom
from lunart.training.scans import HU_WINDOW, context_slices

NEAR_MM = 3.0


class Candidates(NamedTuple):
    """Centres ``(n, 3)`` index,row,col: those on a nodule and those far from every nodule."""

    hits: NDArray[np.float64]
    false: NDArray[np.float64]


def probabilities(model: SegmentationUNet, hu: NDArray[np.int16]) -> NDArray[np.float32]:
    """The network's probability of every voxel; edges are padded to a multiple of 4."""
    model = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _, rows, cols = hu.shape
    padded = np.pad(hu, ((0, 0), (0, -rows % 4), (0, -cols % 4)), mode="edge")
    slices = []
    with torch.inference_mode():
        for index in range(len(hu)):
            batch = torch.from_numpy(context_slices(padded, index)[None])
            slices.append(model(batch)[0, 0, :rows, :cols].numpy())
    return np.stack(slices)


def find(
    model: SegmentationUNet, phantom: Phantom, threshold: float, min_component_mm3: float
) -> Candidates:
    """Centres of the components that the network sees in a phantom, judged by its truth."""
    mask = probabilities(model, phantom.hu) > threshold
    labels, count = ndimage.label(mask)
    places = np.nonzero(mask)
    number = labels[places]
    weights = np.clip(phantom.hu[places], *HU_WINDOW).astype(np.float64) + 1001
    mass = np.bincount(number, weights, count + 1)
    volume = np.bincount(number, minlength=count + 1) * np.prod(phantom.spacing_mm)
    kept = np.flatnonzero(volume >= min_component_mm3)
    sums = [np.bincount(number, weights * axis, count + 1)[kept] for axis in places]
    centers = np.stack(sums, axis=1) / mass[kept, None]
    step = np.array(phantom.spacing_mm[::-1])
    hit = np.zeros(len(centers), bool)
    far = np.ones(len(centers), bool)
    for nodule in phantom.nodules:
        away = np.linalg.norm((centers - nodule.center_irc) * step, axis=1)
        hit |= away <= nodule.diameter_mm / 2
        far &= away > nodule.diameter_mm / 2 + NEAR_MM
    return Candidates(centers[hit], centers[far])
