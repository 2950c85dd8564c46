"""The networks by name, built from a name and arguments as a bundle or a checkpoint records them.

Each network's module has its record; the book's checkpoints carry no arguments: :func:`infer` reads
them off the weights' shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lunart.bundle import Architecture
from lunart.errors import BundleError
from lunart.models import cifar, classifier, strided, unet
from lunart.models.record import Record

__all__ = [
    "CLASSIFIER",
    "CROP_CLASSIFIERS",
    "NETWORKS",
    "ROLES",
    "Architecture",
    "build",
    "default",
    "describe",
    "infer",
    "make",
    "recognise",
    "skeleton",
]

NETWORKS: dict[str, Record] = {
    "unet": unet.RECORD,
    "luna-classifier": classifier.RECORD,
    "strided-classifier": strided.RECORD,
    **cifar.RECORDS,
}

#: The role of weights that make a bundle of task ``image-classification``.
CLASSIFIER = "image-classifier"

#: 3-D networks that take crops.
CROP_CLASSIFIERS = ("luna-classifier", "strided-classifier")

#: The architectures that each role may have, the usual one first. The first three are those of a
#: bundle of task ``lung-nodules``.
ROLES: dict[str, tuple[str, ...]] = {
    "segmentation": ("unet",),
    "classification": CROP_CLASSIFIERS,
    "malignancy": CROP_CLASSIFIERS,
    CLASSIFIER: tuple(cifar.RECORDS),
}


def default(name: str, **arguments: Any) -> Architecture:
    """Network ``name`` with the arguments that the book uses, but for those given.

    Raises ``BundleError`` for an unknown name, unknown arguments or values out of range.
    """
    values = {key: argument.default for key, argument in _record(name).arguments.items()}
    architecture = Architecture(name, {**values, **arguments})
    _checked(architecture)
    return architecture


def make(architecture: Architecture) -> nn.Module:
    """The network with random weights, to be trained.

    Raises ``BundleError`` for an unknown name, unknown arguments or values out of range.
    """
    return _checked(architecture).make(**_arguments(architecture))


def build(architecture: Architecture) -> nn.Module:
    """As :func:`make`, but in eval mode, no parameter requiring a gradient."""
    return make(architecture).eval().requires_grad_(False)


def skeleton(architecture: Architecture) -> nn.Module:
    """As :func:`build`, but without memory for weights: to be compared with weights, or given them.

    What an architecture asks for is not allocated before there are weights that fit it. Weights go
    in with ``load_state_dict(state, assign=True)``.
    """
    with torch.device("meta"):
        return build(architecture)


def describe(name: str) -> str:
    """The architecture in words, for messages."""
    return NETWORKS[name].words


def recognise(keys: Sequence[str]) -> str | None:
    """The network that most of these ``state_dict`` keys belong to, or None.

    Of networks that share their keys the first of :data:`NETWORKS`: dropout leaves no trace in
    weights, nor does a penalty.
    """
    counts = {
        name: sum(key.startswith(record.marks) for key in keys) for name, record in NETWORKS.items()
    }
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] > 0 else None


def infer(name: str, state: Mapping[str, Tensor]) -> Architecture:
    """The arguments of network ``name``, read off the shapes of a ``state_dict``.

    Raises ``BundleError`` when a weight that tells them is missing or has an impossible shape.
    """
    architecture = Architecture(name, _record(name).infer(state))
    _checked(architecture)
    return architecture


def _record(name: str) -> Record:
    if name not in NETWORKS:
        raise BundleError(f"unknown architecture {name!r} (known: {', '.join(NETWORKS)})")
    return NETWORKS[name]


def _arguments(architecture: Architecture) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, (list, tuple)) else value
        for key, value in architecture.arguments.items()
    }


def _checked(architecture: Architecture) -> Record:
    name = architecture.name
    record = _record(name)
    if set(architecture.arguments) != set(record.arguments):
        raise BundleError(
            f"architecture {name!r} takes the arguments {sorted(record.arguments)}, "
            f"found {sorted(architecture.arguments)}"
        )
    for key, value in architecture.arguments.items():
        record.arguments[key].check(value, f"architecture {name!r}: {key}")
    return record
