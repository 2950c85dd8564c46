"""Classifier samples: what a segmentation network proposes in blended volumes, judged by truth.

Negatives are the network's own mistakes and the look-alikes that were put in; positives the
nodules, found or not. A component near a nodule but not on it, or where nothing is known, is left
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from lunart import _core
from lunart.models import SegmentationUNet
from lunart.training.blend.patches import CONTEXT
from lunart.training.blend.volume import Volume, scan_of

NEAR_MM = 3.0


@dataclass(frozen=True)
class Finding:
    """A place in a volume. ``kind``: ``proposed`` by the network, ``truth``, or a piece's kind."""

    center_irc: tuple[float, float, float]
    nodule: bool
    kind: str
    patient_id: str
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
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            seen = model(padded)[0, 0].float().numpy()[: hu.shape[1], : hu.shape[2]]
        out[index, low[0] : high[0], low[1] : high[1]] = seen
    return out


def find(
    model: SegmentationUNet, volume: Volume, threshold: float, min_component_mm3: float
) -> list[Finding]:
    """Every component and piece of a volume with its truth."""
    scan = scan_of(volume)
    seen = probabilities(model, scan, volume.lungs)
    components, _ = _core.group(scan, (seen > threshold).astype(np.uint8), 0, min_component_mm3)
    truth, count = ndimage.label(volume.nodule)
    step = np.array(volume.spacing_irc_mm)
    away = ndimage.distance_transform_edt(~volume.nodule, sampling=step)
    found = []
    for component in components:
        center = component["center_irc"]
        at = tuple(
            int(min(max(round(c), 0), n - 1)) for c, n in zip(center, truth.shape, strict=True)
        )
        if not volume.known[at] or not volume.lungs[at]:
            continue
        if away[at] <= 1.0 or away[at] > NEAR_MM:
            found.append(
                Finding(center, bool(away[at] <= 1.0), "proposed", _owner(volume, at), 0.0)
            )
    boxes = ndimage.find_objects(truth)
    for number in range(count):
        voxels = np.argwhere(truth[boxes[number]] == number + 1)
        center = voxels.mean(axis=0) + [part.start for part in boxes[number]]
        at = (round(center[0]), round(center[1]), round(center[2]))
        size = float((6 * len(voxels) * np.prod(step) / np.pi) ** (1 / 3))
        if size >= 4:
            found.append(Finding(at, True, "truth", _owner(volume, at), size))
    for piece in volume.pieces:
        if piece.kind in ("null", "vessel"):
            found.append(
                Finding(piece.center_irc, False, piece.kind, piece.patient_id, piece.diameter_mm)
            )
    return found


def _owner(volume: Volume, at: tuple[int, ...]) -> str:
    """The patient whose nodule is nearest, for splitting; the background's name without pieces."""
    nodules = [piece for piece in volume.pieces if piece.kind in ("nodule", "native")]
    if not nodules:
        return volume.background
    gaps = [np.linalg.norm(np.array(piece.center_irc) - at) for piece in nodules]
    nearest = int(np.argmin(gaps))
    return nodules[nearest].patient_id if gaps[nearest] < 40 else volume.background
