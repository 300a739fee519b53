"""The face of the module: what it names, how its structs behave, which arguments it refuses.

The same tests run over the real module where it is installed, without a terminal: nothing here
connects, and nothing that could be sent is valid. The part that reads from a connected terminal
(``test_contract_connected``) needs one that is named.
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.engine.broker.terminal.modules import (
    FACTS,
    REAL,
    is_real,
    load,
    modules,
    real_is_there,
    reference,
)

STRUCTS = sorted(FACTS["structs"])
C_ZERO = {"f64": 0.0, "bool": False, "utf16": "", "struct": None}


@pytest.fixture(params=modules())
def mt5(request: pytest.FixtureRequest) -> Any:
    return load(request.param)


def zeros(name: str) -> list[Any]:
    return [C_ZERO.get(kind, 0) for kind in FACTS["structs"][name]["fields"].values()]


# --- names


def test_the_real_module_is_held_to_the_same() -> None:
    if not real_is_there():
        pytest.skip(f"{REAL} is not installed (it exists for Windows only): the stand-in alone ran")
    assert [p.id for p in modules()] == ["stand-in", "real"]


def test_every_constant_has_its_value(mt5: Any) -> None:
    held = {name: getattr(mt5, name, None) for name in FACTS["constants"]}
    assert held == FACTS["constants"]
    assert len(held) == 223
    assert all(type(value) is int for value in held.values())


def test_no_other_constant_is_there(mt5: Any) -> None:
    loud = {n for n in dir(mt5) if n.isupper() and not n.startswith("_")}
    assert loud == set(FACTS["constants"])
    assert not [n for n in FACTS["missing"] if hasattr(mt5, n)]


def test_every_function_and_struct_is_there(mt5: Any) -> None:
    assert all(callable(getattr(mt5, name)) for name in FACTS["functions"])
    assert all(isinstance(getattr(mt5, name), type) for name in STRUCTS)
    assert mt5.__author__ == "MetaQuotes Ltd."
    if not is_real(mt5):
        assert mt5.__version__ == "5.0.6231"


def test_the_committed_facts_are_those_of_the_reference() -> None:
    constants = json.loads(reference("mt5_constants.json").read_text(encoding="utf-8"))
    surface = json.loads(reference("mt5_surface.json").read_text(encoding="utf-8"))
    assert FACTS["constants"] == constants
    functions = {k: (v["call"], v["on_error"]) for k, v in surface["functions"].items()}
    assert {k: (v["call"], v["on_error"]) for k, v in FACTS["functions"].items()} == functions
    structs = {
        name: (held["doc"], [(field, held["c_types"][field]) for field in held["fields"]])
        for name, held in surface["structs"].items()
    }
    ours = FACTS["structs"].items()
    assert {n: (held["doc"], list(held["fields"].items())) for n, held in ours} == structs
    assert FACTS["dtypes"] == {k: surface["dtypes"][k]["fields"] for k in ("rates", "ticks")}
    assert FACTS["request"] == surface["request_fields"]["order_of_validation"]
    assert FACTS["missing"] == surface["not_in_python_module_but_needed"]


# --- structs


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_is_a_tuple_with_read_only_names(mt5: Any, name: str) -> None:
    cls = getattr(mt5, name)
    fields = list(FACTS["structs"][name]["fields"])
    row = cls(range(len(fields)))
    assert isinstance(row, tuple) and row == tuple(range(len(fields)))
    assert cls.__bases__ == (tuple,) and cls.__module__ == "builtins" and cls.__name__ == name
    assert cls.__doc__ == FACTS["structs"][name]["doc"]
    assert [getattr(row, field) for field in fields] == list(range(len(fields)))
    assert (row.n_fields, cls.n_sequence_fields, cls.n_unnamed_fields) == (len(fields),) * 2 + (0,)
    assert row._asdict() == dict(zip(fields, row, strict=True))
    assert list(row._asdict()) == fields
    inside = ", ".join(f"{field}={at}" for at, field in enumerate(fields))
    assert repr(row) == f"{name}({inside})"
    for field in (fields[0], fields[-1]):
        with pytest.raises(AttributeError, match="readonly attribute"):
            setattr(row, field, 1)
        with pytest.raises(AttributeError, match="readonly attribute"):
            delattr(row, field)
    with pytest.raises(AttributeError):
        row.no_such_field = 1
    assert not [n for n in ("_fields", "_replace", "_make") if hasattr(cls, n)]


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_is_made_from_one_sequence_and_cannot_be_pickled(mt5: Any, name: str) -> None:
    cls = getattr(mt5, name)
    row = cls(zeros(name))
    assert cls(row) == row and copy.copy(row) == row and type(copy.deepcopy(row)) is cls
    assert row[1:3] == tuple(zeros(name)[1:3]) and type(row[:]) is tuple
    assert hash(row) == hash(tuple(row))
    with pytest.raises(TypeError):
        cls(*zeros(name))
    with pytest.raises(TypeError):
        cls(zeros(name)[1:])
    with pytest.raises(TypeError):
        cls(5)
    with pytest.raises(TypeError):
        cls()
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (cls,), {})
    with pytest.raises(pickle.PicklingError, match="attribute lookup"):
        pickle.dumps(row)
    assert pickle.loads(pickle.dumps(tuple(row))) == row


# --- arguments, without a connection

BAD = (-2, "Invalid arguments")
LONG_NAME, LONG_GROUP = "S" * 30, "G" * 1998
NOW = datetime(2026, 3, 2, tzinfo=UTC)
COPIES: dict[str, tuple[Any, ...]] = {
    "copy_rates_from": ("EURUSD", 1, NOW, 5),
    "copy_rates_from_pos": ("EURUSD", 1, 0, 5),
    "copy_rates_range": ("EURUSD", 1, NOW, NOW),
    "copy_ticks_from": ("EURUSD", NOW, 5, -1),
    "copy_ticks_range": ("EURUSD", NOW, NOW, -1),
}
POSITIONAL: dict[str, tuple[Any, ...]] = COPIES | {
    "symbol_info": ("EURUSD",),
    "symbol_info_tick": ("EURUSD",),
    "symbol_select": ("EURUSD", True),
    "market_book_add": ("EURUSD",),
    "market_book_get": ("EURUSD",),
    "market_book_release": ("EURUSD",),
    "history_orders_total": (NOW, NOW),
    "history_deals_total": (NOW, NOW),
    "order_calc_margin": (0, "EURUSD", 1.0, 1.1),
    "order_calc_profit": (0, "EURUSD", 1.0, 1.1, 1.2),
}
FAILURE = {"symbol_select": False}


def refused(mt5: Any, result: Any, failure: Any = None, text: str | None = None) -> None:
    code, words = mt5.last_error()
    assert (result, code) == (failure, -2)
    assert text is None or words == text


def test_positional_calls_take_no_keywords(mt5: Any) -> None:
    for name in POSITIONAL:
        with pytest.raises(TypeError):
            getattr(mt5, name)(symbol="EURUSD")


def test_calls_without_arguments_take_none(mt5: Any) -> None:
    for name, facts in FACTS["functions"].items():
        if facts["call"] == "no arguments":
            with pytest.raises(TypeError):
                getattr(mt5, name)(1)


def test_a_wrong_count_of_arguments_fails_plainly(mt5: Any) -> None:
    for name, good in POSITIONAL.items():
        call = getattr(mt5, name)
        refused(mt5, call(), FAILURE.get(name))
        refused(mt5, call(*good, 1, 1), FAILURE.get(name))


def test_a_symbol_is_text_of_at_most_29_units(mt5: Any) -> None:
    for name, good in POSITIONAL.items():
        if "EURUSD" not in good:
            continue
        for bad in (None, 5, b"EURUSD", LONG_NAME, "\U0001f600" * 15):
            args = [bad if arg == "EURUSD" else arg for arg in good]
            refused(mt5, getattr(mt5, name)(*args), FAILURE.get(name), BAD[1])


def test_what_is_no_c_int_raises_a_system_error(mt5: Any) -> None:
    for call in (
        lambda: mt5.copy_rates_from_pos("EURUSD", 1, 0, 10.0),
        lambda: mt5.copy_rates_from_pos("EURUSD", 1, 0, 2**31),
        lambda: mt5.copy_ticks_from("EURUSD", NOW, "5", -1),
        lambda: mt5.copy_rates_range("EURUSD", 1, 2**31, NOW),
        lambda: mt5.order_calc_margin(0, "EURUSD", "1", 1.1),
    ):
        with pytest.raises(SystemError, match="returned a result with an exception set"):
            call()


def test_a_date_is_a_number_or_a_datetime(mt5: Any) -> None:
    for bad in (date(2026, 3, 2), "2026-03-02", None, np.datetime64("2026-03-02"), [NOW]):
        refused(mt5, mt5.copy_ticks_from("EURUSD", bad, 5, -1))
        refused(mt5, mt5.copy_rates_range("EURUSD", 1, NOW, bad))
        refused(mt5, mt5.history_deals_get(bad, NOW))
        refused(mt5, mt5.history_deals_total(NOW, bad))


def test_live_queries_take_keywords_only(mt5: Any) -> None:
    for call in (mt5.orders_get, mt5.positions_get):
        refused(mt5, call("EURUSD"), text="Unnamed arguments not allowed")
        refused(mt5, call(symbol=None), text='Invalid "symbol" argument')
        refused(mt5, call(symbol=LONG_NAME), text='Invalid "symbol" argument')
        refused(mt5, call(ticket="1"), text='Invalid "ticket" argument')
        refused(mt5, call(ticket=None, symbol="EURUSD"), text='Invalid "ticket" argument')
        refused(mt5, call(group=LONG_GROUP), text='Invalid "group" argument')


def test_history_takes_two_dates_or_one_keyword(mt5: Any) -> None:
    for call in (mt5.history_orders_get, mt5.history_deals_get):
        refused(mt5, call(date_from=NOW, date_to=NOW), text=BAD[1])
        refused(mt5, call(NOW, ticket=5), text="Unnamed arguments not allowed")
        refused(mt5, call(NOW, position=5), text="Unnamed arguments not allowed")
        refused(mt5, call())
        refused(mt5, call(NOW))
        refused(mt5, call(NOW, NOW, NOW))
        refused(mt5, call(ticket=None), text='Invalid "ticket" argument')


def test_symbols_get_says_false_for_bad_arguments(mt5: Any) -> None:
    refused(mt5, mt5.symbols_get(5), False)
    refused(mt5, mt5.symbols_get(group=5), False)
    refused(mt5, mt5.symbols_get(group=LONG_GROUP), False)


def good_request() -> dict[str, Any]:
    """A request that is valid in form and can be sent nowhere: its symbol does not exist."""
    return {"action": 1, "symbol": "no such symbol", "volume": 0.01, "type": 0, "price": 1.0}


WRONG: dict[str, list[Any]] = {
    "float": [1, 0, True, Decimal("1"), np.float32(1), "1.0", None],
    "int": [1.0, np.int64(1), "1", None, Decimal(1)],
    "str": [1, None, b"x", "c" * 30, "\U0001f600" * 15],
}
KIND = {"f64": "float", "utf16": "str"}


@pytest.mark.parametrize("field", FACTS["request"])
@pytest.mark.parametrize("name", ["order_check", "order_send"])
def test_a_request_field_of_the_wrong_kind_is_named(mt5: Any, name: str, field: str) -> None:
    c_type = FACTS["structs"]["TradeRequest"]["fields"][field]
    for bad in WRONG[KIND.get(c_type, "int")]:
        result = getattr(mt5, name)(good_request() | {field: bad})
        refused(mt5, result, text=f'Invalid "{field}" argument')
        # by keyword it is the same request
        result = getattr(mt5, name)(**(good_request() | {field: bad}))
        refused(mt5, result, text=f'Invalid "{field}" argument')


@pytest.mark.parametrize("at", range(len(FACTS["request"]) - 1))
def test_the_first_bad_field_wins(mt5: Any, at: int) -> None:
    bad = dict.fromkeys(reversed(FACTS["request"][at:]))
    refused(mt5, mt5.order_send(bad), text=f'Invalid "{FACTS["request"][at]}" argument')


def test_what_no_request_can_be_is_refused(mt5: Any) -> None:
    for call in (mt5.order_check, mt5.order_send):
        for bad in (None, 5, "x", [("action", 1)], tuple(good_request().items())):
            refused(mt5, call(bad), text=BAD[1])
        refused(mt5, call(), text=BAD[1])


def test_an_int_that_does_not_fit_raises_a_system_error(mt5: Any) -> None:
    for field, bad in (
        ("action", -1), ("magic", -1), ("magic", 2**64), ("deviation", -5), ("position", 2**64),
        ("type", 2**32), ("expiration", 2**63),
    ):  # fmt: skip
        with pytest.raises(SystemError, match="returned a result with an exception set"):
            mt5.order_send(good_request() | {field: bad})


# --- no connection


FAILS: dict[str, Callable[[Any], Any]] = {
    "terminal_info": lambda m: m.terminal_info(),
    "account_info": lambda m: m.account_info(),
    "symbols_total": lambda m: m.symbols_total(),
    "symbols_get": lambda m: m.symbols_get(),
    "orders_total": lambda m: m.orders_total(),
    "orders_get": lambda m: m.orders_get(symbol="EURUSD"),
    "positions_total": lambda m: m.positions_total(),
    "positions_get": lambda m: m.positions_get(),
    "history_orders_get": lambda m: m.history_orders_get(NOW, NOW),
    "history_deals_get": lambda m: m.history_deals_get(position=5),
    "order_check": lambda m: m.order_check(good_request()),
    "order_send": lambda m: m.order_send(**good_request()),
}


def test_without_a_connection_every_call_fails_and_says_so(mt5: Any) -> None:
    calls = FAILS | {
        name: lambda m, n=name, a=args: getattr(m, n)(*a)  # type: ignore[misc]
        for name, args in POSITIONAL.items()
        if not name.startswith("market_book")
    }
    for name, call in calls.items():
        mt5.shutdown()
        assert call(mt5) is FAILURE.get(name), name
        assert mt5.last_error() == (-10004, "No IPC connection"), name
    assert mt5.version() == (0, 0, "")
    assert mt5.login(5) is False and mt5.last_error()[0] == -10004


def test_last_error_speaks_of_the_last_other_call(mt5: Any) -> None:
    assert mt5.account_info() is None
    assert mt5.last_error() == mt5.last_error() == (-10004, "No IPC connection")
    assert mt5.shutdown() is True and mt5.shutdown() is True
    assert mt5.last_error() == (1, "Success")


def test_credentials_of_the_wrong_kind_are_refused(mt5: Any) -> None:
    for bad in (
        {"path": 5}, {"login": "5"}, {"login": 5.0}, {"password": 5}, {"server": 5},
        {"path": "p" * 258}, {"server": "s" * 254}, {"password": "p" * 254},
    ):  # fmt: skip
        refused(mt5, mt5.initialize(**bad), False)
        if "path" not in bad:
            refused(mt5, mt5.login(**({"login": 5} | bad)), False)
    refused(mt5, mt5.login(), False, 'Invalid "login" argument')
    refused(mt5, mt5.login(0), False)
    refused(mt5, mt5.login(5, "secret", "server", 60_000), False)
