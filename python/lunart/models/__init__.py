"""The networks that lunart ships, and the reading of their checkpoints."""

from lunart.models.classifier import NoduleClassifier
from lunart.models.unet import SegmentationUNet

__all__ = ["NoduleClassifier", "SegmentationUNet"]
