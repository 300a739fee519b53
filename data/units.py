"""Durations, sizes and rates as a person writes them: ``5s``, ``1h30m``, ``2GiB``, ``20/s``.

Owns the words for units and how they are read and shown. What must hold: a number without a unit is
no duration and no size (only 0 needs none); decimals are exact, never by way of a float; what
cannot be held in 64 bits is refused.

It refuses to know what a value is for: errors are ``ValueError`` with a sentence of what fits.
"""

from __future__ import annotations

import re
from decimal import Decimal

NS_OF = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
"""Nanoseconds of a unit of time."""

BYTES_OF = {
    "B": 1,
    "kB": 1_000,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "TB": 1_000_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
"""Bytes of a unit of size."""

INT64_MAX = (1 << 63) - 1

_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{1,20})?"
_PART = re.compile(rf"\s*(?P<count>{_NUMBER})\s*(?P<unit>[a-zA-Z]*)\s*")
_RATE = re.compile(rf"\s*(?P<count>{_NUMBER})\s*(?P<unit>[a-zA-Z]*)\s*/\s*(?P<per>[a-zA-Z]+)\s*")


def parse_duration(text: str) -> int:
    """Nanoseconds of ``5s``, ``250ms``, ``1h30m`` or ``0``; ValueError saying what fits."""
    fits = "write a length of time such as 100ms, 5s, 1h30m or 0"
    total, end, last, text = Decimal(0), 0, INT64_MAX, text.strip()
    if re.fullmatch(r"0+", text):
        return 0
    while end < len(text):
        part = _PART.match(text, end)
        if part is None or not 0 < NS_OF.get(part["unit"], 0) < last:
            raise ValueError(fits)  # 5s5s and 1m2h are slips of the hand
        last = NS_OF[part["unit"]]
        total += Decimal(part["count"]) * NS_OF[part["unit"]]
        end = part.end()
    return _whole(total, bool(text), fits, "a nanosecond")


def parse_size(text: str) -> int:
    """Bytes of ``2GiB``, ``500MB`` or ``0``; KB, MB, GB are powers of 1000, KiB ... of 1024."""
    fits = "write a size such as 500MB, 2GiB or 0"
    text = text.strip()
    if re.fullmatch(r"0+", text):
        return 0
    part = _PART.fullmatch(text)
    if part is None or part["unit"] not in BYTES_OF:
        raise ValueError(fits)
    return _whole(Decimal(part["count"]) * BYTES_OF[part["unit"]], True, fits, "a byte")


def parse_rate(text: str) -> float:
    """Number a second of ``20/s``, ``2400/min``; ValueError saying what fits."""
    return _rate(text, {"": 1}, "write a rate such as 20/s or 2400/min")


def parse_byte_rate(text: str) -> float:
    """Bytes a second of ``5MiB/s``, ``300MB/min``; ValueError saying what fits."""
    return _rate(text, BYTES_OF, "write a rate such as 5MiB/s or 300MB/min")


def _rate(text: str, units: dict[str, int], fits: str) -> float:
    part = _RATE.fullmatch(text)
    if part is None or part["unit"] not in units or part["per"] not in NS_OF:
        raise ValueError(fits)
    count = Decimal(part["count"]) * units[part["unit"]]
    return float(count * NS_OF["s"] / NS_OF[part["per"]])


def _whole(value: Decimal, given: bool, fits: str, smallest: str) -> int:
    if not given:
        raise ValueError(fits)
    if value != value.to_integral_value():
        raise ValueError(f"it is not a whole number of units of {smallest}; {fits}")
    if value > INT64_MAX:
        raise ValueError(f"it is too large; {fits}")
    return int(value)


def format_duration(ns: int) -> str:
    """The shortest exact text: ``90_000_000_000`` is ``1m30s``, 0 is ``0``."""
    if ns == 0:
        return "0"
    out = ""
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        count, ns = divmod(ns, NS_OF[unit])
        out += f"{count}{unit}" if count else ""
    return out


def format_size(size: int) -> str:
    """Bytes for a person, to three digits: ``1.46 GiB``, ``812 B``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= BYTES_OF[unit]:
            value = size / BYTES_OF[unit]
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{size} B"
