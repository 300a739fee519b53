"""Which rows must go when no common scale can hold them all.

Owns the bound on price times quantity at the door of the log, and the choice of whom to reject. One
price with twelve decimals would raise the scale of a whole symbol until nothing fits any more; so
of two ways to make the rows fit (the large ones go, or those that force the scale up go) the one
that rejects fewer is taken.

It refuses to know where rows come from and where the rejected ones are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from data.events import EVENTS, PRICE_QTY_PRODUCT_MAX, Kind, Scales
from data.sources.chunks import Chunk, Column, concat, rescale, take, top_scales
from data.sources.decimals import INT64_MAX

PAIRS: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.TRADE: (("price", "qty"),),
    Kind.LIQUIDATION: (("price", "qty"),),
    Kind.QUOTE: (("bid", "bid_qty"), ("ask", "ask_qty")),
    Kind.DEPTH: (("bid_price", "bid_qty"), ("ask_price", "ask_qty")),
    Kind.BAR: (("high", "volume"),),
}
"""Columns whose product must stay below ``PRICE_QTY_PRODUCT_MAX``."""


def join(chunks: Sequence[Chunk]) -> tuple[Chunk, list[np.ndarray]]:
    """One chunk of all rows that fit at one scale, and for each input a bool array of those kept.

    The chunks are of one kind and each at its smallest scale, as the parsers make them.
    """
    scales = top_scales(chunks)
    if not any(_too_large(c, scales).any() for c in chunks):
        return concat(chunks), [np.ones(len(c), dtype=bool) for c in chunks]
    keep, scales = _choose(chunks)
    kept = [
        rescale(take(c, k), _at_most(c.scales, scales)) for c, k in zip(chunks, keep, strict=True)
    ]
    return concat(kept), keep


def _at_most(own: Scales, limit: Scales) -> Scales:
    return Scales(min(own.price, limit.price), min(own.qty, limit.qty))


def _choose(chunks: Sequence[Chunk]) -> tuple[list[np.ndarray], Scales]:
    """Rows to keep of each chunk, and the scales that hold exactly those."""
    need = {unit: [_needed(c, unit) for c in chunks] for unit in ("price", "qty")}
    keep = [np.ones(len(c), dtype=bool) for c in chunks]
    while True:
        top = {unit: _largest(need[unit], keep) for unit in need}
        scales = Scales(top["price"], top["qty"])
        drop = [_too_large(c, scales) & k for c, k in zip(chunks, keep, strict=True)]
        fewest = sum(int(d.sum()) for d in drop)
        if not fewest:
            return keep, scales
        for unit, scale in top.items():
            forcing = [(n == scale) & k for n, k in zip(need[unit], keep, strict=True)]
            count = sum(int(f.sum()) for f in forcing)
            if scale and count < fewest:
                drop, fewest = forcing, count
        keep = [k & ~d for k, d in zip(keep, drop, strict=True)]


def _largest(need: list[np.ndarray], keep: list[np.ndarray]) -> int:
    return max([0, *(int(n[k].max()) for n, k in zip(need, keep, strict=True) if k.any())])


def _needed(chunk: Chunk, unit: str) -> np.ndarray:
    """Per row the smallest scale that holds its values of ``unit`` (price or qty), int64."""
    own = chunk.scales.price if unit == "price" else chunk.scales.qty
    need = np.zeros(len(chunk), dtype=np.int64)
    for name in _names(chunk.kind, unit):
        for scale in range(own):
            step = 10 ** (own - scale)
            off_grid = _any_row(chunk.columns[name], partial(_off_grid, step=step))
            need = np.maximum(need, np.where(off_grid, scale + 1, 0))
    return need


def _names(kind: Kind, unit: str) -> list[str]:
    return [f.name for f in EVENTS[kind].fields if f.unit.removesuffix("[]") == unit]


def _any_row(column: Column, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Per row: whether ``test`` holds for its value, or for any value of its list."""
    if isinstance(column, tuple):
        return any_of_list(test(column[0]), column[1])
    return test(column)


def _off_grid(values: np.ndarray, step: int) -> np.ndarray:
    return values % step != 0


def _beyond(values: np.ndarray, limit: int) -> np.ndarray:
    return (values > limit) | (values < -limit)


def any_of_list(flags: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Per row: whether any of the ``flags`` of its list (``offsets``) is true."""
    before = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags, out=before[1:])
    return before[offsets[1:]] > before[offsets[:-1]]


def _too_large(chunk: Chunk, scales: Scales) -> np.ndarray:
    """Rows with a value beyond int64, or a product beyond its bound, at ``scales``."""
    up = {"price": scales.price - chunk.scales.price, "qty": scales.qty - chunk.scales.qty}
    rows = np.zeros(len(chunk), dtype=bool)
    for unit, more in up.items():
        limit = INT64_MAX // 10 ** max(more, 0)
        for name in _names(chunk.kind, unit) if more > 0 else ():
            rows |= _any_row(chunk.columns[name], partial(_beyond, limit=limit))
    for price_name, qty_name in PAIRS.get(chunk.kind, ()):
        price, qty = chunk.columns[price_name], chunk.columns[qty_name]
        if isinstance(price, tuple) and isinstance(qty, tuple):
            rows |= any_of_list(_product_over(price[0], qty[0], up), price[1])
        elif not isinstance(price, tuple) and not isinstance(qty, tuple):
            rows |= _product_over(price, qty, up)
    return rows


def _product_over(price: np.ndarray, qty: np.ndarray, up: dict[str, int]) -> np.ndarray:
    """Where price * qty, at scales ``up`` larger, reaches PRICE_QTY_PRODUCT_MAX.

    Exact and without multiplying arrays; a smaller scale (negative ``up``) divides first.
    """
    price = price // 10 ** max(-up["price"], 0)
    qty = qty // 10 ** max(-up["qty"], 0)
    limit = (PRICE_QTY_PRODUCT_MAX - 1) // 10 ** (max(up["price"], 0) + max(up["qty"], 0))
    if not len(price) or int(price.max()) * max(int(qty.max()), 0) <= limit:
        return np.zeros(len(price), dtype=bool)
    return price > limit // np.maximum(qty, 1)
