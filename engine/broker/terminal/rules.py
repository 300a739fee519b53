"""What the C layer of the module accepts: a call's arguments in, what the server is asked out.

Owns the argument rules, one function a group of calls: which are positional, how texts, numbers,
dates and requests are checked, in which order, and with which words a wrong one fails. Every rule
takes (args, kwargs) as given and returns the payload of ``wire``'s table, or raises

* :class:`ArgumentError`: the call returns its failure, ``last_error`` is (-2, the words);
* :class:`PendingError`: the C layer leaves its exception pending, which Python turns into a
  ``SystemError`` for the caller.

It must hold that a rule is never softer than the real one: where the real rule is not known (an
explicit None for a keyword, a filter that goes unused) the strict reading is taken for the first
and nothing is read of the second. It refuses to know connections and results.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.broker.terminal.structs import FIELDS

Args = Sequence[Any]
Kwargs = Mapping[str, Any]
Payload = dict[str, Any]

INVALID = "Invalid arguments"
UNNAMED = "Unnamed arguments not allowed"
COUNT = "Invalid number of arguments"
NAME_MAX = 29
GROUP_MAX = 1997
PATH_MAX = 257
SECRET_MAX = 253
_ORDINAL = ("1st", "2nd", "3rd")
_INT_MIN = -(2**31)


class ArgumentError(Exception):
    """Arguments that the C layer refuses, with its words."""


class PendingError(Exception):
    """Arguments that leave an exception pending in the C layer; its cause is that exception."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.__cause__ = cause


