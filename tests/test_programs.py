"""What the Python programs share: where their output cannot go, and what a scan must survive."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import program
import pytest
from lunart import Runner
from lunart.errors import UsageError

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("module", ["lunart.phantom.cli", "lunart.verify.cli"])
def test_full_standard_output_is_7_on_one_line(module, bundle, tmp_path):
    arguments = {
        "lunart.phantom.cli": [str(tmp_path / "out"), "--seed", "1", "--shape", "8", "48", "48"],
        "lunart.verify.cli": [str(bundle)],
    }[module]
    call = f"import sys; from {module} import main; sys.exit(main({arguments!r}))"
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", call],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 7, done.stderr
    assert "standard output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def renamed_scan(small_scan: Path, tmp_path: Path) -> Path:
    """A header whose voxels lie in a file of another name."""
    shutil.copy(small_scan.with_suffix(".raw"), tmp_path / "voxels.raw")
    header = small_scan.read_text().replace(f"{small_scan.stem}.raw", "voxels.raw")
    (tmp_path / "scan.mhd").write_text(header)
    (tmp_path / "link.mhd").symlink_to("scan.mhd")
    return tmp_path / "scan.mhd"


@pytest.mark.parametrize("scan", ["scan.mhd", "link.mhd"])
@pytest.mark.parametrize(
    ("option", "name"),
    [("json", "voxels.raw"), ("mask", "voxels.mhd"), ("csv", "scan.mhd"), ("mask", "scan.mha")],
)
def test_no_output_replaces_a_file_of_the_scan(bundle, renamed_scan, scan, option, name):
    folder = renamed_scan.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    message = program.refused(
        2, folder / scan, "--bundle", bundle, f"--{option}", str(folder / name)
    )
    assert "overwrite" in message
    with pytest.raises(UsageError, match="overwrite"):
        Runner(bundle)(folder / scan, **{option: folder / name})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_no_output_goes_into_the_bundle(bundle, small_scan):
    target = bundle / "manifest.json"
    before = target.read_bytes()
    program.refused(2, small_scan, "--bundle", bundle, "--json", str(target))
    assert target.read_bytes() == before


def test_runner_takes_the_programs_outputs_as_its_own(bundle, small_scan, tmp_path):
    runner = Runner(bundle, json=tmp_path / "a.json", csv=tmp_path / "a.csv", progress="none")
    runner(small_scan)
    assert (tmp_path / "a.json").exists()
    assert (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("progress", ["lines", None, 3])
def test_unknown_progress_is_refused_when_the_runner_is_made(bundle, progress):
    with pytest.raises(UsageError, match="progress"):
        Runner(bundle, progress=progress)
