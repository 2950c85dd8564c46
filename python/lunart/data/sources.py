"""LUNA16's three training sets, ready for the training loop.

Each refuses (``DataError``) a split that leaks or does not know a series of the folder, so that one
split file serves all three networks::

    split = Split.read("split.json")
    source = segmentation_source("luna16", split, seed=1)
    source.epoch(0)[5]["hu"].shape     # (7, 64, 64)

``store`` is where slow things are kept: by default the user's cache folder, which
``luna-data prepare`` fills.
"""

from __future__ import annotations

import logging
import os

from lunart.data.cache import Cache, Store, default_folder
from lunart.data.crops import CropSettings
from lunart.data.luna16 import NO_CANDIDATES
from lunart.data.segmentation import SegmentationSettings
from lunart.data.sets import MalignancySettings, Sets
from lunart.data.split import Split
from lunart.training.source import Source

_LOG = logging.getLogger("lunart.data")
_Path = str | os.PathLike[str]


def segmentation_source(
    root: _Path,
    split: Split,
    *,
    seed: int,
    settings: SegmentationSettings | None = None,
    store: Store | None = None,
) -> Source:
    """Samples ``hu`` (7, 64, 64) and ``mask`` (1, 64, 64); whole slices for validation."""
    return _sets(root, split, seed, store).segmentation(settings or SegmentationSettings()).source()


def classification_source(
    root: _Path,
    split: Split,
    *,
    seed: int,
    settings: CropSettings | None = None,
    store: Store | None = None,
) -> Source:
    """Samples ``hu`` (1, 32, 48, 48) and ``label``: 1 for a nodule."""
    sets = _sets(root, split, seed, store)
    if sets.luna.candidates is None:
        _LOG.warning("%s: %s", root, NO_CANDIDATES)
    return sets.classification(settings or CropSettings()).source()


def malignancy_source(
    root: _Path,
    split: Split,
    *,
    seed: int,
    settings: MalignancySettings | None = None,
    store: Store | None = None,
) -> Source:
    """Samples ``hu`` (1, 32, 48, 48) and ``label``: 1 for what readers thought malignant."""
    return _sets(root, split, seed, store).malignancy(settings or MalignancySettings()).source()


def _sets(root: _Path, split: Split, seed: int, store: Store | None) -> Sets:
    return Sets(root, split, seed=seed, store=store or Cache(default_folder()))
