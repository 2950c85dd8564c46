"""The book's own checkpoints on real scans: the stages against their oracles, and the whole of two
scans against what the book's code found.

By default only a slab of 12 slices runs; the two whole scans are marked ``slow``
(``pytest -m slow tests/test_book_parity.py``, some minutes an engine).
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import program
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from conftest import cached_bundle
from handmade import FloatArray, found, runner, write_handmade
from lunart import Result, Runner, _core
from lunart.models.checkpoint import load_checkpoint
from torch import nn

PATIENT_0023 = "1.3.6.1.4.1.14519.5.2.1.6279.6001.487745546557477250336016826588"
CROP = (32, 48, 48)


@pytest.fixture(scope="module")
def checkpoints(shared_data: Path) -> dict[str, Path]:
    return {
        "segmentation": shared_data / "checkpoints" / "dlwpt-seg-2020.state",
        "classification": shared_data / "checkpoints" / "dlwpt-cls-2020.state",
    }


@pytest.fixture(scope="module")
def networks(checkpoints: dict[str, Path]) -> dict[str, nn.Module]:
    return {role: load_checkpoint(path, role).module() for role, path in checkpoints.items()}


def _eager(module: nn.Module, batch: FloatArray) -> list[FloatArray]:
    with torch.inference_mode():
        result = module(torch.from_numpy(batch))
    return [part.numpy() for part in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.usefixtures("_one_thread")
def test_a_real_slab_agrees_with_the_oracle_stage_by_stage(
    networks: dict[str, nn.Module], shared_data: Path, tmp_path: Path
) -> None:
    """Eager PyTorch on both sides, so that only the pipeline can differ: nothing may."""
    (path,) = (shared_data / "luna16" / "subset0").glob("*.619372*.mhd")
    hu = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    seen: list[FloatArray] = []
    kept: list[FloatArray] = []

    def segmentation(batch: FloatArray) -> list[FloatArray]:
        (output,) = _eager(networks["segmentation"], batch)
        seen.append(batch)
        kept.append(output)
        return [output]

    core = runner(
        write_handmade(tmp_path / "b"),
        {
            "segmentation": segmentation,
            "classification": lambda batch: _eager(networks["classification"], batch),
        },
    )
    scan = _core.read_scan(str(path))
    np.testing.assert_array_equal(scan.hu, hu)
    result = found(core, scan)
    for index, batch in enumerate(seen):
        np.testing.assert_array_equal(batch, oracles.segmentation_input(hu, index))
    mask = np.concatenate(kept)[:, 0] > 0.5
    np.testing.assert_array_equal(result.threshold_mask != 0, mask)
    blobs = oracles.blobs(mask, hu, 1)
    candidates = result.candidates or ()
    print(f"{mask.sum()} voxels, {len(blobs)} candidates, {len(result.nodules)} nodules")
    assert len(blobs) > 20
    assert [c.voxels for c in candidates] == [blob.voxels for blob in blobs]
    centers = np.array([c.center_irc for c in candidates])
    np.testing.assert_allclose(centers, [blob.center_irc for blob in blobs], atol=1e-9)
    for begin in range(0, len(blobs), 8):
        crops = np.stack([oracles.crop(hu, b.center_irc, CROP) for b in blobs[begin : begin + 8]])
        _, probability = _eager(networks["classification"], crops[:, None])
        ours = [c.probability for c in candidates[begin : begin + 8]]
        np.testing.assert_allclose(ours, probability[:, 1], atol=1e-6)


# --- two whole scans -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def book(checkpoints: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    return cached_bundle(request.config, "book", checkpoints)


@pytest.fixture(scope="module", params=["0023", "c3n-00247"])
def scan(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A scan, and what the book's code found in it."""
    if request.param == "0023":
        path = shared_data / "luna16" / "subset0" / f"{PATIENT_0023}.mhd"
        reference = shared_data / "reference" / f"{PATIENT_0023}.book.json"
    else:
        folder = tmp_path_factory.mktemp("dicom")
        with zipfile.ZipFile(shared_data / "dicom" / "c3n-00247.zip") as archive:
            archive.extractall(folder)
        path = folder / "c3n-00247.mhd"
        home = next(folder.rglob("*.dcm")).parent
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(home))
        sitk.WriteImage(sitk.ReadImage(names, sitk.sitkInt16), str(path))
        reference = shared_data / "reference" / "c3n-00247.book.json"
    return path, json.loads(reference.read_text())


@pytest.fixture(scope="module")
def everywhere(book: Path, scan: tuple[Path, dict[str, Any]]) -> Result:
    return Runner(book, engine="torchscript-trace", region="off", all_candidates=True)(scan[0])


