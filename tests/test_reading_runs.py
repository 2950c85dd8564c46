"""A scan finds the same nodules whether it comes as MetaImage or as DICOM."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pip install 'lunart[dicom]'")

from dicom_series import of_scan, save
from lunart import Runner, _core
from lunart.errors import ScanError, UsageError
from pydicom.uid import JPEGLosslessSV1


def test_dicom_gives_the_nodules_of_the_same_scan(
    bundle: Path, phantom_scan: Path, tmp_path: Path
) -> None:
    folder = save(of_scan(_core.read_scan(phantom_scan)), tmp_path / "s", syntax=JPEGLosslessSV1)
    archive = tmp_path / "s.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for file in folder.iterdir():
            out.write(file, file.name)
    runner = Runner(bundle, threads=1, all_candidates=True)
    stored, zipped = runner(phantom_scan), runner(archive)

    assert zipped.scan.path == str(archive)
    assert zipped.to_dict()["nodules"] == stored.to_dict()["nodules"]
    assert len(zipped.nodules) > 0


def test_a_broken_series_writes_nothing_and_a_mended_one_says_so(
    bundle: Path, small_scan: Path, tmp_path: Path
) -> None:
    series = of_scan(_core.read_scan(small_scan))
    folder = save([*series[:3], *series[4:]], tmp_path / "s")
    runner = Runner(bundle, threads=1)
    target = tmp_path / "result.json"

    with pytest.raises(ScanError, match="1 slice is missing"):
        runner(folder, json=target)
    assert not target.exists()
    mended = runner(folder, json=target, on_gap="fill")
    assert "dicom-gap-filled" in [w["code"] for w in mended.to_dict()["warnings"]]
    with pytest.raises(UsageError, match="no DICOM series"):
        runner(small_scan, series_uid="1.2")
