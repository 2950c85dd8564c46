"""Candidates of the segmentation network under training, for hard-negative mining.

``lunart.Runner`` wants a finished bundle; while a network is being trained there is none. Hence the
pipeline's stages one by one, with the network between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lunart import _core
from lunart.models import SegmentationUNet
from lunart.training.scans import CONTEXT, TrainingScan

NEAR_MM = 3.0


class Candidates(NamedTuple):
    """Centres ``(n, 3)`` index,row,col: those on a nodule and those far from every nodule."""

    hits: NDArray[np.float64]
    false: NDArray[np.float64]


def probabilities(model: SegmentationUNet, scan: _core.Scan) -> NDArray[np.float32]:
    """The network's probability of every voxel; edges are padded to a multiple of 4."""
    model = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count, rows, cols = scan.shape_irc
    margin = ((0, 0), (0, -rows % 4), (0, -cols % 4))
    slices = []
    with torch.inference_mode():
        for index in range(count):
            hu = np.pad(_core.slice_input(scan, index, CONTEXT), margin, mode="edge")
            slices.append(model(torch.from_numpy(hu[None]))[0, 0, :rows, :cols].numpy())
    return np.stack(slices)


def find(
    model: SegmentationUNet, item: TrainingScan, threshold: float, min_component_mm3: float
) -> Candidates:
    """Centres of the components that the network sees in a phantom, judged by its truth."""
    mask = (probabilities(model, item.scan) > threshold).astype(np.uint8)
    components, _ = _core.group(item.scan, mask, 0, min_component_mm3)
    centers = np.array([component["center_irc"] for component in components]).reshape(-1, 3)
    phantom = item.phantom
    step = np.array(phantom.spacing_mm[::-1])
    hit = np.zeros(len(centers), bool)
    far = np.ones(len(centers), bool)
    for nodule in phantom.nodules:
        away = np.linalg.norm((centers - nodule.center_irc) * step, axis=1)
        hit |= away <= nodule.diameter_mm / 2
        far &= away > nodule.diameter_mm / 2 + NEAR_MM
    return Candidates(centers[hit], centers[far])
