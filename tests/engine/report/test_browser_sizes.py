"""Reports of markets and runs of unusual size, and of a page on paper, in a real browser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.events import Kind, Scales
from data.log import LogStore
from data.runs import Run
from tests.data.make_runs import T
from tests.engine.report.browser import COPY, PHONE, Browser
from tests.engine.report.cases import (
    DAY,
    HOUR,
    MINUTE,
    SYMBOL,
    VENUE,
    S,
    log_of,
    report_of,
    run_of,
    tables_of,
    trades,
)  # fmt: skip

FITS = (
    "const a = ofs.app, ctx = a.base.getContext('2d'), box = a.frame.box;"
    "const top = Math.max(...ofs.data.levels[0].high) / ofs.data.units.price;"
    "const label = top.toLocaleString('en', {minimumFractionDigits: ofs.data.meta.price_scale});"
    "ctx.font = \"11px ui-monospace, 'SF Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace\";"
    "return [ctx.measureText(label).width, box.axis - 6]"
)
"""Width of the longest price, and the room for it."""


def run_at(folder: Path, price: int, scales: Scales, money: int) -> Run:
    """A run of an hour at ``price``, whose results are about ``money`` (1e-8)."""
    columns = trades(T, HOUR, S)
    columns["price"] += price - 600_000
    with LogStore(folder / "log", create=True).transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, columns, scales)
    tables = tables_of([T + 300 * S, T + 900 * S])
    for row in tables["position"]:
        row.update(net_pnl=money, fees=money // 3, gross_pnl=money + money // 3)
    for row in (*tables["order"], *tables["fill"]):
        row["price"] = price
    result = {"net_pnl": 2 * money / 1e8, "round_trips": 2, "wins": 2}
    return run_of(
        folder / "runs", folder / "log", HOUR, tables, result=result,
        price_scale=scales.price, qty_scale=scales.qty,
    )  # fmt: skip


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize(("price", "scale"), [(123_456_789_012, 2), (2_234, 8), (600_000, 1)])
def test_every_price_fits_on_its_axis(
    browser: Browser, tmp_path: Path, price: int, scale: int, phone: bool
) -> None:
    _, path = report_of(run_at(tmp_path, price, Scales(scale, 3), 10**8))
    browser.open(path, **({"size": PHONE, "mobile": True} if phone else {}))
    longest, room = browser.js(FITS)
    assert longest <= room


def test_small_money_is_shown_with_its_digits(browser: Browser, tmp_path: Path) -> None:
    """Results of a hundred-thousandth, as of a market quoted in bitcoin, are not +0.00."""
    _, path = report_of(run_at(tmp_path, 2_234, Scales(8, 3), 3_000))
    browser.open(path)
    assert "+0.000060" in browser.text("#tiles")
    cells = browser.text("#tab-trades tbody tr").split("\t")
    assert cells[-2:] == ["0.0000100", "+0.0000300"]


def test_the_result_of_each_trade_of_many_days_is_in_sight(
    browser: Browser, tmp_path: Path
) -> None:
    log_of(tmp_path / "log", {Kind.TRADE: trades(T, 3 * DAY, MINUTE)})
    tables = tables_of([T + n * HOUR for n in range(1, 40)])
    browser.open(report_of(run_of(tmp_path / "runs", tmp_path / "log", 3 * DAY, tables))[1])
    right, edge = browser.js(
        "const net = document.querySelector('#tab-trades tbody tr td:last-child');"
        "return [net.getBoundingClientRect().right, document.documentElement.clientWidth]"
    )
    assert right <= edge


def test_a_crowd_of_fills_does_not_hide_the_candles(browser: Browser, tmp_path: Path) -> None:
    log_of(tmp_path / "log", {Kind.TRADE: trades(T, 3 * DAY, MINUTE)})
    tables = tables_of([T + n * 120 * S for n in range(1, 2000)])
    for row in tables["fill"]:
        row["price"] = 600_000 + round(400 * math.sin((row["ts_ns"] - T) / HOUR))
    browser.open(report_of(run_of(tmp_path / "runs", tmp_path / "log", 3 * DAY, tables))[1])
    hidden, candles = browser.js(
        "const c = ofs.app.base, box = ofs.app.frame.box, look = () => {"
        f"{COPY} return copy.getImageData(0, 20, box.plot.w, box.strip.y - 20).data; }};"
        "const full = look();"
        "ofs.data.tables.fill = {length: 0, ts_ns: [], price: []}; ofs.app.draw();"
        "const bare = look(), bg = ofs.app.colours.bg;"
        "const rgb = [1, 3, 5].map((n) => parseInt(bg.slice(n, n + 2), 16));"
        "let hidden = 0, candles = 0;"
        "for (let i = 0; i < bare.length; i += 4) {"
        "  if (rgb.every((v, n) => bare[i + n] === v)) continue;"
        "  candles += 1; hidden += [0, 1, 2].some((n) => bare[i + n] !== full[i + n]); }"
        "return [hidden, candles]"
    )
    assert candles > 1000
    assert hidden < 0.3 * candles


def test_a_candle_over_very_many_prices(browser: Browser, tmp_path: Path) -> None:
    """Three hundred thousand price rows in one candle, looked at row by row."""
    columns: dict[str, Any] = trades(T, HOUR, S)
    columns["price"] = np.where(columns["id"] % 40 == 0, 900_000, 600_000)
    log_of(tmp_path / "log", {Kind.TRADE: columns})
    path = report_of(run_of(tmp_path / "runs", tmp_path / "log", HOUR, None))[1]
    times = "t=2024-08-09T00:10:00Z~2024-08-09T00:14:00Z"
    browser.open(path, f"#{times}&w=1m&p=599990~600020")
    assert browser.js("return [ofs.app.frame.mode, ofs.app.frame.rowsBy]") == ["bid x ask", 1]


def test_paper_is_light_and_holds_everything(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, dark=True)
    dark = browser.js("return ofs.app.colours.bg")
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.js("return ofs.app.colours.bg") == "#ffffff"
    assert browser.count("bull") > 100
    scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
    media = {"media": "print", "features": scheme}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    hidden = browser.js(
        "return [...document.querySelectorAll('[role=tabpanel]')].filter((p) => !p.offsetHeight)"
    )
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {**media, "media": ""})
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    assert hidden == []
    assert browser.js("return ofs.app.colours.bg") == dark


def test_the_panel_on_the_keyboard(browser: Browser, report_file: Path) -> None:
    """Arrows choose a tab and leave the chart alone; the space bar sorts; help takes the keys."""
    browser.open(report_file)
    before = browser.js("document.querySelector('#of-trades').focus(); return ofs.app.view.t0")
    browser.keys("\ue014")
    assert browser.js("return document.activeElement.id") == "of-summary"
    assert browser.js("return ofs.app.view.t0") == before
    assert browser.js("return document.querySelector('#tab-summary').hidden") is False
    browser.keys("\ue012")
    browser.js("document.querySelector('.trades th:last-child').focus()")
    browser.keys(" ")
    assert (
        browser.js(
            "return document.querySelector('.trades th:last-child').getAttribute('aria-sort')"
        )
        == "ascending"
    )
    browser.keys("?", "n")
    assert browser.js("return [ofs.app.view.trade, document.querySelector('#help').open]") == [
        0, True,
    ]  # fmt: skip


@pytest.mark.parametrize("dark", [True, False])
def test_every_colour_of_text_can_be_read(browser: Browser, report_file: Path, dark: bool) -> None:
    """Small text needs a contrast of 4.5 against what lies behind it (WCAG 2, AA)."""
    browser.open(report_file, dark=dark)
    least = browser.js(
        "const light = (h) => [1, 3, 5].map((n) => parseInt(h.slice(n, n + 2), 16) / 255)"
        "  .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)"
        "  .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);"
        "const c = ofs.app.colours, found = [];"
        "for (const ink of ['text', 'dim', 'bull', 'bear', 'poc', 'accent', 'warn'])"
        "  for (const ground of ['bg', 'panel']) {"
        "    const [a, b] = [light(c[ink]), light(c[ground])].sort((x, y) => y - x);"
        "    found.push((a + 0.05) / (b + 0.05)); }"
        "return Math.min(...found)"
    )
    assert least >= 4.5


def test_the_policy_stops_code_that_got_in(chromium: Browser, report_file: Path) -> None:
    """Were markup ever to get in, it could neither run, nor evaluate text, nor ask the network."""
    chromium.open(report_file)
    chromium.js(
        "setTimeout(() => {"
        "  try { window.found = eval('1') } catch (e) { window.found = e.name } });"
        "document.body.insertAdjacentHTML('beforeend',"
        '  \'<img src=x onerror="window.hacked = 1"><iframe src="https://example.com">\');'
        "const s = document.createElement('script'); s.textContent = 'window.hacked = 2';"
        "document.body.append(s); fetch('https://example.com/').catch(() => { window.asked = 1 })"
    )
    assert chromium.wait("return window.asked && window.found") == "EvalError"
    assert chromium.js("return window.hacked") is None
    assert chromium.requests() == []
    assert chromium.complaints()
