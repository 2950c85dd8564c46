"""A random segmentation network that calls a chosen share of a scan: untrained, yet not silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import torch
from numpy.typing import NDArray
from small_weights import small_network
from torch import nn

_SPREAD = 3.0


def lively_segmentation(hu: NDArray[Any], share: float, seed: int = 0) -> nn.Module:
    """The narrow random network, its last layer scaled so that ``share`` of ``hu`` is above 0.5."""
    module = small_network("segmentation", seed)
    middle = [oracles.segmentation_input(hu, index) for index in range(0, len(hu), 4)]
    with torch.inference_mode():
        logits = module.unet(module.input_batchnorm(torch.from_numpy(np.concatenate(middle))))
    scale = _SPREAD / float(logits.std())
    last = module.unet.last
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    last.bias.copy_((last.bias - float(np.quantile(logits.numpy(), 1 - share))) * scale)
    last.weight.mul_(scale)
    return module
