"""The image classifiers in the package know birds from airplanes that they were not trained on."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
import torch
from lunart.models.architectures import CLASSIFIER
from lunart.models.shipped import FOLDER, shipped
from lunart.training.cifar_ladder import RUNGS
from PIL import Image

EACH = 150
# Of a network of its kind, below what the model card says by what 300 pictures can be off.
LEAST = {"cifar-linear": 0.72, "cifar-resdeep": 0.88, "cifar-resdeep-10": 0.68}
USUAL = 0.80


@pytest.fixture(scope="module")
def pictures(shared_data):
    """The first test pictures of each class, by name."""
    found: dict[str, list[np.ndarray]] = {}
    with tarfile.open(shared_data / "cifar10" / "cifar10-jpg.tar.xz") as archive:
        for member in archive:
            if sum(map(len, found.values())) == 10 * EACH:
                break
            _, _, path = member.name.rpartition("test/")
            name = path.partition("/")[0]
            if path == member.name or not member.isfile() or len(found.get(name, [])) == EACH:
                continue
            content = archive.extractfile(member).read()
            found.setdefault(name, []).append(np.asarray(Image.open(io.BytesIO(content))))
    assert {len(some) for some in found.values()} == {EACH}
    return found


def test_every_rung_ships():
    assert {path.stem for path in FOLDER.glob("cifar-*.safetensors")} == set(RUNGS)


def test_all_of_them_together_are_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("cifar-*.safetensors")) < 4_000_000


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("name", RUNGS)
def test_unseen_pictures_are_told_apart(pictures, name):
    checkpoint = shipped(name)
    assert checkpoint.role == CLASSIFIER
    images = checkpoint.images
    rgb = np.concatenate([pictures[one] for one in images.classes]).astype(np.float32)
    scaled = rgb * images.preprocess["scale"]
    image = (scaled - images.preprocess["mean"]) / np.array(images.preprocess["deviation"])
    with torch.inference_mode():
        _, probability = checkpoint.module()(torch.from_numpy(image).float().permute(0, 3, 1, 2))
    truth = np.repeat(np.arange(len(images.classes)), EACH)
    accuracy = (probability.argmax(1).numpy() == truth).mean()
    assert accuracy >= LEAST.get(name, USUAL)
