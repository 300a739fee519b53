"""The wall clock of a trade server, and the hours in which its symbols trade.

Every time that a terminal shows is this wall clock written as if it were UTC. Owns the rule by
which it runs ahead of UTC (``new-york``: UTC+2 and UTC+3, switching on the dates of the USA, the
usual one; ``eet``: the same hours on the dates of Europe; or a fixed offset), and
:class:`Sessions`. What must hold: the offset of a moment in UTC is exact, and taken from the tables
of time zones, where the adapter computes its own; a wall time that exists twice is read as its
first pass, as it is where a person asks for it.

It refuses to know what is asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from data.server_rules import EET, NEW_YORK, read_rule
from data.sources.mapping_zones import zone_info

NS = 1_000_000_000
HOUR_S = 3_600
DAY_S = 86_400
_QUARTER_S = 900
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = 3
"""1970-01-01 was a Thursday."""

_ZONES = {NEW_YORK: ("America/New_York", 7 * HOUR_S), EET: ("Europe/Athens", 0)}
"""The IANA zone that a rule follows, and seconds ahead of it."""


class ServerClock:
    """The clock of ``rule`` (:func:`data.server_rules.read_rule`); ConfigError for another."""

    def __init__(self, rule: str = "new-york") -> None:
        read = read_rule(rule)
        self.rule = rule
        self._zone: tzinfo | None = None
        if isinstance(read, str):
            zone, self._shift_s = _ZONES[read]
            self._zone = zone_info(zone)
        else:
            self._shift_s = read
        self._known: dict[int, int] = {}

    def offset_s(self, utc_ns: int) -> int:
        """Seconds that the clock is ahead of UTC at a moment. Rules switch on quarter hours."""
        if self._zone is None:
            return self._shift_s
        quarter = utc_ns // (_QUARTER_S * NS)
        found = self._known.get(quarter)
        if found is None:
            moment = (_EPOCH + timedelta(seconds=quarter * _QUARTER_S)).astimezone(self._zone)
            ahead = moment.utcoffset() or timedelta(0)
            found = self._known[quarter] = int(ahead.total_seconds()) + self._shift_s
        return found

    def wall_ns(self, utc_ns: int) -> int:
        """The wall clock as an epoch, ns."""
        return utc_ns + self.offset_s(utc_ns) * NS

    def seconds(self, utc_ns: int) -> int:
        """The wall clock as an epoch, whole seconds; 0 stays 0, which means no time."""
        return self.wall_ns(utc_ns) // NS if utc_ns else 0

    def msc(self, utc_ns: int) -> int:
        """The wall clock as an epoch, milliseconds; 0 stays 0."""
        return self.wall_ns(utc_ns) // 1_000_000 if utc_ns else 0

    def utc_ns(self, wall_ns: int) -> int:
        """UTC of a wall time; the first pass of a doubled hour; a skipped one is read with the
        offset before the switch."""
        early = wall_ns - self.offset_s(wall_ns - 15 * HOUR_S * NS) * NS
        return wall_ns - self.offset_s(min(early, wall_ns - self.offset_s(early) * NS)) * NS

    def next_midnight_ns(self, utc_ns: int) -> int:
        """UTC of the next midnight of the wall clock after a moment."""
        day = self.wall_ns(utc_ns) // (DAY_S * NS) + 1
        return max(self.utc_ns(day * DAY_S * NS), utc_ns + 1)

    def weekday(self, utc_ns: int) -> int:
        """Day of the week by the wall clock, 0 is Sunday."""
        return (self.wall_ns(utc_ns) // (DAY_S * NS) + _MONDAY + 1) % 7


Hours = tuple[tuple[tuple[int, int], ...], ...]
"""For each day of the week from Sunday on: (from, to) in seconds of the day."""


def _every_day(first: int, count: int, *spans: tuple[int, int]) -> Hours:
    return tuple(spans if first <= day < first + count else () for day in range(7))


HOURS: dict[str, Hours] = {
    "always": _every_day(0, 7, (0, DAY_S)),
    "fx": _every_day(1, 5, (0, DAY_S)),
    "metals": _every_day(1, 5, (HOUR_S, DAY_S)),
    "closed": _every_day(0, 0),
}
"""Hours by name. Those of ``fx`` and ``metals`` follow New York, whatever the server's clock is."""


class Sessions:
    """When a symbol trades: ``hours`` by the wall clock ``clock``."""

    def __init__(self, hours: Hours, clock: ServerClock) -> None:
        self.hours = hours
        self.clock = clock
        self._always = hours == HOURS["always"]

    def open(self, utc_ns: int) -> bool:
        """Whether it trades at a moment."""
        if self._always:
            return True
        second = self.clock.wall_ns(utc_ns) // NS % DAY_S
        return any(a <= second < b for a, b in self.hours[self.clock.weekday(utc_ns)])
