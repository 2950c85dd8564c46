"""A real browser in tests: Debian's chromium, driven by Playwright, kept to the loopback.

``chromium`` and ``page`` are pytest fixtures, which ``conftest`` gives to all modules: Playwright
takes one browser in a process. ``axe(page)`` tells the serious faults that axe-core finds. They
skip where chromium, Playwright or axe-core is absent.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

_AXE = Path(__file__).parents[1] / ".cache/viewer/node_modules/axe-core/axe.min.js"
_ARGUMENTS = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage",
    "--no-first-run",
)
_LOCAL_SCHEMES = ("about", "blob", "data", "file")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One headless browser for a test run. Skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on the PATH (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=list(_ARGUMENTS), chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of 1400 by 900. The test fails when it asks for anything off this machine."""
    with loopback_page(chromium) as opened:
        yield opened


@contextmanager
def loopback_page(chromium: Browser) -> Iterator[Page]:
    """The same for a fixture of a wider scope."""
    left: list[str] = []
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, color_scheme="dark")
    context.route("**/*", _loopback_only(left))
    opened = context.new_page()
    yield opened
    context.close()
    assert not left, f"requests left this machine: {left}"


def axe(page: Page) -> list[str]:
    """The serious and critical faults of the page as it is, one line each."""
    if not _AXE.is_file():
        pytest.skip("axe-core is not installed (npm, then make build)")
    page.evaluate(_AXE.read_text())  # not a script element: the page's policy allows none
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['impact']}: {fault['id']}: {fault['help']}: {node['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def _loopback_only(left: list[str]) -> Callable[[Route], None]:
    def decide(route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in _LOCAL_SCHEMES or url.hostname == "127.0.0.1":
            route.continue_()
        else:
            left.append(route.request.url)
            route.abort()

    return decide
