"""Frames of a terminal's quotes and closed bars, as the rows that an inlet admits.

Owns the frames' form, which is ours (a terminal sends none; whoever polls it makes them)::

    {"stream":"EURUSD@tick","offset_ns":7200000000000,
     "rows":[[time_msc,bid,ask,last,volume,flags], ...]}
    {"stream":"EURUSD@bar","offset_ns":7200000000000,
     "rows":[[time,open,high,low,close,tick_volume,spread,real_volume], ...]}

Times are the server's wall clock written as an epoch, ``offset_ns`` how far it is ahead of UTC. A
frame without rows says that the link lives. What must hold: a price that does not lie on the
instrument's grid is refused, never rounded away; ticks of one millisecond keep their order (the id
is the time in ms with a place of three digits behind it).

It refuses to know terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from data.enums import Kind
from data.live.blocks import Series
from data.live.decode import Numbers, Route, Row, Told, bar, touch
from data.sources.rejects import RejectedError

TICK, BAR = "tick", "bar"
KINDS = {TICK: Kind.QUOTE, BAR: Kind.BAR}
"""Kinds by the end of a stream's name."""

Reader = Callable[[bytes, int], Told]

MINUTE_NS = 60_000_000_000
_MS = 1_000_000
_PLACES = 1_000
_FUZZ = 1e-4
"""Share of a price unit by which a float may miss the grid: its last bits are no prices."""


class _Ticks(msgspec.Struct, gc=False):
    offset_ns: int
    rows: list[tuple[int, float, float, float, float, int]]


class _Bars(msgspec.Struct, gc=False):
    offset_ns: int
    rows: list[tuple[int, float, float, float, float, int, int, int]]


def name_of(symbol: str, kind: Kind) -> str:
    """The stream of ``kind`` (QUOTE, BAR) of a symbol."""
    return f"{symbol}@{BAR if kind is Kind.BAR else TICK}"


def route_of(stream: str, series: Mapping[str, int], facts: list[Series],
             numbers: list[Numbers]) -> Route | None:  # fmt: skip
    """The route of a stream name; None for one that is not of these series (by exact symbol)."""
    symbol, _, rest = stream.rpartition("@")
    number = series.get(symbol)
    if number is None or rest not in KINDS:
        return None
    scales = facts[number].scales
    if rest == BAR:
        return Route(number, Kind.BAR, _bar_reader(10**scales.price, 10**scales.qty))
    return Route(number, Kind.QUOTE, _tick_reader(10**scales.price))


def units(value: float, scale: int) -> int:
    """``value`` in price units (``scale`` of them are 1); RejectedError off the grid."""
    exact = value * scale
    nearest = round(exact)
    if abs(exact - nearest) > _FUZZ + abs(exact) * 1e-12:
        raise RejectedError("precision")
    return nearest


def _tick_reader(scale: int) -> Reader:
    decode = msgspec.json.Decoder(_Ticks).decode
    last, place = 0, 0

    def read(frame: bytes, _recv_ns: int) -> Told:
        nonlocal last, place
        told = decode(frame)
        rows: list[Row] = []
        refused: list[str] = []
        for time_msc, bid, ask, *_ in told.rows:
            ts_ns = time_msc * _MS - told.offset_ns
            place = min(place + 1, _PLACES - 1) if time_msc == last else 0
            last = time_msc
            try:
                bid_units, ask_units = units(bid, scale), units(ask, scale)
                touch(bid_units, 0)
                touch(ask_units, 0)
            except RejectedError as error:
                refused.append(error.reason)
                continue
            rows.append((ts_ns, ts_ns // _MS * _PLACES + place, bid_units, 0, ask_units, 0))
        return Told(0, rows, refused=refused)

    return read


def _bar_reader(scale: int, lots: int) -> Reader:
    decode = msgspec.json.Decoder(_Bars).decode

    def read(frame: bytes, _recv_ns: int) -> Told:
        told = decode(frame)
        rows: list[Row] = []
        refused: list[str] = []
        for time_s, *prices, ticks, _spread, volume in told.rows:
            open_ns = time_s * 1_000_000_000 - told.offset_ns
            try:
                scaled = tuple(units(p, scale) for p in prices)
                whole = (volume * lots, 0, ticks)
                rows.append(bar(open_ns + MINUTE_NS, 0, open_ns, scaled, whole))
            except RejectedError as error:
                refused.append(error.reason)
        return Told(0, rows, refused=refused)

    return read
