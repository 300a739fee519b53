"""A live fold: what leaves as an intent, and what each answer of a broker does to the account."""

from __future__ import annotations

import pytest

from data.events import (
    Action,
    BrokerAct,
    ExitReason,
    FillReason,
    Kind,
    OrderReason,
    OrderState,
    OrderType,
    Scales,
)
from engine.kernel.live_state import (
    V_BAD_ANSWER,
    V_OVERFILL,
    V_POSITIONS,
    V_UNKNOWN_ORDER,
    V_UNKNOWN_POSITION,
)
from engine.kernel.matching_state import POSITIONS
from tests.engine.kernel.live_driver import MONEY, Strings
from tests.engine.puppet import CANCEL, EXIT, LONG, MOVE, PART, REST_LONG, SHORT

FILLED, CANCELLED, REJECTED = OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED


# --- intents -----------------------------------------------------------------------------------


def test_an_entry_leaves_as_an_intent_with_its_levels_and_the_touch() -> None:
    it = Strings(stop="40", target="60")
    it.quote(99_999, 100_001)
    sent = it.order(LONG)
    row = it.row("intent")
    assert (row["id"], row["order_id"], row["action"]) == (1, sent, Action.ENTER_LONG)
    assert (row["type"], row["side"], row["qty"]) == (OrderType.MARKET, 1, 1000)
    assert (row["price"], row["stop"], row["target"]) == (0, 99_960, 100_060)
    assert (row["bid"], row["ask"], row["basis"], row["position"]) == (99_999, 100_001, 0, 0)
    assert row["decision_id"] == it.row("decision")["id"] and row["ts_ns"] == it.now
    assert it.known["open_orders"] == 1 and not len(it.rows("order"))


def test_market_events_fill_nothing() -> None:
    it = Strings(stop="40", target="60")
    it.order(REST_LONG)
    for price in (99_000, 101_000):
        it.trade(price)
        it.quote(price - 1, price + 1)
    assert it.known["qty"] == 0 and it.known["open_orders"] == 1
    assert not len(it.rows("fill"))


def test_what_no_broker_would_take_is_refused_before_it_leaves() -> None:
    it = Strings(sim__qty_min="5")
    assert it.order(LONG) == 0
    assert it.row("order")["reason"] == OrderReason.BAD_QTY
    assert not len(it.rows("intent")) and it.known["open_orders"] == 0


def test_an_exit_names_the_brokers_position_and_only_reduces() -> None:
    it = Strings()
    it.bought(position=4711)
    it.order(EXIT)
    row = it.row("intent")
    assert (row["action"], row["side"], row["qty"]) == (Action.EXIT, -1, 1000)
    assert (row["position"], row["reduce_only"]) == (4711, 1)
    assert row["exit_reason"] == ExitReason.STRATEGY


def test_a_moved_stop_and_a_cancel_name_what_they_are_about() -> None:
    it = Strings()
    first = it.bought(position=31)
    it.order(MOVE)
    row = it.row("intent")
    assert (row["action"], row["position"], row["stop"]) == (Action.MOVE_STOP, 31, it.price - 7)
    resting = it.order(REST_LONG)
    it.order(CANCEL)
    it.order(CANCEL)
    assert it.row("intent")["action"] == Action.CANCEL and it.row("intent")["order_id"] == resting
    assert resting > first
    ids = it.rows("intent")["id"]
    assert ids.tolist() == list(range(1, len(ids) + 1)) == [1, 2, 3, 4]  # one cancel is enough


def test_an_exit_of_several_positions_is_an_order_each() -> None:
    it = Strings(sim__account="hedging", lots="600")
    for ident in (11, 12, 13):
        sent = it.order(LONG)
        it.fills(sent, 1, 600, 100_000, position=ident)
    assert it.known["qty"] == 1800
    it.order(EXIT)
    rows = it.rows("intent")[-3:]
    assert rows["position"].tolist() == [11, 12, 13] and rows["qty"].tolist() == [600] * 3
    it.order(PART)
    assert it.rows("intent")[-2:]["qty"].tolist() == [600, 300]


