"""Frames of a terminal's quotes and closed bars, as the rows that an inlet admits.

Owns the frames' form, which is ours (a terminal sends none; whoever polls it makes them)::

    {"stream":"EURUSD@tick","offset_ns":7200000000000,
     "rows":[[time_msc,bid,ask,last,volume,flags], ...],"sent_ns":1717243200123000000}
    {"stream":"EURUSD@bar","offset_ns":7200000000000,
     "rows":[[time,open,high,low,close,tick_volume,spread,real_volume], ...],"lot":100000.0}

Times are the server's wall clock written as an epoch (ms of ticks, s of bars), ``offset_ns`` how
far it is ahead of UTC in all rows of the frame. ``sent_ns`` (0: not said) is UTC of the last row,
where these quotes are what the session's clock goes by. ``lot`` is the base quantity of a lot. A
frame without rows says that the link lives.

What must hold: a price that does not lie on the instrument's grid is refused, never rounded away;
a tick that lacks a side is no quote; ticks of one millisecond keep their order (the id is the UTC
time in ms with three digits behind it that count within the millisecond).

It refuses to know terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from data.enums import Kind
from data.live.blocks import Series
from data.live.decode import Numbers, Route, Row, Told, bar, touch
from data.live.streams import TERMINAL, VENUES
from data.sources.rejects import RejectedError

Reader = Callable[[bytes, int], Told]

MINUTE_NS = 60_000_000_000
"""Length of the bars: a terminal's M1."""

PLACES = 1_000
"""Ticks of one millisecond that can be told apart by their ids."""

FUZZ = 1e-4
"""Share of a price unit by which a float may miss the grid: its last bits are no prices."""

_S, _MS = 1_000_000_000, 1_000_000


class _Ticks(msgspec.Struct, gc=False):
    offset_ns: int
    rows: list[tuple[int, float, float, float, float, int]]
    sent_ns: int = 0


class _Bars(msgspec.Struct, gc=False):
    offset_ns: int
    rows: list[tuple[int, float, float, float, float, int, int, float]]
    lot: float = 1.0


def name_of(symbol: str, kind: Kind) -> str:
    """The stream of ``kind`` (QUOTE, BAR) of a symbol, which is written as the broker does."""
    return VENUES[TERMINAL].stream(symbol, kind)


def route_of(stream: str, series: Mapping[str, int], facts: list[Series],
             numbers: list[Numbers]) -> Route | None:  # fmt: skip
    """The route of a stream name; None for one that is not of these series (by exact symbol).

    ``series`` gives the number of a symbol; ``facts`` and ``numbers`` are by that number. Minutes
    without a quote have no bar, so bars that do not follow each other are no hole.
    """
    kind = VENUES[TERMINAL].kind(stream)
    number = series.get(stream.rpartition("@")[0])
    if number is None or kind is None:
        return None
    scales = facts[number].scales
    if kind is Kind.BAR:
        reader = _bar_reader(10**scales.price, 10**scales.qty)
    else:
        reader = _tick_reader(10**scales.price)
    return Route(number, kind, reader, running_ids=False)


def units(value: float, scale: int) -> int:
    """``value`` in price units (``scale`` of them are 1); RejectedError off the grid."""
    exact = value * scale
    nearest = round(exact)
    if abs(exact - nearest) > FUZZ + abs(exact) * 1e-12:
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
        for time_msc, bid, ask, _, _, _ in told.rows:
            ts_ns = time_msc * _MS - told.offset_ns
            place = min(place + 1, PLACES - 1) if ts_ns == last else 0
            last = ts_ns
            if not (bid and ask):
                continue
            try:
                bid_units, ask_units = units(bid, scale), units(ask, scale)
                touch(bid_units, 0)
                touch(ask_units, 0)
            except RejectedError as error:
                refused.append(error.reason)
                continue
            rows.append((ts_ns, ts_ns // _MS * PLACES + place, bid_units, 0, ask_units, 0))
        return Told(told.sent_ns, rows, refused=refused)

    return read


def _bar_reader(scale: int, qty_scale: int) -> Reader:
    decode = msgspec.json.Decoder(_Bars).decode

    def read(frame: bytes, _recv_ns: int) -> Told:
        told = decode(frame)
        rows: list[Row] = []
        refused: list[str] = []
        for time_s, open_, high, low, close, ticks, _spread, volume in told.rows:
            open_ns = time_s * _S - told.offset_ns
            try:
                scaled = tuple(units(p, scale) for p in (open_, high, low, close))
                whole = (round(volume * told.lot * qty_scale), 0, ticks)
                rows.append(bar(open_ns + MINUTE_NS, 0, open_ns, scaled, whole))
            except RejectedError as error:
                refused.append(error.reason)
        return Told(0, rows, refused=refused)

    return read
