"""Classifier samples: what a segmentation network proposes in blended volumes, judged by truth.

Negatives are the network's own mistakes and the look-alikes that were put in; positives the
nodules, found or not. A component near a nodule but not on it, on a look-alike that was put in, or
where nothing is known, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core
from lunart.export.nodule_settings import PIPELINE
from lunart.models import SegmentationUNet
from lunart.models.checkpoint import Checkpoint
from lunart.training.blend.volume import Volume, scan_of
from lunart.training.scans import CONTEXT

# A component whose centre is so near to a nodule's voxels is on it; one that is not far is neither.
ON_MM, NEAR_MM = 1.0, 3.0
LEAST_MM = 4.0
LOOKALIKES = ("null", "vessel")
PROPOSED, MINED = "proposed", "mined"


@dataclass(frozen=True)
class Finding:
    """A place in a volume, what is there and who found it.

    ``kind``: ``proposed`` by the network as the pipeline would take it, ``mined`` below that,
    ``truth``, or a look-alike piece's kind. ``patient_id`` and ``native`` are those of the nearest
    nodule: whose it is, and whether it lies in its own surroundings. ``diameter_mm`` is that of the
    sphere with the volume of what is there, or of the component.
    """

    center_irc: tuple[float, float, float]
    nodule: bool
    kind: str
    patient_id: str
    native: bool
    diameter_mm: float


def probabilities(
    model: SegmentationUNet, scan: _core.Scan, lungs: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The network's probability inside the box of each slice's lungs, 0 elsewhere."""
    out = np.zeros(lungs.shape, np.float32)
    for index in range(lungs.shape[0]):
        where = np.argwhere(lungs[index])
        if not len(where):
            continue
        low = np.maximum(where.min(axis=0) - 24, 0) // 4 * 4
        high = np.minimum(where.max(axis=0) + 25, lungs.shape[1:])
        hu = _core.slice_input(scan, index, CONTEXT)[:, low[0] : high[0], low[1] : high[1]]
        margin = ((0, 0), (0, -hu.shape[1] % 4), (0, -hu.shape[2] % 4))
        padded = torch.from_numpy(np.pad(hu, margin, mode="edge")[None])
        padded = padded.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            seen = model(padded)[0, 0].numpy()[: hu.shape[1], : hu.shape[2]]
        out[index, low[0] : high[0], low[1] : high[1]] = seen
    return out


def sphere_mm(volume_mm3: float) -> float:
    """The diameter of the sphere with a volume."""
    return float((6 * volume_mm3 / np.pi) ** (1 / 3))


@dataclass(frozen=True)
class Grouping:
    """How the pipeline makes components of probabilities."""

    threshold: float
    erosion: int
    least_mm3: float


def grouping_of(checkpoint: Checkpoint) -> Grouping:
    """What the segmentation weights say of it, else the pipeline's own defaults."""
    said = {**PIPELINE, **checkpoint.pipeline}
    return Grouping(
        threshold=float(said["segmentation_threshold"]),
        erosion=int(said["erosion"]),
        least_mm3=float(said["min_component_mm3"]),
    )


def find(
    model: SegmentationUNet, volume: Volume, pipeline: Grouping, mining: Grouping
) -> list[Finding]:
    """Every component and piece of a volume with its truth.

    Components are those of the pipeline's own grouping, and those of one that takes more.
    """
    scan = scan_of(volume)
    seen = probabilities(model, scan, volume.lungs)
    found: list[Finding] = []
    for kind, grouping in ((PROPOSED, pipeline), (MINED, mining)):
        found += _components(volume, scan, seen, kind, grouping)
    for piece in volume.pieces:
        if piece.kind in LOOKALIKES:
            found.append(
                Finding(piece.center_irc, False, piece.kind, piece.patient_id, False,
                        piece.diameter_mm)
            )  # fmt: skip
    return found + truths(volume)


def _components(
    volume: Volume, scan: _core.Scan, seen: NDArray[np.float32], kind: str, grouping: Grouping
) -> Iterator[Finding]:
    mask = (seen > grouping.threshold).astype(np.uint8)
    components, _ = _core.group(scan, mask, grouping.erosion, grouping.least_mm3)
    away = ndimage.distance_transform_edt(~volume.nodule, sampling=np.array(volume.spacing_irc_mm))
    for component in components:
        center = component["center_irc"]
        at = tuple(
            int(min(max(round(c), 0), n - 1)) for c, n in zip(center, volume.hu.shape, strict=True)
        )
        if not volume.known[at] or not volume.lungs[at] or _on_lookalike(volume, at):
            continue
        if away[at] <= ON_MM or away[at] > NEAR_MM:
            patient_id, native = _owner(volume, at)
            nodule = bool(away[at] <= ON_MM)
            size = sphere_mm(component["volume_mm3"])
            yield Finding(center, nodule, kind, patient_id, native, size)


def truths(volume: Volume) -> list[Finding]:
    """The centre of each nodule, found or not, of :data:`LEAST_MM` and more."""
    labels, count = ndimage.label(volume.nodule)
    voxel_mm3 = float(np.prod(volume.spacing_irc_mm))
    found = []
    for number, box in enumerate(ndimage.find_objects(labels)[:count], start=1):
        voxels = np.argwhere(labels[box] == number)
        i, r, c = (float(v) + part.start for v, part in zip(voxels.mean(axis=0), box, strict=True))
        size = sphere_mm(len(voxels) * voxel_mm3)
        at = tuple(round(v) for v in (i, r, c))
        if size >= LEAST_MM and volume.known[at]:
            patient_id, native = _owner(volume, (i, r, c))
            found.append(Finding((i, r, c), True, "truth", patient_id, native, size))
    return found


def _on_lookalike(volume: Volume, at: Sequence[float]) -> bool:
    """Whether a piece that was put in lies there: it is judged as what it is, and once."""
    step = np.array(volume.spacing_irc_mm)
    return any(
        np.linalg.norm((np.array(piece.center_irc) - at) * step) <= piece.diameter_mm / 2 + NEAR_MM
        for piece in volume.pieces
        if piece.kind in LOOKALIKES
    )


def _owner(volume: Volume, at: Sequence[float]) -> tuple[str, bool]:
    """The patient whose piece is nearest; the background's name where none is near."""
    pieces = [piece for piece in volume.pieces if piece.kind in ("nodule", "native")]
    step = np.array(volume.spacing_irc_mm)
    gaps = [float(np.linalg.norm((np.array(piece.center_irc) - at) * step)) for piece in pieces]
    nearest = int(np.argmin(gaps)) if gaps else 0
    if not gaps or gaps[nearest] > pieces[nearest].diameter_mm / 2 + NEAR_MM + 2:
        return volume.background, True
    return pieces[nearest].patient_id, pieces[nearest].kind == "native"