# --- answers about orders ------------------------------------------------------------------------


def test_an_order_works_and_its_ticket_is_kept() -> None:
    it = Strings()
    sent = it.order(REST_LONG)
    it.works(sent, ticket=88)
    o = it.sim["orders"][it.sim["order_at"][0]]
    assert o["state"] == OrderState.WORKING and int(it.own["tickets"][it.sim["order_at"][0]]) == 88
    it.ends(sent, CANCELLED)
    row = it.row("order")
    assert (row["state"], row["reason"]) == (CANCELLED, OrderReason.BY_BROKER)
    assert it.known["open_orders"] == 0 and not it.own["tickets"].any()


@pytest.mark.parametrize("code, reason", [(10019, OrderReason.BY_BROKER), (0, OrderReason.UNSENT)])
def test_a_refused_order_says_whether_it_was_sent(code: int, reason: OrderReason) -> None:
    it = Strings()
    it.ends(it.order(LONG), REJECTED, code)
    row = it.row("order")
    assert (row["state"], row["reason"], row["filled_qty"]) == (REJECTED, reason, 0)
    assert it.known["open_orders"] == 0 and not any(it.violations)


def test_a_cancel_that_got_through_is_ours_and_one_that_did_not_can_be_asked_again() -> None:
    it = Strings()
    sent = it.order(REST_LONG)
    it.works(sent)
    it.order(CANCEL)
    it.works(sent)  # it works on
    it.order(CANCEL)
    assert it.rows("intent")["action"].tolist()[1:] == [Action.CANCEL] * 2
    it.ends(sent, CANCELLED)
    assert it.row("order")["reason"] == OrderReason.BY_STRATEGY


def test_what_is_left_of_a_partly_filled_order_ends() -> None:
    it = Strings()
    sent = it.order(LONG)
    it.fills(sent, 1, 400, 100_000)
    assert it.known["qty"] == 400 and it.known["open_orders"] == 1
    it.ends(sent, REJECTED, 10006)  # something was filled: it cannot have been rejected
    row = it.row("order")
    assert (row["state"], row["filled_qty"]) == (CANCELLED, 400)
    assert it.known["qty"] == 400 and it.known["open_orders"] == 0


def test_an_order_that_was_never_sent_or_has_ended_is_told_apart() -> None:
    it = Strings()
    sent = it.bought()
    it.works(sent)
    it.ends(sent, CANCELLED)
    assert int(it.own["late"]) == 2 and not any(it.violations)
    it.works(4711)
    assert it.violations[V_UNKNOWN_ORDER] == 1
    it.ends(it.order(LONG), FILLED)  # only executions fill
    assert it.violations[V_BAD_ANSWER] == 1


# --- executions ----------------------------------------------------------------------------------


def test_the_brokers_money_is_booked_and_not_ours() -> None:
    it = Strings()
    it.bought(1000, 100_001, fee=3 * MONEY)
    it.trade(100_500)
    it.wait()
    sent = it.order(EXIT)
    it.fills(sent, -1, 1000, 100_400, pnl=77 * MONEY, fee=-MONEY)
    fill, position = it.row("fill"), it.row("position")
    assert (fill["pnl"], fill["fee"], fill["reason"]) == (77 * MONEY, -MONEY, FillReason.BY_BROKER)
    assert (fill["cause_kind"], fill["cause_id"]) == (Kind.BROKER, 7)
    assert fill["latency_ns"] == fill["ts_ns"] - it.rows("order")["ts_ns"][-1] > 0
    assert (position["gross_pnl"], position["fees"]) == (77 * MONEY, 2 * MONEY)
    assert position["exit_reason"] == ExitReason.STRATEGY
    assert it.known["balance"] == 10_000 * MONEY + 75 * MONEY and it.books_agree()


