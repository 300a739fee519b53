"""How well bulk volume classification finds the flow that the exchange flagged, by length of bar.

Owns the counting over flagged trades: bars of 1, 5, 15 and 60 s, each split by the change of its
last price (:mod:`engine.kernel.bvc`, normal law, past bars only), against the true volumes.
Accuracy alone is a broken yardstick (reference "orderflow" 0.6): halves score 1 - sum |D| / 2 sum V
already. So beside it: skill over halves, share of bars whose sign is right, and over minutes the
correlation of said and true delta, whole and with the minute's price change held fixed (what is
known beyond the price: row 1.3). It refuses to know rules that judge single trades.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import njit

from data.events import NS
from engine.kernel.bvc import BVC_MOMENTS, NORMAL, bvc_fold, bvc_less, bvc_sigma
from engine.runtime.plain import field_records

Array = np.ndarray

HORIZONS_S = (1, 5, 15, 60)
WARM = 30
"""Bars before a change is judged; halves until then, as in a fold."""
LENGTH = 3600
"""Bars that the sd of the change remembers."""
_MINUTE_NS = 60 * NS
_SUMS = 9

BULK_STATE = np.dtype(
    [
        ("horizon_ns", "i8"),
        ("open", "i8"),
        ("bar", "i8"),
        ("minute", "i8"),
        ("buy", "i8"),
        ("sell", "i8"),
        ("price", "i8"),
        ("base", "i8"),
        ("minute_base", "i8"),
        ("said", "f8"),
        ("true", "f8"),
        ("moments", BVC_MOMENTS),
        ("bars", "i8"),
        ("signed", "i8"),
        ("agreed", "i8"),
        ("right", "f8"),
        ("volume", "f8"),
        ("net", "f8"),
        ("minutes", "i8"),
        ("sums", "f8", (_SUMS,)),
    ],
    align=True,
)
"""The open bar (number, buy, sell, last price), the open minute (said and true delta), and sums:
of x = said, y = true, r = price change: x y r, xx yy rr, xy xr yr."""


@dataclass(frozen=True, slots=True)
class BulkCount:
    """One length of bar: ``accuracy`` of Easley, Lopez de Prado and O'Hara, that of ``halves``,
    ``skill`` over them, share of bars with the right ``sign``, correlations over minutes; None
    where there is too little.
    """

    horizon_s: int
    bars: int
    accuracy: float | None
    halves: float | None
    skill: float | None
    sign: float | None
    minutes: int
    corr: float | None
    partial_corr: float | None


@njit(cache=True, nogil=True)
def _close_minute(s: Any) -> None:
    if s.minute_base > 0:
        x, y, r = s.said, s.true, float(s.price - s.minute_base)
        s.minutes += 1
        for n, value in enumerate((x, y, r, x * x, y * y, r * r, x * y, x * r, y * r)):
            s.sums[n] += value
    s.minute_base = s.price
    s.said = 0.0
    s.true = 0.0


@njit(cache=True, nogil=True)
def _close_bar(s: Any) -> None:
    volume = s.buy + s.sell
    change = s.price - s.base if s.base > 0 else 0
    sigma = bvc_sigma(s.moments) if s.moments.n >= WARM else 0.0
    less = bvc_less(volume, change, sigma, NORMAL)
    bought = less if change < 0 else volume - less
    if s.base > 0:
        bvc_fold(s.moments, volume, change, LENGTH)
    s.base = s.price
    if sigma > 0.0:
        delta = s.buy - s.sell
        said = 2 * bought - volume
        s.bars += 1
        s.right += float(min(bought, s.buy) + min(volume - bought, s.sell))
        s.volume += float(volume)
        s.net += float(abs(delta))
        if delta != 0 and said != 0:
            s.signed += 1
            s.agreed += 1 if (delta > 0) == (said > 0) else 0
        s.said += float(said)
        s.true += float(delta)
    s.buy = 0
    s.sell = 0


@njit(cache=True, nogil=True)
def bulk_trades(states: Array, ts: Array, price: Array, qty: Array, flag: Array) -> None:
    """Take trades in the total order: int64 ns, price, qty and int8 flag; unflagged are passed."""
    for h in range(len(states)):
        s = states[h]
        for k in range(len(ts)):
            if (flag[k] != 1 and flag[k] != -1) or price[k] <= 0 or qty[k] <= 0:
                continue
            bar = ts[k] // s.horizon_ns
            if s.open == 1 and bar > s.bar:
                _close_bar(s)
                if ts[k] // _MINUTE_NS > s.minute:
                    _close_minute(s)
            if s.open == 0 or bar > s.bar:
                s.bar = bar
                s.minute = max(s.minute, ts[k] // _MINUTE_NS)
                s.open = 1
            if flag[k] > 0:
                s.buy += qty[k]
            else:
                s.sell += qty[k]
            s.price = price[k]


def _corr(n: int, x: float, y: float, xx: float, yy: float, xy: float) -> float | None:
    """Pearson's correlation from sums over ``n`` minutes; None where one of both never changed."""
    vx, vy = xx - x * x / n, yy - y * y / n
    return (xy - x * y / n) / math.sqrt(vx * vy) if vx > 0 and vy > 0 else None


def _count(s: Any) -> BulkCount:
    n = int(s["minutes"])
    corr = partial = None
    if n > 3:
        x, y, r, xx, yy, rr, xy, xr, yr = (float(v) for v in s["sums"])
        corr = _corr(n, x, y, xx, yy, xy)
        a, b = _corr(n, x, r, xx, rr, xr), _corr(n, y, r, yy, rr, yr)
        if None not in (corr, a, b) and max(abs(a), abs(b)) < 1:  # type: ignore[arg-type]
            partial = (corr - a * b) / math.sqrt((1 - a * a) * (1 - b * b))  # type: ignore[operator]
    volume, bars, signed = float(s["volume"]), int(s["bars"]), int(s["signed"])
    accuracy = float(s["right"]) / volume if volume else None
    halves = 1 - float(s["net"]) / (2 * volume) if volume else None
    skill = None
    if accuracy is not None and halves is not None and halves < 1:
        skill = (accuracy - halves) / (1 - halves)
    return BulkCount(
        int(s["horizon_ns"]) // NS, bars, accuracy, halves, skill,
        int(s["agreed"]) / signed if signed else None, n, corr, partial,
    )  # fmt: skip


class BulkCounter:
    """Counts over a stream of trades; the open bar and minute at the end are left out."""

    def __init__(self) -> None:
        self.states = np.zeros(len(HORIZONS_S), dtype=BULK_STATE)
        self.states["horizon_ns"] = np.array(HORIZONS_S) * NS
        self._records = field_records(self.states) if numba.config.DISABLE_JIT else self.states

    def take(self, ts: Array, price: Array, qty: Array, flag: Array) -> None:
        """Take trades (int64 ns, price, qty; int8 flag)."""
        bulk_trades(self._records, ts, price, qty, flag)

    def counts(self) -> tuple[BulkCount, ...]:
        """What was found so far, by length of bar."""
        return tuple(_count(s) for s in self.states)
