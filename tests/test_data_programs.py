"""``luna-data`` as a user meets it: what it refuses, what it prints, what it leaves."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
from diskcache import FanoutCache
from luna_folder import ANNOTATIONS, CANDIDATES, box_scan, write_table
from lunart import _core
from lunart.data.cache import Cache
from lunart.data.cli import main
from lunart.data.sources import classification_source, segmentation_source
from lunart.data.split import Split

SERIES = tuple(f"1.{n}" for n in range(1, 6))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five scans with a nodule and candidates each, of three patients."""
    root = tmp_path / "luna16"
    for n, uid in enumerate(SERIES):
        box_scan(root, uid, seed=n)
    write_table(root / "annotations.csv", ANNOTATIONS, [(u, -80, -30, 60, 8) for u in SERIES])
    write_table(
        root / "candidates.csv",
        CANDIDATES,
        [(u, -80 + 5 * k, -20, 70, 0) for u in SERIES for k in range(4)],
    )
    patients = zip(SERIES, "AABBC", strict=True)
    write_table(root / "patients.csv", "seriesuid,patient", list(patients))
    return root


@pytest.fixture
def split(folder: Path) -> Path:
    path = folder.parent / "split.json"
    Split(train=SERIES[:2], validation=SERIES[2:4], test=SERIES[4:]).write(path)
    return path