def test_a_server_made_exit_has_an_order_of_its_own() -> None:
    it = Strings(stop="40", target="60")
    it.bought(position=5)
    it.told(BrokerAct.LEVELS, position=5, price=99_950, target=100_070)
    it.fills(0, -1, 1000, 99_948, position=5, pnl=-5 * MONEY, reason=ExitReason.STOP)
    order = it.row("order")
    assert (order["type"], order["price"], order["state"]) == (OrderType.STOP, 99_950, FILLED)
    assert order["decision_id"] == 0 and order["id"] > 1
    assert it.row("position")["exit_reason"] == ExitReason.STOP
    assert it.known["qty"] == 0 and it.known["last_exit_reason"] == ExitReason.STOP


@pytest.mark.parametrize("reason", [ExitReason.OPEN, ExitReason.CONTROL])
def test_a_position_closed_by_hand_says_so(reason: ExitReason) -> None:
    it = Strings()
    it.bought(position=5)
    it.fills(0, -1, 400, 100_000, position=5, reason=reason)
    it.fills(0, -1, 600, 100_000, position=5, reason=reason)
    assert it.row("position")["exit_reason"] == ExitReason.CONTROL
    assert it.row("order")["reason"] == OrderReason.BY_BROKER
    assert it.known["qty"] == 0 and not any(it.violations)


def test_an_order_that_ended_and_was_executed_after_all_is_booked() -> None:
    it = Strings()
    sent = it.order(LONG)
    it.ends(sent, REJECTED, 10012)
    it.fills(sent, 1, 1000, 100_002, fee=MONEY)
    assert it.known["qty"] == 1000 and it.known["open_orders"] == 0
    assert it.row("fill")["order_id"] == sent and int(it.own["late"]) == 1
    assert len(it.rows("order")) == 1 and it.books_agree()
    assert it.order(LONG) == sent + 1  # it took no id


def test_an_execution_beyond_what_was_asked_is_booked_and_counted() -> None:
    it = Strings()
    sent = it.order(LONG)
    it.fills(sent, 1, 1500, 100_000)
    assert it.known["qty"] == 1500 and it.violations[V_OVERFILL] == 1
    assert it.row("order")["filled_qty"] == 1000 == it.row("order")["qty"]


def test_a_netting_account_is_turned_round_by_one_execution() -> None:
    it = Strings(lots="600")
    sent = it.order(LONG)
    it.fills(sent, 1, 600, 100_000, position=3)
    sent = it.order(SHORT)
    it.fills(sent, -1, 600, 100_000, position=3)
    assert it.known["qty"] == 0
    sent = it.order(LONG)
    it.fills(sent, 1, 600, 100_000, position=4)
    other = it.order(SHORT)
    it.live.fold.state["sim"]["orders"][0, it.sim["order_at"][0]]["left"] = 1000
    it.fills(other, -1, 1000, 100_100, position=4, pnl=6 * MONEY, fee=5 * MONEY)
    fills = it.rows("fill")[-2:]
    assert fills["qty"].tolist() == [600, 400] and fills["pnl"].tolist() == [6 * MONEY, 0]
    assert fills["fee"].tolist() == [3 * MONEY, 2 * MONEY]
    assert it.known["qty"] == -400 and it.row("position")["exit_reason"] == ExitReason.REVERSE
    assert it.books_agree() and not any(it.violations)


def test_hedging_keeps_opposite_positions_and_enlarges_by_identifier() -> None:
    it = Strings(sim__account="hedging")
    long = it.order(LONG)
    it.fills(long, 1, 400, 100_000, position=71)
    it.fills(long, 1, 600, 100_010, position=71)
    short = it.order(SHORT)
    it.fills(short, -1, 1000, 100_005, position=72)
    assert int(it.sim["n_positions"]) == 2 and it.known["qty"] == 0
    it.fills(0, 1, 1000, 100_000, position=72, reason=ExitReason.TARGET)
    assert it.known["qty"] == 1000 and it.known["entry_price"] == 100_006
    assert not any(it.violations)


