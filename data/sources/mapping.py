"""What a delimited file is, column by column: the one description that every such reader obeys.

Owns :class:`Mapping`. The exports of MetaTrader 5, the zips of LEAN and the TOML files that users
write all become one of these, and :mod:`data.sources.mapping_parser` reads by it. What must hold: a
mapping is complete; nothing about the rows is guessed once it stands.

It refuses to know where a mapping comes from, and how a cell is converted.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field

from data.events import DEPTH_LEVELS_MAX, Kind
from data.sources.mapping_zones import UTC_ZONE, Zone

ROLES: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("price", "qty"),
    Kind.QUOTE: ("bid", "ask"),
    Kind.BAR: ("open", "high", "low", "close"),
    Kind.DEPTH: ("bid_price", "bid_qty", "ask_price", "ask_qty"),
}
"""Columns that a file of a kind must have, beside its time."""

OPTIONAL: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("side", "maker", "id", "id_text"),
    Kind.QUOTE: ("bid_qty", "ask_qty", "id"),
    Kind.BAR: ("volume", "buy_volume", "trades"),
    Kind.DEPTH: ("id",),
}
"""Columns that it may have; where they are missing or empty they count as not known (0)."""

LISTS = frozenset(ROLES[Kind.DEPTH])
"""Roles that take several columns, best level first."""

INTEGERS = frozenset({"id", "trades"})
WORDS = frozenset({"side", "maker"})
PRICES = frozenset(
    {"price", "bid", "ask", "open", "high", "low", "close", "bid_price", "ask_price"}
)

BUY_WORDS = ("buy", "b", "buyer", "long", "1", "+1")
SELL_WORDS = ("sell", "s", "seller", "short", "-1")
TRUE_WORDS = ("true", "t", "1", "yes")
FALSE_WORDS = ("false", "f", "0", "no")

LEVELS_MAX = DEPTH_LEVELS_MAX


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How the time of a row is written.

    ``columns`` are one or two places. ``unit`` is ``text``, or the unit (s, ms, us, ns) of a number
    since 1970; ``base_ns`` is added to it (the midnight of a file of one day), and with ``span_ns``
    the number lies from 0 to below that (the length of the day). ``order`` is the
    order of day, month and year in a text. ``zone`` is the clock of times that carry no zone
    themselves; with ``wall`` the clock rules even where a text claims a zone (programs that write a
    broker's wall clock call it UTC).
    """

    columns: tuple[int, ...]
    unit: str = "text"
    order: str = "ymd"
    base_ns: int = 0
    zone: Zone = UTC_ZONE
    wall: bool = False
    span_ns: int = 0


@dataclass(frozen=True, slots=True)
class Mapping:
    """A delimited file. Columns are places, counted from 0.

    ``least`` to ``columns`` cells make a row; ``header_lines`` lines come before the first.
    ``roles`` gives the columns of each role (one, or the levels of a depth side). Bars have an
    ``interval_ns``; ``close_time`` says that their time is the end of the interval. ``sides`` turns
    words into -1 and 1. ``shift`` is the power of ten that whole numbers in the file carry,
    ``places`` the number of decimals to round to, both by ``price`` and ``qty``. With ``carry`` an
    empty bid or ask stands for the last one.
    """

    name: str
    kind: Kind
    columns: int
    least: int
    roles: Dictionary[str, tuple[int, ...]]
    time: TimeForm
    separator: str = ","
    decimal: str = "."
    header_lines: int = 0
    interval_ns: int = 0
    close_time: bool = False
    sides: Dictionary[str, int] = field(default_factory=dict)
    shift: Dictionary[str, int] = field(default_factory=dict)
    places: Dictionary[str, int] = field(default_factory=dict)
    symbol_column: int = -1
    carry: bool = False


def side_words(
    buy: tuple[str, ...] = BUY_WORDS, sell: tuple[str, ...] = SELL_WORDS
) -> dict[str, int]:
    """Words (lower case) of an aggressor's side."""
    return {w.lower(): 1 for w in buy} | {w.lower(): -1 for w in sell}


MAKER_SIDES = dict.fromkeys(TRUE_WORDS, -1) | dict.fromkeys(FALSE_WORDS, 1)
"""The buyer being the maker means that the aggressor sold."""
