"""What a terminal has of the past, in a log: in UTC, once, and the gaps that it closes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.enums import GapReason, Kind
from data.errors import NetworkError, UsageError
from data.events import EVENTS, Scales
from data.log import LogReader, LogStore
from engine.broker import mt5_history
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_history import History, open_gaps, utc_of
from engine.broker.mt5_source import Mt5Source
from engine.broker.mt5_way import Way
from engine.broker.protocol import BrokerError
from tests.engine.broker.ticking import MS, NS, Ticking

BEGIN = 1_717_243_200 * NS  # 2024-06-01 12:00 UTC
HOUR = 3_600 * NS
EURUSD = Scales(5, 0)


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path / "log", create=True)


@pytest.fixture
def there() -> Ticking:
    """A terminal with a tick every 20 s of a day and a half, and minutes of them."""
    found = Ticking()
    found.ticks["EURUSD"] = [
        (BEGIN - 36 * HOUR + k * 20 * NS, round(1.08 + k * 1e-5, 5), round(1.09 + k * 1e-5, 5))
        for k in range(36 * 180)
    ]
    found.now = BEGIN
    return found


def history(there: Ticking, store: LogStore) -> History:
    clock = ServerClock(there.clock.rule)
    return History(there, clock, store, {"EURUSD": EURUSD}, {"EURUSD": 100_000.0})


def rows(store: LogStore, kind: Kind, *more: int) -> dict[str, np.ndarray]:
    reader = LogReader(store, "mt5", "EURUSD", {kind: EVENTS[kind].names}, *more)
    parts = [batch.columns[kind] for batch in reader]
    return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


def record(store: LogStore, kind: Kind, columns: dict[str, list[int]]) -> None:
    """Rows as a session writes them."""
    arrays = {n: np.array(v, np.int64) for n, v in columns.items()}
    with store.transaction() as change:
        change.merge(kind, "mt5", "EURUSD", arrays, EURUSD)


def test_ticks_and_minutes_come_in_utc_once(there, store):
    told = history(there, store).fetch("EURUSD", Kind.QUOTE, BEGIN - 36 * HOUR, BEGIN)
    assert (told.rows, told.added, told.known, told.refused) == (6480, 6480, 0, 0)
    have = rows(store, Kind.QUOTE)
    assert have["ts_ns"].tolist() == [t for t, _, _ in there.ticks["EURUSD"]]
    assert have["bid"].tolist() == [108_000 + k for k in range(6480)]
    assert not have["recv_ns"].any() and not have["seq"].any() and not have["id"].any()
    again = history(there, store).fetch("EURUSD", Kind.QUOTE, BEGIN - HOUR, BEGIN)
    assert (again.rows, again.added, again.known) == (180, 0, 180)
    bars = history(there, store).fetch("EURUSD", Kind.BAR, BEGIN - HOUR, BEGIN)
    assert (bars.rows, bars.added) == (60, 60)
    have = rows(store, Kind.BAR)
    assert have["open_ns"].tolist()[:2] == [BEGIN - HOUR - 60 * NS, BEGIN - HOUR]
    assert set(have["trades"].tolist()) == {3} and set(have["interval_ns"].tolist()) == {60 * NS}
    assert set((have["ts_ns"] - have["open_ns"]).tolist()) == {60 * NS}


def test_what_a_session_recorded_is_not_added_again(there, store):
    recorded = there.ticks["EURUSD"][-90:]
    record(store, Kind.QUOTE, {
        "ts_ns": [t for t, _, _ in recorded], "recv_ns": [t + 5 * MS for t, _, _ in recorded],
        "seq": list(range(1, 91)), "id": [t // MS * 1000 for t, _, _ in recorded],
        "bid": [round(b * 1e5) for _, b, _ in recorded], "bid_qty": [0] * 90,
        "ask": [round(a * 1e5) for _, _, a in recorded], "ask_qty": [0] * 90,
    })  # fmt: skip
    told = history(there, store).fetch("EURUSD", Kind.QUOTE, BEGIN - HOUR, BEGIN)
    assert (told.rows, told.added, told.known) == (180, 90, 90)
    assert len(rows(store, Kind.QUOTE)["ts_ns"]) == 180


def test_the_hour_that_autumn_repeats(store):
    switch = 1_730_613_600 * NS  # New York puts the clock back
    there = Ticking()
    every = 10 * 60 * NS
    there.ticks["EURUSD"] = [(switch + k * every, 1 + k / 1000, 2.0) for k in range(-12, 12)]
    there.now = switch + 24 * HOUR
    wall = np.array([there.wall_ms(t) for t, _, _ in there.ticks["EURUSD"]])
    assert (np.diff(wall) < 0).sum() == 1
    assert utc_of(ServerClock("new-york"), wall, switch - 3 * HOUR).tolist() == [
        t for t, _, _ in there.ticks["EURUSD"]
    ]
    told = history(there, store).fetch("EURUSD", Kind.QUOTE, switch - 12 * HOUR, switch + 12 * HOUR)
    assert told.rows == 24  # by whatever order the terminal has that hour in, none is lost


def test_a_terminal_that_still_fetches_is_asked_again(there, store, monkeypatch):
    asked = []
    real = there.copy_ticks_range

    def slow(*args):
        asked.append(args)
        return real(*args) if len(asked) > 2 else None

    monkeypatch.setattr(there, "copy_ticks_range", slow)
    assert history(there, store).fetch("EURUSD", Kind.QUOTE, BEGIN - HOUR, BEGIN).added == 180
    monkeypatch.setattr(there, "copy_ticks_range", lambda *_: None)
    with pytest.raises(BrokerError, match="copy_ticks_range failed"):
        history(there, store).fetch("EURUSD", Kind.QUOTE, BEGIN - HOUR, BEGIN)


def test_what_is_off_the_grid_is_counted_and_left_out(there, store):
    there.ticks["EURUSD"][-3:] = [
        (BEGIN - 30 * NS, 1.080005, 1.09), (BEGIN - 20 * NS, 0.0, 1.09), (BEGIN - 10 * NS, 1, 2),
    ]  # fmt: skip
    told = history(there, store).fetch("EURUSD", Kind.QUOTE, BEGIN - 31 * NS, BEGIN)
    assert (told.rows, told.refused, told.added) == (3, 1, 1)


# --- gaps ----------------------------------------------------------------------------------------


class Here(Way):
    """A way to a terminal of this process."""

    __slots__ = ("at",)

    def open(self):
        return self.at

    def now_ns(self) -> int:
        return self.at.now_ns()


def source_of(there: Ticking, **more) -> Mt5Source:
    way = Here(**more)
    object.__setattr__(way, "at", there)
    return Mt5Source(way)


def gap(kind: Kind, begin: int, end: int, ts: int, seq: int) -> dict[str, int]:
    return {"ts_ns": ts, "recv_ns": end, "seq": seq, "id": 0, "stream": int(kind),
            "from_ns": begin, "to_ns": end, "from_id": 0, "to_id": 0,
            "reason": int(GapReason.DISCONNECT), "filled": 0}  # fmt: skip


def test_a_recorded_gap_is_fetched_and_marked(there, store):
    lost, back = BEGIN - 2 * HOUR, BEGIN - HOUR
    told = [
        gap(Kind.QUOTE, lost, lost + 5 * NS, lost, 1), gap(Kind.QUOTE, lost, back, back, 2),
        gap(Kind.BAR, lost, back, back, 3),
    ]  # fmt: skip
    record(store, Kind.GAP, {name: [g[name] for g in told] for name in told[0]})
    assert open_gaps(store, "EURUSD", BEGIN - 24 * HOUR) == {
        Kind.QUOTE: [(lost, lost + 5 * NS), (lost, back)], Kind.BAR: [(lost, back)],
    }  # fmt: skip
    fill = source_of(there).filler(store, ["EURUSD"], lambda: BEGIN)
    fill()
    times = rows(store, Kind.QUOTE)["ts_ns"]
    assert (times.min(), times.max(), len(times)) == (lost, back, 181)
    assert len(rows(store, Kind.BAR)["ts_ns"]) == 61
    assert rows(store, Kind.GAP)["filled"].tolist() == [1, 1, 1]
    there.calls.clear()
    fill()
    assert there.calls == []  # nothing is open any more: nobody is asked


def test_a_range_that_was_fetched_closes_the_gaps_inside_of_it(there, store):
    told = [
        gap(Kind.QUOTE, BEGIN - 2 * HOUR, BEGIN - HOUR, BEGIN - HOUR, 1),
        gap(Kind.QUOTE, BEGIN - 9 * HOUR, BEGIN - HOUR, BEGIN - HOUR, 2),
        gap(Kind.BAR, BEGIN - 2 * HOUR, BEGIN - HOUR, BEGIN - HOUR, 3),
    ]  # fmt: skip
    record(store, Kind.GAP, {name: [g[name] for g in told] for name in told[0]})
    asked = history(there, store)
    assert asked.settle(asked.fetch("EURUSD", Kind.QUOTE, BEGIN - 3 * HOUR, BEGIN)) == 1
    assert asked.settle(asked.fetch("EURUSD", Kind.QUOTE, BEGIN + HOUR, BEGIN + 2 * HOUR)) == 0
    by_seq = rows(store, Kind.GAP)
    assert dict(zip(by_seq["seq"].tolist(), by_seq["filled"].tolist(), strict=True)) == {
        1: 1, 2: 0, 3: 0,
    }  # fmt: skip


def test_a_gap_that_cannot_be_closed_is_left_after_three_tries(there, store, monkeypatch):
    monkeypatch.setattr(mt5_history, "RETRY_S", 0.0)
    told = gap(Kind.QUOTE, BEGIN - HOUR, BEGIN, BEGIN, 1)
    record(store, Kind.GAP, {name: [value] for name, value in told.items()})
    fill = source_of(there).filler(store, ["EURUSD"], lambda: BEGIN)
    there.fail = {"initialize": -10003}
    with pytest.raises(NetworkError, match="initialize failed"):
        fill()  # nobody is there: that is no try
    there.fail = {"copy_ticks_range": -1}
    for _ in range(3):
        with pytest.raises(NetworkError, match="copy_ticks_range failed"):
            fill()
    fill()
    assert rows(store, Kind.GAP)["filled"].tolist() == [0]


# --- the source ----------------------------------------------------------------------------------


def test_instruments_come_with_the_scales_of_the_symbol(there):
    source = source_of(there)
    (series,) = source.series(["EURUSD"], "--symbol")
    assert (series.venue, series.symbol, series.scales) == ("mt5", "EURUSD", EURUSD)
    assert source.account == (7, "Fake-Server")


def test_a_rule_that_a_quote_refutes_is_refused_at_once(there):
    there.now = there.ticks["EURUSD"][-1][0]
    with pytest.raises(BrokerError, match="does not run by the rule 'utc'"):
        source_of(there, rule="utc").series(["EURUSD"], "--symbol")


def test_another_account_is_refused(there):
    with pytest.raises(BrokerError, match="is not at account 8 of Fake-Server"):
        source_of(there, login=8).series(["EURUSD"], "--symbol")


def test_an_unknown_symbol_is_named_with_those_that_are_like_it(there, monkeypatch):
    monkeypatch.setattr(there, "symbol_select", lambda name, _: name in there.ticks, raising=False)
    monkeypatch.setattr(there, "symbols_get", lambda: [there.symbol_info("EURUSD")], raising=False)
    with pytest.raises(UsageError) as refused:
        source_of(there).series(["EURUSD", "EURUSD.m"], "--symbol")
    assert refused.value.where == "--symbol"
    assert refused.value.why.endswith("it has EURUSD")
