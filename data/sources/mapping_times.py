"""Cells to times: dates and times as people and programs write them, a column at once.

Owns the written forms (``2024.01.02``, ``2024-01-02``, ``20240102``, day or month first on request;
``HH:MM`` to ``HH:MM:SS.nnnnnnnnn`` and ``HHMMSS`` to ``HHMMSSmmm``; a zone behind it) and epochs in
any unit. One regular expression rules; where many rows have one width, it is asked about one of
them and what it found is applied to all that have the same signs in the same places. What must
hold: no float takes part; a cell that is no time marks its row and disturbs no other.

It refuses to know in which zone a time without one was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from data.sources.decimals import INT64_MAX, grow
from data.sources.mapping_fields import Fields
from data.sources.mapping_numbers import EMPTY, OK, Decimals

DAY_NS = 86_400_000_000_000
UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds of a unit of an epoch."""

ORDERS = ("ymd", "dmy", "mdy")
NO_TIME = 7
"""State of a cell that is no time."""

_YMD = r"(?P<y>\d{4})(?P<d1>[-./]?)(?P<m>\d{2})(?P=d1)(?P<d>\d{2})"
_DMY = r"(?P<d>\d{1,2})(?P<d1>[-./])(?P<m>\d{1,2})(?P=d1)(?P<y>\d{4})"
_MDY = r"(?P<m>\d{1,2})(?P<d1>[-./])(?P<d>\d{1,2})(?P=d1)(?P<y>\d{4})"
_CLOCK = (
    r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"|(?P<H2>\d{2})(?P<M2>\d{2})(?:(?P<S2>\d{2})(?:[.,]?(?P<f2>\d{1,9}))?)?"
)
_ZONE = r"(?: ?(?P<z>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
_DATES = {"ymd": _YMD, "dmy": _DMY, "mdy": _MDY}
_DATE_ONLY = {o: re.compile(p) for o, p in _DATES.items()}
_CLOCK_ONLY = re.compile(rf"(?:{_CLOCK}){_ZONE}")
_BOTH = {o: re.compile(rf"{p}(?:[T _]+(?:{_CLOCK}))?{_ZONE}") for o, p in _DATES.items()}
_TEMPLATES_MAX = 4
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@dataclass(slots=True)
class Times:
    """``ns`` int64[rows] of the wall clock as if it were UTC; ``zone_s`` int64[rows] is the offset
    that a cell carries itself, in seconds, where ``zoned`` is true; ``state`` int8[rows].
    """

    ns: np.ndarray
    zone_s: np.ndarray
    zoned: np.ndarray
    state: np.ndarray


@dataclass(slots=True)
class _Parts:
    """Fields of a written time, int64[rows] each, and what could be read."""

    day: np.ndarray
    clock_ns: np.ndarray
    zone_s: np.ndarray
    zoned: np.ndarray
    good: np.ndarray


def written(fields: Fields, columns: tuple[int, ...], order: str) -> Times:
    """Times written as text: one column with date and time (or a date alone), or a date column and
    a time column. ``order`` is one of :data:`ORDERS`.
    """
    if len(columns) == 1:
        parts = _read(fields, columns[0], _BOTH[order])
        ns = parts.day * DAY_NS + parts.clock_ns
        good, zone_s, zoned = parts.good, parts.zone_s, parts.zoned
    else:
        date = _read(fields, columns[0], _DATE_ONLY[order])
        clock = _read(fields, columns[1], _CLOCK_ONLY)
        ns = date.day * DAY_NS + clock.clock_ns
        good, zone_s, zoned = date.good & clock.good, clock.zone_s, clock.zoned
    return Times(np.where(good, ns, 0), zone_s, zoned, np.where(good, OK, NO_TIME).astype(np.int8))


