"""Reports of runs that are not as one would like them, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.enums import Action, GapReason, Lifecycle, MarketState, OrderReason, OrderState, OrderType
from data.events import Kind
from data.log import LogStore
from data.runs import find_run
from data.sources.synthetic import MarketSpec, write_market
from engine.runtime.backtest import backtest
from engine.runtime.replay import Request
from strategies.delta_flip import STRATEGY
from tests.data.make_runs import T
from tests.engine.report.browser import COPY, Browser
from tests.engine.report.cases import (
    DAY,
    HOUR,
    MINUTE,
    S,
    log_of,
    report_of,
    run_of,
    tables_of,
    trades,
)  # fmt: skip

DAY_BYTES_MAX = 3_000_000
REDRAW_MS_MAX = 50


def test_a_name_is_never_code(browser: Browser, tmp_path: Path) -> None:
    evil = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    run = run_of(
        tmp_path / "runs", tmp_path / "nowhere", HOUR, tables_of([T + 60 * S]),
        strategy=evil, symbol=evil, currency=evil, gates=[evil] * 3, params={evil: evil},
        detectors=[evil],
    )  # fmt: skip
    _, path = report_of(run)
    browser.open(path, "#trade=<img/src=x/onerror=alert(1)>")
    browser.move(*browser.place("fill", 0), click=True)
    browser.move(*browser.place("decision", 0))
    browser.js("ofs.app.unpin()")
    browser.move(*browser.place("decision", 0))
    assert browser.text("#title") == evil
    assert evil in browser.text("#tip .gates")
    assert browser.js("return [window.hacked, document.images.length]") == [None, 0]


def test_a_decision_of_a_desk_says_who_refused_and_where_stop_and_target_stood(
    browser: Browser, tmp_path: Path
) -> None:
    tables = tables_of([T + 60 * S])
    tables["decision"][0] |= {
        "lifecycle": int(Lifecycle.POSITION_ENTRY), "market": int(MarketState.PUMP), "plan": 7,
        "probability_fp9": 610_000_000, "needed_fp9": 420_000_000, "refused": 0b10, "qty": 1000,
        "stop": 599_000, "target": 602_000, "risk": 99 * 10**8,
    }  # fmt: skip
    tables["decision"].insert(1, {
        "ts_ns": T + 90 * S, "id": 2, "action": int(Action.MOVE_STOP), "stop": 599_500,
        "price": 600_000,
    })  # fmt: skip
    run = run_of(
        tmp_path / "runs", tmp_path / "nowhere", HOUR, tables, refusals=["spread", "daily_loss"]
    )
    browser.open(report_of(run)[1])
    brackets = browser.js("return ofs.data.brackets.map((b) => [b.to - b.from, b.stop, b.target])")
    assert brackets == [[30e3, 599_000, 602_000], [30e3, 599_500, 602_000]]
    browser.move(*browser.place("decision", 0))
    told = browser.text("#tip").split("\n")
    for name, value in {
        "refused by": "daily loss", "state": "position entry", "market": "pump", "plan": "7",
        "probability": "0.610", "needed": "0.420", "stop": "59,900.0", "target": "60,200.0",
    }.items():  # fmt: skip
        assert told[told.index(name) + 1] == value


def test_a_log_that_is_gone_is_said_and_drawn_around(browser: Browser, tmp_path: Path) -> None:
    starts = [T + n * 300 * S for n in range(1, 9)]
    _, path = report_of(run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, tables_of(starts)))
    browser.open(path)
    assert "The log of this run cannot be read" in browser.text("#notes")
    assert browser.js("return [ofs.app.frame.set.n > 5, ofs.data.has.footprint]") == [True, False]
    assert browser.js("return document.getElementById('mode').disabled")
    browser.move(*browser.place("fill", 3))
    assert "walked the visible book" in browser.text("#tip")


def test_a_run_without_anything(browser: Browser, tmp_path: Path) -> None:
    _, path = report_of(run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, None))
    browser.open(path)
    assert "closed no position" in browser.text("#panel")
    assert browser.js("return Object.keys(ofs.app.frame.box.panes)") == []
    browser.keys("+", "n", "f", "t")


def test_a_run_over_quotes_alone(browser: Browser, tmp_path: Path) -> None:
    n = np.arange(3600, dtype=np.int64)
    bid = 600_000 + (n // 40) % 50
    quotes = {"ts_ns": T + n * S, "id": n, "bid": bid, "bid_qty": n + 1, "ask": bid + 2,
              "ask_qty": n + 1}  # fmt: skip
    log_of(tmp_path / "log", {Kind.QUOTE: quotes})
    _, path = report_of(
        run_of(tmp_path / "runs", tmp_path / "log", HOUR, tables_of([T + HOUR // 2]))
    )
    browser.open(path)
    assert "the middle of bid and ask" in browser.text("#notes")
    assert browser.js("return ofs.app.frame.set.n") == 60
    assert browser.js("return Object.keys(ofs.app.frame.box.panes)") == ["equity", "drawdown"]
    assert browser.count("bull") > 100


def test_a_gap_is_hatched(browser: Browser, tmp_path: Path) -> None:
    rows = trades(T, HOUR, S)
    away = (rows["ts_ns"] > T + 20 * MINUTE) & (rows["ts_ns"] < T + 35 * MINUTE)
    one = np.ones(1, dtype=np.int64)
    gap = {
        "ts_ns": one * (T + 35 * MINUTE), "id": 0 * one, "stream": np.array([4], np.int8),
        "from_ns": one * (T + 20 * MINUTE), "to_ns": one * (T + 35 * MINUTE), "from_id": 0 * one,
        "to_id": 0 * one, "reason": np.full(1, int(GapReason.DISCONNECT), np.int8),
        "filled": np.zeros(1, np.int8),
    }  # fmt: skip
    log_of(tmp_path / "log", {Kind.TRADE: {k: v[~away] for k, v in rows.items()}, Kind.GAP: gap})
    _, path = report_of(run_of(tmp_path / "runs", tmp_path / "log", HOUR, None))
    browser.open(path)
    x0, x1, h = browser.js(
        "const s = ofs.app.frame.scale, g = ofs.data.gaps[0];"
        "return [s.x(g.from), s.x(g.to), ofs.app.frame.box.price.h]"
    )
    assert x1 - x0 > 100
    count = (
        f"const [x, w, h] = arguments, c = document.getElementById('base'); {COPY}"
        "const p = copy.getImageData(x, 30, w, h - 60).data; let n = 0;"
        "for (let i = 0; i < p.length; i += 4) n += p[i] > p[i + 2] + 25 && p[i] > p[i + 1] + 25;"
        "return n"
    )
    assert browser.js(count, x0 + 5, x1 - x0 - 10, h) > 1500
    assert browser.count("bull", (x0 + 5, 30, x1 - x0 - 10, h - 60)) == 0
    browser.move(x0 + 60, 300)
    tip = browser.text("#tip")
    assert "trade" in tip and "disconnect" in tip and "15m 00s" in tip


def test_orders_that_rest_are_lines(browser: Browser, tmp_path: Path) -> None:
    log_of(tmp_path / "log", {Kind.TRADE: trades(T, HOUR, S)})
    tables = tables_of([T + 20 * MINUTE])
    limit = {
        "id": 90, "ts_ns": T + 5 * MINUTE, "active_ns": T + 5 * MINUTE, "side": 1, "qty": 500,
        "done_ns": T + 15 * MINUTE, "type": int(OrderType.LIMIT), "price": 600_200,
        "state": int(OrderState.CANCELLED), "reason": int(OrderReason.BY_STRATEGY),
    }  # fmt: skip
    stop = {**limit, "id": 91, "type": int(OrderType.STOP), "side": -1, "price": 600_100,
            "position_id": 1, "ts_ns": T + 21 * MINUTE, "active_ns": T + 21 * MINUTE,
            "done_ns": T + 21 * MINUTE, "state": int(OrderState.FILLED), "reason": 0}  # fmt: skip
    moved = {"ts_ns": T + 20 * MINUTE + 30 * S, "id": 9, "action": int(Action.MOVE_STOP)}
    tables["order"] += [limit, stop]
    tables["decision"].insert(1, moved)
    _, path = report_of(run_of(tmp_path / "runs", tmp_path / "log", HOUR, tables))
    browser.open(path)
    rests = browser.js("return ofs.data.rests")
    assert rests[:2] == [None, None]  # market orders never rest
    assert rests[2] == [300_000, 900_000]
    assert rests[3] == [1_230_000, 1_260_000]  # from the last move of the stop
    x0, x1, y = browser.js(
        "const s = ofs.app.frame.scale; return [s.x(300000), s.x(900000), s.y(600200)]"
    )
    assert browser.count("bull", (x0 + 4, y - 1, x1 - x0 - 8, 3)) > 0.9 * (x1 - x0 - 8)
    top = browser.js("return ofs.app.surface.getBoundingClientRect().top")
    browser.move((x0 + x1) / 2, top + y)
    tip = browser.text("#tip")
    assert "LIMIT buy 0.5 @ 60,020.0" in tip
    assert "cancelled: by strategy" in tip
    assert "10m 00s" in tip


def test_a_month_shows_its_fills_in_fine_candles(browser: Browser, tmp_path: Path) -> None:
    length = 30 * DAY
    log_of(tmp_path / "log", {Kind.TRADE: trades(T, length, 30 * S)})
    starts = [T + d * DAY + 5 * HOUR for d in (3, 11, 27)]
    _, path = report_of(run_of(tmp_path / "runs", tmp_path / "log", length, tables_of(starts)))
    browser.open(path)
    assert browser.js("return ofs.app.frame.width") >= 3_600_000
    browser.click("[data-trade='2']")
    assert browser.js("return [ofs.app.frame.level.span, ofs.app.frame.width]") == [15000, 60000]
    assert browser.js("const f = ofs.app.frame; return f.k1 - f.k0") > 3
    cvd = browser.js(
        "const [w, f] = ofs.data.levels, i = f.slot.length - 1, t = f.slot[i] * f.span;"
        "const k = w.slot.indexOf(Math.floor(t / w.span));"
        "const j = f.slot.findIndex((s) => s * f.span >= w.slot[k] * w.span);"
        "return [w.cvdBefore[k], f.cvdBefore[j]]"
    )
    assert cvd[0] == cvd[1]  # the running delta of fine candles goes on from the wide ones
    browser.js(
        "const v = ofs.app.view; v.t0 = arguments[0]; v.t1 = v.t0 + 3e6; ofs.app.draw()",
        20 * DAY // 10**6,
    )
    assert browser.js("return ofs.app.frame.width") == 300_000  # no fine candles there


def test_a_day_of_real_density_is_small_and_quick(browser: Browser, tmp_path: Path) -> None:
    store = LogStore(tmp_path / "log", create=True)
    write_market(store, MarketSpec(seed=3, rate_per_s=27.0, depth_ms=1000))
    runs = tmp_path / "runs"
    made = backtest(store, str(tmp_path / "log"), Request(STRATEGY, "delta_flip"), runs)
    assert made["counts"]["trades"] > 1_500_000
    _, path = report_of(find_run(runs, made["run"]))
    assert path.stat().st_size < DAY_BYTES_MAX
    browser.open(path)
    spent = browser.js("return Array.from({length: 12}, () => ofs.app.draw())")
    assert min(spent) < REDRAW_MS_MAX, spent
    browser.js("ofs.app.view.width = 15e3")
    fine = browser.js("return Array.from({length: 12}, () => ofs.app.draw())")
    assert browser.js("return ofs.app.frame.k1") > 5000
    assert min(fine) < REDRAW_MS_MAX, fine


OLD = "delete window.DecompressionStream;"


def test_a_browser_that_is_too_old_is_told_so(chromium: Browser, tmp_path: Path) -> None:
    _, path = report_of(run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, None))
    cdp = chromium.driver.execute_cdp_cmd
    script: dict[str, Any] = cdp("Page.addScriptToEvaluateOnNewDocument", {"source": OLD})
    try:
        chromium.open(path, ready=False)
        text = chromium.wait("const l = document.getElementById('loading');"
                             "return l.className === 'failed' && l.innerText")  # fmt: skip
    finally:
        cdp("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script["identifier"]})
    assert "too old to unpack the report" in text
    assert "Firefox 113" in text


@pytest.mark.parametrize("what", ["data", "meta"])
def test_a_file_that_was_cut_short_says_that_it_cannot_be_shown(
    chromium: Browser, tmp_path: Path, what: str
) -> None:
    tables = tables_of([T + n * 60 * S for n in range(1, 40)])
    report, path = report_of(run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, tables))
    start = report.html.index(f'id="{what}">') + len(what) + 40
    path.write_text(report.html[:start] + report.html[start + 200 :], encoding="utf-8")
    chromium.open(path, ready=False)
    assert "cannot be shown" in chromium.wait(
        "const l = document.getElementById('loading'); return l.className && l.innerText"
    )
