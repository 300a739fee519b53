"""The compiled pass over a range of the log that a report is drawn from.

Owns nothing but the order of calls: sides, candles of 15 s, price rows and book imbalance are those
of the kernel (:mod:`engine.kernel`), called as the fold of a run calls them, decision boundaries
included, so what a report shows is what the engine had. Closed candles with a trade in them and
their rows go to a record of bounded size; the pass returns when it is nearly full and goes on
where it stood. A candle without a trade is not written.

It refuses to know what becomes of the candles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from data.events import Kind
from engine.kernel.book import BOOK_PARAMS, BOOK_STATE, book_boundary, book_depth, book_gap
from engine.kernel.candles import (
    CANDLE,
    CANDLES_PARAMS,
    CANDLES_STATE,
    candles_close,
    candles_due,
    candles_gap,
    candles_limit,
    candles_start,
    candles_trades,
)
from engine.kernel.core import (
    CORE_PARAMS,
    CORE_STATE,
    advance_boundary,
    find_invalid,
    first_boundary,
    note_event,
    note_now,
    scan_before,
)
from engine.kernel.footprint import (
    BUY,
    FOOTPRINT_PARAMS,
    FOOTPRINT_STATE,
    ROWS,
    SELL,
    UNKNOWN,
    footprint_trades,
    grid_clear,
)
from engine.kernel.sides import SIDES_PARAMS, SIDES_STATE, sides_quote, sides_trades

Array = np.ndarray

CANDLES_MAX = 2048
CELLS_MAX = 65_536
BOOKS_MAX = 8_192

STATE = np.dtype(
    [
        ("core", CORE_STATE),
        ("sides", SIDES_STATE),
        ("candles", CANDLES_STATE),
        ("footprint", FOOTPRINT_STATE),
        ("book", BOOK_STATE),
    ],
    align=True,
)
"""State of the pass: the kernel's own records."""

PARAMS = np.dtype(
    [
        ("core", CORE_PARAMS),
        ("sides", SIDES_PARAMS),
        ("candles", CANDLES_PARAMS),
        ("footprint", FOOTPRINT_PARAMS),
        ("book", BOOK_PARAMS),
    ],
    align=True,
)

OUT = np.dtype(
    [
        ("n_candles", "i8"),
        ("n_cells", "i8"),
        ("n_books", "i8"),
        ("candles", CANDLE, (CANDLES_MAX,)),
        ("cell_stop", "i8", (CANDLES_MAX,)),
        ("row", "i8", (CELLS_MAX,)),
        ("cells", "i8", (3, CELLS_MAX)),
        ("book_ns", "i8", (BOOKS_MAX,)),
        ("book_fp9", "i8", (BOOKS_MAX,)),
    ],
    align=True,
)
"""cell_stop[c]: end of candle c's cells; row: price row (price // row_units); cells by side (the
footprint's SELL, UNKNOWN, BUY); book_*: log imbalance of five levels at each boundary with a book
that is not stale."""

CURSOR = np.dtype([("run", "i8"), ("sided", "i8"), ("at", "i8", (len(Kind),))], align=True)
"""Where the pass stands in a batch: run, trades whose side is resolved, next row by kind."""

_TRADE, _DEPTH, _QUOTE, _GAP = (int(k) for k in (Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.GAP))
_BAR, _CLOCK = int(Kind.BAR), int(Kind.CLOCK)


@njit(cache=True, nogil=True)
def _room(o: Any) -> bool:
    """True when another candle with its rows, and another book, can be written."""
    return o.n_candles < CANDLES_MAX and o.n_cells + ROWS <= CELLS_MAX and o.n_books < BOOKS_MAX


@njit(cache=True, nogil=True)
def _write(s: Any, o: Any) -> None:
    """Write the open 15 s candle and its rows."""
    c = s.candles.open[0]
    if c.trades == 0:
        return
    o.candles[o.n_candles] = c
    g = s.footprint.quarter
    n = o.n_cells
    for x in range(g.low, g.high + 1):
        sell, unknown, buy = g.cells[SELL, x], g.cells[UNKNOWN, x], g.cells[BUY, x]
        if sell != 0 or unknown != 0 or buy != 0:
            o.row[n] = (g.base + x) << g.shift
            o.cells[SELL, n] = sell
            o.cells[UNKNOWN, n] = unknown
            o.cells[BUY, n] = buy
            n += 1
    o.n_cells = n
    o.cell_stop[o.n_candles] = n
    o.n_candles += 1


@njit(cache=True, nogil=True)
def _close(s: Any, o: Any) -> None:
    _write(s, o)
    grid_clear(s.footprint.quarter)
    candles_close(s.candles)


