"""The loss of a day: counted from its beginning, over restarts, without what was paid in or out."""

from __future__ import annotations

from data.enums import BrokerAct
from engine.runtime.gateway_state import BrokerRow
from engine.runtime.live_guards import DAY_NS, DayLoss, begun_day

CENT = 10**6
NOON = 20_000 * DAY_NS + DAY_NS // 2


def balance(fold: int, ticket: int, money: int) -> BrokerRow:
    return BrokerRow(fold, fold, NOON, ticket, BrokerAct.BALANCE, balance=money)


def fill(fold: int, ticket: int, pnl: int) -> BrokerRow:
    return BrokerRow(fold, fold, NOON, ticket, BrokerAct.FILL, pnl=pnl)


def test_a_day_begins_with_the_equity_that_stands() -> None:
    day = DayLoss()
    assert day.loss(100 * CENT, NOON) == 0
    assert day.loss(70 * CENT, NOON + 1) == 30 * CENT
    assert day.loss(120 * CENT, NOON + 2) == -20 * CENT
    assert day.loss(70 * CENT, NOON + DAY_NS) == 0, "another day"


def test_a_restart_goes_on_with_the_day() -> None:
    day = DayLoss()
    day.loss(100 * CENT, NOON)
    again = DayLoss.of(day.facts(), {})
    assert again.loss(40 * CENT, NOON + 5) == 60 * CENT
    assert DayLoss.of({}, {}).loss(40 * CENT, NOON) == 0


def test_a_deposit_is_no_win_and_a_withdrawal_no_loss() -> None:
    day = DayLoss()
    day.follow([balance(0, 0, 100 * CENT), balance(1, 0, 100 * CENT)])
    day.loss(100 * CENT, NOON)
    assert day.follow([balance(0, 9, 150 * CENT), balance(1, 9, 150 * CENT)]) == 50 * CENT
    assert day.loss(120 * CENT, NOON) == 30 * CENT
    assert day.follow([balance(0, 10, 130 * CENT), balance(1, 10, 130 * CENT)]) == -20 * CENT
    assert day.loss(100 * CENT, NOON) == 30 * CENT


def test_what_another_instrument_earned_is_not_paid_in() -> None:
    day = DayLoss()
    day.follow([balance(0, 0, 100 * CENT), balance(1, 0, 100 * CENT)])
    day.loss(100 * CENT, NOON)
    assert day.follow([fill(1, 7, -5 * CENT), balance(0, 7, 95 * CENT)]) == 0
    mixed = [fill(1, 8, 3 * CENT), balance(0, 8, 98 * CENT), balance(0, 9, 108 * CENT),
             balance(1, 9, 108 * CENT)]  # fmt: skip
    assert day.follow(mixed) == 10 * CENT
    assert day.loss(108 * CENT, NOON) == 2 * CENT


def test_what_was_paid_in_counts_once_though_the_process_died_before_its_row_was_kept() -> None:
    day = DayLoss()
    rows = [balance(0, 0, 100 * CENT)]
    day.follow(rows)
    day.loss(100 * CENT, NOON)
    day.follow([balance(0, 9, 60 * CENT)])
    again = DayLoss.of(day.facts(), {0: 100 * CENT})
    again.follow([balance(0, 9, 60 * CENT)])  # the log did not have it: it is told anew
    assert again.loss(30 * CENT, NOON) == 30 * CENT
    again.follow([balance(0, 10, 50 * CENT)])
    assert again.loss(30 * CENT, NOON) == 20 * CENT, "another one counts"


def test_another_session_of_the_account_goes_on_with_the_day() -> None:
    mine, others = [7, "Demo"], [8, "Demo"]
    first = {"number": 5, "equity": 100, "account": mine}
    second = {"number": 5, "equity": 90, "account": mine}
    stranger = {"number": 5, "equity": 1, "account": others}
    old = {"number": 4, "equity": 70, "account": mine}
    assert begun_day({}, [old, first, stranger, {}], mine) is first
    assert begun_day({}, [first, second], mine) is second, "it has what was paid in since"
    assert begun_day(second, [first], mine) is second
    assert begun_day(old, [first], mine) is first, "that one ran when this one did not"
    assert begun_day({}, [stranger, {}], mine) == {}
