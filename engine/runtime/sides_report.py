"""How often each side rule finds the side that the exchange flagged, when the flag is hidden.

Owns the counting; the rules are those that the fold uses (:mod:`engine.kernel.sides`):

* tick: the sign of the last price change; a zero tick keeps the last sign;
* quote: above or below the middle of the last bid and ask, however old; at the middle, nothing;
* lee_ready: the quote rule, and at the middle (or without a quote) the tick rule (Lee and Ready
  1991);
* ladder: what the fold does with a trade that carries no flag: the quote rule on a quote no older
  than ``quote_age_ns``, else the tick rule;
* venue_tick: the tick direction that the venue sends with a trade, where it does (the seed's rule).

What must hold: trades and quotes are taken in the total order, so a rule sees only what came
before its trade. It refuses to know how the counts are printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import njit

from data.events import Kind, Scales
from data.log import Batch, LogReader
from engine.kernel.sides import (
    SIDES_PARAMS,
    SIDES_STATE,
    quote_rule,
    sides_quote,
    sides_trades,
    tick_rule,
)
from engine.runtime.bulk_report import BulkCount, BulkCounter
from engine.runtime.plain import field_records

Array = np.ndarray

RULES = ("tick", "quote", "lee_ready", "ladder", "venue_tick")
DECIDED, AGREED, DECIDED_QTY, AGREED_QTY = range(4)
"""Columns of the counts."""

COLUMNS: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("ts_ns", "price", "qty", "side", "tick"),
    Kind.DEPTH: ("ts_ns", "bid_price", "ask_price"),
    Kind.QUOTE: ("ts_ns", "bid", "ask"),
}
"""What a reader must be asked for."""

_RULES = len(RULES)
_TRADE, _DEPTH = int(Kind.TRADE), int(Kind.DEPTH)
_ZERO = np.zeros(1, np.int64)
_NONE = np.zeros(0, np.int64)
_SMALL = np.zeros(0, np.int8)
_EMPTY: dict[Kind, dict[str, np.ndarray]] = {
    Kind.TRADE: {"ts_ns": _NONE, "price": _NONE, "qty": _NONE, "side": _SMALL, "tick": _SMALL},
    Kind.DEPTH: {
        "ts_ns": _NONE,
        "bid_price": _NONE,
        "bid_offsets": _ZERO,
        "ask_price": _NONE,
        "ask_offsets": _ZERO,
    },
    Kind.QUOTE: {"ts_ns": _NONE, "bid": _NONE, "ask": _NONE},
}
"""Columns of no rows, for kinds that the log does not hold."""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Of the flagged trades: how many the rule decided and how many of those agree with the flag,
    by number and by quantity (``*_qty``, in units of the instrument).
    """

    rule: str
    decided: int
    agreed: int
    decided_qty: float
    agreed_qty: float


@dataclass(frozen=True, slots=True)
class SidesReport:
    """Counts over a range. ``trades`` carry a flag; ``unflagged`` ones are not judged; ``bulk`` is
    what bulk volume classification finds, which judges bars and not trades."""

    trades: int
    qty: float
    unflagged: int
    quotes: int
    rules: tuple[RuleCount, ...]
    bulk: tuple[BulkCount, ...] = ()


@njit(cache=True, nogil=True)
def _count_run(
    s: Any, p: Any, ts: Array, price: Array, qty: Array, flag: Array, tick: Array,
    hidden: Array, side: Array, counts: Array, i: int, j: int,
) -> int:  # fmt: skip
    """Judge trades [i, j): int64 ts (ns), price and qty (scaled), int8 flag and tick.

    ``hidden`` is an int8 array of zeros in place of the flags, ``side`` (int8) takes the ladder's
    answer, ``counts`` is int64[rule, 4]. Returns how many of the trades carry no flag.
    """
    last = s.last_price
    direction = s.tick_dir
    bid, ask = s.bid, s.ask
    sides_trades(s, p, ts, price, qty, hidden, side, i, j)
    answers = np.zeros(_RULES, np.int64)
    unflagged = 0
    for k in range(i, j):
        x = price[k]
        if x <= 0 or qty[k] <= 0:
            unflagged += 1
            continue
        direction = tick_rule(x, last, direction)
        last = x
        if flag[k] == 0:
            unflagged += 1
            continue
        by_quote = quote_rule(x, bid, ask)
        answers[0] = direction
        answers[1] = by_quote
        answers[2] = by_quote if by_quote != 0 else direction
        answers[3] = side[k]
        answers[4] = 1 if tick[k] > 0 else (-1 if tick[k] < 0 else 0)
        for r in range(_RULES):
            if answers[r] == 1 or answers[r] == -1:
                counts[r, DECIDED] += 1
                counts[r, DECIDED_QTY] += qty[k]
                if answers[r] == flag[k]:
                    counts[r, AGREED] += 1
                    counts[r, AGREED_QTY] += qty[k]
    return unflagged


