"""The generated CT: reproducible, true to its tables, readable as LUNA16, and honest in failure."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from lunart.errors import OutputError, UsageError
from lunart.phantom import KINDS, Phantom, generate, write
from lunart.phantom.cli import main

TINY = (28, 112, 112)
# A turn by 20 degrees about z, then a tilt by 10 degrees about x: no axis is its own inverse.
OBLIQUE = tuple(
    (
        np.array([[1, 0, 0], [0, np.cos(0.17), -np.sin(0.17)], [0, np.sin(0.17), np.cos(0.17)]])
        @ np.array([[np.cos(0.35), -np.sin(0.35), 0], [np.sin(0.35), np.cos(0.35), 0], [0, 0, 1]])
    ).ravel()
)


@pytest.fixture(scope="module")
def tiny() -> Phantom:
    return generate(3, shape_irc=TINY)


@pytest.fixture(scope="module")
def middling() -> Phantom:
    return generate(11, shape_irc=(60, 200, 220), nodule_count=8)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1, "shape_irc": (28, 112)}, "shape"),
        ({"seed": 1, "shape_irc": (28, 112, 3)}, "(28, 112, 3)"),
        ({"seed": 1, "spacing_xyz_mm": (1.0, 0.0, 1.0)}, "spacing"),
        ({"seed": 1, "spacing_xyz_mm": (1.0, float("nan"), 1.0)}, "nan"),
        ({"seed": 1, "nodule_count": 256}, "256"),
        ({"seed": 1, "direction": (1.0,) * 9}, "direction"),
        ({"seed": 1, "direction": (-1.0, 0, 0, 0, 1, 0, 0, 0, 1)}, "rotation"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(").replace(")", r"\)")):
        generate(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["out"],
        ["out", "--seed", "x"],
        ["out", "--seed", "1", "--count", "0"],
        ["out", "--seed", "1", "--shape", "2", "2", "2"],
        ["out", "--seed", "1", "--spacing", "-1", "1", "1"],
        ["out", "--seed", "1", "--nodules", "-3"],
        ["out", "--seed", "1", "--colour"],
    ],
)
def test_bad_usage_exits_2_with_one_line_and_no_output(
    argv: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("luna-phantom: error: ")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_exits_7(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    argv = [str(tmp_path / "taken"), "--seed", "1", "--shape", "8", "32", "32"]
    assert main(argv) == 7
    assert "taken" in capsys.readouterr().err


@pytest.mark.parametrize("blocked", ["annotations.csv", "phantoms.csv"])
def test_a_failed_write_leaves_neither_a_scan_nor_scraps(
    tiny: Phantom, tmp_path: Path, blocked: str
) -> None:
    (tmp_path / blocked).mkdir()
    with pytest.raises(OutputError, match=blocked):
        write(tiny, tmp_path)
    assert list((tmp_path / "subset0").iterdir()) == []
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_seed_gives_the_same_bytes(tiny: Phantom, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(tiny, first)
    write(generate(3, shape_irc=TINY), second)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 4
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_other_seeds_and_other_arguments_give_other_scans(tiny: Phantom) -> None:
    other = generate(4, shape_irc=TINY)
    fewer = generate(3, shape_irc=TINY, nodule_count=0)
    assert len({tiny.series_uid, other.series_uid, fewer.series_uid}) == 3
    assert not np.array_equal(tiny.hu, other.hu)
    assert fewer.nodules == ()
    assert not fewer.labels.any()


def test_a_spacing_that_is_given_equals_the_same_spacing_chosen(tiny: Phantom) -> None:
    again = generate(3, shape_irc=TINY, spacing_xyz_mm=tiny.spacing_mm)
    assert np.array_equal(again.hu, tiny.hu)
    assert again.series_uid == tiny.series_uid


def test_it_looks_like_a_chest(middling: Phantom) -> None:
    hu = middling.hu
    assert hu.dtype == np.int16
    assert hu.min() >= -1024
    i, r, c = (n // 2 for n in hu.shape)
    assert np.median(hu[:, :3, :3]) < -950, "air in the corners"
    voxel_litre = np.prod(middling.spacing_mm) * 1e-6
    lung = ((hu > -950) & (hu < -700)).sum() * voxel_litre
    assert 2 < lung < 8, "litres of lung"
    assert (hu > 300).sum() * voxel_litre > 0.1, "bone"
    # A lung to either side of the middle, with the mediastinum between them.
    row = hu[i, r - 8 : r + 8].astype(float).mean(axis=0)
    assert row[c // 2] < -700
    assert row[c + c // 2] < -700
    assert row[c - 6 : c + 6].mean() > -150
    # The lungs taper: less air at either end than in the middle.
    air = ((hu > -950) & (hu < -700)).sum(axis=(1, 2))
    assert air[1] < 0.4 * air[i]
    assert air[-6] < 0.6 * air[i]


def test_nodules_are_where_and_what_the_truth_says(middling: Phantom) -> None:
    assert len(middling.nodules) == 8
    assert middling.labels.max() == 8
    voxel = float(np.prod(middling.spacing_mm))
    step = np.array(middling.spacing_mm[::-1])
    for label, nodule in enumerate(middling.nodules, start=1):
        assert nodule.kind in KINDS
        assert 3 <= nodule.diameter_mm <= 25
        where = np.argwhere(middling.labels == label)
        away = np.linalg.norm((where - nodule.center_irc) * step, axis=1)
        assert away.max() < 0.75 * nodule.diameter_mm + max(step)
        assert np.linalg.norm((where.mean(axis=0) - nodule.center_irc) * step) < (
            0.25 * nodule.diameter_mm + 0.5 * max(step)
        )
        sphere = np.pi / 6 * nodule.diameter_mm**3
        assert 0.4 * sphere < len(where) * voxel < 1.6 * sphere + 6 * voxel
        inside = middling.hu[middling.labels == label].mean()
        faint = nodule.kind in ("ground-glass", "part-solid")
        assert inside > (-720 if faint else -500)


def test_sizes_and_kinds_span_what_readers_meet() -> None:
    nodules = [
        nodule
        for seed in range(4)
        for nodule in generate(seed, nodule_count=20, shape_irc=(40, 144, 144)).nodules
    ]
    assert {nodule.kind for nodule in nodules} == set(KINDS)
    diameters = [nodule.diameter_mm for nodule in nodules]
    assert min(diameters) < 8
    assert max(diameters) > 18


@pytest.mark.parametrize("direction", [None, OBLIQUE])
def test_simpleitk_finds_each_nodule_at_its_annotation(
    tmp_path: Path, direction: tuple[float, ...] | None
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    phantom = generate(21, shape_irc=(40, 160, 176), nodule_count=5, direction=direction)
    path = write(phantom, tmp_path)
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkInt16
    assert np.allclose(image.GetDirection(), phantom.direction)
    assert np.allclose(image.GetOrigin(), phantom.origin_mm)
    assert np.allclose(image.GetSpacing(), phantom.spacing_mm)
    hu = sitk.GetArrayFromImage(image)
    assert np.array_equal(hu, phantom.hu)
    annotations = rows(tmp_path / "annotations.csv")
    assert len(annotations) == len(phantom.nodules) > 0
    for row, nodule in zip(annotations, phantom.nodules, strict=True):
        assert row["seriesuid"] == path.stem == phantom.series_uid
        xyz = [float(row[f"coord{axis}"]) for axis in "XYZ"]
        index = image.TransformPhysicalPointToContinuousIndex(xyz)[::-1]
        assert np.allclose(index, nodule.center_irc, atol=1e-4)
        assert float(row["diameter_mm"]) == pytest.approx(nodule.diameter_mm, abs=1e-5)
        i, r, c = (round(v) for v in index)
        assert hu[i, r, c] > -700
        assert phantom.labels[i, r, c] > 0


def test_headers_and_tables_are_luna16s(tiny: Phantom, tmp_path: Path) -> None:
    path = write(tiny, tmp_path)
    assert path == tmp_path / "subset0" / f"{tiny.series_uid}.mhd"
    assert path.stem.startswith("2.25.")
    assert len(path.stem) <= 64
    fields = dict(line.split(" = ") for line in path.read_text().splitlines())
    assert fields["ElementType"] == "MET_SHORT"
    assert fields["BinaryDataByteOrderMSB"] == "False"
    assert fields["TransformMatrix"] == "1 0 0 0 1 0 0 0 1"
    assert fields["DimSize"] == "112 112 28"
    assert fields["ElementDataFile"] == f"{path.stem}.raw"
    assert path.with_suffix(".raw").stat().st_size == 2 * tiny.hu.size
    first = (tmp_path / "annotations.csv").read_text().splitlines()[0]
    assert first == "seriesuid,coordX,coordY,coordZ,diameter_mm"
    kinds = [row["kind"] for row in rows(tmp_path / "phantoms.csv")]
    assert kinds == [nodule.kind for nodule in tiny.nodules]


def test_tables_gather_series_and_repeat_none(tiny: Phantom, tmp_path: Path) -> None:
    other = generate(4, shape_irc=TINY)
    for phantom in (tiny, other, tiny):
        write(phantom, tmp_path)
    for table in ("annotations.csv", "phantoms.csv"):
        found = [row["seriesuid"] for row in rows(tmp_path / table)]
        assert found == [other.series_uid] * len(other.nodules) + (
            [tiny.series_uid] * len(tiny.nodules)
        )


@pytest.mark.parametrize(
    ("shape_irc", "spacing_xyz_mm"),
    [
        ((8, 96, 128), None),
        ((12, 160, 128), (1.5, 1.5, 2.5)),
        ((64, 48, 64), (5.0, 5.0, 4.0)),
        ((9, 512, 512), (0.7, 0.7, 1.25)),
    ],
)
def test_other_shapes_and_spacings_work(
    shape_irc: tuple[int, int, int], spacing_xyz_mm: tuple[float, float, float] | None
) -> None:
    phantom = generate(5, shape_irc=shape_irc, spacing_xyz_mm=spacing_xyz_mm)
    assert phantom.hu.shape == phantom.labels.shape == shape_irc
    if spacing_xyz_mm:
        assert phantom.spacing_mm == spacing_xyz_mm
    for nodule in phantom.nodules:
        assert all(0 <= v < n for v, n in zip(nodule.center_irc, shape_irc, strict=True))


def test_tiny_scans_still_show_nodules() -> None:
    for seed in range(4):
        phantom = generate(seed, shape_irc=(28, 104, 104))
        assert 1 <= len(phantom.nodules) <= 8
        assert (phantom.labels > 0).sum() >= len(phantom.nodules)


def test_the_program_writes_scans_and_describes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(tmp_path), "--seed", "8", "--count", "2", "--shape", "24", "96", "96", "--json"]
    assert main(argv) == 0
    captured = capsys.readouterr()
    described = json.loads(captured.out)
    assert [scan["seed"] for scan in described] == [8, 9]
    assert all(Path(scan["path"]).is_file() for scan in described)
    assert len(rows(tmp_path / "annotations.csv")) == sum(len(s["nodules"]) for s in described)
    assert "2/2" in captured.err
