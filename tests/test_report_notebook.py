"""A result in a notebook, and as a table of pandas."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
from lunart import _core
from lunart.errors import EngineError, UsageError
from lunart.report.again import again
from lunart.result import Result
from planted import Found, result_json, scan_of_balls, write_result, write_scan


@pytest.fixture
def case(tmp_path: Path) -> tuple[Result, Path, _core.Scan, list[Found]]:
    """A stored result, its scan's file, the scan and what was found."""
    balls = [((34.0, -26.0, 104.0), 5.0), ((26.0, -16.0, 112.0), 4.0)]
    scan, found = scan_of_balls(np.eye(3), balls, shape_irc=(24, 70, 70))
    path = write_scan(tmp_path, scan)
    stored = write_result(tmp_path / "result.json", result_json(scan, found))
    return Result.load(stored), path, scan, found


def test_a_stored_result_shows_its_table_and_says_how_to_get_pictures(case):
    html = case[0]._repr_html_()
    assert "<img" not in html
    assert "attach_scan" in html
    assert "0.95" in html
    assert "no medical device" in html


@pytest.mark.parametrize("as_file", [True, False])
def test_with_its_scan_it_shows_three_planes_a_nodule(case, as_file):
    result, path, scan, found = case
    assert result.attach_scan(path if as_file else scan) is result
    html = result._repr_html_()
    assert html.count("<img") == 3 * len(found)
    assert html.count('src="data:image/png;base64,') == 3 * len(found)
    assert "<script" not in html
    assert "attach_scan" not in html


def test_another_scan_is_refused(case):
    result, *_ = case
    other, _ = scan_of_balls(np.eye(3), [], shape_irc=(24, 70, 70))
    with pytest.raises(UsageError, match="checksum"):
        result.attach_scan(other)


def test_a_scan_that_changed_or_went_shows_a_table_and_why(case):
    result, path, *_ = case
    result.remember(path, _core.read_scan)
    assert "<img" in result._repr_html_()
    write_scan(path.parent, scan_of_balls(np.eye(3), [], shape_irc=(24, 70, 70))[0])
    assert "does not belong" in result._repr_html_()
    path.unlink()
    html = result._repr_html_()
    assert "No pictures" in html
    assert "<table" in html


def test_an_array_is_not_kept_alive():
    array = np.zeros((2, 3, 4), np.int16)
    look = again(array, lambda held: held)
    assert look() is array
    del array
    gc.collect()
    assert look() is None
    assert again([[[0]]], lambda held: held)() is None


def test_hostile_text_is_only_text(case, tmp_path):
    _, _, scan, found = case
    warning = {"code": "hu-range", "text": "<script>alert(1)</script><img src=x onerror=alert(1)>"}
    stored = write_result(tmp_path / "bad.json", result_json(scan, found, warnings=[warning]))
    html = Result.load(stored)._repr_html_()
    assert "<script" not in html
    assert "<img" not in html


def test_nothing_found_is_said(case, tmp_path):
    _, _, scan, _ = case
    stored = write_result(tmp_path / "none.json", result_json(scan, []))
    assert "No nodule found" in Result.load(stored)._repr_html_()


@pytest.mark.parametrize("ground", ["white", "black"])
def test_chromium_shows_it_in_light_and_dark_notebooks(case, page, ground):
    result, _, scan, _ = case
    ink = "black" if ground == "white" else "white"
    html = result.attach_scan(scan)._repr_html_()
    page.set_content(f'<body style="background: {ground}; color: {ink}">{html}</body>')
    colors = page.evaluate(
        "[...document.querySelectorAll('p, td, th, caption')].map(e => getComputedStyle(e).color)"
    )
    assert set(colors) == {"rgb(0, 0, 0)" if ink == "black" else "rgb(255, 255, 255)"}
    shown = page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert shown


def test_a_table_of_pandas_has_typed_columns(case):
    pytest.importorskip("pandas")
    result, _, _, found = case
    frame = result.to_pandas()
    assert list(frame.probability) == [0.95, 0.85]
    assert frame.malignancy.isna().tolist() == [False, True]
    assert frame.voxels.tolist() == [int(one.inside.sum()) for one in found]
    assert frame[["x_mm", "y_mm", "z_mm"]].iloc[0].tolist() == pytest.approx([34, -26, 104])
    assert frame[["index", "row", "col"]].iloc[0].tolist() == pytest.approx(found[0].center_irc)
    assert frame.nodule.tolist() == [True, True]


def test_an_empty_table_has_the_same_types(case, tmp_path):
    pytest.importorskip("pandas")
    result, _, scan, _ = case
    empty = Result.load(write_result(tmp_path / "none.json", result_json(scan, []))).to_pandas()
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == result.to_pandas().dtypes.to_dict()


def test_without_pandas_it_says_how_to_get_it(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(EngineError, match=r"lunart\[pandas\]"):
        case[0].to_pandas()
