"""The nodule classifier with a batch norm after each convolution while it is trained.

It learns much faster so. Afterwards each batch norm is folded into the convolution before it, which
changes no answer, and what is shipped is the book's plain network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lunart.models import NoduleClassifier
from lunart.models.classifier import LunaBlock

_BLOCKS = ("block1", "block2", "block3", "block4")
_CONVOLUTIONS = ("conv1", "conv2")


class NormalisedClassifier(nn.Module):
    """A classifier around ``plain``; the batch norms of ``blocks`` and the dropout are new.

    Same input and outputs as :class:`lunart.models.NoduleClassifier`.
    """

    def __init__(
        self, plain: NoduleClassifier, blocks: Sequence[str], *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.plain = plain
        self.norms = nn.ModuleDict(
            {
                f"{name}_{which}": nn.BatchNorm3d(_convolution(plain, name, which).out_channels)
                for name in blocks
                for which in _CONVOLUTIONS
            }
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        x: Tensor = self.plain.tail_batchnorm(hu)
        for name in _BLOCKS:
            block = self.plain.get_submodule(name)
            assert isinstance(block, LunaBlock)
            x = block.relu1(self._normalised(f"{name}_conv1", block.conv1(x)))
            x = block.relu2(self._normalised(f"{name}_conv2", block.conv2(x)))
            x = block.maxpool(x)
        features = self.dropout(torch.reshape(x, (x.shape[0], -1)))
        logits = self.plain.head_linear(features)
        return logits, self.plain.head_softmax(logits)

    def folded(self) -> Mapping[str, Tensor]:
        """The weights of a plain classifier that answers as this one does in eval mode."""
        state = self.plain.state_dict()
        for key, norm in self.norms.items():
            name, which = key.split("_")
            assert isinstance(norm, nn.BatchNorm3d)
            convolution = _convolution(self.plain, name, which)
            # The function refuses what is in training mode, and copies what it is given.
            training = convolution.training, norm.training
            fused = fuse_conv_bn_eval(convolution.eval(), norm.eval())
            convolution.train(training[0])
            norm.train(training[1])
            for part, value in fused.state_dict().items():
                state[f"{name}.{which}.{part}"] = value
        return state

    def _normalised(self, key: str, x: Tensor) -> Tensor:
        return self.norms[key](x) if key in self.norms else x


def _convolution(plain: NoduleClassifier, block: str, which: str) -> nn.Conv3d:
    found = plain.get_submodule(f"{block}.{which}")
    assert isinstance(found, nn.Conv3d)
    return found
