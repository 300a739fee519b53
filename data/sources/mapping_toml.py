"""The small TOML file in which a user says what the columns of a table are.

Owns its keys, their checks, and how it becomes a :class:`data.sources.mapping.Mapping` once the
first lines of a file are seen. What must hold: an unknown key, a wrong value or a column that the
file does not have is an error that names the line and the nearest right word; what the file leaves
out has one documented default.

It refuses to guess (:mod:`data.sources.mapping_draft` does) and to know how rows are parsed.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import ConfigError, UsageError
from data.events import Kind
from data.sources.mapping import (
    BUY_WORDS,
    LEVELS_MAX,
    LISTS,
    OPTIONAL,
    ROLES,
    SELL_WORDS,
    Mapping,
    TimeForm,
    side_words,
)
from data.sources.mapping_times import ORDERS, UNITS, read_one
from data.sources.mapping_zones import UTC_ZONE, Zone, parse_zone
from data.toml_lines import key_lines
from data.units import parse_duration

KINDS = {"trade": Kind.TRADE, "quote": Kind.QUOTE, "bar": Kind.BAR, "depth": Kind.DEPTH}
SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "space": " "}

_TEXT = "a text"
_KEYS: dict[str, dict[str, str]] = {
    "": {
        "kind": "one of trade, quote, bar, depth",
        "venue": _TEXT,
        "symbol": _TEXT,
        "interval": "a length of time such as 1m",
    },
    "file": {
        "separator": 'one sign, or "tab"',
        "decimal": '"." or ","',
        "header": "true or false",
        "skip": "a whole number",
    },
    "time": {
        "column": "a title, a number from 1, or a list of two (date and time)",
        "unit": f"one of text, {', '.join(UNITS)}",
        "order": f"one of {', '.join(ORDERS)}",
        "zone": "UTC, +02:00, new-york or an IANA zone",
        "since": "a date such as 2024-01-02",
        "marks": '"open" or "close"',
    },
    "columns": {},
    "side": {"buy": "a list of words", "sell": "a list of words"},
    "scale": {"price": "a whole number", "qty": "a whole number"},
    "round": {"price": "a whole number", "qty": "a whole number"},
}
"""Every key of a mapping file, by table, with what it takes."""

_ROLES_TEXT = "a title, or a number from 1"


@dataclass(slots=True)
class MappingFile:
    """A mapping file that was read and checked; columns are still titles or numbers."""

    path: str
    text: str
    kind: Kind
    venue: str
    symbol: str
    values: dict[str, Any] = field(default_factory=dict)

    def line(self, *path: str | int) -> str:
        """``FILE:LINE`` of a key."""
        number = key_lines(self.text).get(path)
        return f"{self.path}:{number}" if number else self.path

    def table(self, name: str) -> dict[str, Any]:
        """One table of the file, empty where it is left out."""
        return self.values.get(name, {})


def load(path: str | Path) -> MappingFile:
    """Read and check a mapping file; ConfigError with file and line for whatever is wrong in it."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "the mapping file cannot be read",
            where=str(path),
            why=str(error).split("\n")[0],
            do="draft one: ofs import --explain FILE > FILE.toml",
        ) from None
    return parse(text, str(path))


