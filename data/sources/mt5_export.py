"""Exports of MetaTrader terminals and of the scripts that people run against them.

Owns the recognition of bars and ticks by header or by the look of the rows, in every dialect met:
the terminal's own (``<DATE>  <TIME>  <OPEN> ...``, tabs), dumps of ``copy_rates`` and
``copy_ticks`` (epoch or ISO text), MT4 style rows without a header; comma, semicolon or tab,
decimal point or comma. And what only a file's name tells: symbol and timeframe.

What must hold: a table that only looks similar (no tick volume, no flags, a ticker column) is not
taken for one. Times stay what they are, the broker's wall clock: which clock that is, is settled by
:mod:`data.sources.mt5_export_clock`. It refuses to know how rows are parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from data.errors import DataError, UsageError
from data.events import Kind
from data.sources.mapping import Mapping, TimeForm
from data.sources.mapping_fields import split
from data.sources.mapping_numbers import OK
from data.sources.mapping_parser import read_times
from data.units import format_duration

MINUTE_NS = 60_000_000_000

_TITLES = {
    "date": "date",
    "time": "time",
    "datetime": "time",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "tickvol": "trades",
    "tickvolume": "trades",
    "vol": "volume",
    "realvolume": "volume",
    "spread": "spread",
    "bid": "bid",
    "ask": "ask",
    "last": "last",
    "volume": "size",
    "volumereal": "size_real",
    "flags": "flags",
    "timemsc": "msc",
}
"""Titles of columns (lower case, letters only) and what they are."""

_OHLC = ("open", "high", "low", "close")
_MINUTES = {
    **{f"M{n}": n for n in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
    **{f"H{n}": 60 * n for n in (1, 2, 3, 4, 6, 8, 12)},
    "D1": 1_440,
    "DAILY": 1_440,
    "W1": 10_080,
    "WEEKLY": 10_080,
}
_MONTHLY = frozenset({"MN", "MN1", "MONTHLY"})
_MT4_MINUTES = (1, 5, 15, 30, 60, 240, 1_440, 10_080)
_SEPARATORS = ("\t", ";", ",")

_WORDS = re.compile(
    r"dat|mt[45]?|ascii|nt|ticks?|bars?|rates?|quotes?|data|history|export|copy|of|symbol|candles"
    r"|ohlcv?|all|csv|utf16|utf8",
    re.IGNORECASE,
)
_CURRENCY = (
    "(?:USD|EUR|GBP|JPY|CHF|AUD|NZD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|SGD|HKD|CNH|CNY|THB|ILS"
    "|RUB|INR|KRW|BRL)"
)
_METAL = "(?:XAU|XAG|XPT|XPD)"
FX = re.compile(rf"{_CURRENCY}{{2}}")
METAL = re.compile(rf"{_METAL}{_CURRENCY}")
"""How the name of a currency pair, or of a metal, begins."""

_INSTRUMENT = re.compile(r"#?(?:[A-Z]{2,}[A-Z0-9]*[0-9]+|[A-Z]{3,}[A-Z0-9]*)[a-zA-Z0-9.#+!-]*")
_DATE = re.compile(r"\d{4}([./-]?)\d{2}\1\d{2}")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?")
_MOMENT = re.compile(r"\d{4}\.\d{2}\.\d{2}[ T]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True, slots=True)
class NamedFile:
    """What a name tells; ``symbol`` is empty and ``interval_ns`` 0 where it does not."""

    symbol: str
    interval_ns: int


def recognise(lines: list[bytes]) -> Mapping | None:
    """The mapping of an export, from its first lines; None where it is none.

    The clock is UTC and the interval of bars 0 until they are settled.
    """
    filled = [line.decode("utf-8", "replace").strip("\ufeff\r\n ") for line in lines[:400]]
    filled = [line for line in filled if line]
    if not filled:
        return None
    for separator in _SEPARATORS:
        titles = _titles(filled[0], separator)
        if len(titles) >= 4 and any(titles):
            return _by_header(titles, filled, separator)
    found = (_bare(line) for line in filled[:20])
    return next((mapping for mapping in found if mapping is not None), None)


def _titles(line: str, separator: str) -> list[str]:
    """What each column is called; empty for a title that is not known."""
    cells = [c.strip().strip('"').strip() for c in line.split(separator)]
    if any(c[:1].isdigit() for c in cells):
        return []
    return [_TITLES.get(re.sub(r"[^a-z]", "", c.lower()), "") for c in cells]


def _by_header(titles: list[str], filled: list[str], separator: str) -> Mapping | None:
    raw = filled[0].split(separator)
    if "ticker" in filled[0].lower() or len(set(titles) - {""}) != len([t for t in titles if t]):
        return None
    bracketed = all(c.strip().strip('"').startswith("<") for c in raw)
    has = set(titles)
    place = {title: i for i, title in enumerate(titles) if title}
    # A script's own index column has an empty title and stands first.
    if has >= set(_OHLC) and has & {"date", "time"} and ("trades" in has or bracketed):
        roles = {name: (place[name],) for name in (*_OHLC, "trades", "volume") if name in has}
        kind, name = Kind.BAR, "bars"
    elif has >= {"bid", "ask"} and has & {"date", "time", "msc"} and (
        bracketed or has & {"flags", "msc"} or has >= {"last", "size"}
    ):  # fmt: skip
        roles = {"bid": (place["bid"],), "ask": (place["ask"],)}
        kind, name = Kind.QUOTE, "ticks"
    else:
        return None
    rows = filled[1:]
    columns = max([len(titles), *(row.count(separator) + 1 for row in rows[:50])])
    form = _time_form(place, rows, separator)
    used = [c for role in roles.values() for c in role] + list(form.columns)
    return Mapping(
        f"MetaTrader {'terminal export' if bracketed else 'script dump'}, {name}",
        kind,
        columns,
        max(used) + 1,
        roles,
        form,
        separator,
        _decimal_sign(rows, separator, place["open" if kind == Kind.BAR else "bid"]),
        header_lines=1,
        carry=kind == Kind.QUOTE,
    )


def _time_form(place: dict[str, int], rows: list[str], separator: str) -> TimeForm:
    """Where and how the time stands; the finest column is used."""

    def unit(column: int) -> str:
        cells = (row.split(separator) for row in rows)
        sample = next((c[column].strip().strip('"') for c in cells if len(c) > column), "")
        return epoch_unit(sample)

    if "msc" in place:
        return TimeForm((place["msc"],), unit(place["msc"]), wall=True)
    if "date" in place and "time" in place:
        return TimeForm((place["date"], place["time"]), wall=True)
    column = place["time"] if "time" in place else place["date"]
    return TimeForm((column,), unit(column), wall=True)


def epoch_unit(cell: str) -> str:
    """``s``, ``ms``, ``us`` or ``ns`` for an epoch, by its number of digits; else ``text``."""
    whole = cell.partition(".")[0]
    if not whole.isdigit() or len(whole) == 8:  # eight digits are a date
        return "text"
    return {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}.get(
        len(whole), "text"
    )


def _decimal_sign(rows: list[str], separator: str, column: int) -> str:
    for row in rows[:50]:
        cells = row.split(separator)
        if len(cells) > column and separator != "," and "," in cells[column]:
            return ","
    return "."


def _bare(line: str) -> Mapping | None:
    """MT4 style: date, time, four prices, then volumes; no header."""
    for separator in _SEPARATORS:
        cells = [c.strip().strip('"') for c in line.split(separator)]
        if len(cells) >= 7 and _DATE.fullmatch(cells[0]) and _CLOCK.fullmatch(cells[1]):
            first = 2
        elif len(cells) >= 6 and _MOMENT.fullmatch(cells[0]):
            first = 1
        else:
            continue
        rest = cells[first:]
        if len(rest) > 7 or not all(_NUMBER.fullmatch(c) for c in rest):
            return None
        prices = [float(c.replace(",", ".")) for c in rest[:4]]
        if not prices[2] <= min(prices[0], prices[3]) <= max(prices[0], prices[3]) <= prices[1]:
            return None
        names = ("open", "high", "low", "close", "trades")
        roles = {name: (first + i,) for i, name in enumerate(names)}
        form = TimeForm(tuple(range(first)), wall=True)
        sign = _decimal_sign([line], separator, first)
        return Mapping(
            "MetaTrader bars without a header", Kind.BAR, len(cells), first + 5, roles, form,
            separator, sign,
        )  # fmt: skip
    return None


def named(stem: str) -> NamedFile:
    """Symbol and interval of a file name without its suffix: ``EURUSD_M1_2024...``."""
    interval_ns, symbol = 0, ""
    for token in re.split(r"[_ ,()-]+", stem):
        head, _, tail = token.rpartition(".")
        if head and tail.upper() in _MINUTES:
            token, interval_ns = head, _MINUTES[tail.upper()] * MINUTE_NS
        word = token.upper()
        if word in _MONTHLY:
            interval_ns = -1
        elif word in _MINUTES:
            interval_ns = interval_ns or _MINUTES[word] * MINUTE_NS
        elif not symbol and not _WORDS.fullmatch(token) and _looks_like_instrument(token):
            symbol = token
    # MT4 names a file by symbol and minutes: EURUSD60.csv
    found = re.fullmatch(r"(?P<s>[A-Z]{6,}[a-z.]*)(?P<n>\d{1,5})", symbol)
    if found and int(found["n"]) in _MT4_MINUTES:
        symbol, interval_ns = found["s"], interval_ns or int(found["n"]) * MINUTE_NS
    return NamedFile(symbol.upper().strip("#"), interval_ns)


def _looks_like_instrument(token: str) -> bool:
    upper = token.upper()
    return bool(_INSTRUMENT.fullmatch(token) or FX.match(upper) or METAL.match(upper))


def with_interval(
    mapping: Mapping, lines: list[bytes], by_name_ns: int, by_flag_ns: int, where: str
) -> tuple[Mapping, str]:
    """The mapping of bars with its interval, and where that is known from.

    The user's word counts, then the name, then the spacing of the rows; bars nearer to each other
    than the name says contradict it. UsageError where nothing tells.
    """
    spacing_ns = spacing(mapping, lines)
    if by_flag_ns:
        return replace(mapping, interval_ns=by_flag_ns), "--interval"
    if by_name_ns < 0:
        raise DataError(
            "monthly bars cannot be imported",
            where=where,
            why="their length differs from month to month",
            do="export weekly or shorter bars",
        )
    if by_name_ns and spacing_ns and spacing_ns < by_name_ns:
        raise UsageError(
            "the length of the bars is not clear",
            where=where,
            why=f"the name says {format_duration(by_name_ns)}, the rows are "
            f"{format_duration(spacing_ns)} apart",
            do=f"pass --interval {format_duration(spacing_ns)}, or rename the file",
        )
    if by_name_ns:
        return replace(mapping, interval_ns=by_name_ns), "by its name"
    if not spacing_ns:
        raise UsageError(
            "the length of the bars is not known",
            where=where,
            why="the name tells none, and there are too few rows to see it",
            do="pass --interval, for example --interval 1m",
        )
    return replace(mapping, interval_ns=spacing_ns), "by its spacing"


def spacing(mapping: Mapping, lines: list[bytes]) -> int:
    """The most frequent distance of neighbouring rows in ns, if it is the smallest too; else 0."""
    block = b"\n".join(lines[mapping.header_lines :])
    fields, _, _ = split(block, 1, mapping.separator, mapping.columns, mapping.least)
    times = read_times(fields, mapping)
    steps = np.diff(times.ns[times.state == OK])
    steps = steps[steps > 0]
    if len(steps) < 2:
        return 0
    values, counts = np.unique(steps, return_counts=True)
    best = int(values[counts.argmax()])
    return best if best == int(values[0]) and best <= 7 * 1_440 * MINUTE_NS else 0
