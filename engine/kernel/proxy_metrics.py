"""The seed's flow metrics over half an hour of five-minute candles, for plans on FX and gold.

Owns the numbers of reference "orderflow" 11.9: cvd_value, cvd_slope (+1 up, -1 down, 0 flat),
aggressor_ratio, imbalance_score 0 to 100, large_trade_count, data_quality and data_source, read at
every decision boundary from the last n = max(6, minutes / 5) closed candles of 5 m.

* seed: delta = sign(change of close) * volume of the EARLIER candle (its fault: row 28 of 6.1 and
  11.9); slope = mean of the last k CVD values against the k before, k = clip(len // 10, 3, 10), up
  or down beyond 5 % of the latter (0 where that is 0: the seed leaves it open).
* standard: delta = buy - sell of the candle itself, by whatever the ladder gave (row 28: signed,
  ladder 1.3); the slope is divided by the sum of |delta|, which is not near 0; holes and empty
  candles count as missing, and a coarse source caps the quality.

P, N = sums of positive and negative |delta| (true volumes bought and sold where trades carry
sides); ratio = P / N (999 without N, 1 without either), score = floor(100 |P - N| / (P + N)); the
signed share stands beside it. Large: trades of at least ``large`` notional, at the price of the
last boundary; by proxy, changes of the mid more than two sd above their mean over 100 quotes, none
within 50 quotes of the last. It refuses to know how pseudo trades are made.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import NS
from engine.kernel.candles import FLAG_GAP, closed_candle
from engine.kernel.core import qty_of
from engine.kernel.numbers import fp9, isqrt_float
from engine.kernel.proxy_gate import GOOD, LIMITED, NONE, PROXY, TICK_RULE, UNAVAILABLE
from engine.kernel.signals import SIGNAL_STATE, signal_stand, signal_unready

SEED = 1
SOURCE_NONE, SOURCE_TRADES, SOURCE_PROXY = range(3)
DATA_SOURCES = ("none", "binance_aggtrades", "mt5_tick_proxy")
"""``data_source`` by number, as the seed names them: prints of any venue, and any proxy."""
RATIO_MAX = 999.0
BARS = 64
"""Five-minute candles of the longest window."""
MINUTES = 512
LOOK_BACK = 100
COOLDOWN = 50
_FIVE = np.int64(2)
_FIVE_MINUTES = 5
_MINUTE_NS = 60 * NS
_PRESSURE_UP = 1.1
_PRESSURE_DOWN = 0.9
_SLOPE = 0.05

PROXY_METRICS_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("cvd_value", "i8"),
        ("cvd_slope", "i8"),
        ("slope_fp9", "i8"),
        ("aggressor_ratio_fp9", "i8"),
        ("imbalance_score", "i8"),
        ("imbalance_fp9", "i8"),
        ("large_trade_count", "i8"),
        ("data_quality", "i8"),
        ("data_source", "i8"),
        ("bars", "i8"),
        ("large_lots", "i8"),
        ("minute", "i8"),
        ("large", "i8", (MINUTES,)),
        ("mid2", "i8"),
        ("changes", "i8"),
        ("cooldown", "i8"),
        ("sum", "i8"),
        ("squares", "i8"),
        ("ring", "i8", (LOOK_BACK,)),
        ("cvd", "i8", (BARS + 1,)),
    ],
    align=True,
)
"""imbalance_fp9: signed, (P - N) / (P + N); bars: candles of the window with trades; large: counts
by minute; sum, squares, ring: of the last 100 absolute changes of twice the mid."""

PROXY_METRICS_PARAMS = np.dtype(
    [("mode", "i8"), ("minutes", "i8"), ("large_money", "i8")], align=True
)
"""mode: 0 standard, SEED; minutes: the window; large_money: notional at 1e-8."""


@njit(cache=True, nogil=True)
def _minute(s, minute):
    """Slot of ``minute`` in the ring of counts, or -1 where it is too old; clears what is new."""
    for x in range(max(s.minute + 1, minute - MINUTES + 1), minute + 1):
        s.large[x & (MINUTES - 1)] = 0
    s.minute = max(s.minute, minute)
    return minute & (MINUTES - 1) if minute > s.minute - MINUTES else np.int64(-1)


@njit(cache=True, nogil=True)
def proxy_metrics_trades(s, ts, qty, i, j):
    """Count the large ones among real trades [i, j): int64 ns and qty."""
    if s.large_lots == 0:
        return
    for k in range(i, j):
        if qty[k] >= s.large_lots:
            slot = _minute(s, ts[k] // _MINUTE_NS)
            if slot >= 0:
                s.large[slot] += 1


@njit(cache=True, nogil=True)
def _spike(s, size):
    """True when ``size`` is more than two sd above the mean of the last 100 sizes (all int64)."""
    if s.changes < LOOK_BACK:
        return False
    mean = float(s.sum) / LOOK_BACK
    sd = isqrt_float(float(s.squares) / LOOK_BACK - mean * mean)
    return fp9(float(size) - mean) > fp9(2.0 * sd)


@njit(cache=True, nogil=True)
def proxy_metrics_quote(s, source, ts, bid, ask):
    """A quote (int64 prices, ns): count its jump where the flow comes by proxy."""
    if bid <= 0 or ask < bid:
        return
    size = abs(bid + ask - s.mid2) if s.mid2 > 0 else np.int64(0)
    known = s.mid2 > 0
    s.mid2 = bid + ask
    if not known or size > 1 << 30:
        return
    s.cooldown = max(s.cooldown - 1, 0)
    if source > TICK_RULE and s.cooldown == 0 and _spike(s, size):
        slot = _minute(s, ts // _MINUTE_NS)
        if slot >= 0:
            s.large[slot] += 1
        s.cooldown = COOLDOWN
    x = s.changes % LOOK_BACK
    s.sum += size - s.ring[x]
    s.squares += size * size - s.ring[x] * s.ring[x]
    s.ring[x] = size
    s.changes += 1


@njit(cache=True, nogil=True)
def proxy_metrics_gap(s):
    """A hole: the next change of the mid is none, and the candles say the rest."""
    s.mid2 = 0


@njit(cache=True, nogil=True)
def _delta(candles, back, mode):
    """Delta of the 5 m candle ``back`` candles ago, in the form of ``mode``."""
    c = closed_candle(candles, _FIVE, back)
    if mode != SEED:
        return c.buy - c.sell if (c.flags & FLAG_GAP) == 0 else np.int64(0)
    before = closed_candle(candles, _FIVE, back + 1)
    if c.close > before.close:
        return before.volume
    if c.close < before.close:
        return -before.volume
    return np.int64(0)


@njit(cache=True, nogil=True)
def _sums(s, candles, n, mode):
    """(P, N, number of deltas): deltas of the last ``n`` candles, their CVD kept in ``s.cvd``.

    The seed's first candle has no change, so it gives one delta less.
    """
    first = n - 1 if mode == SEED else n
    positive = np.int64(0)
    negative = np.int64(0)
    for x in range(first):
        delta = _delta(candles, first - x, mode)
        s.cvd[x + 1] = s.cvd[x] + delta
        positive += max(delta, np.int64(0))
        negative += max(-delta, np.int64(0))
    s.cvd_value = s.cvd[first] if first > 0 else np.int64(0)
    return positive, negative, first


@njit(cache=True, nogil=True)
def _slope(s, length, scale):
    """Mean of the last k CVD values less that of the k before, over ``scale`` (float; 0: over the
    size of the latter). 0 where there is nothing to compare."""
    k = min(max(length // 10, 3), 10)
    late = min(k, length)
    early = min(k, length - late)
    if early == 0:
        return 0.0
    new = np.int64(0)
    old = np.int64(0)
    for x in range(length - late, length):
        new += s.cvd[x + 1]
    for x in range(length - late - early, length - late):
        old += s.cvd[x + 1]
    before = float(old) / float(early)
    base = scale if scale > 0.0 else abs(before)
    return (float(new) / float(late) - before) / base if base > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _volumes(candles, n):
    """(bought, sold) of the last ``n`` closed 5 m candles."""
    buy = np.int64(0)
    sell = np.int64(0)
    for back in range(1, n + 1):
        c = closed_candle(candles, _FIVE, back)
        buy += c.buy
        sell += c.sell
    return buy, sell


@njit(cache=True, nogil=True)
def _have(candles, n, mode):
    """How many of the last ``n`` candles can be used."""
    have = np.int64(0)
    for back in range(1, n + 1):
        c = closed_candle(candles, _FIVE, back)
        if c.trades > 0 and (mode == SEED or (c.flags & FLAG_GAP) == 0):
            have += 1
    return have


@njit(cache=True, nogil=True)
def _quality(have, wanted, best):
    """80 % of the candles: ``best``; half of them: limited; else unavailable."""
    if 10 * have >= 8 * wanted:
        return best
    return min(best, LIMITED) if 2 * have >= wanted else UNAVAILABLE


@njit(cache=True, nogil=True)
def _balance(s, positive, negative):
    """Ratio and imbalance of int64 sums P and N."""
    total = positive + negative
    if negative > 0:
        ratio = float(positive) / float(negative)
    else:
        ratio = RATIO_MAX if positive > 0 else 1.0
    s.aggressor_ratio_fp9 = fp9(ratio)
    if total > 0:
        s.imbalance_score = abs(positive - negative) * 100 // total
        s.imbalance_fp9 = fp9(float(positive - negative) / float(total))
    else:
        s.imbalance_score = 0
        s.imbalance_fp9 = 0


@njit(cache=True, nogil=True)
def _sign(value_fp9, up_fp9, down_fp9):
    one = np.int64(1)
    if value_fp9 > up_fp9:
        return one
    return -one if value_fp9 < down_fp9 else one - one


@njit(cache=True, nogil=True)
def _count_large(s, minutes, now_ns):
    """Large trades of the last ``minutes`` up to ``now_ns`` (ns)."""
    minute = (now_ns - 1) // _MINUTE_NS
    _minute(s, minute)
    n = np.int64(0)
    for back in range(minutes):
        n += s.large[(minute - back) & (MINUTES - 1)]
    s.large_trade_count = n


@njit(cache=True, nogil=True)
def proxy_metrics_boundary(s, p, core_params, core, candles, proxy, now_ns):
    """Compute all numbers at decision boundary ``now_ns``; ``proxy`` is a PROXY_STATE record."""
    wanted = max(np.int64(6), p.minutes // _FIVE_MINUTES)
    n = min(wanted, candles.closed[_FIVE])
    real = NONE < proxy.side_source <= TICK_RULE
    s.bars = _have(candles, n, p.mode)
    positive, negative, length = _sums(s, candles, n, p.mode)
    scale = 0.0 if p.mode == SEED else float(positive + negative)
    s.slope_fp9 = fp9(_slope(s, length, scale))
    s.cvd_slope = _sign(s.slope_fp9, fp9(_SLOPE), fp9(-_SLOPE))
    if real:
        positive, negative = _volumes(candles, n)
        s.cvd_value = positive - negative
    _balance(s, positive, negative)
    if real and p.mode == SEED:
        s.cvd_slope = _sign(s.aggressor_ratio_fp9, fp9(_PRESSURE_UP), fp9(_PRESSURE_DOWN))
    best = np.int64(GOOD) if real else np.int64(PROXY)
    if p.mode != SEED:
        best = min(best, proxy.data_quality)
    s.data_quality = _quality(s.bars, wanted, best)
    s.data_source = SOURCE_NONE
    if proxy.side_source != NONE:
        s.data_source = SOURCE_TRADES if real else SOURCE_PROXY
    _count_large(s, p.minutes, now_ns)
    s.large_lots = qty_of(core_params, p.large_money, core.last_price)
    if s.data_quality == UNAVAILABLE:
        signal_unready(s.signal)
    else:
        strength = abs(float(s.imbalance_fp9)) / 1e9
        ratio = float(s.aggressor_ratio_fp9) / 1e9
        signal_stand(s.signal, now_ns, s.cvd_slope, strength, ratio, 1.0)
