"""SHA-256: the processor's instructions and the portable form against Python's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from lunart import _core
from lunart.errors import BundleError

SIZES = [*range(0, 130), 1000, 4096, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20 + 77]


def _noise(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


def test_a_file_that_is_not_there_is_a_bundle_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="absent"):
        _core.sha256_of_file(tmp_path / "absent")


@pytest.mark.parametrize("portable", [False, True])
def test_digests_of_every_length_are_pythons(portable: bool) -> None:
    for size in SIZES:
        data = _noise(size)
        assert _core.sha256(data, portable) == hashlib.sha256(data).hexdigest(), size


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 5 * 2**20 + 3])
def test_a_file_has_the_digest_of_its_bytes(size: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_noise(size))
    assert _core.sha256_of_file(tmp_path / "file") == hashlib.sha256(_noise(size)).hexdigest()
