"""The script of what goes wrong at the stand-in's terminal and server: kinds, file, and when.

Owns the file (TOML, ``seed`` and an array of tables ``[[fault]]``), its checks, and :class:`Plan`,
which says what strikes a call. What must hold: what strikes follows from the seed, the names and
numbers of the calls and the server's time, and from nothing else; what struck is counted.

It refuses to know how a fault is carried out.
"""

from __future__ import annotations

import difflib
import random
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from data.errors import ConfigError, DataError, OfsError
from data.times import parse_utc
from data.toml_lines import key_lines
from data.units import parse_duration

NS = 1_000_000_000


class Kind(NamedTuple):
    """What a kind does; the calls that it is about where none are named; its value where none is
    given (a length of time, a number, or nothing)."""

    words: str
    calls: str = "*"
    value: str | float | None = None
    state: bool = False


KINDS = {
    "delay": Kind("the call is executed and answered VALUE later", value="1s"),
    "late_answer": Kind("the same, later than a caller waits", value="60s"),
    "hang": Kind("the call is never answered, nor executed (`executed = true`: it is)"),
    "pipe_death": Kind("the pipe breaks before the call is executed (or after it)"),
    "lost_answer": Kind("the call is executed and the pipe breaks in place of its answer"),
    "late_execution": Kind("no answer; what was asked is executed VALUE later", "order_send", "5s"),
    "duplicate_answer": Kind("the answer comes twice: the next call gets the second"),
    "none": Kind("the call fails with last_error VALUE, not executed (or executed)", value=-10000),
    "requote": Kind("10004 with the prices of the moment", "order_send"),
    "retcode": Kind("VALUE as return code, not executed (or executed)", "order_send", 10006),
    "partial": Kind("only VALUE of the volume can be had", "order_send", 0.5),
    "placed": Kind("10008, and executed VALUE later", "order_send", "2s"),
    "slip": Kind("VALUE points worse than the touch", "order_send", 10),
    "no_price": Kind("the result's price is 0", "order_send"),
    "duplicate_deals": Kind("every deal is listed twice", "history_deals_get"),
    "out_of_order": Kind("the next deal is seen VALUE later than those after it", "order_send",
                         "3s"),
    "hidden_deals": Kind("what happens now is seen only VALUE later", "order_send", "3s", True),
    "stale_quotes": Kind("the terminal sees no new quote for VALUE", value="10s", state=True),
    "disconnect": Kind("the terminal has no connection to its server for VALUE", value="10s",
                       state=True),
    "wrong_account": Kind("the terminal is logged in to another account for VALUE", value="10s",
                          state=True),
    "market_closed": Kind("every market is closed for VALUE", value="30s", state=True),
    "autotrading_off": Kind("the Algo Trading button is off for VALUE", value="30s", state=True),
    "server_autotrading_off": Kind("the server allows no automated trading for VALUE",
                                   value="30s", state=True),
    "account_disabled": Kind("the account may not trade for VALUE", value="30s", state=True),
    "python_off": Kind("the terminal takes no orders from Python for VALUE", value="30s",
                       state=True),
    "restart": Kind("the terminal dies, and is there again after VALUE", value="5s", state=True),
    "reopen": Kind("every position gets another ticket, as by a swap; its identifier stays"),
    "deposit": Kind("VALUE of the account's currency is deposited (below 0: taken)", value=100.0),
}  # fmt: skip
"""Every fault; ``state`` ones last for a time, and begin at a moment where one is set."""

_EXECUTED = {"lost_answer": True, "delay": True, "late_answer": True}
_MAY_EXECUTE = ("hang", "pipe_death", "none", "retcode")
EVENTS = frozenset({"deposit", "reopen"})
"""What happens at the server at once, whoever calls."""

_TIMED = frozenset({k for k, v in KINDS.items() if v.state} | EVENTS)
_KEYS = ("kind", "call", "symbol", "share", "at", "every", "count", "times", "value", "executed")


