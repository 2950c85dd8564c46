"""luna_infer over scans in other formats: the nodules of the same scan as .mhd, nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_ct import write_ct
from dicom_series import ROOT, Made, save, slices
from itk_here import needs_itk
from lunart import Runner, _core

_SPACING = (0.75, 0.75, 1.5)
_FIRST = (-60.0, -55.5, -100.0)


@pytest.fixture(scope="module")
def scans(phantom_scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same phantom in every format."""
    folder = tmp_path_factory.mktemp("formats")
    hu = np.asarray(_core.read_scan(phantom_scan).hu)
    write_ct(folder / "dicom", hu, spacing=_SPACING, first=_FIRST)
    with zipfile.ZipFile(folder / "dicom.zip", "w", zipfile.ZIP_DEFLATED) as out:
        for file in (folder / "dicom").iterdir():
            out.write(file, f"study/{file.name}")
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(_SPACING)
    image.SetOrigin(_FIRST)
    for suffix in (".mhd", ".nrrd", ".nii.gz"):
        sitk.WriteImage(image, str(folder / f"scan{suffix}"), True)
    return folder


def _nodules(scan: Path, bundle: Path, *more: object) -> dict[str, Any]:
    return program.result_of(scan, "--bundle", bundle, "--all-candidates", *more)


def _same(result: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in ("nodules", "candidates"):
        assert result[name] == expected[name]
    assert result["scan"]["hu_crc32"] == expected["scan"]["hu_crc32"]


@needs_itk
@pytest.mark.parametrize("name", ["dicom", "dicom.zip", "scan.nrrd", "scan.nii.gz"])
def test_every_format_gives_the_nodules_of_the_mhd(name: str, scans: Path, bundle: Path) -> None:
    expected = _nodules(scans / "scan.mhd", bundle)
    assert expected["nodules"]
    result = _nodules(scans / name, bundle)
    _same(result, expected)
    assert result["scan"]["path"] == str(scans / name)
    if name.startswith("dicom"):
        assert result["scan"]["series_uid"] == "1.2.826.0.1.3680043.10.1234.2"


@needs_itk
def test_python_finds_what_the_program_finds(scans: Path, bundle: Path) -> None:
    native = _nodules(scans / "dicom", bundle)
    python = Runner(bundle)(scans / "dicom")
    assert [nodule.center_irc for nodule in python.nodules] == [
        tuple(nodule["center_irc"]) for nodule in native["nodules"]
    ]


@needs_itk
def test_warnings_of_a_mended_series_are_in_the_result(
    scans: Path, bundle: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(scans / "dicom", tmp_path / "dicom")
    sorted(folder.iterdir())[20].unlink()
    assert "missing" in program.refused(3, folder, "--bundle", bundle)
    result = _nodules(folder, bundle, "--on-gap", "fill")
    assert "dicom-gap-filled" in [warning["code"] for warning in result["warnings"]]


@needs_itk
def test_info_lists_the_series_and_reads_the_chosen_one(tmp_path: Path) -> None:
    save(slices(Made()), tmp_path / "a")
    save(slices(Made(series=2, step=5.0)), tmp_path / "b")
    several = program.run(tmp_path, "--info", "--bundle", tmp_path / "none", "--json", "-")
    (scan,) = json.loads(several.stdout)["scans"]
    assert [series["id"] for series in scan["series"]] == [f"{ROOT}.1", f"{ROOT}.2"]
    assert "shape_irc" not in scan
    arguments = (tmp_path, "--info", "--bundle", tmp_path / "none", "--series", f"{ROOT}.2")
    chosen = program.run(*arguments, "--json", "-")
    assert json.loads(chosen.stdout)["scans"][0]["spacing_mm"] == [0.5, 0.75, 5.0]
    assert f"id: {ROOT}.1" in program.run(*arguments).stdout
    assert "no series '1.2.3'" in program.refused(
        2, tmp_path, "--info", "--bundle", tmp_path / "none", "--series", "1.2.3"
    )


@pytest.mark.parametrize("option", ["--on-gap", "--on-tilt", "--on-duplicate"])
def test_choices_are_named_when_they_are_none(option: str, tmp_path: Path) -> None:
    said = program.refused(2, tmp_path, option, "perhaps")
    assert f"{option} is 'perhaps'; expected refuse or" in said


def test_a_series_is_of_one_scan(tmp_path: Path) -> None:
    assert "--series takes one scan" in program.refused(2, "a", "b", "--series", "1.2")


def test_without_the_module_the_way_out_is_named(small_scan: Path, tmp_path: Path) -> None:
    alone = shutil.copy(program.path(), tmp_path / "luna_infer")
    save(slices(), tmp_path / "study")
    for scan, form in ((tmp_path / "study", "DICOM"), (tmp_path / "scan.nrrd", "NRRD")):
        scan.touch()
        done = subprocess.run(
            [alone, scan, "--info", "--bundle", tmp_path / "none"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 3
        assert f"{form} is read by lunart's ITK module" in done.stderr
        assert "apt-get install libinsighttoolkit5-dev libgdcm-dev libzip-dev" in done.stderr
        assert "Without it luna_infer reads MetaImage" in done.stderr
    done = subprocess.run(
        [alone, small_scan, "--info", "--bundle", tmp_path / "none"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@needs_itk
def test_an_output_does_not_replace_a_slice(scans: Path, bundle: Path) -> None:
    slice_ = next((scans / "dicom").iterdir())
    before = slice_.read_bytes()
    said = program.refused(2, scans / "dicom", "--bundle", bundle, "--json", slice_)
    assert "would overwrite the scan's" in said
    assert slice_.read_bytes() == before


@needs_itk
def test_ctrl_c_stops_the_reading_of_a_folder(bundle: Path, tmp_path: Path) -> None:
    pattern = slices(Made(count=1, rows=256, cols=256))[0]
    for k in range(1500):
        pattern.SOPInstanceUID = f"{ROOT}.7.{k}"
        pattern.ImagePositionPatient = [0, 0, k]
        pattern.save_as(tmp_path / f"{k}", enforce_file_format=True)
    run = subprocess.Popen(
        [program.path(), tmp_path, "--bundle", bundle, "--progress", "json"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={key: value for key, value in os.environ.items() if key != "LUNART_ENGINE"},
    )  # fmt: skip
    assert run.stderr is not None
    assert "read" in run.stderr.readline()
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted" in said
