"""Absorption: aggressors spend more than usual and price does not follow; the zones it leaves.

Owns two detectors. Standard (reference "orderflow" 6.3), at every closed minute over W = ``bars``
minutes with R the change of price, F the flow and the impact of ``impact.py``:

    S   = sgn(F) (lambda F - R) / sigma_u = sgn(F) (rho z_c - z_p) / sqrt(1 - rho^2)
    eff = sgn(F) R / (lambda |F|)         = sgn(F) z_p / (rho |z_c|)
    event: |z_c| >= 2, S >= 1.6, -0.5 <= eff <= 0.35, where asked for an extreme near a pivot
    direction = -sgn(F) ; strength = (1 - 2 Phi(-S)) (1 - max(eff, 0))

(the reference has |z_c| >= 1.5 and S >= 2; measured on planted truth, the same 2 % of null windows
are spent better this way: S is bounded by rho |z_c|, and with it where rho is small)

Seed (11.5), at every boundary, on the volume of 60 s and the ratio of the five best levels:
volume and ratio over fixed thresholds, a stalled price, a mean of three scores, side by the
aggressor. Its price movement and ATR are stubs, so ``seed`` never looks at the price; ``seed_atr``
does: the range of the last minute against 0.1 ATR.

An event leaves a zone that lives until trades go through it, or ``zone_life_ns``. A zone spans
the range of its window; in the seed modes it is centred on the middle of the book and covers the
last minute. What must hold: past only, nothing across a gap (standard; the seed knows no gaps). It
refuses to know what impact is usual and what a plan wants with a zone.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.candles import closed_candle
from engine.kernel.impact import (
    confidence,
    impact_amount,
    impact_horizon,
    impact_move,
    impact_ready,
    impact_residual,
    impact_rho,
)
from engine.kernel.numbers import fp9
from engine.kernel.pivots import pivot, pivots_kept
from engine.kernel.signals import SIGNAL_STATE, signal_age, signal_fire, signal_set, signal_unready
from engine.kernel.zones import (
    ZONES_STATE,
    zones_clear,
    zones_expire,
    zones_renew,
    zones_through,
)

STANDARD = 0
SEED = 1
SEED_ATR = 2
MINUTE = np.int64(1)
QUARTER = np.int64(0)
WINDOW = 4
"""Index of the 60 s window in ``windows``; also how many 15 s candles it holds."""
LEVELS = 5
SEED_PERCENT = 50.0
SEED_FLOOR = 0.5

ABSORPTION_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("shortfall_fp9", "i8"),
        ("efficiency_fp9", "i8"),
        ("flow_z_fp9", "i8"),
        ("location_fp9", "i8"),
        ("volume", "i8"),
        ("net", "i8"),
        ("imbalance_fp9", "i8"),
        ("movement", "i8"),
        ("zones", ZONES_STATE),
    ],
    align=True,
)
"""Standard, of the last minute judged: S, eff, z_c, distance to the nearest pivot in ATR (-1
unknown). Seed, of the last boundary: quantity and net quantity of 60 s, bid/ask ratio, range."""

ABSORPTION_PARAMS = np.dtype(
    [
        ("mode", "i8"),
        ("bars", "i8"),
        ("flow_z_fp9", "i8"),
        ("shortfall_fp9", "i8"),
        ("least_fp9", "i8"),
        ("most_fp9", "i8"),
        ("location_fp9", "i8"),
        ("life_ns", "i8"),
        ("zone_life_ns", "i8"),
        ("volume_lots", "i8"),
        ("imbalance_fp9", "i8"),
        ("stall_fp9", "i8"),
    ],
    align=True,
)
"""bars: W in minutes; least and most: bounds of eff; location: in ATR, 0 asks for none."""


@njit(cache=True, nogil=True)
def _range(candles, frame, bars):
    """(low, high) of the last ``bars`` closed candles of a frame, int64 prices."""
    c = closed_candle(candles, frame, np.int64(1))
    low = c.low
    high = c.high
    for back in range(2, min(bars, candles.closed[frame]) + 1):
        c = closed_candle(candles, frame, np.int64(back))
        low = min(low, c.low)
        high = max(high, c.high)
    return low, high


@njit(cache=True, nogil=True)
def _location(pivots, atr, price):
    """Distance of int64 ``price`` to the nearest pivot, in ATR at 1e-9; -1 where unknown."""
    best = np.int64(-1)
    for kind in range(2):
        for back in range(1, pivots_kept(pivots, np.int64(kind)) + 1):
            away = abs(pivot(pivots, np.int64(kind), np.int64(back)).price - price)
            if best < 0 or away < best:
                best = away
    if best < 0 or atr.ready[MINUTE] == 0 or atr.value[MINUTE] <= 0.0:
        return np.int64(-1)
    return fp9(float(best) / atr.value[MINUTE])


@njit(cache=True, nogil=True)
def _measure(s, bars, candles, impact, impact_params):
    """S, eff and z_c of the last ``bars`` minutes into the state; returns False where undefined."""
    change, flow, trades = impact_move(candles, np.int64(1), bars)
    amount = impact_amount(impact_params, bars, trades)
    known, z_p, z_c, _ = impact_residual(impact, bars, amount, change, flow)
    rho = impact_rho(impact.sums[impact_horizon(bars)])
    if not known or rho <= 0.0 or z_c == 0.0:
        return False
    sign = 1.0 if z_c > 0.0 else -1.0
    s.shortfall_fp9 = fp9(sign * (rho * z_c - z_p) / math.sqrt(1.0 - rho * rho))
    s.efficiency_fp9 = fp9(sign * z_p / (rho * abs(z_c)))
    s.flow_z_fp9 = fp9(z_c)
    return True


@njit(cache=True, nogil=True)
def _forget(s):
    s.shortfall_fp9 = 0
    s.efficiency_fp9 = 0
    s.flow_z_fp9 = 0
    s.location_fp9 = -1


@njit(cache=True, nogil=True)
def _is_event(s, p):
    return (
        abs(s.flow_z_fp9) >= p.flow_z_fp9
        and s.shortfall_fp9 >= p.shortfall_fp9
        and p.least_fp9 <= s.efficiency_fp9 <= p.most_fp9
        and (p.location_fp9 == 0 or 0 <= s.location_fp9 <= p.location_fp9)
    )


@njit(cache=True, nogil=True)
def absorption_minute(s, p, candles, impact, impact_params, pivots, atr):
    """A minute has closed: judge the last ``bars`` of them (records of the handlers named)."""
    if p.mode != STANDARD:
        return
    _forget(s)
    if impact.run <= p.bars or not impact_ready(impact, impact_params, impact_horizon(p.bars)):
        signal_unready(s.signal)
        return
    s.signal.ready = 1
    if not _measure(s, p.bars, candles, impact, impact_params):
        return
    side = np.int64(-1) if s.flow_z_fp9 > 0 else np.int64(1)
    low, high = _range(candles, MINUTE, p.bars)
    s.location_fp9 = _location(pivots, atr, high if side < 0 else low)
    if not _is_event(s, p):
        return
    shortfall = float(s.shortfall_fp9) / FP9
    strength = confidence(shortfall) * (1.0 - max(float(s.efficiency_fp9) / FP9, 0.0))
    now = candles.open[MINUTE].open_ns
    least = float(p.shortfall_fp9) / FP9
    signal_fire(s.signal, now, now + p.life_ns, side, strength, shortfall, least)
    zones_renew(s.zones, low, high, side, now, now + p.zone_life_ns, s.signal.strength_fp9)


@njit(cache=True, nogil=True)
def absorption_quarter(s, candles):
    """A 15 s candle has closed: zones that its trades went through are gone. Call it first."""
    c = closed_candle(candles, QUARTER, np.int64(1))
    if c.trades > 0:
        zones_through(s.zones, c.low, c.high)


@njit(cache=True, nogil=True)
def absorption_gap(s, p):
    """Trades were missed: the zones may have been gone through. The seed does not ask."""
    if p.mode == STANDARD:
        _forget(s)
        signal_unready(s.signal)
        zones_clear(s.zones)


@njit(cache=True, nogil=True)
def _stalled(s, p, atr):
    """The seed's stall: true unless a movement is known and not small against the ATR."""
    if p.mode == SEED or s.movement == 0:
        return True
    limit = float(p.stall_fp9) / FP9 * atr.value[MINUTE]
    return atr.ready[MINUTE] == 1 and float(s.movement) < limit


