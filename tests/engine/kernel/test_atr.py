"""The average true range: by hand, over gaps, and where nothing moves."""

from __future__ import annotations

import pytest

from data.events import Kind
from tests.engine.driving import Result, fold_events, probe
from tests.engine.tapes import MINUTE, START, Event, S

FROM = START // MINUTE * MINUTE


def candles(rows: list[tuple[int, int, int]], first: int = 0) -> list[Event]:
    """One minute each of (high, low, close): three trades, late in the minute."""
    out: list[Event] = []
    for n, prices in enumerate(rows, first):
        for k, price in enumerate(prices):
            at = FROM + n * MINUTE + (50 + k) * S
            out.append({"kind": Kind.TRADE, "ts_ns": at, "id": len(out) + 1, "price": price,
                        "qty": 1, "side": 1})  # fmt: skip
    return out


def tick(minute: int, price: int) -> Event:
    return {"kind": Kind.TRADE, "ts_ns": FROM + minute * MINUTE, "id": 10**6, "price": price,
            "qty": 1, "side": 1}  # fmt: skip


def atr(events: list[Event], length: int = 3) -> Result:
    return fold_events(probe("atr"), events, {"atr.length": str(length)})


def of(r: Result, name: str, frame: int = 1) -> float:
    return r.fold.state["atr"][name][0, frame].item()


def test_by_hand() -> None:
    """Ranges 30, 10 below a close 25 higher (35), and 40 above a close (45): mean of three."""
    rows = [(1000, 990, 995), (1020, 990, 1010), (985, 975, 980), (1025, 1000, 1020)]
    r = atr([*candles(rows), tick(4, 1020)])
    assert (of(r, "ready"), of(r, "range_sum")) == (1, 30 + 35 + 45)
    assert of(r, "value") == 110 / 3


def test_not_ready_before_length_and_one_candles() -> None:
    rows = [(1000, 990, 995)] * 3
    assert of(atr([*candles(rows), tick(3, 995)]), "ready") == 0
    assert of(atr([*candles([*rows, rows[0]]), tick(4, 995)]), "ready") == 1


def test_one_price_has_no_range_and_is_ready() -> None:
    r = atr([*candles([(500, 500, 500)] * 4), tick(4, 500)])
    assert (of(r, "ready"), of(r, "range_sum")) == (1, 0)


def test_minutes_without_trades_have_no_range() -> None:
    r = atr([*candles([(1000, 990, 995)]), tick(40, 995)])
    assert (of(r, "ready"), of(r, "range_sum")) == (1, 0)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_nothing_across_a_gap(after: int) -> None:
    """A gap silences at once, until a window and the candle before it are whole."""
    rows = [(1000, 990, 995)] * 6
    at = FROM + 6 * MINUTE + S
    gap = {"kind": Kind.GAP, "ts_ns": at, "id": 1, "stream": int(Kind.TRADE), "from_ns": at - S,
           "to_ns": at, "filled": 0}  # fmt: skip
    events = [*candles(rows), tick(6, 995), gap]
    assert of(atr(events[:-1]), "ready") == 1
    assert of(atr(events), "ready") == 0
    more = candles([(1000, 990, 995)] * (after + 1), 6)
    assert of(atr([*events, *more, tick(7 + after, 995)]), "ready") == (after == 4)


def test_large_prices_do_not_overflow() -> None:
    top = 10**9
    r = atr([*candles([(top, 1, top)] * 251), tick(251, top)], 250)
    assert of(r, "range_sum") == 250 * (top - 1)
