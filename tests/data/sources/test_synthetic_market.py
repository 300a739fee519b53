"""Synthetic markets: equal specifications give equal bits, and the tape fits the book."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from data.errors import ConfigError
from data.events import Kind, Scales
from data.sources.synthetic import PATTERN_KINDS, MarketSpec, generate, join
from tests.data.sources.synthetic_markets import NS, digest, market, plain

SMALL = MarketSpec(
    seed=9, duration_s=1_200, rate_per_s=10.0, every_s=480, patterns=("absorption", "flow_flip")
)


def other_process(**environment: str) -> str:
    """The digest of SMALL as another process computes it."""
    code = (
        "from tests.data.sources.synthetic_markets import digest\n"
        "from tests.data.sources.test_synthetic_market import SMALL\n"
        "print(digest(SMALL))\n"
    )
    env = {**os.environ, **environment}
    out = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return out.stdout.strip()


def test_equal_in_another_process_whatever_its_hash_seed() -> None:
    """A seed of its own there, the one of the test run here."""
    assert other_process(PYTHONHASHSEED="77") == digest(SMALL)


def test_equal_without_the_compiler() -> None:
    short = replace(SMALL, duration_s=480)
    code = (
        "from dataclasses import replace\n"
        "from tests.data.sources.synthetic_markets import digest\n"
        "from tests.data.sources.test_synthetic_market import SMALL\n"
        "print(digest(replace(SMALL, duration_s=480)))\n"
    )
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    out = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert out.stdout.strip() == digest(short)


@pytest.mark.parametrize(
    "change", [{"seed": 10}, {"rate_per_s": 11.0}, {"daily_vol": 0.02}, {"null": True}]
)
def test_other_parameters_give_another_market(change: dict) -> None:
    assert digest(replace(SMALL, **change)) != digest(SMALL)


def test_a_longer_market_begins_as_the_shorter_one() -> None:
    long, short = market(SMALL), market(replace(SMALL, duration_s=540))
    for name in ("ts_ns", "id", "price", "qty", "side"):
        n = len(short.trades[name])
        assert n > 1_000
        np.testing.assert_array_equal(short.trades[name], long.trades[name][:n])
    n = len(short.depth["ts_ns"])
    np.testing.assert_array_equal(short.levels("ask_qty"), long.levels("ask_qty")[:n])


def test_chunks_follow_each_other_and_none_reaches_over_midnight() -> None:
    spec = plain().spec
    chunks = list(generate(spec))
    assert [c.from_ns for c in chunks[1:]] == [c.to_ns for c in chunks[:-1]]
    assert (chunks[0].from_ns, chunks[-1].to_ns) == (spec.start_ns, spec.end_ns)
    day = 86_400 * NS
    assert all(c.from_ns // day == (c.to_ns - 1) // day for c in chunks)
    for c in chunks:
        for kind in (Kind.TRADE, Kind.DEPTH):
            ts = c.columns[kind]["ts_ns"]
            assert c.from_ns <= ts[0]
            assert ts[-1] < c.to_ns


def test_trades_have_contiguous_ids_whole_milliseconds_and_rising_times() -> None:
    t = plain().trades
    np.testing.assert_array_equal(np.diff(t["id"]), 1)
    assert t["id"][0] == 1
    assert (t["ts_ns"] % 1_000_000 == 0).all()
    assert (np.diff(t["ts_ns"]) >= 0).all()
    assert set(np.unique(t["side"])) == {-1, 1}
    assert t["qty"].min() >= 1
    assert not t["recv_ns"].any()
    assert not t["seq"].any()
    assert {t[n].dtype for n in ("ts_ns", "id", "price", "qty")} == {np.dtype("i8")}
    assert t["side"].dtype == np.dtype("i1")


def test_books_are_on_time_sorted_never_crossed_and_never_empty() -> None:
    m = plain()
    step = m.spec.depth_ms * 1_000_000
    want = np.arange(m.spec.start_ns, m.spec.end_ns, step)
    np.testing.assert_array_equal(m.depth["ts_ns"], want)
    assert (np.diff(m.levels("bid_price"), axis=1) < 0).all()
    assert (np.diff(m.levels("ask_price"), axis=1) > 0).all()
    assert (m.levels("bid_price")[:, 0] < m.levels("ask_price")[:, 0]).all()
    assert m.levels("bid_qty").min() >= 1
    assert m.levels("ask_qty").min() >= 1
    assert (np.diff(m.depth["id"]) == 1).all()


def test_a_trade_lies_at_the_touch_of_its_order_or_within_its_sweep() -> None:
    m = plain()
    t = m.trades
    buy = t["side"] > 0
    away = np.where(buy, t["price"] - m.ask_before, m.bid_before - t["price"])
    assert away.min() == 0
    assert away.max() <= 64
    assert (m.bid_before < m.ask_before).all()
    # the first print of an order is at the touch: the touch before it is another one
    same = (
        (np.diff(m.ask_before) == 0) & (np.diff(m.bid_before) == 0) & (np.diff(t["side"]) == 0)
        & (np.diff(t["ts_ns"]) == 0)
    )  # fmt: skip
    assert (away[1:][~same] == 0).all()
    # a sweep goes outwards
    assert (away[1:][same] >= 0).all()
    assert 0.5 < (away == 0).mean() < 0.9


def test_a_snapshot_shows_the_book_that_the_next_order_meets() -> None:
    """Where the touch did not move between two snapshots, orders between them met that touch."""
    m = plain()
    ask, bid = m.levels("ask_price")[:, 0], m.levels("bid_price")[:, 0]
    k = np.searchsorted(m.depth["ts_ns"], m.trades["ts_ns"], side="right") - 1
    k = np.minimum(k, len(ask) - 2)
    still = (ask[k] == ask[k + 1]) & (bid[k] == bid[k + 1])
    met = (m.ask_before == ask[k]) & (m.bid_before == bid[k])
    assert still.mean() > 0.4
    assert met[still].mean() > 0.97
    # the first trade after a snapshot meets exactly what the snapshot shows, unless the quotes
    # moved in between, which they do rarely
    first = np.flatnonzero(np.diff(k, prepend=-1) > 0)
    assert met[first].mean() > 0.98


def test_bars_are_exactly_what_the_trades_give() -> None:
    m = plain()
    t, b = m.trades, m.bars
    minute = 60 * NS
    np.testing.assert_array_equal(b["ts_ns"], b["open_ns"] + minute)
    assert (b["interval_ns"] == minute).all()
    np.testing.assert_array_equal(np.diff(b["open_ns"]), minute)
    assert b["ts_ns"][-1] == m.spec.end_ns
    assert b["volume"].sum() == t["qty"].sum()
    assert b["trades"].sum() == len(t["id"])
    assert b["buy_volume"].sum() == t["qty"][t["side"] > 0].sum()
    close = 0
    for i in range(len(b["ts_ns"])):
        mine = (t["ts_ns"] >= b["open_ns"][i]) & (t["ts_ns"] < b["ts_ns"][i])
        price = t["price"][mine].tolist() or [close]
        close = price[-1]
        want = (price[0], max(price), min(price), close, int(t["qty"][mine].sum()))
        got = tuple(int(b[n][i]) for n in ("open", "high", "low", "close", "volume"))
        assert got == want, i


def test_a_silent_minute_has_a_bar_of_volume_zero_at_the_last_price() -> None:
    m = market(MarketSpec(seed=3, duration_s=HOURS_QUIET, rate_per_s=0.05, depth_ms=10_000))
    silent = np.flatnonzero(m.bars["volume"] == 0)
    assert len(silent) > 3
    for i in silent:
        values = {int(m.bars[n][i]) for n in ("open", "high", "low", "close")}
        assert values == {int(m.bars["close"][i - 1])}
        assert m.bars["id"][i] == 0


HOURS_QUIET = 4 * 3_600


def test_tick_and_lot_scale_every_price_and_quantity() -> None:
    fine = replace(SMALL, ref_price=6_000.0)
    coarse = replace(fine, scales=Scales(price=2, qty=4), tick=10, lot=10)
    a, b = market(fine), market(coarse)
    np.testing.assert_array_equal(b.trades["price"], a.trades["price"] * 10)
    np.testing.assert_array_equal(b.trades["qty"], a.trades["qty"] * 10)
    np.testing.assert_array_equal(b.levels("bid_price"), a.levels("bid_price") * 10)
    np.testing.assert_array_equal(b.bars["volume"], a.bars["volume"] * 10)


def test_kinds_that_are_not_asked_for_change_nothing_in_the_others() -> None:
    only = replace(SMALL, kinds=(Kind.TRADE,))
    chunks = list(generate(only))
    assert {k for c in chunks for k in c.columns} == {Kind.TRADE}
    trades = join([c.columns[Kind.TRADE] for c in chunks])
    np.testing.assert_array_equal(trades["price"], market(SMALL).trades["price"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": -1}, "seed"),
        ({"symbol": ""}, "symbol"),
        ({"start_ns": 1}, "start_ns"),
        ({"duration_s": 59}, "duration_s"),
        ({"rate_per_s": 0.0}, "rate_per_s"),
        ({"rate_per_s": float("nan")}, "rate_per_s"),
        ({"daily_vol": 0.0}, "daily_vol"),
        ({"ref_price": 1.0}, "ref_price"),
        ({"tick": 0}, "tick"),
        ({"depth_levels": 26}, "depth_levels"),
        ({"depth_ms": 7}, "depth_ms"),
        ({"kinds": (Kind.QUOTE,)}, "kinds"),
        ({"patterns": ("head_and_shoulders",)}, "patterns"),
        ({"patterns": ("absorption",), "every_s": 100}, "every_s"),
        ({"strength": (2.0, 1.0)}, "strength"),
        ({"first_id": 0}, "first_id"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(change: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        replace(SMALL, **change)


def test_a_specification_survives_json() -> None:
    spec = replace(SMALL, patterns=PATTERN_KINDS, kinds=(Kind.TRADE, Kind.BAR), tick=5)
    assert MarketSpec.from_dict(spec.to_dict()) == spec
    with pytest.raises(ConfigError, match="specification"):
        MarketSpec.from_dict({"sed": 1})
