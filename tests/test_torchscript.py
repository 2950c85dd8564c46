"""The TorchScript engines: exact to the bit as exported, tuned within the limits."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from lunart import _core
from lunart.bundle import Bundle
from lunart.errors import EngineError
from lunart.export.probes import probes
from lunart.networks import open_network, torch_threads
from memory import resident_mb
from spoil import copy_of, rehash

EXACT = ("torchscript-trace", "torchscript-script")
MODELS = ("segmentation", "classification", "malignancy")
WINDOW = (-1000.0, 1000.0)


def _inputs(bundle: Path, model: str) -> list[np.ndarray]:
    """Every kind of probe but the whole slice."""
    signature = Bundle.open(bundle).model(model).signature
    return [probe.array for probe in probes(signature, WINDOW) if probe.case != "slice"]


def test_a_damaged_file_is_named(bundle: Path, tmp_path: Path) -> None:
    spoilt = copy_of(bundle, tmp_path / "luna")
    file = spoilt / "segmentation" / "torchscript-trace.pt"
    file.write_bytes(file.read_bytes()[:-1000])
    rehash(spoilt)
    for engine in ("torchscript", "torchscript-trace"):
        with pytest.raises(EngineError, match=r"torchscript-trace\.pt: libtorch cannot load it"):
            _core.Network(spoilt, "segmentation", engine)


def test_a_wrong_number_of_channels_is_an_engine_error(bundle: Path) -> None:
    network = _core.Network(bundle, "segmentation", "torchscript", 1)
    with pytest.raises(EngineError, match="torchscript: a network failed"):
        network(np.zeros((1, 5, 64, 64), np.float32))
    assert len(network(np.zeros((1, 7, 64, 64), np.float32))) == 1  # and works on


def test_a_fork_is_an_error_and_no_hang(bundle: Path) -> None:
    program = (
        "import os, sys, numpy as np; from lunart import _core; from lunart.errors import *\n"
        f"network = _core.Network({str(bundle)!r}, 'segmentation', 'torchscript', 2)\n"
        "array = np.zeros((1, 7, 32, 32), np.float32); network(array)\n"
        "if os.fork() == 0:\n"
        "    try: network(array)\n"
        "    except EngineError as error: print(error, flush=True)\n"
        "    sys.exit()\n"
        "assert os.wait()[1] == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "did not survive a fork" in done.stdout


@pytest.mark.parametrize("engine", EXACT)
@pytest.mark.parametrize("model", MODELS)
def test_as_exported_every_bit_is_eagers(bundle: Path, model: str, engine: str) -> None:
    eager = open_network(bundle, model, "eager", 1)
    network = open_network(bundle, model, engine, 1)
    for array in _inputs(bundle, model):
        expected = eager(array)
        for name, output in network(array).items():
            np.testing.assert_array_equal(output, expected[name])


@pytest.mark.parametrize("model", MODELS)
def test_tuned_answers_within_the_limits(bundle: Path, model: str) -> None:
    eager = open_network(bundle, model, "eager", 1)
    network = open_network(bundle, model, "torchscript", 2)
    for array in _inputs(bundle, model):
        expected = eager(array)
        for name, output in network(array).items():
            scale = max(1.0, float(np.abs(expected[name]).max()))
            assert np.abs(output - expected[name]).max() <= 1e-3 * scale


@pytest.mark.parametrize("engine", ["torchscript", "torchscript-trace"])
def test_calls_side_by_side_answer_as_calls_alone(bundle: Path, engine: str) -> None:
    network = _core.Network(bundle, "segmentation", engine, 2)
    assert network.lanes == 2
    alone = _core.Network(bundle, "segmentation", engine, 1)
    assert alone.lanes == 1
    arrays = [array for array in _inputs(bundle, "segmentation") for _ in range(4)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda array: network(array)[0], arrays))
    for array, output in zip(arrays, together, strict=True):
        np.testing.assert_array_equal(output, alone(array)[0])  # one thread a call in both


def test_the_hosts_number_of_threads_stays(bundle: Path) -> None:
    with torch_threads(3):
        network = _core.Network(bundle, "segmentation", "torchscript", 1)
        network(np.zeros((1, 7, 32, 32), np.float32))
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:  # and what new threads of the host begin with
            assert pool.submit(torch.get_num_threads).result() == 3


@pytest.mark.parametrize("engine", ["torchscript", "torchscript-trace"])
def test_fifty_calls_hold_no_more_memory(bundle: Path, engine: str) -> None:
    network = _core.Network(bundle, "segmentation", engine, 2)
    array = np.zeros((1, 7, 128, 128), np.float32)
    for _ in range(5):
        network(array)
    before = resident_mb()
    for _ in range(50):
        network(array)
    assert resident_mb() < before + 20
