"""What each architecture takes and gives, as the manifest records it."""

from __future__ import annotations

from lunart.bundle import Architecture, Signature, TensorSpec
from lunart.models.architectures import CLASSIFIER, ROLES, skeleton

_BATCH = (1, 64)


def signature_of(architecture: Architecture) -> Signature:
    """Names, shapes, units and limits of a network's input and outputs."""
    if architecture.name == "unet":
        return _of_unet(architecture)
    if architecture.name in ROLES[CLASSIFIER]:
        return _of_image_classifier(architecture)
    return _of_classifier(architecture)


def _of_unet(architecture: Architecture) -> Signature:
    channels = architecture.arguments["in_channels"]
    plane = ("height", "width")
    return Signature(
        inputs=(TensorSpec("hu", "float32", ("batch", channels, *plane), "HU"),),
        outputs=(TensorSpec("probability", "float32", ("batch", 1, *plane), "probability"),),
        multiple_of=int(getattr(skeleton(architecture), "multiple_of")),  # noqa: B009
        batch=_BATCH,
    )


def _of_classifier(architecture: Architecture) -> Signature:
    channels = architecture.arguments["in_channels"]
    crop = architecture.arguments["crop_irc"]
    return Signature(
        inputs=(TensorSpec("hu", "float32", ("batch", channels, *crop), "HU"),),
        outputs=(
            TensorSpec("logits", "float32", ("batch", 2), "logit"),
            TensorSpec("probability", "float32", ("batch", 2), "probability"),
        ),
        multiple_of=1,
        batch=_BATCH,
    )


def _of_image_classifier(architecture: Architecture) -> Signature:
    plane = getattr(skeleton(architecture), "input_plane")  # noqa: B009
    classes = architecture.arguments["n_classes"]
    return Signature(
        inputs=(TensorSpec("image", "float32", ("batch", 3, *plane), "normalised"),),
        outputs=(
            TensorSpec("logits", "float32", ("batch", classes), "logit"),
            TensorSpec("probability", "float32", ("batch", classes), "probability"),
        ),
        multiple_of=1,
        batch=_BATCH,
    )
