"""Times as people write them, and the nanoseconds that the log keeps.

Owns the one parser and the one formatter of times at the edges: ISO 8601 on the outside, int64
nanoseconds UTC inside. A time without a zone is UTC; a date alone is its midnight. Nothing here
passes through a float, so a nanosecond survives the round trip.

It refuses to know what a time is used for and what the time is now.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from data.errors import UsageError

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_YEAR = 2261  # int64 nanoseconds end in April 2262
_FORM = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?P<zone>Z|z|[+-]\d{2}:?\d{2})?)?"
)


def parse_utc(text: str) -> int:
    """Nanoseconds UTC of an ISO 8601 date or time.

    ``2024-08-08``, ``2024-08-08T23:54``, ``2024-08-08 23:54:15.123456789Z`` and
    ``2024-08-09T01:54:15+02:00`` are understood. Raises :class:`data.errors.UsageError`.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise _bad(text, "it is not an ISO 8601 date or time")
    try:
        day = datetime.fromisoformat(found["date"])
        moment = datetime(
            day.year,
            day.month,
            day.day,
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            int(found["second"] or 0),
            tzinfo=UTC,
        )
    except ValueError as error:
        raise _bad(text, str(error)) from None
    if not 1970 <= moment.year <= _MAX_YEAR:
        raise _bad(text, f"the log holds the years 1970 to {_MAX_YEAR}")
    moment -= timedelta(minutes=_zone_minutes(text, found["zone"]))
    whole = moment - _EPOCH
    part = int((found["part"] or "0").ljust(9, "0"))
    return (whole.days * 86_400 + whole.seconds) * _NS + part


def format_utc(ts_ns: int) -> str:
    """ISO 8601 text of nanoseconds UTC, with 3, 6 or 9 decimals, whichever loses nothing.

    ``1723161255123000000`` gives ``2024-08-08T23:54:15.123Z``.
    """
    seconds, part = divmod(int(ts_ns), _NS)
    moment = _EPOCH + timedelta(seconds=seconds)
    digits = f"{part:09d}"
    if digits.endswith("000000"):
        digits = digits[:3]
    elif digits.endswith("000"):
        digits = digits[:6]
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{digits}Z"


def _zone_minutes(text: str, zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise _bad(text, f"there is no time zone {zone}")
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def _bad(text: str, why: str) -> UsageError:
    return UsageError(
        f"cannot read the time {text!r}",
        why=why,
        do="write it as 2024-08-08, 2024-08-08T23:54:15 or 2024-08-08T23:54:15.5Z (UTC)",
    )
