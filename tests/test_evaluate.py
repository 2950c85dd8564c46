"""``luna-evaluate``: a bundle on phantoms, labels, files of candidates, and users' mistakes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import handmade_images
import jsonschema
import numpy as np
import pytest
import SimpleITK
from luna_folder import ANNOTATIONS, IDENTITY, box_scan, phantoms, write_table
from lunart import Runner, _core
from lunart.data.split import Split
from lunart.evaluation import infer
from lunart.evaluation.cli import main
from lunart.evaluation.store import Origin, Store
from lunart.phantom import generate

__all__ = ["phantoms"]

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "evaluation.schema.json").read_text())
MARKS = "seriesuid,coordX,coordY,coordZ,probability"
FAST = ("--engine", "torchscript-trace", "--threads", "1", "--bootstrap", "20")


def evaluated(capsys, *arguments):
    """The report of a run that must succeed."""
    assert main([*map(str, arguments), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    jsonschema.validate(report, SCHEMA)
    assert "Traceback" not in err
    return report


def refused(capsys, code, *arguments):
    """The error of a run that must fail: one, without a traceback."""
    assert main([*map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    errors = [line for line in err.splitlines() if line.startswith("luna-evaluate: error: ")]
    assert len(errors) == 1, err
    assert not out
    return errors[0]


def tables(folder: Path, *, nodules=(), excluded=None, series=("1.1", "1.2")) -> Path:
    """A folder of tables alone: rows are (uid, x, diameter)."""
    folder.mkdir(exist_ok=True)
    write_table(
        folder / "annotations.csv", ANNOTATIONS, [(uid, x, 0, 0, d) for uid, x, d in nodules]
    )
    if excluded is not None:
        rows = [(uid, x, 0, 0, d) for uid, x, d in excluded]
        write_table(folder / "annotations_excluded.csv", ANNOTATIONS, rows)
    (folder / "seriesuids.csv").write_text("\n".join(series) + "\n")
    return folder


def submission(folder: Path, *marks) -> Path:
    """A file of candidates: (uid, x, probability)."""
    rows = [(uid, x, 0, 0, p) for uid, x, p in marks]
    return write_table(folder / "found.csv", MARKS, rows)


# A bundle on scans


@pytest.fixture(scope="module")
def evaluation(bundle, phantoms, tmp_path_factory):
    """The report over four phantoms, with what was kept and drawn."""
    folder = tmp_path_factory.mktemp("evaluation")
    split = folder / "split.json"
    uids = sorted(path.stem for path in phantoms.glob("subset0/*.mhd"))
    Split(train=tuple(uids[:1]), validation=tuple(uids[1:])).write(split)
    done = main([
        *map(str, (bundle, phantoms, "--split", split, "--part", "all", *FAST)),
        *map(str, ("--results", folder / "kept", "--plots", folder / "plots")),
        *map(str, ("--json", folder / "report.json")),
    ])  # fmt: skip
    assert done == 0
    return folder


def test_a_bundle_is_measured_on_phantoms(evaluation, phantoms):
    report = json.loads((evaluation / "report.json").read_text())
    jsonschema.validate(report, SCHEMA)
    annotated = (phantoms / "annotations.csv").read_text().splitlines()[1:]
    assert report["data"]["scans"] == 4
    assert report["data"]["nodules"] == len(annotated) == 16
    assert sum(len(scan["nodules"]) for scan in report["scans"]) == 16
    assert sum(scan["found"] for scan in report["scans"]) == report["operating_point"]["found"]
    assert report["froc"]["curve"]["threshold"][0] is None
    assert report["segmentation"]["segmented"]["voxels"]["theirs"] > 0
    assert report["malignancy"]["nodules"] == 0, "nobody rated phantoms"
    assert report["of"]["region"] == "lungs"
    assert {scan["reference"] for scan in report["scans"]} == {"annotations"}


def test_the_report_is_what_the_runner_finds(evaluation, bundle, phantoms):
    report = json.loads((evaluation / "report.json").read_text())
    scan = report["scans"][0]
    runner = Runner(bundle, engine="torchscript-trace", threads=1, progress="none")
    result = runner(phantoms / "subset0" / f"{scan['series_uid']}.mhd")
    assert scan["candidates"] == result.candidate_count
    centers = np.array([nodule.center_xyz_mm for nodule in result.nodules]).reshape(-1, 3)
    for nodule in scan["nodules"]:
        distances = np.linalg.norm(centers - nodule["center_xyz_mm"], axis=1)
        assert nodule["found"] == bool((distances < nodule["diameter_mm"] / 2).any())


def test_pictures_are_png(evaluation):
    names = {path.name for path in (evaluation / "plots").iterdir()}
    assert names >= {"froc.png", "confusion.png", "reliability.png"}
    for name in names:
        content = (evaluation / "plots" / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5000


@pytest.fixture
def kept(evaluation, tmp_path):
    """A copy of what an evaluation kept."""
    shutil.copytree(evaluation / "kept", tmp_path / "kept")
    return tmp_path / "kept"


def _again(capsys, monkeypatch, bundle, phantoms, kept, *more):
    """The report of a rerun, and how many scans it inferred."""
    inferred = []
    infer_once = infer.Inference._infer

    def counted(self, case):
        inferred.append(case)
        return infer_once(self, case)

    monkeypatch.setattr(infer.Inference, "_infer", counted)
    report = evaluated(capsys, bundle, phantoms, *FAST, "--results", kept, *more)
    return report, len(inferred)


def test_a_rerun_infers_nothing_and_says_the_same(
    evaluation, bundle, phantoms, kept, capsys, monkeypatch
):
    report, inferred = _again(capsys, monkeypatch, bundle, phantoms, kept)
    assert inferred == 0
    first = json.loads((evaluation / "report.json").read_text())
    for measure in ("operating_point", "segmentation", "book_confusion", "candidates"):
        assert report[measure] == first[measure]
    assert report["froc"]["curve"] == first["froc"]["curve"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000, b'{"schema": "lunart.evaluated-scan/1"}'],
)
def test_a_damaged_file_of_a_kept_scan_is_not_taken(damage, kept, caplog):
    path = min(kept.glob("*/*.json"))
    origin = Origin(**json.loads(path.read_text())["from"])
    store = Store(path.parent)
    assert store.find(path.stem, origin) is not None
    assert store.find(path.stem, replace(origin, region="off")) is None
    assert store.find("9.9", origin) is None
    assert not caplog.records, "another run's file and none are no damage"
    path.write_bytes(damage)
    assert store.find(path.stem, origin) is None
    assert str(path) in caplog.text


def test_a_damaged_scan_is_inferred_again(bundle, phantoms, kept, capsys, monkeypatch):
    path = sorted(kept.glob("*/*.json"))[1]
    content = json.loads(path.read_text())
    path.write_text(path.read_text()[:-100])
    _, inferred = _again(capsys, monkeypatch, bundle, phantoms, kept)
    assert inferred == 1
    again = json.loads(path.read_text())
    assert again["result"]["candidates"] == content["result"]["candidates"]


def test_a_changed_scan_and_changed_truth_are_inferred_again(
    bundle, phantoms, kept, tmp_path, capsys, monkeypatch
):
    data = tmp_path / "data"
    shutil.copytree(phantoms, data)
    first, second, *_ = sorted(data.glob("subset0/*.mhd"))
    raw = np.fromfile(first.with_suffix(".raw"), "<i2")
    raw[-1] += 1
    raw.tofile(first.with_suffix(".raw"))
    rows = (data / "annotations.csv").read_text().splitlines()
    drop = next(row for row in rows if row.startswith(second.stem))
    (data / "annotations.csv").write_text("\n".join(row for row in rows if row != drop) + "\n")
    report, inferred = _again(capsys, monkeypatch, bundle, data, kept)
    assert inferred == 2
    assert report["data"]["nodules"] == 15


def test_two_bundles_are_compared(bundle, phantoms, kept, capsys):
    """Whole slices against the lung region, of one bundle."""
    series = kept.parent / "series.csv"
    uid = min(path.stem for path in phantoms.glob("subset0/*.mhd"))
    series.write_text(f"{uid}\n")
    report = evaluated(
        capsys, bundle, phantoms, *FAST, "--results", kept, "--series", series,
        "--against", bundle, "--against-region", "off", "--plots", kept.parent / "plots",
    )  # fmt: skip
    assert report["against"]["of"]["region"] == "off"
    [scan] = report["comparison"]["scans"]
    assert scan["found"] == [report["scans"][0]["found"], report["against"]["scans"][0]["found"]]
    assert len(list(kept.iterdir())) == 2, "each way of running has its own folder"
    assert (kept.parent / "plots" / "froc.png").exists()


def test_text_names_every_scan(evaluation, bundle, phantoms, kept, capsys):
    assert main([*map(str, (bundle, phantoms, *FAST, "--results", kept))]) == 0
    out, err = capsys.readouterr()
    assert err.count("kept from before") == 4
    for path in phantoms.glob("subset0/*.mhd"):
        assert path.stem[-16:] in out
    for word in ("CPM", "LUNA16's rule", "0.7 diameters", "false calls", "Dice"):
        assert word in out


def test_a_bundle_against_itself_is_refused(bundle, phantoms, capsys):
    assert "with itself" in refused(capsys, 2, bundle, phantoms, "--against", bundle)


def test_a_missing_bundle_is_4(phantoms, tmp_path, capsys):
    assert str(tmp_path / "none") in refused(capsys, 4, tmp_path / "none", phantoms)


def test_a_bundle_of_images_is_refused(phantoms, tmp_path, capsys):
    images = handmade_images.write_bundle(tmp_path / "images")
    assert "lunart.Classifier" in refused(capsys, 2, images, phantoms)


def test_a_part_without_a_scan_names_the_series(bundle, phantoms, tmp_path, capsys):
    split = tmp_path / "split.json"
    Split(train=(), validation=("1.2.3",)).write(split)
    error = refused(capsys, 8, bundle, phantoms, "--split", split)
    assert "1.2.3" in error
    assert "no scan in subset0" in error


def test_an_empty_part_is_named(bundle, phantoms, tmp_path, capsys):
    split = tmp_path / "split.json"
    Split(train=("1.2.3",), validation=()).write(split)
    error = refused(capsys, 8, bundle, phantoms, "--split", split, "--part", "test")
    assert "part test is empty" in error


def test_a_scan_that_cannot_be_read_ends_before_any_inference(bundle, tmp_path, capsys):
    data = tables(tmp_path / "data")
    box_scan(data, "1.1")
    (data / "subset0" / "1.2.mhd").write_text("ObjectType = Image\n")
    error = refused(capsys, 3, bundle, data, "--results", tmp_path / "kept")
    assert "1.2.mhd" in error


def test_votes_of_another_scan_are_refused(bundle, tmp_path, capsys):
    data = tables(tmp_path / "data", nodules=[("1.1", 0, 8)])
    box_scan(data, "1.1", shape=(8, 40, 40))
    (data / "votes").mkdir()
    votes = np.zeros((8, 40, 41), np.uint8)
    path = data / "votes" / "1.1_votes.mhd"
    _core.write_metaimage(path, votes, (0.7, 0.8, 2.0), (0.0, 0.0, 0.0), IDENTITY)
    assert "1.1_votes.mhd" in refused(capsys, 8, bundle, data, *FAST)


# Scans with labels


@pytest.fixture
def labelled(tmp_path):
    """A phantom stored upside down as NRRD, with a label of two of its nodules and a corner."""
    phantom = generate(31, shape_irc=(32, 112, 112), nodule_count=4)
    label = np.zeros(phantom.hu.shape, np.uint8)
    columns_rows_slices = np.moveaxis(np.indices(label.shape), 0, -1)[..., ::-1]
    steps = columns_rows_slices * phantom.spacing_mm
    places = steps @ np.reshape(phantom.direction, (3, 3)).T + phantom.origin_mm
    nodules = sorted(phantom.nodules, key=lambda nodule: -nodule.diameter_mm)[:2]
    for nodule in nodules:
        away = np.linalg.norm(places - nodule.center_xyz_mm, axis=-1)
        label[away < nodule.diameter_mm / 2] = 1
    paths = []
    for name, array in (("ct", phantom.hu), ("label", label)):
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(phantom.spacing_mm)
        image.SetOrigin(phantom.origin_mm)
        image.SetDirection(phantom.direction)
        paths.append(tmp_path / f"{name}.nrrd")
        SimpleITK.WriteImage(SimpleITK.Flip(image, (False, False, True)), str(paths[-1]))
    return *paths, nodules


def test_each_component_of_a_label_is_a_nodule(bundle, labelled, capsys):
    scan, label, nodules = labelled
    report = evaluated(capsys, bundle, "--scan", scan, "--label", label, *FAST)
    [one] = report["scans"]
    assert one["series_uid"] == "ct"
    for nodule in nodules:
        distance = [np.linalg.norm(np.subtract(n["center_xyz_mm"], nodule.center_xyz_mm))
                    for n in one["nodules"]]  # fmt: skip
        near = one["nodules"][int(np.argmin(distance))]
        assert min(distance) < 1.5
        assert near["diameter_mm"] == pytest.approx(nodule.diameter_mm, rel=0.15)
    result = Runner(bundle, engine="torchscript-trace", threads=1, progress="none")(
        SimpleITK.ReadImage(str(scan))
    )
    marked = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(label))) != 0
    both = int((marked & (result.threshold_mask != 0)).sum())
    assert report["segmentation"]["segmented"]["voxels"]["both"] == both
    assert report["segmentation"]["segmented"]["voxels"]["theirs"] == int(marked.sum()) - both


def test_labels_are_kept_and_small_components_can_be_left_out(bundle, labelled, tmp_path, capsys):
    scan, label, _ = labelled
    settings = ("--scan", scan, "--label", label, *FAST, "--results", tmp_path / "kept")
    first = evaluated(capsys, bundle, *settings)
    largest = max(n["diameter_mm"] for n in first["scans"][0]["nodules"])
    second = evaluated(capsys, bundle, *settings, "--least-diameter", largest - 0.01)
    assert second["data"]["nodules"] == 1
    assert second["data"]["excluded"] == 1
    assert second["segmentation"] == first["segmentation"]


def test_a_label_of_another_shape_is_refused(bundle, labelled, tmp_path, capsys):
    scan, _, _ = labelled
    wrong = tmp_path / "wrong.nrrd"
    SimpleITK.WriteImage(SimpleITK.Image(5, 6, 7, SimpleITK.sitkUInt8), str(wrong))
    error = refused(capsys, 8, bundle, "--scan", scan, "--label", wrong)
    assert "wrong.nrrd" in error
    assert "ct.nrrd" in error


def test_an_empty_label_is_refused(bundle, labelled, tmp_path, capsys):
    scan, label, _ = labelled
    image = SimpleITK.ReadImage(str(label)) * 0
    SimpleITK.WriteImage(image, str(tmp_path / "empty.nrrd"))
    error = refused(capsys, 8, bundle, "--scan", scan, "--label", tmp_path / "empty.nrrd")
    assert "no voxel is labelled" in error


@pytest.mark.parametrize(("broken", "code"), [("scan", 3), ("label", 8)])
@pytest.mark.parametrize("content", [None, b"", b"NRRD0004\ntype: short\n"])
def test_an_unreadable_scan_or_label_is_named(bundle, labelled, broken, code, content, capsys):
    scan, label, _ = labelled
    path = scan if broken == "scan" else label
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert path.name in refused(capsys, code, bundle, "--scan", scan, "--label", label)


def test_the_same_scan_twice_is_refused(bundle, labelled, capsys):
    scan, label, _ = labelled
    twice = ("--scan", scan, "--label", label) * 2
    assert "listed 2 times" in refused(capsys, 8, bundle, *twice)


# Files of candidates


def test_candidates_are_measured_without_scans(tmp_path, capsys):
    data = tables(
        tmp_path / "data",
        nodules=[("1.1", 0, 10), ("1.1", 50, 8)],
        excluded=[("1.1", 200, -1), ("1.2", 300, 6)],
    )
    found = submission(
        tmp_path,
        ("1.1", 1, 0.9), ("1.1", -2, 0.8), ("1.1", 204, 0.95), ("1.1", 100, 0.7), ("1.1", 5, 0.99),
        ("1.2", 0, 0.6), ("1.2", 30, 0.9), ("1.2", 301, 0.9),
    )  # fmt: skip
    report = evaluated(capsys, "--candidates", found, data, "--threshold", "0.7")
    assert report["froc"]["cpm"]["value"] == pytest.approx(2 / 7)
    assert report["operating_point"]["found"] == 1
    assert report["operating_point"]["false_calls"] == 2
    assert report["candidates"]["ignored"] == 2
    assert report["segmentation"] is report["malignancy"] is None


def test_the_programs_own_csv_is_a_submission(evaluation, bundle, phantoms, tmp_path, capsys):
    report = json.loads((evaluation / "report.json").read_text())
    runner = Runner(
        bundle, engine="torchscript-trace", threads=1, progress="none", all_candidates=True
    )
    uid = report["scans"][0]["series_uid"]
    scan = phantoms / "subset0" / f"{uid}.mhd"
    (tmp_path / "found.csv").write_text(runner(scan).to_csv())
    (tmp_path / "series.csv").write_text(f"{uid}\n")
    own = evaluated(
        capsys,
        "--candidates",
        tmp_path / "found.csv",
        phantoms,
        "--series",
        tmp_path / "series.csv",
    )
    assert own["scans"][0]["found"] == report["scans"][0]["found"]
    assert own["scans"][0]["candidates"] == report["scans"][0]["candidates"]


def test_without_annotations_the_froc_is_said_to_be_undefined(tmp_path, capsys):
    data = tables(tmp_path / "data")
    found = submission(tmp_path, ("1.1", 0, 0.9))
    assert main(["--candidates", str(found), str(data), "--plots", str(tmp_path / "plots")]) == 0
    assert "FROC and CPM are not defined" in capsys.readouterr().out
    assert not (tmp_path / "plots" / "froc.png").exists()
    report = evaluated(capsys, "--candidates", found, data)
    assert report["froc"] is None
    assert "not defined" in report["froc_undefined"]


def test_a_submission_without_a_line_misses_everything(tmp_path, capsys):
    data = tables(tmp_path / "data", nodules=[("1.1", 0, 10)])
    report = evaluated(capsys, "--candidates", submission(tmp_path), data)
    assert report["froc"]["cpm"]["value"] == 0
    assert report["candidates"]["count"] == 0


def test_the_same_seed_prints_the_same_report(tmp_path, capsys):
    data = tables(tmp_path / "data", nodules=[("1.1", 0, 10), ("1.2", 50, 8)])
    found = submission(tmp_path, ("1.1", 0, 0.9), ("1.2", 90, 0.95), ("1.2", 50, 0.5))
    reports = [evaluated(capsys, "--candidates", found, data, "--seed", seed) for seed in (3, 3, 4)]
    assert reports[0] == reports[1]
    assert reports[0]["settings"]["seed"] != reports[2]["settings"]["seed"]


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ([("1.1", 0, "nan")], "line 2: probability is 'nan'"),
        ([("1.1", 0, 0.5), ("1.1", 0, "")], "line 3: probability is empty"),
        ([("1.1", "x", 0.5)], "coordx is 'x'"),
        ([("9.9", 0, 0.5), ("8.8", 0, 0.5)], "series 9.9 and 1 more series"),
    ],
)
def test_bad_candidates_are_refused_with_their_place(tmp_path, capsys, marks, message):
    data = tables(tmp_path / "data", nodules=[("1.1", 0, 10)])
    assert message in refused(capsys, 8, "--candidates", submission(tmp_path, *marks), data)


def test_candidates_of_series_that_are_not_evaluated_are_counted(tmp_path, capsys):
    data = tables(tmp_path / "data", nodules=[("1.1", 0, 10)])
    series = tmp_path / "series.csv"
    series.write_text("1.1\n")
    found = submission(tmp_path, ("1.1", 0, 0.9), ("1.2", 0, 0.9))
    report = evaluated(capsys, "--candidates", found, data, "--series", series)
    assert report["notes"] == ["1 candidates are of series that are not evaluated"]
    assert report["data"]["scans"] == 1


def test_a_series_that_is_listed_twice_is_refused(tmp_path, capsys):
    data = tables(tmp_path / "data", series=("1.1", "1.1"))
    error = refused(capsys, 8, "--candidates", submission(tmp_path), data)
    assert "1.1 is listed 2 times" in error


@pytest.mark.parametrize("missing", ["annotations.csv", "seriesuids.csv", "."])
def test_missing_tables_are_named(tmp_path, capsys, missing):
    data = tables(tmp_path / "data", nodules=[("1.1", 0, 10)])
    found = submission(tmp_path)
    if missing == ".":
        shutil.rmtree(data)
    else:
        (data / missing).unlink()
    error = refused(capsys, 8, "--candidates", found, data)
    assert str(data) in error


# Options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected BUNDLE [DIR]"),
        (["a", "b", "c"], "3 paths"),
        (["bundle"], "nothing to evaluate on"),
        (["bundle", "--scan", "ct.mhd"], "1 --scan and 0 --label"),
        (["bundle", "dir", "--threshold", "0.5"], "a bundle has its own"),
        (["bundle", "dir", "--against-region", "off"], "needs --against"),
        (["bundle", "dir", "--part", "test"], "--part is one of --split"),
        (["bundle", "dir", "--split", "a", "--series", "b"], "give one of them"),
        (["bundle", "--scan", "a", "--label", "b", "--split", "c"], "DIR, which is not given"),
        (["--candidates", "a.csv"], "takes DIR alone; 0 paths"),
        (["--candidates", "a.csv", "dir", "--results", "r"], "--results is for bundles"),
        (["bundle", "dir", "--bootstrap", "-3"], "whole number"),
        (["bundle", "dir", "--marks", "0"], "expected 1 or more"),
        (["bundle", "dir", "--least-diameter", "nan"], "expected a number"),
        (["bundle", "dir", "--region", "heart"], "invalid choice"),
    ],
)
def test_options_that_make_no_sense_are_2(capsys, arguments, message):
    assert message in refused(capsys, 2, *arguments)


def test_output_that_cannot_be_written_is_7_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for option in (("--json", tmp_path / "none" / "r.json"), ("--plots", tmp_path / "file")):
        refused(capsys, 7, tmp_path / "no-bundle", tmp_path, *option)


def test_help_needs_no_data(capsys):
    assert main(["--help"]) == 0
    assert "exit codes" in capsys.readouterr().out
