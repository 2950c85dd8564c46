"""Random weights of narrow image classifiers as ``.safetensors``: quick to export, lively."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lunart.models import images
from lunart.models.architectures import build, default
from lunart.models.checkpoint import save_weights
from torch import nn

NARROW = {
    "cifar-linear": {"hidden": 4},
    "cifar-resdeep": {"channels": 4, "n_blocks": 2},
}
SETTINGS = images.square(32, mean=[0.49, 0.48, 0.45], deviation=[0.25, 0.24, 0.26])


def image_network(name: str, n_classes: int, seed: int = 0) -> nn.Module:
    """A network whose classes differ from picture to picture."""
    torch.manual_seed(seed)
    module = build(default(name, n_classes=n_classes, **NARROW.get(name, {"channels": 4})))
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for buffer in (part.weight, part.running_var):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
            for buffer in (part.bias, part.running_mean):
                buffer.copy_(torch.randn_like(buffer) * 0.1)
    last = module.fc2
    assert isinstance(last, nn.Linear)
    last.weight.mul_(8)
    return module


def write_image_weights(
    path: Path,
    name: str = "cifar-conv",
    classes: Sequence[str] = ("bird", "airplane"),
    *,
    recorded: bool = True,
    **preprocess: Any,
) -> Path:
    """``preprocess`` replaces settings of the usual ones; without ``recorded`` there are none."""
    module = image_network(name, len(classes))
    architecture = default(name, n_classes=len(classes), **NARROW.get(name, {"channels": 4}))
    settings = images.Images(classes=tuple(classes), preprocess={**SETTINGS, **preprocess})
    save_weights(path, module.state_dict(), architecture, images=settings if recorded else None)
    return path
