"""A headless Chromium for tests marked `browser`: open a page, look at it, find its faults.

`open_page` opens a file at a width and in a colour scheme:

    def test_report(open_page, tmp_path):
        page = open_page(tmp_path / "report.html", width=360, scheme="dark")
        assert page.console() == []
        assert page.faults() == []
        assert page.evaluate("document.title") == "GunPoint"

What runs is Debian's chromium with its chromedriver, driven by selenium.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

AUDIT = (Path(__file__).parent / "audit.js").read_text()
TALLEST = 30_000  # px


@dataclass(frozen=True)
class Page:
    """One page, open in a window as tall as itself."""

    driver: Any
    width: int

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self.driver.execute_script(f"return ({expression})")

    def console(self) -> list[str]:
        """What the browser complained of since the last call: errors, refused loads, warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Everything the page loaded or tried to, beside itself."""
        return self.evaluate("performance.getEntriesByType('resource').map(r => r.name)")

    def faults(self) -> list[str]:
        """What a reader would stumble over, one sentence each.

        Text with too little contrast (WCAG 2.2 AA: 4.5, large text 3) against what is painted
        behind it; pictures without a text alternative; controls and links without a name; ids that
        are there twice; headings that skip a level; a page wider than its window; anything that
        stands out of the window.
        """
        return self.driver.execute_script(AUDIT)

    def fit_window(self) -> Page:
        """Make the window as tall as the page, so that all of it is painted."""
        tall = self.evaluate("Math.ceil(document.documentElement.scrollHeight)")
        _size_window(self.driver, self.width, min(max(tall, 600), TALLEST))
        return self

    def open_details(self) -> Page:
        """Unfold everything that is folded."""
        self.driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = 1)")
        return self.fit_window()

    def screenshot(self, path: Path) -> Path:
        """The whole page as a PNG."""
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True}
        )
        path.write_bytes(base64.b64decode(shot["data"]))
        return path


OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser, started once."""
    from selenium import webdriver

    chromium, chromedriver = map(shutil.which, ("chromium", "chromedriver"))
    if chromium is None or chromedriver is None:
        pytest.fail("Chromium is missing: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
        "--proxy-server=127.0.0.1:9",  # nothing listens there: a page gets nothing from the network
    ):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def open_page(browser) -> OpenPage:
    """A function that opens an HTML file.

    Its arguments: the file; ``width`` of the window in CSS pixels; ``scheme``, ``"light"`` or
    ``"dark"``; ``script=False`` switches JavaScript off.
    """

    def open_file(
        path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True
    ) -> Page:
        assert path.is_file(), path
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        _size_window(browser, width, 800)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(path.resolve().as_uri())
        return Page(browser, width).fit_window()

    return open_file


def _size_window(driver: Any, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
