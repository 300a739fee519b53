"""What a call gives back: values, nothing, failures, and what a fault on the way leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.broker.terminal import constants, structs
from engine.broker.terminal.client import Terminal
from engine.broker.terminal.wire import ERRORS, DirectLink, Fault, FaultKind, Reply
from tests.engine.broker.terminal.modules import FACTS
from tests.engine.broker.terminal.script import Script, connected

POSITION = {"ticket": 7, "identifier": 7, "symbol": "EURUSD", "volume": 0.1, "type": 0}
REQUEST = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "price": 1.1}
TICK = {"time": 5, "bid": 1.0, "ask": 1.1, "time_msc": 5000}


@pytest.fixture
def script() -> Script:
    return Script()


# --- values


def test_structs_come_with_their_zeros_and_types(script: Script) -> None:
    mt5 = connected(script)
    script.says("account_info", {"login": 5, "balance": 100, "trade_allowed": 1, "server": "S"})
    account = mt5.account_info()
    assert isinstance(account, structs.AccountInfo)
    assert (account.login, account.balance, account.trade_allowed) == (5, 100.0, True)
    kinds = {"f64": float, "bool": bool, "utf16": str}
    for name, c_type in FACTS["structs"]["AccountInfo"]["fields"].items():
        assert type(getattr(account, name)) is kinds.get(c_type, int), name


def test_a_server_that_breaks_a_struct_is_a_bug_and_no_answer(script: Script) -> None:
    mt5 = connected(script)
    for wrong in ({"balanse": 1.0}, {"login": -1}, {"leverage": 2**32}):
        script.says("account_info", wrong)
        with pytest.raises(ValueError, match="AccountInfo"):
            mt5.account_info()
    script.says("account_info", {"login": 5.0})
    with pytest.raises(TypeError):
        mt5.account_info()
    script.says("account_info", {"name": 5})
    with pytest.raises(TypeError):
        mt5.account_info()


@pytest.mark.parametrize("kind", ["rates", "ticks"])
def test_arrays_are_packed_and_read_only(script: Script, kind: str) -> None:
    mt5 = connected(script)
    name = f"copy_{kind}_from"
    columns = {field: np.arange(3) for field, _, _ in FACTS["dtypes"][kind]}
    script.says(name, columns, {"time": np.empty(0)}, {})
    args = ("EURUSD", 1, 0, 3) if kind == "rates" else ("EURUSD", 0, 3, constants.COPY_TICKS_ALL)
    rows = getattr(mt5, name)(*args)
    laid_out = [[f, rows.dtype[f].str, rows.dtype.fields[f][1]] for f in rows.dtype.names]
    assert laid_out == FACTS["dtypes"][kind] and rows.dtype.itemsize == 60
    assert rows.shape == (3,) and rows.flags.owndata and rows[1]["time"] == 1
    assert isinstance(rows[0], np.void)
    with pytest.raises(ValueError, match="read-only"):
        rows["time"][0] = 5
    for _ in range(2):
        assert getattr(mt5, name)(*args).shape == (0,)
    assert mt5.last_error() == (1, "Success")


def test_columns_that_do_not_fit_are_a_bug_of_the_server(script: Script) -> None:
    mt5 = connected(script)
    script.says("copy_ticks_from", {"tyme": np.zeros(1)}, {"time": np.zeros(1), "bid": np.zeros(2)})
    for words in ("tyme", "unequal"):
        with pytest.raises(ValueError, match=words):
            mt5.copy_ticks_from("EURUSD", 0, 3, -1)


def test_an_order_brings_its_request_back_as_it_was_sent(script: Script) -> None:
    mt5 = connected(script)
    answer = {"retcode": 10009, "deal": 8, "order": 9, "volume": 0.1, "comment": "done"}
    script.says("order_send", answer)
    result = mt5.order_send(REQUEST | {"no_such_field": 5, "comment": "mine"})
    assert (result.retcode, result.order, result.price) == (10009, 9, 0.0)
    sent = script.last["request"]
    assert list(sent) == FACTS["request"] and sent["type_filling"] == 0
    assert isinstance(result.request, structs.TradeRequest)
    assert result.request._asdict() == sent
    assert isinstance(result._asdict()["request"], structs.TradeRequest)
    script.says("order_check", {"comment": "Done"})
    assert mt5.order_check(**REQUEST).retcode == 0


def test_a_rejected_order_leaves_last_error_at_success(script: Script) -> None:
    mt5 = connected(script)
    script.says("order_send", {"retcode": 10019, "comment": "No money"})
    assert mt5.order_send(REQUEST).retcode == 10019
    assert mt5.last_error() == (1, "Success")


def test_order_send_by_the_name_request_reaches_nobody(script: Script) -> None:
    mt5 = connected(script)
    assert mt5.order_send(request=REQUEST) is None
    assert mt5.last_error()[0] == -2 and script.asked[-1][0] == "initialize"


# --- nothing, and failures


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("positions_get", (), {"ticket": 5}),
        ("orders_get", (), {"symbol": "EURUSD"}),
        ("history_orders_get", (0, 5), {}),
        ("history_deals_get", (), {"position": 5}),
        ("symbols_get", (), {"group": "X*"}),
    ],
)
def test_nothing_found_is_empty_and_a_failure_is_none(
    script: Script, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    mt5 = connected(script)
    script.says(name, [], Reply.failed(-4), Reply.failed(-1), Reply.failed(-10000))
    call = getattr(mt5, name)
    for _ in range(2):
        assert call(*args, **kwargs) == () and mt5.last_error() == (1, "Success")
    for code in (-1, -10000):
        assert call(*args, **kwargs) is None and mt5.last_error() == (code, ERRORS[code])


def test_each_failure_has_its_own_value(script: Script) -> None:
    mt5 = connected(script)
    script.answers = {name: Reply.failed(-1) for name in FACTS["functions"]}
    for name in ("login", "symbol_select"):
        assert getattr(mt5, name)(*([5] if name == "login" else ["EURUSD"])) is False
        assert mt5.last_error()[0] == -1
    for name in ("market_book_add", "market_book_release"):
        assert getattr(mt5, name)("EURUSD") is False
        assert mt5.last_error() == (1, "Success")
        assert getattr(mt5, name)(5) is None and mt5.last_error()[0] == -2
    assert mt5.version() == (0, 0, "") and mt5.last_error()[0] == -1
    assert mt5.symbol_info("NONE") is None and mt5.last_error()[0] == -1
    script.answers["symbols_get"] = Reply.failed(-2)
    assert mt5.symbols_get() is None, "False is for arguments that the module itself refuses"
    assert mt5.symbols_get(5) is False and mt5.last_error()[0] == -2


def test_login_that_fails_keeps_the_connection_and_initialize_does_not(script: Script) -> None:
    mt5 = connected(script)
    script.says("login", Reply.failed(-6), True)
    assert mt5.login(5, "secret", "S") is False
    assert mt5.last_error() == (-6, "Terminal: Authorization failed")
    assert mt5.login(5, password="secret", server="S") is True
    assert script.last == {"login": 5, "password": "secret", "server": "S", "timeout": 60_000}
    script.says("initialize", Reply.failed(-6))
    assert mt5.initialize(login=5, password="no", server="S") is False
    assert mt5.last_error()[0] == -6
    assert mt5.account_info() is None and mt5.last_error()[0] == -10004


def test_python_api_disabled_is_none_with_its_code(script: Script) -> None:
    mt5 = connected(script)
    script.says("order_send", Reply.failed(-8))
    assert mt5.order_send(REQUEST) is None
    assert mt5.last_error() == (-8, "Auto-Trading using Python API disabled in Terminal")


# --- faults on the way


def test_a_broken_pipe_says_so_once_and_then_there_is_no_connection(script: Script) -> None:
    waited: list[float] = []
    mt5 = connected(script, waited)
    script.says("order_send", Reply({}, fault=Fault(FaultKind.PIPE_DEATH, 0.5)))
    assert mt5.order_send(REQUEST) is None
    assert mt5.last_error() == (-10002, "IPC recv failed") and waited == [0.5]
    for _ in range(2):
        assert mt5.positions_get() is None
        assert mt5.last_error() == (-10004, "No IPC connection")
    assert [name for name, _ in script.asked] == ["initialize", "order_send"]
    assert mt5.initialize() and mt5.last_error() == (1, "Success")
    script.says("positions_get", [POSITION])
    assert mt5.positions_get()[0].ticket == 7


def test_codes_of_the_pipe_that_a_server_gives(script: Script) -> None:
    mt5 = connected(script)
    codes = (-10000, -10001, -10001, -10002)
    script.says("order_send", *(Reply.failed(code) for code in codes))
    for code in (*codes, -10004):
        assert mt5.order_send(REQUEST) is None and mt5.last_error() == (code, ERRORS[code])


def test_a_delay_passes_time_and_changes_nothing(script: Script) -> None:
    waited: list[float] = []
    mt5 = connected(script, waited)
    script.says("positions_total", Reply(3, fault=Fault(FaultKind.DELAY, 2.5)))
    assert mt5.positions_total() == 3 and waited == [2.5]


def test_a_hang_raises_what_the_callers_deadline_raises(script: Script) -> None:
    class DeadlineError(Exception):
        pass

    def wait(seconds: float) -> None:
        if seconds > 5:
            raise DeadlineError(seconds)

    mt5 = Terminal(lambda _path: DirectLink(script, wait))
    assert mt5.initialize()
    script.says("order_send", Reply({}, fault=Fault(FaultKind.HANG)))
    with pytest.raises(DeadlineError, match="inf"):
        mt5.order_send(REQUEST)


def test_an_answer_that_came_twice_is_taken_for_the_next_one(script: Script) -> None:
    mt5 = connected(script)
    first = Reply({"retcode": 10009, "order": 8}, fault=Fault(FaultKind.DUPLICATE))
    script.says("order_send", first, {"retcode": 10009, "order": 9})
    assert mt5.order_send(REQUEST).order == 8
    assert mt5.order_send(REQUEST).order == 8, "the second order was executed, its answer is stale"
    assert mt5.positions_get() is None and mt5.last_error() == (-10002, "IPC recv failed")
    assert mt5.positions_get() is None and mt5.last_error()[0] == -10004


# --- the functions that the package writes in Python


def test_buy_and_sell_try_again_on_a_requote(script: Script) -> None:
    mt5 = connected(script)
    requote, off = {"retcode": 10004}, {"retcode": 10021}
    script.answers["symbol_info_tick"] = Reply(TICK)
    script.says("order_send", requote, off, {"retcode": 10009})
    assert mt5.Buy("EURUSD", 0.1, comment="c", ticket=5).retcode == 10009
    wanted = {"action": 1, "type": 0, "price": 1.1, "deviation": 10, "type_filling": 0}
    sent = script.last["request"]
    assert wanted.items() <= sent.items() and (sent["comment"], sent["position"]) == ("c", 5)
    script.says("order_send", *[requote] * 10)
    assert mt5.Sell("EURUSD", 0.1).retcode == 10004
    assert script.last["request"]["price"] == 1.0 and script.answers["order_send"] == []
    script.says("order_send", requote)
    assert mt5.Sell("EURUSD", 0.1, 1.05).retcode == 10004, "with a price it is sent once"
    script.answers["symbol_info_tick"] = Reply.failed(-1)
    with pytest.raises(AttributeError):
        mt5.Buy("EURUSD", 0.1)


def test_close_says_whether_all_was_closed(script: Script) -> None:
    mt5 = connected(script)
    sell = POSITION | {"ticket": 8, "type": 1}
    script.answers["symbol_info_tick"] = Reply(TICK)
    script.answers["positions_get"] = Reply([POSITION, sell])
    done, rejected = {"retcode": 10009}, {"retcode": 10006}
    script.says("order_send", done, done, done, rejected, rejected, rejected, Reply.failed(-10000))
    assert mt5.Close("EURUSD") is True
    sent = [p["request"] for name, p in script.asked if name == "order_send"]
    assert [(r["type"], r["position"], r["price"]) for r in sent] == [(1, 7, 1.0), (0, 8, 1.1)]
    assert [mt5.Close("EURUSD") for _ in range(3)] == ["Partially", False, None]
    script.answers["positions_get"] = Reply.failed(-1)
    with pytest.raises(TypeError):
        mt5.Close("EURUSD", ticket=7)
    assert script.last == {"symbol": None, "ticket": 7}
