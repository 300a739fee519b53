"""What every broker must do, run over simulated matching and over the adapter of a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.enums import ExitReason, OrderType, Side
from engine.broker.intent_id import IntentKey, key_of
from engine.broker.protocol import BrokerError, DealFact, PositionFact, Treatment
from engine.broker.terminal.server.specs import spec_of
from engine.broker.terminal.server.words import Execution
from tests.engine.broker.rigs import (
    ASK,
    BID,
    NOON_NS,
    NS,
    SCALES,
    SYMBOL,
    TAG,
    Rig,
    TerminalRig,
    VenueRig,
    limit,
    magic,
    market,
)

LOT = 10
"""0.10 BTC in quantity units."""

MONEY = 10_000
"""Money (1e-8) of one price unit times one quantity unit."""

BUY, SELL = Side.BUY, Side.SELL
DONE, PLACED = Treatment.DONE, Treatment.PLACED


@pytest.fixture(params=["simulated", "terminal"])
def kind(request: pytest.FixtureRequest) -> type:
    return {"simulated": VenueRig, "terminal": TerminalRig}[request.param]


@pytest.fixture
def rig(kind: type) -> Rig:
    """A hedging account, connected."""
    made: Rig = kind()
    made.broker.connect()
    return made


@pytest.fixture
def net(kind: type) -> Rig:
    """A netting account, connected."""
    made: Rig = kind(hedging=False)
    made.broker.connect()
    return made


def one(rig: Rig) -> PositionFact:
    (position,) = rig.broker.positions()
    return position


def trades(rig: Rig) -> list[DealFact]:
    """Deals that are trades."""
    return [d for d in rig.broker.deals(0) if d.side is not Side.UNKNOWN]


def books_agree(rig: Rig) -> None:
    """All deals together are the balance."""
    deals = rig.broker.deals(0)
    assert sum(d.profit - d.fee for d in deals) == rig.broker.account().balance
    assert len({d.ticket for d in deals}) == len(deals)
    assert [(d.ts_ns, d.ticket) for d in deals] == sorted((d.ts_ns, d.ticket) for d in deals)


# --- the account and the market


def test_an_account_that_has_not_traded(rig):
    account = rig.broker.connect()
    assert account == rig.broker.account()
    assert account.hedging and not account.real and account.trade_allowed
    assert account.balance == account.equity == 10_000 * 10**8
    assert account.margin == 0 and account.currency == "USD" and account.why_not == ""
    assert not rig.broker.positions() and not trades(rig)
    books_agree(rig)


def test_a_netting_account_says_so(net):
    assert not net.broker.account().hedging


def test_the_instruments(rig):
    (at,) = rig.broker.instruments()
    assert (at.symbol, at.scales, at.contract) == (SYMBOL, SCALES, 100)
    assert at.price_step == at.qty_step == at.qty_min == 1
    assert (at.stops_level, at.freeze_level, at.trade_mode) == (0, 0, "full")
    assert at.profit_currency == "USD" and at.qty_max >= 1_000


def test_quotes_are_in_units_and_in_utc(rig):
    (last,) = rig.broker.quotes(SYMBOL, 0)
    assert (last.ts_ns, last.bid, last.ask) == (NOON_NS, BID, ASK)
    rig.quote(BID + 5, ASK + 5)
    assert rig.broker.quotes(SYMBOL, 0)[0].bid == BID + 5
    later = rig.broker.quotes(SYMBOL, NOON_NS)
    assert [(t.ts_ns, t.bid, t.ask) for t in later] == [(NOON_NS + NS, BID + 5, ASK + 5)]
    assert not rig.broker.quotes(SYMBOL, NOON_NS + NS)


def test_another_symbol_is_refused(rig):
    with pytest.raises(BrokerError, match="XAUUSD"):
        rig.broker.quotes("XAUUSD", 0)
    with pytest.raises(BrokerError, match="XAUUSD"):
        rig.broker.submit(replace(market(BUY, LOT), symbol="XAUUSD"))


def test_health(rig):
    health = rig.broker.health()
    assert health.connected and health.trade_allowed and health.words == ""
    assert 0 <= health.tick_age_ns < NS


# --- market orders


def test_a_market_order_opens_a_position_with_its_levels(rig):
    done = rig.broker.submit(market(BUY, LOT, stop=5_900_000, target=6_100_000))
    assert (done.treatment, done.code, done.qty, done.price) == (DONE, 10009, LOT, ASK)
    held = one(rig)
    assert (held.side, held.qty, held.price, held.magic) == (BUY, LOT, ASK, magic(1))
    assert (held.stop, held.target, held.symbol) == (5_900_000, 6_100_000, SYMBOL)
    assert held.open_ns == NOON_NS
    (deal,) = trades(rig)
    assert (deal.ticket, deal.order, deal.position) == (done.deal, done.order, held.ident)
    assert (deal.side, deal.qty, deal.price, deal.closes) == (BUY, LOT, ASK, False)
    assert (deal.ts_ns, deal.reason, deal.by_hand) == (NOON_NS, ExitReason.OPEN, False)
    (order,) = rig.broker.orders(0)
    assert (order.ticket, order.filled, order.left) == (done.order, True, 0)
    assert order.done_ns > 0 and order.position == held.ident
    books_agree(rig)


def test_what_is_ours_is_known_by_its_magic_everywhere(rig):
    rig.broker.submit(market(SELL, LOT, number=77))
    marks = {one(rig).magic, trades(rig)[0].magic, rig.broker.orders(0)[0].magic}
    assert {key_of(mark, 7, TAG) for mark in marks} == {IntentKey(0, 77)}


def test_equity_moves_with_the_market(rig):
    rig.broker.submit(market(BUY, LOT))
    spread = (ASK - BID) * LOT * MONEY
    account = rig.broker.account()
    assert account.equity == account.balance - spread and account.margin > 0
    rig.quote(BID + 1_000, ASK + 1_000)
    assert rig.broker.account().equity == account.equity + 1_000 * LOT * MONEY


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_close_takes_the_other_side(rig, side):
    rig.broker.submit(market(side, LOT))
    rig.quote(BID + 500, ASK + 500)
    done = rig.broker.close(one(rig), LOT, magic(2), "out")
    touch = BID + 500 if side is BUY else ASK + 500
    assert (done.treatment, done.qty, done.price) == (DONE, LOT, touch)
    assert not rig.broker.positions()
    opened, closed = trades(rig)
    assert closed.closes and closed.side == -side and closed.position == opened.position
    assert closed.magic == magic(2) and closed.ticket == done.deal
    gain = (BID + 500 - ASK) if side is BUY else (BID - ASK - 500)
    assert closed.profit == gain * LOT * MONEY
    books_agree(rig)


def test_a_part_of_a_position_is_closed(rig):
    rig.broker.submit(market(BUY, LOT, stop=5_900_000))
    assert rig.broker.close(one(rig), 4, magic(2), "part").qty == 4
    left = one(rig)
    assert (left.qty, left.price, left.stop) == (LOT - 4, ASK, 5_900_000)
    books_agree(rig)


def test_a_close_of_what_is_gone_or_of_more_than_there_is_executes_nothing(rig):
    rig.broker.submit(market(BUY, LOT))
    held = one(rig)
    more = rig.broker.close(held, LOT + 1, magic(2), "more")
    assert (more.treatment, more.code) == (Treatment.REREAD, 0)
    rig.broker.close(held, LOT, magic(3), "out")
    again = rig.broker.close(held, LOT, magic(4), "again")
    assert again.treatment is Treatment.REREAD
    assert len(trades(rig)) == 2 and not rig.broker.positions()


def test_hedging_opens_a_position_for_every_order(rig):
    rig.broker.submit(market(BUY, LOT, 1))
    rig.broker.submit(market(SELL, 4, 2))
    assert [(p.side, p.qty) for p in rig.broker.positions()] == [(BUY, LOT), (SELL, 4)]
    first = rig.broker.positions()[0]
    done = rig.broker.submit(market(SELL, LOT, 3, position=first.ticket))
    assert done.treatment is DONE
    assert [(p.side, p.qty) for p in rig.broker.positions()] == [(SELL, 4)]
    books_agree(rig)


def test_netting_has_one_position(net):
    net.broker.submit(market(BUY, LOT, 1))
    net.broker.submit(market(BUY, LOT, 2))
    assert (one(net).qty, one(net).side) == (2 * LOT, BUY)
    net.broker.submit(market(SELL, 5, 3))
    assert one(net).qty == 2 * LOT - 5
    net.broker.close(one(net), 2 * LOT - 5, magic(4), "out")
    assert not net.broker.positions()
    assert sum(d.side * d.qty for d in trades(net)) == 0
    books_agree(net)


def test_netting_turns_around(net):
    net.broker.submit(market(BUY, LOT, 1))
    net.broker.submit(market(SELL, 3 * LOT, 2))
    assert (one(net).qty, one(net).side) == (2 * LOT, SELL)
    assert any(d.closes for d in trades(net))
    books_agree(net)


# --- what is refused, and what that leaves behind


@pytest.mark.parametrize(
    ("order", "treatment"),
    [
        (market(BUY, 0), Treatment.FIX_INPUT),
        (market(BUY, 10**9), Treatment.FIX_INPUT),
        (market(Side.UNKNOWN, LOT), Treatment.FIX_INPUT),
        (market(BUY, LOT, stop=BID + 100), Treatment.FIX_INPUT),
        (market(BUY, LOT, target=BID - 100), Treatment.FIX_INPUT),
        (market(SELL, LOT, stop=ASK - 100), Treatment.FIX_INPUT),
        (market(SELL, LOT, target=ASK + 100), Treatment.FIX_INPUT),
        (replace(market(BUY, LOT), type=OrderType.TARGET, price=BID), Treatment.FIX_INPUT),
        (limit(BUY, LOT, 0), Treatment.FIX_INPUT),
        (replace(market(BUY, LOT), comment="x" * 30), Treatment.FIX_INPUT),
        (market(BUY, 9_000), Treatment.REFUSE),
    ],
)
def test_a_refused_order_executes_nothing(rig, order, treatment):
    outcome = rig.broker.submit(order)
    assert outcome.treatment is treatment and outcome.text
    assert outcome.qty == outcome.deal == 0
    assert not rig.broker.positions() and not trades(rig)
    assert all(o.done_ns > 0 and not o.filled for o in rig.broker.orders(0))


# --- orders that wait


def test_a_limit_order_waits_and_is_filled_at_its_price(rig):
    waits = limit(BUY, LOT, 5_990_000)
    placed = rig.broker.submit(waits)
    assert placed.treatment is PLACED and placed.order > 0 and placed.qty == 0
    (order,) = rig.broker.orders(0)
    assert (order.ticket, order.done_ns, order.left, order.filled) == (placed.order, 0, LOT, False)
    assert (order.type, order.side, order.price) == (OrderType.LIMIT, BUY, 5_990_000)
    assert order.magic == magic(1) and not rig.broker.positions()
    rig.quote(5_989_000, 5_989_900)
    assert one(rig).qty == LOT and one(rig).magic == magic(1)
    (deal,) = trades(rig)
    assert deal.order == placed.order and deal.price <= 5_990_000
    (order,) = rig.broker.orders(0)
    assert order.filled and order.done_ns > 0
    books_agree(rig)


def test_a_limit_order_is_withdrawn_once(rig):
    placed = rig.broker.submit(limit(SELL, LOT, 6_010_000))
    assert rig.broker.cancel(SYMBOL, placed.order).treatment is DONE
    assert rig.broker.cancel(SYMBOL, placed.order).treatment is Treatment.REREAD
    (order,) = rig.broker.orders(0)
    assert order.done_ns > 0 and not order.filled and order.left == LOT
    rig.quote(6_020_000, 6_020_100)
    assert not rig.broker.positions() and not trades(rig)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_limit_order_that_must_not_wait(kind, side):
    instant = replace(spec_of(SYMBOL), execution=Execution.INSTANT)
    rig: Rig = kind() if kind is VenueRig else kind(symbol=instant)
    rig.broker.connect()
    touch = ASK if side is BUY else BID
    beyond = rig.broker.submit(limit(side, LOT, touch - side * 100, ioc=True))
    assert (beyond.treatment, beyond.code) == (Treatment.REFUSE, 0)
    assert not rig.broker.positions() and not rig.broker.orders(0)
    done = rig.broker.submit(limit(side, LOT, touch + side * 100, 2, ioc=True))
    assert (done.treatment, done.qty, done.price) == (DONE, LOT, touch)
    assert one(rig).magic == magic(2)
    assert all(o.done_ns > 0 for o in rig.broker.orders(0))


def test_there_is_nothing_to_withdraw(rig):
    assert rig.broker.cancel(SYMBOL, 999_999).treatment is Treatment.REREAD


# --- levels that the broker holds


@pytest.mark.parametrize(
    ("side", "at", "reason"),
    [
        (BUY, 5_899_900, ExitReason.STOP), (BUY, 6_100_100, ExitReason.TARGET),
        (SELL, 6_100_100, ExitReason.STOP), (SELL, 5_899_700, ExitReason.TARGET),
    ],
)  # fmt: skip
def test_the_server_closes_at_a_level_and_says_why(rig, side, at, reason):
    stop, target = (5_900_000, 6_100_000) if side is BUY else (6_100_000, 5_900_000)
    rig.broker.submit(market(side, LOT, stop=stop, target=target))
    rig.quote(at, at + 200)
    assert not rig.broker.positions()
    _, closed = trades(rig)
    assert closed.closes and closed.reason is reason and closed.side == -side
    assert closed.position == trades(rig)[0].position and not closed.by_hand
    books_agree(rig)


def test_levels_are_moved_and_taken_away(rig):
    rig.broker.submit(market(BUY, LOT, stop=5_900_000))
    ticket = one(rig).ticket
    assert rig.broker.modify(SYMBOL, ticket, 5_950_000, 6_200_000).treatment is DONE
    assert (one(rig).stop, one(rig).target) == (5_950_000, 6_200_000)
    same = rig.broker.modify(SYMBOL, ticket, 5_950_000, 6_200_000)
    assert same.treatment is Treatment.NO_CHANGE
    assert rig.broker.modify(SYMBOL, ticket, 5_950_000, 0).treatment is DONE
    assert (one(rig).stop, one(rig).target) == (5_950_000, 0)
    rig.quote(5_949_000, 5_949_200)
    assert not rig.broker.positions() and trades(rig)[-1].reason is ExitReason.STOP


def test_levels_that_cannot_be_held_change_nothing(rig):
    rig.broker.submit(market(BUY, LOT, stop=5_900_000))
    ticket = one(rig).ticket
    for stop, target in ((BID + 100, 0), (5_900_000, BID - 100)):
        outcome = rig.broker.modify(SYMBOL, ticket, stop, target)
        assert outcome.treatment is Treatment.FIX_INPUT
    assert rig.broker.modify(SYMBOL, 999_999, 5_000_000, 0).treatment is Treatment.REREAD
    assert (one(rig).stop, one(rig).target) == (5_900_000, 0)


# --- history


def test_history_starts_where_it_is_asked_to(rig):
    rig.broker.submit(market(BUY, LOT))
    rig.wait(100)
    since = NOON_NS + 50 * NS
    rig.broker.close(one(rig), LOT, magic(2), "out")
    assert [d.closes for d in rig.broker.deals(since)] == [True]
    assert [o.magic for o in rig.broker.orders(since)] == [magic(2)]
    assert len(trades(rig)) == 2
    books_agree(rig)


def test_connecting_again_changes_nothing(rig):
    rig.broker.submit(market(BUY, LOT, stop=5_900_000))
    before = one(rig), trades(rig), rig.broker.account()
    assert rig.broker.connect() == before[2]
    assert (one(rig), trades(rig), rig.broker.account()) == before
