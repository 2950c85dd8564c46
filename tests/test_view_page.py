"""The page of luna-view in a real browser: what a radiologist sees, with mouse and with keys."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser import axe, loopback_page
from numpy.typing import NDArray
from PIL import Image
from viewed import DIRECTIONS, SECONDS, Viewed, serving, started, write_viewed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: One browser for all modules.
_LOADING_MS = 120_000  # without a graphics card, on a busy machine
_FIRST_COLOUR = (255, 176, 0)
_NAME = "(one) => one.dataset.label ? `nodule ${one.dataset.label}` : one.id || one.innerText"


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> Viewed:
    return write_viewed(tmp_path_factory.mktemp("viewed"))


@pytest.fixture(scope="module")
def with_candidates(tmp_path_factory: pytest.TempPathFactory) -> Viewed:
    return write_viewed(tmp_path_factory.mktemp("candidates"), candidates=True)


@pytest.fixture(scope="module")
def loaded(viewed: Viewed, chromium: Browser) -> Iterator[Page]:
    """One page over three nodules: loading takes seconds without a graphics card."""
    with loopback_page(chromium) as page, shown(viewed, page):
        yield page


@pytest.fixture
def opened(loaded: Page) -> Page:
    """That page as it was when it was loaded."""
    loaded.evaluate(
        """document.getElementById("help").close();
        document.getElementById("keys-on").checked = true;
        document.getElementById("about").open = false;
        document.activeElement.blur();"""
    )
    for key in "q1r":
        loaded.keyboard.press(key)
    loaded.get_by_role("button", name="Outline").click()
    if loaded.locator("#threshold-reset").is_enabled():
        loaded.locator("#threshold-reset").click()
    loaded.locator("#list button").first.click()
    loaded.evaluate("document.activeElement.blur()")
    return loaded


class TestWhereItLooks:
    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_the_crosshair_stands_at_each_nodule(
        self, page: Page, tmp_path: Path, direction: str
    ) -> None:
        viewed = write_viewed(tmp_path, direction=direction)
        with shown(viewed, page):
            for finding in viewed.result["nodules"]:
                page.locator(f'#list button[data-label="{finding["label"]}"]').click()
                irc = viewed.scan.geometry.to_irc(crosshair(page))
                np.testing.assert_allclose(irc, finding["center_irc"], atol=0.05)
                assert f"{hu_of(viewed, finding)} HU" in page.locator("#place").inner_text()

    @pytest.mark.parametrize("direction", ["axial", "flipped", "coronal"])
    def test_pictures_are_the_right_way_round(
        self, page: Page, tmp_path: Path, direction: str
    ) -> None:
        """The first nodule lies to the right, front and head: R, A and S are left and above."""
        with shown(write_viewed(tmp_path, direction=direction), page):
            page.locator("#list button").first.click()
            for key in "acs":
                page.keyboard.press(key)
                found, size = place_of_colour(page, _FIRST_COLOUR)
                assert found[0] < size[0] / 2, (key, found, size)
                assert found[1] < size[1] / 2, (key, found, size)

    def test_keys_step_by_voxels_as_the_picture_lies(self, opened: Page, viewed: Viewed) -> None:
        opened.locator("#list button").first.click()
        opened.locator("#canvas").focus()
        spacing = viewed.scan.spacing_mm
        opened.keyboard.press("ArrowLeft")
        before = crosshair(opened)
        for key, axis, by in [
            ("ArrowRight", 0, spacing[0]), ("ArrowUp", 1, -spacing[1]), ("PageUp", 2, spacing[2]),
            ("ArrowLeft", 0, -spacing[0]), ("ArrowDown", 1, spacing[1]),
            ("PageDown", 2, -spacing[2]),
        ]:  # fmt: skip
            opened.keyboard.press(key)
            after = crosshair(opened)
            expected = np.array(before)
            expected[axis] += by
            np.testing.assert_allclose(after, expected, atol=1e-3)
            before = after

    @pytest.mark.parametrize(
        ("key", "sides"), [("a", "RLAP"), ("c", "RLHF"), ("s", "APHF")], ids=["axial", "cor", "sag"]
    )
    def test_planes_have_their_sides_and_a_scale_bar_that_is_right(
        self, opened: Page, key: str, sides: str
    ) -> None:
        opened.keyboard.press(key)
        pixels(opened)  # drawn
        assert opened.locator(".side").all_inner_texts() == list(sides)
        for _zoomed in range(2):
            bar = opened.locator(".bar-of-scale")
            box = bar.bounding_box()
            assert box is not None
            mm = float(bar.get_attribute("data-mm") or 0)
            assert bar.inner_text() == f"{mm:.0f} mm"
            places = [clicked(opened, across) for across in (0.45, 0.55)]
            width = opened.locator("#canvas").bounding_box()["width"]  # type: ignore[index]
            moved = float(np.linalg.norm(np.subtract(*places)))
            assert moved == pytest.approx(0.1 * width * mm / box["width"], rel=0.03)
            opened.keyboard.press("+")
            pixels(opened)

    def test_a_large_scan_is_shown_coarser_and_says_so(self, page: Page, viewed: Viewed) -> None:
        page.add_init_script(
            """const original = WebGL2RenderingContext.prototype.getParameter;
            WebGL2RenderingContext.prototype.getParameter = function (name) {
              return name === this.MAX_3D_TEXTURE_SIZE ? 40 : original.call(this, name);
            };"""
        )
        with shown(viewed, page):
            assert (
                "one voxel in 1 \N{MULTIPLICATION SIGN} 2 \N{MULTIPLICATION SIGN} 2"
                in page.locator("#banner").inner_text()
            )
            for finding in viewed.result["nodules"]:
                page.locator(f'#list button[data-label="{finding["label"]}"]').click()
                irc = viewed.scan.geometry.to_irc(crosshair(page))
                np.testing.assert_allclose(irc, finding["center_irc"], atol=0.05)


class TestWhatItShows:
    def test_the_list_says_what_the_result_says(self, opened: Page, viewed: Viewed) -> None:
        texts = opened.locator("#list button").all_inner_texts()
        assert len(texts) == len(viewed.result["nodules"]) == 3
        for text, finding in zip(texts, viewed.result["nodules"], strict=True):
            assert f"{finding['probability']:.3f}" in text
            assert f"{finding['diameter_mm']:.1f} mm" in text
            x, y, z = finding["center_xyz_mm"]
            assert f"{'L' if x >= 0 else 'R'} {abs(x):.1f}" in text
            assert f"{'P' if y >= 0 else 'A'} {abs(y):.1f}" in text
            assert f"{'H' if z >= 0 else 'F'} {abs(z):.1f}" in text

    def test_the_slider_hides_and_shows(self, opened: Page) -> None:
        assert colour_count(opened, _FIRST_COLOUR) > 20
        set_threshold(opened, "0.8")
        assert opened.locator("#list button:visible").count() == 1
        assert "1 of 3" in opened.locator("#findings-title").inner_text()
        set_threshold(opened, "0.95")
        assert opened.locator("#list button:visible").count() == 0
        assert "None above" in opened.locator("#list-empty").inner_text()
        assert colour_count(opened, _FIRST_COLOUR) == 0
        opened.locator("#threshold-reset").click()
        assert opened.locator("#list button:visible").count() == 3
        assert colour_count(opened, _FIRST_COLOUR) > 20

    def test_a_result_of_nodules_only_says_so_below_its_threshold(self, opened: Page) -> None:
        note = opened.locator("#threshold-note")
        assert "--all-candidates" not in note.inner_text()
        set_threshold(opened, "0.1")
        assert "nodules only" in note.inner_text()
        assert "--all-candidates" in note.inner_text()

    def test_candidates_come_below_the_threshold(self, page: Page, with_candidates: Viewed) -> None:
        with shown(with_candidates, page):
            assert page.locator("#list button:visible").count() == 2
            set_threshold(page, "0.2")
            texts = page.locator("#list button:visible").all_text_contents()
            assert ["Candidate" in text for text in texts] == [False, False, True]
            assert "--all-candidates" not in page.locator("#threshold-note").inner_text()

    def test_more_findings_than_a_byte_can_tell_apart(self, page: Page, tmp_path: Path) -> None:
        viewed = write_viewed(tmp_path)
        last = viewed.result["nodules"][-1]
        for place in range(299):
            irc = (0, place // 56, place % 56)
            mask = {"label": 100 + place, "mask_runs": f"{place}:1", "probability": 0.95}
            xyz = viewed.scan.geometry.to_xyz(irc)
            center = {"center_irc": list(irc), "center_xyz_mm": list(xyz)}
            viewed.result["nodules"].insert(0, {**last, **mask, **center})
        viewed.result["candidate_count"] = len(viewed.result["nodules"])
        write_again(viewed)
        with shown(viewed, page):
            page.locator("#list button").last.click()
            page.keyboard.press("a")  # without the single voxels, which other planes cut
            assert colour_count(page, (94, 197, 255)) > 20  # the 302nd: the second of six colours

    def test_windows_are_grey_as_they_should_be(self, opened: Page) -> None:
        opened.keyboard.press("m")
        opened.keyboard.press("m")  # no mask
        seen = {}
        for name in ("Lung", "Mediastinum", "Soft tissue", "Bone"):
            opened.get_by_role("button", name=name, exact=True).click()
            assert (
                opened.get_by_role("button", name=name, exact=True).get_attribute("aria-pressed")
                == "true"
            )
            level, width = (
                int(opened.locator(f"#{one}").input_value()) for one in ("level", "width")
            )
            seen[name] = (level, width)
            expected = np.clip((900 - (level - width / 2)) / width, 0, 1) * 255
            assert abs(nodule_grey(opened) - expected) < 12, name
        assert seen["Lung"] == (-600, 1500)
        opened.locator("#width").fill("4000")
        opened.locator("#width").press("Enter")
        assert abs(nodule_grey(opened) - (900 - (400 - 2000)) / 4000 * 255) < 12

    def test_a_scan_without_nodules(self, page: Page, tmp_path: Path) -> None:
        with shown(write_viewed(tmp_path, nodules=[]), page):
            assert "lists no nodule" in page.locator("#list-empty").inner_text()

    def test_a_browser_without_webgl_is_told_what_to_do(self, page: Page, viewed: Viewed) -> None:
        page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
        with serving(viewed) as server:
            page.goto(server.url)
            page.locator("html[data-state=failed]").wait_for(timeout=_LOADING_MS)
            text = page.locator("#loading-text").inner_text()
            assert "no WebGL 2" in text
            assert "graphics acceleration" in text
            assert page.locator("button:visible, input:visible").count() == 0
            assert axe(page) == []

    def test_it_says_that_it_is_no_medical_device(self, opened: Page) -> None:
        assert "Not a medical device" in opened.locator("footer").inner_text()

    def test_text_of_the_result_stays_text(self, page: Page, tmp_path: Path) -> None:
        evil = '"><img src=x onerror="window.broken=1"><script>window.broken=1</script>'
        viewed = write_viewed(tmp_path)
        for part in (viewed.result["scan"], viewed.result["bundle"]):
            part.update({key: evil for key in ("path", "series_uid", "name") if key in part})
        write_again(viewed)
        with shown(viewed, page):
            assert evil in page.locator("#scan-name").inner_text()
            assert page.locator("img, body script").count() == 0
            assert page.evaluate("window.broken") is None


class TestHowItIsUsed:
    def test_by_keyboard_alone(self, opened: Page, viewed: Viewed) -> None:
        marked = opened.locator('#list button[aria-current="true"]')
        first, second, _ = [str(finding["label"]) for finding in viewed.result["nodules"]]
        assert marked.get_attribute("data-label") == first
        opened.keyboard.press("n")
        assert marked.get_attribute("data-label") == second
        opened.keyboard.press("p")
        assert marked.get_attribute("data-label") == first
        opened.keyboard.press("4")
        assert opened.locator("#level").input_value() == "400"
        before = opened.locator("#threshold-value").inner_text()
        opened.keyboard.press("]")
        assert float(opened.locator("#threshold-value").inner_text()) > float(before)
        opened.keyboard.press("?")
        assert opened.locator("#help").is_visible()
        opened.keyboard.press("Escape")
        assert not opened.locator("#help").is_visible()

    def test_every_control_is_reached_by_tab_and_shows_it(self, opened: Page) -> None:
        reached = set()
        for _ in range(40):
            opened.keyboard.press("Tab")
            focused = opened.locator(":focus")
            if focused.count() == 0:
                continue  # the browser's own controls
            assert focused.evaluate("(one) => getComputedStyle(one).outlineStyle") != "none"
            reached.add(focused.evaluate(_NAME))
        assert {"canvas", "threshold", "theme", "help-open", "level", "Bone", "3-D"} <= reached
        assert {"nodule 1", "nodule 2", "nodule 3"} <= reached

    def test_single_keys_can_be_turned_off(self, opened: Page) -> None:
        opened.locator("#help-open").click()
        opened.locator("#keys-on").uncheck()
        opened.get_by_role("button", name="Close").click()
        opened.keyboard.press("4")
        assert opened.locator("#level").input_value() == "-600"

    @pytest.mark.parametrize("theme", ["dark", "light"])
    def test_axe_finds_no_serious_fault(self, opened: Page, theme: str) -> None:
        if opened.locator("html").get_attribute("data-theme") != theme:
            opened.locator("#theme").click()
        assert opened.locator("html").get_attribute("data-theme") == theme
        assert axe(opened) == []
        opened.locator("#about summary").click()
        opened.keyboard.press("?")
        assert axe(opened) == []

    def test_a_program_that_stopped_is_said(self, page: Page, viewed: Viewed) -> None:
        arguments = (viewed.result_path, viewed.scan_path, "--no-browser")
        with started(*arguments) as (process, url):
            page.goto(url)
            page.locator("html[data-state=ready]").wait_for(timeout=_LOADING_MS)
            process.terminate()
            process.wait(SECONDS)
            page.locator("#banner", has_text="luna-view has stopped").wait_for()


@contextmanager
def shown(viewed: Viewed, page: Page) -> Iterator[Any]:
    """Serve, open and wait for the pictures; complaints of the browser fail the test."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    with serving(viewed) as server:
        page.set_viewport_size({"width": 1000, "height": 640})  # fewer pixels to draw in software
        page.goto(server.url)
        page.locator("html[data-state]").wait_for(timeout=_LOADING_MS)
        assert page.locator("html").get_attribute("data-state") == "ready", (
            page.locator("#loading-text").inner_text(),
            complaints,
        )
        yield server
    assert complaints == []


