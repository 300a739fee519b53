"""Footprint grids from a few rows written by hand."""

from __future__ import annotations

import numpy as np

from engine.kernel import footprint
from tests.engine.tapes import MINUTE, Event, S

Book = dict[int, tuple[int, int]]
"""(sell, buy) quantity by price."""


def grid_of(book: Book, units: int = 1) -> np.ndarray:
    """A grid of shape (1,) with these (sell, buy) quantities at these prices."""
    s = np.zeros(1, dtype=footprint.FOOTPRINT_STATE)
    p = np.zeros(1, dtype=footprint.FOOTPRINT_PARAMS)
    p["row_units"] = units
    trades = [(price, q, d) for price, qs in book.items() for q, d in zip(qs, (-1, 1), strict=True)]
    price, qty, side = zip(*[t for t in trades if t[1]], strict=True)
    footprint.footprint_trades(
        s[0], p[0], np.array(price), np.array(qty), np.array(side, dtype=np.int8), 0, len(price)
    )
    return s["quarter"].copy()


def flipped(book: Book, centre: int = 1000) -> Book:
    """The same upside down with sides exchanged."""
    return {centre - price: (buy, sell) for price, (sell, buy) in book.items()}


def minutes(books: list[Book], start: int = 1_723_161_600 * S) -> list[Event]:
    """One trade a side and row; every minute one book, from its tenth second on."""
    out: list[Event] = []
    for n, book in enumerate(books):
        for k, (price, qs) in enumerate(book.items()):
            for qty, side in zip(qs, (-1, 1), strict=True):
                at = start + n * MINUTE + 10 * S + k
                if qty:
                    out.append({"kind": 4, "ts_ns": at, "id": len(out), "price": price,
                                "qty": qty, "side": side})  # fmt: skip
    return out
