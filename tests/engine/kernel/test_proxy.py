"""Quotes and bars as pseudo trades: through every hook of trades, exactly, and never early."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.events import Kind
from engine.kernel import proxy
from engine.runtime.compose import compose, generate
from strategies.delta_flip import STRATEGY as FLIP
from strategies.watch_proxy import DETECTORS, STRATEGY
from tests.engine.driving import (
    every,
    fold_cut,
    fold_events,
    fold_steps,
    new_fold,
    random_cuts,
    result,
    whole,
)
from tests.engine.kernel.oracle_proxy import SHORT
from tests.engine.kernel.oracles import Reference
from tests.engine.kernel.test_handlers import CAMPAIGN, prefix_invariant
from tests.engine.tapes import MINUTE, MS, START, Author, Event, S, pack
from tests.engine.tapes_proxy import bars, plain_quotes, proxy_tape, quotes

SETTINGS = {**dict(SHORT), "impact.length": "12", "impact.warm": "6"}
HEARD = ("flow", "windows", "candles", "footprint", "vwap", "recent", "atr", "pivots", "impact",
         "proxy", "proxy_metrics")  # fmt: skip
"""Handlers whose oracles are compared; the detectors read these."""
LATE = {"feed.latency_quote": "300ms", "feed.latency_trade": "20ms", "feed.latency_bar": "2s"}
WITH_LATENCY = {Kind.QUOTE: 300 * MS, Kind.TRADE: 20 * MS, Kind.BAR: 2 * S}


def at(second: float) -> int:
    return START // MINUTE * MINUTE + int(second * S)


def quote(second: float, bid: int, ask: int | None = None) -> Event:
    ask = bid + 2 if ask is None else ask
    return {"kind": Kind.QUOTE, "ts_ns": at(second), "id": 0, "bid": bid, "ask": ask,
            "bid_qty": 0, "ask_qty": 0}  # fmt: skip


def clock(second: float) -> Event:
    return {"kind": Kind.CLOCK, "ts_ns": at(second), "id": 0}


def trade(second: float, price: int = 100_000) -> Event:
    return {"kind": Kind.TRADE, "ts_ns": at(second), "id": 7, "price": price, "qty": 5, "side": 1}


def folded(events: list[Event], **settings: str) -> Any:
    given = {k.replace("__", "."): v for k, v in settings.items()}
    return fold_events(whole(STRATEGY), events, given)


def state(events: list[Event], **settings: str) -> Any:
    return folded(events, **settings).fold.state


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_hook_hears_what_the_oracles_hear(seed: int, late: bool) -> None:
    events = proxy_tape(seed)
    fold, sink = new_fold(whole(STRATEGY), {**SETTINGS, **(LATE if late else {})})
    market = Reference(HEARD, latency=WITH_LATENCY if late else {})
    tape = pack(events)
    for n, e in enumerate(events):
        fold.feed(*tape.batch(n, n + 1))
        market.event(e)
        if n % 97 == 0 or n + 1 == len(events):
            for name in HEARD:
                market.oracle(name).check(fold.state[name][0])
            market.oracle("footprint").check_closed(fold.state["candles"]["ring"][0])
    fold.finish()
    assert sink.rows("decision")["ts_ns"].tolist() == market.boundaries
    assert int(fold.state["proxy"]["emitted"][0]) > 100_000


def test_the_tapes_reach_everything() -> None:
    seen = dict.fromkeys(("emitted", "silenced", "late", "crossed", "refused"), 0)
    sources: set[int] = set()
    for seed in (1, 2, 3):
        s = state(proxy_tape(seed), **{k.replace(".", "__"): v for k, v in SETTINGS.items()})
        for name in seen:
            seen[name] += int(s["proxy"][name][0])
        sources |= set(np.flatnonzero(s["proxy"]["last_ns"][0]).tolist())
    assert min(seen.values()) > 0, seen
    assert {1, 2, 3, 4, 7} <= sources or {1, 4, 7} <= sources


@pytest.mark.parametrize("seed", [1, 4])
def test_cuts_steps_and_snapshots_change_nothing(seed: int) -> None:
    c, events = whole(STRATEGY), proxy_tape(seed)
    tape = pack(events)
    n = len(tape)
    want = fold_cut(c, tape, (), SETTINGS).digests
    for cuts in (every(n, 1), every(n, 7), random_cuts(n, 1), random_cuts(n, 2)):
        assert fold_cut(c, tape, cuts, SETTINGS).digests == want
    if CAMPAIGN:  # a compile of its own; the proxy's steps are held by test_handlers
        assert fold_steps(c, events, SETTINGS).digests == want
    first, sink = new_fold(c, SETTINGS)
    first.feed(*tape.batch(0, n // 2))
    first.drain()
    second, _ = new_fold(c, SETTINGS)
    second.sink = sink
    second.restore(first.snapshot())
    for k in range(n // 2, n):
        second.feed(*tape.batch(k, k + 1))
    assert result(second, sink).digests == want


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_future_changes_no_decision(share: float) -> None:
    events = proxy_tape(2)
    prefix_invariant(whole(STRATEGY), events, int(share * len(events)))


@pytest.mark.parametrize("horizon", [1, 5, 15])
def test_pseudo_volume_is_tick_volume(horizon: int) -> None:
    """Sum of both sides == unit times the updates of whole intervals, whatever the price did."""
    events = [*plain_quotes(5, 8), clock(10 * 60)]
    s = state(events, proxy__horizon=f"{horizon}s")
    p, flow = s["proxy"][0], s["flow"][0]
    assert int(p["updates"]) == 0, "the clock closed the last interval"
    ticks = sum(e["kind"] == Kind.QUOTE and 0 < e["bid"] <= e["ask"] for e in events)
    assert int(p["emitted"]) == 1000 * ticks == int(flow["buy"]) + int(flow["sell"])
    assert int(flow["unknown"]) == 0
    candles = s["candles"][0]
    closed = candles["ring"][512 : 512 + int(candles["closed"][2])]
    total = sum(int(c["volume"]) for c in closed) + int(candles["open"][2]["volume"])
    assert total + int(candles["open"][0]["volume"]) == 1000 * ticks


def test_sizes_instead_of_updates() -> None:
    sized = [dict(quote(0.5, 100), bid_qty=30, ask_qty=12), dict(quote(0.7, 100), bid_qty=1),
             clock(1)]  # fmt: skip
    assert int(state(sized, proxy__volume="sizes")["proxy"]["emitted"][0]) == 43
    unsized = state([quote(0.5, 100), clock(1)], proxy__volume="sizes")
    assert int(unsized["proxy"]["refused"][0]) == 1


def test_a_second_is_folded_when_something_at_or_after_its_end_comes() -> None:
    events = [quote(10.2, 100), quote(10.9, 100)]
    s = state(events)
    assert (int(s["proxy"]["trades"][0]), int(s["core"]["last_price"][0])) == (0, 0)
    before = state([*events, clock(10.999999)])
    assert int(before["proxy"]["trades"][0]) == 0
    for after in (clock(11), quote(11, 104), trade(11), clock(11.7)):
        s = state([*events, after])
        assert int(s["proxy"]["emitted"][0]) == 2000, after
        assert int(s["core"]["first_trade_ns"][0]) == at(11) - 1
        assert s["proxy"]["tape"]["ts_ns"][0][:2].tolist() == [at(11) - 1] * 2
    assert int(state([*events, clock(11)])["core"]["last_price"][0]) == 101
    late = state([*events, clock(11.2)], feed__latency_quote="300ms")
    assert int(late["proxy"]["trades"][0]) == 0, "quotes of that second may still be on their way"
    assert int(state([*events, clock(11.3)], feed__latency_quote="300ms")["proxy"]["trades"][0])


def test_a_boundary_sees_the_second_that_ends_with_it() -> None:
    run = folded([quote(14.2, 100), quote(14.5, 100), clock(15), clock(21)])
    rows = run.sink.rows("decision")
    assert [(int(r["ts_ns"]), int(r["price"])) for r in rows] == [(at(15), 101), (at(20), 101)]
    assert run.fold.state["windows"]["buys"][0][3] == 1, "half of it bought within 30 s"


def test_no_change_is_half_and_a_change_is_its_sign() -> None:
    a = Author(9)
    quotes(a, 300)
    base = a.events
    end = (a.now // S + 1) * S
    bid = base[-1]["bid"]
    for move, sign in ((0, 0), (1, 1), (7, 1), (-1, -1), (-7, -1)):
        spread = base[-1]["ask"] - bid
        last = {**base[-1], "ts_ns": end + S // 2, "bid": bid + move, "ask": bid + spread + move}
        s = state([*base, last, {"kind": Kind.CLOCK, "ts_ns": end + S, "id": 0}])
        tape = s["proxy"]["tape"][0]
        n = int(s["proxy"]["n"][0])
        delta = int((tape["qty"][:n] * tape["side"][:n]).sum())
        assert int(tape["qty"][:n].sum()) == 1000
        assert np.sign(delta) == sign
        assert not sign or tape["side"][n - 1] == sign, "the side of the change comes last"


def test_where_trades_are_real_quotes_are_silent() -> None:
    calm = [quote(x + 0.5, 100) for x in range(200)]
    mixed = sorted([*calm, trade(50.2)], key=lambda e: e["ts_ns"])
    s = state(mixed)
    assert int(s["proxy"]["silenced"][0]) == 1000 * 60, "a minute from the trade on"
    assert int(s["proxy"]["emitted"][0]) == 1000 * 139
    assert int(state(mixed, proxy__quiet="10s")["proxy"]["silenced"][0]) == 1000 * 10
    assert int(s["sides"]["by_flag"][0]) == 1


def test_a_run_of_trades_stops_where_an_interval_ends() -> None:
    """A trade after the end must not silence, in one batch, what it does not one by one."""
    events = [quote(0.2, 100), quote(0.3, 102), trade(0.5), trade(1.5), trade(2.5)]
    given = {"proxy.quiet": "200ms"}
    whole_run = fold_events(whole(STRATEGY), events, given)
    assert int(whole_run.fold.state["proxy"]["emitted"][0]) == 2_000
    one_by_one = fold_cut(whole(STRATEGY), pack(events), every(len(events), 1), given)
    assert one_by_one.digests == whole_run.digests
    if CAMPAIGN:
        assert fold_steps(whole(STRATEGY), events, given).digests == whole_run.digests


def test_the_simulated_market_never_hears_of_them() -> None:
    events = plain_quotes(3, 3)
    s = state(events)
    assert int(s["proxy"]["trades"][0]) > 100
    assert int(s["sim"]["trade_ns"][0]) == 0
    assert int(s["sim"]["quote_ns"][0]) > 0
    assert int(s["core"]["events"][0][int(Kind.TRADE)]) == 0


def test_a_bar_walks_open_high_low_close() -> None:
    a = Author(2)
    bars(a, 12)
    for e in a.events:
        e["trades"] = 120
    s = state([*a.events, {"kind": Kind.CLOCK, "ts_ns": a.now + MINUTE, "id": 0}])
    assert int(s["proxy"]["emitted"][0]) == 12 * 120 * 1000
    candles = s["candles"][0]
    have = {int(c["open_ns"]): c for c in candles["ring"][256 : 256 + int(candles["closed"][1])]}
    for e in a.events:
        c = have[e["open_ns"]]
        assert [int(c[n]) for n in ("open", "high", "low", "close")] == [
            e[n] for n in ("open", "high", "low", "close")
        ]
        assert (int(c["volume"]), int(c["buy"] + c["sell"])) == (120_000, 120_000)


def test_a_bar_is_silent_where_finer_data_were_seen() -> None:
    a = Author(2)
    bars(a, 3)
    first = a.events[0]
    inside = {**quote(0, first["open"]), "ts_ns": first["open_ns"] + 5 * S}
    s = state([inside, *a.events])
    assert int(s["proxy"]["last_ns"][0][7]) >= 0
    kinds = state(a.events)["proxy"]["trades"][0] - s["proxy"]["trades"][0]
    assert int(kinds) > 0
    day = {**first, "open_ns": first["ts_ns"] - 24 * 60 * MINUTE}
    assert int(state([day])["proxy"]["trades"][0]) == 0, "a bar of a day is none of a minute"


def test_a_hole_in_the_quotes_is_a_hole_in_the_flow() -> None:
    events = [quote(x + 0.5, 100 + x) for x in range(100)]
    hole = {"kind": Kind.GAP, "ts_ns": at(100), "id": 0, "stream": int(Kind.QUOTE),
            "from_ns": at(99.7), "to_ns": at(100), "filled": 0}  # fmt: skip
    after = [quote(100.5, 900), clock(101)]
    s = state([*events, hole, *after])
    assert int(s["core"]["trade_gap_ns"][0]) == at(100)
    assert int(s["flow"]["approximate"][0]) == 1
    tape = s["proxy"]["tape"][0]
    assert tape["qty"][:2].tolist() == [500, 500], "no change reaches across it"
    jump = state([*events, *after])["proxy"]["tape"][0]
    assert jump["qty"][:1].tolist() == [1000], "without the hole the jump would be flow"
    filled = state([*events, {**hole, "filled": 1}, *after])
    assert int(filled["core"]["trade_gap_ns"][0]) == 0


def test_no_change_reaches_across_a_silence() -> None:
    events = [quote(x + 0.5, 100 + x) for x in range(100)]
    s = state([*events, quote(900.5, 5000), clock(901)])
    assert s["proxy"]["tape"]["qty"][0][:2].tolist() == [500, 500]


def test_a_late_quote_keeps_its_volume_and_moves_no_price() -> None:
    events = [quote(1.5, 100), quote(2.5, 100), quote(1.7, 9000), clock(3)]
    s = state(events)
    assert (int(s["proxy"]["late"][0]), int(s["proxy"]["emitted"][0])) == (1, 3000)
    assert int(s["core"]["last_price"][0]) == 101


def test_half_a_unit_rounds_to_even() -> None:
    have = [int(proxy.round_half_even(x)) for x in (200, 201, 202, 203, 205)]
    assert have == [100, 100, 101, 102, 102]


def test_a_fold_without_it_is_what_it_was() -> None:
    source = generate(compose(FLIP), "m", "f")
    for word in ("proxy", "_pseudo", "_flush", "np."):
        assert word not in source


def test_watch_proxy_names_what_it_writes() -> None:
    rows = folded(proxy_tape(3), **{"proxy__warm": "2"}).sink.rows("signal")
    assert len(rows) and set(rows["detector"].tolist()) <= set(range(len(DETECTORS)))
