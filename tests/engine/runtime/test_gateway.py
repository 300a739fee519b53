"""The gateway over a small scripted broker in virtual time: one thing after another goes wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.enums import Action, BrokerAct, ExitReason, OrderType, Side
from engine.broker.protocol import NewOrder, Treatment
from engine.runtime.gateway import Ask, GatewaySeries, GatewaySettings
from engine.runtime.gateway_state import followed
from tests.engine.runtime.scripted_broker import EURUSD, SCALES, Desk, S, ScriptedBroker


def started(**more: object) -> Desk:
    desk = Desk(ScriptedBroker(**more))  # type: ignore[arg-type]
    desk.run(1)
    assert desk.gateway.reconciled and not desk.gateway.blocked
    return desk


def opened(desk: Desk, order: int = 1) -> int:
    desk.intend(order)
    desk.run(1)
    (ident,) = desk.broker.book
    return ident


def test_a_start_tells_the_balance_and_lets_go() -> None:
    desk = started()
    assert [r.act for r in desk.rows] == [BrokerAct.BLOCK, BrokerAct.BALANCE, BrokerAct.UNBLOCK]
    assert desk.rows[1].balance == desk.broker.balance
    assert desk.gateway.books.equal
    assert {r.series for r in desk.rows} == {EURUSD.execution}


def test_an_entry_and_an_exit() -> None:
    desk = started()
    ident = opened(desk)
    desk.intend(2, Action.EXIT, position=ident)
    desk.broker.price = 10_100
    desk.run(1)
    assert desk.say() == [
        "ORDER WORKING 1 0", "FILL 1 BUY 100 OPEN", "ORDER WORKING 2 0", "FILL 2 SELL 100 OPEN",
    ]  # fmt: skip
    assert desk.gateway.books.equal and desk.gateway.quiet
    assert not desk.alarms


def test_the_broker_holds_stop_and_target_of_an_entry() -> None:
    desk = started()
    desk.intend(1)
    desk.run(1)
    order = next(c.order for c in desk.calls if c.ask is Ask.SUBMIT)
    assert order is not None
    assert (order.stop, order.target, order.deviation, order.qty) == (9_900, 10_200, 50, 100)


@pytest.mark.parametrize("fault", ["lost", "lost gone"])
def test_an_order_whose_answer_is_lost_is_found(fault: str) -> None:
    desk = started(script={1: fault}, hide_ns=2 * S)
    desk.intend(1)
    desk.run(15)
    assert desk.say() == ["ORDER WORKING 1 0", "FILL 1 BUY 100 OPEN"]
    acts = [r.act for r in desk.rows]
    assert acts.count(BrokerAct.BLOCK) == acts.count(BrokerAct.UNBLOCK) == 2
    assert len(desk.changes) == 1 and not desk.gateway.blocked


@pytest.mark.parametrize("fault", ["never", "gone"])
def test_an_order_that_never_got_there_is_unsent_after_ten_seconds(fault: str) -> None:
    desk = started(script={1: fault})
    desk.intend(1)
    desk.run(9.9)
    assert desk.say() == [] and desk.gateway.blocked
    desk.run(1.2)
    assert desk.say() == ["ORDER REJECTED 1 0"]
    assert not desk.gateway.blocked and len(desk.changes) == 1


def test_while_one_is_unknown_nothing_leaves() -> None:
    desk = started(script={1: "never"})
    ident = 0
    desk.intend(1)
    desk.run(1)
    desk.intend(2)
    desk.intend(3, Action.EXIT, position=ident, reduce_only=1)
    desk.run(8)
    assert len(desk.changes) == 1
    desk.run(5)
    # the entry was too old by then, and there is no position to close
    assert desk.say() == ["ORDER REJECTED 2 0", "ORDER REJECTED 3 0", "ORDER REJECTED 1 0"] or (
        sorted(desk.say()) == ["ORDER REJECTED 1 0", "ORDER REJECTED 2 0", "ORDER REJECTED 3 0"]
    )
    assert len(desk.changes) == 1


def test_looks_without_a_connection_prove_nothing() -> None:
    desk = started(script={1: "never"})
    desk.intend(1)
    desk.broker.connected = False
    desk.run(60)
    assert desk.say() == [] and desk.gateway.blocked
    desk.broker.connected = True
    desk.run(9)
    assert desk.say() == []
    desk.run(2)
    assert desk.say() == ["ORDER REJECTED 1 0"]


def test_fresh_prices_are_asked_for_within_the_bound() -> None:
    desk = started(script={1: Treatment.FRESH_PRICE, 2: Treatment.FRESH_PRICE})
    desk.intend(1)
    desk.run(2)
    assert desk.say() == ["ORDER WORKING 1 0", "FILL 1 BUY 100 OPEN"]
    assert len(desk.changes) == 3 and desk.gateway.counts.resent == 2


def test_an_entry_is_dropped_where_the_price_ran_away() -> None:
    desk = started(script={1: Treatment.FRESH_PRICE})
    desk.intend(1)
    desk.step()
    desk.broker.price += 60
    desk.run(2)
    assert desk.say() == ["ORDER REJECTED 1 10004"] and len(desk.changes) == 1


def test_retries_are_bounded() -> None:
    desk = started(script=dict.fromkeys(range(1, 20), Treatment.FRESH_PRICE))
    desk.intend(1)
    desk.run(5)
    assert desk.say() == ["ORDER REJECTED 1 10004"]
    assert len(desk.changes) == 1 + GatewaySettings().retries


@pytest.mark.parametrize("treatment", [Treatment.REFUSE, Treatment.FIX_INPUT])
def test_a_refusal_is_the_end(treatment: Treatment) -> None:
    desk = started(script={1: treatment})
    desk.intend(1)
    desk.run(3)
    assert len(desk.changes) == 1
    assert desk.say()[0].startswith("ORDER REJECTED 1 10")


def test_what_cannot_be_sent_is_refused_loudly() -> None:
    desk = started(script={1: "error"})
    desk.intend(1)
    desk.run(3)
    assert desk.say() == ["ORDER REJECTED 1 0"] and desk.alarms and len(desk.changes) == 1


def test_a_halt_stands_until_trading_is_allowed_again() -> None:
    desk = started(script={1: Treatment.HALT})
    desk.broker.allowed = False
    desk.intend(1)
    desk.run(30)
    assert desk.say() == ["ORDER REJECTED 1 10027"]
    assert desk.gateway.halted and desk.gateway.blocked == {0: ("halt",)}
    desk.broker.allowed = True
    desk.run(6)
    assert not desk.gateway.halted and not desk.gateway.blocked
    assert len([a for a in desk.alarms if "halted" in a]) == 1


def test_a_partial_fill_ends_with_the_rest_cancelled() -> None:
    desk = started(script={1: "partial"})
    desk.intend(1)
    desk.run(1)
    assert desk.say() == ["ORDER WORKING 1 0", "FILL 1 BUY 50 OPEN", "ORDER CANCELLED 1 0"]


def test_an_exit_by_the_server_is_found() -> None:
    desk = started()
    ident = opened(desk)
    desk.broker.price = 9_900
    desk.broker.server_exit(ident)
    desk.run(1)
    assert desk.say()[2:] == ["FILL 0 SELL 100 STOP"]
    assert desk.gateway.books.equal


def test_an_exit_meets_a_position_that_the_server_closed() -> None:
    desk = started(hide_ns=S)
    ident = opened(desk)
    desk.run(2)
    desk.broker.server_exit(ident, ExitReason.TARGET)
    desk.intend(2, Action.EXIT, position=ident)
    desk.run(15)
    assert sorted(desk.say()[2:]) == ["FILL 0 SELL 100 TARGET", "ORDER REJECTED 2 10023"]
    assert desk.gateway.books.equal and not desk.gateway.blocked


def test_a_close_by_hand_is_told() -> None:
    desk = started()
    ident = opened(desk)
    desk.broker.by_hand(Side.SELL, 100, ident)
    desk.run(1)
    assert desk.say()[2:] == ["FILL 0 SELL 100 CONTROL"]


def test_positions_of_others_are_reported_and_left() -> None:
    desk = Desk(ScriptedBroker())
    desk.broker.by_hand(Side.BUY, 7)
    desk.run(30)
    assert len(desk.gateway.unknown_positions) == 1 and not desk.changes
    assert len(desk.alarms) == 1 and not desk.gateway.blocked


def test_working_orders_of_others_are_reported_and_left() -> None:
    desk = Desk(ScriptedBroker(linked=True))
    theirs = NewOrder("EURUSD", 5, "", OrderType.LIMIT, Side.BUY, 9, 9_000, 0, 0, ioc=False)
    ticket = desk.broker.submit(theirs).order
    desk.run(30)
    assert desk.gateway.facts()["unknown_orders"] == [ticket]
    assert len(desk.alarms) == 1 and not desk.changes and not desk.gateway.blocked


def test_in_a_netting_account_a_position_of_others_blocks() -> None:
    desk = Desk(ScriptedBroker(hedging=False))
    ident = desk.broker.by_hand(Side.BUY, 7)
    desk.run(5)
    desk.intend(1)
    desk.run(10)
    assert desk.gateway.blocked == {0: ("foreign",)} and not desk.changes
    desk.broker.by_hand(Side.SELL, 7, ident)
    desk.run(2)
    assert not desk.gateway.blocked


def test_unknown_positions_are_closed_where_that_is_told() -> None:
    desk = Desk(ScriptedBroker(), settings=GatewaySettings(close_unknown=True))
    desk.broker.by_hand(Side.BUY, 7)
    desk.run(30)
    assert not desk.broker.book and len(desk.changes) == 1
    assert desk.gateway.books.equal and desk.say() == []


def test_a_deposit_is_a_balance() -> None:
    desk = started()
    desk.broker.deposit(500 * 10**8)
    desk.run(1)
    assert desk.rows[-1].act == BrokerAct.BALANCE
    assert desk.rows[-1].balance == desk.broker.balance and desk.gateway.books.equal


@pytest.mark.parametrize("ahead_s", [-30, 0, 30])
def test_what_the_account_did_before_is_in_its_first_balance(ahead_s: int) -> None:
    """Whatever the session's clock is to the server's."""
    broker = ScriptedBroker()
    broker.deposit(500 * 10**8)
    dealt = broker.deal_list[0]
    broker.deal_list[0] = replace(dealt, ts_ns=broker.now_ns + ahead_s * S)
    desk = Desk(broker)
    desk.run(2)
    balances = [r.balance for r in desk.rows if r.act == BrokerAct.BALANCE]
    assert balances == [broker.balance] and desk.gateway.books.equal
    desk.gateway = desk.new(followed(desk.log))
    desk.run(60)
    assert not desk.alarms and desk.gateway.books.equal


def test_a_difference_that_nothing_explains_is_an_alarm() -> None:
    desk = started()
    desk.broker.balance += 1
    desk.run(9)
    assert not desk.alarms
    desk.run(3)
    assert len(desk.alarms) == 1 and desk.gateway.books.difference == 1
    desk.run(30)
    assert len(desk.alarms) == 1


def test_a_stop_is_moved_and_one_that_stands_is_spared() -> None:
    desk = started()
    ident = opened(desk)
    desk.intend(0, Action.MOVE_STOP, position=ident, stop=9_950, target=10_200)
    desk.run(1)
    desk.intend(0, Action.MOVE_STOP, position=ident, stop=9_950, target=10_200)
    desk.run(1)
    assert desk.say()[2:] == ["LEVELS 9950 10200"] * 2
    assert len(desk.changes) == 2 and desk.gateway.counts.spared == 1


def test_only_the_last_of_several_moves_leaves() -> None:
    desk = started()
    ident = opened(desk)
    for stop in (9_910, 9_920, 9_930):
        desk.intend(0, Action.MOVE_STOP, position=ident, stop=stop, target=0)
    desk.run(1)
    assert desk.say()[2:] == ["LEVELS 9930 0"] and len(desk.changes) == 2


@pytest.mark.parametrize(("fault", "levels"), [("lost", "9950 0"), ("never", "9900 10200")])
def test_a_move_whose_answer_is_lost_tells_what_stands(fault: str, levels: str) -> None:
    desk = started(script={2: fault})
    ident = opened(desk)
    desk.intend(0, Action.MOVE_STOP, position=ident, stop=9_950, target=0)
    desk.run(15)
    assert desk.say()[2:] == [f"LEVELS {levels}"]
    assert not desk.gateway.blocked and len(desk.changes) == 2


def test_levels_that_others_moved_are_told() -> None:
    desk = started()
    ident = opened(desk)
    desk.broker.book[ident] = replace(desk.broker.book[ident], stop=9_000)
    desk.run(5)
    assert desk.say()[2:] == ["LEVELS 9000 10200"]


def limit(desk: Desk, order: int) -> int:
    desk.intend(order, type=OrderType.LIMIT, price=9_990)
    desk.run(1)
    return desk.broker.history[-1].ticket


def test_a_resting_order_is_filled_later() -> None:
    desk = started()
    ticket = limit(desk, 1)
    assert desk.say() == ["ORDER WORKING 1 0"] and desk.gateway.quiet
    desk.broker.fill_pending(ticket)
    desk.run(1)
    assert desk.say() == ["ORDER WORKING 1 0", "FILL 1 BUY 100 OPEN"]


@pytest.mark.parametrize("fault", [None, "lost", "never", "lost gone", Treatment.BACK_OFF])
def test_a_resting_order_is_withdrawn(fault: object) -> None:
    desk = started(script={2: fault} if fault else {})
    limit(desk, 1)
    desk.intend(1, Action.CANCEL)
    desk.run(15)
    assert desk.say() == ["ORDER WORKING 1 0", "ORDER CANCELLED 1 0"]
    assert not desk.gateway.blocked and desk.gateway.quiet


def test_an_order_that_waits_is_withdrawn_without_a_call() -> None:
    desk = Desk(ScriptedBroker())
    desk.intend(1, type=OrderType.LIMIT, price=9_990)
    desk.intend(1, Action.CANCEL)
    desk.run(5)
    assert desk.say() == ["ORDER REJECTED 1 0"] and not desk.changes


def test_a_late_deal_of_an_order_that_was_given_up_is_told() -> None:
    desk = started(script={1: "lost"}, hide_ns=25 * S)
    desk.intend(1)
    desk.run(40)
    assert desk.say() == ["ORDER REJECTED 1 0", "FILL 1 BUY 100 OPEN"]
    assert desk.broker.executed.most_common(1)[0][1] == 1 and desk.gateway.books.equal


def test_a_resting_order_that_was_given_up_is_withdrawn() -> None:
    desk = started(script={1: "lost"}, hide_ns=25 * S)
    desk.intend(1, type=OrderType.LIMIT, price=9_990)
    desk.run(60)
    assert desk.say() == ["ORDER REJECTED 1 0"]
    assert all(o.done_ns for o in desk.broker.history) and desk.gateway.counts.strays == 1


def test_a_lost_link_blocks_until_everything_was_looked_at() -> None:
    desk = started()
    desk.broker.down = True
    desk.run(3)
    assert desk.gateway.blocked == {0: ("link",)}
    desk.intend(1)
    desk.run(10)
    desk.broker.down = False
    desk.run(10)
    assert not desk.gateway.blocked and desk.say() == ["ORDER REJECTED 1 0"]
    assert [a for a in desk.alarms if "link" in a] == [
        "there is no link to the broker: no link", "there is no link to the broker: down",
    ]  # fmt: skip


def test_why_nothing_can_be_reached_is_said_once() -> None:
    desk = Desk(ScriptedBroker(down=True))
    desk.run(60)
    assert desk.alarms == ["there is no link to the broker: down"]
    assert desk.gateway.facts()["link_error"] == "down" and not desk.gateway.reconciled


def test_an_entry_that_had_to_wait_is_held_against_the_price_by_then() -> None:
    desk = started(hide_ns=S)
    desk.intend(1)
    desk.intend(2)
    desk.run(0.5)
    desk.broker.price += 60
    desk.run(5)
    assert "ORDER REJECTED 2 0" in desk.say() and len(desk.changes) == 1
    assert desk.gateway.counts.dropped == 1


GOLD = GatewaySeries(5, 6, "XAUUSD", SCALES)


@pytest.mark.parametrize("hedging", [True, False])
def test_two_instruments_of_one_account(hedging: bool) -> None:
    """What is unknown of one stops only that one; both know the whole balance."""
    desk = Desk(ScriptedBroker(hedging=hedging, script={1: "lost"}, hide_ns=3 * S), (EURUSD, GOLD))
    desk.run(5)
    desk.intend(1)
    desk.run(0.1)
    desk.intend(1, series=5, id=1, stop=0, target=0)
    desk.run(0.1)
    assert set(desk.gateway.blocked) == {0} and len(desk.changes) == 2
    desk.run(10)
    fills = [(r.fold, r.series) for r in desk.rows if r.act == BrokerAct.FILL]
    assert sorted(fills) == [(0, 1), (5, 6)]
    assert desk.gateway.ledger.balances == dict.fromkeys((0, 5), desk.broker.balance)
    assert desk.gateway.books.equal and not desk.gateway.blocked
    assert {p.symbol for p in desk.broker.book.values()} == {"EURUSD", "XAUUSD"}


@pytest.mark.parametrize("synced", [False, True])
def test_an_engine_that_died_after_sending_finds_its_order(synced: bool) -> None:
    desk = started()
    before = len(desk.log)
    desk.intend(1)
    desk.run(1)
    if not synced:
        desk.log = desk.log[: before + 1]  # the intent was, the rows were not
        desk.rows = desk.rows[:before]
    desk.gateway = desk.new(followed(desk.log))
    desk.run(15)
    assert [w for w in desk.say() if "LEVELS" not in w] == [
        "ORDER WORKING 1 0", "FILL 1 BUY 100 OPEN",
    ]  # fmt: skip
    assert len(desk.changes) == 1 and desk.gateway.books.equal


def test_an_engine_that_died_before_sending_does_not_send() -> None:
    desk = started()
    desk.intend(1)
    desk.gateway = desk.new(followed(desk.log))
    desk.run(15)
    assert desk.say() == ["ORDER REJECTED 1 0"] and not desk.changes


def test_an_answer_to_another_call_counts_and_does_nothing() -> None:
    desk = started()
    desk.intend(1)
    call = desk.gateway.next_call(desk.now_ns)
    assert call is not None and call.ask is Ask.SUBMIT
    late = replace(call, number=call.number - 1)
    assert desk.gateway.answer(late, desk.broker.account(), desk.now_ns) == []
    assert desk.gateway.counts.late_answers == 1


def test_an_intent_that_comes_twice_is_sent_once() -> None:
    desk = started()
    one = desk.intend(1)
    desk.gateway.intent(0, one)
    desk.run(3)
    desk.gateway.intent(0, one)
    desk.run(3)
    assert len(desk.changes) == 1
