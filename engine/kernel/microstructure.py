"""The microstructure score: book, flow, walls, volatility and fee edge, less spoof and pump.

Owns two scores of 0 to 100, one for longs and one for shorts, and the level of the larger: NONE,
WATCH, ARM (reference "orderflow" 11.12). Share of a half = .20 book + .25 flow + .15 walls + .15
volatility + .25 fee edge - spoof**1.5 - .8 pump**1.3 (half of that for shorts), in [0, 1], times
what the market state leaves of it. Book, flow and walls count for the side that they point to and
never against it; flow is the mean ratio of delta to volume of 1, 5 and 15 s, and its momentum the
run of seconds that lean one way; volatility is a parabola of the ATR against its largest of 300,
nothing at .3 and .7 and all between; fee edge is ATR over the least move that pays: two fees,
slippage and a buffer. A bar is one decision step, 5 s by default, of what was heard in it.
``standard`` mends units: ATR and least move both as shares of the price; the book five levels deep;
a component that is not known is missing, not zero, and below ``coverage`` of all weights nothing is
said; a pump bans the side that it runs to, up or down. ``seed`` keeps the faults: ATR in price
units over a fraction that is read as percent, the best level alone, longs banned whichever way a
pump runs, missing as 0, and three inputs that nothing fed. The document does not name those three:
they are taken to be those for which no earlier stage has a rule, momentum, a score of walls and
news. ``seed_fed`` is the seed with the first two fed (no event of the log tells news).
It refuses to call its score a probability.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import NS
from engine.kernel.core import window_ready
from engine.kernel.market_state import COOLDOWN, MANIPULATED, PUMP, STALE
from engine.kernel.numbers import fp9
from engine.kernel.signals import SIGNAL_STATE, signal_stand, signal_unready
from engine.kernel.windows import MASK

SEED, SEED_FED = 1, 2
NONE, WATCH, ARM = range(3)
COMPONENTS = ("book", "flow", "walls", "volatility", "edge")
"""What the score is made of, in the order of the weights and of the bits of ``known``."""
PARTS = len(COMPONENTS)
BOOK, FLOW, WALLS, VOLATILITY, EDGE = range(PARTS)
RANGES = 14
HISTORY = 300
WARM = 60
BOOK_LEVELS = 5
FLOW_NS = 15 * NS
SPOOF_POWER = 1.5
PUMP_POWER = 1.3
_UNIT = 1e-9

MICROSTRUCTURE_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("side", "i8"),
        ("level", "i8"),
        ("score_long_fp9", "i8"),
        ("score_short_fp9", "i8"),
        ("coverage_fp9", "i8"),
        ("known", "i8"),
        ("parts_fp9", "i8", (PARTS,)),
        ("momentum_fp9", "i8"),
        ("spoof_fp9", "i8"),
        ("pump_long_fp9", "i8"),
        ("pump_short_fp9", "i8"),
        ("factor_long_fp9", "i8"),
        ("factor_short_fp9", "i8"),
        ("last_ns", "i8"),
        ("dirty", "i8"),
        ("trades", "i8"),
        ("high", "i8"),
        ("low", "i8"),
        ("last", "i8"),
        ("close", "i8"),
        ("ranges", "i8"),
        ("range", "i8", (RANGES,)),
        ("range_sum", "i8"),
        ("sums", "i8"),
        ("sum", "i8", (HISTORY,)),
    ],
    align=True,
)
"""side: of the larger half, 0 where they are equal; level NONE, WATCH, ARM of it; known: bits of
COMPONENTS; parts: book, flow, walls signed in [-1, 1], volatility, edge in [0, 1]; momentum
signed; spoof, pump: penalties as shares of 1; factor: what the market state leaves; high, low,
last: of the step now running; close: last price of the step before, 0 unknown; range: true ranges
of the last steps; sum: their past sums, all in units of price."""

MICROSTRUCTURE_PARAMS = np.dtype(
    [
        ("mode", "i8"),
        ("watch_fp9", "i8"),
        ("arm_fp9", "i8"),
        ("coverage_fp9", "i8"),
        ("weight_fp9", "i8", (PARTS,)),
        ("momentum_fp9", "i8"),
        ("lean_fp9", "i8"),
        ("streak", "i8"),
        ("calm_fp9", "i8"),
        ("wild_fp9", "i8"),
        ("fee_fp9", "i8"),
        ("slippage_fp9", "i8"),
        ("buffer_fp9", "i8"),
        ("spoof_fp9", "i8"),
        ("pump_fp9", "i8"),
        ("pumped_fp9", "i8"),
        ("cooldown_fp9", "i8"),
        ("price_scale", "i8"),
        ("qty_scale", "i8"),
    ],
    align=True,
)
"""watch, arm: scores of 100; momentum: its share of flow; streak: seconds that make it full; calm,
wild: ends of the parabola; fee, slippage, buffer: shares of notional; spoof, pump: weights of the
penalties; pumped, cooldown: what PUMP leaves of the other side, and COOLDOWN of both."""


@njit(cache=True, nogil=True)
def microstructure_trades(s, price, i, j):
    """Extremes of trades [i, j) (int64 price) for the step now running."""
    prices = price[i:j]
    low = prices[0]
    high = prices[0]
    for k in range(len(prices)):
        low = min(low, prices[k])
        high = max(high, prices[k])
    if s.trades == 0:
        s.high = high
        s.low = low
    s.high = max(s.high, high)
    s.low = min(s.low, low)
    s.last = price[j - 1]
    s.trades += j - i


@njit(cache=True, nogil=True)
def microstructure_gap(s):
    """Trades were missed: ranges begin anew, and with what comes after."""
    s.dirty = 1
    s.trades = 0


@njit(cache=True, nogil=True)
def _add_range(s, true_range):
    """One more true range; once there are RANGES of them, their sum is remembered."""
    x = s.ranges % RANGES
    s.range_sum += true_range - s.range[x]
    s.range[x] = true_range
    s.ranges += 1
    if s.ranges >= RANGES:
        s.sum[s.sums % HISTORY] = s.range_sum
        s.sums += 1


@njit(cache=True, nogil=True)
def _forget(s):
    s.ranges = 0
    s.range_sum = 0
    s.sums = 0
    s.close = 0
    for k in range(RANGES):
        s.range[k] = 0


@njit(cache=True, nogil=True)
def _close_step(s, step_ns, now_ns):
    """The step ends at ``now_ns``: its true range, or a new beginning where it was not whole."""
    whole = s.dirty == 0 and now_ns - s.last_ns == step_ns
    if not whole:
        _forget(s)
    elif s.close > 0:
        high = max(s.high, s.close) if s.trades > 0 else s.close
        low = min(s.low, s.close) if s.trades > 0 else s.close
        _add_range(s, high - low)
    if s.trades > 0:
        s.close = s.last
    s.last_ns = now_ns
    s.dirty = 0
    s.trades = 0


@njit(cache=True, nogil=True)
def _balance(a, b):
    """(a - b) / (a + b) of int64 a, b >= 0, a float; 0 where both are."""
    return float(a - b) / float(a + b) if a + b > 0 else 0.0


@njit(cache=True, nogil=True)
def _book(p, book):
    """Balance of the best level (seed) or of the first five."""
    if p.mode != 0:
        return book.queue
    bid = np.int64(0)
    ask = np.int64(0)
    for m in range(min(book.bids, BOOK_LEVELS)):
        bid += book.bid_qty[m]
    for m in range(min(book.asks, BOOK_LEVELS)):
        ask += book.ask_qty[m]
    return _balance(bid, ask)


@njit(cache=True, nogil=True)
def _momentum(p, windows, now_ns):
    """Run of last seconds that lean one way, signed, ``streak`` of them being 1."""
    now_s = now_ns // NS
    lean = float(p.lean_fp9) * _UNIT
    run = np.int64(0)
    way = np.int64(0)
    while run < p.streak:
        x = (now_s - 1 - run) & MASK
        ratio = _balance(windows.bucket_buy[x], windows.bucket_sell[x])
        if abs(ratio) <= lean:
            break
        sign = np.int64(1) if ratio > 0.0 else np.int64(-1)
        if run > 0 and sign != way:
            break
        way = sign
        run += 1
    return float(way * run) / float(p.streak)


@njit(cache=True, nogil=True)
def _volatility(s, p):
    """Parabola of the ATR against the largest remembered."""
    most = np.int64(0)
    for k in range(min(s.sums, HISTORY)):
        most = max(most, s.sum[k])
    if most <= 0:
        return 0.0
    calm = float(p.calm_fp9) * _UNIT
    wild = float(p.wild_fp9) * _UNIT
    x = 2.0 * (float(s.range_sum) / float(most) - calm) / (wild - calm) - 1.0
    return max(1.0 - x * x, 0.0)


@njit(cache=True, nogil=True)
def _edge(s, p, price):
    """ATR over the least move that pays, at most 1; int64 ``price`` is above 0."""
    least = float(2 * p.fee_fp9 + p.slippage_fp9 + p.buffer_fp9) * _UNIT
    unit = float(p.price_scale) if p.mode != 0 else float(price)
    atr = float(s.range_sum) / (float(RANGES) * unit)
    if least <= 0.0:
        return 1.0 if atr > 0.0 else 0.0
    return min(atr / least, 1.0)


@njit(cache=True, nogil=True)
def _measure(s, p, core, windows, book, walls, now_ns):
    """Every component that is known, and the bits that say which."""
    for k in range(PARTS):
        s.parts_fp9[k] = 0
    s.known = 0
    s.momentum_fp9 = 0
    if p.mode != 0 or window_ready(core, now_ns, FLOW_NS):
        total = 0.0
        for w in range(3):
            total += _balance(windows.buy[w], windows.sell[w])
        s.parts_fp9[FLOW] = fp9(total / 3.0)
        if p.mode != SEED:
            s.momentum_fp9 = fp9(_momentum(p, windows, now_ns))
        s.known |= 1 << FLOW
    if book.stale == 0:
        s.parts_fp9[BOOK] = fp9(_book(p, book))
        if p.mode != SEED:
            s.parts_fp9[WALLS] = fp9(_balance(walls.live[0], walls.live[1]))
        s.known |= (1 << BOOK) | (1 << WALLS)
    if s.sums > 0:
        s.parts_fp9[EDGE] = fp9(_edge(s, p, s.close))
        s.known |= 1 << EDGE
        if p.mode != 0 or s.sums >= WARM:
            s.parts_fp9[VOLATILITY] = fp9(_volatility(s, p))
            s.known |= 1 << VOLATILITY


@njit(cache=True, nogil=True)
def _penalties(s, p, walls, market):
    """Spoof for both halves; pump whole for the side that it runs to, half for the other."""
    spoof = float(walls.score_fp9) * _UNIT
    s.spoof_fp9 = fp9(float(p.spoof_fp9) * _UNIT * math.pow(spoof, SPOOF_POWER))
    pump = float(p.pump_fp9) * _UNIT * math.pow(float(market.pump_fp9) * _UNIT, PUMP_POWER)
    way = np.int64(1) if p.mode != 0 else market.pump_side
    s.pump_long_fp9 = fp9(pump if way >= 0 else 0.5 * pump)
    s.pump_short_fp9 = fp9(pump if way <= 0 else 0.5 * pump)


@njit(cache=True, nogil=True)
def _factors(s, p, market):
    """What the market state leaves of either half."""
    both = np.int64(1_000_000_000)
    if market.state == COOLDOWN:
        both = p.cooldown_fp9
    elif market.state in (STALE, MANIPULATED):
        both = np.int64(0)
    s.factor_long_fp9 = both
    s.factor_short_fp9 = both
    if market.state == PUMP:
        way = np.int64(1) if p.mode != 0 else market.signal.direction
        s.factor_long_fp9 = p.pumped_fp9 if way < 0 else 0
        s.factor_short_fp9 = p.pumped_fp9 if way > 0 else 0


@njit(cache=True, nogil=True)
def _half(s, p, side, weight, pump_fp9, factor_fp9):
    """Score (fp9, 0 to 100) of ``side``; ``weight``: float, the weights that count together."""
    total = 0.0
    for k in range(PARTS):
        x = float(s.parts_fp9[k]) * _UNIT
        if k < VOLATILITY:
            x = max(float(side) * x, 0.0)
        if k == FLOW:
            share = float(p.momentum_fp9) * _UNIT
            x += share * (max(float(side * s.momentum_fp9) * _UNIT, 0.0) - x)
        total += float(p.weight_fp9[k]) / weight * x
    total -= float(s.spoof_fp9 + pump_fp9) * _UNIT
    return fp9(100.0 * min(max(total, 0.0), 1.0) * (float(factor_fp9) * _UNIT))


@njit(cache=True, nogil=True)
def _say(s, p, now_ns):
    """Side, level and signal of the two scores."""
    s.side = np.int64(s.score_long_fp9 > s.score_short_fp9)
    s.side -= np.int64(s.score_long_fp9 < s.score_short_fp9)
    best = max(s.score_long_fp9, s.score_short_fp9)
    s.level = NONE
    if s.side != 0 and best >= p.watch_fp9:
        s.level = ARM if best >= p.arm_fp9 else WATCH
    score = float(best) * _UNIT
    direction = s.side if s.level != NONE else np.int64(0)
    signal_stand(s.signal, now_ns, direction, score / 100.0, score, float(p.watch_fp9) * _UNIT)


@njit(cache=True, nogil=True)
def microstructure_boundary(s, p, core, step_ns, windows, book, walls, market, now_ns):
    """Score both halves as of ``now_ns`` (ns), after the boundary hooks of what it reads.

    ``core`` is the engine's state, ``step_ns`` the decision step, ``market`` the market state.
    """
    _close_step(s, step_ns, now_ns)
    _measure(s, p, core, windows, book, walls, now_ns)
    _penalties(s, p, walls, market)
    _factors(s, p, market)
    total = 0.0
    known = 0.0
    for k in range(PARTS):
        weight = float(p.weight_fp9[k])
        total += weight
        if (s.known >> k) & 1 == 1:
            known += weight
    s.coverage_fp9 = fp9(known / total) if total > 0.0 else np.int64(0)
    weight = 1e9 if p.mode != 0 else known
    silent = known <= 0.0 or s.coverage_fp9 < p.coverage_fp9 or market.state == STALE
    if p.mode == 0 and silent:
        s.side = 0
        s.level = NONE
        s.score_long_fp9 = 0
        s.score_short_fp9 = 0
        signal_unready(s.signal)
        return
    s.score_long_fp9 = _half(s, p, np.int64(1), weight, s.pump_long_fp9, s.factor_long_fp9)
    s.score_short_fp9 = _half(s, p, np.int64(-1), weight, s.pump_short_fp9, s.factor_short_fp9)
    _say(s, p, now_ns)


@njit(cache=True, nogil=True)
def microstructure_level(s, p, side):
    """NONE, WATCH or ARM of one side (+1 longs, -1 shorts); NONE where nothing is said."""
    score = s.score_long_fp9 if side > 0 else s.score_short_fp9
    if s.signal.ready == 0 or score < p.watch_fp9:
        return NONE
    return ARM if score >= p.arm_fp9 else WATCH