@njit(cache=True, nogil=True)
def _reach(s: Any, p: Any, o: Any, at: int) -> bool:
    """Fire the boundaries up to engine time ``at`` (ns); False where the output is nearly full."""
    core = s.core
    if core.next_ns == 0:
        first_boundary(core, p.core, at)
    while core.next_ns <= at:
        now = core.next_ns
        while candles_due(s.candles, p.candles, now):
            if not _room(o):
                return False
            _close(s, o)
        if not _room(o):
            return False
        note_now(core, now)
        book_boundary(s.book, p.book, now)
        if s.book.stale == 0:
            o.book_ns[o.n_books] = now
            o.book_fp9[o.n_books] = s.book.imbalance5_fp9
            o.n_books += 1
        advance_boundary(core, p.core, at)
    return True


@njit(cache=True, nogil=True)
def _trades(
    s: Any, p: Any, o: Any, c: Any, ts: Array, price: Array, qty: Array, flag: Array,
    side: Array, stop: int,
) -> bool:  # fmt: skip
    """Take trades up to ``stop``; False where the output is nearly full."""
    latency = p.core.latency_ns[_TRADE]
    i = c.at[_TRADE]
    if c.sided < stop:
        sides_trades(s.sides, p.sides, ts, price, qty, flag, side, max(i, c.sided), stop)
        c.sided = stop
    while i < stop:
        if not _reach(s, p, o, ts[i] + latency):
            return False
        while s.candles.started == 1 and ts[i] >= s.candles.end_ns:
            if not _room(o):
                return False
            _close(s, o)
        limit = min(s.core.next_ns - latency, candles_limit(s.candles, ts[i]))
        j = scan_before(ts, limit, i, stop)[0]
        j = find_invalid(side, i, j)
        if j == i:
            i += 1
            c.at[_TRADE] = i
            continue
        if s.candles.started == 0:
            candles_start(s.candles, ts[i], price[i])
        candles_trades(s.candles, ts, price, qty, side, i, j)
        footprint_trades(s.footprint, p.footprint, price, qty, side, i, j)
        note_event(s.core, scan_before(ts, limit, i, j)[1] + latency)
        i = j
        c.at[_TRADE] = i
    return True


@njit(cache=True, nogil=True)
def _gap(s: Any, stream: int, from_ns: int, filled: int) -> None:
    """Events of ``stream`` were missed from ``from_ns`` on."""
    if filled == 0 and stream == _TRADE:
        candles_gap(s.candles, from_ns)
    elif filled == 0 and stream == _DEPTH:
        book_gap(s.book)


@njit(cache=True, nogil=True)
def fold_batch(
    state: Array, params: Array, out: Array, cursor: Array, side: Array,
    run_kind: Array, run_stop: Array,
    ts: Array, price: Array, qty: Array, flag: Array,
    depth_ts: Array, bid_price: Array, bid_qty: Array, bid_offsets: Array,
    ask_price: Array, ask_qty: Array, ask_offsets: Array,
    quote_ts: Array, bid: Array, ask: Array,
    gap_ts: Array, gap_stream: Array, gap_from: Array, gap_filled: Array,
    bar_ts: Array, clock_ts: Array, control_ts: Array,
) -> bool:  # fmt: skip
    """Take one batch in its order of merge (int64 columns as in :class:`data.log.Batch`, ns and
    scaled; ``flag``, ``gap_stream``, ``gap_filled`` and ``side``, which takes the sides, int8).

    False when the output is nearly full: drain it and call again with the same cursor.
    """
    s, p, o, c = state[0], params[0], out[0], cursor[0]
    latency = p.core.latency_ns
    while c.run < len(run_kind):
        kind = run_kind[c.run]
        stop = run_stop[c.run]
        if kind == _TRADE:
            if not _trades(s, p, o, c, ts, price, qty, flag, side, stop):
                return False
            c.run += 1
            continue
        for r in range(c.at[kind], stop):
            if kind == _DEPTH:
                at = depth_ts[r]
            elif kind == _QUOTE:
                at = quote_ts[r]
            elif kind == _GAP:
                at = gap_ts[r]
            elif kind == _BAR:
                at = bar_ts[r]
            elif kind == _CLOCK:
                at = clock_ts[r]
            else:
                at = control_ts[r]
            if not _reach(s, p, o, at + latency[kind]):
                return False
            if kind == _DEPTH:
                b, a = bid_offsets[r], ask_offsets[r]
                if bid_offsets[r + 1] > b and ask_offsets[r + 1] > a:
                    sides_quote(s.sides, at, bid_price[b], ask_price[a])
                book_depth(s.book, at, bid_price, bid_qty, b, bid_offsets[r + 1],
                           ask_price, ask_qty, a, ask_offsets[r + 1])  # fmt: skip
            elif kind == _QUOTE:
                sides_quote(s.sides, at, bid[r], ask[r])
            elif kind == _GAP:
                _gap(s, gap_stream[r], gap_from[r], gap_filled[r])
            note_event(s.core, at + latency[kind])
            c.at[kind] = r + 1
        c.run += 1
    return True


@njit(cache=True, nogil=True)
def finish(state: Array, out: Array) -> None:
    """Write the candle that stands open at the end; the output must have been drained before."""
    _write(state[0], out[0])
