"""Networks whose crops have a spacing of their own: every engine gives each candidate what eager
PyTorch says of the oracle's crop.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracles
import pytest
import torch
from conftest import SMALL_WEIGHTS, cached_bundle
from handmade import FloatArray, scan_of
from lunart import Runner
from lunart.bench.inputs import crop
from lunart.bundle import Architecture, Bundle
from lunart.models.checkpoint import load_checkpoint, save_weights
from lunart.phantom import generate
from lunart.registry import EAGER, engines_of
from small_weights import CLASSIFIER, small_network
from torch import nn

CROP = (32, 32, 32)
MM = 1.0
ARCHITECTURE = Architecture(CLASSIFIER.name, {**CLASSIFIER.arguments, "crop_irc": list(CROP)})
CLASSIFIERS = ("classification", "malignancy")
SPACING = (2.2, 1.9, 5.5)
# Half a turn beside LPS: the networks see rows and columns backwards.
TURNED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def _write_lively(folder: Path, role: str, seed: int, recorded: dict[str, float | str]) -> Path:
    """Random weights of a gain that lets a crop through all the layers."""
    module = small_network(role, seed, ARCHITECTURE)
    for part in module.modules():
        if isinstance(part, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(part.weight)
    path = folder / f"{role}.safetensors"
    save_weights(path, module.state_dict(), ARCHITECTURE, pipeline=recorded)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Segmentation that finds nodules of phantoms, and random networks behind it."""
    folder = tmp_path_factory.mktemp("spaced")
    crops: dict[str, float | str] = {"crop_border": "pad", "crop_spacing_mm": MM}
    return {
        "segmentation": SMALL_WEIGHTS / "segmentation.safetensors",
        "classification": _write_lively(
            folder, "classification", 7, {**crops, "nodule_threshold": 0.0}
        ),
        "malignancy": _write_lively(folder, "malignancy", 8, {"crop_spacing_mm": MM}),
    }


@pytest.fixture(scope="module")
def spaced(weights: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    return cached_bundle(request.config, "spaced", weights)


def _said(network: nn.Module, crops: list[FloatArray]) -> FloatArray:
    """Probabilities of crops of the scan as it is stored."""
    seen = np.stack(crops)[:, None, :, ::-1, ::-1].copy()
    with torch.inference_mode():
        _, probability = network(torch.from_numpy(seen))
    return np.asarray(probability[:, 1].numpy())


@pytest.mark.usefixtures("_one_thread")
def test_every_engine_says_of_a_candidate_what_eager_says_of_the_oracles_crop(
    spaced: Path, weights: dict[str, Path]
) -> None:
    hu = generate(11, shape_irc=(40, 160, 160), spacing_xyz_mm=SPACING, direction=TURNED).hu
    networks = {role: load_checkpoint(weights[role], role).module() for role in CLASSIFIERS}
    engines = (EAGER, *engines_of(Bundle.open(spaced)))
    for engine in engines:
        runner = Runner(spaced, engine=engine, threads=1, all_candidates=True)
        result = runner(hu, spacing=SPACING, direction=TURNED)
        candidates = result.candidates or ()
        assert len(candidates) == len(result.nodules) > 3
        centres = [c.center_irc for c in candidates]
        crops = [oracles.spaced_crop(hu, centre, CROP, SPACING[::-1], MM) for centre in centres]
        others = [oracles.padded_crop(hu, centre, CROP) for centre in centres]
        for role in CLASSIFIERS:
            key = "probability" if role == "classification" else role
            said = [getattr(candidate, key) for candidate in candidates]
            expected = _said(networks[role], crops)
            np.testing.assert_allclose(said, expected, atol=1e-4, err_msg=f"{engine}, {role}")
            # Which is not what the same networks say of the scan's own voxels.
            assert np.abs(_said(networks[role], others) - expected).max() > 1e-2
    print("engines compared:", *engines)


@pytest.mark.parametrize(("border", "spacing_mm"), [("shift", None), ("pad", None), ("pad", MM)])
def test_a_bench_cuts_the_crops_that_the_pipeline_asks_for(
    border: str, spacing_mm: float | None
) -> None:
    hu = np.random.default_rng(2).integers(-1500, 1500, (12, 40, 50)).astype(np.int16)
    pipeline = {"crop_irc": CROP, "crop_border": border, "crop_spacing_mm": spacing_mm}
    centre = (10.25, 3.5, 48.0)
    cut = crop(scan_of(hu, SPACING), centre, pipeline)
    if spacing_mm is not None:
        expected = oracles.spaced_crop(hu, centre, CROP, SPACING[::-1], spacing_mm)
    else:
        expected = {"shift": oracles.crop, "pad": oracles.padded_crop}[border](hu, centre, CROP)
    np.testing.assert_allclose(cut[0], expected, atol=2e-3)
