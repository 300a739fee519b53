"""Parsed cells of an archive row as the columns of its kind.

Owns which role fills which column, one builder a kind, for all rows of a block at once. What must
hold: every decimal stays exact, at the smallest scale that holds the block.

It refuses to know text, layouts and files.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.events import EVENTS, Kind, Scales
from data.sources.chunks import Column
from data.sources.decimals import INT64_MAX, grow
from data.sources.row_checks import MS_LIMIT, venue_time_ns

Values = dict[str, np.ndarray | tuple[np.ndarray, int]]
"""Role -> int64 array, or (int64 array, scale) for decimals."""

Built = tuple[dict[str, Column], Scales]

NS_DIGITS = 9
"""Decimals of a second that the log can hold."""

UNFIT = -INT64_MAX
"""Stands for a number that a scale cannot hold."""


def columns_of(kind: Kind, values: Values, rows: int) -> Built:
    """Every column of ``kind`` from parsed roles; OverflowError when no scale holds a column."""
    own, scales = _BUILDERS[kind](values)
    own.setdefault("ts_ns", time_of(values))
    if "recv" in values:
        own["recv_ns"] = venue_time_ns(ints(values, "recv"))
    columns: dict[str, Column] = {}
    for field in EVENTS[kind].fields:
        column = own.get(field.name)
        if column is None:
            column = np.zeros(rows, dtype=np.int64)
        columns[field.name] = (
            column if isinstance(column, tuple) else column.astype(field.dtype, copy=False)
        )
    return columns, scales


def time_of(v: Values) -> np.ndarray:
    """int64 ns of the exchange time, from a whole number or from decimal seconds; 0 where none."""
    if "seconds" not in v:
        return venue_time_ns(ints(v, "time"))
    (seconds,), scale = _level(v, "seconds")
    return grow(seconds, NS_DIGITS - scale)


def _trade(v: Values) -> Built:
    (price,), price_scale = _level(v, "price")
    (qty,), qty_scale = _level(v, "qty")
    # The buyer being the maker means that the aggressor sold.
    side = ints(v, "side") if "side" in v else 1 - 2 * ints(v, "maker")
    own: dict[str, Column] = {"price": price, "qty": qty, "side": side}
    columns = {"id": "id", "text_id": "id", "tick": "tick"}
    own |= {name: ints(v, role) for role, name in columns.items() if role in v}
    return own, Scales(price_scale, qty_scale)


def _quote(v: Values) -> Built:
    (bid, ask), price_scale = _level(v, "bid", "ask")
    (bid_qty, ask_qty), qty_scale = _level(v, "bid_qty", "ask_qty")
    own: dict[str, Column] = {"bid": bid, "bid_qty": bid_qty, "ask": ask, "ask_qty": ask_qty}
    if "id" in v:
        own["id"] = ints(v, "id")
    return own, Scales(price_scale, qty_scale)


def _bar(v: Values) -> Built:
    """A kline; its close time is the last ms (or us) inside, so the interval ends one later."""
    prices, price_scale = _level(v, "open", "high", "low", "close")
    volumes, qty_scale = _level(v, "volume", "buy_volume")
    open_time, close_time = ints(v, "time"), ints(v, "close_time")
    sane = (close_time > 0) & (close_time < INT64_MAX)
    open_ns = venue_time_ns(open_time)
    end_ns = venue_time_ns(np.where(sane, close_time, -1) + 1)
    same_unit = (open_time < MS_LIMIT) == (close_time < MS_LIMIT)
    own: dict[str, Column] = {
        "ts_ns": np.where(same_unit, end_ns, 0),
        "open_ns": open_ns,
        "interval_ns": end_ns - open_ns,
        "volume": volumes[0],
        "buy_volume": volumes[1],
        "trades": ints(v, "count"),
    }
    own |= dict(zip(("open", "high", "low", "close"), prices, strict=True))
    return own, Scales(price_scale, qty_scale)


def _mark(v: Values) -> Built:
    (mark, index), price_scale = _level(v, "mark", "index")
    (funding,), scale = _level(v, "funding")
    own: dict[str, Column] = {
        "mark": mark,
        "index": index,
        "funding_fp9": _nearest(funding, scale - NS_DIGITS),
        "next_funding_ns": venue_time_ns(ints(v, "funding_time")),
    }
    return own, Scales(price_scale, 0)


def _nearest(values: np.ndarray, more: int) -> np.ndarray:
    """``values`` without their last ``more`` decimals, rounded half to even."""
    if more <= 0:
        return grow(values, -more)
    step = 10**more
    whole, rest = np.divmod(values, step)
    return whole + ((rest * 2 > step) | ((rest * 2 == step) & (whole % 2 == 1)))


def _depth(v: Values) -> Built:
    """Levels in columns of their own (``bid_price0`` is the best bid); 0 where there is none."""
    own: dict[str, Column] = {}
    scales = []
    for what in ("price", "qty"):
        names = [r for r in v if r.startswith((f"bid_{what}", f"ask_{what}"))]
        flat, scale = _level(v, *names)
        scales.append(scale)
        own |= dict(zip(names, flat, strict=True))
    for side in ("bid", "ask"):
        levels = sum(1 for r in v if r.startswith(f"{side}_price"))
        price = np.stack([own.pop(f"{side}_price{i}") for i in range(levels)], axis=1)  # type: ignore[arg-type]
        qty = np.stack([own.pop(f"{side}_qty{i}") for i in range(levels)], axis=1)  # type: ignore[arg-type]
        there = (price != 0) & (qty != 0)
        offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
        own[f"{side}_price"], own[f"{side}_qty"] = (price[there], offsets), (qty[there], offsets)
    return own, Scales(*scales)


def _level(v: Values, *roles: str) -> tuple[list[np.ndarray], int]:
    """Decimal columns brought to the largest of their scales."""
    pairs = []
    for role in roles:
        pair = v[role]
        assert isinstance(pair, tuple), role
        pairs.append(pair)
    top = max(scale for _, scale in pairs)
    return [grow(values, top - scale) for values, scale in pairs], top


def decimals_at(v: Values, role: str, scale: int) -> np.ndarray:
    """A decimal column as int64 at ``scale``; :data:`UNFIT` where digits would be lost.

    OverflowError where a value does not fit 64 bits.
    """
    (values,), own = _level(v, role)
    if own <= scale:
        return grow(values, scale - own)
    step = 10 ** (own - scale)
    return np.where(values % step == 0, values // step, UNFIT)


def plain(columns: dict[str, Column], name: str) -> np.ndarray:
    """A built column with one value a row."""
    column = columns[name]
    assert not isinstance(column, tuple), name
    return column


def ints(v: Values, role: str) -> np.ndarray:
    """The int64 array of a role that is no decimal."""
    column = v[role]
    assert not isinstance(column, tuple), role
    return column


_BUILDERS: dict[Kind, Callable[[Values], Built]] = {
    Kind.TRADE: _trade,
    Kind.BAR: _bar,
    Kind.QUOTE: _quote,
    Kind.MARK: _mark,
    Kind.LIQUIDATION: _trade,
    Kind.DEPTH: _depth,
}