def parse(text: str, path: str = "mapping") -> MappingFile:
    """Check the text of a mapping file; ConfigError as :func:`load`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("this is no TOML", where=path, why=str(error)) from None
    found = MappingFile(path, text, Kind.TRADE, "", "", values)
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _wrong(found, ("kind",), kind, _KEYS[""]["kind"])
    found.kind = KINDS[kind]
    _check_keys(found)
    found.venue = str(values.get("venue", "")).lower()
    found.symbol = str(values.get("symbol", "")).upper()
    return found


def _check_keys(file: MappingFile) -> None:
    roles = dict.fromkeys((*ROLES[file.kind], *OPTIONAL[file.kind], "symbol"), _ROLES_TEXT)
    known = {**_KEYS, "columns": roles}
    for name, value in file.values.items():
        if name in known and name:
            if not isinstance(value, dict):
                raise _wrong(file, (name,), value, f"a table: [{name}]")
            for key in value:
                if key not in known[name]:
                    raise _unknown(file, (name, key), known)
        elif name not in known[""]:
            raise _unknown(file, (name,), known)
    for name in ROLES[file.kind]:
        if name not in file.table("columns"):
            raise ConfigError(
                f"a {file.values['kind']} needs a column for {name}",
                where=file.line("columns"),
                do=f'write below [columns]: {name} = "the title of its column"',
            )
    if "column" not in file.table("time"):
        raise ConfigError(
            "the column of the time is missing",
            where=file.line("time"),
            do='write below [time]: column = "the title of its column"',
        )
    for name in ("venue", "symbol"):
        if not isinstance(file.values.get(name, ""), str):
            raise _wrong(file, (name,), file.values[name], _TEXT)


def _unknown(
    file: MappingFile, path: tuple[str, ...], known: dict[str, dict[str, str]]
) -> ConfigError:
    """An unknown key, with the nearest known one: of its table first, then of the others."""
    own = [*known[path[0] if len(path) > 1 else ""], *(known if len(path) == 1 else ())]
    near = difflib.get_close_matches(path[-1], [k for k in own if k], n=1)
    if near:
        hint = f"did you mean {near[0]}?"
    else:
        tables = [t for t, keys in known.items() if path[-1] in keys and t]
        right = ", ".join(k for k in own if k)
        hint = f"it belongs below [{tables[0]}]" if tables else f"known here are {right}"
    shown = ".".join(path)
    return ConfigError(f"there is no key {shown}", where=file.line(*path), do=hint)


def _wrong(file: MappingFile, path: tuple[str, ...], value: Any, fits: str) -> ConfigError:
    near = difflib.get_close_matches(str(value), KINDS, n=1) if path == ("kind",) else []
    hint = f"; did you mean {near[0]}?" if near else ""
    what = "is missing" if value is None else f"cannot be {value!r}"
    return ConfigError(
        f"{'.'.join(path)} {what}", where=file.line(*path), do=f"it takes {fits}{hint}"
    )


def resolve(file: MappingFile, lines: Sequence[bytes]) -> Mapping:
    """The mapping of a file that begins with ``lines``; ConfigError where it does not fit."""
    return _Resolver(file, lines).mapping()


class _Resolver:
    """Turns titles into places and texts into values."""

    def __init__(self, file: MappingFile, lines: Sequence[bytes]) -> None:
        self.file = file
        self.separator = self._separator()
        skip = self._whole("file", "skip", 0, 1_000)
        self.header = self._choice("file", "header", {True: True, False: False}, True)
        self.header_lines = skip + int(self.header)
        texts = [line.decode("utf-8", "replace").strip("\ufeff\r\n") for line in lines]
        rows = [text.count(self.separator) + 1 for text in texts[self.header_lines :] if text][:200]
        self.titles: list[str] = []
        if self.header and len(texts) > skip:
            self.titles = [c.strip().strip('"').strip() for c in texts[skip].split(self.separator)]
        self.columns = max([len(self.titles), *rows])

    def mapping(self) -> Mapping:
        """The whole mapping."""
        file = self.file
        roles = {
            role: self._places(("columns", role), value, LEVELS_MAX if role in LISTS else 1)
            for role, value in file.table("columns").items()
        }
        symbol = roles.pop("symbol", (-1,))[0]
        sizes = {len(roles[r]) for r in LISTS & set(roles)}
        if len(sizes) > 1:
            raise ConfigError(
                "the sides of the book have different numbers of columns",
                where=file.line("columns"),
                do="give as many columns for prices as for quantities, on both sides",
            )
        form = self._time()
        used = [*(c for places in roles.values() for c in places), *form.columns, symbol]
        return Mapping(
            f"table of {file.values['kind']}s by {Path(file.path).name}",
            file.kind,
            self.columns,
            max(used) + 1,
            roles,
            form,
            self.separator,
            self._choice("file", "decimal", {".": ".", ",": ","}, "."),
            self.header_lines,
            self._interval(),
            self._choice("time", "marks", {"open": False, "close": True}, False),
            self._sides(),
            {k: self._whole("scale", k, 0, 12) for k in file.table("scale")},
            {k: self._whole("round", k, 0, 12) for k in file.table("round")},
            symbol,
        )

    def _separator(self) -> str:
        value = self.file.table("file").get("separator", ",")
        sign = SEPARATORS.get(value, value) if isinstance(value, str) else ""
        if len(sign) != 1 or not sign.isascii() or sign.isalnum():
            raise self._bad("file", "separator")
        return sign

    def _time(self) -> TimeForm:
        table = self.file.table("time")
        unit = self._choice("time", "unit", {u: u for u in ("text", *UNITS)}, "text")
        columns = self._places(("time", "column"), table["column"], 2 if unit == "text" else 1)
        order = self._choice("time", "order", {o: o for o in ORDERS}, "ymd")
        base_ns = 0
        if "since" in table:
            found = read_one(str(table["since"]), "ymd")
            if found is None or unit == "text":
                raise self._bad("time", "since")
            base_ns = found[0]
        return TimeForm(columns, unit, order, base_ns, self._zone(table.get("zone")))

    def _zone(self, text: Any) -> Zone:
        if text is None:
            return UTC_ZONE
        try:
            return parse_zone(str(text))
        except UsageError as error:
            where = self.file.line("time", "zone")
            raise ConfigError(error.what, where=where, do=error.do) from None

    def _interval(self) -> int:
        value = self.file.values.get("interval")
        if self.file.kind != Kind.BAR:
            return 0
        try:
            interval_ns = parse_duration(value) if isinstance(value, str) else 0
        except ValueError:
            interval_ns = 0
        if interval_ns <= 0:
            raise _wrong(self.file, ("interval",), value, _KEYS[""]["interval"])
        return interval_ns

    def _sides(self) -> dict[str, int]:
        table = self.file.table("side")
        words: dict[str, tuple[str, ...]] = {}
        for name, default in (("buy", BUY_WORDS), ("sell", SELL_WORDS)):
            value = table.get(name, default if not table else [])
            if not isinstance(value, (list, tuple)):
                raise self._bad("side", name)
            words[name] = tuple(str(v).lower() for v in value)
        both = set(words["buy"]) & set(words["sell"])
        if both:
            raise ConfigError(
                f"{sorted(both)[0]!r} stands for both sides", where=self.file.line("side")
            )
        return side_words(words["buy"], words["sell"])

    def _places(self, path: tuple[str, str], value: Any, most: int) -> tuple[int, ...]:
        """Places of the columns that a key names, counted from 0."""
        names = value if isinstance(value, list) else [value]
        if not 1 <= len(names) <= most:
            raise ConfigError(
                f"{path[1]} takes {'one column' if most == 1 else f'1 to {most} columns'}",
                where=self.file.line(*path),
            )
        return tuple(self._place(path, name) for name in names)

    def _place(self, path: tuple[str, str], name: Any) -> int:
        if isinstance(name, int) and not isinstance(name, bool):
            if 1 <= name <= self.columns:
                return name - 1
            hint = f"the file has {self.columns} columns, counted from 1"
        elif isinstance(name, str) and name.strip() in self.titles:
            return self.titles.index(name.strip())
        elif not self.titles:
            hint = "the file has no header, so columns are numbers, counted from 1"
        else:
            near = difflib.get_close_matches(str(name), self.titles, n=1, cutoff=0.5)
            titles = ", ".join(t for t in self.titles[:20] if t)
            hint = f"did you mean {near[0]}?" if near else f"the titles are {titles}"
        raise ConfigError(f"there is no column {name!r}", where=self.file.line(*path), do=hint)

    def _whole(self, table: str, key: str, default: int, most: int) -> int:
        value = self.file.table(table).get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._bad(table, key)
        return value

    def _choice(self, table: str, key: str, known: dict[Any, Any], default: Any) -> Any:
        value = self.file.table(table).get(key)
        if value is None:
            return known.get(default, default)
        if isinstance(value, (str, bool)) and value in known:
            return known[value]
        raise self._bad(table, key)

    def _bad(self, table: str, key: str) -> ConfigError:
        fits = _KEYS[table][key]
        return _wrong(self.file, (table, key), self.file.table(table).get(key), fits)
