"""The image networks of *Deep Learning with PyTorch*, part 1 (chapters 7 and 8), for CIFAR-10.

Layouts and ``state_dict`` keys are the book's but for two things. Its deep residual network repeats
*one* block (``*(n * [ResBlock(..)])``): ours has blocks of their own (He et al. 2015,
arXiv:1512.03385). And all of them end in logits and probabilities, as a bundle wants them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lunart.errors import BundleError
from lunart.models.record import Argument, Record, State, shape_of

#: Rows and columns of a CIFAR picture.
SIDE = 32
_HIDDEN = 32


class ImageClassifier(nn.Module):
    """Logits and probabilities of the classes of a picture.

    Input ``(batch, 3, 32, 32)`` float32: red, green and blue as the bundle's ``preprocess`` makes
    them; outputs ``logits`` and ``probability``, both ``(batch, n_classes)``.
    """

    input_names = ("image",)
    output_names = ("logits", "probability")
    #: Rows and columns of the input.
    input_plane = (SIDE, SIDE)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(image)
        return logits, torch.softmax(logits, 1)

    def logits(self, image: Tensor) -> Tensor:
        """Of each class, before the softmax."""
        raise NotImplementedError


class FullyConnected(ImageClassifier):
    """Every pixel with every hidden unit (section 7.2): knows no neighbourhood."""

    def __init__(self, n_classes: int = 2, hidden: int = 512) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3 * SIDE * SIDE, hidden)
        self.fc2 = nn.Linear(hidden, n_classes)

    def logits(self, image: Tensor) -> Tensor:
        out: Tensor = self.fc2(torch.tanh(self.fc1(_flat(image))))
        return out


class Convolutional(ImageClassifier):
    """Two convolutions, two layers of linear units (``Net``; with more channels ``NetWidth``)."""

    def __init__(self, n_classes: int = 2, channels: int = 16) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, half, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(half * (SIDE // 4) ** 2, _HIDDEN)
        self.fc2 = nn.Linear(_HIDDEN, n_classes)

    def logits(self, image: Tensor) -> Tensor:
        out: Tensor = self.fc2(torch.tanh(self.fc1(_flat(self.features(image)))))
        return out

    def features(self, image: Tensor) -> Tensor:
        """``(batch, channels / 2, 8, 8)``."""
        out = functional.max_pool2d(torch.tanh(self.conv1(image)), 2)
        return functional.max_pool2d(torch.tanh(self.conv2(out)), 2)


class Wide(Convolutional):
    """Twice the channels (``NetWidth``)."""

    def __init__(self, n_classes: int = 2, channels: int = 32) -> None:
        super().__init__(n_classes, channels)


class Dropout(Convolutional):
    """Whole channels are dropped while training (``NetDropout``); otherwise :class:`Wide`."""

    def __init__(self, n_classes: int = 2, channels: int = 32) -> None:
        super().__init__(n_classes, channels)
        self.conv1_dropout = nn.Dropout2d(p=0.4)
        self.conv2_dropout = nn.Dropout2d(p=0.4)

    def features(self, image: Tensor) -> Tensor:
        out = functional.max_pool2d(torch.tanh(self.conv1(image)), 2)
        out = functional.max_pool2d(torch.tanh(self.conv2(self.conv1_dropout(out))), 2)
        dropped: Tensor = self.conv2_dropout(out)
        return dropped


class BatchNorm(Convolutional):
    """A batch norm between each convolution and its tanh (``NetBatchNorm``)."""

    def __init__(self, n_classes: int = 2, channels: int = 32) -> None:
        super().__init__(n_classes, channels)
        self.conv1_batchnorm = nn.BatchNorm2d(channels)
        self.conv2_batchnorm = nn.BatchNorm2d(channels // 2)

    def features(self, image: Tensor) -> Tensor:
        out = torch.tanh(self.conv1_batchnorm(self.conv1(image)))
        out = torch.tanh(self.conv2_batchnorm(self.conv2(functional.max_pool2d(out, 2))))
        return functional.max_pool2d(out, 2)


class Residual(ImageClassifier):
    """Three convolutions, the third of which adds to what it was given (``NetRes``)."""

    def __init__(self, n_classes: int = 2, channels: int = 32) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, half, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(half, half, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(half * (SIDE // 8) ** 2, _HIDDEN)
        self.fc2 = nn.Linear(_HIDDEN, n_classes)

    def logits(self, image: Tensor) -> Tensor:
        out = functional.max_pool2d(torch.relu(self.conv1(image)), 2)
        out = functional.max_pool2d(torch.relu(self.conv2(out)), 2)
        out = functional.max_pool2d(torch.relu(self.conv3(out)) + out, 2)
        logits: Tensor = self.fc2(torch.relu(self.fc1(_flat(out))))
        return logits


class ResidualBlock(nn.Module):
    """Convolution, batch norm and ReLU, added to the input (``ResBlock``)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.batch_norm = nn.BatchNorm2d(channels)
        # The book's start, which lets many blocks learn: each adds little at first.
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.constant_(self.batch_norm.weight, 0.5)
        nn.init.zeros_(self.batch_norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.batch_norm(self.conv(x)))
        return out + x


