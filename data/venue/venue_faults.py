"""Fault scripts of a stand-in venue: what goes wrong, on which stream, when and how often.

Owns the file (TOML, an array of tables ``[[fault]]``), its checks, and :class:`Trigger`, which says
whether a fault strikes at an event. What must hold: whether it strikes follows from the seed and
from the events of the stream in their order, and from nothing else: not from the wall clock, not
from who has subscribed.

It refuses to know how a fault is carried out.
"""

from __future__ import annotations

import difflib
import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from data.errors import ConfigError, DataError, OfsError
from data.times import parse_utc
from data.toml_lines import key_lines
from data.units import parse_duration

KINDS = {
    "drop": "the frame is not sent",
    "duplicate": "the frame is sent twice",
    "reorder": "up to VALUE (50) later frames of its stream overtake it, for `within` (1s) at most",
    "delay": "its stream is VALUE (250ms) late; the frames behind it wait",
    "stall": "nothing comes on these streams for VALUE (30s), then everything",
    "cut": "the connection ends in the middle of the frame",
    "malformed": "the frame is no message any more",
    "absurd": "one of its values is impossible",
    "wrong_path": "the first VALUE (1) connections are acknowledged and stay silent",
    "id_reset": "ids go on from VALUE (1)",
    "clock_skew": "the venue's clock is off by VALUE from here on",
    "drip": "the connection gets VALUE (2000) bytes a second, for `lasts` (10s)",
    "disconnect": "the connection is closed with code VALUE; 0, the default: cut off",
    "shutdown": "serverShutdown is announced, and the connection closed VALUE (2s) later",
    "rest_error": "REST paths like `path` answer with status VALUE (503); 0: cut off, 200: rubbish",
}
"""Every fault and what it does; in brackets the VALUE where none is given."""

_LENGTHS = {"delay": "250ms", "stall": "30s", "clock_skew": "0", "shutdown": "2s"}
_NUMBERS = {"reorder": 50, "wrong_path": 1, "id_reset": 1, "drip": 2000, "disconnect": 0,
            "rest_error": 503}  # fmt: skip
_KEYS = ("kind", "stream", "symbol", "path", "share", "at", "every", "times", "value", "insert",
         "within", "lasts", "retry")  # fmt: skip
_ALWAYS = ("wrong_path", "rest_error")
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One misbehaviour, see :data:`KINDS`, on streams whose usual name matches ``stream`` and whose
    symbol matches ``symbol`` (globs). It strikes a ``share`` of the frames, or at ``at_ns`` (after
    the beginning of the range; or times since 1970, ``at_utc_ns``), or every ``every`` frames, or
    once in each ``every_ns``; at most ``times`` times (0: no limit). ``value`` is a number,
    ``long_ns`` a length of time; ``insert``: the spoilt frame comes before the good
    one, not in its place. ``lasts_ns`` and ``retry_s`` are in wall time.
    """

    kind: str
    number: int
    stream: str = "*"
    symbol: str = "*"
    path: str = "*"
    share: float = 0.0
    at_ns: tuple[int, ...] = ()
    at_utc_ns: tuple[int, ...] = ()
    every: int = 0
    every_ns: int = 0
    times: int = 0
    value: int = 0
    long_ns: int = 0
    insert: bool = False
    within_ns: int = NS
    lasts_ns: int = 10 * NS
    retry_s: int = 1

    def concerns(self, stream: str, symbol: str) -> bool:
        """Whether the stream of this usual name and symbol is meant."""
        return fnmatchcase(stream, self.stream) and fnmatchcase(symbol, self.symbol.upper())


@dataclass(frozen=True, slots=True)
class Script:
    """The faults of a file and the seed that decides which frames a ``share`` is."""

    faults: tuple[Fault, ...] = ()
    seed: int = 1


class Trigger:
    """Whether ``fault`` strikes at the events of one stream; ``from_ns`` is where the range begins.

    ``name`` tells the streams of one fault apart, so that each has its own luck.
    """

    def __init__(self, fault: Fault, seed: int, name: str, from_ns: int) -> None:
        self.fault = fault
        self.struck = 0
        self._name = f"{seed} {fault.number} {name}"
        self._random = random.Random(self._name)
        self._from_ns = from_ns
        self._moments = sorted([from_ns + ns for ns in fault.at_ns] + list(fault.at_utc_ns))
        self._seen = 0
        self._slot = 0

    def strikes(self, at_ns: int) -> bool:
        """Whether the event that comes now is struck."""
        fault = self.fault
        if fault.times and self.struck >= fault.times:
            return False
        self._seen += 1
        if not self._due(at_ns):
            return False
        self.struck += 1
        return True

    def luck(self) -> random.Random:
        """What else is to be decided at this event: the same for it, whatever came of others."""
        return random.Random(f"{self._name} {self._seen}")

    def again(self, at_ns: int) -> None:
        """The strike hit nobody: moments that were set stay set."""
        self.struck -= 1
        if self.fault.at_ns or self.fault.at_utc_ns:
            self._moments.insert(0, at_ns)

    def _due(self, at_ns: int) -> bool:
        fault = self.fault
        if fault.share:
            return self._random.random() < fault.share
        if fault.every:
            return self._seen % fault.every == 0
        if fault.every_ns:
            slot, before = (at_ns - self._from_ns) // fault.every_ns, self._slot
            self._slot = max(slot, before)
            return slot > before
        if self._moments:
            if at_ns < self._moments[0]:
                return False
            while self._moments and at_ns >= self._moments[0]:
                self._moments.pop(0)
            return True
        return fault.kind in _ALWAYS


def read_script(path: Path) -> Script:
    """The faults of a file; DataError where it is not there, ConfigError where it is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot read the file of faults", where=str(path), why=str(error)) from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            "the file of faults is no TOML", where=str(path), why=str(error)
        ) from None
    lines = key_lines(text)
    unknown = [key for key in content if key not in ("fault", "seed")]
    if unknown:
        raise _wrong(path, lines.get((unknown[0],), 1), f"there is no key {unknown[0]!r}",
                     "write seed = 1 and [[fault]] tables")  # fmt: skip
    seed = content.get("seed", 1)
    tables = content.get("fault", [])
    if type(seed) is not int or not isinstance(tables, list):
        raise _wrong(path, 1, "seed is a whole number, fault an array of tables", "[[fault]]")
    faults = []
    for number, table in enumerate(tables):
        try:
            faults.append(_fault(table, number))
        except (ValueError, OfsError) as error:
            line = lines.get(("fault", number), 1)
            what = error.what if isinstance(error, OfsError) else str(error)
            raise _wrong(path, line, what, "see ofs serve --help and the README") from None
    return Script(tuple(faults), seed)


