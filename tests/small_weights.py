"""Random weights of narrow networks as ``.safetensors`` files: quick to export, same every time."""

from __future__ import annotations

from pathlib import Path

import torch
from lunart.bundle import Architecture
from lunart.models.architectures import build
from lunart.models.checkpoint import save_weights
from torch import nn

UNET = Architecture("unet", {"in_channels": 7, "depth": 3, "wf": 2})
CLASSIFIER = Architecture(
    "luna-classifier", {"in_channels": 1, "conv_channels": 2, "crop_irc": [32, 48, 48]}
)
# The other network of crops, at its most complicated: every engine runs and proves it too.
MIRRORED = Architecture(
    "strided-classifier",
    {"in_channels": 1, "conv_channels": 2, "crop_irc": [32, 48, 48], "mirrors": 3},
)
ARCHITECTURES = {"segmentation": UNET, "classification": CLASSIFIER, "malignancy": MIRRORED}


def small_network(role: str, seed: int = 0, architecture: Architecture | None = None) -> nn.Module:
    """A network whose answers depend on its input as a trained one's do: nothing saturates."""
    torch.manual_seed(seed)
    module = build(architecture or ARCHITECTURES[role])
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for buffer in (part.weight, part.running_var):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
            for buffer in (part.bias, part.running_mean):
                buffer.copy_(torch.randn_like(buffer) * 0.1)
    first = module.input_batchnorm if role == "segmentation" else module.tail_batchnorm
    assert isinstance(first, (nn.BatchNorm2d, nn.BatchNorm3d))
    first.running_mean.fill_(-500.0)
    first.running_var.fill_(450.0**2)
    return module


def write_small_weights(
    folder: Path,
    role: str,
    seed: int = 0,
    crop_irc: tuple[int, int, int] | None = None,
    **recorded: object,
) -> Path:
    """``<folder>/<role>.safetensors``; ``recorded`` may hold ``pipeline`` and ``source``."""
    path = folder / f"{role}.safetensors"
    architecture = ARCHITECTURES[role]
    if crop_irc is not None:
        arguments = {**architecture.arguments, "crop_irc": list(crop_irc)}
        architecture = Architecture(architecture.name, arguments)
    state = small_network(role, seed, architecture).state_dict()
    save_weights(path, state, architecture, **recorded)
    return path