def epoch(numbers: Decimals, unit: str, base_ns: int = 0) -> Times:
    """Times that are numbers of ``unit`` since 1970, or since ``base_ns``; exact to the ns."""
    rows = len(numbers.values)
    state = numbers.state.copy()
    unit_ns, values, scale = UNITS[unit], numbers.values, numbers.scale
    step = 10**scale
    if unit_ns >= step:
        by = len(str(unit_ns // step)) - 1
        limit = INT64_MAX // 10**by
        state[(np.abs(values) > limit) & (state == OK)] = NO_TIME
        ns = grow(np.where(state == OK, values, 0), by)
    else:
        whole, rest = np.divmod(values, step // unit_ns)
        state[(rest != 0) & (state == OK)] = NO_TIME  # finer than a nanosecond
        ns = np.where(state == OK, whole, 0)
    state[(state != OK) & (state != EMPTY)] = NO_TIME
    far = np.abs(ns) > INT64_MAX // 2
    state[far & (state == OK)] = NO_TIME
    nothing = np.zeros(rows, dtype=np.int64)
    return Times(np.where(state == OK, ns + base_ns, 0), nothing, nothing.astype(bool), state)


def read_one(text: str, order: str) -> tuple[int, int | None] | None:
    """(wall-clock ns, zone in seconds or None) of one written date and time; None for no time."""
    data = np.frombuffer(text.strip().encode(), dtype=np.uint8)
    spans = np.array([[0]]), np.array([[len(data)]])
    times = written(Fields(data, *spans, np.array([1])), (0,), order)
    if times.state[0] != OK:
        return None
    return int(times.ns[0]), int(times.zone_s[0]) if times.zoned[0] else None


def _read(fields: Fields, column: int, form: re.Pattern[str]) -> _Parts:
    rows = len(fields)
    day, clock, zone = (np.zeros(rows, dtype=np.int64) for _ in range(3))
    zoned, good = (np.zeros(rows, dtype=bool) for _ in range(2))
    out = _Parts(day, clock, zone, zoned, good)
    width = fields.ends[:, column] - fields.starts[:, column]
    for size in np.unique(width):
        left = np.flatnonzero(width == size)
        for _ in range(_TEMPLATES_MAX if size else 0):
            if not len(left):
                break
            left = _by_template(fields, column, int(size), left, form, out)
        if size:
            for row in left:
                _by_template(fields, column, int(size), np.array([row]), form, out)
    return out


def _by_template(
    fields: Fields, column: int, size: int, rows: np.ndarray, form: re.Pattern[str], out: _Parts
) -> np.ndarray:
    """Read all of ``rows`` that look like the first of them; returns the others."""
    cells = fields.matrix(rows, column, size)
    found = form.fullmatch(cells[0].tobytes().decode("utf-8", "replace"))
    if found is None:
        same = (cells == cells[0]).all(axis=1)
        return rows[~same]
    digit = np.zeros(size, dtype=bool)
    for name in form.groupindex:
        if name not in ("z", "d1") and found[name] is not None:
            digit[found.start(name) : found.end(name)] = True
    numbers = cells[:, digit] - np.uint8(48)
    same = (numbers < 10).all(axis=1) & (cells[:, ~digit] == cells[0, ~digit]).all(axis=1)
    same[0] = True
    _apply(cells[same].astype(np.int64) - 48, found, rows[same], out)
    return rows[~same]


def _apply(cells: np.ndarray, found: re.Match[str], rows: np.ndarray, out: _Parts) -> None:
    def number(name: str) -> np.ndarray:
        if name not in found.re.groupindex or found[name] is None:
            return np.zeros(len(rows), dtype=np.int64)
        value = np.zeros(len(rows), dtype=np.int64)
        for i in range(found.start(name), found.end(name)):
            value = value * 10 + cells[:, i]
        return value

    good = np.ones(len(rows), dtype=bool)
    if "y" in found.re.groupindex:
        year, month, day = number("y"), number("m"), number("d")
        good &= (year >= 1900) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1)
        good &= day <= _month_days(year, np.clip(month, 1, 12))
        out.day[rows] = np.where(good, _day_number(year, month, day), 0)
    if "H" in found.re.groupindex:
        tail = "2" if found["H2"] is not None else ""
        hour, minute, second = (number(n + tail) for n in "HMS")
        part = found["f" + tail] or ""
        good &= (hour < 24) & (minute < 60) & (second < 60)
        fraction = number("f" + tail) * 10 ** (9 - len(part)) if part else 0
        out.clock_ns[rows] = (hour * 3600 + minute * 60 + second) * 1_000_000_000 + fraction
    zone = found["z"] if "z" in found.re.groupindex else None
    if zone is not None:
        seconds = _zone_seconds(zone)
        good &= seconds is not None
        out.zone_s[rows], out.zoned[rows] = seconds or 0, True
    out.good[rows] = good


def _zone_seconds(zone: str) -> int | None:
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 15 or minutes > 59:
        return None
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def _month_days(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return np.where((month == 2) & ~leap, 28, _DAYS[month])


def _day_number(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level
    date algorithms", days_from_civil)."""
    year = year - (month <= 2)
    era, of_era = np.divmod(year, 400)
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
