"""Reading a file of plans: every plan that is sound, and every mistake with its ``file:line``.

Owns the form of the file: tables ``[[plan]]`` with id, name, note, symbol, direction, entry, stop,
target, qty or risk, from, expires, and conditions by the names of the vocabulary. A mistake in one
plan hides none in another. It refuses to know scales: whether a price lies on an instrument's grid
is found when the plans are compiled for one.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from data.errors import ConfigError, UsageError
from data.settings_file import SettingsFile, parse_settings, read_text
from data.times import parse_utc
from engine.plans.model import STOP_MODES, TARGET_MODES, Given, Level, Plan, PlanFile
from engine.plans.vocabulary import (
    ENTRY,
    WORDS,
    Word,
    not_answered,
    parse_days,
    parse_hours,
    parse_test,
)

TEXT_MAX = 1 << 20
"""A file of plans is at most so long (characters): it goes whole into every manifest."""

WHAT = "a file of plans"
"""What messages about a file that cannot be read call it."""

KEYS = (
    "id", "name", "note", "symbol", "direction", "entry", "stop", "target", "qty", "risk", "from",
    "expires", "conditions",
)  # fmt: skip
"""Keys of a plan."""

_ID_MAX = 2**31 - 1
_Path = tuple[str | int, ...]


def read_plans(path: str | Path) -> PlanFile:
    """The plans in ``path``; ConfigError where it cannot be read or is not TOML."""
    return parse_plans(read_text(path, WHAT), str(path))


def parse_plans(text: str, path: str) -> PlanFile:
    """The plans in the TOML ``text``, which messages call ``path``."""
    if len(text) > TEXT_MAX:
        raise ConfigError("the file of plans is too long", where=path,
                          why=f"it has {len(text):,} characters, {TEXT_MAX:,} are the most",
                          do="split it by symbol")  # fmt: skip
    reader = _Reader(parse_settings(text, path, WHAT))
    plans = reader.plans()
    return PlanFile(path, text, tuple(plans), tuple(reader.mistakes))


class _Reader:
    """One pass over a file; ``mistakes`` are collected, not raised."""

    def __init__(self, file: SettingsFile) -> None:
        self.file = file
        self.mistakes: list[ConfigError] = []

    def wrong(self, path: _Path, what: str, why: str = "", do: str = "") -> None:
        """Note a mistake at the line of ``path``, or of the nearest table around it."""
        while path and path not in self.file.lines:
            path = path[:-1]
        self.mistakes.append(ConfigError(what, where=self.file.where(*path), why=why, do=do))

    def plans(self) -> list[Plan]:
        """Every plan without a mistake."""
        values = self.file.values
        for key in values:
            if key != "plan":
                self.wrong((key,), f"there is no {key!r} in a file of plans",
                           do="write each plan as a table [[plan]]")  # fmt: skip
        tables = values.get("plan", [])
        if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
            self.wrong(("plan",), "plan is not a list of tables", do="write [[plan]]")
            return []
        if not tables and not self.mistakes:
            self.wrong((), "the file holds no plan", do="write each plan as a table [[plan]]")
        found, seen = [], dict[str, int]()
        for n, table in enumerate(tables):
            before = len(self.mistakes)
            plan = self.plan(n, table)
            keys = {str(plan.id), plan.name} - {""}
            if taken := sorted(seen[key] for key in keys if key in seen):
                self.wrong(("plan", n), f"{plan.title} is there twice",
                           f"plan number {taken[0] + 1} of the file has that id or name",
                           "give each its own")  # fmt: skip
            seen |= dict.fromkeys(keys, n)
            if len(self.mistakes) == before:
                found.append(plan)
        return found

    def plan(self, n: int, table: dict[str, Any]) -> Plan:
        """One table as a plan; what is wrong in it is noted."""
        at: _Path = ("plan", n)
        for key in table:
            if key not in KEYS:
                self.unknown_key(at, key)
        side = self.choice(at, table, "direction", {"BUY": 1, "SELL": -1})
        plan = Plan(
            id=self.integer(at, table, "id", n + 1),
            name=self.text(at, table, "name"),
            symbol=self.text(at, table, "symbol", needed=True),
            direction=side,
            conditions=self.conditions(at, table),
            stop=self.level(at, table, "stop", STOP_MODES),
            target=self.level(at, table, "target", TARGET_MODES),
            qty=self.number(at, table, "qty"),
            risk=self.number(at, table, "risk"),
            from_ns=self.time(at, table, "from"),
            expiry_ns=self.time(at, table, "expires"),
            note=self.text(at, table, "note"),
            where=self.file.where(*at),
        )
        self.together(at, plan)
        return plan

    def unknown_key(self, at: _Path, key: str) -> None:
        """A key that no plan has: a condition out of its place, a slip, or nothing we know."""
        if key in WORDS:
            do = f"write it under [plan.conditions]: {key} is a condition"
        else:
            close = difflib.get_close_matches(key, KEYS, n=1)
            do = f"did you mean {close[0]!r}?" if close else f"keys: {', '.join(KEYS)}"
        self.wrong((*at, key), f"a plan has no key {key!r}", do=do)

    def text(self, at: _Path, table: dict[str, Any], key: str, *, needed: bool = False) -> str:
        """A text; empty where there is none."""
        value = table.get(key, "")
        if not isinstance(value, str):
            self.wrong((*at, key), f"{key} is not a text", do=f'write {key} = "..."')
            return ""
        if needed and not value:
            self.wrong(at, f"a plan needs {key}", do=f'write {key} = "BTCUSDT"')
        return value

    def integer(self, at: _Path, table: dict[str, Any], key: str, default: int) -> int:
        """A whole number from 1."""
        value = table.get(key, default)
        if type(value) is not int or not 1 <= value <= _ID_MAX:
            self.wrong(
                (*at, key),
                f"{key} is no whole number from 1 to {_ID_MAX:,}",
                do=f"write {key} = {default}, or leave it out",
            )
            return default
        return value

    def choice(self, at: _Path, table: dict[str, Any], key: str, words: dict[str, int]) -> int:
        """The number of a word."""
        value = table.get(key)
        if not isinstance(value, str) or value.upper() not in words:
            self.wrong((*at, key), f"a plan needs a {key}", f"{value!r} is given" if value else "",
                       f"write {key} = one of {', '.join(words)}")  # fmt: skip
            return 1
        return words[value.upper()]

    def number(self, at: _Path, table: dict[str, Any], key: str) -> Decimal:
        """A number above 0; 0 where there is none."""
        if key not in table:
            return Decimal(0)
        value = _decimal(table[key])
        if value is None or value <= 0:
            self.wrong((*at, key), f"{key} is no number above 0",
                       do=f"write it without quotes, like {key} = 0.01")  # fmt: skip
            return Decimal(0)
        if key == "risk" and value > 1:
            self.wrong((*at, key), "risk is a share of the equity", f"{value} is above 1",
                       "write risk = 0.01 for one per cent")  # fmt: skip
        return value

    def time(self, at: _Path, table: dict[str, Any], key: str) -> int:
        """Nanoseconds UTC of a TOML time or a text in ISO 8601; 0 where there is none."""
        value = table.get(key)
        if value is None:
            return 0
        try:
            return parse_utc(value.isoformat() if isinstance(value, date) else str(value))
        except UsageError as error:
            self.wrong((*at, key), f"{key} is no time", error.why, error.do)
            return 0

    def level(self, at: _Path, table: dict[str, Any], key: str, modes: tuple[str, ...]) -> Level:
        """A stop or a target: a price, or a table of one mode and its number."""
        value = table.get(key)
        where = self.file.where(*at, key)
        if value is None:
            if key == "stop":
                self.wrong(at, "a plan needs a stop", do="write stop = { atr = 2 } or a price")
            return Level(where=where)
        number = _decimal(value)
        mode = "price"
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in modes[1:]:
            mode, number = next(iter(value)), _decimal(next(iter(value.values())))
        if number is None or not mode or (number <= 0 and (mode, number) != ("structure", 0)):
            form = " or ".join(f"{{ {m} = ... }}" for m in modes[1:] if m)
            self.wrong((*at, key), f"{key} is neither a price nor one of its forms",
                       "a number above 0 is asked for", f"write {key} = PRICE, {form}")  # fmt: skip
            return Level(where=where)
        return Level(mode, number, where)

    def conditions(self, at: _Path, table: dict[str, Any]) -> tuple[Given, ...]:
        """Conditions and the entry, in the order of the file."""
        found: dict[str, Given] = {}
        given_names = set[str]()
        for part, allowed in (("entry", ENTRY), ("conditions", WORDS)):
            given = table.get(part, {})
            if not isinstance(given, dict):
                self.wrong((*at, part), f"{part} is not a table", do=f"write [plan.{part}]")
                continue
            given_names |= given.keys()
            for name, value in given.items():
                path = (*at, part, name)
                if name in found:
                    self.wrong(path, f"{name} is given twice", do="leave one of them out")
                elif self.fits(path, name, value, allowed):
                    found[name] = Given(name, value, self.file.where(*path))
        for name in found:
            self.refined((*at, "conditions", name), name, given_names)
        return tuple(found.values())

    def refined(self, path: _Path, name: str, found: set[str]) -> None:
        """A word that refines another needs it there, and some need one that refines them."""
        word = WORDS[name]
        if word.of and word.of not in found:
            self.wrong(path, f"{name} does nothing without {word.of}",
                       do=f"add {word.of}, or leave {name} out")  # fmt: skip
        for other in word.needs:
            if other not in found:
                self.wrong(path, f"{name} needs {other}", do=f"add {other} = {WORDS[other].doc}")

    def fits(self, path: _Path, name: str, value: Any, allowed: Iterable[str]) -> bool:
        """Whether the condition exists and takes ``value``; notes what is wrong."""
        if name not in allowed:
            self.no_such(path, name, allowed)
            return False
        try:
            _KINDS[WORDS[name].kind](WORDS[name], value)
        except ValueError as error:
            shown = str(value) if isinstance(value, Decimal) else repr(value)
            self.wrong(path, f"{shown} is no value for {name}", str(error), WORDS[name].doc)
            return False
        return True

    def no_such(self, path: _Path, name: str, allowed: Iterable[str]) -> None:
        """A condition that does not exist, with the nearest that does."""
        if why := not_answered(name):
            self.wrong(path, f"the condition {name!r} cannot be answered", why, "leave it out")
            return
        close = difflib.get_close_matches(name, allowed, n=1)
        do = f"did you mean {close[0]!r}?" if close else f"conditions: {', '.join(allowed)}"
        self.wrong(path, f"there is no condition {name!r}", do=do)

    def together(self, at: _Path, plan: Plan) -> None:
        """What only shows when the parts are seen together."""
        if not plan.conditions:
            self.wrong(at, f"{plan.title} has no conditions", "it would act at once, and always",
                       "write [plan.conditions]")  # fmt: skip
        if plan.qty and plan.risk:
            self.wrong(at, f"{plan.title} has both qty and risk", do="leave one of them out")
        if plan.from_ns and plan.expiry_ns and plan.from_ns >= plan.expiry_ns:
            self.wrong((*at, "expires"), f"{plan.title} expires before it begins",
                       do="move from or expires")  # fmt: skip
        self.geometry(at, plan)

    def geometry(self, at: _Path, plan: Plan) -> None:
        """Stop and target as prices lie on their sides of the entry."""
        entry = _decimal(plan.asked.get("price_near"))
        name, below = ("stop", plan.stop) if plan.direction > 0 else ("target", plan.target)
        whole = {"share": Decimal(1), "distance": entry}.get(below.mode)
        if whole is not None and below.value >= whole:
            self.wrong((*at, name), f"the {name} of {plan.title} lies below every price",
                       f"{below.mode} = {below.value} from an entry at {entry or 'any price'}",
                       "write 0.01 for one per cent" if below.mode == "share" else "move it nearer",
                       )  # fmt: skip
        if entry is None:
            return
        for name, level, side in (("stop", plan.stop, -1), ("target", plan.target, 1)):
            off = (level.value - entry) * plan.direction * side
            if level.mode == "price" and off <= 0:
                what = "BUY" if plan.direction > 0 else "SELL"
                self.wrong((*at, name), f"the {name} of {plan.title} is on the wrong side",
                           f"a {what} at {entry} with its {name} at {level.value}",
                           "move it, or turn the direction round")  # fmt: skip


def _decimal(value: Any) -> Decimal | None:
    """A finite number of TOML as a Decimal; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def _flag(word: Word, value: Any) -> None:
    if value is not True:
        raise ValueError("a condition that is listed must be true: write true, or leave it out")


def _positive(word: Word, value: Any) -> None:
    number = _decimal(value)
    if number is None or number <= 0:
        raise ValueError("it must be a number above 0")


def _percent(word: Word, value: Any) -> None:
    _positive(word, value)
    if not 1 < Decimal(value) <= 100:
        raise ValueError("it is in per cent, above 1 and at most 100: write 75, not 0.75")


def _choice(word: Word, value: Any) -> None:
    if value not in word.choices:
        raise ValueError(f"it must be one of {', '.join(word.choices)}")


def _hours(word: Word, value: Any) -> None:
    parse_hours(str(value))


def _days(word: Word, value: Any) -> None:
    parse_days(str(value))


def _tests(word: Word, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(x, str) for x in value) or not value:
        raise ValueError('it must be a list of texts, like ["atr_1m <= 25"]')
    for text in value:
        parse_test(text)


_KINDS: dict[str, Callable[[Word, Any], None]] = {
    "flag": _flag, "price": _positive, "ratio": _positive, "qty": _positive, "percent": _percent,
    "choice": _choice, "hours": _hours, "days": _days, "tests": _tests,
}  # fmt: skip
