"""What a network's module says of it, so that it can be built, described and told from others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lunart.errors import BundleError

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Argument:
    """An integer of a constructor, or as many as ``default`` has, each from ``low`` to ``high``.

    Wide enough for any network that runs on a CPU, and for some that no machine could hold: hence
    :func:`lunart.models.architectures.skeleton`.
    """

    default: int | tuple[int, ...]
    low: int
    high: int

    def check(self, value: object, what: str) -> None:
        """Raise ``BundleError`` that says what was expected of ``what``."""
        several = isinstance(self.default, tuple)
        values = list(value) if several and isinstance(value, (list, tuple)) else [value]
        good = all(type(item) is int and self.low <= item <= self.high for item in values)
        if not good or len(values) != self.count:
            kind = f"{self.count} integers" if several else "an integer"
            raise BundleError(
                f"{what} is {value!r}, expected {kind} from {self.low} to {self.high}"
            )

    @property
    def count(self) -> int:
        """How many integers it is."""
        return len(self.default) if isinstance(self.default, tuple) else 1


@dataclass(frozen=True)
class Record:
    """One network by name."""

    make: Callable[..., nn.Module]
    #: In words, for messages.
    words: str
    arguments: Mapping[str, Argument]
    #: What the names of its weights start with, to tell networks apart before any shape.
    marks: tuple[str, ...]
    #: Its arguments, read off the shapes of a ``state_dict``; raises ``BundleError``.
    infer: Callable[[State], dict[str, Any]]


def shape_of(state: State, key: str, dimensions: int) -> tuple[int, ...]:
    """The shape of a weight that tells an argument. Raises ``BundleError``: missing, other axes."""
    if key not in state:
        raise BundleError(f"missing key: {key}")
    shape = tuple(state[key].shape)
    if len(shape) != dimensions:
        raise BundleError(f"{key} has shape {shape}, {dimensions} axes are expected")
    return shape
