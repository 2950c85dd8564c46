"""A small scan with findings, stored as files, and the server of luna-view over them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import FloatArray, bright, runner, write_handmade
from lunart import _core
from lunart.errors import EngineError
from lunart.result import Result
from lunart.view.assets import load_assets
from lunart.view.document import Document
from lunart.view.server import Content, ViewServer, take_port
from numpy.typing import NDArray

SHAPE = (24, 48, 56)
SECONDS = 60
_PROGRAM = "import sys; from lunart.view.cli import main; sys.exit(main())"
_TILT, _TURN = np.deg2rad(17.0), np.deg2rad(9.0)
_OBLIQUE = np.array(
    [[np.cos(_TURN), -np.sin(_TURN), 0], [np.sin(_TURN), np.cos(_TURN), 0], [0, 0, 1]]
) @ np.array([[1, 0, 0], [0, np.cos(_TILT), -np.sin(_TILT)], [0, np.sin(_TILT), np.cos(_TILT)]])

#: Direction matrices by name; all with unequal spacing.
DIRECTIONS = {
    "axial": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "mirrored": np.diag([1.0, 1.0, -1.0]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]),
    "oblique": _OBLIQUE,
    "tilted": np.array([[1, 0, 0], [0, 1, np.sin(_TILT)], [0, 0, np.cos(_TILT)]]),
}
_HU = {1: 900, 2: 700, 3: 500}
_SPACING = (0.8, 1.1, 2.5)
_ORIGIN = (-31.25, -140.5, 512.75)


@dataclass(frozen=True)
class Viewed:
    """The files, what was put into them, and the result as a dictionary."""

    result_path: Path
    scan_path: Path
    scan: _core.Scan
    labels: NDArray[np.uint8]
    result: dict[str, Any]


def write_viewed(
    folder: Path, *, direction: str = "axial", candidates: bool = False, **changes: Any
) -> Viewed:
    """Three findings in air; with ``candidates`` the third is below the threshold.

    The first lies to the patient's right, front and head of the middle. ``changes`` replace keys of
    the result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix = DIRECTIONS[direction]
    geometry = _core.Geometry(
        shape_irc=SHAPE, spacing_mm=_SPACING, origin_mm=_ORIGIN, direction=tuple(matrix.ravel())
    )
    labels = _labels(geometry)
    hu = np.full(SHAPE, -1000, np.int16)
    hu += np.random.default_rng(5).integers(0, 60, SHAPE, np.int16)
    for label, value in _HU.items():
        hu[labels == label] = value
    scan_path = folder / "scan.mhd"
    _core.write_metaimage(scan_path, hu, _SPACING, _ORIGIN, tuple(matrix.ravel()))
    scan = _core.read_scan(scan_path)
    networks = {"segmentation": bright(0.0), "classification": _brightest, "malignancy": _brightest}
    core = runner(
        write_handmade(folder / "bundle", malignancy=True, erosion=0, crop_irc=[4, 8, 8]),
        networks,
        threshold=0.65 if candidates else 0.3,
    )
    found = Result(core.run_scan(scan, None), all_candidates=candidates)
    result = {**found.to_dict(), **changes}
    result_path = folder / "result.json"
    result_path.write_text(json.dumps(result))
    return Viewed(result_path, scan_path, scan, labels, result)


@contextmanager
def serving(viewed: Viewed) -> Iterator[ViewServer]:
    """The server in a thread of this process. Skips where the page is not built."""
    result = Result.load(viewed.result_path)
    content = Content.of(Document(result), viewed.scan, _assets())
    with ViewServer(content, take_port(0), _nothing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program in a process of its own, and the address that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith("luna-view: http://127.0.0.1:"):
            pytest.fail(f"{line}{process.communicate(timeout=SECONDS)}")
        yield process, line.split()[1]
    finally:
        process.kill()
        process.communicate()


def _assets() -> dict[str, Any]:
    try:
        return load_assets()
    except EngineError as error:
        pytest.skip(str(error))


def _nothing() -> None: ...


def _brightest(crops: FloatArray) -> list[FloatArray]:
    """A classifier whose probability is the highest HU of a crop, in thousands."""
    probability = crops.max(axis=(1, 2, 3, 4)) / 1000
    both = np.stack([1 - probability, probability], 1).astype(np.float32)
    return [both, both]


def _labels(geometry: _core.Geometry) -> NDArray[np.uint8]:
    """Balls of 6 to 9 mm radius; 1 is to the right, front and head of the middle."""
    places = np.stack(np.indices(SHAPE), -1).reshape(-1, 3)
    xyz = np.array([geometry.to_xyz(tuple(map(float, place))) for place in places])
    middle = (xyz.min(0) + xyz.max(0)) / 2
    half = (xyz.max(0) - xyz.min(0)) / 2
    labels = np.zeros(len(places), np.uint8)
    ball = [((-0.4, -0.35, 0.3), 7.0), ((0.4, 0.3, -0.3), 6.0), ((0.35, -0.2, 0.35), 5.0)]
    for label, (where, radius) in enumerate(ball, 1):
        labels[np.linalg.norm(xyz - middle - half * where, axis=1) < radius] = label
    return labels.reshape(SHAPE)
