"""Segmenting: what the network is shown of a scan, and that a box answers as the whole slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracles
import pytest
import torch
from handmade import FloatArray, bright, found, recording, runner, scan_of, write_handmade
from lively import lively_segmentation
from lunart.errors import EngineError
from lunart.phantom import Phantom, generate

SIZES = [(1, 5, 7), (1, 1, 1), (2, 3, 4), (5, 33, 46), (4, 64, 64), (3, 19, 101), (9, 50, 24)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade(tmp_path_factory.mktemp("segment") / "b", erosion=0)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """Neither side a multiple of 4, and lungs that leave much of a slice free."""
    return generate(2, shape_irc=(22, 190, 214), spacing_xyz_mm=(1.9, 1.9, 9.0))


def _noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3024, 3000, shape).astype(np.int16)


# --- networks that do not fit --------------------------------------------------------------------


@pytest.mark.parametrize(
    "outputs",
    [
        lambda batch: [],
        lambda batch: [batch[:, :1], batch[:, :1]],
        lambda batch: [batch],
        lambda batch: [batch[:, :1, :-1]],
        lambda batch: [batch[0, :1]],
        lambda batch: [np.float32(1)],
    ],
    ids=["none", "two", "channels", "rows", "no-batch", "scalar"],
)
def test_outputs_of_another_shape_are_an_engine_error(outputs: object, bundle: Path) -> None:
    core = runner(bundle, {"segmentation": outputs})
    with pytest.raises(EngineError, match="segmentation network"):
        found(core, scan_of(_noise((2, 16, 16))))


def test_a_probability_that_is_no_number_is_an_engine_error(bundle: Path) -> None:
    """Otherwise a broken network would look like a scan without nodules."""

    def broken(batch: FloatArray) -> list[FloatArray]:
        return [np.where(batch[:, 3:4] > 0, np.nan, 0).astype(np.float32)]

    with pytest.raises(EngineError, match="segmentation"):
        found(runner(bundle, {"segmentation": broken}), scan_of(_noise((2, 16, 16))))


@pytest.mark.parametrize("wrong", [["text"], [object()], 3, None], ids=str)
def test_what_is_no_array_is_refused_and_does_not_crash(wrong: object, bundle: Path) -> None:
    core = runner(bundle, {"segmentation": lambda batch: wrong})
    with pytest.raises((EngineError, TypeError, ValueError)):
        found(core, scan_of(_noise((2, 16, 16))))


# --- what the network sees -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int16", "float32", "float64", "int32"])
@pytest.mark.parametrize("shape", SIZES)
def test_whole_slices_are_clamped_and_repeat_their_edges_and_ends(
    shape: tuple[int, ...], kind: str, bundle: Path
) -> None:
    hu = _noise(shape).astype(kind)
    calls: list[FloatArray] = []
    result = found(runner(bundle, {"segmentation": recording(bright(0), calls)}), scan_of(hu))
    assert len(calls) == shape[0]
    for index, call in enumerate(calls):
        assert call.dtype == np.float32
        np.testing.assert_array_equal(call, oracles.segmentation_input(hu, index))
    # What was added at the edges is no part of the scan.
    np.testing.assert_array_equal(result.threshold_mask != 0, hu > 0)


@pytest.mark.parametrize("context", [0, 1, 5])
def test_context_slices_are_the_manifests(context: int, tmp_path: Path) -> None:
    hu = _noise((4, 12, 9))
    calls: list[FloatArray] = []
    bundle = write_handmade(tmp_path / "b", context_slices=context)
    found(runner(bundle, {"segmentation": recording(bright(0), calls)}), scan_of(hu))
    for index, call in enumerate(calls):
        np.testing.assert_array_equal(call, oracles.segmentation_input(hu, index, context))


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.75])
def test_a_probability_at_the_threshold_is_not_above_it(threshold: float, tmp_path: Path) -> None:
    hu = np.arange(1000, dtype=np.int16).reshape(1, 25, 40)

    def ramp(batch: FloatArray) -> list[FloatArray]:
        return [batch[:, 3:4] / np.float32(1000)]

    bundle = write_handmade(tmp_path / "b", segmentation_threshold=threshold)
    result = found(runner(bundle, {"segmentation": ramp}), scan_of(hu))
    np.testing.assert_array_equal(result.threshold_mask != 0, hu > threshold * 1000)


# --- boxes ---------------------------------------------------------------------------------------


def _place(call: FloatArray, hu: np.ndarray, index: int) -> tuple[int, int]:
    """Where in the edge-padded slice a box was cut, on a grid of four voxels."""
    whole = oracles.segmentation_input(hu, index)[0]
    rows, cols = call.shape[2:]
    for row in range(0, whole.shape[1] - rows + 1, 4):
        for col in range(0, whole.shape[2] - cols + 1, 4):
            if np.array_equal(whole[:, row : row + rows, col : col + cols], call[0]):
                return row, col
    raise AssertionError(f"the box of slice {index} is no part of it on a grid of four")


def test_a_box_holds_the_region_with_its_halo_on_a_grid_of_four(
    phantom: Phantom, bundle: Path
) -> None:
    calls: list[FloatArray] = []
    core = runner(bundle, {"segmentation": recording(bright(2000), calls)}, region="lungs")
    result = found(core, scan_of(phantom.hu, phantom.spacing_mm))
    slices = np.flatnonzero(result.region.any(axis=(1, 2)))
    assert len(calls) == len(slices)
    rows, cols = phantom.hu.shape[1:]
    smaller = 0
    for index, call in zip(slices, calls, strict=True):
        row, col = _place(call, phantom.hu, index)
        for begin, size, n, axis in ((row, call.shape[2], rows, 1), (col, call.shape[3], cols, 0)):
            inside = np.flatnonzero(result.region[index].any(axis=axis))
            whole = n + -n % 4
            assert begin % 4 == 0
            assert size % 4 == 0
            assert begin <= max(0, oracles.seen_by(inside[0])[0])
            assert begin + size >= min(whole, oracles.seen_by(inside[-1])[1] + 1)
        smaller += call.size < oracles.segmentation_input(phantom.hu, index).size
    assert smaller == len(calls)
    # Few shapes: an engine pays for each new one.
    assert len({call.shape for call in calls}) < len(calls) / 2


@pytest.mark.usefixtures("_one_thread")
def test_a_box_answers_as_the_whole_slice(phantom: Phantom, bundle: Path) -> None:
    module = lively_segmentation(phantom.hu, 0.3)
    calls: list[FloatArray] = []
    outputs: list[FloatArray] = []

    def network(batch: FloatArray) -> list[FloatArray]:
        with torch.inference_mode():
            output = module(torch.from_numpy(batch)).numpy()
        outputs.append(output)
        return [output]

    core = runner(bundle, {"segmentation": recording(network, calls)}, region="lungs")
    result = found(core, scan_of(phantom.hu, phantom.spacing_mm))
    slices = np.flatnonzero(result.region.any(axis=(1, 2)))
    # A box a slice; after them comes what follows candidates out of the region.
    boxes = list(zip(calls, outputs, strict=True))[: len(slices)]
    whole = oracles.segmented(phantom.hu, lambda batch: network(batch)[0])
    region = result.region.astype(bool)
    worst = 0.0
    for index, (call, output) in zip(slices, boxes, strict=True):
        row, col = _place(call, phantom.hu, index)
        patch = output[0, 0, : phantom.hu.shape[1] - row, : phantom.hu.shape[2] - col]
        area = (slice(row, row + patch.shape[0]), slice(col, col + patch.shape[1]))
        inside = region[index][area]
        assert inside.sum() == region[index].sum()
        worst = max(worst, float(np.abs(patch - whole[index][area])[inside].max()))
    print(f"a box differs from the whole slice by {worst:.1e} at most")
    assert worst < 1e-4
    assert 0.05 < np.mean(whole[region] > 0.5) < 0.95
