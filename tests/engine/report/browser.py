"""A headless Chromium that a test looks at reports with, and the runs that it looks at.

The browser and its driver are Debian's packages chromium and chromium-driver, or whatever of these
names is on the path. Without them the tests skip and say so; under CI=true that is a failure.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless=new", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--font-render-hinting=none", "--disable-dev-shm-usage", "--lang=en-GB")  # fmt: skip
DESKTOP = (1440, 900)
PHONE = (390, 844)
WAIT_S = 20.0
COPY = (
    "const copy = new OffscreenCanvas(c.width, c.height)"
    ".getContext('2d', {willReadFrequently: true}); copy.drawImage(c, 0, 0);"
)
"""JavaScript that copies canvas ``c``, so that reading pixels does not slow down the page's own."""


def programs() -> tuple[str, str]:
    """Paths of the browser and of its driver; skips the test where one is missing."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if found and driver:
        return found, driver
    missing = "chromium" if not found else "chromedriver"
    why = f"{missing} is not installed (Debian: apt-get install chromium chromium-driver)"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


class Browser:
    """One Chromium; :meth:`open` shows a report at a size and in a theme."""

    def __init__(self) -> None:
        binary, driver = programs()
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in FLAGS:
            options.add_argument(flag)
        if sys.platform == "linux" and os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium refuses root with its sandbox on
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))

    def close(self) -> None:
        """End the browser and its driver."""
        self.driver.quit()

    def open(
        self,
        file: Path,
        view: str = "",
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = True,
        mobile: bool = False,
        ready: bool = True,
    ) -> None:
        """Show ``file`` at the address ``#view``; waits until its chart is drawn."""
        cdp = self.driver.execute_cdp_cmd
        cdp("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 2 if mobile else 1,
            "mobile": mobile,
        })  # fmt: skip
        cdp("Emulation.setTouchEmulationEnabled", {"enabled": mobile})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        cdp("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")  # a change behind the # alone would not load anything
        self.driver.get(file.resolve().as_uri() + view)
        if ready:
            self.wait("return !!window.ofs")

    def wait(self, script: str, *args: Any) -> Any:
        """What ``script`` returns as soon as it is true; fails after WAIT_S."""
        until = time.monotonic() + WAIT_S
        while not (value := self.js(script, *args)):
            assert time.monotonic() < until, f"never true: {script}"
            time.sleep(0.03)
        return value

    def js(self, script: str, *args: Any) -> Any:
        """What the body of a function returns."""
        return self.driver.execute_script(script, *args)

    def settle(self) -> None:
        """Wait until what was asked to be drawn is drawn."""
        self.wait("return !ofs.app.waiting")

    def move(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse to a place in the window; ``click`` presses there."""
        chain = ActionChains(self.driver, duration=0)
        chain.w3c_actions.pointer_action.move_to_location(round(x), round(y))
        if click:
            chain.w3c_actions.pointer_action.click()
        chain.perform()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at ``start``, move and let go at ``end``."""
        chain = ActionChains(self.driver, duration=0)
        mouse = chain.w3c_actions.pointer_action
        mouse.move_to_location(round(start[0]), round(start[1]))
        mouse.pointer_down()
        mouse.move_to_location(round((start[0] + end[0]) / 2), round((start[1] + end[1]) / 2))
        mouse.move_to_location(round(end[0]), round(end[1]))
        mouse.pointer_up()
        chain.perform()
        self.settle()

    def keys(self, *names: str) -> None:
        """Type on the page."""
        ActionChains(self.driver, duration=0).send_keys(*names).perform()
        self.settle()

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Send a touch event (touchStart, touchMove, touchEnd) with fingers at ``points``."""
        fingers = [{"x": round(x), "y": round(y), "id": n} for n, (x, y) in enumerate(points)]
        self.driver.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers}
        )

    def place(self, table: str, row: int, price: str = "price") -> tuple[float, float]:
        """Where in the window a row of a record table is drawn."""
        x, y = self.js(
            "const [t, i, p] = arguments, a = ofs.app, r = a.surface.getBoundingClientRect();"
            "const o = ofs.data.tables[t], s = a.frame.scale;"
            "return [r.left + s.x(o.ts_ns[i]), t === 'decision'"
            " ? r.top + a.frame.box.strip.y + 5 : r.top + s.y(o[p][i]) + o.side[i] * 7]",
            table, row, price,
        )  # fmt: skip
        return float(x), float(y)

    def text(self, selector: str) -> str:
        """Visible text of the first element that fits."""
        return str(self.js("return document.querySelector(arguments[0]).innerText", selector))

    def click(self, selector: str) -> None:
        """Click the first element that fits."""
        self.js("document.querySelector(arguments[0]).click()", selector)
        self.settle()

    def count(self, colour: str, box: tuple[float, float, float, float] | None = None) -> int:
        """Pixels of the chart that have exactly a colour of the theme, in (x, y, w, h)."""
        found = self.js(
            "const [name, box] = arguments, c = document.getElementById('base');"
            "const hex = ofs.app.colours[name], d = window.devicePixelRatio;"
            "const want = [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16));"
            "const [x, y, w, h] = (box || [0, 0, c.width / d, c.height / d]).map((v) => v * d);"
            f"{COPY} const p = copy.getImageData(x, y, w, h).data; let n = 0;"
            "for (let i = 0; i < p.length; i += 4)"
            "  n += p[i] === want[0] && p[i + 1] === want[1] && p[i + 2] === want[2];"
            "return n",
            colour,
            box,
        )
        return int(found)

    def picture(self) -> Image.Image:
        """What the window shows."""
        return Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last call."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] != "INFO"]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call, but for files and data."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return [url for url in found if not url.startswith(("file:", "data:", "about:"))]
