"""Segmentation weights whose threshold is one half.

A loss that weighs recall makes probabilities that are too high. The last layer's bias is moved by
one number, so that what was the threshold is 0.5 from then on, where engines agree best. No voxel
changes sides.
"""

from __future__ import annotations

import math
from pathlib import Path

from lunart.models.checkpoint import Checkpoint, save_weights

LAST_BIAS = "unet.last.bias"
_MOVED = "bias_moved"


def move_for(threshold: float) -> float:
    """What is added to the bias so that ``threshold`` becomes 0.5."""
    return -math.log(threshold / (1 - threshold))


def move_of(checkpoint: Checkpoint) -> float:
    """What was added to the bias of these weights."""
    return float(checkpoint.source["metadata"].get(_MOVED, 0.0))


def write_moved(
    path: Path, checkpoint: Checkpoint, move: float, *, erosion: int, least_mm3: float
) -> None:
    """Write the weights with their bias moved, a threshold of 0.5 and these settings."""
    state = dict(checkpoint.state)
    state[LAST_BIAS] = state[LAST_BIAS] + move
    save_weights(
        path,
        state,
        checkpoint.architecture,
        pipeline={
            "segmentation_threshold": 0.5,
            "erosion": erosion,
            "min_component_mm3": least_mm3,
        },
        source={**checkpoint.source["metadata"], _MOVED: move},
    )
