"""What a broker's facts are put into, fact by fact."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from data.enums import Action, BrokerAct, ExitReason, OrderState, OrderType, Side
from engine.broker.intent_id import ORDER_MAX, IntentKey, magic_of
from engine.broker.protocol import DealFact, OrderFact, PositionFact
from engine.runtime.books import Books
from engine.runtime.gateway_state import BrokerRow, Intent, Ledger
from engine.runtime.reconcile import Found, Names, agree, tell_deals, tell_orders, tell_positions
from tests.engine.runtime.scripted_broker import BASE, START, TAG, S

NAMES = Names(BASE, TAG, {0: 1}, {0: "EURUSD"})
TWO = Names(BASE, TAG, {0: 2, 1: 3}, {0: "EURUSD", 1: "XAUUSD"})
NOW = START + 100 * S


def mark(order: int, fold: int = 0) -> int:
    return magic_of(BASE, TAG, IntentKey(fold, order))


def intent(order: int, side: Side = Side.BUY, position: int = 0, fold: int = 0) -> Intent:
    action = Action.EXIT if position else Action.ENTER_LONG
    return Intent(
        fold, START, order, order, action, OrderType.MARKET, side, 100, 0, 9_000, 11_000, 0, 0,
        ExitReason.OPEN, order, position, 0, 0, 0,
    )  # fmt: skip


def deal(ticket: int, side: Side = Side.BUY, **more: object) -> DealFact:
    known = DealFact(
        ticket, 50, 50, "EURUSD", mark(1), "", side, 100, 10_000, 0, 7, START + ticket * S,
        ExitReason.OPEN, side == Side.SELL,
    )  # fmt: skip
    return replace(known, **more)  # type: ignore[arg-type]


def fresh(*intents: Intent) -> Ledger:
    ledger = Ledger()
    ledger.follow(BrokerRow(0, 1, START, 0, BrokerAct.BALANCE, balance=1_000))
    for one in intents or (intent(1),):
        ledger.intend(one)
    return ledger


def said(ledger: Ledger) -> list[tuple[str, int, int]]:
    return [(r.act.name, r.order_id, r.id) for r in ledger.take()]


def test_a_closing_deal_waits_for_the_one_that_opened() -> None:
    ledger, found = fresh(), Found()
    close = deal(2, Side.SELL, magic=0, reason=ExitReason.STOP)
    ledger.owners[50] = 0  # its position was seen
    tell_deals(ledger, NAMES, [close], NOW, found)
    assert said(ledger) == [] and found.early == [close]
    tell_deals(ledger, NAMES, [close, deal(1)], NOW, Found())
    assert said(ledger) == [("ORDER", 1, 50), ("FILL", 1, 1), ("FILL", 0, 2)]
    assert not ledger.held


def test_it_does_not_wait_for_ever() -> None:
    ledger = fresh()
    ledger.owners[50] = 0
    close = deal(2, Side.SELL, magic=0, reason=ExitReason.STOP)
    tell_deals(ledger, NAMES, [close], NOW, Found(), patient=False)
    assert said(ledger) == [("FILL", 0, 2)]


@pytest.mark.parametrize("magic", [0, mark(1), 12345])
@pytest.mark.parametrize("reason", [ExitReason.STOP, ExitReason.TARGET, ExitReason.STOP_OUT])
def test_an_exit_of_the_server_is_no_order_of_ours_whatever_its_mark(
    magic: int, reason: ExitReason
) -> None:
    ledger = fresh()
    tell_deals(ledger, NAMES, [deal(1)], NOW, Found())
    tell_deals(ledger, NAMES, [deal(2, Side.SELL, magic=magic, reason=reason)], NOW, Found())
    row = ledger.take()[-1]
    assert (row.act, row.order_id, row.reason, row.position) == (BrokerAct.FILL, 0, reason, 50)


def test_a_deal_whose_mark_was_stripped_is_known_by_its_order() -> None:
    ledger = fresh()
    ledger.follow(BrokerRow(0, 1, START, 50, BrokerAct.ORDER, 1, state=OrderState.WORKING))
    tell_deals(ledger, NAMES, [deal(1, magic=0)], NOW, Found())
    assert said(ledger) == [("FILL", 1, 1)]


def test_deals_of_others_move_the_balance_and_nothing_else() -> None:
    ledger = fresh()
    other = deal(9, magic=0, order=900, position=900, profit=500)
    tell_deals(ledger, NAMES, [other, other], NOW, Found())
    (row,) = ledger.take()
    assert (row.act, row.balance, row.id) == (BrokerAct.BALANCE, 1_000 + 500 - 7, 9)
    tell_deals(ledger, NAMES, [other], NOW, Found())
    assert said(ledger) == []


def test_deals_before_the_session_are_in_its_first_balance() -> None:
    ledger = fresh()
    tell_deals(ledger, NAMES, [deal(9, magic=0, position=900, ts_ns=START - 1)], NOW, Found())
    assert said(ledger) == []


def test_each_fold_of_an_account_has_its_whole_balance() -> None:
    ledger = Ledger()
    for fold in (0, 1):
        ledger.follow(BrokerRow(fold, fold + 2, START, 0, BrokerAct.BALANCE, balance=1_000))
        ledger.intend(intent(1, fold=fold))
    gold = deal(1, magic=mark(1, 1), symbol="XAUUSD", profit=40)
    tell_deals(ledger, TWO, [gold, deal(2, order=60, position=60, profit=-9)], NOW, Found())
    assert ledger.balances == {0: 1_000 + 31 - 14, 1: 1_000 + 31 - 14}
    rows = ledger.take()
    assert [(r.act.name, r.fold, r.series) for r in rows if r.act != BrokerAct.ORDER] == [
        ("FILL", 1, 3), ("BALANCE", 0, 2), ("FILL", 0, 2), ("BALANCE", 1, 3),
    ]  # fmt: skip


def test_a_mark_that_no_intent_explains_is_foreign() -> None:
    ledger, found = fresh(), Found()
    tell_deals(ledger, NAMES, [deal(5, magic=mark(77), position=900)], NOW, found)
    tell_deals(ledger, NAMES, [deal(6, magic=mark(ORDER_MAX), position=901)], NOW, found)
    assert found.foreign == [5]


def order(**more: object) -> OrderFact:
    known = OrderFact(
        50, "EURUSD", mark(1), "", OrderType.MARKET, Side.BUY, 100, 40, 0, START, START + S, False,
        50,
    )  # fmt: skip
    return replace(known, **more)  # type: ignore[arg-type]


def test_an_order_ends_when_the_fills_that_history_speaks_of_were_said() -> None:
    ledger = fresh()
    tell_orders(ledger, NAMES, [order()], NOW, Found())
    assert said(ledger) == [("ORDER", 1, 50)]  # 60 are filled, and their deal is not seen
    tell_deals(ledger, NAMES, [deal(1, qty=60)], NOW, Found())
    tell_orders(ledger, NAMES, [order()], NOW, Found())
    rows = ledger.take()
    assert [r.act for r in rows] == [BrokerAct.FILL, BrokerAct.ORDER]
    assert rows[-1].state == OrderState.CANCELLED


def test_the_order_by_which_the_server_closed_is_not_the_one_that_opened() -> None:
    ledger = fresh()
    tell_orders(ledger, NAMES, [order(ticket=51, side=Side.SELL)], NOW, Found())
    assert said(ledger) == []


def test_a_live_order_that_the_log_has_ended_is_a_stray() -> None:
    ledger, found = fresh(), Found()
    ledger.follow(BrokerRow(0, 1, NOW, 0, BrokerAct.ORDER, 1, state=OrderState.REJECTED))
    live = order(done_ns=0)
    tell_orders(ledger, NAMES, [live, order(ticket=99, magic=5, done_ns=0)], NOW, found)
    assert found.stray == [live] and said(ledger) == []


def test_a_position_shows_that_its_order_was_executed() -> None:
    ledger = fresh()
    ours = PositionFact(50, 50, "EURUSD", mark(1), "", Side.BUY, 100, 10_000, 0, 0, START)
    theirs = replace(ours, ticket=60, ident=60, magic=0)
    elsewhere = replace(theirs, symbol="GBPUSD")
    assert tell_positions(ledger, NAMES, [ours, theirs, elsewhere], NOW) == [theirs]
    assert said(ledger) == [("ORDER", 1, 50)]
    assert not agree(ledger, 0, [ours, theirs])
    tell_deals(ledger, NAMES, [deal(1)], NOW, Found())
    assert agree(ledger, 0, [ours, theirs])


def test_deals_come_to_the_same_in_any_order_of_looks() -> None:
    """Whatever a server shows when, what is told in the end is the same, and in a right order."""
    intents = (intent(1), intent(2, Side.SELL, 50))
    deals = [
        deal(1, qty=60), deal(2, qty=40),
        deal(3, Side.SELL, magic=mark(2), order=51, qty=30, profit=5),
        deal(4, Side.SELL, magic=0, order=52, qty=70, reason=ExitReason.STOP, profit=-8),
        deal(5, magic=0, order=900, position=900, profit=77),
    ]  # fmt: skip
    ends = set()
    for seen in itertools.permutations(deals):
        ledger = fresh(*intents)
        ledger.owners[50] = 0
        rows = []
        for n in range(1, len(seen) + 1):
            tell_deals(ledger, NAMES, seen[:n], NOW, Found())
            rows += ledger.take()
        fills = [r for r in rows if r.act == BrokerAct.FILL]
        net = 0
        for row in fills:
            net += int(row.side) * row.qty
            assert net >= 0
        ends.add((ledger.balances[0], net, len(fills), ledger.tracks[0, 2].filled))
    assert ends == {(1_000 + 5 - 8 + 77 - 5 * 7, 0, 4, 30)}


def test_books_believe_a_difference_that_stands() -> None:
    books = Books(10 * S)
    assert books.compare(100, [100], 1 * S) == "" and books.equal
    assert books.compare(105, [100], 2 * S) == ""
    assert books.compare(105, [100], 11 * S) == ""
    assert "0.00000005" in books.compare(105, [100], 12 * S)
    assert books.compare(105, [100], 30 * S) == "" and books.differed == 1
    assert books.compare(107, [100], 31 * S) == ""  # another difference: it begins anew
    assert books.compare(107, [107, 100], 60 * S) != "" and books.ours == 100
    assert books.compare(107, [107, 107], 61 * S) == "" and books.agreed_ns == 61 * S
