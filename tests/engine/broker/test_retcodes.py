"""The table of codes: a row for every code that is documented, and what each row says is done."""

from __future__ import annotations

import pytest

from engine.broker import terminal
from engine.broker.protocol import Treatment
from engine.broker.retcodes import (
    LAST_ERRORS,
    RETCODES,
    link_is_gone,
    treatment_of,
    treatment_of_error,
    words_of,
)

T = Treatment

EXPECTED = {
    10004: (T.FRESH_PRICE, T.FRESH_PRICE), 10006: (T.REFUSE, T.REFUSE),
    10007: (T.REFUSE, T.REFUSE), 10008: (T.PLACED, T.PLACED), 10009: (T.DONE, T.DONE),
    10010: (T.DONE, T.DONE), 10011: (T.RECONCILE, T.RECONCILE),
    10012: (T.RECONCILE, T.RECONCILE), 10013: (T.FIX_INPUT, T.REREAD),
    10014: (T.FIX_INPUT, T.FIX_INPUT), 10015: (T.FIX_INPUT, T.FIX_INPUT),
    10016: (T.FIX_INPUT, T.FIX_INPUT), 10017: (T.REFUSE, T.REFUSE), 10018: (T.REFUSE, T.REFUSE),
    10019: (T.REFUSE, T.REFUSE), 10020: (T.FRESH_PRICE, T.FRESH_PRICE),
    10021: (T.FRESH_PRICE, T.FRESH_PRICE), 10022: (T.FIX_INPUT, T.FIX_INPUT),
    10023: (T.REREAD, T.REREAD), 10024: (T.BACK_OFF, T.BACK_OFF),
    10025: (T.NO_CHANGE, T.NO_CHANGE), 10026: (T.HALT, T.HALT), 10027: (T.HALT, T.HALT),
    10028: (T.BACK_OFF, T.BACK_OFF), 10029: (T.REREAD, T.REREAD),
    10030: (T.FIX_INPUT, T.FIX_INPUT), 10031: (T.RECONCILE, T.RECONCILE),
    10032: (T.HALT, T.HALT), 10033: (T.REFUSE, T.REFUSE), 10034: (T.REFUSE, T.REFUSE),
    10035: (T.FIX_INPUT, T.FIX_INPUT), 10036: (T.REREAD, T.REREAD),
    10038: (T.FIX_INPUT, T.REREAD), 10039: (T.FIX_INPUT, T.REREAD),
    10040: (T.REFUSE, T.REFUSE), 10041: (T.REFUSE, T.REFUSE), 10042: (T.REFUSE, T.REFUSE),
    10043: (T.REFUSE, T.REFUSE), 10044: (T.REFUSE, T.REFUSE),
    10045: (T.FIX_INPUT, T.FIX_INPUT), 10046: (T.FIX_INPUT, T.FIX_INPUT),
}  # fmt: skip
"""(what to do about a new order, what to do about a close, a change or a withdrawal)."""

ERRORS = {
    1: (T.RECONCILE, False), -1: (T.RECONCILE, False), -2: (T.FIX_INPUT, False),
    -3: (T.RECONCILE, False), -4: (T.RECONCILE, False), -5: (T.RECONCILE, False),
    -6: (T.RECONCILE, False), -7: (T.RECONCILE, False), -8: (T.HALT, False),
    -10000: (T.RECONCILE, True), -10001: (T.RECONCILE, True), -10002: (T.RECONCILE, True),
    -10003: (T.RECONCILE, True), -10004: (T.BACK_OFF, True), -10005: (T.RECONCILE, True),
}  # fmt: skip
"""(what to do where a request ended so, whether the link is dead)."""


@pytest.mark.parametrize("code", sorted(EXPECTED))
def test_a_retcode_is_treated_as_the_table_says(code):
    opening, closing = EXPECTED[code]
    assert treatment_of(code) is opening
    assert treatment_of(code, closing=True) is closing
    assert RETCODES[code].code == code
    assert words_of(code) == RETCODES[code].words != ""


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_an_error_of_the_link_is_treated_as_the_table_says(code):
    sent, gone = ERRORS[code]
    assert treatment_of_error(code) is sent
    assert link_is_gone(code) is gone
    assert words_of(code) == LAST_ERRORS[code].words != ""


def test_the_table_has_every_code_of_the_package_and_no_other():
    named = {n: v for n, v in vars(terminal).items() if n.startswith("TRADE_RETCODE_")}
    # the one code that a server gives and the package has no name for
    named["TRADE_RETCODE_HEDGE_PROHIBITED"] = 10046
    assert {f"TRADE_RETCODE_{row.name}": row.code for row in RETCODES.values()} == named
    assert set(RETCODES) == set(EXPECTED)
    assert set(LAST_ERRORS) == {v for n, v in vars(terminal).items() if n.startswith("RES_")}
    assert set(LAST_ERRORS) == set(ERRORS)


@pytest.mark.parametrize("code", [0, 1, 10000, 10005, 10037, 10047, 99999])
def test_a_code_that_nobody_knows_is_an_unknown_outcome(code):
    assert treatment_of(code) is treatment_of(code, closing=True) is T.RECONCILE
    assert str(code) in words_of(code) or code in LAST_ERRORS


def test_an_error_that_nobody_knows_is_an_unknown_outcome():
    assert treatment_of_error(-12345) is T.RECONCILE
    assert not link_is_gone(-12345)


def test_only_what_certainly_was_not_executed_may_be_sent_again():
    again = {T.FRESH_PRICE, T.BACK_OFF}
    assert {c for c in RETCODES if treatment_of(c) in again} == {10004, 10020, 10021, 10024, 10028}
    assert {c for c in LAST_ERRORS if treatment_of_error(c) in again} == {-10004}
    certain = {c for c in LAST_ERRORS if treatment_of_error(c) is not T.RECONCILE}
    assert certain == {-2, -8, -10004}
