"""``luna-convert`` and the writers behind it: CSV, JSON Lines, Slicer's markups, NIfTI."""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

import block_results
import numpy as np
import program
import pytest
import SimpleITK as sitk  # noqa: N813
from handmade import IDENTITY, runner, scan_of, write_handmade
from lunart import Result, _core
from lunart.convert.cli import main
from lunart.errors import UsageError
from lunart.result import load_results
from scipy.spatial.transform import Rotation

OBLIQUE = Rotation.from_euler("zyx", [17, -11, 8], degrees=True).as_matrix()


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return block_results.stored(tmp_path)


def _run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def _refused(code: int, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert _run(*arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("luna-convert: error: ")
    return said.err


# --- refused -------------------------------------------------------------------------------------


def test_a_result_that_is_missing_or_none_is_8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text("{}")
    for name, said in (("none.json", "No such file"), ("bad.json", "schema is missing")):
        error = _refused(8, capsys, tmp_path / name, "-o", tmp_path / "x.csv")
        assert name in error
        assert said in error
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("name", ["x", "x.txt", "x.json", "x.gz", "x.MHA", ".nii.gz"])
def test_an_unknown_format_is_2_and_lists_the_known(
    name: str, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ".mrk.json" in _refused(2, capsys, stored, "-o", stored.parent / name)


@pytest.mark.parametrize("name", ["x.mrk.json", "x.nii.gz", "x.mha"])
def test_one_result_is_all_that_some_formats_hold(
    name: str, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = _refused(2, capsys, stored, stored, "-o", stored.parent / name)
    assert "holds one result, not 2" in error


def test_the_result_itself_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = block_results.stored(tmp_path, "result.jsonl")
    before = path.read_bytes()
    assert "the result itself" in _refused(2, capsys, path, "-o", path)
    assert path.read_bytes() == before


def test_the_scan_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ct = tmp_path / "ct.mha"
    _core.write_metaimage(
        ct, block_results.blocks(), block_results.SPACING, block_results.ORIGIN, IDENTITY
    )
    before = ct.read_bytes()
    path = block_results.stored(tmp_path, of=block_results.scan(path=str(ct)))
    assert "overwrite the scan" in _refused(2, capsys, path, "-o", ct)
    assert ct.read_bytes() == before


def test_a_folder_that_is_not_there_is_7(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist" in _refused(7, capsys, stored, "-o", stored.parent / "no" / "x.csv")


def test_candidates_that_were_not_stored_cannot_be_listed(tmp_path: Path) -> None:
    short = block_results.result(tmp_path).without_candidates()
    path = tmp_path / "short.json"
    path.write_text(short.to_json())
    (core,) = _core.read_results(path)
    for write in (core.to_json, core.to_csv, core.to_markups, core.label_mask):
        with pytest.raises(UsageError, match="--all-candidates"):
            write(True)


# --- tables --------------------------------------------------------------------------------------


def test_csv_is_the_programs_and_joins_several(stored: Path, tmp_path: Path) -> None:
    other = block_results.stored(tmp_path, "b.json", block_results.scan(series_uid="1.2.3"))
    assert _run(stored, other, "-o", tmp_path / "x.csv") == 0
    first, second = load_results(stored)[0], load_results(other)[0]
    header, *rows = first.to_csv().splitlines()
    text = (tmp_path / "x.csv").read_text()
    assert text.splitlines() == [header, *rows, *second.to_csv().splitlines()[1:]]
    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["seriesuid"] for row in table] == [block_results.UID] * 3 + ["1.2.3"] * 3
    assert list(table[0]) == ["seriesuid", "coordX", "coordY", "coordZ", "probability"]


def test_json_lines_are_results_again(stored: Path, tmp_path: Path) -> None:
    lines = tmp_path / "x.jsonl"
    assert _run(stored, stored, "-o", lines) == 0
    assert lines.read_text().count("\n") == 2
    assert [json.loads(line) for line in lines.read_text().splitlines()] == [
        Result.load(stored).to_dict()
    ] * 2
    assert _run(lines, stored, "-o", tmp_path / "y.jsonl") == 0
    assert len(load_results(tmp_path / "y.jsonl")) == 3


def test_nodules_alone_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_handmade(tmp_path / "b", erosion=0)
    core = runner(bundle, threshold=1.0).run_scan(block_results.scan(), None)
    path = tmp_path / "r.json"
    path.write_text(core.to_json(True))
    assert _run(path, "-o", tmp_path / "x.csv") == 0
    assert "3 candidates of 1 result" in capsys.readouterr().out
    assert _run(path, "--nodules", "-o", tmp_path / "x.csv") == 0
    assert "0 nodules of 1 result" in capsys.readouterr().out
    assert (tmp_path / "x.csv").read_text() == "seriesuid,coordX,coordY,coordZ,probability\n"


# --- markups -------------------------------------------------------------------------------------


def test_markups_are_points_in_lps(stored: Path, tmp_path: Path) -> None:
    assert _run(stored, "-o", tmp_path / "x.mrk.json") == 0
    text = json.loads((tmp_path / "x.mrk.json").read_text())
    assert text["@schema"].endswith("markups-schema-v1.0.3.json#")
    (markup,) = text["markups"]
    assert (markup["type"], markup["coordinateSystem"], markup["coordinateUnits"]) == (
        "Fiducial", "LPS", "mm",
    )  # fmt: skip
    for point, finding in zip(
        markup["controlPoints"], Result.load(stored).candidates or (), strict=True
    ):
        assert point["position"] == list(finding.center_xyz_mm)
        assert point["positionStatus"] == "defined"
        assert point["label"].startswith(f"{finding.label}: {finding.diameter_mm:.1f} mm")
        assert "nodule probability 1.000" in point["description"]
        assert f"diameter {finding.diameter_mm:.1f} mm" in point["description"]


# --- masks ---------------------------------------------------------------------------------------


def _same_geometry(image: sitk.Image, result: Result, atol: float) -> None:
    np.testing.assert_allclose(image.GetSpacing(), result.scan.spacing_mm, atol=atol)
    np.testing.assert_allclose(image.GetOrigin(), result.scan.origin_mm, atol=100 * atol)
    np.testing.assert_allclose(image.GetDirection(), result.scan.direction, atol=atol)


_WAYS = [
    np.eye(3)[:, order] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def _turned_result(tmp_path: Path, direction: np.ndarray) -> Result:
    scan = block_results.scan(direction=tuple(direction.ravel()))
    return block_results.result(tmp_path, scan)


def test_nifti_is_what_simpleitk_reads_in_every_direction(tmp_path: Path) -> None:
    for turn, way in itertools.product((np.eye(3), OBLIQUE), _WAYS):
        result = _turned_result(tmp_path, turn @ way)
        path = tmp_path / "mask.nii"
        result.write_mask(str(path))
        image = sitk.ReadImage(str(path))
        _same_geometry(image, result, 1e-6)
        np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), result.mask)


@pytest.mark.parametrize("form", ["sform", "qform"])
def test_either_form_of_nifti_alone_says_where_it_is(form: str, tmp_path: Path) -> None:
    for way in (*_WAYS, OBLIQUE):
        result = _turned_result(tmp_path, way)
        path = tmp_path / "mask.nii"
        result.write_mask(str(path))
        content = bytearray(path.read_bytes())
        at = 252 if form == "sform" else 254  # the other one's code
        content[at : at + 2] = b"\0\0"
        path.write_bytes(content)
        _same_geometry(sitk.ReadImage(str(path)), result, 2e-6)


def test_nifti_gz_alone_from_a_result_is_the_programs_mask(stored: Path, tmp_path: Path) -> None:
    for name in ("x.nii.gz", "x.nii", "x.mhd", "x.mha"):
        assert _run(stored, "-o", tmp_path / name) == 0
        image = sitk.ReadImage(str(tmp_path / name))
        result = Result.load(stored)
        _same_geometry(image, result, 1e-6)
        np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), result.mask)
    again = (tmp_path / "x.nii.gz").read_bytes()
    assert _run(stored, "-o", tmp_path / "x.nii.gz") == 0
    assert (tmp_path / "x.nii.gz").read_bytes() == again


def test_a_sheared_scan_keeps_its_sform(tmp_path: Path) -> None:
    """Right angles are what a qform needs; a tilted gantry's slices have none."""
    sheared = np.array([[1, 0, 0], [0, 1, 0.2], [0, 0, np.sqrt(1 - 0.04)]])
    result = _turned_result(tmp_path, sheared)
    path = tmp_path / "mask.nii"
    result.write_mask(str(path))
    header = path.read_bytes()[:352]
    qform, sform = np.frombuffer(header, "<i2", 2, 252)
    assert (qform, sform) == (0, 1)
    rows = np.frombuffer(header, "<f4", 12, 280).reshape(3, 4)
    lps = np.diag([-1, -1, 1]) @ rows[:, :3]
    np.testing.assert_allclose(lps, sheared * result.scan.spacing_mm, atol=1e-6)
    np.testing.assert_allclose(rows[:, 3] * [-1, -1, 1], result.scan.origin_mm, rtol=1e-6)


def test_a_side_too_long_for_nifti_is_refused(tmp_path: Path) -> None:
    bundle = write_handmade(tmp_path / "b", erosion=0)
    core = runner(bundle, region="lungs").run_scan(scan_of(np.zeros((1, 2, 32768), np.int16)), None)
    with pytest.raises(UsageError, match=r"32768; write \.mha"):
        core.write_label_mask(tmp_path / "x.nii", False)
    assert not (tmp_path / "x.nii").exists()


def test_the_runner_writes_them_too(bundle: Path, small_scan: Path, tmp_path: Path) -> None:
    from lunart import Runner

    names: dict[str, Any] = {
        "mask": tmp_path / "m.nii.gz",
        "region_mask": tmp_path / "r.nii",
        "markups": tmp_path / "m.mrk.json",
        "json": tmp_path / "r.jsonl",
    }
    result = Runner(bundle, engine="torchscript-trace", threads=1, **names)(small_scan)
    assert names["json"].read_text().count("\n") == 1
    assert Result.load(names["json"]).to_json() == result.to_json()
    assert names["markups"].read_text() == result.to_markups() + "\n"
    for name in ("mask", "region_mask"):
        _same_geometry(sitk.ReadImage(str(names[name])), result, 1e-6)


def test_markups_have_slicers_name(bundle: Path, small_scan: Path, tmp_path: Path) -> None:
    from lunart import Runner

    with pytest.raises(UsageError, match=r"must end in .mrk.json"):
        Runner(bundle, markups=tmp_path / "m.json")(small_scan)


# --- the program ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{scan}", "--markups", "{out}/x.json"], "must end in .mrk.json"),
        (["{scan}", "--markups", ""], "--markups has no file name"),
        (["{scan}", "{scan}", "--markups", "{out}/x.mrk.json"], "take one scan, not 2"),
        (["{scan}", "--info", "--markups", "{out}/x.mrk.json"], "need an inference"),
        (["{scan}", "--mask", "{out}/x.nii.bz2"], ".nii or .nii.gz"),
        (["{scan}", "--mask", "{out}/x.nii", "--region-mask", "{out}/x.nii"], "the same file"),
    ],
)
def test_outputs_that_make_no_sense_are_2(
    arguments: list[str], said: str, bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    filled = [one.format(scan=small_scan, out=tmp_path) for one in arguments]
    assert said in program.refused(2, *filled, "--bundle", bundle)
    assert list(tmp_path.iterdir()) == []


def test_the_program_writes_what_luna_convert_does(
    bundle: Path, phantom_scan: Path, tmp_path: Path
) -> None:
    """Of a scan that lies turned about the body's axis."""
    kinds = {"--mask": "m.nii.gz", "--csv": "m.csv", "--markups": "m.mrk.json", "--json": "m.jsonl"}
    outputs = [part for kind, name in kinds.items() for part in (kind, tmp_path / name)]
    done = program.run(
        phantom_scan,
        "--bundle",
        bundle,
        "--all-candidates",
        "--engine",
        "torchscript-trace",
        *outputs,
    )
    assert done.returncode == 0, done.stderr
    (result,) = load_results(tmp_path / "m.jsonl")
    assert len(result.nodules) > 0
    again = tmp_path / "again"
    again.mkdir()
    for name in kinds.values():
        assert _run(tmp_path / "m.jsonl", "-o", again / name) == 0
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()
    image = sitk.ReadImage(str(tmp_path / "m.nii.gz"))
    _same_geometry(image, result, 1e-6)
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), result.mask)
    for finding in result.nodules:
        centre = image.TransformPhysicalPointToIndex(finding.center_xyz_mm)
        assert image[centre] == finding.label
