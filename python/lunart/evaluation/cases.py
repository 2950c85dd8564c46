"""One scan to evaluate: where it is, what is known of it, and which voxels are nodule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lunart.data.masks import Mask
from lunart.evaluation.findings import ScanTruth
from lunart.reading.arrays import SimpleItkImage


@dataclass(frozen=True)
class Reference:
    """Voxels that are nodule, turned to LPS; ``key`` changes when they do."""

    #: Where they are from: ``votes``, ``annotations`` or ``label``.
    source: str
    key: Callable[[], str]
    mask: Callable[[], Mask]


@dataclass(frozen=True)
class Case:
    """A scan with its truth. Nothing is read before a function is called.

    ``digest`` names the scan's content; ``scan`` is what :class:`lunart.Runner` takes; ``slices``
    tells how long it will take beside others.
    """

    truth: ScanTruth
    slices: int
    digest: Callable[[], str]
    scan: Callable[[], Path | SimpleItkImage]
    reference: Reference
