"""Chromium without a window, driven by its own driver: pages as a reader meets them."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)


class Browser:
    """A browser with one page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, file: Path, width: int = 1280, *, dark: bool = False) -> None:
        """Show a file in a window of this width."""
        self.resize(width)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.complaints()
        self.requests()  # nothing of an earlier page is left
        self.driver.get(file.as_uri())

    def resize(self, width: int) -> None:
        """Change the width of the window; pages are laid out anew."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run(self, script: str, *arguments: Any) -> Any:
        """The result of JavaScript of the test, which the page's policy does not concern."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """What the page wrote to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses asked for since the last call, but for those that the policy refused."""
        logged = self.driver.get_log("performance")
        entries = [json.loads(entry["message"])["message"] for entry in logged]
        refused = {
            entry["params"]["requestId"]
            for entry in entries
            if entry["method"] == "Network.loadingFailed" and "blockedReason" in entry["params"]
        }
        return [
            entry["params"]["request"]["url"]
            for entry in entries
            if entry["method"] == "Network.requestWillBeSent"
            and entry["params"]["requestId"] not in refused
        ]

    def picture(self, file: Path, height: int | None = None) -> None:
        """Write the page as PNG: the whole of it, or its upper part."""
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "scale": 1}
        clip["height"] = height or size["height"]
        asked = {"captureBeyondViewport": True, "clip": clip}
        found = self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)
        file.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        found = self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
        return base64.b64decode(found["data"])


@contextmanager
def browser(scratch: Path) -> Iterator[Browser]:
    """A new browser, which keeps its files in a folder."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, path in programs.items():
        assert path, f"no {name!r} on PATH: apt-get install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for flag in (*FLAGS, f"--user-data-dir={scratch / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(str(programs["chromedriver"])))
    try:
        driver.get("about:blank")
        yield Browser(driver)
    finally:
        driver.quit()
