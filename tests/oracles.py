"""The pipeline's stages restated with NumPy and SciPy, as a reader of the contract would do it.

Slow and plain on purpose: no runs, no union-find, no boxes. Arrays are ``(index, row, col)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
FloatArray = NDArray[np.float32]

LOW_HU, HIGH_HU = -1000.0, 1000.0
CROSS = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class Blob:
    """A component of an eroded mask."""

    center_irc: tuple[float, ...]
    voxels: int


def eroded(mask: Mask, times: int) -> Mask:
    """Erosion by the 6-neighbour cross; outside the scan is background."""
    # SciPy takes zero iterations for "until nothing changes".
    return ndimage.binary_erosion(mask, CROSS, iterations=times) if times else mask


def labelled(mask: Mask) -> NDArray[np.int32]:
    """6-connected components, numbered in raster order."""
    return ndimage.label(mask, CROSS)[0]


def blobs(mask: Mask, hu: NDArray[Any], times: int) -> list[Blob]:
    """Components of the eroded mask with their centres of mass, as the book finds them."""
    labels = labelled(eroded(mask, times))
    count = int(labels.max(initial=0))
    weights = hu.astype(np.float64).clip(LOW_HU, HIGH_HU) + 1001
    numbers = np.arange(1, count + 1)
    centers = ndimage.center_of_mass(weights, labels, numbers)
    sizes = ndimage.sum_labels(np.ones_like(weights), labels, numbers)
    return [Blob(tuple(map(float, c)), int(n)) for c, n in zip(centers, sizes, strict=True)]


def steps_from(seeds: Mask, inside: Mask) -> NDArray[np.int32]:
    """Steps along axes from the nearest seed without leaving ``inside``; -1 where none leads."""
    steps = np.where(seeds, 0, -1).astype(np.int32)
    reached, step = seeds, 0
    while True:
        step += 1
        grown = ndimage.binary_dilation(reached, CROSS, mask=inside) | reached
        new = grown & ~reached
        if not new.any():
            return steps
        steps[new] = step
        reached = grown


def padded_crop(hu: NDArray[Any], center: Sequence[float], size: Sequence[int]) -> FloatArray:
    """The crop about a centre, rounded half to even, with -1000 HU beyond the scan."""
    room = [(length, length) for length in size]
    padded = np.pad(hu.astype(np.float32).clip(LOW_HU, HIGH_HU), room, constant_values=LOW_HU)
    starts = [
        int(np.rint(p)) - length // 2 + length for p, length in zip(center, size, strict=True)
    ]
    box = tuple(slice(s, s + length) for s, length in zip(starts, size, strict=True))
    return padded[box]


def spaced_crop(
    hu: NDArray[Any],
    center: Sequence[float],
    size: Sequence[int],
    spacing_irc_mm: Sequence[float],
    crop_mm: float,
) -> FloatArray:
    """The crop about the very centre on a grid of its own, linear, -1000 HU beyond the scan."""
    clamped = np.pad(hu.astype(np.float64).clip(LOW_HU, HIGH_HU), 1, constant_values=LOW_HU)
    axes = [
        place + 1 + (np.arange(length) - (length - 1) / 2) * crop_mm / step
        for place, length, step in zip(center, size, spacing_irc_mm, strict=True)
    ]
    places = np.meshgrid(*axes, indexing="ij")
    found = ndimage.map_coordinates(clamped, places, order=1, mode="constant", cval=LOW_HU)
    return np.asarray(found, np.float32)


def crop(hu: NDArray[Any], center: Sequence[float], size: Sequence[int]) -> FloatArray:
    """The crop about a centre: rounded half to even, shifted inside, -1000 HU where too short."""
    result = np.full(size, LOW_HU, np.float32)
    source, target = [], []
    for place, length, n in zip(center, size, hu.shape, strict=True):
        start = int(np.rint(place)) - length // 2
        if n >= length:
            start = min(max(start, 0), n - length)
            source.append(slice(start, start + length))
            target.append(slice(0, length))
        else:
            start = min(max(start, n - length), 0)
            source.append(slice(0, n))
            target.append(slice(-start, n - start))
    result[tuple(target)] = hu[tuple(source)].clip(LOW_HU, HIGH_HU)
    return result


def segmentation_input(
    hu: NDArray[Any], index: int, context: int = 3, multiple_of: int = 4
) -> FloatArray:
    """A whole slice and its neighbours, (1, channels, rows, cols); ends and edges repeat."""
    chosen = np.arange(index - context, index + context + 1).clip(0, len(hu) - 1)
    stack = hu[chosen].astype(np.float32).clip(LOW_HU, HIGH_HU)
    pad = [(0, 0)] + [(0, -n % multiple_of) for n in stack.shape[1:]]
    return np.pad(stack, pad, mode="edge")[None]


def seen_by(pixel: int, depth: int = 3) -> tuple[int, int]:
    """First and last place that a U-Net's answer for a pixel depends on, along one axis."""
    first = last = pixel
    for _ in range(depth - 1):  # two 3x3 convolutions, and where each pixel was up-sampled from
        first, last = (first - 2) // 2, (last + 2) // 2
    first, last = first - 2, last + 2
    for _ in range(depth - 1):  # what each pixel was pooled from, and two 3x3 convolutions
        first, last = 2 * first - 2, 2 * last + 1 + 2
    return first, last


