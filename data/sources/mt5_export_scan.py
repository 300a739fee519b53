"""A first look through a whole export, to settle its clock before a row is taken.

Owns the gathering of evidence for :mod:`data.sources.mt5_export_clock`: the silences in a file, its
prices minute by minute, and the prices that the log holds of the same instrument. What must hold:
memory is bounded; lines that cannot be read say nothing here.

It refuses to know how evidence is weighed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError
from data.events import Kind
from data.sources.chunks import Chunk
from data.sources.mapping import Mapping
from data.sources.mapping_parser import MappingParser
from data.sources.mapping_zones import UTC_ZONE, Zone, parse_zone
from data.sources.mt5_export import FX, METAL
from data.sources.mt5_export_clock import (
    AHEAD_NS,
    MINUTE_NS,
    MINUTES_LEAST,
    Estimate,
    Evidence,
    Silences,
    estimate,
    from_overlap,
    from_silences,
)
from data.sources.opening import Member, Reader
from data.sources.rejects import Rejects

if TYPE_CHECKING:
    from data.log import Entry, LogStore

MINUTES_MOST = 2_880
"""Two days of minutes are compared with the log, no more."""

_COLUMNS = {
    Kind.QUOTE: ("ts_ns", "bid", "ask"),
    Kind.BAR: ("open_ns", "interval_ns", "close"),
    Kind.TRADE: ("ts_ns", "price"),
}


def settle(
    member: Member, mapping: Mapping, symbol: str, wanted: str | None, store: LogStore | None
) -> tuple[Mapping, str]:
    """``mapping`` with the clock of its file, and in words which one and why.

    ``wanted`` is the user's word, None or ``auto`` to look for it; ``store`` the log, if any, whose
    prices may help. UsageError where the clock cannot be known.
    """
    if wanted and wanted.lower() != "auto":
        zone = parse_zone(wanted)
        return _on(mapping, zone), f"broker's clock {_words(zone)}, as --broker-offset says"
    found = _look(member, mapping, symbol, store)
    if found.zone is None:
        raise UsageError(
            "the broker's clock is not known",
            where=str(member.path),
            why=f"the export writes the wall clock of the broker's server and does not say which; "
            f"{found.why}",
            do="pass --broker-offset: new-york for most FX brokers (UTC+2, in summer +3; midnight "
            "is New York's close), an offset such as +02:00, or a zone such as Europe/Athens",
        )
    text = f"broker's clock {_words(found.zone)}, estimated: {found.why}; --broker-offset overrides"
    return _on(mapping, found.zone), text


def _on(mapping: Mapping, zone: Zone) -> Mapping:
    return replace(mapping, time=replace(mapping.time, zone=zone))


def _words(zone: Zone) -> str:
    return zone.name if zone.words() in (zone.name, f"UTC{zone.name}") else _named(zone)


def _named(zone: Zone) -> str:
    return f"{zone.name} ({zone.words()})"


def _look(member: Member, mapping: Mapping, symbol: str, store: LogStore | None) -> Estimate:
    entries = _known_entries(store.catalogue().entries, symbol) if store else []
    silences = Silences(mapping.interval_ns)
    minutes = _Minutes(entries)
    parser = MappingParser(_on(mapping, UTC_ZONE), Rejects(member.name, lambda _n, _d: None))
    for block in Reader(member).blocks():
        for _, chunk in parser.parse(block):
            times = chunk.array("open_ns" if chunk.kind == Kind.BAR else "ts_ns")
            silences.add(times)
            minutes.add(times, chunk)
    evidence = from_silences(symbol, silences) + _overlap(store, entries, minutes)
    return estimate(evidence, silences.first_ns, silences.last_ns)


def _known_entries(entries: Sequence[Entry], symbol: str) -> list[Entry]:
    """Files of the log that hold prices of the same instrument, whatever a broker appends to it."""
    base = symbol[:6] if FX.match(symbol) or METAL.match(symbol) else symbol
    return [e for e in entries if e.kind in _COLUMNS and e.symbol[: len(base)] == base]


class _Minutes:
    """The last price of each minute of a file, where the log may have prices of that time too."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        low = min((e.min_ts_ns for e in entries), default=0)
        high = max((e.max_ts_ns for e in entries), default=0)
        self._low_ns, self._high_ns = low + AHEAD_NS[0], high + AHEAD_NS[1]
        self.prices: dict[int, float] = {}

    def add(self, times: np.ndarray, chunk: Chunk) -> None:
        wanted = (times >= self._low_ns) & (times <= self._high_ns)
        if len(self.prices) >= MINUTES_MOST or not wanted.any():
            return
        columns = {name: chunk.array(name)[wanted] for name in _COLUMNS[chunk.kind]}
        price = _price(chunk.kind, columns) / 10**chunk.scales.price
        last_of_minute(self.prices, times[wanted], price)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return as_arrays(self.prices, MINUTES_MOST)


def last_of_minute(into: dict[int, float], times: np.ndarray, prices: np.ndarray) -> None:
    """Put the last of ``prices`` (float64) of each minute of ``times`` (ns) into ``into``."""
    minutes = times // MINUTE_NS * MINUTE_NS
    ends = np.flatnonzero(np.append(np.diff(minutes) != 0, True))
    into.update(zip(minutes[ends].tolist(), prices[ends].tolist(), strict=True))


def as_arrays(prices: dict[int, float], most: int) -> tuple[np.ndarray, np.ndarray]:
    """(minutes int64 ns rising, prices float64), the first ``most``."""
    minutes = sorted(prices)[:most]
    return np.array(minutes, dtype=np.int64), np.array([prices[m] for m in minutes])


def _price(kind: Kind, columns: dict[str, np.ndarray]) -> np.ndarray:
    if kind == Kind.QUOTE:
        return (columns["bid"] + columns["ask"]) / 2.0
    return columns["close" if kind == Kind.BAR else "price"].astype(np.float64)


def _overlap(store: LogStore | None, entries: Sequence[Entry], minutes: _Minutes) -> list[Evidence]:
    """Evidence from each series of the log that has prices of the time of the file."""
    wall, prices = minutes.arrays()
    if store is None or len(wall) < MINUTES_LEAST:
        return []
    span = int(wall[0]) - AHEAD_NS[1], int(wall[-1]) - AHEAD_NS[0]
    series = sorted(
        {
            (e.venue, e.symbol, e.kind)
            for e in entries
            if e.max_ts_ns >= span[0] and e.min_ts_ns <= span[1]
        }
    )
    for venue, symbol, kind in series:
        found = from_overlap(wall, prices, *_log_minutes(store, venue, symbol, kind, span))
        if found:
            return [replace(found[0], source=f"the same prices in the log ({venue} {symbol})")]
    return []


def _log_minutes(
    store: LogStore, venue: str, symbol: str, kind: Kind, span: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    from data.log import LogReader

    prices: dict[int, float] = {}
    reader = LogReader(store, venue, symbol, {kind: _COLUMNS[kind]}, span[0], span[1] + MINUTE_NS)
    for batch in reader:
        columns = batch.columns.get(kind)
        if not columns:
            continue
        if kind == Kind.BAR:
            short = columns["interval_ns"] == MINUTE_NS
            columns = {name: columns[name][short] for name in _COLUMNS[kind]}
        times = columns["open_ns" if kind == Kind.BAR else "ts_ns"]
        if len(times):
            last_of_minute(prices, times, _price(kind, columns))
    return as_arrays(prices, len(prices))
