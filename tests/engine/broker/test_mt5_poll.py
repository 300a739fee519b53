"""What is new at a terminal: every tick once, whatever the looks are, and closed minutes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.broker import mt5_poll
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_poll import Found, Poll
from engine.broker.protocol import BrokerError, BrokerGoneError
from tests.engine.broker.ticking import MS, NS, Ticking

BEGIN = 1_717_243_200 * NS  # 2024-06-01 12:00 UTC


def polled(there: Ticking, rule: str = "new-york") -> Poll:
    return Poll(there, ServerClock(rule), 5.0)


def told(found: list[Found]) -> list[tuple[int, float, float]]:
    """(UTC ns, bid, ask) of all rows."""
    return [(r[0] * MS - f.offset_ns, r[1], r[2]) for f in found for r in f.rows]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=1, max_size=60),
    st.lists(st.integers(1, 200), max_size=40),
    st.sampled_from([2, 3, 7, 4096]),
)
def test_every_tick_is_found_once_in_order(steps, looks, most):
    there = Ticking()
    at = BEGIN
    ticks = []
    for number, (gap, same) in enumerate(steps):
        at += gap * MS
        ticks += [(at, 1.0 + number * 1e-5, 1.1 + k * 1e-5) for k in range(same)]
    there.ticks["EURUSD"] = [(BEGIN - NS, 1.0, 1.1), *ticks]
    poll = polled(there)
    patch = pytest.MonkeyPatch()
    patch.setattr(mt5_poll, "TICKS_MOST", most)
    try:
        there.now = BEGIN - NS
        assert told(list(poll.ticks("EURUSD"))) == [(BEGIN - NS, 1.0, 1.1)]
        found = []
        for look in [*looks, 10_000]:
            there.now += look * MS
            # in a millisecond all ticks are there at once; a look never falls between them
            found += told(list(poll.ticks("EURUSD")))
        assert found == ticks
    finally:
        patch.undo()


def test_a_quiet_market_costs_one_call_a_look():
    there = Ticking()
    there.ticks["EURUSD"] = [(BEGIN, 1.0, 1.1)]
    poll = polled(there)
    list(poll.ticks("EURUSD"))
    there.calls.clear()
    for _ in range(5):
        there.now += NS
        assert list(poll.ticks("EURUSD")) == []
    assert there.calls == ["symbol_info_tick"] * 5


def test_a_link_begins_where_the_market_is():
    there = Ticking()
    there.ticks["EURUSD"] = [(BEGIN, 1.0, 1.1), (BEGIN + NS, 1.1, 1.2), (BEGIN + 300 * NS, 1, 2)]
    poll = polled(there)
    there.now = BEGIN + 2 * NS
    assert told(list(poll.ticks("EURUSD"))) == [(BEGIN + NS, 1.1, 1.2)]
    there.now = BEGIN + 250 * NS
    poll.begin()
    assert list(poll.ticks("EURUSD")) == []  # the one that stands is four minutes old
    there.now = BEGIN + 300 * NS
    assert told(list(poll.ticks("EURUSD"))) == [(BEGIN + 300 * NS, 1, 2)]


def test_before_there_is_history_each_look_finds_its_tick():
    there = Ticking()
    there.history = False
    there.ticks["EURUSD"] = [(BEGIN + k * 100 * MS, 1 + k / 100, 2.0) for k in range(40)]
    poll = polled(there)
    found = []
    for at in (0, 1000, 1000, 2000):
        there.now = BEGIN + at * MS
        found += told(list(poll.ticks("EURUSD")))
    assert [ts - BEGIN for ts, _, _ in found] == [0, NS, 2 * NS]
    there.history = True
    there.now = BEGIN + 2300 * MS
    assert [ts - BEGIN for ts, _, _ in told(list(poll.ticks("EURUSD")))] == [
        2100 * MS, 2200 * MS, 2300 * MS,
    ]  # fmt: skip


def test_the_hour_that_autumn_repeats_is_read_tick_by_tick():
    """New York puts the clock back at 06:00 UTC on 2024-11-03: the server's 9:00 is 8:00 again."""
    switch = 1_730_613_600 * NS
    every = 30 * NS
    begin = switch - 10 * every
    there = Ticking(start_ns=begin)
    there.ticks["EURUSD"] = [(begin + k * every, 1 + k / 1000, 2.0) for k in range(140)]
    poll = polled(there)
    found = []
    for look in range(140):
        there.now = begin + look * every
        found += told(list(poll.ticks("EURUSD")))
    assert [ts for ts, _, _ in found] == [ts for ts, _, _ in there.ticks["EURUSD"]]


def test_a_rule_that_quotes_refute_gives_no_quote():
    there = Ticking("utc+3")
    there.ticks["EURUSD"] = [(BEGIN + k * NS, 1.0 + k / 100, 2.0) for k in range(10)]
    ahead = polled(there, "utc")
    with pytest.raises(BrokerError, match="does not run by the rule 'utc'"):
        list(ahead.ticks("EURUSD"))
    behind = polled(there, "utc+5")
    assert list(behind.ticks("EURUSD")) == []  # it might be a closed market
    there.now = BEGIN + NS
    with pytest.raises(BrokerError, match="a fresh quote says"):
        list(behind.ticks("EURUSD"))


def test_a_dead_link_is_said():
    there = Ticking()
    poll = polled(there)
    for call in ("symbol_info_tick", "copy_ticks_from", "copy_rates_from_pos"):
        there.ticks["EURUSD"] = [(BEGIN, 1.0, 1.1)]
        there.fail = {call: -10004}
        with pytest.raises(BrokerGoneError, match=call):
            [*poll.ticks("EURUSD"), *poll.bars("EURUSD")]


def test_minutes_close_when_the_next_one_begins_or_a_little_later():
    there = Ticking()
    there.ticks["EURUSD"] = [
        (BEGIN - 30 * NS, 1.0, 2.0), (BEGIN + 10 * NS, 1.5, 2.0), (BEGIN + 50 * NS, 1.2, 2.0),
        (BEGIN + 61 * NS, 1.3, 2.0),
        (BEGIN + 200 * NS, 1.4, 2.0),
    ]  # fmt: skip
    poll = polled(there)
    closed = {}
    for second in range(300):
        there.now = BEGIN + second * NS
        for found in poll.bars("EURUSD"):
            for row in found.rows:
                closed[row[0] * NS - found.offset_ns - BEGIN] = (second, row[1:6], found.lot)
    assert closed == {
        0: (61, [1.5, 1.5, 1.2, 1.2, 2], 100_000.0),  # the next minute has a tick
        60 * NS: (125, [1.3, 1.3, 1.3, 1.3, 1], 100_000.0),  # it has none: five seconds later
        180 * NS: (245, [1.4, 1.4, 1.4, 1.4, 1], 100_000.0),  # no bar between
    }
