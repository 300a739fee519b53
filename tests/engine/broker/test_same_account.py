"""One random day, two brokers: simulated matching and the stand-in's server keep the same books."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.enums import Side
from engine.broker.protocol import Treatment
from tests.engine.broker.rigs import SYMBOL, Rig, TerminalRig, VenueRig, limit, magic, market
from tests.shared import CAMPAIGN

DOLLAR = 100
sides = st.sampled_from([Side.BUY, Side.SELL])
levels = st.integers(0, 12).map(lambda n: 0 if n < 4 else n * 50 * DOLLAR)
quotes = st.tuples(st.just("quote"), st.integers(-600, 600))
closes = st.tuples(st.just("close"), st.integers(0, 3), st.integers(1, 30))
AT_THE_MARKET = st.one_of(
    quotes,
    closes,
    st.tuples(st.just("open"), sides, st.integers(1, 30), levels, st.just(0)),
    st.tuples(st.just("move"), st.integers(0, 3), levels, st.just(0)),
)
ALL = st.one_of(
    AT_THE_MARKET,
    st.tuples(st.just("open"), sides, st.integers(1, 30), levels, levels),
    st.tuples(st.just("move"), st.integers(0, 3), levels, levels),
    st.tuples(st.just("limit"), sides, st.integers(1, 30), st.integers(1, 500)),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
)
NETTING = st.one_of(
    quotes,
    st.tuples(st.just("open"), sides, st.integers(1, 30), st.just(0), st.just(0)),
    st.tuples(st.just("close"), st.just(0), st.integers(1, 30)),
)


def play(rig: Rig, day: list[Any]) -> list[Any]:
    """What can be seen of a broker after each step of a day."""
    seen = []
    mid = 60_000 * DOLLAR
    for number, (name, *args) in enumerate(day, 1):
        outcome = None
        b = rig.broker
        held = sorted(b.positions(), key=lambda p: p.magic)
        if name == "quote":
            mid += args[0] * DOLLAR
            rig.quote(mid - DOLLAR, mid + DOLLAR)
        elif name == "open":
            side, qty, stop, target = args
            order = market(side, qty, number)
            order = replace(
                order, stop=beside(mid, -side * stop), target=beside(mid, side * target)
            )
            outcome = b.submit(order).treatment
        elif name == "limit":
            side, qty, away = args
            price = mid - side * (away + 1) * DOLLAR
            outcome = b.submit(limit(side, qty, price, number)).treatment
        elif name == "cancel":
            waiting = sorted(o.ticket for o in b.orders(0) if o.done_ns == 0)
            if args[0] < len(waiting):
                outcome = b.cancel(SYMBOL, waiting[args[0]]).treatment
        elif args[0] < len(held) and name == "close":
            p = held[args[0]]
            outcome = b.close(p, min(args[1], p.qty), magic(number), "out").treatment
        elif args[0] < len(held):
            p = held[args[0]]
            stop, target = beside(mid, -p.side * args[1]), beside(mid, p.side * args[2])
            outcome = b.modify(SYMBOL, p.ticket, stop, target).treatment
        seen.append((name, outcome, *state(rig)))
    return seen


def beside(mid: int, distance: int) -> int:
    """A level so far from the middle of the market; none where the distance is 0."""
    return mid + distance if distance else 0


def state(rig: Rig) -> tuple[Any, ...]:
    """Positions, waiting orders, deals and money, without tickets: each numbers in its way."""
    b = rig.broker
    held = sorted(b.positions(), key=lambda p: p.magic)
    positions = [(p.side, p.qty, p.price, p.stop, p.target, p.magic) for p in held]
    waiting = sorted((o.magic, o.side, o.left, o.price) for o in b.orders(0) if o.done_ns == 0)
    deals = sorted((d.side, d.qty, d.price, d.profit, d.closes, d.reason) for d in b.deals(0))
    account = b.account()
    return positions, waiting, deals, account.balance, account.equity


def both(day: list[Any], hedging: bool = True) -> Any:
    """What each of the two shows, step by step."""
    ours, theirs = VenueRig(hedging=hedging, margin=0), TerminalRig(hedging=hedging)
    theirs.broker.connect()
    return zip(play(ours, day), play(theirs, day), strict=True)


@settings(max_examples=300 if CAMPAIGN else 30)
@given(day=st.lists(AT_THE_MARKET, min_size=1, max_size=12))
def test_a_day_at_the_market_is_the_same_to_the_cent(day: list[Any]) -> None:
    for mine, other in both(day):
        assert mine == other


@settings(max_examples=300 if CAMPAIGN else 30)
@given(day=st.lists(ALL, min_size=1, max_size=12))
def test_orders_that_wait_may_differ_in_price_only(day: list[Any]) -> None:
    # a server fills what waited at the touch, simulated matching never better than its price
    for mine, other in both(day):
        assert mine[:2] == other[:2] and mine[3] == other[3]
        assert [(*p[:2], *p[3:]) for p in mine[2]] == [(*p[:2], *p[3:]) for p in other[2]]
        assert kinds(mine[4]) == kinds(other[4])


def kinds(deals: list[Any]) -> list[Any]:
    """Deals without prices and money."""
    return sorted((side, qty, closes, reason) for side, qty, _, _, closes, reason in deals)


@settings(max_examples=200 if CAMPAIGN else 20)
@given(day=st.lists(NETTING, min_size=1, max_size=12))
def test_a_day_of_a_netting_account(day: list[Any]) -> None:
    for mine, other in both(day, hedging=False):
        assert mine[:2] == other[:2]
        assert [p[:2] for p in mine[2]] == [p[:2] for p in other[2]]
        # a mean price has no exact number of cents: each rounds it in its own way
        assert mine[5] == pytest.approx(other[5], abs=len(day) * 10**6)


def test_the_days_reach_what_they_are_about() -> None:
    day = [
        ("open", Side.BUY, 10, 20_000, 30_000), ("limit", Side.SELL, 5, 100), ("quote", 150),
        ("open", Side.SELL, 7, 0, 0), ("quote", -600), ("close", 0, 3), ("cancel", 0),
    ]  # fmt: skip
    seen = play(VenueRig(margin=0), day)
    assert [s[1] for s in seen] == [
        Treatment.DONE, Treatment.PLACED, None, Treatment.DONE, None, Treatment.DONE, None,
    ]  # fmt: skip
    assert {d[5].name for d in seen[-1][4]} == {"OPEN", "STOP"}
