"""``lunart.result/2``: what a stored result must not be, and that it is the fresh one again."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import block_results
import jsonschema
import numpy as np
import pytest
from handmade import IDENTITY, FloatArray, found, runner, scan_of, write_handmade
from lunart import Result, _core
from lunart.errors import DataError, UsageError
from lunart.phantom import generate
from lunart.result import load_results, require_same_scan

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "result.schema.json").read_text())
CHECKED = jsonschema.Draft202012Validator(SCHEMA)
Spoil = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return block_results.result(tmp_path_factory.mktemp("result"))


@pytest.fixture(scope="module")
def handmade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade(tmp_path_factory.mktemp("handmade") / "b", erosion=0)


def _kept(folder: Path, content: str | bytes) -> Path:
    path = folder / "result.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _refused(path: Path) -> str:
    with pytest.raises(DataError) as error:
        Result.load(path)
    said = str(error.value)
    assert said.startswith(str(path))
    assert len(said) < 1000
    return said


# --- refused -------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in _refused(tmp_path / "none.json")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        assert "not a regular file" in _refused(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "1048576 MB" in _refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("lunart", "no JSON"),
        (b"\x00\x01\x02", "no JSON"),
        (b'{"schema": "\xff\xfe"}', "no JSON"),
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper"),
        ('{"schema": NaN}', "no JSON"),
        ('{"threshold": 1e999}', "no JSON"),
        ("[]", "no object"),
        ("null", "no object"),
        ("{}", "schema is missing"),
        ('{"schema": null}', "schema is null"),
        ('{"schema": 2}', "schema is 2"),
        ('{"schema": "lunart.result/1"}', r"lunart.result/1"),
        ('{"schema": "lunart.info/1"}', r"lunart.info/1"),
        ('{"schema": "lunart.result/2"}', "scan is missing"),
        ("<html></html>", "no JSON"),
    ],
    ids=range(18),
)
def test_text_that_is_no_result_is_refused(content: str | bytes, said: str, tmp_path: Path) -> None:
    assert said in _refused(_kept(tmp_path, content))


def test_more_values_than_any_result_are_refused(tmp_path: Path) -> None:
    assert "more values" in _refused(_kept(tmp_path, "[" + "0," * 9_000_000 + "0]"))


def test_every_key_is_needed(fresh: Result, tmp_path: Path) -> None:
    whole = fresh.to_dict()
    places: list[tuple[str, ...]] = [(key,) for key in whole if key != "candidates"]
    for part in ("scan", "bundle", "engine", "slices", "timings_s"):
        places += [(part, key) for key in whole[part]]
    for place in places:
        data = fresh.to_dict()
        at = data if len(place) == 1 else data[place[0]]
        del at[place[-1]]
        assert f"{'.'.join(place)} is missing" in _refused(_kept(tmp_path, json.dumps(data)))
    for key in whole["nodules"][0]:
        data = fresh.to_dict()
        del data["nodules"][0][key]
        assert f"nodules[0].{key} is missing" in _refused(_kept(tmp_path, json.dumps(data)))


def test_no_value_may_be_of_another_type(fresh: Result, tmp_path: Path) -> None:
    def places(at: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if isinstance(at, dict):
            return [
                p for key, value in at.items() for p in [(*way, key), *places(value, (*way, key))]
            ]
        if isinstance(at, list):
            return [
                p for k, value in enumerate(at[:2]) for p in [(*way, k), *places(value, (*way, k))]
            ]
        return []

    for place in places(fresh.to_dict()):
        for wrong in ({}, [], True, -1, "", "x", 1e300, None):
            data = fresh.to_dict()
            at: Any = data
            for key in place[:-1]:
                at = at[key]
            at[place[-1]] = wrong
            path = _kept(tmp_path, json.dumps(data))
            try:
                Result.load(path)
            except DataError:
                continue
            CHECKED.validate(data)


def _runs(text: str) -> Spoil:
    return lambda r: r["nodules"][0].update(mask_runs=text)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_runs("7680:1"), "beyond the end"),
        (_runs("18446744073709551615:1"), "beyond the end"),
        (_runs("18446744073709551616:1"), "no plain number"),
        (_runs("0:18446744073709551615"), "beyond the end"),
        (_runs("31:2"), "beyond the end of its row"),
        (_runs("5:1 5:1"), "does not rise"),
        (_runs("9:1 5:1"), "does not rise"),
        (_runs("5:3 7:1"), "does not rise"),
        (_runs("5:0"), "empty run"),
        (_runs("5"), "no colon"),
        (_runs("5:"), "no plain number"),
        (_runs("-5:1"), "no plain number"),
        (_runs("05:1"), "no plain number"),
        (_runs("5:1 "), "no plain number"),
        (_runs("5:1,6:1"), "no blank"),
        (_runs("0x5:1"), "no colon"),
        (_runs("5:1\n7:1"), "no blank"),
        (lambda r: r["candidates"][1].update(mask_runs=r["candidates"][0]["mask_runs"]), "two"),
        (lambda r: r["nodules"][0].update(mask_runs="0:1"), "same candidate"),
        (lambda r: r["nodules"][1].update(label=r["nodules"][0]["label"]), "another label"),
        (lambda r: r["nodules"][0].update(label=4), "same candidate"),
        (lambda r: r["nodules"][0].update(probability=0.25), "more than the threshold of 0.5"),
        (lambda r: r["nodules"][0].update(center_irc=[3, 5, 99]), "a place in the scan"),
        (lambda r: r["nodules"][0].update(center_xyz_mm=[0, 0, 0]), "millimetres of center_irc"),
        (lambda r: r["nodules"][0].update(voxels=7681), "1 to 7680"),
        (lambda r: r.update(candidate_count=2), "candidate_count is 2"),
        (lambda r: r.update(candidate_count=4), "candidates has 3 members; expected 4"),
        (lambda r: r["slices"]["probability"].pop(), "has 11 members; expected 12"),
        (lambda r: r["slices"].update(axis=3), "0 to 2"),
        (lambda r: r["scan"].update(hu_crc32="0123456"), "8 hexadecimal"),
        (lambda r: r["scan"].update(hu_crc32="0123456G"), "8 hexadecimal"),
        (lambda r: r["scan"].update(hu_crc32="0123ABCD"), "8 hexadecimal"),
        (lambda r: r["scan"].update(spacing_mm=[0, 1, 1]), "spacing"),
        (lambda r: r["scan"].update(direction=[0] * 9), "direction"),
        (lambda r: r["scan"].update(shape_irc=[1 << 30] * 3), "shape"),
        (lambda r: r["scan"].update(shape_irc=[12, 20]), "2 members; expected 3"),
        (lambda r: r["bundle"].update(sha256="abc"), "64 hexadecimal"),
    ],
    ids=range(37),
)  # fmt: skip
def test_a_result_that_contradicts_itself_is_refused(
    spoil: Spoil, said: str, fresh: Result, tmp_path: Path
) -> None:
    data = fresh.to_dict()
    spoil(data)
    assert said in _refused(_kept(tmp_path, json.dumps(data)))


def test_one_result_is_wanted_of_several(fresh: Result, tmp_path: Path) -> None:
    line = json.dumps(fresh.to_dict())
    path = _kept(tmp_path, f"{line}\n{line}\n")
    assert "holds 2 results" in _refused(path)
    assert [one.to_json() for one in load_results(path)] == [fresh.to_json()] * 2


def test_a_line_without_an_end_is_read_no_further_than_a_result_goes(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.write(b'{"schema": "')
        file.truncate(1 << 30)
    assert "no more than 256 are read" in _refused(path)


def test_lines_may_be_longer_than_a_piece_of_the_file(fresh: Result, tmp_path: Path) -> None:
    data = fresh.to_dict()
    data["scan"]["path"] = "x" * 3_000_000
    lines = [json.dumps(data), json.dumps(fresh.to_dict())]
    path = _kept(tmp_path, "\n\n" + "\r\n".join(lines))
    assert [len(one.scan.path or "") for one in load_results(path)] == [3_000_000, 0]


def test_a_bad_line_is_named(fresh: Result, tmp_path: Path) -> None:
    line = json.dumps(fresh.to_dict())
    path = _kept(tmp_path, f"{line}\n\n{{}}\n")
    with pytest.raises(DataError, match="line 3: schema is missing"):
        load_results(path)


def test_hostile_text_is_kept_as_text(fresh: Result, tmp_path: Path) -> None:
    data = fresh.to_dict()
    hostile = "<script>alert(1)</script>\x1b[2J\u202e\\"
    data["scan"].update(path=hostile, series_uid=hostile)
    data["bundle"]["name"] = hostile
    loaded = Result.load(_kept(tmp_path, json.dumps(data)))
    assert (loaded.scan.path, loaded.scan.series_uid, loaded.bundle.name) == (hostile,) * 3
    assert "\x1b" not in str(loaded)


def test_a_stored_result_has_no_region(fresh: Result, tmp_path: Path) -> None:
    loaded = Result.load(_kept(tmp_path, fresh.to_json()))
    for name in ("region", "threshold_mask"):
        with pytest.raises(UsageError, match="run the scan again"):
            getattr(loaded, name)


# --- accepted ------------------------------------------------------------------------------------


def test_it_is_the_fresh_one_again(fresh: Result, tmp_path: Path) -> None:
    CHECKED.validate(fresh.to_dict())
    loaded = Result.load(_kept(tmp_path, fresh.to_json()))
    assert loaded.to_json() == fresh.to_json()
    assert loaded.to_csv() == fresh.to_csv()
    assert loaded.to_markups() == fresh.to_markups()
    assert str(loaded) == str(fresh)
    assert (loaded.nodules, loaded.candidates) == (fresh.nodules, fresh.candidates)
    np.testing.assert_array_equal(loaded.mask, fresh.mask)


def test_it_may_list_its_nodules_alone(fresh: Result, tmp_path: Path) -> None:
    short = fresh.without_candidates()
    loaded = Result.load(_kept(tmp_path, short.to_json()))
    assert loaded.candidates is None
    assert loaded.candidate_count == 3
    assert loaded.to_json() == short.to_json()
    np.testing.assert_array_equal(loaded.mask, fresh.mask)


def test_runs_are_the_masks_voxels(fresh: Result) -> None:
    mask = np.zeros(fresh.mask.size, np.uint32)
    for finding in fresh.nodules:
        for offset, length in finding.runs():
            mask[offset : offset + length] = finding.label
    np.testing.assert_array_equal(mask.reshape(fresh.scan.shape_irc), fresh.mask)
    np.testing.assert_array_equal(fresh.mask > 0, block_results.blocks() > 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_runs_follow_the_rows_of_the_scan_as_stored(order: tuple[int, ...], handmade: Path) -> None:
    """A block that fills the scan has one run a row, whichever way up the networks see it."""
    hu = np.full((3, 4, 5), 100, np.int16).transpose(order)
    turned = np.eye(3)[:, [2 - order[2 - image] for image in range(3)]]
    result = found(
        runner(handmade), scan_of(np.ascontiguousarray(hu), direction=tuple(turned.ravel()))
    )
    (one,) = result.nodules
    rows = hu.shape[0] * hu.shape[1]
    np.testing.assert_array_equal(
        one.runs(), np.stack([np.arange(rows) * hu.shape[2], np.full(rows, hu.shape[2])], 1)
    )


# --- the checksum --------------------------------------------------------------------------------


def _crc(hu: np.ndarray, handmade: Path) -> str:
    return found(runner(handmade, region="lungs"), scan_of(hu)).scan.hu_crc32


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64, ">i2", ">f4"])
def test_whole_numbers_have_the_checksum_of_int16(dtype: Any, handmade: Path) -> None:
    hu = block_results.blocks()
    expected = f"{zlib.crc32(hu.astype('<i2').tobytes()):08x}"
    native = np.dtype(dtype).newbyteorder("=")
    assert _crc(hu.astype(dtype).astype(native), handmade) == expected


@pytest.mark.parametrize("other", [0.5, 40000.0, -32769.0])
def test_other_numbers_have_the_checksum_of_float32(other: float, handmade: Path) -> None:
    hu = block_results.blocks().astype(np.float32)
    hu[3, 4, 5] = other
    assert _crc(hu, handmade) == f"{zlib.crc32(hu.astype('<f4').tobytes()):08x}"


def test_a_large_scans_checksum_does_not_depend_on_threads(handmade: Path) -> None:
    hu = np.random.default_rng(0).integers(-1000, 1000, (41, 256, 512), np.int16)
    scan = scan_of(hu)
    expected = f"{zlib.crc32(hu.tobytes()):08x}"
    for threads in (1, 2, 5):
        assert f"{_core.hu_crc32(scan, threads):08x}" == expected


# --- slices --------------------------------------------------------------------------------------


def _graded(batch: FloatArray) -> list[FloatArray]:
    """The HU of the middle slice as thousandths of a probability."""
    middle = batch[:, batch.shape[1] // 2 : batch.shape[1] // 2 + 1]
    return [np.clip(middle / 1000, 0, 1).astype(np.float32)]


def _sloped() -> np.ndarray:
    hu = np.full((6, 16, 24), -500, np.int16)
    hu[:, 3, 5] = [0, 100, 250, 900, 1000, 125]
    return hu


def test_slices_hold_each_ones_highest_probability(handmade: Path) -> None:
    result = found(runner(handmade, {"segmentation": _graded}), scan_of(_sloped()))
    assert result.slices.axis == 0
    assert result.slices.probability == (0, 0.1, 0.25, 0.9, 1, 0.125)


def test_slices_are_counted_along_the_stored_axis(handmade: Path) -> None:
    core = runner(handmade, {"segmentation": _graded})
    upside_down = found(
        core, scan_of(_sloped()[::-1].copy(), direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))
    )
    assert (upside_down.slices.axis, upside_down.slices.probability[1]) == (0, 1)
    sagittal = np.ascontiguousarray(_sloped().transpose(2, 1, 0))  # columns run to the head
    result = found(core, scan_of(sagittal, direction=(0, 0, 1, 0, 1, 0, 1, 0, 0)))
    assert result.slices.axis == 2
    assert result.slices.probability == (0, 0.1, 0.25, 0.9, 1, 0.125)


def test_slices_are_those_of_the_lung_region(tmp_path: Path) -> None:
    phantom = generate(3, shape_irc=(24, 96, 96), spacing_xyz_mm=(3.5, 3.5, 10.0))
    bundle = write_handmade(tmp_path / "b")
    scan = scan_of(phantom.hu, phantom.spacing_mm, phantom.origin_mm, phantom.direction)

    def everywhere(batch: FloatArray) -> list[FloatArray]:
        return [((batch[:, 3:4] + 1000) / 2000).astype(np.float32)]

    result = found(runner(bundle, {"segmentation": everywhere}, region="lungs"), scan)
    hu = np.clip(phantom.hu.astype(np.float32), -1000, 1000)
    expected = np.where(result.region, (hu + 1000) / 2000, 0).max(axis=(1, 2))
    np.testing.assert_allclose(result.slices.probability, expected, atol=1e-6)
    assert 0 in result.slices.probability


# --- the same scan -------------------------------------------------------------------------------


def _other(**changes: Any) -> _core.Scan:
    return block_results.scan(**changes)


def _one_voxel() -> np.ndarray:
    hu = block_results.blocks()
    hu[0, 0, 0] += 1
    return hu


_TILTED = (1, 0, 0, 0, np.cos(0.01), -np.sin(0.01), 0, np.sin(0.01), np.cos(0.01))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hu": np.zeros((12, 20, 31), np.int16)}, "shape is 12x20x32 in the result and 12x20x31"),
        ({"spacing": (0.7, 0.8, 1.51)}, r"the spacing is \(0.7, 0.8, 1.5\) in the result"),
        ({"origin": (-150.25, 12.5, -299.75)}, "the origin is"),
        ({"direction": _TILTED}, "the direction is"),
        ({"series_uid": "1.2.3.4"}, 'UID is .1.2.840.113619.2.5.1. in the result and .1.2.3.4.'),
        ({"hu": _one_voxel()}, "the checksum of the voxels is"),
        ({"path": "x.mhd", "origin": (0, 0, 0), "series_uid": "1.2"}, r"x.mhd: the origin.*; the"),
    ],
    ids=["shape", "spacing", "origin", "direction", "uid", "voxels", "several"],
)  # fmt: skip
def test_another_scan_is_refused(changes: dict[str, Any], said: str, fresh: Result) -> None:
    with pytest.raises(UsageError, match=said):
        require_same_scan(fresh, _other(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"series_uid": ""},
        {"hu": block_results.blocks().astype(np.float32)},
        {"origin": tuple(float(np.float32(v + 1e-3)) for v in block_results.ORIGIN)},
        {"spacing": tuple(float(np.float32(v)) for v in block_results.SPACING)},
        {"direction": tuple(np.array(IDENTITY) + 1e-6)},
    ],
    ids=["equal", "unknown UID", "another type", "origin", "spacing", "direction"],
)
def test_the_same_scan_in_another_format_is_accepted(
    changes: dict[str, Any], fresh: Result, tmp_path: Path
) -> None:
    for one in (fresh, Result.load(_kept(tmp_path, fresh.to_json()))):
        require_same_scan(one, _other(**changes))
