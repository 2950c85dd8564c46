"""The formats that ``luna-export`` writes: a new one is a file with ``export`` and a line here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from lunart.bundle import Signature

if TYPE_CHECKING:
    from torch import Tensor, nn


class Exporter(Protocol):
    """Write ``module`` (eval mode, no gradients) to ``target``; the same weights, the same bytes.

    ``example`` is a batch of two; the signature's symbolic axes are free in what is written.
    """

    def __call__(
        self, module: nn.Module, example: Tensor, signature: Signature, target: Path
    ) -> None: ...


@dataclass(frozen=True)
class Format:
    """An artifact's name, the engine format that runs it, its suffix, the module that writes it."""

    name: str
    format: str
    suffix: str
    module: str

    def exporter(self) -> Exporter:
        """Imported on use: ``--help`` must not wait for PyTorch."""
        return cast(Exporter, import_module(self.module).export)


#: In the order of preference, which is the order of a manifest's artifacts.
FORMATS = (
    Format("torchscript-trace", "torchscript", ".pt", "lunart.export.torchscript_trace"),
    Format("torchscript-script", "torchscript", ".pt", "lunart.export.torchscript_script"),
    Format("onnx", "onnx", ".onnx", "lunart.export.onnx"),
    Format("aotinductor", "aotinductor", ".pt2", "lunart.export.aotinductor"),
)

GROUPS: dict[str, Sequence[str]] = {
    "torchscript": ("torchscript-trace", "torchscript-script"),
    "portable": ("torchscript-trace", "torchscript-script", "onnx"),
    "all": tuple(entry.name for entry in FORMATS),
}

#: Native code takes a C++ compiler and a minute to make, and runs on nothing but its own kind.
DEFAULT = "portable"

#: What ``--format`` takes.
CHOICES = (*(entry.name for entry in FORMATS), *GROUPS)


def chosen(choice: str) -> tuple[Format, ...]:
    """The formats of a name or a group."""
    names = GROUPS.get(choice, (choice,))
    return tuple(entry for entry in FORMATS if entry.name in names)