def test_an_execution_of_a_position_that_is_not_held_is_money_alone() -> None:
    it = Strings(sim__account="hedging")
    it.bought(position=5)
    it.fills(0, -1, 300, 100_000, position=6, pnl=MONEY, reason=ExitReason.STOP)
    assert it.violations[V_UNKNOWN_POSITION] == 1
    assert it.row("fill")["position_id"] == 0 and it.known["qty"] == 1000
    assert it.known["balance"] == 10_001 * MONEY and it.books_agree()


def test_more_positions_than_there_is_room_for_are_money_alone() -> None:
    it = Strings(sim__account="hedging")
    for n in range(POSITIONS + 1):
        it.fills(it.order(LONG), 1, 1000, 100_000, position=100 + n, fee=MONEY)
    assert int(it.sim["n_positions"]) == POSITIONS and it.violations[V_POSITIONS] == 1
    assert it.books_agree()


def test_executions_that_make_no_sense_change_nothing() -> None:
    it = Strings()
    sent = it.order(LONG)
    before = it.sim.tobytes()
    for change in (
        {"qty": 0}, {"qty": -5}, {"price": 0}, {"side": 0}, {"side": 7}, {"pnl": 1 << 62},
        {"fee": -(1 << 61)}, {"price": 1 << 61}, {"qty": 1 << 61},
    ):  # fmt: skip
        how = {"side": 1, "qty": 1000, "price": 100_000, **change}
        it.fills(sent, **how)
    assert it.violations[V_BAD_ANSWER] == 9 and not len(it.rows("fill"))
    same = it.live.fold.state["sim"].copy()
    same["now_ns"] = it.sim["now_ns"]
    assert len(before) == len(same.tobytes()) and it.known["qty"] == 0
    it.fills(sent, 1, 1000, 100_000)
    assert it.known["qty"] == 1000


# --- levels, balance, what is unknown ------------------------------------------------------------


def test_levels_are_those_that_the_broker_holds() -> None:
    it = Strings(stop="40", target="60")
    it.bought(position=5)
    w = it.sim["positions"][it.sim["position_at"][0]]
    assert (int(w["stop"]), int(w["target"])) == (99_960, 100_060)
    it.told(BrokerAct.LEVELS, position=5, price=99_970, target=0)
    assert (int(w["stop"]), int(w["target"])) == (99_970, 0)
    it.told(BrokerAct.LEVELS, position=6, price=99_970)
    it.told(BrokerAct.LEVELS, position=5, price=-1)
    assert it.violations[V_UNKNOWN_POSITION] == it.violations[V_BAD_ANSWER] == 1


def test_a_balance_is_where_the_account_stands_and_no_result() -> None:
    it = Strings()
    it.told(BrokerAct.BALANCE, balance=2_500 * MONEY)
    assert it.known["balance"] == 2_500 * MONEY and int(it.sim["peak_equity"]) == 2_500 * MONEY
    it.bought(fee=10 * MONEY)
    it.told(BrokerAct.BALANCE, balance=2_600 * MONEY)
    assert int(it.own["adjusted"]) == -7_390 * MONEY and it.books_agree()
    it.wait(60)
    it.wait(60)
    assert it.row("equity")["balance"] == 2_600 * MONEY
    assert it.row("equity")["drawdown"] <= 11 * MONEY