def _units(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _text(value: Any, most: int, words: str) -> str:
    if not isinstance(value, str) or _units(value) > most:
        raise ArgumentError(words)
    return value


def _named(key: str) -> str:
    return f'Invalid "{key}" argument'


def _unnamed(at: int) -> str:
    return f"Invalid {_ORDINAL[at]} unnamed argument"


def _unsigned(value: Any, bits: int, words: str) -> int:
    """An unsigned C integer out of an ``int`` (bool and IntEnum too, numpy's not)."""
    if not isinstance(value, int):
        raise ArgumentError(words)
    if value < 0:
        raise PendingError(OverflowError("can't convert negative value to unsigned int"))
    if value >= 1 << bits:
        raise PendingError(OverflowError("Python int too large to convert to C unsigned long"))
    return int(value)


def _signed(value: Any, bits: int, words: str) -> int:
    if not isinstance(value, int):
        raise ArgumentError(words)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise PendingError(OverflowError("Python int too large to convert to C long"))
    return int(value)


def _c_int(value: Any) -> int:
    """A C int as ``PyArg_ParseTuple("i")`` takes it: anything with ``__index__``."""
    if not hasattr(type(value), "__index__"):
        kind = type(value).__name__
        raise PendingError(TypeError(f"'{kind}' object cannot be interpreted as an integer"))
    number = int(value.__index__())
    if not _INT_MIN <= number < 1 << 31:
        raise PendingError(OverflowError("signed integer is greater than maximum"))
    return number


def _c_unsigned_long(value: Any) -> int:
    """``PyArg_ParseTuple("k")``: masked to the 32 bits of a C unsigned long on Windows."""
    if not isinstance(value, int):
        kind = type(value).__name__
        raise PendingError(TypeError(f"argument 1 must be int, not {kind}"))
    return int(value) & 0xFFFFFFFF


def _c_double(value: Any) -> float:
    """``PyArg_ParseTuple("d")``: any real number, ints too."""
    kind = type(value)
    if not hasattr(kind, "__float__") and not hasattr(kind, "__index__"):
        raise PendingError(TypeError(f"must be real number, not {kind.__name__}"))
    try:
        return float(value)
    except OverflowError as error:  # an int beyond every double
        raise PendingError(error) from error


def _date(value: Any, words: str) -> int:
    """Whole seconds of a date, as a signed 32-bit int: a datetime's ``timestamp()``, so that a
    naive one is in the host's zone. Beyond 2038 an int overflows, all else turns far negative."""
    if isinstance(value, datetime):
        value = value.timestamp()
    elif isinstance(value, int):
        return _signed(value, 32, words)
    elif not isinstance(value, float):
        raise ArgumentError(words)
    whole = math.trunc(value) if math.isfinite(value) else _INT_MIN
    return whole if _INT_MIN <= whole < 1 << 31 else _INT_MIN


def _count(args: Args, *allowed: int) -> None:
    if len(args) not in allowed:
        raise ArgumentError(COUNT)


# --- connection


def initialize(args: Args, kwargs: Kwargs) -> Payload:
    """``initialize([path], *, path, login, password, server, timeout, portable)``."""
    _count(args, 0, 1)
    out = _credentials(kwargs)
    path = None
    if args:
        path = _text(args[0], PATH_MAX, _unnamed(0))
    elif "path" in kwargs:
        path = _text(kwargs["path"], PATH_MAX, _named("path"))
    return {"path": path} | out | {"portable": bool(kwargs.get("portable", False))}


def _credentials(kwargs: Kwargs) -> Payload:
    out: Payload = {"login": None, "password": None, "server": None}
    if "login" in kwargs:
        out["login"] = _login(kwargs["login"], _named("login"))
    for key in ("password", "server"):
        if key in kwargs:
            out[key] = _text(kwargs[key], SECRET_MAX, _named(key))
    out["timeout"] = _unsigned(kwargs.get("timeout", 60_000), 32, _named("timeout"))
    return out


def _login(value: Any, words: str) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ArgumentError(words)
    return int(value)


def login(args: Args, kwargs: Kwargs) -> Payload:
    """``login(login, password, server, timeout)``; three of them may be positional."""
    _count(args, 0, 1, 2, 3)
    keys = ("login", "password", "server")
    out = _credentials({k: v for k, v in kwargs.items() if k not in keys[: len(args)]})
    for at, value in enumerate(args):
        check = _login(value, _unnamed(0)) if at == 0 else _text(value, SECRET_MAX, _unnamed(at))
        out[keys[at]] = check
    if not out["login"]:
        raise ArgumentError(_named("login"))
    return out


def nothing(_args: Args, _kwargs: Kwargs) -> Payload:
    """A call without arguments."""
    return {}


# --- symbols


def symbol(args: Args, _kwargs: Kwargs) -> Payload:
    """``f(symbol)``."""
    _count(args, 1)
    return {"symbol": _text(args[0], NAME_MAX, INVALID)}


def symbol_select(args: Args, _kwargs: Kwargs) -> Payload:
    """``symbol_select(symbol[, enable=True])``, ``enable`` by its truth."""
    _count(args, 1, 2)
    enable = bool(args[1]) if len(args) > 1 else True
    return {"symbol": _text(args[0], NAME_MAX, INVALID), "enable": enable}


def symbols_get(args: Args, kwargs: Kwargs) -> Payload:
    """``symbols_get([group], *, group)``."""
    _count(args, 0, 1)
    group = None
    if args:
        group = _text(args[0], GROUP_MAX, _unnamed(0))
    elif "group" in kwargs:
        group = _text(kwargs["group"], GROUP_MAX, _named("group"))
    return {"group": group}


def group_matches(group: str | None, name: str) -> bool:
    """Whether a symbol is of a group: masks with ``*`` for any letters, a comma between them, case
    counts; after a hit of one with ``!`` nothing brings it back. None or empty: every symbol."""
    if not group:
        return True
    wanted = False
    for mask in (part.strip() for part in group.split(",")):
        pattern = ".*".join(re.escape(piece) for piece in mask.removeprefix("!").split("*"))
        if re.fullmatch(pattern, name, re.DOTALL):
            if mask.startswith("!"):
                return False
            wanted = True
    return wanted


# --- history of prices


def _four(args: Args, kinds: Sequence[tuple[str, str]]) -> Payload:
    _count(args, len(kinds) + 1)
    out: Payload = {}
    for value, (key, kind) in zip(args[1:], kinds, strict=True):
        # ints are parsed by the call's format, objects are looked at afterwards: an int that does
        # not fit wins over a bad symbol or date, whatever stands first.
        if kind == "i":
            out[key] = _c_int(value)
    name = _text(args[0], NAME_MAX, INVALID)
    for value, (key, kind) in zip(args[1:], kinds, strict=True):
        if kind == "O":
            out[key] = _date(value, INVALID)
    return {"symbol": name} | {key: out[key] for key, _ in kinds}


def rates_from(args: Args, _kwargs: Kwargs) -> Payload:
    """``copy_rates_from(symbol, timeframe, date_from, count)``."""
    return _four(args, (("timeframe", "i"), ("date_from", "O"), ("count", "i")))


def rates_from_pos(args: Args, _kwargs: Kwargs) -> Payload:
    """``copy_rates_from_pos(symbol, timeframe, start_pos, count)``."""
    return _four(args, (("timeframe", "i"), ("start_pos", "i"), ("count", "i")))


def rates_range(args: Args, _kwargs: Kwargs) -> Payload:
    """``copy_rates_range(symbol, timeframe, date_from, date_to)``."""
    return _four(args, (("timeframe", "i"), ("date_from", "O"), ("date_to", "O")))


def ticks_from(args: Args, _kwargs: Kwargs) -> Payload:
    """``copy_ticks_from(symbol, date_from, count, flags)``."""
    return _four(args, (("date_from", "O"), ("count", "i"), ("flags", "i")))


def ticks_range(args: Args, _kwargs: Kwargs) -> Payload:
    """``copy_ticks_range(symbol, date_from, date_to, flags)``."""
    return _four(args, (("date_from", "O"), ("date_to", "O"), ("flags", "i")))


# --- orders, positions, deals


def _filter(kwargs: Kwargs, first: str, second: str) -> Payload:
    """One filter of a query: the first that is given; nothing else is looked at."""
    out: Payload = {"symbol": None} if second == "symbol" else {"position": None}
    out["ticket"] = None
    if first in kwargs:
        out[first] = _unsigned(kwargs[first], 64, _named(first))
    elif second in kwargs and second == "symbol":
        out[second] = _text(kwargs[second], NAME_MAX, _named(second))
    elif second in kwargs:
        out[second] = _unsigned(kwargs[second], 64, _named(second))
    elif "group" in kwargs:
        out["group"] = _text(kwargs["group"], GROUP_MAX, _named("group"))
    return out


def live_query(args: Args, kwargs: Kwargs) -> Payload:
    """``orders_get``, ``positions_get``: keywords only; ticket before symbol before group. The
    payload's ``group`` is the module's own business."""
    if args:
        raise ArgumentError(UNNAMED)
    return _filter(kwargs, "ticket", "symbol")


def history_query(args: Args, kwargs: Kwargs) -> Payload:
    """``history_*_get``: two positional dates (then only ``group`` is read), or ticket, or
    position."""
    out: Payload = {"date_from": None, "date_to": None, "ticket": None, "position": None}
    if len(args) == 2:
        out["date_from"], out["date_to"] = (_date(v, _unnamed(i)) for i, v in enumerate(args))
        if "group" in kwargs:
            out["group"] = _text(kwargs["group"], GROUP_MAX, _named("group"))
        return out
    if "ticket" in kwargs or "position" in kwargs:
        if args:
            raise ArgumentError(UNNAMED)
        return out | _filter(kwargs, "ticket", "position")
    raise ArgumentError(COUNT if args else INVALID)


def history_total(args: Args, _kwargs: Kwargs) -> Payload:
    """``history_*_total(date_from, date_to)``."""
    _count(args, 2)
    return {"date_from": _date(args[0], _unnamed(0)), "date_to": _date(args[1], _unnamed(1))}


# --- trade requests


def request(args: Args, kwargs: Kwargs) -> Payload:
    """``order_send``, ``order_check``: one dict, or keywords that are the request. Unknown keys are
    ignored, missing ones are zero; the fields are checked in the struct's order."""
    if len(args) > 1 or (args and not isinstance(args[0], dict)) or not (args or kwargs):
        raise ArgumentError(INVALID)
    given: Mapping[str, Any] = args[0] if args else kwargs
    if given and not given.keys() & FIELDS["TradeRequest"].keys():
        raise ArgumentError("Terminal: Invalid params")  # order_send(request=d), as the field saw
    fields = FIELDS["TradeRequest"].items()
    return {"request": {key: _field(key, c_type, given) for key, c_type in fields}}


def _field(key: str, c_type: str, given: Mapping[str, Any]) -> Any:
    words = _named(key)
    if c_type == "f64":
        value = given.get(key, 0.0)
        if not isinstance(value, float):
            raise ArgumentError(words)
        return float(value)
    if c_type == "utf16":
        return _text(given.get(key, ""), NAME_MAX, words)
    if c_type == "i64":
        return _signed(given.get(key, 0), 64, words)
    return _unsigned(given.get(key, 0), int(c_type[1:]), words)


def calc_margin(args: Args, _kwargs: Kwargs) -> Payload:
    """``order_calc_margin(action, symbol, volume, price)``."""
    return _calculate(args, ("volume", "price"))


def calc_profit(args: Args, _kwargs: Kwargs) -> Payload:
    """``order_calc_profit(action, symbol, volume, price_open, price_close)``."""
    return _calculate(args, ("volume", "price_open", "price_close"))


def _calculate(args: Args, numbers: Sequence[str]) -> Payload:
    _count(args, len(numbers) + 2)
    action = _c_unsigned_long(args[0])
    values = {key: _c_double(value) for key, value in zip(numbers, args[2:], strict=True)}
    return {"action": action, "symbol": _text(args[1], NAME_MAX, INVALID)} | values
