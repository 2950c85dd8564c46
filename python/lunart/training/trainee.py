"""What is trained, and what of it is shipped: a network, its architecture, its frozen parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lunart.bundle import Architecture
from lunart.errors import BundleError, UsageError
from lunart.models import SegmentationUNet
from lunart.models.architectures import CROP_CLASSIFIERS, NETWORKS, default, make
from lunart.models.checkpoint import Checkpoint
from lunart.training.normalised import NormalisedClassifier
from lunart.training.randomness import initialised

_FIRST = "tail_batchnorm"


@dataclass(frozen=True, eq=False, kw_only=True)
class Trainee:
    """``shipped`` gives the weights of ``architecture``, which need not be the trained network's.

    ``frozen`` modules stay in eval mode, so that their batch norms' statistics rest too. ``made``
    says how it was made, for the record.
    """

    network: nn.Module
    architecture: Architecture
    shipped: Callable[[], Mapping[str, Tensor]]
    frozen: tuple[nn.Module, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)


def segmenter(seed: int, *, depth: int = 3, wf: int = 4) -> Trainee:
    """A U-Net over seven slices."""
    arguments = {"in_channels": 7, "depth": depth, "wf": wf}
    network = initialised(seed, lambda: SegmentationUNet(**arguments))
    _start_rare(network)
    # bf16 rounds a probability above 0.998 up to 1, where its gradient ends.
    network.final.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    return Trainee(
        network=network,
        architecture=Architecture("unet", arguments),
        shipped=network.state_dict,
    )


def crop_architecture(
    network: str, crop_irc: Sequence[int], *, channels: int | None, mirrors: int | None
) -> Architecture:
    """One of :data:`CROP_CLASSIFIERS`, as it ships. ``UsageError`` for what it does not take."""
    if network not in CROP_CLASSIFIERS:
        raise UsageError(f"--network {network!r} is none of {', '.join(CROP_CLASSIFIERS)}")
    if mirrors is not None and "mirrors" not in NETWORKS[network].arguments:
        able = [name for name in CROP_CLASSIFIERS if "mirrors" in NETWORKS[name].arguments]
        raise UsageError(f"--mirrors: {network} looks at no mirror images, {', '.join(able)} does")
    given = {"conv_channels": channels, "mirrors": mirrors}
    try:
        return default(
            network,
            crop_irc=list(crop_irc),
            **{key: value for key, value in given.items() if value is not None},
        )
    except BundleError as error:
        raise UsageError(f"--network: {error}") from error


def crop_classifier(architecture: Architecture, seed: int, *, dropout: float = 0.0) -> Trainee:
    """A 3-D classifier of crops, with batch norms that are folded into what is shipped."""
    plain = initialised(seed, lambda: make(_without_mirrors(architecture)))
    # A factor and shift before a normalised convolution change next to nothing, and cost the
    # gradient of the crops themselves. The norm's statistics are learnt all the same.
    plain.get_submodule(_FIRST).requires_grad_(False)
    parts = [name for name, _ in plain.named_children() if name.startswith(("stem", "block"))]
    network = NormalisedClassifier(plain, parts, dropout=dropout)
    return Trainee(
        network=network,
        architecture=architecture,
        shipped=network.folded,
        made={"dropout": dropout, "normalised": parts, "fixed": [_FIRST]},
    )


def finetuned(checkpoint: Checkpoint, seed: int, *, depth: int, dropout: float = 0.0) -> Trainee:
    """A trained nodule classifier with its head (``depth`` 1) or head and last block (2) new.

    The rest keeps its weights and statistics, as in Deep Learning with PyTorch, chapter 14.
    """
    plain = initialised(seed, lambda: make(_without_mirrors(checkpoint.architecture)))
    blocks = [name for name, _ in plain.named_children() if name.startswith("block")]
    new = ("head_linear", blocks[-1])[:depth]
    kept = {k: v for k, v in checkpoint.state.items() if k.split(".", 1)[0] not in new}
    plain.load_state_dict(kept, strict=False)
    frozen = tuple(part for name, part in plain.named_children() if name not in new)
    for part in frozen:
        part.requires_grad_(False)
    normalised = tuple(name for name in new if name in blocks)
    network = NormalisedClassifier(plain, normalised, dropout=dropout)
    return Trainee(
        network=network,
        architecture=checkpoint.architecture,
        shipped=network.folded,
        frozen=frozen,
        made={
            "dropout": dropout,
            "normalised": list(normalised),
            "finetuned": {"sha256": checkpoint.sha256, "depth": depth},
        },
    )


def _without_mirrors(architecture: Architecture) -> Architecture:
    # Crops are mirrored by chance while it learns; all images at once would cost as many passes.
    changed = {"mirrors": 0} if "mirrors" in architecture.arguments else {}
    return Architecture(architecture.name, {**architecture.arguments, **changed})


def unchanged(architecture: Architecture, seed: int) -> Trainee:
    """Any known architecture as it is."""
    network = initialised(seed, lambda: make(architecture))
    return Trainee(network=network, architecture=architecture, shipped=network.state_dict)


def _start_rare(network: SegmentationUNet) -> None:
    """A nodule is rare: an untrained network that says so needs not learn it first."""
    bias = network.unet.last.bias
    assert bias is not None
    nn.init.constant_(bias, -3.0)