def crosshair(page: Page) -> tuple[float, ...]:
    """Where the page says that it looks: millimetres LPS."""
    place = page.locator("#place")
    return tuple(float(place.get_attribute(f"data-{axis}")) for axis in "xyz")


def clicked(page: Page, across: float) -> tuple[float, ...]:
    """The place of a click on the canvas, this part of its width from the left, half way down."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + across * box["width"], box["y"] + box["height"] / 2)
    return crosshair(page)


def set_threshold(page: Page, value: str) -> None:
    page.locator("#threshold").fill(value)


def hu_of(viewed: Viewed, finding: dict[str, Any]) -> int:
    index, row, col = (round(at) for at in finding["center_irc"])
    return int(viewed.scan.hu[index, row, col])


def write_again(viewed: Viewed) -> None:
    viewed.result_path.write_text(json.dumps(viewed.result))


def pixels(page: Page) -> NDArray[np.int16]:
    """The pictures as the screen shows them, (row, col, rgb)."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    shot = page.locator("#canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int16)


def of_colour(picture: NDArray[np.int16], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Pixels of a colour's hue, at any brightness that can be told from grey."""
    saturated = picture.max(-1) - picture.min(-1) > 50
    ratio = picture / np.maximum(picture.max(-1, keepdims=True), 1)
    return saturated & (np.abs(ratio - np.array(colour) / max(colour)).max(-1) < 0.12)


def colour_count(page: Page, colour: tuple[int, int, int]) -> int:
    return int(of_colour(pixels(page), colour).sum())


def place_of_colour(
    page: Page, colour: tuple[int, int, int]
) -> tuple[tuple[float, float], tuple[int, int]]:
    """The middle of what has a colour, (x, y), and the size of the picture."""
    picture = pixels(page)
    rows, cols = np.nonzero(of_colour(picture, colour))
    assert len(rows), "nothing has the colour"
    return (float(cols.mean()), float(rows.mean())), (picture.shape[1], picture.shape[0])


def nodule_grey(page: Page) -> float:
    """Grey of the first nodule's middle in a large axial picture."""
    page.keyboard.press("a")
    picture = pixels(page)
    green = (picture[..., 1] - picture[..., 0] > 40) & (picture[..., 1] - picture[..., 2] > 20)
    row, col = (int(np.median(axis)) for axis in np.nonzero(green))
    return float(np.median(picture[row - 6 : row + 7, col - 6 : col + 7]))
