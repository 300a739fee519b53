"""Market state: NORMAL, STALE, PUMP, MANIPULATED, COOLDOWN, from one table.

Owns the state and the scores that move it. At each boundary the market is summed up in one event,
the gravest that holds: STALE (the book, or without one the tape, is older than ``stale``), SPOOF
(score of ``walls``), PUMP, HOLD (calm, but the state has not stood its least time), CALM; the table
says what follows. Scores have two thresholds, one to enter and one to leave. Pump score (reference
"orderflow" 11.12) = .4 price + .3 volume + .2 thin + .1 trades, each in [0, 1]; ``standard``: the
move of the step, its volume and its trades against their usual size, past only, ``spike`` times
being 1; thin = 1 - depth / usual depth; or a move of ``jump`` of the price by itself. ``seed``: the
move as a fraction against thresholds in percent, fault and all, so price alone never fires.
The signal's direction is the pump's while in PUMP. What must hold: every state can be reached and
left; COOLDOWN always ends (in the seed it did not); a step over a gap moves no score and is judged
by staleness alone. It refuses to say what a state forbids.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.ewma import EWMA_STATE, ewma_sigma, ewma_update
from engine.kernel.numbers import fp9
from engine.kernel.signals import SIGNAL_STATE, signal_fire, signal_set, signal_unready

SEED = 1
NORMAL, STALE, PUMP, MANIPULATED, COOLDOWN = range(5)
STATES = 5
ON_CALM, ON_HOLD, ON_PUMP, ON_SPOOF, ON_STALE = range(5)
TABLE = np.array(
    (
        # calm      hold         pump  spoof        stale
        (NORMAL, NORMAL, PUMP, MANIPULATED, STALE),  # NORMAL
        (COOLDOWN, COOLDOWN, PUMP, MANIPULATED, STALE),  # STALE
        (COOLDOWN, PUMP, PUMP, MANIPULATED, STALE),  # PUMP
        (COOLDOWN, MANIPULATED, PUMP, MANIPULATED, STALE),  # MANIPULATED
        (NORMAL, COOLDOWN, PUMP, MANIPULATED, STALE),  # COOLDOWN
    ),
    dtype=np.int64,
)
"""Next state by [state, event]."""
SEED_PERCENT = 6.0
DEPTH_LEVELS = 10

MARKET_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("state", "i8"),
        ("since_ns", "i8"),
        ("last_ns", "i8"),
        ("last_price", "i8"),
        ("dirty", "i8"),
        ("move", EWMA_STATE),
        ("volume", "f8"),
        ("trades", "f8"),
        ("depth", "f8"),
        ("pump_fp9", "i8"),
        ("pump_side", "i8"),
        ("jumped", "i8"),
        ("entered", "i8", (STATES,)),
    ],
    align=True,
)
"""since_ns: when the state was entered; last_ns, last_price: boundary before; move: usual change of
price a step; volume, trades, depth: usual ones (means); pump_side: sign of the step's move;
entered: how often each state was entered."""

MARKET_PARAMS = np.dtype(
    [
        ("mode", "i8"),
        ("stale_ns", "i8"),
        ("pump_on_fp9", "i8"),
        ("pump_off_fp9", "i8"),
        ("jump_fp9", "i8"),
        ("spoof_on_fp9", "i8"),
        ("spoof_off_fp9", "i8"),
        ("dwell_ns", "i8"),
        ("cooldown_ns", "i8"),
        ("spike_fp9", "i8"),
        ("length", "i8"),
        ("warm", "i8"),
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def market_event(p, state, age_ns, stale, spoof_fp9, pump_fp9, jumped):
    """The event of a boundary: int64 scores at 1e-9, ``age_ns`` the time in ``state``."""
    if stale:
        return ON_STALE
    if spoof_fp9 >= (p.spoof_off_fp9 if state == MANIPULATED else p.spoof_on_fp9):
        return ON_SPOOF
    if state == MANIPULATED and age_ns < p.dwell_ns:
        return ON_HOLD
    if jumped == 1 or pump_fp9 >= (p.pump_off_fp9 if state == PUMP else p.pump_on_fp9):
        return ON_PUMP
    if state == PUMP and age_ns < p.dwell_ns:
        return ON_HOLD
    if state == COOLDOWN and age_ns < p.cooldown_ns:
        return ON_HOLD
    return ON_CALM


@njit(cache=True, nogil=True)
def _unit(x):
    return min(max(x, 0.0), 1.0)


@njit(cache=True, nogil=True)
def _spike(x, usual, spike):
    """0 at the usual size, 1 at ``spike`` times it."""
    return _unit((x / usual - 1.0) / (spike - 1.0)) if usual > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _depth(book):
    total = np.int64(0)
    for m in range(min(book.bids, DEPTH_LEVELS)):
        total += book.bid_qty[m]
    for m in range(min(book.asks, DEPTH_LEVELS)):
        total += book.ask_qty[m]
    return float(total)


@njit(cache=True, nogil=True)
def _scores(s, p, move, price, volume, trades, depth, fresh):
    """Pump score of a whole step, then the usual sizes learn from it (floats)."""
    s.pump_side = np.int64(move > 0) - np.int64(move < 0)
    s.pump_fp9 = 0
    s.jumped = 0
    spike = float(p.spike_fp9) * 1e-9
    fraction = abs(float(move)) / float(price)
    if p.mode == SEED:
        part = _unit(fraction / SEED_PERCENT)
        s.jumped = 1 if fraction > SEED_PERCENT else 0
    else:
        sigma = ewma_sigma(s.move)
        part = _unit(abs(float(move)) / (sigma * spike)) if sigma > 0.0 else 0.0
        s.jumped = 1 if fp9(fraction) >= p.jump_fp9 else 0
    if s.move.n >= p.warm:
        thin = _unit(1.0 - depth / s.depth) if fresh and s.depth > 0.0 else 0.0
        s.pump_fp9 = fp9(
            0.4 * part
            + 0.3 * _spike(volume, s.volume, spike)
            + 0.2 * thin
            + 0.1 * _spike(trades, s.trades, spike)
        )
    ewma_update(s.move, float(move), p.length)
    weight = 1.0 / float(min(s.move.n, p.length))
    s.volume += weight * (volume - s.volume)
    s.trades += weight * (trades - s.trades)
    if fresh:
        s.depth += (depth - s.depth) * (weight if s.depth > 0.0 else 1.0)


@njit(cache=True, nogil=True)
def _measure(s, p, core, windows, book, step_ns, now_ns):
    """Sum the step up; False where it was not whole, and no score is known."""
    whole = s.dirty == 0 and now_ns - s.last_ns == step_ns and s.last_price > 0
    if whole:
        volume = float(windows.buy[1] + windows.sell[1])
        trades = float(windows.buys[1] + windows.sells[1])
        fresh = book.stale == 0
        depth = _depth(book) if fresh else 0.0
        move = core.last_price - s.last_price
        _scores(s, p, move, s.last_price, volume, trades, depth, fresh)
    else:
        s.pump_fp9 = 0
        s.pump_side = 0
        s.jumped = 0
    s.dirty = 0
    s.last_ns = now_ns
    s.last_price = core.last_price
    return whole


@njit(cache=True, nogil=True)
def market_boundary(s, p, core, windows, book, walls, step_ns, now_ns):
    """Move the state at a boundary, after windows, book and walls; ``step_ns``: decision step."""
    whole = _measure(s, p, core, windows, book, step_ns, now_ns)
    heard = book.ts_ns if book.snapshots > book.crossed else core.last_trade_ns
    stale = heard == 0 or now_ns - heard > p.stale_ns
    event = market_event(p, s.state, now_ns - s.since_ns, stale, walls.score_fp9, s.pump_fp9,
                         s.jumped)  # fmt: skip
    state = TABLE[s.state, event]
    entered = state != s.state
    if entered:
        s.state = state
        s.since_ns = now_ns
        s.entered[state] += 1
    if stale or not whole or s.move.n <= p.warm:
        signal_unready(s.signal)
        return
    value = float(s.pump_fp9) * 1e-9
    on = float(p.pump_on_fp9) * 1e-9
    if state != PUMP:
        signal_set(s.signal, np.int64(0), 0.0, value, on)
    elif entered:
        signal_fire(s.signal, now_ns, np.int64(0), s.pump_side, max(value, on), value, on)
    else:
        signal_set(s.signal, s.signal.direction, max(value, on), value, on)


@njit(cache=True, nogil=True)
def market_gap(s):
    """Trades or snapshots were missed: the step now running moves no score."""
    s.dirty = 1
