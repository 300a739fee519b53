"""What arguments become on their way to the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.broker.terminal import rules
from engine.broker.terminal.wire import Reply
from tests.engine.broker.terminal.modules import FACTS
from tests.engine.broker.terminal.script import Script, connected

NOON = datetime(2026, 3, 2, 12, 0, 0, 999_999, tzinfo=UTC)
NOON_S = 1_772_452_800


@pytest.fixture
def script() -> Script:
    script = Script()
    for name in FACTS["functions"]:
        if name.endswith("_get"):
            script.answers[name] = Reply([])
        if name.startswith("copy_"):
            script.answers[name] = Reply({})
    return script


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        (NOON_S, NOON_S),
        (NOON_S + 0.999, NOON_S),
        (np.float64(NOON_S), NOON_S),
        (NOON, NOON_S),
        (NOON.astimezone(timezone(timedelta(hours=3))), NOON_S),
        (NOON.replace(tzinfo=None), int(NOON.replace(tzinfo=None).timestamp())),
        (pd.Timestamp(2026, 3, 2, 12), NOON_S),
        (True, 1),
        (-1.5, -1),
        (2.0**31, -(2**31)),
        (float("nan"), -(2**31)),
        (float("inf"), -(2**31)),
        (datetime(2038, 1, 20, tzinfo=UTC), -(2**31)),
    ],
)
def test_dates_become_whole_seconds_of_32_bits(script: Script, date: Any, seconds: int) -> None:
    mt5 = connected(script)
    mt5.copy_ticks_from("EURUSD", date, 5, -1)
    assert script.last == {"symbol": "EURUSD", "date_from": seconds, "count": 5, "flags": -1}
    mt5.copy_rates_range("EURUSD", 1, date, 5)
    assert script.last == {"symbol": "EURUSD", "timeframe": 1, "date_from": seconds, "date_to": 5}
    mt5.history_deals_get(5, date)
    assert script.last == {"date_from": 5, "date_to": seconds, "ticket": None, "position": None}


def test_with_two_dates_only_the_group_is_read(script: Script) -> None:
    mt5 = connected(script)
    deals = [{"symbol": "EURUSD", "ticket": 1}, {"symbol": "XAUUSD", "ticket": 2}, {"ticket": 3}]
    script.answers["history_deals_get"] = Reply(deals)
    found = mt5.history_deals_get(0, 5, group="*USD,!XAU*", ticket="not read", position=-1)
    assert [deal.ticket for deal in found] == [1]
    assert script.last == {"date_from": 0, "date_to": 5, "ticket": None, "position": None}
    mt5.history_orders_get(position=4, ticket=5)
    nothing = {"date_from": None, "date_to": None}
    assert script.last == nothing | {"ticket": 5, "position": None}
    mt5.history_orders_get(position=4, group="not read")
    assert script.last == nothing | {"ticket": None, "position": 4}


def test_one_filter_of_a_live_query_is_used(script: Script) -> None:
    mt5 = connected(script)
    held = [{"symbol": "EURUSD"}, {"symbol": "EURUSDm"}, {"symbol": "GBPUSD"}]
    script.answers["positions_get"] = Reply(held)
    mt5.positions_get(ticket=5, symbol=5, group=5)
    assert script.last == {"ticket": 5, "symbol": None}
    mt5.positions_get(symbol="EURUSD", group=5)
    assert script.last == {"ticket": None, "symbol": "EURUSD"}
    assert [p.symbol for p in mt5.positions_get(group="EUR*")] == ["EURUSD", "EURUSDm"]
    assert script.last == {"ticket": None, "symbol": None}
    assert len(mt5.positions_get(no_such_filter=5)) == 3


def test_what_counts_as_an_int_or_a_float_of_a_request(script: Script) -> None:
    class Kind(IntEnum):
        SELL = 1

    class Lots(float):
        pass

    mt5 = connected(script)
    script.answers["order_send"] = Reply({"retcode": 10009})
    given_ = {"action": True, "type": Kind.SELL, "volume": np.float64(0.1), "price": Lots(1.5)}
    assert mt5.order_send(given_ | {"magic": 2**64 - 1, "expiration": -5, "comment": "c" * 29})
    sent = script.last["request"]
    wanted = {"action": 1, "type": 1, "volume": 0.1, "price": 1.5, "magic": 2**64 - 1}
    assert wanted.items() <= sent.items() and sent["expiration"] == -5
    assert all(type(v) in (int, float, str) for v in sent.values())


def test_numbers_of_the_other_calls_are_taken_as_c_takes_them(script: Script) -> None:
    mt5 = connected(script)
    mt5.order_calc_margin(-1, "EURUSD", 1, np.float32(0.5))
    wanted = {"action": 2**32 - 1, "symbol": "EURUSD", "volume": 1.0, "price": 0.5}
    assert script.last == wanted
    mt5.copy_rates_from_pos("EURUSD", np.int64(16385), True, 5)
    assert script.last == {"symbol": "EURUSD", "timeframe": 16385, "start_pos": 1, "count": 5}
    mt5.symbol_select("EURUSD")
    assert script.last == {"symbol": "EURUSD", "enable": True}
    mt5.symbol_select("EURUSD", [])
    assert script.last == {"symbol": "EURUSD", "enable": False}


def test_initialize_ignores_what_it_does_not_know(script: Script) -> None:
    mt5 = connected(script)
    assert mt5.initialize("terminal", login=5, portable=1, no_such_word=None, timeout=10)
    assert script.last == {
        "path": "terminal", "login": 5, "password": None, "server": None,
        "timeout": 10, "portable": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("group", "name", "wanted"),
    [
        ("*", "EURUSD", True),
        (None, "EURUSD", True),
        ("", "EURUSD", True),
        ("EURUSD", "EURUSD", True),
        ("EUR", "EURUSD", False),
        ("eur*", "EURUSD", False),
        ("*USD*", "EURUSDm", True),
        ("E*D", "EURUSD", True),
        ("*, !*USD*", "EURUSD", False),
        ("*,!*USD*,EURUSD", "EURUSD", False),
        ("*,!*USD*", "EURGBP", True),
        ("!*USD*", "EURGBP", False),
        ("GER40.cash", "GER40xcash", False),
    ],
)
def test_groups(group: str | None, name: str, wanted: bool) -> None:
    assert rules.group_matches(group, name) is wanted


WORD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40),
    st.binary(max_size=4), st.datetimes(), st.lists(st.integers(), max_size=2),
)  # fmt: skip
KEYS = ["symbol", "ticket", "group", "position", "path", "login", *FACTS["request"]]
CALLS = sorted(set(FACTS["functions"]) - {"initialize", "Buy", "Sell", "Close", "_RawOrder"})


@given(
    st.sampled_from(CALLS),
    st.lists(WORD, max_size=5),
    st.dictionaries(st.sampled_from(KEYS), WORD, max_size=6),
)
def test_whatever_is_passed_is_answered_refused_or_a_python_error(
    name: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """Nothing but TypeError (the call's form) and SystemError (C's own) leaves the argument rules,
    and what is refused never reaches the server."""
    script = Script(answers={name: Reply.failed(-1)})
    mt5 = connected(script)
    before = len(script.asked)
    try:
        result = getattr(mt5, name)(*args, **kwargs)
    except (TypeError, SystemError):
        assert len(script.asked) == before
        return
    if mt5.last_error()[0] == -2:
        assert result in (None, False) and len(script.asked) == before