@njit(cache=True, nogil=True)
def _best(qty, levels):
    """Quantity of the best five of ``levels`` levels."""
    total = np.int64(0)
    for m in range(min(LEVELS, levels)):
        total += qty[m]
    return total


@njit(cache=True, nogil=True)
def _seed(s, p, now_ns, candles, windows, book, atr):
    """One look of the seed; the numbers of the look stay in the state."""
    low = candles.open[QUARTER].low
    high = candles.open[QUARTER].high
    if candles.closed[QUARTER] > 0:
        below, above = _range(candles, QUARTER, np.int64(WINDOW))
        low = min(low, below)
        high = max(high, above)
    s.movement = high - low
    s.volume = windows.buy[WINDOW] + windows.sell[WINDOW]
    s.net = windows.buy[WINDOW] - windows.sell[WINDOW]
    bid = _best(book.bid_qty, book.bids)
    ask = _best(book.ask_qty, book.asks)
    signal_set(s.signal, np.int64(0), 0.0, 0.0, float(p.imbalance_fp9) / FP9)
    s.imbalance_fp9 = fp9(float(bid) / float(ask)) if ask > 0 else 0
    if bid <= 0 or ask <= 0 or s.volume < p.volume_lots:
        return
    away = abs(s.imbalance_fp9 - FP9)
    stall = _stalled(s, p, atr)
    score = min(1.0, float(s.volume) / (2.0 * float(max(p.volume_lots, 1))))
    score += min(1.0, 100.0 * float(away) / FP9 / SEED_PERCENT)
    strength = (score + (1.0 if stall else 0.5)) / 3.0
    if away < p.imbalance_fp9 - FP9 or not stall or strength < SEED_FLOOR:
        return
    side = np.int64(1) if s.net > 0 else np.int64(-1)
    ratio = float(s.imbalance_fp9) / FP9
    signal_fire(s.signal, now_ns, now_ns, side, strength, ratio, float(p.imbalance_fp9) / FP9)
    middle = (book.bid_price[0] + book.ask_price[0]) // 2
    reach = max(middle - low, high - middle)
    until = now_ns + p.zone_life_ns
    strength_fp9 = s.signal.strength_fp9
    zones_renew(s.zones, middle - reach, middle + reach, side, now_ns, until, strength_fp9)


@njit(cache=True, nogil=True)
def absorption_boundary(s, p, now_ns, candles, windows, book, atr):
    """A boundary (ns): zones end, a signal's time runs out; in the seed modes a look is taken."""
    zones_expire(s.zones, now_ns)
    if candles.started == 0:
        return
    if candles.open[QUARTER].trades > 0:
        zones_through(s.zones, candles.open[QUARTER].low, candles.open[QUARTER].high)
    if p.mode == STANDARD:
        signal_age(s.signal, now_ns)
    else:
        _seed(s, p, now_ns, candles, windows, book, atr)
