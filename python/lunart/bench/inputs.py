"""The slices and crops that all engines are given, so that their outputs can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.bundle import Bundle
from lunart.phantom import generate

FloatArray = NDArray[np.float32]
Center = tuple[float, float, float]

_SLICES = 4
_PHANTOM_SHAPE = (16, 512, 512)


def phantom_scan() -> _core.Scan:
    """A generated scan of 512x512, for networks that are measured without one."""
    phantom = generate(1, shape_irc=_PHANTOM_SHAPE)
    geometry = _core.Geometry(
        shape_irc=phantom.hu.shape,
        spacing_mm=phantom.spacing_mm,
        origin_mm=phantom.origin_mm,
        direction=phantom.direction,
    )
    return _core.scan_from_array(phantom.hu, geometry, phantom.series_uid, "")


def as_networks_see(scan: _core.Scan, pipeline: Mapping[str, Any]) -> _core.Scan:
    """The scan turned as the bundle's pipeline turns it."""
    return _core.oriented(scan) if pipeline["orientation"] == "LPS" else scan


def crop(scan: _core.Scan, center_irc: Center, pipeline: Mapping[str, Any]) -> FloatArray:
    """What the bundle's pipeline shows a 3-D network around a centre: ``(1, *crop_irc)``."""
    pad = pipeline["crop_border"] == "pad"
    spacing_mm = pipeline["crop_spacing_mm"]
    return _core.crop(scan, center_irc, pipeline["crop_irc"], pad, spacing_mm)[None]


def sample(scan: _core.Scan, bundle: Bundle) -> dict[str, FloatArray]:
    """Inputs of each model: whole slices, and crops from all over the scan, as single inputs."""
    seen = as_networks_see(scan, bundle.pipeline)
    slices = _slices(seen, bundle)
    crops = _crops(seen, bundle)
    return {name: slices if name == "segmentation" else crops for name in bundle.models}


def _slices(scan: _core.Scan, bundle: Bundle) -> FloatArray:
    count, rows, cols = scan.shape_irc
    multiple = bundle.model("segmentation").signature.multiple_of
    context = bundle.pipeline["context_slices"]
    chosen = np.unique(np.linspace(0, count - 1, _SLICES + 2).round().astype(int)[1:-1])
    edge = [(0, 0), (0, -rows % multiple), (0, -cols % multiple)]
    return np.stack(
        [np.pad(_core.slice_input(scan, int(i), context), edge, mode="edge") for i in chosen]
    )


def _crops(scan: _core.Scan, bundle: Bundle) -> FloatArray:
    slices, rows, cols = scan.shape_irc
    shares = product((0.3, 0.5, 0.7), (0.4, 0.6), (0.25, 0.45, 0.7))
    centres = [(i * slices, r * rows, c * cols) for i, r, c in shares]
    return np.stack([crop(scan, centre, bundle.pipeline) for centre in centres])
