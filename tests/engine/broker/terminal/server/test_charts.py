"""Ticks, bars and times of the stand-in, by the server's wall clock; quotes taken from a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.events import Kind, Scales
from data.log import LogStore
from engine.broker.mt5_clock import ServerClock as Adapter
from engine.broker.terminal.server.clock import HOURS, ServerClock, Sessions
from engine.broker.terminal.server.quotes import Quotes
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec, spec_of
from engine.broker.terminal.server.tapes import Series
from tests.data.make_log import T, depth, trades
from tests.engine.broker.terminal.server.made import NOON_NS, NS, send, server, value

HOUR_NS = 3600 * NS
MINUTES = [(20.0 * k, 1.1 + (k * 7 % 11) * 1e-4, 1.1001 + (k * 7 % 11) * 1e-4) for k in range(30)]
WALL_S = NOON_NS // NS + 3 * 3600


@pytest.mark.parametrize("rule", ["new-york", "eet", "utc+3", "utc", "utc+5:30", "-03:00"])
@given(seconds=st.integers(1_500_000_000, 1_900_000_000))
def test_the_clock_is_the_adapters(rule: str, seconds: int) -> None:
    ns = seconds * NS
    clock, adapter = ServerClock(rule), Adapter(rule)
    assert clock.wall_ns(ns) == adapter.to_server_ns(ns)
    back = clock.utc_ns(clock.wall_ns(ns))
    assert back == ns or back == ns - HOUR_NS  # the first pass of a doubled hour


def test_the_hours_of_fx_follow_new_york() -> None:
    sunday_ns = 1_772_917_200 * NS  # 2026-03-07 21:00 UTC, a Saturday
    fx = Sessions(HOURS["fx"], ServerClock("new-york"))
    opens = [h for h in range(72) if fx.open(sunday_ns + h * HOUR_NS)]
    # the clocks of the USA went forward on Sunday the 8th: 17:00 in New York is 21:00 UTC
    assert opens[0] == 24
    metals = Sessions(HOURS["metals"], ServerClock("new-york"))
    assert next(h for h in range(72) if metals.open(sunday_ns + h * HOUR_NS)) == 25


def bars(made: SimServer, name: str, **payload: Any) -> list[tuple[Any, ...]]:
    columns = value(made, name, symbol="EURUSD", **payload)
    names = ("time", "open", "high", "low", "close", "tick_volume", "spread")
    return list(zip(*(columns[n].tolist() for n in names), strict=True))


def test_bars_are_those_of_the_ticks() -> None:
    made = server(*MINUTES)
    made.advance(NOON_NS + 590 * NS)
    found = bars(made, "copy_rates_from_pos", timeframe=1, start_pos=0, count=100)
    assert [b[0] for b in found] == [WALL_S + 60 * k for k in range(10)]
    for number, bar in enumerate(found):
        bids = [round(b, 5) for _, b, _ in MINUTES[3 * number : 3 * number + 3]]
        assert bar[1:] == (bids[0], max(bids), min(bids), bids[-1], 3, 10)


def test_questions_for_bars_agree() -> None:
    made = server(*MINUTES)
    made.advance(NOON_NS + 590 * NS)
    every = bars(made, "copy_rates_from_pos", timeframe=1, start_pos=0, count=100)
    assert bars(made, "copy_rates_from_pos", timeframe=1, start_pos=2, count=3) == every[5:8]
    assert bars(made, "copy_rates_from_pos", timeframe=1, start_pos=0, count=2) == every[8:]
    assert bars(made, "copy_rates_from_pos", timeframe=1, start_pos=50, count=3) == []
    ask = {"timeframe": 1, "date_from": WALL_S + 200}
    assert bars(made, "copy_rates_from", **ask, count=2) == every[2:4]
    assert bars(made, "copy_rates_range", **ask, date_to=WALL_S + 360) == every[4:7]
    five = bars(made, "copy_rates_from_pos", timeframe=5, start_pos=0, count=9)
    assert [b[0] for b in five] == [WALL_S, WALL_S + 300]
    assert five[0][1:6] == (
        every[0][1], max(b[2] for b in every[:5]), min(b[3] for b in every[:5]), every[4][4], 15
    )  # fmt: skip
    assert made.call("copy_rates_from_pos", {"symbol": "EURUSD", "timeframe": 7, "start_pos": 0,
                                             "count": 1}).error[0] == -2  # fmt: skip


@pytest.mark.parametrize(
    ("timeframe", "begin_s"),
    [
        (16385, WALL_S),
        (16388, WALL_S - 3 * 3600),
        (16408, WALL_S - 15 * 3600),
        (32769, WALL_S - 15 * 3600 - 2 * 86_400),  # Sunday
        (49153, WALL_S - 15 * 3600 - 13 * 86_400),  # the 1st
    ],
)
def test_long_bars_begin_by_the_wall_clock(timeframe: int, begin_s: int) -> None:
    made = server(*MINUTES)
    made.advance(NOON_NS + 590 * NS)
    [bar] = bars(made, "copy_rates_from_pos", timeframe=timeframe, start_pos=0, count=5)
    assert (bar[0], bar[5]) == (begin_s, 30)


def test_ticks_say_which_side_changed() -> None:
    made = server((0, 1.1, 1.1001), (1, 1.1, 1.1002), (2, 1.0999, 1.1002), (3.5, 1.1, 1.1001))
    made.advance(NOON_NS + 10 * NS)
    ask = {"symbol": "EURUSD", "date_from": WALL_S + 1, "flags": -1}
    found = value(made, "copy_ticks_from", **ask, count=2)
    assert found["flags"].tolist() == [4, 2]
    assert found["time_msc"].tolist() == [(WALL_S + 1) * 1000, (WALL_S + 2) * 1000]
    found = value(made, "copy_ticks_range", **ask, date_to=WALL_S + 3)
    assert found["time_msc"].tolist()[-1] == (WALL_S + 3) * 1000 + 500
    found = value(made, "copy_ticks_from", **{**ask, "date_from": 0, "flags": 2}, count=9)
    assert len(found["time"]) == 0


def test_the_older_half_is_dropped_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.broker.terminal.server.quotes.ROWS_MOST", 3000)
    quotes = Quotes()
    for k in range(10_000):
        quotes.add(k, k, k + 1)
    ts = quotes.columns()[0]
    assert quotes.rows + quotes.dropped == 10_000 and quotes.rows <= 3001
    assert ts.tolist() == list(range(10_000 - quotes.rows, 10_000))


# --- a log


def log_of(folder: Path, kinds: tuple[Kind, ...]) -> LogStore:
    store = LogStore(folder, create=True)
    n = np.arange(50, dtype=np.int64)
    quote = {"ts_ns": T + n * NS, "id": n + 1, "bid": 600_000 + n // 2, "bid_qty": 10 + n,
             "ask": 600_003 + n // 2, "ask_qty": 20 + n}  # fmt: skip
    rows = {Kind.TRADE: trades(T, 50), Kind.DEPTH: depth(T, 50), Kind.QUOTE: quote}
    with store.transaction() as change:
        for kind in kinds:
            change.merge(kind, "binance-um", "BTCUSDT", rows[kind], Scales(1, 3))
    return store


def read(store: LogStore, spec: SymbolSpec) -> dict[str, np.ndarray]:
    blocks = list(Series(store, "binance-um", "BTCUSDT", delay_ns=NS).blocks(spec))
    names = ("ts_ns", "bid", "ask", "bid_size", "ask_size")
    return {k: np.concatenate([getattr(b, k) for b in blocks]) for k in names}


def test_the_best_kind_of_a_log_is_played(tmp_path: Path) -> None:
    spec = spec_of("BTCUSDc", digits=1, spread=30)
    every = log_of(tmp_path / "all", (Kind.TRADE, Kind.DEPTH, Kind.QUOTE))
    found = read(every, spec)
    assert found["bid"].tolist() == [600_000 + k for k in range(25)]
    assert found["ts_ns"].tolist() == [T + (2 * k + 1) * NS for k in range(25)]
    assert found["ask_size"][0] == 2_000_000  # 20 of 1e-3, at 1 a lot
    books = read(log_of(tmp_path / "books", (Kind.TRADE, Kind.DEPTH)), spec)
    assert (books["bid"] < books["ask"]).all() and (books["bid_size"] > 0).all()
    prints = read(log_of(tmp_path / "prints", (Kind.TRADE,)), spec)
    assert set((prints["ask"] - prints["bid"]).tolist()) == {30}


def test_a_quote_never_looks_better_than_the_log_says(tmp_path: Path) -> None:
    store = log_of(tmp_path / "log", (Kind.QUOTE,))
    found = read(store, spec_of("BTCUSDc", digits=0, tick=5))
    assert set(found["bid"].tolist()) == {60_000} and set(found["ask"].tolist()) == {60_005}


def test_splitting_time_changes_nothing(tmp_path: Path) -> None:
    store = log_of(tmp_path / "log", (Kind.QUOTE,))

    def last(steps: int) -> tuple[Any, ...]:
        spec = spec_of("BTCUSDc", digits=1)
        tapes = {"BTCUSDc": Series(store, "binance-um", "BTCUSDT").blocks(spec)}
        made = SimServer("new-york", [spec], AccountSpec(), start_ns=T, tapes=tapes)
        made.advance(T)
        request = {"action": 1, "type": 0, "volume": 0.01, "tp": 60_001.5, "type_filling": 1}
        send(made, **request)
        for k in range(steps):
            made.advance(T + (k + 1) * 50 * NS // steps)
        made.advance(T + 50 * NS)
        return made.facts(), made.ledger.deals, made.market.quotes["BTCUSDc"].rows

    assert last(1) == last(7) == last(500)
    assert last(1)[0]["server"] == {"take profits": 1}