@pytest.mark.slow
def test_the_trace_finds_what_the_book_found(
    everywhere: Result, scan: tuple[Path, dict[str, Any]]
) -> None:
    expected = scan[1]
    assert list(everywhere.scan.shape_irc) == expected["shape"]
    assert int(everywhere.threshold_mask.sum()) == expected["mask_voxels"]
    candidates = everywhere.candidates or ()
    assert len(candidates) == len(expected["candidates"])
    centers = np.array([c.center_irc for c in candidates])
    wanted = np.array([c["irc"] for c in expected["candidates"]])
    np.testing.assert_allclose(centers, wanted, atol=0.01, rtol=0)
    assert [c.voxels for c in candidates] == [c["voxels"] for c in expected["candidates"]]
    np.testing.assert_allclose(
        [c.probability for c in candidates],
        [c["p"] for c in expected["candidates"]],
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.slow
def test_onnxruntime_finds_nearly_all_the_book_found(
    book: Path, scan: tuple[Path, dict[str, Any]]
) -> None:
    pytest.importorskip("onnxruntime")
    path, expected = scan
    got = Runner(book, engine="onnxruntime", region="off", all_candidates=True)(path)
    centers = np.array([c.center_irc for c in got.candidates or ()])
    probabilities = np.array([c.probability for c in got.candidates or ()])
    same = 0
    for candidate in expected["candidates"]:
        distance = np.abs(centers - candidate["irc"]).max(axis=1)
        near = int(distance.argmin())
        agrees = distance[near] < 0.01 and abs(probabilities[near] - candidate["p"]) < 1e-3
        same += agrees
        assert agrees or candidate["p"] < 0.5 + 1e-3, candidate
    print(f"{same} of {len(expected['candidates'])} candidates")
    assert same >= 0.995 * len(expected["candidates"])


@pytest.mark.slow
def test_the_region_keeps_what_lies_in_it(
    everywhere: Result, book: Path, scan: tuple[Path, dict[str, Any]]
) -> None:
    inside = Runner(book, engine="torchscript-trace", all_candidates=True)(scan[0])
    region = inside.region.astype(bool)
    centers = np.array([c.center_irc for c in inside.candidates or ()])
    lost = []
    for candidate in everywhere.candidates or ():
        if not region[tuple(int(np.rint(v)) for v in candidate.center_irc)]:
            continue
        near = int(np.abs(centers - candidate.center_irc).max(axis=1).argmin())
        match = (inside.candidates or ())[near]
        if (
            np.abs(centers[near] - candidate.center_irc).max() > 0.5
            or abs(match.probability - candidate.probability) > 1e-3
        ):
            lost.append(candidate)
    # A component that the box cut has another centre; it must reach out of the box.
    boxes = region.any(axis=(1, 2))
    cut = everywhere.mask
    for candidate in lost:
        index, rows, cols = np.nonzero(cut == candidate.label)
        outside = [
            not boxes[i] or not _box_of(region[i], r, c)
            for i, r, c in zip(index, rows, cols, strict=True)
        ]
        assert any(outside), candidate
    print(f"{inside.candidate_count} of {everywhere.candidate_count}, {len(lost)} cut by a box")
    assert inside.candidate_count <= 2 / 3 * everywhere.candidate_count


@pytest.mark.slow
def test_a_scan_of_133_slices_takes_less_than_1200_mb(
    book: Path, shared_data: Path, tmp_path: Path
) -> None:
    """Whole slices in the program itself; nothing of this process is counted."""
    image = sitk.ReadImage(str(shared_data / "luna16" / "subset0" / f"{PATIENT_0023}.mhd"))
    hu = sitk.GetArrayFromImage(image)
    longer = sitk.GetImageFromArray(np.concatenate([hu, hu[: 133 - len(hu)]]))
    longer.SetSpacing(image.GetSpacing())
    sitk.WriteImage(longer, str(tmp_path / "s.mhd"), useCompression=True)
    options = (f"--bundle={book}", "--region=off", "--progress=none")
    result = program.result_of(tmp_path / "s.mhd", *options, timeout=550)
    print(f"{result['peak_rss_mb']:.0f} MB, {result['timings_s']['total']:.0f} s")
    assert result["peak_rss_mb"] < 1200


def _box_of(region: np.ndarray, row: int, col: int, halo: int = 24) -> bool:
    """Whether a voxel lies in the box that is sure to be segmented exactly."""
    rows, cols = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return bool(rows[0] - halo < row < rows[-1] + halo and cols[0] - halo < col < cols[-1] + halo)
