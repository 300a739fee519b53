"""Wall clocks: how a local time becomes UTC, the doubled and the skipped hour included.

Owns the rules by which a clock is ahead of UTC: a fixed offset, an IANA zone, and the clock of most
FX brokers (``new-york``: seven hours ahead of New York, so that the market's close is midnight;
UTC+2 in winter and UTC+3 in summer, switching on the dates of the USA). What must hold: a wall time
that exists once gives exactly one UTC time; one in the autumn hour that exists twice is read as the
first pass until the clock steps back, then as the second; one in the spring hour that does not
exist is marked, never guessed.

It refuses to know which rule a file needs (:mod:`data.sources.mt5_export_clock` looks for it).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from data.errors import UsageError

HOUR_NS = 3_600_000_000_000
_BIN_NS = HOUR_NS // 4
"""Every offset and every switch since 1970 in use lies on quarters of an hour."""

_STEP_BACK_NS = 60_000_000_000
"""A file whose clock goes back by this much in the doubled hour has begun its second pass."""

_FIXED = re.compile(r"(?:UTC|GMT)?(?P<sign>[+-])(?P<h>\d{1,2})(?::?(?P<m>\d{2}))?", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NAMED = {
    "new-york": ("America/New_York", 7),
    "new-york-close": ("America/New_York", 7),
}
"""Rules of brokers: (IANA zone that it follows, hours ahead of that zone)."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A wall clock: ``shift_s`` seconds ahead of the zone ``iana`` (of UTC where that is empty)."""

    name: str
    shift_s: int = 0
    iana: str = ""

    def words(self) -> str:
        """What the rule is, for a person."""
        if not self.iana:
            return "UTC" if not self.shift_s else f"UTC{offset_text(self.shift_s)}"
        if not self.shift_s:
            return self.iana
        return f"{self.iana} {self.shift_s // 3600:+d} h"


UTC_ZONE = Zone("UTC")


@dataclass(slots=True)
class Converted:
    """``utc_ns`` int64[rows]; ``doubled`` and ``skipped`` bool[rows] mark the hours of a switch."""

    utc_ns: np.ndarray
    doubled: np.ndarray
    skipped: np.ndarray


class Clock:
    """Converts the times of one file, in file order; remembers which pass of a doubled hour runs.

    ``doubled`` and ``skipped`` count the rows in those hours so far.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.doubled = 0
        self.skipped = 0
        self._pass: tuple[int, int, bool] = (-1, 0, False)  # day, latest wall time, second pass

    def to_utc(self, wall_ns: np.ndarray) -> Converted:
        """UTC of wall times int64[rows] (ns as if the clock were UTC), in file order."""
        none = np.zeros(len(wall_ns), dtype=bool)
        if not self.zone.iana:
            return Converted(wall_ns - self.zone.shift_s * 1_000_000_000, none, none)
        local = wall_ns - self.zone.shift_s * 1_000_000_000
        first, second = _offsets(local, zone_info(self.zone.iana))
        doubled, skipped = first > second, first < second
        late = self._second_pass(local, doubled) if doubled.any() else none
        self.doubled += int(doubled.sum())
        self.skipped += int(skipped.sum())
        return Converted(local - np.where(late, second, first), doubled, skipped)

    def _second_pass(self, local: np.ndarray, doubled: np.ndarray) -> np.ndarray:
        """bool[rows]: the rows of a doubled hour that belong to its second pass."""
        late = np.zeros(len(local), dtype=bool)
        rows = np.flatnonzero(doubled)
        days = local[rows] // (24 * HOUR_NS)
        for day in np.unique(days):
            own = rows[days == day]
            known, top, second = self._pass
            if known != day:
                top, second = int(local[own[0]]), False
            tops = np.maximum.accumulate(np.concatenate([[top], local[own]]))
            back = local[own] <= tops[1:] - _STEP_BACK_NS
            back[0] |= second
            late[own] = np.logical_or.accumulate(back)
            self._pass = int(day), int(tops[-1]), bool(late[own[-1]])
        return late


def _offsets(local_ns: np.ndarray, zone: tzinfo) -> tuple[np.ndarray, np.ndarray]:
    """Offsets from UTC in ns, int64[rows], if a local time is the first and if it is the second of
    its name (PEP 495): first > second in a doubled hour, first < second in a skipped one.
    """
    bins, inverse = np.unique(local_ns // _BIN_NS, return_inverse=True)
    pairs = np.array([_fold_offsets(int(b), zone) for b in bins], dtype=np.int64).reshape(-1, 2)
    return pairs[inverse, 0], pairs[inverse, 1]


def _fold_offsets(quarter: int, zone: tzinfo) -> tuple[int, int]:
    try:
        naive = (_EPOCH + timedelta(minutes=15 * quarter)).replace(tzinfo=None)
    except OverflowError:  # a time outside the calendar; its row is rejected by its year
        return 0, 0
    out = []
    for fold in (0, 1):
        ahead = naive.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0)
        out.append(int(ahead.total_seconds()) * 1_000_000_000)
    return out[0], out[1]


def zone_info(name: str) -> tzinfo:
    """The IANA zone called ``name``; UsageError with a suggestion where there is none."""
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise _unknown(name, sorted(zoneinfo.available_timezones())) from None


def parse_zone(text: str) -> Zone:
    """The rule that a person wrote: ``UTC``, ``+02:00``, ``new-york`` or an IANA zone.

    UsageError with a suggestion where it is none of these.
    """
    word = text.strip()
    if word.lower() in ("utc", "gmt", "z"):
        return UTC_ZONE
    found = _FIXED.fullmatch(word)
    if found:
        seconds = int(found["h"]) * 3600 + int(found["m"] or 0) * 60
        if seconds > 15 * 3600 or int(found["m"] or 0) > 59:
            raise _unknown(text, [])
        seconds = -seconds if found["sign"] == "-" else seconds
        return Zone(offset_text(seconds), seconds) if seconds else UTC_ZONE
    named = NAMED.get(word.lower())
    if named:
        return Zone("new-york", named[1] * 3600, named[0])
    zone_info(word)
    return Zone(word, 0, word)


def offset_text(seconds: int) -> str:
    """``+02:00`` for 7200."""
    sign = "-" if seconds < 0 else "+"
    hours, rest = divmod(abs(seconds), 3600)
    return f"{sign}{hours:02d}:{rest // 60:02d}"


def _unknown(text: str, zones: list[str]) -> UsageError:
    near = difflib.get_close_matches(text, [*zones, *NAMED], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    return UsageError(
        f"{text!r} is no time zone",
        do=f"{hint}write an offset such as +02:00, new-york (the clock of most FX brokers), UTC, "
        "or an IANA zone such as Europe/Athens",
    )
