"""The loss of a day: counted from its beginning, over restarts, without what was paid in or out."""

from __future__ import annotations

from data.enums import BrokerAct
from engine.runtime.gateway_state import BrokerRow
from engine.runtime.live_guards import DAY_NS, DayLoss

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
