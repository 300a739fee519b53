"""The report of the replay in a real browser: pixels, zoom, pointer, keys, touch, address."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from data.events import Kind
from data.log import LogStore
from data.runs import Run
from engine.kernel.footprint import ROWS
from engine.runtime.replay import Request
from engine.runtime.replay import run as replay_fold
from strategies.delta_flip import STRATEGY
from tests.cli.run import ROOT
from tests.data.make_runs import T
from tests.engine.kernel.oracle_candles import profile
from tests.engine.report import picture
from tests.engine.report.browser import PHONE, Browser
from tests.engine.report.cases import HOUR, S, log_of, report_of, run_of, trades
from tests.engine.report.test_fold import ring

TRADE_18 = "#t=2026-01-05T15:15:00Z~2026-01-05T15:25:00Z&trade=18"
"""Ten minutes around a round trip that its stop ended."""


class Nowhere:
    """A sink for records that nobody asks for."""

    def take(self, name: str, rows: Any) -> None:
        """Forget them."""


def view(browser: Browser) -> list[float]:
    return [round(x) for x in browser.js("return [ofs.app.view.t0, ofs.app.view.t1]")]


def test_it_draws_candles_in_their_colours(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    assert browser.count("bull") > 2000
    assert browser.count("bear") > 2000
    found = browser.js(
        "const f = ofs.app.frame, out = [];"
        "for (let k = f.k0; k < f.k1; k += 1) {"
        "  const s = f.set, x = f.scale.x(s.t[k] + s.width / 2);"
        "  const [a, b] = [f.scale.y(s.open[k]), f.scale.y(s.close[k])];"
        "  if (Math.abs(a - b) > 12 && x < f.box.plot.w * 0.8)"
        "    out.push([x - 5, Math.min(a, b) + 1, 10, Math.abs(a - b) - 2,"
        "      s.close[k] >= s.open[k]]);"
        "} return out"
    )
    assert len(found) > 15
    right = sum(
        browser.count("bull" if up else "bear", (x, y, w, h)) > 0.3 * w * h
        for x, y, w, h, up in found
    )
    assert right > 0.8 * len(found)  # a mark of a fill may cover one


def test_panes_show_what_they_should(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    panes = browser.js("return Object.entries(ofs.app.frame.box.panes).map(([n, p]) => [n, p])")
    assert [name for name, _ in panes] == ["delta", "cvd", "book", "equity", "drawdown"]
    ink = {"delta": "bear", "cvd": "bear", "equity": "accent", "drawdown": "bear"}
    for name, pane in panes:
        if name in ink:
            box = (0, pane["y"] + 1, pane["w"], pane["h"] - 2)
            assert browser.count(ink[name], box) > 100, name
    browser.click("[data-pane=book]")
    assert "book" not in browser.js("return Object.keys(ofs.app.frame.box.panes)")
    assert "hide=book" in browser.wait("return location.hash")


def test_zooming_in_opens_the_footprint(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    assert browser.js("return ofs.app.frame.mode") == ""
    for _ in range(9):
        browser.keys("+")
    assert browser.js("return ofs.app.frame.mode") == "bid x ask"
    assert browser.count("poc") > 200  # the framed row of most volume
    wrong = browser.js(
        "const f = ofs.app.frame, s = f.set, bad = [];"
        "for (let k = 0; k < s.n; k += 1) {"
        "  const r = ofs.rowsOf(s.level, s.first[k], s.first[k + 1], f.rowsBy);"
        "  const sum = (a) => a.reduce((x, y) => x + y, 0);"
        "  if (sum(r.total) !== s.volume[k] || sum(r.buy) !== s.buy[k]) bad.push(k);"
        "  if (sum(r.sell) !== s.sell[k]) bad.push(k);"
        "} return [s.n, bad]"
    )
    assert wrong[0] > 300
    assert wrong[1] == []
    for mode in ("delta", "volume", "candles", "auto"):
        browser.js("const m = document.getElementById('mode'); m.value = arguments[0];"
                   "m.dispatchEvent(new Event('change'))", mode)  # fmt: skip
        browser.settle()
        shown = {"candles": "", "auto": "bid x ask"}.get(mode, mode)
        assert browser.js("return ofs.app.frame.mode") == shown


def test_profiles_are_the_kernels(browser: Browser, report_file: Path, replay_run: Run) -> None:
    """POC and value area of each 5 m candle in the page are those that the engine had."""
    log = replay_run.manifest["log"]["path"]
    state = replay_fold(LogStore(log), Request(STRATEGY, "delta_flip"), Nowhere()).fold.state
    theirs = {
        int(c["open_ns"]) // 1_000_000: [int(c[n]) for n in ("poc", "value_low", "value_high")]
        for c in ring(state, 2)
    }
    browser.open(report_file)
    ours = browser.js(
        "const s = ofs.candlesOf(ofs.data.levels[0], 300000), out = [];"
        "for (let k = 0; k < s.n; k += 1) {"
        "  const r = ofs.rowsOf(s.level, s.first[k], s.first[k + 1], 1);"
        "  const a = ofs.valueArea(r.total), u = s.level.rowUnits;"
        "  const area = [a.poc, a.low, a.high].map((x) => (x + r.low) * u);"
        "  out.push([ofs.data.t0 + s.t[k], r.n, area]);"
        "} return out"
    )
    assert len(theirs) == 71
    compared = {t: area for t, n, area in ours if t in theirs and n <= ROWS}  # else they merged
    assert len(compared) > 60
    assert compared == {t: theirs[t] for t in compared}


def test_cvd_is_that_of_the_decisions(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    compared, wrong = browser.js(
        "const l = ofs.data.levels[0], d = ofs.data.tables.decision; let n = 0, bad = [];"
        "for (let i = 0; i < d.length; i += 1) {"
        "  const k = l.slot.indexOf(d.ts_ns[i] / l.span);"
        "  if (k < 1 || l.slot[k - 1] !== l.slot[k] - 1) continue;"
        "  n += 1; if (l.cvdBefore[k] !== d.cvd[i]) bad.push([i, l.cvdBefore[k], d.cvd[i]]);"
        "} return [n, bad]"
    )
    assert compared > 1400
    assert wrong == []


def test_sessions_are_the_engines(browser: Browser, tmp_path: Path) -> None:
    """Seven hours divide no day: they are counted from the epoch, here with an hour's offset."""
    log_of(tmp_path / "log", {Kind.TRADE: trades(T, 12 * HOUR, 5 * S)})
    params = {"session.length": "7h", "session.offset": "1h"}
    run = run_of(tmp_path / "runs", tmp_path / "log", 12 * HOUR, None, params=params)
    browser.open(report_of(run)[1])
    resets = browser.js(
        "const l = ofs.data.levels[0];"
        "return Array.from(l.slot).filter((s, i) => i && l.cvdBefore[i] === 0)"
    )
    first = T - (T - HOUR) % (7 * HOUR)  # the session that holds the start
    ends = [first + n * 7 * HOUR for n in (1, 2)]
    assert resets == [(end - T) // (15 * S) for end in ends if end < T + 12 * HOUR]
    assert resets


def rows(sell: list[int], buy: list[int]) -> dict[str, Any]:
    total = [a + b for a, b in zip(sell, buy, strict=True)]
    return {"n": len(sell), "sell": sell, "buy": buy, "total": total}


@pytest.mark.parametrize(
    ("sell", "buy", "sold", "bought"),
    [
        # The hand case that a known engine fails: 50 sold at 100, 1 bought at 105, 30 at 120, in
        # rows of 5. Selling at 100 is 50 times the buying one row above. 1 against 50 is nothing.
        # The neighbour of 120 is 115, where nothing traded, and not 105.
        ([50, 0, 0, 0, 0], [0, 1, 0, 0, 30], [0], [4]),
        # 300 % is an imbalance, a little less is none; the diagonal counts, not the row.
        ([0, 10, 0], [5, 0, 30], [], [2]),
        ([0, 10, 0], [5, 0, 29], [], []),
        ([0, 30, 0], [0, 0, 10], [1], []),
        ([0, 29, 0], [0, 0, 10], [], []),
        ([10, 10, 10], [10, 10, 10], [], []),
        # Volumes decide, not how many trades there were; less than a mean cell decides nothing.
        ([2, 0, 100], [100, 2, 0], [], []),
    ],
)
def test_imbalances_by_hand(
    browser: Browser, report_file: Path, sell: list[int], buy: list[int], sold: list[int],
    bought: list[int],
) -> None:  # fmt: skip
    if not browser.js("return !!window.ofs"):
        browser.open(report_file)
    found = browser.js(
        "const r = ofs.imbalances(arguments[0]);"
        "const at = (a) => Array.from(a).flatMap((x, i) => (x ? [i] : []));"
        "return [at(r.sell), at(r.buy)]",
        rows(sell, buy),
    )
    assert found == [sold, bought]


def test_value_areas_by_hand(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    for total in ([1], [5, 5], [1, 2, 9, 2, 1], [3, 0, 7, 7, 0, 3], [10, 1, 1, 1, 10, 1, 1, 1]):
        found = browser.js("return ofs.valueArea(arguments[0])", total)
        poc, low, high, _ = profile(dict(enumerate(total)), Fraction(7, 10))
        assert (found["poc"], found["low"], found["high"]) == (poc, low, high), total


def test_a_fill_tells_its_reason(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, TRADE_18)
    fills = browser.js("return ofs.data.tables.fill.position_id.reduce("
                       "(a, p, i) => (p === 18 ? [...a, i] : a), [])")  # fmt: skip
    browser.move(*browser.place("fill", fills[0]))
    entry = browser.text("#tip")
    assert "walked the visible book" in entry
    for fact in ("caused by", "50 ms to the market", "fee", "slippage", "entry of trade 18"):
        assert fact in entry
    browser.move(*browser.place("fill", fills[1]))
    assert "a trade printed at the stop or beyond" in browser.text("#tip")
    assert "none, held by the broker" in browser.text("#tip")
    browser.move(*browser.place("fill", fills[1]), click=True)
    browser.move(30, 300)  # a click keeps it
    assert "exit of trade 18" in browser.text("#tip")
    browser.keys(Keys.ESCAPE)
    assert browser.js("return document.getElementById('tip').hidden")


def test_a_decision_shows_its_gates(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, TRADE_18)
    blocked = browser.js(
        "const d = ofs.data.tables.decision, v = ofs.app.view;"
        "return d.ts_ns.findIndex((t, i) => t > v.t0 && !d.action[i] && d.direction[i] && "
        "d.blocked[i])"
    )
    browser.js("ofs.app.view.t0 = ofs.data.tables.decision.ts_ns[arguments[0]] - 30e3;"
               "ofs.app.view.t1 = ofs.app.view.t0 + 60e3; ofs.app.draw()", blocked)  # fmt: skip
    browser.move(*browser.place("decision", blocked))
    tip = browser.text("#tip")
    assert "✗ cooldown" in tip
    assert "✓ flow" in tip
    for fact in ("delta, z", "CVD", "book", "price", "quality", "signal delta"):
        assert fact in tip


def test_the_table_jumps_and_sorts(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    rows = browser.js("return document.querySelectorAll('[data-trade]').length")
    assert rows == 27
    browser.click("[data-trade='8']")
    t0, t1 = view(browser)
    start, end = browser.js("const t = ofs.data.tradeById.get(8); return [t.open, t.close]")
    assert t0 < start < end < t1
    assert t1 - t0 < 3 * (end - start)
    assert "trade=8" in browser.js("return location.hash")
    assert browser.text("tr.chosen td") == "8"
    net = "document.querySelectorAll('.trades th')[8]"
    for way, sign in (("ascending", 1), ("descending", -1)):
        browser.js(f"{net}.click()")
        assert browser.js(f"return {net}.getAttribute('aria-sort')") == way
        values = browser.js("return [...document.querySelectorAll('.trades tbody tr')].map((r) => "
                            "ofs.data.tradeById.get(Number(r.dataset.trade)).net)")  # fmt: skip
        assert values == sorted(values, key=lambda x: sign * x)


def test_the_address_keeps_the_place(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    whole = view(browser)
    browser.click("[data-trade='3']")
    third = view(browser)
    browser.click("[data-trade='20']")
    twentieth = view(browser)
    assert len({str(v) for v in (whole, third, twentieth)}) == 3
    browser.driver.refresh()
    browser.wait("return !!window.ofs")
    assert view(browser) == twentieth
    browser.driver.back()
    browser.wait("return ofs.app.view.trade === 3")
    browser.settle()
    assert view(browser) == third
    browser.keys(Keys.HOME)
    assert view(browser) == whole


@pytest.mark.parametrize(
    "bad", ["#t=x~y", "#t=2026-01-05~2020-01-01&w=7m&m=none", "#&&=&p=2~1", "#%"]
)
def test_an_address_that_makes_no_sense_shows_the_whole(
    browser: Browser, report_file: Path, bad: str
) -> None:
    browser.open(report_file, bad)
    assert browser.js("const v = ofs.app.view; return v.t0 === v.home[0] && v.t1 === v.home[1]")


def test_pointer_and_keys_move_and_zoom(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    t0, t1 = view(browser)
    browser.js("ofs.app.surface.dispatchEvent(new WheelEvent('wheel',"
               "{deltaY: -400, clientX: 400, clientY: 300, cancelable: true}))")  # fmt: skip
    browser.settle()
    a0, a1 = view(browser)
    assert t0 < a0 < a1 < t1
    browser.keys(Keys.ARROW_RIGHT)
    b0, b1 = view(browser)
    assert b0 > a0
    assert b1 - b0 == pytest.approx(a1 - a0, abs=2)
    browser.keys("-")
    c0, c1 = view(browser)
    assert c1 - c0 > b1 - b0
    browser.keys("n")
    assert browser.js("return ofs.app.view.trade") == 1
    browser.keys("p", "p")
    assert browser.js("return ofs.app.view.trade") == 26


def test_dragging_moves_time_and_scales_prices(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, TRADE_18)
    t0, t1 = view(browser)
    top = browser.js("return ofs.app.surface.getBoundingClientRect().top")
    browser.drag((600, top + 200), (300, top + 200))
    a0, a1 = view(browser)
    shift = 300 * (t1 - t0) / browser.js("return ofs.app.frame.box.plot.w")
    assert a0 - t0 == pytest.approx(shift, rel=0.02)
    assert a1 - a0 == pytest.approx(t1 - t0, abs=2)
    low, high = browser.js("return [ofs.app.frame.scale.low, ofs.app.frame.scale.high]")
    axis = browser.js("return ofs.app.frame.box.plot.w") + 40
    browser.drag((axis, top + 150), (axis, top + 250))
    scaled = browser.js("return ofs.app.view.price")
    assert scaled[1] - scaled[0] > 1.5 * (high - low)
    assert "p=" in browser.wait("return location.hash.includes('p=') && location.hash")
    whole = browser.js("return ofs.app.frame.box.h - 10")
    browser.drag((200, top + whole), (800, top + whole))  # the strip at the bottom
    assert view(browser)[0] > a1


def test_the_crosshair_reads_values(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    blank = browser.js("return document.getElementById('over').toDataURL().length")
    browser.move(400, 250)
    assert browser.js("return document.getElementById('over').toDataURL().length") > blank


def test_dark_and_light(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, dark=True)
    dark = browser.picture()
    browser.open(report_file, dark=False)
    light = browser.picture()
    corner = (dark.width - 20, dark.height - 60)
    assert max(dark.getpixel(corner)) < 60  # type: ignore[type-var]
    assert min(light.getpixel(corner)) > 200  # type: ignore[type-var]
    browser.keys("t")
    assert max(browser.picture().getpixel(corner)) < 60  # type: ignore[type-var]


def test_a_phone(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, TRADE_18, size=PHONE, mobile=True)
    width = browser.js("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1] == PHONE[0]
    chart = browser.js("return document.getElementById('chart').getBoundingClientRect().toJSON()")
    assert chart["width"] == PHONE[0]
    assert 400 < chart["height"] < PHONE[1]
    assert browser.count("bull") > 200
    fill = browser.js("return ofs.data.tables.fill.position_id.indexOf(18)")
    x, y = browser.place("fill", fill)
    browser.touch("touchStart", (x, y))
    browser.touch("touchEnd")
    assert "walked the visible book" in browser.wait(
        "return document.getElementById('tip').innerText"
    )
    t0, t1 = view(browser)
    browser.touch("touchStart", (150, y + 40), (200, y + 40))
    browser.touch("touchMove", (90, y + 40), (280, y + 40))
    browser.touch("touchEnd")
    browser.settle()
    a0, a1 = view(browser)
    assert a1 - a0 < 0.5 * (t1 - t0)  # pinched: closer


def test_statistics_costs_and_manifest(
    browser: Browser, report_file: Path, replay_run: Run
) -> None:
    browser.open(report_file)
    browser.click("[aria-controls=tab-summary]")
    summary = browser.text("#tab-summary")
    for word in ("Sharpe ratio", "95 % interval", "Win rate", "Deflated Sharpe", "Fees", "Spread",
                 "Slippage", "Max drawdown"):  # fmt: skip
        assert word in summary
    assert browser.js("return document.querySelectorAll('.cost').length") == 5
    browser.click("[aria-controls=tab-run]")
    browser.js("document.getElementById('manifest').open = true")
    assert replay_run.manifest["state_digest"] in browser.text("#manifest pre")
    browser.click("#ask")
    assert browser.js("return document.getElementById('help').open")


def test_the_picture_in_the_readme_is_of_this_report(browser: Browser, report_file: Path) -> None:
    """``python -m tests.engine.report.picture`` takes it anew."""
    fresh = picture.take(browser, report_file)
    kept = Image.open(picture.FILE)
    assert picture.FILE.stat().st_size <= picture.BYTES_MAX
    assert kept.size == fresh.size == picture.SIZE
    assert picture.difference(fresh, kept) < picture.MEAN_DIFFERENCE_MAX
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"({picture.FILE.relative_to(ROOT).as_posix()})" in readme
    browser.open(report_file, picture.VIEW, size=picture.SIZE, dark=False)
    assert picture.difference(browser.picture(), kept) > 10 * picture.MEAN_DIFFERENCE_MAX
