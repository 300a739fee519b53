"""The zone of an account's day as a table of switches, for code that knows no calendar.

Owns the way from a name (``Europe/Athens``) or a fixed offset (``+02:00``) to rows (from which ns
UTC on, how many ns ahead of UTC). A named zone is that of the zone files of this machine: rules of
the past are settled, those of the future may differ between two machines. The table reaches from
1990 to 2050; beyond it the last row holds. It refuses to know what a day is for.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from data.events import NS
from engine.kernel.risk import ZONE_MAX

_FIXED = re.compile(r"([+-])(\d{1,2}):?([0-5]\d)?")
_FROM = datetime(1990, 1, 1, tzinfo=UTC)
_UNTIL = datetime(2050, 1, 1, tzinfo=UTC)
_LOOK = timedelta(days=7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS = -(1 << 62)
"""The first row's time: before everything."""


@cache
def zone_switches(text: str) -> tuple[tuple[int, int], ...]:
    """(from ns, offset ns), rising, of a zone as a user writes it; ValueError where it is none."""
    fixed = _FIXED.fullmatch(text)
    if fixed:
        minutes = int(fixed[2]) * 60 + int(fixed[3] or 0)
        if minutes > 15 * 60:
            raise ValueError("an offset is at most 15 hours")
        return ((ALWAYS, (-1 if fixed[1] == "-" else 1) * minutes * 60 * NS),)
    try:
        zone = ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no zone has this name, and it is no offset such as +02:00") from error
    rows = [(ALWAYS, _offset(zone, _FROM))]
    at = _FROM
    while at < _UNTIL:
        after = min(at + _LOOK, _UNTIL)
        if _offset(zone, after) != _offset(zone, at):
            switch = _switch(zone, at, after)
            rows.append((int((switch - _EPOCH) / timedelta(seconds=1)) * NS, _offset(zone, switch)))
            at = switch
        else:
            at = after
    if len(rows) > ZONE_MAX:
        raise ValueError(f"it has {len(rows)} switches of its clock; there is room for {ZONE_MAX}")
    return tuple(rows)


def _offset(zone: ZoneInfo, at: datetime) -> int:
    ahead = at.astimezone(zone).utcoffset()
    assert ahead is not None  # a ZoneInfo always knows its offset
    return int(ahead / timedelta(seconds=1)) * NS


def _switch(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second in (low, high] with another offset than ``low`` has."""
    before = _offset(zone, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low) / timedelta(seconds=2)))
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def fill_zone(params: np.ndarray, text: str) -> None:
    """Write the switches of zone ``text`` into RISK_PARAMS records of shape (1,)."""
    rows = zone_switches(text)
    params["zone_n"] = len(rows)
    for n, (from_ns, offset_ns) in enumerate(rows):
        params["zone_from_ns"][0, n] = from_ns
        params["zone_offset_ns"][0, n] = offset_ns