@dataclass(frozen=True, slots=True)
class Fault:
    """One misbehaviour, see :data:`KINDS`, of calls whose name matches the glob ``call`` and whose
    symbol (where they name one) matches ``symbol``. It strikes a ``share`` of them, the
    ``count``-th ones (1 is the first), every ``every``-th, once in each ``every_ns``, or from each
    moment of ``at_ns`` (after the beginning) or ``at_utc_ns``; at most ``times`` times (0: no
    limit). ``long_ns`` or ``value`` is its VALUE; ``executed``: what was asked is done
    all the same.
    """

    kind: str
    call: str = ""
    symbol: str = "*"
    share: float = 0.0
    count: tuple[int, ...] = ()
    every: int = 0
    every_ns: int = 0
    at_ns: tuple[int, ...] = ()
    at_utc_ns: tuple[int, ...] = ()
    times: int = 0
    value: float = 0.0
    long_ns: int = 0
    executed: bool = False

    @classmethod
    def of(cls, kind: str, value: str | float | None = None, **when: Any) -> Fault:
        """A fault with its VALUE as a file gives it; ConfigError where it cannot be."""
        try:
            return _fault({"kind": kind, **({} if value is None else {"value": value}), **when})
        except (ValueError, OfsError) as error:
            raise ConfigError(error.what if isinstance(error, OfsError) else str(error)) from None

    def concerns(self, call: str, symbol: str) -> bool:
        """Whether a call is meant."""
        if not fnmatchcase(call, self.call or KINDS[self.kind].calls):
            return False
        return not symbol or fnmatchcase(symbol, self.symbol)


@dataclass(frozen=True, slots=True)
class Script:
    """The faults of a file, and the seed of those that strike a share."""

    faults: tuple[Fault, ...] = ()
    seed: int = 1


class Plan:
    """When the faults of ``script`` strike, from ``start_ns`` on. ``done`` counts by kind, ``acts``
    lists (ns, kind, call) of the first :data:`ACTS_MOST`."""

    ACTS_MOST = 10_000

    def __init__(self, script: Script, start_ns: int) -> None:
        self.script = script
        self.done: Counter[str] = Counter()
        self.acts: list[tuple[int, str, str]] = []
        self._lanes = [_Lane(f, n, script.seed, start_ns) for n, f in enumerate(script.faults)]

    def add(self, fault: Fault, now_ns: int) -> None:
        """One more fault; its times and calls are counted from now on."""
        self._lanes.append(_Lane(fault, len(self._lanes), self.script.seed, now_ns))

    def met(self, call: str, symbol: str, now_ns: int) -> list[Fault]:
        """The faults that a call meets now."""
        found = [
            lane.fault
            for lane in self._lanes
            if lane.fault.concerns(call, symbol) and lane.strikes(now_ns)
        ]
        for fault in found:
            self._note(now_ns, fault.kind, call)
        return found

    def next_ns(self) -> int:
        """When a fault begins that waits for no call; far away where none does."""
        return min((lane.next_ns() for lane in self._lanes), default=1 << 62)

    def begun(self, now_ns: int) -> list[Fault]:
        """The faults that begin by now without a call."""
        found = [lane.fault for lane in self._lanes if lane.begins(now_ns)]
        for fault in found:
            self._note(now_ns, fault.kind, "")
        return found

    def _note(self, now_ns: int, kind: str, call: str) -> None:
        self.done[kind] += 1
        if len(self.acts) < self.ACTS_MOST:
            self.acts.append((now_ns, kind, call))


class _Lane:
    """One fault, and how often it was met."""

    def __init__(self, fault: Fault, number: int, seed: int, start_ns: int) -> None:
        self.fault = fault
        self._random = random.Random(f"{seed} {number} {fault.kind}")
        self._start_ns = start_ns
        self._moments = sorted([start_ns + ns for ns in fault.at_ns] + list(fault.at_utc_ns))
        if fault.every_ns:
            self._moments = [start_ns + fault.every_ns]
        # a state begins at its moment; other faults wait for the next call after it
        self._alone = bool(self._moments) and fault.kind in _TIMED
        self._seen = 0
        self._struck = 0

    def _spent(self) -> bool:
        return bool(self.fault.times) and self._struck >= self.fault.times

    def strikes(self, now_ns: int) -> bool:
        """Whether the call that comes now is struck."""
        self._seen += 1
        if self._alone or self._spent() or not self._due(now_ns):
            return False
        self._struck += 1
        return True

    def _due(self, now_ns: int) -> bool:
        fault = self.fault
        if fault.share:
            return self._random.random() < fault.share
        if fault.count:
            return self._seen in fault.count
        if fault.every:
            return self._seen % fault.every == 0
        return self._passed(now_ns)

    def _passed(self, now_ns: int) -> bool:
        if not self._moments or now_ns < self._moments[0]:
            return False
        while self._moments and now_ns >= self._moments[0]:
            last_ns = self._moments.pop(0)
            if self.fault.every_ns:
                slots = (now_ns - last_ns) // self.fault.every_ns + 1
                self._moments = [last_ns + slots * self.fault.every_ns]
        return True

    def next_ns(self) -> int:
        """When it begins without a call."""
        return self._moments[0] if self._alone and self._moments and not self._spent() else 1 << 62

    def begins(self, now_ns: int) -> bool:
        """Whether it begins by now, without a call."""
        if not self._alone or self._spent() or not self._passed(now_ns):
            return False
        self._struck += 1
        return True


