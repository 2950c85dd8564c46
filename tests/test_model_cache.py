"""The model cache of the OpenVINO engine: it saves time and never decides a result."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino_here
import program
import pytest
import spoil
from lunart import Runner
from lunart.networks import open_network
from lunart.result import Result
from openvino_here import ENGINE

SEGMENTATION = "segmentation"
DIGEST_BYTES = 64  # in front of a blob
MOST_BLOBS = 32
OTHERS_UID = 65534


pytestmark = pytest.mark.usefixtures("openvino_supported", "openvino_cache")


@pytest.fixture(scope="module")
def plain(bundle: Path, small_scan: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What is found in the small scan by networks that no cache had a part in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("plain")))
        return _found(_run(bundle, small_scan))


def _run(bundle: Path, scan: Path, **options: Any) -> Result:
    settings: dict[str, Any] = {"engine": ENGINE, "threads": 2, "all_candidates": True, **options}
    return Runner(bundle, progress="none", region="off", **settings)(scan)


def _found(result: Result) -> list[Any]:
    found: list[Any] = result.to_dict()["candidates"]
    assert found
    return found


def _codes(result: Result) -> set[str]:
    return {w["code"] for w in result.to_dict()["warnings"]} & {"no-model-cache", "model-cache"}


def _text_of(result: Result, code: str) -> str:
    return "\n".join(w["text"] for w in result.to_dict()["warnings"] if w["code"] == code)


def _blobs(cache: Path) -> list[Path]:
    return sorted(cache.iterdir(), key=lambda path: path.stat().st_size)


def test_compiled_models_are_kept_for_this_user_alone(
    bundle: Path, small_scan: Path, openvino_cache: Path, plain: list[Any]
) -> None:
    result = _run(bundle, small_scan)
    assert _found(result) == plain
    assert _codes(result) == set()
    assert openvino_cache.stat().st_mode & 0o777 == 0o700
    assert openvino_cache.parent.stat().st_mode & 0o777 == 0o700
    assert len(_blobs(openvino_cache)) == len(spoil.manifest_of(bundle)["models"])


def test_the_second_start_uses_what_the_first_kept(
    bundle: Path, small_scan: Path, openvino_cache: Path, plain: list[Any]
) -> None:
    _run(bundle, small_scan)
    before = [(path.name, path.read_bytes()) for path in _blobs(openvino_cache)]
    second = _run(bundle, small_scan)
    assert _found(second) == plain
    assert _codes(second) == set()
    assert [(path.name, path.read_bytes()) for path in _blobs(openvino_cache)] == before
    # The two classifiers under each other's name: what answers now can only come from there.
    small, *_, large = _blobs(openvino_cache)
    contents = small.read_bytes(), large.read_bytes()
    large.write_bytes(contents[0])
    small.write_bytes(contents[1])
    assert _found(_run(bundle, small_scan)) != plain


def test_another_network_in_the_same_place_is_not_taken_from_the_cache(
    bundle: Path, tmp_path: Path, openvino_cache: Path
) -> None:
    """Also when file times and sizes tell nothing."""
    crops = np.random.default_rng(0).uniform(-1000, 400, (1, 1, 32, 48, 48)).astype(np.float32)
    changed = spoil.copy_of(bundle, tmp_path / "b")
    path = changed / "classification" / "onnx.onnx"
    times = path.stat()
    one = open_network(changed, "classification", ENGINE)(crops)
    path.write_bytes((bundle / "malignancy" / "onnx.onnx").read_bytes())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    two = open_network(spoil.rehash(changed), "classification", ENGINE)(crops)
    assert abs(one["logits"] - two["logits"]).max() > 1e-3
    assert len(_blobs(openvino_cache)) == 2


def test_each_way_to_compile_has_a_blob_of_its_own(bundle: Path, openvino_cache: Path) -> None:
    ways = [(1, "f32"), (2, "f32")]
    if "bf16" in openvino_here.status()["precisions"]:
        ways.append((2, "bf16"))
    for threads, precision in ways * 2:
        open_network(bundle, SEGMENTATION, ENGINE, threads, precision)
    assert len(_blobs(openvino_cache)) == len(ways)


def _signed(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest().encode() + payload


def _flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "digest-only": lambda content: content[:DIGEST_BYTES],
    "cut-head": lambda content: content[: DIGEST_BYTES + 50],
    "cut-half": lambda content: content[: len(content) // 2],
    "cut-tail": lambda content: content[:-1],
    "longer": lambda content: content + b"x",
    "flipped-digest": lambda content: _flip(content, 5),
    "flipped-head": lambda content: _flip(content, DIGEST_BYTES + 3),
    "flipped-weight": lambda content: _flip(content, len(content) // 3),
    "garbage": lambda content: os.urandom(len(content)),
    "zeros": lambda content: bytes(len(content)),
    # As somebody would who knows the format: the importer itself must refuse.
    "signed-garbage": lambda content: _signed(os.urandom(10_000)),
    "signed-cut": lambda content: _signed(content[DIGEST_BYTES : len(content) // 2]),
    "signed-other-version": lambda content: _signed(
        re.sub(rb"ov=\d+", b"ov=1999", content[DIGEST_BYTES:], count=1)
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_changes_no_result_and_is_replaced(
    damage: str, bundle: Path, small_scan: Path, openvino_cache: Path, plain: list[Any]
) -> None:
    _run(bundle, small_scan)
    before = {path: path.read_bytes() for path in _blobs(openvino_cache)}
    for path, content in before.items():
        path.write_bytes(DAMAGES[damage](content))
    result = _run(bundle, small_scan)
    assert _found(result) == plain
    assert _codes(result) == {"model-cache"}
    assert "removed and compiled again" in _text_of(result, "model-cache")
    assert {path.name for path in _blobs(openvino_cache)} == {path.name for path in before}
    assert _codes(_run(bundle, small_scan)) == set()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "unreadable-size"])
def test_what_is_no_file_in_the_cache_is_not_read(
    kind: str,
    bundle: Path,
    small_scan: Path,
    openvino_cache: Path,
    tmp_path: Path,
    plain: list[Any],
) -> None:
    _run(bundle, small_scan)
    for path in _blobs(openvino_cache):
        if kind == "unreadable-size":
            os.truncate(path, 2**40)
            continue
        moved = path.rename(tmp_path / path.name)
        if kind == "link":
            path.symlink_to(moved)
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
    result = _run(bundle, small_scan)
    assert _found(result) == plain
    # A folder is in the way and stays there.
    expected = {"model-cache"} | ({"no-model-cache"} if kind == "folder" else set())
    assert _codes(result) == expected


def _unset(cache: Path, patch: pytest.MonkeyPatch) -> str:
    patch.delenv("XDG_CACHE_HOME")
    patch.delenv("HOME", raising=False)
    return "HOME is not set"


def _relative(cache: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("XDG_CACHE_HOME", "cache")
    patch.setenv("HOME", "")
    return "HOME is not set"


def _unwritable(cache: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("XDG_CACHE_HOME", "/proc/lunart")
    return "/proc/lunart"


def _file_in_the_way(cache: Path, patch: pytest.MonkeyPatch) -> str:
    cache.parent.write_text("no folder")
    return "Not a directory"


def _for_the_group(cache: Path, patch: pytest.MonkeyPatch) -> str:
    cache.mkdir(parents=True)
    cache.chmod(0o770)
    return "can be written by others"


def _for_all(cache: Path, patch: pytest.MonkeyPatch) -> str:
    cache.mkdir(parents=True)
    cache.chmod(0o702)
    return "can be written by others"


def _of_another_user(cache: Path, patch: pytest.MonkeyPatch) -> str:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    cache.mkdir(parents=True, mode=0o700)
    os.chown(cache, OTHERS_UID, OTHERS_UID)
    return "belongs to another user"


def _a_link(cache: Path, patch: pytest.MonkeyPatch) -> str:
    elsewhere = cache.parents[1] / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cache.parent.mkdir()
    cache.symlink_to(elsewhere)
    return str(cache)


@pytest.mark.parametrize(
    "prepare",
    [
        *(_unset, _relative, _unwritable, _file_in_the_way, _for_the_group, _for_all),
        *(_of_another_user, _a_link),
    ],
)
def test_without_a_folder_of_its_own_it_runs_and_says_so(
    prepare: Callable[[Path, pytest.MonkeyPatch], str],
    bundle: Path,
    small_scan: Path,
    openvino_cache: Path,
    plain: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    why = prepare(openvino_cache, monkeypatch)
    result = _run(bundle, small_scan)
    assert _found(result) == plain
    assert _codes(result) == {"no-model-cache"}
    assert why in _text_of(result, "no-model-cache")
    assert not list(openvino_cache.glob("*.blob"))


def test_the_home_folder_holds_the_cache_when_nothing_else_is_said(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    open_network(bundle, SEGMENTATION, ENGINE)
    assert len(_blobs(tmp_path / ".cache" / "lunart" / ENGINE)) == 1


def test_a_full_disk_costs_only_the_cache(
    bundle: Path, small_scan: Path, openvino_cache: Path
) -> None:
    """A file-size limit stands in for the disk."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    arguments = (small_scan, f"--bundle={bundle}", f"--engine={ENGINE}", "--region=off")
    result = program.result_of(*arguments, preexec_fn=limit)
    assert "no-model-cache" in {warning["code"] for warning in result["warnings"]}
    assert list(openvino_cache.iterdir()) == []


def test_old_blobs_make_room(bundle: Path, openvino_cache: Path) -> None:
    openvino_cache.mkdir(parents=True)
    for k in range(40):
        old = openvino_cache / f"{k:064d}.blob"
        old.write_bytes(b"of an older version")
        os.utime(old, (k, k))
    open_network(bundle, SEGMENTATION, ENGINE)
    names = sorted(path.name for path in openvino_cache.iterdir())
    assert len(names) == MOST_BLOBS
    assert f"{39:064d}.blob" in names
    assert f"{0:064d}.blob" not in names


def test_listing_the_engines_leaves_nothing_behind(openvino_cache: Path) -> None:
    assert program.run("--engines").returncode == 0
    assert not openvino_cache.parent.exists()