def test_while_an_outcome_is_unknown_nothing_leaves_and_what_waits_leaves_then() -> None:
    it = Strings()
    it.bought(position=5)
    resting = it.order(REST_LONG)
    it.works(resting)
    sent = len(it.rows("intent"))
    it.told(BrokerAct.BLOCK, code=10012)
    it.told(BrokerAct.BLOCK, code=10012)
    assert it.known["open_orders"] == 2 and int(it.own["blocks"]) == 1
    it.order(CANCEL)
    it.order(MOVE, 100_100)
    it.order(MOVE, 100_200)
    assert it.order(EXIT) == 0 and it.row("order")["reason"] == OrderReason.UNSENT
    assert len(it.rows("intent")) == sent
    it.told(BrokerAct.UNBLOCK)
    late = it.rows("intent")[sent:]
    assert late["action"].tolist() == [Action.CANCEL, Action.MOVE_STOP]
    assert late["order_id"].tolist() == [resting, 0] and late["stop"].tolist() == [0, 100_193]
    assert it.known["open_orders"] == 1
    it.told(BrokerAct.UNBLOCK)
    assert len(it.rows("intent")) == sent + 2


def test_an_answer_is_known_at_once_and_its_time_is_the_brokers() -> None:
    it = Strings()
    sent = it.order(LONG)
    at = it.now + 3
    it.wait()
    event_now = it.now
    it.now = at - 10_000_000
    it.fills(sent, 1, 1000, 100_000)
    it.now = event_now
    assert it.row("fill")["ts_ns"] == at and it.row("fill")["known_ns"] == event_now
    assert it.known["open_ns"] == at


# --- two series ----------------------------------------------------------------------------------


def test_levels_leave_in_prices_of_the_execution_venue() -> None:
    it = Strings(apart=True, stop="40", target="60", sim__price_step="0.5")
    assert it.order(LONG) == 0  # nobody knows yet what a price is worth there
    assert it.row("order")["reason"] == OrderReason.NO_PRICE
    it.trade()
    it.quote(100_248, 100_258)
    sent = it.order(LONG)
    row = it.row("intent")
    assert (row["basis"], row["bid"], row["ask"]) == (253, 100_248, 100_258)
    assert (row["stop"], row["target"]) == (100_215, 100_315)  # on its grid of 5
    it.fills(sent, 1, 1000, 100_258, position=5)
    assert it.known["entry_price"] == 100_258 - 253
    it.order(MOVE)
    assert it.row("intent")["stop"] == 100_245  # 99,993 + 253 on the grid
    sent = it.order(REST_LONG)
    assert it.row("intent")["price"] == 100_250


def test_the_account_is_valued_at_the_execution_venue() -> None:
    it = Strings(apart=True, scales=Scales(1, 3), basis__most="0")
    it.trade(100_000)
    it.quote(200_000, 200_010)
    sent = it.order(LONG)
    it.fills(sent, 1, 1000, 200_010, position=5)
    it.trade(100_500)  # the flow's price says nothing about it
    it.quote(200_110, 200_120)
    it.wait(60)
    it.wait(1)
    rows = it.rows("equity")
    assert int(rows["equity"][-1] - rows["balance"][-1]) == (200_115 - 200_010) * MONEY // 10


def test_a_basis_that_is_old_or_runs_away_lets_no_entry_out() -> None:
    it = Strings(apart=True, basis__change="0.001", basis__most="0.01")
    it.trade()
    it.quote(100_100, 100_110)
    assert it.order(LONG) > 0
    it.wait(30)
    assert it.order(LONG) == 0  # no quote for half a minute
    it.quote(100_100, 100_110)
    assert it.order(LONG) > 0
    it.trade()
    it.quote(100_300, 100_310)  # the mean is at 105
    assert it.order(LONG) == 0
    for _ in range(400):
        it.trade()
        it.quote(100_300, 100_310)
        it.wait()
    assert it.order(LONG) > 0
    for _ in range(900):
        it.trade()
        it.quote(102_300, 102_310)
        it.wait()
    assert it.order(LONG) == 0  # 2 % is beyond its bound, however calm it is
    basis = it.live.fold.state["basis"][0]
    assert 2_290 < int(basis["units"]) <= 2_305 and int(basis["good"]) == 0
