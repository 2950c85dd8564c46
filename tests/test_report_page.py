"""The report: it stands alone, says the numbers, and whatever the result holds is only text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import axe
from lunart import _core
from lunart.report.contents import MOST_PICTURES, contents_of, drawn
from lunart.report.page import decimals, probability, render
from lunart.report.places import Lungs
from lunart.report.sampling import coarse
from lunart.report.strip import strip
from lunart.result import Result
from planted import OBLIQUE, Found, result_json, scan_of_balls, write_result

HOSTILE = (
    "</title></td><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    "\"'>&amp;{{7*7}}\n\x1b[31m\u202egpj"
)


class Seen(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report(folder: Path, scan: _core.Scan, found: list[Found], /, **changes: Any) -> str:
    written = write_result(folder / "result.json", result_json(scan, found, **changes))
    return render(drawn(contents_of(Result.load(written), scan), scan, pixels=120))


@pytest.fixture(scope="module")
def thorax() -> tuple[_core.Scan, list[Found]]:
    """Two lungs of air in a body, and two balls in them."""
    scan, found = scan_of_balls(
        np.eye(3),
        [((80.0, 10.0, 60.0), 6.0), ((-75.0, -40.0, -50.0), 5.0)],
        middle_mm=(0, 0, 0),
        shape_irc=(60, 90, 120),
        spacing_mm=(3.0, 3.0, 5.0),
    )
    x = (np.arange(120) - 59.5) * 3.0
    y = (np.arange(90) - 44.5) * 3.0
    z = (np.arange(60) - 29.5) * 5.0
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    hu = np.full(scan.shape_irc, -1000, np.int16)
    hu[(xx / 170) ** 2 + (yy / 120) ** 2 < 1] = 30
    for side in (-1, 1):
        hu[((xx - side * 80) / 60) ** 2 + (yy / 90) ** 2 + (zz / 125) ** 2 < 1] = -860
    for one in found:
        hu[one.inside] = 40
    return _core.scan_from_array(hu, scan.geometry, "1.2.3", ""), found


def test_places_are_said_in_words(tmp_path, thorax):
    text = " ".join(Seen(report(tmp_path, *thorax)).text)
    assert "left lung, upper third, back, peripheral" not in text  # in front of the ball is air too
    assert "left lung, upper third, back, central" in text
    assert "right lung, middle third, front" in text or "right lung, lower third, front" in text


def test_what_lies_far_from_the_lungs_is_in_none(thorax):
    lungs = Lungs.find(*coarse(thorax[0]))
    assert lungs is not None
    for xyz in ((-80.0, 130.0, 0.0), (-175.0, 0.0, 0.0), (-80.0, 0.0, -160.0), (-500.0, 0.0, 0.0)):
        assert "outside the lungs" in str(lungs.place(xyz))
    for xyz in ((-80.0, 95.0, 0.0), (-145.0, 0.0, 0.0), (-80.0, 0.0, -135.0)):
        assert str(lungs.place(xyz)).startswith("right lung")
    assert str(lungs.place((0.0, 0.0, 0.0))).startswith("between the lungs")


def test_a_threshold_is_said_as_it_was_set(tmp_path, thorax):
    text = " ".join(Seen(report(tmp_path, thorax[0], [], threshold=0.9999)).text)
    assert "above the threshold of 0.9999" in text


def test_everything_is_inside_the_file(tmp_path, thorax):
    html = report(tmp_path, *thorax)
    seen = Seen(html)
    assert not seen.all("script")
    assert not seen.all("link")
    for tag, attributes in seen.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/png;base64,", "#")), (tag, value)
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(m for m in seen.all("meta") if m.get("http-equiv"))["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_every_picture_says_its_numbers(tmp_path, thorax):
    seen = Seen(report(tmp_path, *thorax))
    pictures = seen.all("img")
    assert len(pictures) == 1 + 2 * 3
    for picture in pictures:
        assert "mm" in (picture["alt"] or "")
    assert sum("axial" in (p["alt"] or "") and "0.95" in (p["alt"] or "") for p in pictures) == 1
    assert seen.all("html")[0]["lang"] == "en"
    assert len(seen.all("main")) == len(seen.all("header")) == len(seen.all("footer")) == 1
    assert len(seen.all("caption")) == len(seen.all("table")) == 4
    levels = [int(tag[1]) for tag, _ in seen.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_it_says_what_it_is_not(tmp_path, thorax):
    text = " ".join(Seen(report(tmp_path, *thorax)).text)
    assert "no medical device" in text


def test_the_run_is_described(tmp_path, thorax):
    warning = {"code": "spacing-range", "text": "slices are far apart"}
    text = " ".join(Seen(report(tmp_path, *thorax, warnings=[warning])).text)
    for said in ("openvino 1", "f32", "planted", "0" * 64, "segment", "0.25", "1.2.3",
                 "60 \N{MULTIPLICATION SIGN} 90 \N{MULTIPLICATION SIGN} 120",
                 "slices are far apart", "LPH", "not rated", "0.37"):  # fmt: skip
        assert said in text, said


def test_nothing_found_is_a_report_too(tmp_path, thorax):
    scan, _ = thorax
    seen = Seen(report(tmp_path, scan, []))
    text = " ".join(seen.text)
    assert "No nodule was found" in text
    assert "does not mean that there is none" in text
    assert len(seen.all("img")) == 1


@pytest.mark.parametrize("shape", [(1, 40, 50), (2, 5, 3), (1, 1, 1)])
def test_small_scans_have_a_report(tmp_path, shape):
    scan, _ = scan_of_balls(OBLIQUE[0], [], shape_irc=shape)
    inside = np.zeros(shape, np.bool_)
    inside[0, 0, 0] = True
    text = " ".join(Seen(report(tmp_path, scan, [Found((0.0, 0.0, 0.0), inside)])).text)
    assert "1 nodule found" in text
    assert "no pair of lungs" in text


def test_an_oblique_scan_is_said_to_be_one(tmp_path):
    scan, found = scan_of_balls(OBLIQUE[0], [((34, -26, 104), 6)])
    assert "oblique by 20.0°" in report(tmp_path, scan, found)


def test_a_float_scan_has_a_report(tmp_path, thorax):
    scan, found = thorax
    float_ = _core.scan_from_array(scan.hu + np.float32(0.5), scan.geometry, "", "")
    assert "left lung" in report(tmp_path, float_, found)


def hostile(scan: _core.Scan, found: list[Found]) -> dict[str, Any]:
    whole = result_json(scan, found)
    return {
        "scan": {
            **whole["scan"],
            "path": f"folder/{HOSTILE.replace('/', '|')}",
            "series_uid": HOSTILE,
        },
        "bundle": {"name": HOSTILE, "sha256": "0" * 64},
        "engine": {**whole["engine"], "name": HOSTILE, "version": HOSTILE},
        "warnings": [{"code": "spacing-range", "text": HOSTILE}],
    }


def test_hostile_text_stays_text(tmp_path, thorax):
    html = report(tmp_path, *thorax, **hostile(*thorax))
    seen = Seen(html)
    assert not seen.all("script")
    assert len(seen.all("img")) == 7
    assert "{{7*7}}" in html.replace("&#123;", "{")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)
    assert len(seen.all("title")) == 1


def test_chromium_shows_hostile_text_and_runs_none_of_it(tmp_path, thorax, page):
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    target = tmp_path / "report.html"
    target.write_text(report(tmp_path, *thorax, **hostile(*thorax)), "utf-8")
    page.goto(target.as_uri())
    assert page.title().startswith("Lung nodules: ")
    assert page.locator("script").count() == 0
    assert "<script>" in page.locator("main").inner_text()
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("count", [0, 2])
def test_chromium_finds_no_serious_fault(tmp_path, thorax, page, scheme, count):
    scan, found = thorax
    target = tmp_path / "report.html"
    target.write_text(report(tmp_path, scan, found[:count]), "utf-8")
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.emulate_media(color_scheme=scheme)
    page.goto(target.as_uri())
    shown = page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert shown
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") != "32px"
    assert errors == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == (scheme == "dark")
    assert axe(page) == []


def test_chromium_reaches_every_nodule_by_keyboard(tmp_path, thorax, page):
    target = tmp_path / "report.html"
    target.write_text(report(tmp_path, *thorax), "utf-8")
    page.goto(target.as_uri())
    focused = []
    for _ in range(4):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.getAttribute('href')"))
    assert focused == ["#nodules", None, "#nodule-1", "#nodule-2"]
    page.keyboard.press("Enter")
    assert page.url.endswith("#nodule-2")


@pytest.mark.parametrize("width", [320, 1400])
def test_chromium_never_scrolls_the_page_sideways(tmp_path, thorax, page, width):
    target = tmp_path / "report.html"
    long = "1." * 32 + "4"
    whole = result_json(*thorax)
    html = report(tmp_path, *thorax, scan={**whole["scan"], "series_uid": long, "path": long * 4})
    target.write_text(html, "utf-8")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(target.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hundreds_of_nodules_are_all_in_the_table(tmp_path):
    """As a result of noise has: the page stays one that opens."""
    scan, _ = scan_of_balls(np.eye(3), [], shape_irc=(8, 30, 30))
    found = []
    for at in np.ndindex(4, 10, 10):
        inside = np.zeros(scan.shape_irc, np.bool_)
        inside[at] = True
        found.append(Found(tuple(map(float, at)), inside))
    whole = result_json(scan, found)
    nodules = [{**one, "probability": 0.9, "malignancy": None} for one in whole["nodules"]]
    html = report(tmp_path, scan, found, nodules=nodules)
    seen = Seen(html)
    assert len(seen.all("tr")) > 400
    assert len(seen.all("img")) == 1 + 3 * MOST_PICTURES
    assert "350 more" in html
    assert len(html) < 8_000_000


def test_probabilities_never_round_to_certainty():
    assert [probability(p) for p in (0, 0.001, 0.005, 0.5, 0.994, 0.999, 1)] == [
        "0.00", "< 0.01", "0.01", "0.50", "0.99", "> 0.99", "1.00",
    ]  # fmt: skip
    assert decimals(-1234.56, 1) == "\N{MINUS SIGN}1\N{NARROW NO-BREAK SPACE}234.6"


def test_the_strip_keeps_the_one_high_slice_of_thousands():
    values = [0.0] * 5000
    values[3210] = 0.99
    chart = strip(values, [3210])
    assert min(map(float, re.findall(r"V([\d.]+)", chart.path))) == pytest.approx(1.0)
    assert (chart.highest_slice, chart.above_half) == (3210, 1)
    assert len(chart.path) < 20_000


def test_numbers_on_the_strip_do_not_cover_each_other():
    chart = strip([0.5] * 100, [50, 51, 50, 90, 52])
    at = [(m.x, m.level) for m in chart.markers]
    assert all(
        abs(a[0] - b[0]) >= 16 or a[1] != b[1] for k, a in enumerate(at) for b in at[k + 1 :]
    )
    assert [marker.number for marker in chart.markers] == [1, 2, 3, 4, 5]
