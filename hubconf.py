"""Torch Hub: every network of lunart, with random weights or with those that come with it.

    model = torch.hub.load("path/to/lunart", "cifar_resdeep", source="local", pretrained=True)

No network access: weights lie in ``python/lunart/weights``, each with its model card. Models come
in eval mode, and a pretrained one says in ``model.metadata`` what belongs to its weights: classes
and preprocessing, or the settings of the pipeline, and where they came from.

What is here starts with an underscore unless it is a model: Torch Hub lists the rest.
"""

import json as _json
import sys as _sys
from importlib.machinery import EXTENSION_SUFFIXES as _EXTENSION_SUFFIXES
from pathlib import Path as _Path
from typing import Any as _Any

from torch import nn as _nn

dependencies = ["numpy", "safetensors", "torch"]

_ROOT = _Path(__file__).resolve().parent


def nodule_unet(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """U-Net: nodule probability of each pixel of a slice, from it and three slices either side.

    Arguments of random weights: in_channels=7, depth=3, wf=4 (2**wf filters at first).
    """
    return _network("unet", "segmentation", pretrained, arguments)


def nodule_classifier(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """3-D classifier of crops: nodule or look-alike.

    Random weights are the book's network's; arguments: conv_channels=8, crop_irc=(32, 48, 48),
    in_channels=1. The pretrained one is the network that ships and takes
    ``(batch, 1, 32, 32, 32)`` HU, 1 mm a voxel.
    """
    return _network("luna-classifier", "classification", pretrained, arguments)


def strided_classifier(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """3-D classifier of crops that starts at half the size: nodule or look-alike.

    Arguments of random weights: conv_channels=16, crop_irc=(32, 32, 32), in_channels=1, mirrors=0.
    The pretrained one is nodule_classifier's, where that is such a network.
    """
    return _network("strided-classifier", "classification", pretrained, arguments)


def malignancy_classifier(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """3-D classifier of crops around nodules: malignant or benign.

    Random weights are the book's network's; arguments: conv_channels=8, crop_irc=(32, 48, 48),
    in_channels=1. The pretrained one takes what the nodule classifier does.
    """
    return _network("luna-classifier", "malignancy", pretrained, arguments)


def cifar_linear(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Fully connected: bird or airplane. Arguments of random weights: n_classes=2, hidden=512."""
    return _network("cifar-linear", "cifar-linear", pretrained, arguments)


def cifar_conv(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Two convolutions: bird or airplane. Arguments of random weights: n_classes=2, channels=16."""
    return _network("cifar-conv", "cifar-conv", pretrained, arguments)


def cifar_wide(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Wide: bird or airplane. Arguments of random weights: n_classes=2, channels=32."""
    return _network("cifar-wide", "cifar-wide", pretrained, arguments)


def cifar_l2(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """cifar_conv trained with an L2 penalty. Arguments as cifar_conv."""
    return _network("cifar-l2", "cifar-l2", pretrained, arguments)


def cifar_dropout(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Dropout: bird or airplane. Arguments of random weights: n_classes=2, channels=32."""
    return _network("cifar-dropout", "cifar-dropout", pretrained, arguments)


def cifar_batchnorm(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Batch norm: bird or airplane. Arguments of random weights: n_classes=2, channels=32."""
    return _network("cifar-batchnorm", "cifar-batchnorm", pretrained, arguments)


def cifar_res(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Residual: bird or airplane. Arguments of random weights: n_classes=2, channels=32."""
    return _network("cifar-res", "cifar-res", pretrained, arguments)


def cifar_resdeep(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Deep residual: bird or airplane.

    Arguments of random weights: n_classes=2, channels=32, n_blocks=10.
    """
    return _network("cifar-resdeep", "cifar-resdeep", pretrained, arguments)


def cifar_resdeep_10(pretrained: bool = False, **arguments: _Any) -> _nn.Module:
    """Deep residual: the ten classes of CIFAR-10.

    Arguments of random weights: n_classes=10, channels=32, n_blocks=10.
    """
    ten = {"n_classes": 10, **arguments}
    return _network("cifar-resdeep", "cifar-resdeep-10", pretrained, ten)


def _network(
    architecture: str, weights: str, pretrained: bool, arguments: dict[str, _Any]
) -> _nn.Module:
    _make_importable()
    from lunart.errors import UsageError
    from lunart.models.architectures import ROLES, default, make
    from lunart.models.shipped import shipped

    if not pretrained:
        return make(default(architecture, **arguments)).eval()
    checkpoint = shipped(weights)
    # Asked for by the usual network's name, a role's weights may be of any network of the role.
    usual = architecture == ROLES.get(weights, (architecture,))[0]
    name = checkpoint.architecture.name if usual else architecture
    wanted = default(name, **{**checkpoint.architecture.arguments, **arguments})
    # As JSON, where a tuple is a list.
    asked, recorded = (
        _json.dumps(one.to_json(), sort_keys=True) for one in (wanted, checkpoint.architecture)
    )
    if asked != recorded:
        raise UsageError(
            f"the weights {weights} are those of {checkpoint.architecture}, not of {wanted}: leave "
            "the arguments out, or pretrained=True"
        )
    module = checkpoint.module().requires_grad_(True)
    module.metadata = {
        "pipeline": dict(checkpoint.pipeline),
        "source": dict(checkpoint.source),
        **(checkpoint.images.to_json() if checkpoint.images else {}),
    }
    return module


def _make_importable() -> None:
    """lunart of this clone where it is built, else an installed one, else say what to do."""
    package = _ROOT / "python"
    built = any((package / "lunart" / f"_core{suffix}").exists() for suffix in _EXTENSION_SUFFIXES)
    if built and str(package) not in _sys.path:
        _sys.path.insert(0, str(package))
    try:
        import lunart  # noqa: F401
    except ImportError as error:
        if (error.name or "").split(".")[0] != "lunart":
            raise
        raise ImportError(
            f"lunart is not installed and {_ROOT} is not built, which its models need: "
            f"run make build there, or pip install {_ROOT}"
        ) from error
