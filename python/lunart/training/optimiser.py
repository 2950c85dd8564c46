"""Optimisers and the course of the learning rate, as one set of settings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lunart.errors import UsageError

OPTIMISERS = ("adamw", "adam", "sgd")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """What moves the weights. ``rate`` is the peak; ``momentum`` is SGD's (Adam's beta is 0.9).

    The cosine ends at 1 % of the peak. L1 and L2 (``weight_decay``: decoupled in AdamW, added to
    the gradient otherwise) act on weights, not on biases and batch norms. ``l1`` times the sum of
    absolute weights is added to the loss.
    """

    name: str = "adamw"
    rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    l1: float = 0.0
    schedule: str = "cosine"
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        if self.name not in OPTIMISERS:
            raise UsageError(f"optimiser {self.name!r} is none of {', '.join(OPTIMISERS)}")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule {self.schedule!r} is none of {', '.join(SCHEDULES)}")
        if not 0 < self.rate < math.inf:
            raise UsageError(f"learning rate is {self.rate}, expected more than 0")
        for what in ("weight_decay", "l1", "warmup_steps"):
            if not 0 <= getattr(self, what) < math.inf:
                raise UsageError(f"{what} is {getattr(self, what)}, expected 0 or more")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"momentum is {self.momentum}, expected 0 to below 1")

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimiser over those parameters of ``network`` that are not frozen."""
        trained = [p for p in network.parameters() if p.requires_grad]
        if not trained:
            raise UsageError("every parameter of the network is frozen: nothing to train")
        groups = [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if self.name == "sgd":
            return torch.optim.SGD(groups, lr=self.rate, momentum=self.momentum)
        kind = torch.optim.AdamW if self.name == "adamw" else torch.optim.Adam
        return kind(groups, lr=self.rate)

    def rate_at(self, step: int, progress: float) -> float:
        """The learning rate of a step, counted from 0 over the run; ``progress`` from 0 to 1."""
        warm = min(1.0, (step + 1) / (self.warmup_steps + 1))
        if self.schedule == "constant":
            return self.rate * warm
        return self.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def penalty(self, parameters: Iterable[Tensor]) -> Tensor | float:
        """``l1`` times the sum of absolute weights: to be added to the loss."""
        if self.l1 == 0:
            return 0.0
        weights = [p.abs().sum() for p in parameters if p.requires_grad and p.dim() > 1]
        return self.l1 * torch.stack(weights).sum() if weights else 0.0
