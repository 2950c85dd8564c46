"""Inputs on which artifacts are compared with eager PyTorch, the same on every machine.

A structured case looks like a slice through a thorax (air, soft tissue, lungs, ribs, vessels and
nodules that move from slice to slice, noise), so that the networks' answers spread over their
range and no two channels are alike; air and extreme HU are where a folded batch norm or a reduced
precision shows first. Batches above one and other sizes catch an exporter that froze an axis.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunart.bundle import Signature

FloatArray = NDArray[np.float32]
AIR = -1000.0


@dataclass(frozen=True)
class Probe:
    """A named input, float32 HU inside the window."""

    case: str
    array: FloatArray


def probes(signature: Signature, window: tuple[float, float]) -> list[Probe]:
    """The inputs of verification: three kinds, batches 1, 2 and 5, several sizes."""
    step = signature.multiple_of
    return [
        _probe("structured", signature, 1, (64, 64), window),
        _probe("air", signature, 1, (64, 64), window),
        _probe("extreme", signature, 1, (64, 64), window),
        # Multiples of what the network needs, but not of 16 or 8, and not square.
        _probe("batch2", signature, 2, (12 * step, 21 * step), window),
        _probe("batch5", signature, 5, (9 * step, 8 * step), window),
        *(
            [_probe("slice", signature, 1, (512, 512), window)]
            if "height" in signature.inputs[0].shape
            else []
        ),
    ]


def golden_probes(signature: Signature, window: tuple[float, float]) -> list[Probe]:
    """The inputs of the bundle's golden vectors: small, since they travel with it."""
    step = signature.multiple_of
    return [
        _probe("structured", signature, 1, (12 * step, 16 * step), window),
        _probe("air", signature, 1, (12 * step, 16 * step), window),
        _probe("extreme", signature, 1, (12 * step, 16 * step), window),
        _probe("batch2", signature, 2, (7 * step, 10 * step), window),
    ]


def _probe(
    case: str,
    signature: Signature,
    batch: int,
    plane: tuple[int, int],
    window: tuple[float, float],
) -> Probe:
    sizes = {"batch": batch, "height": plane[0], "width": plane[1]}
    shape = tuple(
        sizes[size] if isinstance(size, str) else size for size in signature.inputs[0].shape
    )
    if case == "air":
        array = np.full(shape, AIR)
    elif case == "extreme":
        array = _extreme(shape)
    else:
        # Seeded by what it is, so that adding a case changes no other.
        array = _thorax(shape, np.random.default_rng(zlib.crc32(f"{case}{shape}".encode())))
    return Probe(case, np.clip(array, *window).astype(np.float32))


def _extreme(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Air and bone alternating along every axis, and values far outside the window."""
    parity = sum(np.indices(shape)) % 2
    array = np.where(parity == 0, -1000.0, 1000.0)
    array.flat[::97] = 32767.0
    array.flat[5::101] = -3024.0
    return array


def _thorax(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """``(batch, ..., height, width)``: every stack of slices is a thorax of its own."""
    height, width = shape[-2:]
    stack = shape[1:-2]
    slices = int(np.prod(stack))
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )
    result = np.empty((shape[0], slices, height, width))
    for body in result:
        body[:] = _slice_background(rows, columns)
        spots = rng.uniform([-0.6, -0.7, 0.02], [0.6, 0.7, 0.2], size=(14, 3))
        drifts = rng.uniform(-0.03, 0.03, size=(14, 2))
        densities = rng.uniform(-300, 150, size=14)
        for index, plane in enumerate(body):
            offset = index - slices / 2
            for (row, column, radius), (down, right), hu in zip(
                spots, drifts, densities, strict=True
            ):
                distance = (rows - row - down * offset) ** 2 + (
                    columns - column - right * offset
                ) ** 2
                inside = (distance < radius**2) & (plane < -500) & (plane > -990)
                plane[inside] = hu
        body += rng.normal(0, 25, size=body.shape)
    return result.reshape(shape)


def _slice_background(
    rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Air, fat, muscle, two lungs, a spine and a ring of bone, in HU."""

    def ellipse(row: float, column: float, high: float, wide: float) -> NDArray[np.bool_]:
        return ((rows - row) / high) ** 2 + ((columns - column) / wide) ** 2 < 1

    plane = np.full(rows.shape, AIR)
    plane[ellipse(0, 0, 0.9, 0.98)] = -100
    plane[ellipse(0, 0, 0.82, 0.92)] = 40
    plane[ellipse(0, 0, 0.78, 0.88) & ~ellipse(0, 0, 0.74, 0.84)] = 400
    for side in (-0.42, 0.42):
        plane[ellipse(0, side, 0.65, 0.36)] = -860
    plane[ellipse(0.6, 0, 0.16, 0.13)] = 700
    return plane