class DeepResidual(ImageClassifier):
    """A convolution and a stack of residual blocks on 16 x 16 pixels (``NetResDeep``)."""

    def __init__(self, n_classes: int = 2, channels: int = 32, n_blocks: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        self.resblocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(n_blocks)))
        self.fc1 = nn.Linear(channels * (SIDE // 4) ** 2, _HIDDEN)
        self.fc2 = nn.Linear(_HIDDEN, n_classes)

    def logits(self, image: Tensor) -> Tensor:
        out = functional.max_pool2d(torch.relu(self.conv1(image)), 2)
        out = functional.max_pool2d(self.resblocks(out), 2)
        logits: Tensor = self.fc2(torch.relu(self.fc1(_flat(out))))
        return logits


def _flat(x: Tensor) -> Tensor:
    # Not a view, which would forbid the channels-last layout.
    return torch.reshape(x, (x.shape[0], -1))


_CLASSES = Argument(2, 2, 1000)
# Halved on the way, so never below two.
_NARROW, _WIDE = Argument(16, 2, 1024), Argument(32, 2, 1024)
_FC = ("fc1.", "fc2.")
_CONV = ("conv1.", "conv2.", *_FC)


def _infer_fully_connected(state: State) -> dict[str, Any]:
    n_classes, hidden = shape_of(state, "fc2.weight", 2)
    return {"n_classes": n_classes, "hidden": hidden}


def _infer_convolutional(state: State) -> dict[str, Any]:
    channels, from_picture = shape_of(state, "conv1.weight", 4)[:2]
    if from_picture != 3:
        raise BundleError(f"conv1.weight takes {from_picture} channels; a picture has 3")
    return {"n_classes": shape_of(state, "fc2.weight", 2)[0], "channels": channels}


def _infer_deep_residual(state: State) -> dict[str, Any]:
    blocks = {key.split(".")[1] for key in state if key.startswith("resblocks.")}
    return {**_infer_convolutional(state), "n_blocks": len(blocks)}


def _convolutional(
    make: type[ImageClassifier], words: str, channels: Argument, *marks: str
) -> Record:
    arguments = {"n_classes": _CLASSES, "channels": channels}
    return Record(make, words, arguments, (*_CONV, *marks), _infer_convolutional)


#: By rising number of keys: networks that share them are told apart by order, see ``recognise``.
RECORDS = {
    "cifar-linear": Record(
        FullyConnected,
        "a fully connected image classifier",
        {"n_classes": _CLASSES, "hidden": Argument(512, 1, 8192)},
        _FC,
        _infer_fully_connected,
    ),
    "cifar-conv": _convolutional(Convolutional, "a convolutional image classifier", _NARROW),
    "cifar-wide": _convolutional(Wide, "a wide convolutional image classifier", _WIDE),
    "cifar-l2": _convolutional(Convolutional, "a convolutional image classifier (L2)", _NARROW),
    "cifar-dropout": _convolutional(Dropout, "an image classifier with dropout", _WIDE),
    "cifar-batchnorm": _convolutional(
        BatchNorm,
        "an image classifier with batch norm",
        _WIDE,
        "conv1_batchnorm.",
        "conv2_batchnorm.",
    ),
    "cifar-res": _convolutional(Residual, "a residual image classifier", _WIDE, "conv3."),
    "cifar-resdeep": Record(
        DeepResidual,
        "a deep residual image classifier",
        {"n_classes": _CLASSES, "channels": _WIDE, "n_blocks": Argument(10, 1, 200)},
        ("conv1.", "resblocks.", *_FC),
        _infer_deep_residual,
    ),
}
