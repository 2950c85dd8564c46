"""Lunart: a trained lung-nodule network, proved and shipped.

``Runner`` runs the C++ pipeline over a bundle that ``luna-export`` wrote; ``Result`` is what it
finds. ``Classifier`` runs a bundle that classifies images. Importing lunart loads no PyTorch.
"""

from importlib import metadata

from lunart.classification import Classification, ClassProbability
from lunart.classifier import Classifier
from lunart.errors import LunartError
from lunart.registry import EngineStatus, engines
from lunart.result import Finding, Result
from lunart.runner import Runner

try:
    __version__ = metadata.version("lunart")
except metadata.PackageNotFoundError:  # run from the source tree
    __version__ = "0.0.0"

__all__ = [
    "ClassProbability",
    "Classification",
    "Classifier",
    "EngineStatus",
    "Finding",
    "LunartError",
    "Result",
    "Runner",
    "__version__",
    "engines",
]
