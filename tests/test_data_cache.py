"""The cache of arrays: damage, full disks, several processes."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from luna_folder import box_scan
from lunart.data.cache import Arrays, Cache
from lunart.data.scans import Scans
from lunart.errors import OutputError

BIG = np.random.default_rng(1).integers(0, 1 << 15, 60_000).astype(np.int16)


class Maker:
    """Counts how often it is asked."""

    def __init__(self, value: np.ndarray = BIG) -> None:
        self.value, self.count = value, 0

    def __call__(self) -> Arrays:
        self.count += 1
        return {"hu": self.value, "at": np.array([1, 2, 3])}


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file of this process can grow beyond a limit: what a full disk looks like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.val"))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "gone", "other"])
def test_a_damaged_entry_is_named_dropped_and_made_again(tmp_path: Path, damage: str, caplog):
    make = Maker()
    Cache(tmp_path).arrays("key", make)
    [file] = entries(tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    spoilt = {
        "truncated": content[:-100], "flipped": content, "empty": b"", "other": b"x" * 900,
    }  # fmt: skip
    file.unlink()
    if damage != "gone":
        file.write_bytes(spoilt[damage])
    with caplog.at_level(logging.WARNING):
        again = Cache(tmp_path).arrays("key", make)
    np.testing.assert_array_equal(again["hu"], BIG)
    assert make.count == 2
    if damage != "gone":
        assert "entry key is damaged" in caplog.text
    np.testing.assert_array_equal(Cache(tmp_path).arrays("key", make)["hu"], BIG)
    assert make.count == 2


def test_an_entry_that_would_be_unpickled_is_made_again(tmp_path: Path, caplog):
    import diskcache

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("unpickled",))

    with diskcache.FanoutCache(str(tmp_path), shards=8) as planted:
        planted.set("key", Bomb())
    make = Maker()
    np.testing.assert_array_equal(Cache(tmp_path).arrays("key", make)["hu"], BIG)
    assert make.count == 1
    assert "made again" in caplog.text


def test_a_damaged_database_does_not_stop_training(tmp_path: Path, caplog):
    Cache(tmp_path).arrays("key", Maker())
    for file in tmp_path.rglob("cache.db*"):
        file.write_bytes(b"no database " * 1000)
    cache, make = Cache(tmp_path), Maker()
    np.testing.assert_array_equal(cache.arrays("key", make)["hu"], BIG)
    np.testing.assert_array_equal(cache.arrays("key", make)["hu"], BIG)
    assert make.count == 2
    assert caplog.text.count("going on without the cache") == 1
    with pytest.raises(OutputError, match="delete the folder, which only costs time"):
        Cache(tmp_path).require_writable()


def test_a_full_disk_is_said_once_and_training_goes_on(tmp_path: Path, caplog):
    cache = Cache(tmp_path)
    cache.require_writable()
    with small_files(30_000):
        for key in ("a", "b"):
            np.testing.assert_array_equal(cache.arrays(key, Maker())["hu"], BIG)
    assert caplog.text.count("cannot be written") == 1
    make = Maker()
    Cache(tmp_path).arrays("a", make)  # nothing half-written is taken for an entry
    assert make.count == 1


def test_filling_a_full_disk_is_an_error(tmp_path: Path):
    cache = Cache(tmp_path)
    cache.require_writable()
    with (
        small_files(30_000),
        pytest.raises(OutputError, match=r"cannot be written .*--cache"),
    ):
        cache.fill("key", Maker())
    assert cache.fill("key", Maker())


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, caplog):
    file = tmp_path / "file"
    file.write_text("")
    make = Maker()
    np.testing.assert_array_equal(Cache(file / "cache").arrays("key", make)["hu"], BIG)
    assert "cannot be opened" in caplog.text
    with pytest.raises(OutputError, match="cannot be opened"):
        Cache(file / "cache").require_writable()


def test_a_cache_that_is_dropped_closes_its_files(tmp_path: Path):
    cache = Cache(tmp_path)
    cache.arrays("key", Maker())
    held = [str(path) for path in tmp_path.rglob("cache.db")]
    assert any(_is_open(path) for path in held)
    del cache
    gc.collect()
    assert not any(_is_open(path) for path in held)


def _is_open(path: str) -> bool:
    return any(os.path.realpath(link) == path for link in Path("/proc/self/fd").iterdir())


def test_an_entry_is_made_once_and_survives_its_cache(tmp_path: Path):
    make = Maker()
    cache = Cache(tmp_path)
    for one in (cache, cache, pickle.loads(pickle.dumps(cache)), Cache(tmp_path)):
        found = one.arrays("key", make)
        np.testing.assert_array_equal(found["hu"], BIG)
        assert found["hu"].dtype == np.int16
        assert found["at"].tolist() == [1, 2, 3]
    assert make.count == 1
    assert not Cache(tmp_path).fill("key", make)
    assert Cache(tmp_path).fill("other", make)


def _fill(folder: Path, start: int) -> int:
    cache = Cache(folder)
    return sum(
        cache.fill(f"key {(start + k) % 12}", Maker(np.full(9_000, (start + k) % 12)))
        for k in range(12)
    )


def test_several_processes_fill_one_folder(tmp_path: Path):
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        made = sum(pool.map(_fill, [tmp_path] * 2, (0, 3)))
    assert made >= 12
    for k in range(12):
        kept = Cache(tmp_path).arrays(f"key {k}", lambda: pytest.fail("lost"))
        assert (kept["hu"] == k).all()


def test_a_scan_that_changed_has_another_name(tmp_path: Path):
    path = box_scan(tmp_path, "1.2", seed=1)
    cache = Cache(tmp_path / "cache")
    first = Scans({"1.2": path}, cache).digest("1.2")
    assert Scans({"1.2": path}, cache).digest("1.2") == first
    box_scan(tmp_path, "1.2", seed=2)
    second = Scans({"1.2": path}, cache).digest("1.2")
    assert second.voxels != first.voxels
    header = path.read_text()
    path.write_text(header.replace("Offset = -100", "Offset = -90"))
    third = Scans({"1.2": path}, cache).digest("1.2")
    assert third.voxels == second.voxels
    assert third.scan != second.scan