def _wrong(path: Path, line: int, what: str, do: str) -> ConfigError:
    return ConfigError(what, where=f"{path}:{line}", do=do)


def _fault(table: Mapping[str, Any], number: int) -> Fault:
    """A table as a fault; ValueError with a sentence where it is none."""
    kind = table.get("kind")
    if kind not in KINDS:
        raise ValueError(f"there is no kind of fault {kind!r}; {_near(str(kind), KINDS)}")
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"there is no key {key!r}; {_near(key, _KEYS)}")
    words = {k: str(table[k]) for k in ("stream", "symbol", "path") if k in table}
    share, every = table.get("share", 0.0), table.get("every", 0)
    if not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ValueError(f"share is a number from 0 to 1, not {share!r}")
    moments = _moments(table.get("at", []))
    given = [bool(share), bool(every), any(moments)]
    if sum(given) != 1 and not (kind in _ALWAYS and sum(given) == 0):
        raise ValueError("exactly one of share, at and every says when it strikes")
    by_count = isinstance(every, int)
    value, long_ns = _value(kind, table.get("value"))
    return Fault(
        kind,
        number,
        **words,
        share=float(share),
        at_ns=moments[0],
        at_utc_ns=moments[1],
        every=_count("every", every) if by_count else 0,
        every_ns=0 if by_count else parse_duration(str(every)),
        times=_count("times", table.get("times", 0)),
        value=value,
        long_ns=long_ns,
        insert=table.get("insert", False) is True,
        within_ns=parse_duration(str(table.get("within", "1s"))),
        lasts_ns=parse_duration(str(table.get("lasts", "10s"))),
        retry_s=_count("retry", table.get("retry", 1)),
    )


def _moments(at: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Lengths of time after the beginning, and times since 1970, both in ns."""
    after, utc = [], []
    for moment in at if isinstance(at, list) else [at]:
        text = str(moment)
        try:
            after.append(parse_duration(text))
        except ValueError:
            utc.append(parse_utc(text))
    return tuple(after), tuple(utc)


def _value(kind: str, given: Any) -> tuple[int, int]:
    """(number, length in ns) of ``value``."""
    if kind in _LENGTHS:
        text = str(_LENGTHS[kind] if given is None else given)
        sign = -1 if text.startswith("-") else 1
        return 0, sign * parse_duration(text.removeprefix("-"))
    if kind not in _NUMBERS:
        if given is not None:
            raise ValueError(f"{kind} takes no value")
        return 0, 0
    return _count("value", _NUMBERS[kind] if given is None else given), 0


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is a whole number from 0 on, not {value!r}")
    return value


def _near(word: str, known: Any) -> str:
    found = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {found[0]!r}?" if found else f"there are {', '.join(known)}"