@njit(cache=True, nogil=True)
def _count_batch(
    state: Array, params: Array, run_kind: Array, run_stop: Array,
    ts: Array, price: Array, qty: Array, flag: Array, tick: Array, hidden: Array, side: Array,
    depth_ts: Array, bid_price: Array, bid_offsets: Array, ask_price: Array, ask_offsets: Array,
    quote_ts: Array, bid: Array, ask: Array, counts: Array,
) -> tuple[int, int]:  # fmt: skip
    """Take one batch in its order of merge: int64 columns as in :class:`data.log.Batch`.

    Returns (trades without a flag, quotes taken).
    """
    s, p = state[0], params[0]
    at = np.zeros(16, np.int64)
    unflagged = 0
    quotes = 0
    for r in range(len(run_kind)):
        kind = run_kind[r]
        start, stop = at[kind], run_stop[r]
        at[kind] = stop
        if kind == _TRADE:
            unflagged += _count_run(
                s, p, ts, price, qty, flag, tick, hidden, side, counts, start, stop
            )
        elif kind == _DEPTH:
            for row in range(start, stop):
                b, a = bid_offsets[row], ask_offsets[row]
                if bid_offsets[row + 1] > b and ask_offsets[row + 1] > a:
                    sides_quote(s, depth_ts[row], bid_price[b], ask_price[a])
                    quotes += 1
        else:
            for row in range(start, stop):
                sides_quote(s, quote_ts[row], bid[row], ask[row])
                quotes += 1
    return unflagged, quotes


class _Counter:
    """State of the rules over a stream of batches."""

    def __init__(self, quote_age_ns: int) -> None:
        self.state = np.zeros(1, SIDES_STATE)
        self.params = np.zeros(1, SIDES_PARAMS)
        self.params["quote_age_ns"] = quote_age_ns
        if numba.config.DISABLE_JIT:
            self.state = field_records(self.state)
            self.params = field_records(self.params)
        self.counts = np.zeros((len(RULES), 4), np.int64)
        self.bulk = BulkCounter()
        self.trades = self.qty = self.unflagged = self.quotes = self.last_ns = 0

    def take(self, batch: Batch) -> None:
        """Judge the trades of ``batch``."""
        columns = {**_EMPTY, **batch.columns}
        trades, depth, quotes = (columns[k] for k in (Kind.TRADE, Kind.DEPTH, Kind.QUOTE))
        flag, n = trades["side"], len(trades["ts_ns"])
        unflagged, seen = _count_batch(
            self.state, self.params, batch.run_kind, batch.run_stop,
            trades["ts_ns"], trades["price"], trades["qty"], flag, trades["tick"],
            np.zeros(n, np.int8), np.zeros(n, np.int8),
            depth["ts_ns"], depth["bid_price"], depth["bid_offsets"],
            depth["ask_price"], depth["ask_offsets"],
            quotes["ts_ns"], quotes["bid"], quotes["ask"], self.counts,
        )  # fmt: skip
        self.bulk.take(trades["ts_ns"], trades["price"], trades["qty"], flag)
        self.unflagged += int(unflagged)
        self.quotes += int(seen)
        self.trades += n - int(unflagged)
        self.qty += int(trades["qty"][(flag != 0) & (trades["price"] > 0)].sum())
        if n:
            self.last_ns = int(trades["ts_ns"][-1])


def count_sides(
    reader: LogReader,
    quote_age_ns: int,
    progress: Callable[[int, int], None] = lambda events, market_ns: None,
) -> SidesReport:
    """Judge every rule over ``reader`` (opened with :data:`COLUMNS`, any kinds of it).

    ``progress`` is called with (events so far, market time in ns). Raises what the reader raises.
    """
    counter = _Counter(quote_age_ns)
    events = 0
    for batch in reader:
        counter.take(batch)
        events += batch.rows
        progress(events, counter.last_ns)
    return _report(counter, reader.scales)


def _report(counter: _Counter, scales: Scales) -> SidesReport:
    unit = 10**scales.qty
    rules = tuple(
        RuleCount(
            rule,
            int(counts[DECIDED]),
            int(counts[AGREED]),
            int(counts[DECIDED_QTY]) / unit,
            int(counts[AGREED_QTY]) / unit,
        )
        for rule, counts in zip(RULES, counter.counts, strict=True)
        if rule != "venue_tick" or counts[DECIDED]
    )
    return SidesReport(
        counter.trades,
        counter.qty / unit,
        counter.unflagged,
        counter.quotes,
        rules,
        counter.bulk.counts(),
    )
