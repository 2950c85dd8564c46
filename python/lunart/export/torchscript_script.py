"""TorchScript by compiling the network's Python source."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lunart.bundle import Signature
from lunart.export.torchscript_archive import empty_unit, quiet, save_module


def export(module: nn.Module, example: Tensor, signature: Signature, target: Path) -> None:
    """Script ``module``; every axis stays free."""
    del example, signature  # the source says everything
    with empty_unit(), quiet("script"):
        save_module(torch.jit.script(module), target)
