"""TorchScript by tracing: bit-equal to eager PyTorch, and what the native engine prefers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lunart.bundle import Signature
from lunart.export.torchscript_archive import empty_unit, quiet, save_module


def export(module: nn.Module, example: Tensor, signature: Signature, target: Path) -> None:
    """Trace ``module`` on ``example``; every axis stays free."""
    del signature  # a trace records no limits
    with empty_unit(), quiet("trace", "trace_method"), torch.no_grad():
        # The comparison on several shapes follows in verification; tracing twice adds nothing.
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        save_module(traced, target)
