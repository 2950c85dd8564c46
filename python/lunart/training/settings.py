"""How a training runs, whatever is trained on whatever data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lunart.errors import UsageError
from lunart.training.optimiser import Optimiser

#: What the network computes in; weights and losses are float32 either way.
PRECISIONS = ("f32", "bf16")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``batch`` is that of one device; ``patience`` is in epochs without a better validation.

    ``patience`` 0 never stops early. ``workers`` are processes that load samples (0: none besides
    the training's own); they change no result.
    """

    epochs: int = 20
    batch: int = 32
    optimiser: Optimiser = field(default_factory=Optimiser)
    precision: str = "f32"
    patience: int = 0
    seed: int = 1
    workers: int = 0
    devices: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision {self.precision!r} is none of {', '.join(PRECISIONS)}")
        for what, least in (
            ("epochs", 1), ("batch", 1), ("devices", 1), ("nodes", 1),
            ("patience", 0), ("seed", 0), ("workers", 0),
        ):  # fmt: skip
            if getattr(self, what) < least:
                raise UsageError(f"{what} is {getattr(self, what)}, expected {least} or more")

    def described(self) -> dict[str, Any]:
        """As plain values: those that the result depends on."""
        values = asdict(self)
        del values["workers"]
        return values