def found(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str]]:
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is not any(f["severity"] == "error" for f in report["findings"])
    return [(f["severity"], f["kind"], f["where"]) for f in report["findings"]]


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["split", "DIR"],
        ["split", "DIR", "-o", "out", "--validation", "1"],
        ["split", "DIR", "-o", "out", "--test", "nan"],
        ["split", "DIR", "-o", "out", "--seed", "x"],
        ["split", "DIR", "-o", "out", "--put", "1.1"],
        ["split", "DIR", "-o", "out", "--put", "1.1=exam"],
        ["check"],
        ["prepare", "DIR"],
        ["prepare", "DIR", "--split", "s", "--for", "everything"],
        ["prepare", "DIR", "--split", "s", "--negatives", "0"],
        ["prepare", "DIR", "--split", "s", "--workers", "-1"],
        ["burn", "DIR"],
    ],
)
def test_bad_usage_exits_2_with_one_line(argv: list[str], folder: Path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert main([str(folder) if word == "DIR" else word for word in argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("luna-data: error: ")
    assert captured.err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", [["split", "-o", "s"], ["check"], ["prepare", "--split", "s"]])
def test_a_folder_of_something_else_exits_8(command: list[str], tmp_path: Path, capsys):
    assert main([command[0], str(tmp_path / "nowhere"), *command[1:]]) == 8
    assert "no such folder; expected LUNA16's layout" in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from lunart.data.cli import main; main(['--help']);"
        "heavy = {'torch', 'scipy', 'matplotlib', 'diskcache', 'PIL'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_package_says_what_to_install(folder: Path, split: Path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "diskcache", None)
    assert main(["prepare", str(folder), "--split", str(split)]) == 5
    assert "diskcache is not installed: pip install 'lunart[train]'" in capsys.readouterr().err


def test_a_split_goes_by_the_patients_of_the_folder(folder: Path, tmp_path: Path, capsys):
    path = tmp_path / "made.json"
    assert main(["split", str(folder), "-o", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.endswith(f"written to {path}\n")
    made = Split.read(path)
    assert made.made == {"seed": 1, "by": "patient"}
    assert sorted(made.train + made.validation + made.test) == list(SERIES)
    for pair in (SERIES[:2], SERIES[2:4]):
        assert len({made.train.count(uid) for uid in pair}) == 1
    assert main(["split", str(folder), "-o", str(path)]) == 0  # the same again


def test_a_split_without_patients_says_what_that_means(folder: Path, tmp_path: Path, capsys):
    (folder / "patients.csv").unlink()
    assert main(["split", str(folder), "-o", str(tmp_path / "made.json")]) == 0
    assert "the patients of 5 of 5 series are not known (--patients)" in capsys.readouterr().err


def test_a_split_that_is_in_use_is_not_replaced(folder: Path, split: Path, capsys):
    before = split.read_bytes()
    assert main(["split", str(folder), "-o", str(split), "--seed", "7"]) == 2
    assert "another split is there" in capsys.readouterr().err
    assert split.read_bytes() == before


def test_series_are_put_where_they_are_wanted(folder: Path, tmp_path: Path, capsys):
    argv = ["split", str(folder), "-o", str(tmp_path / "made.json"), "--json"]
    assert main([*argv, "--put", "1.1=validation", "--put", "1.5=test"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["train"], made["validation"], made["test"]) == (
        ["1.3", "1.4"], ["1.1", "1.2"], ["1.5"]
    )  # fmt: skip
    assert main([*argv, "--put", "1.1=validation", "--put", "1.2=test"]) == 8
    assert "another of the patient's series is in validation" in capsys.readouterr().err


def test_a_split_that_cannot_be_written_exits_7(folder: Path, tmp_path: Path, capsys):
    assert main(["split", str(folder), "-o", str(tmp_path / "nowhere" / "split.json")]) == 7
    assert "nowhere" in capsys.readouterr().err


def test_a_good_folder_passes(folder: Path, split: Path, capsys):
    assert main(["check", str(folder), "--split", str(split)]) == 0
    assert capsys.readouterr().out == f"{folder}: 5 scans in subset0\nnothing is wrong\n"


def test_everything_that_is_wrong_is_said_at_once(folder: Path, split: Path, capsys):
    (folder / "subset2").mkdir()
    (folder / "subset0" / "1.2.mhd").write_text("no header")
    with (folder / "annotations.csv").open("a") as table:
        table.write("1.1,9999,0,0,5\n9.9,0,0,0,5\n")
    (folder / "candidates.csv").write_text("seriesuid,coordX\n")
    (folder / "votes").mkdir()
    _core.write_metaimage(
        folder / "votes" / "1.3_votes.mhd", _core.read_scan(folder / "subset0" / "1.3.mhd").hu,
        (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1),
    )  # fmt: skip
    leak = json.loads(split.read_text())
    leak["validation"].append("1.1")
    split.write_text(json.dumps(leak))
    assert main(["check", str(folder), "--split", str(split), "--json"]) == 8
    assert found(capsys) == [
        ("error", "empty-subset", "subset2"),
        ("error", "missing-subset", "subset1"),
        ("error", "unreadable-scan", "1.2"),
        ("note", "series-without-scan", "annotations.csv"),
        ("error", "outside-volume", "1.1"),
        ("error", "unreadable-table", "candidates.csv"),
        ("error", "votes-elsewhere", "1.3"),
        ("error", "split", str(split)),
    ]


def test_missing_subsets_of_the_whole_set_are_noted(folder: Path, capsys):
    (folder / "seriesuids.csv").write_text("\n".join([*SERIES, "1.77"]))
    assert main(["check", str(folder), "--json"]) == 0
    noted = [("note", "missing-subset", f"subset{n}") for n in range(1, 10)]
    assert found(capsys) == noted
    assert main(["check", str(folder)]) == 0
    assert "and 4 more of missing-subset (--json lists all)" in capsys.readouterr().out


def test_a_missing_scan_of_the_split_is_found_by_check_and_prepare(
    folder: Path, split: Path, tmp_path: Path, capsys
):
    (folder / "subset0" / "1.2.mhd").unlink()
    cache = ["--cache", str(tmp_path / "cache"), "--workers", "1"]
    for argv in (["check"], ["prepare", *cache]):
        assert main([argv[0], str(folder), "--split", str(split), *argv[1:]]) == 8
        captured = capsys.readouterr()
        assert "series 1.2 of the split: no scan in subset0; add the missing subset" in (
            captured.out + captured.err
        )


def test_the_cache_is_filled_once(folder: Path, split: Path, tmp_path: Path, capsys):
    argv = ["prepare", str(folder), "--split", str(split), "--for", "cls", "seg", "--negatives",
            "3", "--cache", str(tmp_path / "cache"), "--workers", "1", "--json"]  # fmt: skip
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert "5/5 series" in captured.err
    report = json.loads(captured.out)
    # Crops of 4 nodules and 2 * 3 + 2 * 4 candidates; patches of 2 nodules and 2 * 3 places.
    assert (report["series"], report["made"], report["problems"]) == (5, 18 + 8, [])
    assert 26 * 100_000 < report["bytes"] < 26 * 500_000
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)["made"] == 0


def test_a_training_finds_everything_that_was_prepared(
    folder: Path, split: Path, tmp_path: Path, monkeypatch
):
    cache = tmp_path / "cache"
    argv = ["prepare", str(folder), "--split", str(split), "--cache", str(cache), "--workers", "1"]
    assert main(argv) == 0
    monkeypatch.setattr(
        Cache, "_write", lambda self, key, arrays: pytest.fail(f"{key} was missing")
    )
    for factory in (segmentation_source, classification_source):
        source = factory(folder, Split.read(split), seed=3, store=Cache(cache))
        epoch, validation = source.epoch(0), source.validation()
        for samples in (epoch, validation):
            assert all(samples[k] for k in range(len(samples)))


def test_several_workers_fill_what_one_would(phantoms: Path, tmp_path: Path, capsys):
    split = tmp_path / "split.json"
    assert main(["split", str(phantoms), "-o", str(split)]) == 0
    argv = ["prepare", str(phantoms), "--split", str(split), "--negatives", "2", "--json",
            "--cache", str(tmp_path / "cache")]  # fmt: skip
    capsys.readouterr()
    assert main([*argv, "--workers", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["made"] > 0
    assert main([*argv, "--workers", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["made"] == 0


def test_a_scan_that_cannot_be_read_does_not_stop_the_others(
    folder: Path, split: Path, tmp_path: Path, capsys
):
    [raw] = (folder / "subset0").glob("1.2.*raw")
    whole = raw.read_bytes()
    raw.write_bytes(whole[:-1000])
    argv = ["prepare", str(folder), "--split", str(split), "--for", "cls", "--json",
            "--cache", str(tmp_path / "cache"), "--workers", "1"]  # fmt: skip
    assert main(argv) == 8
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert [problem["series_uid"] for problem in report["problems"]] == ["1.2"]
    assert "1 of 5 series could not be prepared" in captured.err
    raw.write_bytes(whole)
    assert main(argv) == 0
    assert 0 < json.loads(capsys.readouterr().out)["made"] < report["made"]


@pytest.mark.parametrize("part", ["1.3", "1.5"])
def test_preparing_finds_the_same_voxels_under_another_name(
    part: str, folder: Path, split: Path, tmp_path: Path, capsys
):
    box_scan(folder, part, seed=0)  # those of 1.1, which is trained on
    argv = ["prepare", str(folder), "--split", str(split), "--for", "cls", "--workers", "1",
            "--cache", str(tmp_path / "cache")]  # fmt: skip
    assert main(argv) == 8
    assert f"leak: series {part} of" in capsys.readouterr().err


def test_a_cache_that_cannot_be_made_exits_7(folder: Path, split: Path, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    argv = ["prepare", str(folder), "--split", str(split), "--cache", str(tmp_path / "file" / "c")]
    assert main(argv) == 7
    assert "choose another folder (--cache)" in capsys.readouterr().err


def test_a_full_disk_exits_7_and_what_was_made_is_kept(
    folder: Path, split: Path, tmp_path: Path, monkeypatch, capsys
):
    argv = ["prepare", str(folder), "--split", str(split), "--for", "cls", "--json",
            "--cache", str(tmp_path / "cache"), "--workers", "1"]  # fmt: skip
    kept = []

    def set_until_full(cache: FanoutCache, key: str, value: bytes) -> bool:
        if len(kept) == 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        kept.append(key)
        return bool(whole(cache, key, value))

    with monkeypatch.context() as patch:
        whole = FanoutCache.set
        patch.setattr(FanoutCache, "set", set_until_full)
        assert main(argv) == 7
    assert "the cache cannot be written (the disk is full); free" in capsys.readouterr().err
    before = sum(key.startswith("block") for key in kept)
    assert main(argv) == 0
    # Crops of 4 nodules and of every candidate.
    assert json.loads(capsys.readouterr().out)["made"] == 20 - before