def segmented(
    hu: NDArray[Any], network: Callable[[FloatArray], FloatArray], **options: int
) -> FloatArray:
    """Probability of every voxel, whole slice by whole slice."""
    rows, cols = hu.shape[1:]
    return np.stack(
        [
            network(segmentation_input(hu, index, **options))[0, 0, :rows, :cols]
            for index in range(len(hu))
        ]
    )


def lung_region(
    hu: NDArray[Any],
    spacing_xyz: Sequence[float],
    *,
    air_hu: float = -320.0,
    outside_hu: float = -940.0,
    grid_mm: float = 2.0,
    closing_mm: float = 15.0,
    margin_mm: float = 6.0,
    min_lung_ml: float = 5.0,
    max_hole_mm: float = 60.0,
) -> Mask:
    """The rule of the lung region, on cells of about 2 mm, spread to the voxels."""
    spacing = np.array(spacing_xyz[::-1], float)
    block = np.maximum(1, np.rint(grid_mm / spacing).astype(int))
    step = block * spacing
    means = _block_means(np.maximum(hu.astype(np.float64), -1024), block)
    air = means < air_hu
    plain = means < outside_hu
    outside = np.array([_reaching_rim(a, p) for a, p in zip(air, plain, strict=True)])
    least = math.ceil(min_lung_ml / (step.prod() / 1000))
    lungs, small = _lung_parts(air & ~outside, air, means, least, outside_hu)
    loose = outside & ~np.array([_around_plain_air(*s) for s in zip(plain, outside, strict=True)])
    if not lungs.any():
        lungs, _ = _lung_parts(loose, air, means, least, outside_hu)
    lungs = ndimage.binary_propagation(lungs, CROSS, mask=lungs | loose | small)
    cells_per_mm2 = math.pi / 4 / (step[1] * step[2])
    for cells in lungs:
        _fill_holes(cells, int(cells_per_mm2 * max_hole_mm**2))
    region = _closed_and_grown(lungs, step, closing_mm, margin_mm)
    for cells in region:
        _fill_holes(cells, int(cells_per_mm2 * min(30.0, max_hole_mm) ** 2))
    whole = np.kron(region, np.ones(block, bool))
    return whole[tuple(slice(n) for n in hu.shape)]


def _block_means(values: NDArray[np.float64], block: NDArray[Any]) -> NDArray[np.float64]:
    for axis, size in enumerate(block):
        starts = np.arange(0, values.shape[axis], size)
        sums = np.add.reduceat(values, starts, axis)
        counts = np.diff([*starts, values.shape[axis]])
        shape = [1, 1, 1]
        shape[axis] = -1
        values = sums / counts.reshape(shape)
    return values


def _rim(shape: tuple[int, ...]) -> Mask:
    rim = np.ones(shape, bool)
    rim[1:-1, 1:-1] = False
    return rim


def _reaching_rim(cells: Mask, where: Mask) -> Mask:
    """The connected parts of a slice's cells that reach its rim at a cell of ``where``."""
    labels, _ = ndimage.label(cells)
    return cells & np.isin(labels, np.unique(labels[_rim(cells.shape) & cells & where]))


def _around_plain_air(plain: Mask, outside: Mask) -> Mask:
    """Plain air that reaches the rim, and what lies within three steps of it in ``outside``."""
    air = _reaching_rim(plain, plain)
    return ndimage.binary_dilation(air, iterations=3, mask=outside & ~air) | air


def _lung_parts(
    inner: Mask, air: Mask, means: NDArray[np.float64], least: int, outside_hu: float
) -> tuple[Mask, Mask]:
    """Large and small 3-D parts whose mean is no plain air's and whose border is thick."""
    labels, count = ndimage.label(inner, CROSS)
    if count == 0:
        return inner, inner
    numbers = np.arange(count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    border, thick = (
        sum(ndimage.sum_labels(sides, labels, numbers) for sides in _solid_beyond(air, depth))
        for depth in (1, 4)
    )
    kept = (ndimage.mean(means, labels, numbers) >= outside_hu) & (border > 0)
    kept &= thick >= 0.5 * border
    kept[0] = False
    large = kept & (sizes >= max(least, 0.05 * sizes[kept].max(initial=0)))
    return large[labels], (kept & ~large)[labels]


def _solid_beyond(air: Mask, depth: int) -> list[NDArray[np.float64]]:
    """For each side within the slice: 1 where the next ``depth`` cells exist and are no air."""
    solid = np.pad(~air, [(0, 0), (depth, depth), (depth, depth)])
    middle = (slice(None), slice(depth, -depth), slice(depth, -depth))
    return [
        np.logical_and.reduce([np.roll(solid, -way * k, axis) for k in range(1, depth + 1)])[
            middle
        ].astype(float)
        for axis in (1, 2)
        for way in (-1, 1)
    ]


def _fill_holes(lungs: Mask, most: int) -> None:
    labels, count = ndimage.label(~lungs)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    hole = sizes <= most
    hole[0] = False
    hole[np.unique(labels[_rim(lungs.shape)])] = False
    lungs |= hole[labels]


def _closed_and_grown(
    lungs: Mask, step: NDArray[np.float64], closing: float, margin: float
) -> Mask:
    if not lungs.any():
        return lungs
    reach = max(closing, margin)
    grown = ndimage.distance_transform_edt(~lungs, step) <= reach
    back = reach - margin
    if back <= 0 or grown.all():
        return grown
    return (ndimage.distance_transform_edt(grown, step) > back) | lungs
