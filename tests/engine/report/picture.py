"""The picture of the report that stands in the README, and the command that takes it anew.

``python -m tests.engine.report.picture`` writes ``report.png`` beside this file. A test holds the
committed picture to what the report looks like now: its size, and the mean difference of a pixel.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import replays
from data.log import LogStore
from data.runs import find_run
from engine.report.report import make_report, write_report
from engine.runtime.backtest import backtest
from engine.runtime.replay import Request
from strategies.delta_flip import STRATEGY
from tests.engine.report.browser import Browser

FILE = Path(__file__).with_name("report.png")
SIZE = (1400, 860)
VIEW = "#t=2026-01-05T15:14:40Z~2026-01-05T15:25:40Z&trade=18"
BYTES_MAX = 300_000
MEAN_DIFFERENCE_MAX = 4.0
"""Of 255: another font moves the mean by less, another layout or theme by more."""


def take(browser: Browser, report: Path) -> Image.Image:
    """The picture, in the 256 colours in which it is kept."""
    browser.open(report, VIEW, size=SIZE, dark=True)
    browser.settle()
    return browser.picture().quantize(256, dither=Image.Dither.NONE)


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference of the channels of two pictures of one size, 0 to 255."""
    x, y = (np.asarray(p.convert("RGB"), dtype=np.int16) for p in (a, b))
    return float(np.abs(x - y).mean())


def main() -> None:
    """Take the picture of a fresh run over the replay."""
    path = replays.path(replays.DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        made = backtest(LogStore(path), str(path), Request(STRATEGY, "delta_flip"), runs)
        report = runs / "report.html"
        write_report(make_report(find_run(runs, made["run"]), lambda: LogStore(path)), report)
        browser = Browser()
        try:
            take(browser, report).save(FILE, optimize=True)
        finally:
            browser.close()
    print(FILE, FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
