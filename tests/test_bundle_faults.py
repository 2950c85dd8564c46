"""Everything that can be wrong with a bundle: named by the native reader and by Python's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import program
import pytest
import spoil
from lunart.bundle import Bundle
from lunart.errors import BundleError
from lunart.runner import Runner

Reader = Callable[[Path], object]
Change = Callable[[dict[str, Any]], object]

FILES = (
    *(
        f"{role}/{name}"
        for role in ("segmentation", "classification", "malignancy")
        for name in (
            "weights.safetensors",
            "torchscript-trace.pt",
            "torchscript-script.pt",
            "onnx.onnx",
        )
    ),
    *(f"golden/{role}.safetensors" for role in ("segmentation", "classification", "malignancy")),
    "golden/phantom.mha",
    "golden/phantom.json",
)


def _native(bundle: Path) -> object:
    return Runner(bundle, engine="torchscript-trace", threads=1)


READERS = {"native": _native, "python": Bundle.open}


@pytest.fixture(params=sorted(READERS))
def reader(request: pytest.FixtureRequest) -> Reader:
    return READERS[request.param]


@pytest.fixture(scope="module")
def _scratch(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoil.copy_of(bundle, tmp_path_factory.mktemp("faults") / "luna")


@pytest.fixture
def copy(_scratch: Path, bundle: Path) -> Path:
    """One copy for all tests: the files are only touched by those that mend them."""
    shutil.copy2(bundle / "manifest.json", _scratch / "manifest.json")
    return _scratch


def _refused(reader: Reader, bundle: Path, *said: str) -> None:
    with pytest.raises(BundleError) as caught:
        reader(bundle)
    for words in said:
        assert words in str(caught.value), str(caught.value)


# --- files ---------------------------------------------------------------------------------------


def test_the_list_of_files_is_that_of_the_bundle(bundle: Path) -> None:
    entries = spoil.entries_of(spoil.manifest_of(bundle))
    assert {entry["file"] for entry in entries} == set(FILES)
    on_disk = {str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.is_file()}
    assert on_disk == {*FILES, "manifest.json"}


@pytest.mark.parametrize("file", FILES)
def test_one_flipped_bit_is_noticed_and_the_file_named(
    file: str, reader: Reader, copy: Path
) -> None:
    path = copy / file
    size = path.stat().st_size
    with path.open("r+b") as stream:
        for place in (size // 2, size - 1):
            stream.seek(place)
            byte = stream.read(1)[0]
            stream.seek(place)
            stream.write(bytes([byte ^ 4]))
            stream.flush()
            try:
                _refused(reader, copy, file)
            finally:
                stream.seek(place)
                stream.write(bytes([byte]))
                stream.flush()
    reader(copy)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(file: str, reader: Reader, copy: Path) -> None:
    away = copy.parent / "away"
    (copy / file).rename(away)
    try:
        _refused(reader, copy, file)
    finally:
        away.rename(copy / file)


@pytest.mark.parametrize("size", [-1, 1])
def test_a_file_of_another_size_is_named(size: int, reader: Reader, copy: Path) -> None:
    path = copy / FILES[0]
    content = path.read_bytes()
    path.write_bytes(content[:-1] if size < 0 else content + b"\0")
    try:
        _refused(reader, copy, FILES[0], str(len(content)), str(len(content) + size))
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling"])
def test_what_is_no_file_is_named(kind: str, reader: Reader, copy: Path) -> None:
    path, away = copy / FILES[0], copy.parent / "away"
    path.rename(away)
    try:
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("nowhere")
        _refused(reader, copy, FILES[0])
    finally:
        if kind == "folder":
            path.rmdir()
        else:
            path.unlink()
        away.rename(path)


def _first(manifest: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = manifest["models"]["segmentation"]["artifacts"][0]
    return entry


@pytest.mark.parametrize(
    "path",
    ["../outside.pt", "segmentation/../../outside.pt", "/etc/passwd", "..", ".", "", "link.pt",
     "loop/outside.pt"],
)  # fmt: skip
def test_a_path_that_leaves_the_bundle_is_refused(path: str, reader: Reader, copy: Path) -> None:
    """Also when the file is there, of the right size and hash."""
    source = copy / FILES[1]
    outside = copy.parent / "outside.pt"
    shutil.copy2(source, outside)
    (copy / "link.pt").symlink_to(outside)
    (copy / "loop").symlink_to("..")
    try:
        spoil.change(copy, lambda m: _first(m).update(file=path))
        _refused(reader, copy, "manifest.json" if path else "")
    finally:
        (copy / "link.pt").unlink()
        (copy / "loop").unlink()


def test_a_bundle_reached_through_a_link_is_fine(reader: Reader, bundle: Path, copy: Path) -> None:
    link = copy.parent / "link"
    link.symlink_to(bundle)
    try:
        reader(link)
    finally:
        link.unlink()


# --- the manifest --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{}",
        b"\xff\xfe\x00",
        b"\x00" * 100,
        b'{"schema": "lunart.bundle/2"}',
        b'{"schema": 1}',
        b'{"schema": null}',
        b'{"schema": "lunart.bundle/2"} trailing',
        b"{'schema': 1}",
        b'{"a": 1e999}',
    ],
    ids=repr,
)
def test_garbage_is_refused(content: bytes, reader: Reader, copy: Path) -> None:
    (copy / "manifest.json").write_bytes(content)
    _refused(reader, copy, "manifest.json")


def test_deeply_nested_garbage_is_refused(reader: Reader, copy: Path) -> None:
    (copy / "manifest.json").write_bytes(b'{"a":' * 200_000)
    _refused(reader, copy, "manifest.json")
    (copy / "manifest.json").write_bytes(b"[" * 200_000 + b"]" * 200_000)
    _refused(reader, copy, "manifest.json")


@pytest.mark.parametrize(
    "schema",
    ["lunart.bundle/0", "lunart.bundle/1", "lunart.bundle/3", "lunart.bundle/10",
     "lunart.bundle/99999999999999999999",
     "lunart.bundle/", "lunart.bundle/2 ", "lunart.result/2", "", "LUNART.BUNDLE/2"],
)  # fmt: skip
def test_another_schema_is_refused_and_named(schema: str, reader: Reader, copy: Path) -> None:
    spoil.change(copy, lambda m: m.update(schema=schema))
    _refused(reader, copy, "manifest.json", schema)


def _set(*keys: str | int, value: object) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        node: Any = manifest
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value

    return change


def _drop(*keys: str) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        node: Any = manifest
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]

    return change


NEEDED = (
    ("name",),
    ("models",),
    ("pipeline",),
    ("golden",),
    ("golden", "networks"),
    ("models", "segmentation"),
    ("models", "classification"),
    ("models", "segmentation", "outputs"),
    ("models", "segmentation", "weights"),
    ("models", "segmentation", "artifacts"),
    ("models", "segmentation", "weights", "sha256"),
    ("models", "segmentation", "multiple_of"),
    ("golden", "scan", "bytes"),
)


@pytest.mark.parametrize("keys", NEEDED, ids=".".join)
def test_a_missing_field_is_named(keys: tuple[str, ...], reader: Reader, copy: Path) -> None:
    spoil.change(copy, _drop(*keys))
    _refused(reader, copy, "manifest.json", keys[-1])


# The hash is refused with the file, not with the manifest.
RIGHT = [("name", "text"), ("sha256", "text"), ("artifacts", []), ("networks", {})]
UNUSED = [("pipeline", {}), ("outputs", []), ("multiple_of", -1)]


WRONG = [
    (keys, value)
    for keys in NEEDED
    for value in (None, True, -1, 1e300, "text", [], {}, [[[]]])
    if (keys[-1], value) not in RIGHT
]


@pytest.mark.parametrize(("keys", "value"), WRONG, ids=repr)
def test_a_field_of_another_type_is_refused_and_named(
    keys: tuple[str, ...], value: object, copy: Path
) -> None:
    spoil.change(copy, _set(*keys, value=value))
    # What Python's reader leaves to those that use it, the native one checks.
    readers = [_native] if (keys[-1], value) in UNUSED else READERS.values()
    for reader in readers:
        _refused(reader, copy, "manifest.json" if keys[-1] != "bytes" else "")


PIPELINE_FAULTS: list[tuple[str, object]] = [
    ("hu_window", [1000, -1000]),
    ("hu_window", [0, 0]),
    ("hu_window", [-1e300, 1e300]),
    ("hu_window", [0]),
    ("hu_window", "wide"),
    ("context_slices", -1),
    ("context_slices", 3.5),
    ("context_slices", 10**30),
    ("orientation", "RAS"),
    ("orientation", None),
    ("resample_mm", 1.0),
    ("region", None),
    ("halo", -1),
    ("halo", 1e300),
    ("segmentation_threshold", 1.5),
    ("segmentation_threshold", "half"),
    ("segmentation_threshold", None),
    ("erosion", -1),
    ("erosion", 10**9),
    ("erosion", True),
    ("connectivity", 26),
    ("connectivity", None),
    ("min_component_mm3", -1),
    ("crop_irc", [32, 48]),
    ("crop_irc", [0, 48, 48]),
    ("crop_irc", [10**9, 10**9, 10**9]),
    ("crop_irc", [1e300, 48, 48]),
    ("crop_irc", "32x48x48"),
    ("crop_spacing_mm", 0),
    ("crop_spacing_mm", -1.0),
    ("crop_spacing_mm", 1e9),
    ("crop_spacing_mm", "1"),
    ("crop_spacing_mm", True),
    ("crop_spacing_mm", [1, 1, 1]),
    ("nodule_threshold", -0.1),
    ("nodule_threshold", [0.5]),
]


@pytest.mark.parametrize(("key", "value"), PIPELINE_FAULTS, ids=repr)
def test_settings_that_make_no_sense_are_refused_and_named(
    key: str, value: object, copy: Path
) -> None:
    """By the native reader, which is the one that runs a pipeline."""
    spoil.change(copy, _set("pipeline", key, value=value))
    _refused(_native, copy, "manifest.json", key)


@pytest.mark.parametrize(
    ("key", "value"),
    [("grid_mm", 0), ("grid_mm", -2), ("margin_mm", 11), ("closing_mm", 1e9), ("air_hu", None),
     ("min_lung_ml", "5"), ("max_hole_mm", -1)],
)  # fmt: skip
def test_region_settings_that_make_no_sense_are_refused_and_named(
    key: str, value: object, copy: Path
) -> None:
    spoil.change(copy, _set("pipeline", "region", key, value=value))
    _refused(_native, copy, "manifest.json", key)


@pytest.mark.parametrize(
    "change",
    [
        _set("task", value="image-classification"),
        _set("made_by", value={}),
        _set("models", "hearts", value={}),
        _set("models", value={}),
        _set("intended_input", value={}),
        _set("intended_input", "slices", "min", value="many"),
        _set("verification", value={}),
        _set("verification", "limits", "f32", "max_abs", value=-1),
        _set("models", "segmentation", "multiple_of", value=0),
        _set("models", "segmentation", "multiple_of", value=10**6),
        _set("models", "segmentation", "outputs", value=[{}]),
        _set("models", "segmentation", "artifacts", value=[{}]),
        _set("models", "segmentation", "artifacts", 0, "bytes", value=-1),
        _set("models", "segmentation", "artifacts", 0, "bytes", value=1e300),
        _set("models", "segmentation", "artifacts", 0, "bytes", value=2**70),
        _set("models", "segmentation", "artifacts", 0, "sha256", value="0" * 64),
        _set("models", "segmentation", "artifacts", 0, "file", value="x" * 5000),
        _set("models", "segmentation", "artifacts", 0, "file", value="a\0b"),
        _set("models", "segmentation", "artifacts", 0, "file", value=7),
    ],
    ids=range(19),
)
def test_other_faults_of_the_manifest_are_refused_by_the_native_reader(
    change: Change, copy: Path
) -> None:
    spoil.change(copy, change)
    _refused(_native, copy)


@pytest.mark.parametrize("file", ["x" * 5000, "\ud800"], ids=["long", "surrogate"])
def test_names_that_the_system_refuses_are_refused(file: str, reader: Reader, copy: Path) -> None:
    spoil.change(copy, lambda m: _first(m).update(file=file))
    _refused(reader, copy)


@pytest.mark.parametrize("file", ["a\0b", "con:", "a\\b"], ids=ascii)
def test_names_that_no_file_has_are_refused(file: str, reader: Reader, copy: Path) -> None:
    spoil.change(copy, lambda m: _first(m).update(file=file))
    _refused(reader, copy)


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "manifest-folder"])
def test_what_is_no_bundle_is_named(kind: str, reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "none"
    if kind == "file":
        path.write_text("x")
    elif kind != "missing":
        path.mkdir()
    if kind == "manifest-folder":
        (path / "manifest.json").mkdir()
    _refused(reader, path, "none")


def test_the_program_says_4_on_one_line(copy: Path, small_scan: Path) -> None:
    spoil.change(copy, _set("pipeline", "halo", value="wide"))
    message = program.refused(4, small_scan, f"--bundle={copy}")
    assert "halo" in message
    assert len(message.splitlines()) == 1
    for task in ("--info", "--selfcheck"):
        assert "halo" in program.refused(4, task, f"--bundle={copy}")


@pytest.mark.parametrize(
    "path", [("verification", "limits", "least_power"), ("verification", "precisions"),
             ("pipeline", "halo"), ("models", "segmentation", "multiple_of")],
)  # fmt: skip
def test_a_key_of_a_newer_lunart_says_to_export_again(path: tuple[str, ...], copy: Path) -> None:
    def drop(manifest: dict[str, Any]) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        del manifest[path[-1]]

    spoil.change(copy, drop)
    _refused(_native, copy, f"{path[-1]} is missing", "older lunart", "luna-export")


def test_a_manifest_too_large_is_refused(copy: Path) -> None:
    path = copy / "manifest.json"
    with path.open("r+b") as stream:
        stream.truncate(1 << 31)
    try:
        _refused(_native, copy, "manifest.json")
    finally:
        path.write_text(json.dumps({}))


def test_a_file_that_is_listed_twice_is_refused(copy: Path, reader: Reader) -> None:
    folder = spoil.change(
        copy, lambda m: m["golden"].update(scan=m["models"]["segmentation"]["weights"])
    )
    with pytest.raises(BundleError, match="twice"):
        reader(folder)
