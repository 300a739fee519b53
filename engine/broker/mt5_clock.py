"""The clock of a trade server: its wall time, written as if it were an epoch, to UTC and back.

Owns the rules by which such clocks run, and the check of a rule against a quote. A terminal gives
no offset: the user names a rule, and a fresh quote confirms or refutes it.

    new-york   New York's time + 7 h (midnight is the New York close): UTC+2, UTC+3 while New York
               has summer time; what most servers of currencies do
    eet        eastern Europe's time: UTC+2, UTC+3 between the last Sundays of March and October
    utc+3      a constant offset, also utc, utc-5, utc+5:30, +03:00

How a rule is written stands in :mod:`data.server_rules`.

What must hold: whoever goes to UTC and back is where he was; in the hour that an autumn repeats,
``near_ns`` tells which of the two is meant. The dates of the changes are computed here, because
not every system has a table of time zones. It refuses to know who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from data.server_rules import EET, NEW_YORK, read_rule

NS = 1_000_000_000
MS = 1_000_000
HOUR_NS = 3_600 * NS
STEP_NS = 900 * NS
"""Offsets of clocks are whole quarters of an hour."""

FUTURE_NS = 60 * NS
"""A quote may seem to be this far ahead: clocks of servers and machines differ by seconds, rules by
quarters of an hour."""

_SECONDS_BELOW = 100_000_000_000
"""A time below this is in seconds (1e11 s is the year 5138, 1e11 ms is 1973)."""


class TickTimes(Protocol):
    """What the check reads of a tick: its server times in s and ms."""

    @property
    def time(self) -> int:
        """Seconds."""

    @property
    def time_msc(self) -> int:
        """Milliseconds."""


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """What a quote says about a rule. ``wrong``: it is refuted; ``proven``: it is confirmed; else
    the quote is too old to tell. ``age_ns`` of the quote if the rule is right (below 0: from the
    future), ``offset_ns`` of the rule now, ``words`` for people."""

    proven: bool
    wrong: bool
    age_ns: int
    offset_ns: int
    words: str = ""


class ServerClock:
    """A trade server's clock by ``rule``; ConfigError where there is no such rule."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self._offset_at = _rule(rule)

    def offset_ns(self, utc_ns: int) -> int:
        """How far the server's clock is ahead of UTC at ``utc_ns``."""
        return self._offset_at(utc_ns // NS) * NS

    def to_server_ns(self, utc_ns: int) -> int:
        """The server's wall clock at ``utc_ns``, ns."""
        return utc_ns + self.offset_ns(utc_ns)

    def to_server_s(self, utc_ns: int) -> int:
        """The server's wall clock at ``utc_ns``, whole seconds (as queries take it)."""
        return self.to_server_ns(utc_ns) // NS

    def to_utc_ns(self, server: int, near_ns: int = 0) -> int:
        """UTC of a server time in seconds or milliseconds (told apart by their size).

        A time that comes twice is the one nearest to ``near_ns`` (0: the later one); a time that
        does not come, in the hour that spring skips, is read by the offset before the change.
        """
        found = self._candidates(server)
        if near_ns == 0:
            return found[-1]
        return min(found, key=lambda utc: abs(utc - near_ns))

    def past_utc_ns(self, server: int, now_ns: int) -> int:
        """UTC of a server time (s or ms) of something that has happened by ``now_ns``: of a time
        that comes twice the later one that is not in the future."""
        found = self._candidates(server)
        return max((utc for utc in found if utc <= now_ns + FUTURE_NS), default=found[0])

    def _candidates(self, server: int) -> list[int]:
        """What a server time can mean, rising; one time but for two hours a year."""
        wall = server * (NS if abs(server) < _SECONDS_BELOW else MS)
        offsets = {self.offset_ns(wall - d * HOUR_NS) for d in (-14, 0, 14)}
        found = sorted(wall - o for o in offsets if self.offset_ns(wall - o) == o)
        return found or [wall - self.offset_ns(wall - 14 * HOUR_NS)]

    def window_from_s(self, since_ns: int, now_ns: int) -> int:
        """Where a query must begin to see all from ``since_ns`` on, server seconds: what happened
        after a change back lies before what happened before it."""
        least = min(self.offset_ns(since_ns), self.offset_ns(now_ns))
        return (since_ns + least) // NS

    def check(self, tick: TickTimes, now_utc_ns: int, fresh: bool = False) -> ClockCheck:
        """What a tick says about the rule at ``now_utc_ns``.

        A tick that the rule puts into the future refutes it. One that it puts a whole number of
        quarter hours into the past does so only if it is known to be ``fresh`` (it changed while
        we looked); else the market may be closed.
        """
        wall_ms = tick.time_msc or tick.time * 1000
        offset = self.offset_ns(now_utc_ns)
        if wall_ms <= 0:
            return ClockCheck(False, False, -1, offset, "there is no quote yet")
        age = now_utc_ns + offset - wall_ms * MS
        shown = (wall_ms * MS - now_utc_ns) / HOUR_NS
        if age < -FUTURE_NS:
            words = f"a quote of the future: the server's clock is at least UTC{shown:+.2f} h"
            return ClockCheck(False, True, age, offset, words)
        if age < STEP_NS // 2:
            return ClockCheck(True, False, age, offset)
        if fresh:
            words = f"a fresh quote says UTC{shown:+.2f} h, the rule UTC{offset / HOUR_NS:+.2f} h"
            return ClockCheck(False, True, age, offset, words)
        return ClockCheck(False, False, age, offset, f"the last quote is {age // NS} s old")


def _rule(rule: str) -> Callable[[int], int]:
    """The offset in seconds by UTC seconds."""
    constant = read_rule(rule)
    if constant == NEW_YORK:
        return lambda utc_s: 7_200 + 3_600 * _within(_new_york, utc_s)
    if constant == EET:
        return lambda utc_s: 7_200 + 3_600 * _within(_europe, utc_s)
    return lambda utc_s: int(constant)


def _within(dates: Callable[[int], tuple[int, int]], utc_s: int) -> int:
    """1 in summer time, else 0."""
    begin, end = dates(datetime.fromtimestamp(utc_s, UTC).year)
    return int(begin <= utc_s < end)


@lru_cache(maxsize=256)
def _new_york(year: int) -> tuple[int, int]:
    """Summer time in the United States: from and to, UTC seconds. It changes at 2:00 local time;
    since 2007 on the second Sunday of March and the first of November, before on the first of April
    (1987 to 2006) and the last of October."""
    if year >= 2007:
        return _sunday(year, 3, 2) + 7 * 3_600, _sunday(year, 11, 1) + 6 * 3_600
    return _sunday(year, 4, 1) + 7 * 3_600, _sunday(year, 10, -1) + 6 * 3_600


@lru_cache(maxsize=256)
def _europe(year: int) -> tuple[int, int]:
    """Summer time in Europe (since 1996): from and to, UTC seconds; it changes at 1:00 UTC."""
    return _sunday(year, 3, -1) + 3_600, _sunday(year, 10, -1) + 3_600


def _sunday(year: int, month: int, which: int) -> int:
    """Midnight UTC of the first (1), second (2) or last (-1) Sunday of a month, seconds."""
    if which < 0:
        day = datetime(year, month + 1, 1, tzinfo=UTC) - timedelta(days=1)
        day -= timedelta(days=(day.weekday() + 1) % 7)
    else:
        day = datetime(year, month, 1, tzinfo=UTC)
        day += timedelta(days=(6 - day.weekday()) % 7 + 7 * (which - 1))
    return int(day.timestamp())
