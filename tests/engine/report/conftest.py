"""One browser and one report of the replay for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import replays
from data.log import LogStore
from data.runs import Run, find_run
from engine.report.report import make_report, write_report
from engine.runtime.backtest import backtest
from engine.runtime.replay import Request
from strategies.delta_flip import STRATEGY
from tests.engine.report.browser import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser; at the end of the test nothing may have been complained of or asked for."""
    chromium.complaints()
    chromium.requests()
    yield chromium
    assert chromium.complaints() == []
    assert chromium.requests() == []


@pytest.fixture(scope="module")
def replay_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the default strategy over the replay that comes with ofs."""
    runs = tmp_path_factory.mktemp("runs")
    path = replays.path(replays.DEFAULT)
    made = backtest(LogStore(path), str(path), Request(STRATEGY, "delta_flip"), runs)
    return find_run(runs, made["run"])


@pytest.fixture(scope="module")
def report_file(replay_run: Run) -> Path:
    """Its report."""
    log = replay_run.manifest["log"]["path"]
    path = replay_run.folder / "report.html"
    write_report(make_report(replay_run, lambda: LogStore(log)), path)
    return path
