"""A crop classifier with a batch norm after each convolution while it is trained.

It learns much faster so. Afterwards each batch norm is folded into the convolution before it, which
changes no answer, and what is shipped is the plain network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class NormalisedClassifier(nn.Module):
    """A classifier around ``plain``; the batch norms of ``parts`` and the dropout are new.

    ``parts`` are children of ``plain``; the dropout is before its ``head_linear``. Same input and
    outputs as ``plain``.
    """

    def __init__(self, plain: nn.Module, parts: Sequence[str], *, dropout: float = 0.0) -> None:
        super().__init__()
        self.plain = plain
        self.norms = nn.ModuleDict()
        self.dropout = nn.Dropout(dropout)
        self._followed: list[tuple[str, nn.Conv3d, nn.BatchNorm3d]] = []
        for name, convolution in plain.named_modules():
            if isinstance(convolution, nn.Conv3d) and name.split(".")[0] in parts:
                norm = nn.BatchNorm3d(convolution.out_channels)
                self.norms[name.replace(".", "_")] = norm
                self._followed.append((name, convolution, norm))

    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        hooks = [
            convolution.register_forward_hook(_through(norm))
            for _, convolution, norm in self._followed
        ]
        head = self.plain.get_submodule("head_linear")
        hooks.append(head.register_forward_pre_hook(lambda _, given: self.dropout(given[0])))
        try:
            found: tuple[Tensor, Tensor] = self.plain(hu)
        finally:
            for hook in hooks:
                hook.remove()
        return found

    def folded(self) -> Mapping[str, Tensor]:
        """The weights of a plain classifier that answers as this one does in eval mode."""
        state = self.plain.state_dict()
        for name, convolution, norm in self._followed:
            # The function refuses what is in training mode, and copies what it is given.
            training = convolution.training, norm.training
            fused = fuse_conv_bn_eval(convolution.eval(), norm.eval())
            convolution.train(training[0])
            norm.train(training[1])
            for part, value in fused.state_dict().items():
                state[f"{name}.{part}"] = value
        return state


def _through(norm: nn.BatchNorm3d) -> Any:
    return lambda _module, _given, answer: norm(answer)