def read_script(path: Path) -> Script:
    """The faults of a file; DataError where it is not there, ConfigError where it is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot read the file of faults", where=str(path), why=str(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            "the file of faults is no TOML", where=str(path), why=str(error)
        ) from None
    lines = key_lines(text)
    for key in content:
        if key not in ("fault", "seed"):
            raise ConfigError(
                f"there is no key {key!r}",
                where=f"{path}:{lines.get((key,), 1)}",
                do="write seed = 1 and [[fault]] tables",
            )
    seed, tables = content.get("seed", 1), content.get("fault", [])
    if type(seed) is not int or not isinstance(tables, list):
        raise ConfigError("seed is a whole number, fault an array of tables", where=str(path))
    faults = []
    for number, table in enumerate(tables):
        try:
            faults.append(_fault(table))
        except (ValueError, OfsError) as error:
            raise ConfigError(
                error.what if isinstance(error, OfsError) else str(error),
                where=f"{path}:{lines.get(('fault', number), 1)}",
                do="see ofs sandbox --help and the README",
            ) from None
    return Script(tuple(faults), seed)


def _fault(table: Mapping[str, Any]) -> Fault:
    """A table as a fault; ValueError with a sentence where it is none."""
    name = table.get("kind")
    kind = KINDS.get(str(name))
    if kind is None:
        raise ValueError(f"there is no kind of fault {name!r}; {_near(str(name), KINDS)}")
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"there is no key {key!r}; {_near(key, _KEYS)}")
    if sum(k in table for k in ("share", "at", "every", "count")) != 1:
        raise ValueError("exactly one of share, at, every and count says when it strikes")
    if "executed" in table and name not in _MAY_EXECUTE:
        raise ValueError(f"executed is for {', '.join(_MAY_EXECUTE)}")
    share, every = table.get("share", 0.0), table.get("every", 0)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ValueError(f"share is a number from 0 to 1, not {share!r}")
    by_calls = isinstance(every, int)
    moments = _moments(table.get("at", []))
    value, long_ns = _value(kind, str(name), table.get("value", kind.value))
    return Fault(
        str(name),
        str(table.get("call", kind.calls)),
        str(table.get("symbol", "*")),
        float(share),
        tuple(_count("count", n) for n in _listed(table.get("count", []))),
        _count("every", every) if by_calls else 0,
        0 if by_calls else parse_duration(str(every)),
        *moments,
        times=_count("times", table.get("times", 0)),
        value=value,
        long_ns=long_ns,
        executed=_EXECUTED.get(str(name), table.get("executed", False) is True),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _moments(at: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Lengths of time after the beginning, and times since 1970, both in ns."""
    after, utc = [], []
    for moment in _listed(at):
        try:
            after.append(parse_duration(str(moment)))
        except ValueError:
            utc.append(parse_utc(str(moment)))
    return tuple(after), tuple(utc)


def _value(kind: Kind, name: str, given: Any) -> tuple[float, int]:
    """(number, length in ns) of ``value``."""
    if kind.value is None:
        if given is not None:
            raise ValueError(f"{name} takes no value")
        return 0.0, 0
    if isinstance(kind.value, str):
        return 0.0, parse_duration(str(given))
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ValueError(f"the value of {name} is a number, not {given!r}")
    if name == "partial" and not 0 <= given < 1:
        raise ValueError("the value of partial is the share that can be had, from 0 to below 1")
    return float(given), 0


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is a whole number from 0 on, not {value!r}")
    return value


def _near(word: str, known: Any) -> str:
    found = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {found[0]!r}?" if found else f"there are {', '.join(known)}"
