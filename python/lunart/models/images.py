"""What belongs to an image classifier's weights besides numbers: its classes, and how to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lunart.bundle import Architecture
from lunart.errors import BundleError


@dataclass(frozen=True, kw_only=True)
class Images:
    """Class names in the order of the logits, and a bundle's ``preprocess``.

    The core knows what ``preprocess`` may say, and checks it when a bundle is written.
    """

    classes: tuple[str, ...]
    preprocess: Mapping[str, Any]

    @classmethod
    def read(cls, recorded: Mapping[str, Any], architecture: Architecture) -> Images | None:
        """From a checkpoint's metadata; None when it says nothing. Raises ``BundleError``."""
        if "classes" not in recorded and "preprocess" not in recorded:
            return None
        classes, preprocess = recorded.get("classes"), recorded.get("preprocess")
        n_classes = architecture.arguments["n_classes"]
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise BundleError(f"classes are {classes!r}, a list of names is expected")
        if len(classes) != n_classes or len(set(classes)) != n_classes:
            raise BundleError(f"classes are {classes}, the network tells {n_classes} apart")
        if not isinstance(preprocess, dict):
            raise BundleError(f"preprocess is {preprocess!r}, an object is expected")
        return cls(classes=tuple(classes), preprocess=preprocess)

    def to_json(self) -> dict[str, Any]:
        """As a manifest and a checkpoint record it."""
        return {"classes": list(self.classes), "preprocess": dict(self.preprocess)}


def square(side: int, *, mean: Sequence[float], deviation: Sequence[float]) -> dict[str, Any]:
    """The ``preprocess`` of a network for squares: the middle of any picture, normalised.

    A picture of that size stays as it is. ``mean`` and ``deviation`` are of red, green and blue
    from 0 to 1.
    """
    return {
        "resize": {"size": side, "filter": "bilinear", "antialias": True},
        "center_crop": [side, side],
        "scale": 1 / 255,
        "mean": [float(value) for value in mean],
        "deviation": [float(value) for value in deviation],
    }
