"""delta_flip: enter with a burst of delta that the book agrees with, leave when the flow flips.

Owns one idea end to end. At each decision boundary the delta of a window is divided by its own
usual size (root mean square of past windows). Beyond ``entry_z``, with the log ratio of the book
on the same side, it enters at market with a hard stop and a target that the broker holds; not
when price is already ``vwap_limit`` weighted deviations beyond the session VWAP, and, where asked,
only outside the value area of the last closed 1 m candle. It exits
when the flow flips against the entry (group ``flip``: the seed's 80 % rule or the CUSUM), or after
``max_hold``. Entries may rest at the touch instead of taking (``entry=limit``), and the stop may
move to the entry once the position has gained ``breakeven``. It refuses to know how orders are
filled.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import closed_candle
from engine.kernel.core import Q_BOOK_STALE, Q_GAP, Q_WARMING, qty_of, window_ready
from engine.kernel.ewma import EWMA_STATE, ewma_sigma, ewma_update
from engine.kernel.flip import CUSUM, SEED, flip_arm, flip_cusum, flip_disarm, flip_seed
from engine.kernel.intents import (
    cancel_order,
    enter_limit,
    enter_market,
    exit_market,
    move_stop,
)
from engine.kernel.numbers import fp9
from engine.kernel.outputs import SIGNALS_MAX
from engine.kernel.vwap import vwap_z
from engine.kernel.windows import SPANS_S
from engine.runtime.strategy import Param, Strategy

_SPANS_NS = np.array(SPANS_S, dtype=np.int64) * 1_000_000_000
GATES = ("window", "flow", "book", "flat", "cooldown", "size", "vwap", "value")
DETECTORS = ("delta", "book", "flip")
G_WINDOW, G_FLOW, G_BOOK, G_FLAT, G_COOLDOWN, G_SIZE, G_VWAP, G_VALUE = (
    1 << n for n in range(len(GATES))
)
D_DELTA, D_BOOK, D_FLIP = range(len(DETECTORS))
BOOK_OFF = 0
BOOK_REQUIRE = 2
ENTRY_LIMIT = 1
ACTION_CANCEL = 4
ACTION_MOVE_STOP = 5
REASON_FLIP = 1
REASON_TIME = 4

STATE = np.dtype(
    [
        ("sigma", EWMA_STATE),
        ("pending_side", "i8"),
        ("pending_delta", "i8"),
        ("position_id", "i8"),
        ("exiting", "i8"),
        ("pending_ns", "i8"),
        ("protected", "i8"),
    ],
    align=True,
)
"""sigma of the window's delta; the entry that was asked for and when; the position being watched,
whether its exit was sent, and whether its stop was moved to the entry."""


@njit(cache=True, nogil=True)
def signal(o, d, detector, direction, strength, value, threshold):
    """Write one signal record (floats; stored at 1e-9) when its direction is not 0."""
    if direction == 0 or o.n_signals >= SIGNALS_MAX:
        return
    r = o.signals[o.n_signals]
    r.ts_ns = d.ts_ns
    r.decision_id = d.id
    r.detector = detector
    r.direction = direction
    r.strength_fp9 = fp9(min(max(strength, 0.0), 1.0))
    r.value_fp9 = fp9(value)
    r.threshold_fp9 = fp9(threshold)
    o.n_signals += 1


@njit(cache=True, nogil=True)
def gate(d, bit, passed):
    """Note that a gate was asked, and whether it passed."""
    if passed:
        d.gates |= bit
    else:
        d.blocked |= bit
    return passed


@njit(cache=True, nogil=True)
def measure(s, p, o, now_ns, grid_s):
    """Delta, its z score and whether the window is whole; folds the window into sigma."""
    d = s.core.decision
    m = s.strategy
    w = p.strategy.window
    span = _SPANS_NS[w]
    d.delta = s.windows.buy[w] - s.windows.sell[w]
    whole = window_ready(s.core, now_ns, span)
    if not whole:
        d.quality |= Q_GAP if s.core.trade_gap_ns > now_ns - span else Q_WARMING
    sigma = ewma_sigma(m.sigma)
    warm = m.sigma.n >= p.strategy.warmup
    if not warm:
        d.quality |= Q_WARMING
    z = float(d.delta) / sigma if sigma > 0.0 and warm else 0.0
    d.delta_z_fp9 = fp9(z)
    if whole and now_ns % span == 0:
        ewma_update(m.sigma, float(d.delta), p.strategy.memory)
    return z, whole and warm and sigma > 0.0


@njit(cache=True, nogil=True)
def follow_position(s, d):
    """Arm the flip rule when the entry is known to be filled; disarm it when the position ends."""
    m = s.strategy
    v = s.known
    if v.qty != 0 and v.position_id != m.position_id:
        m.position_id = v.position_id
        m.exiting = 0
        m.protected = 0
        flip_arm(s.flip, 1 if v.qty > 0 else -1, m.pending_delta)
        m.pending_side = 0
    elif v.qty == 0 and s.flip.direction != 0:
        flip_disarm(s.flip)
        m.exiting = 0
    if v.open_orders == 0:
        m.pending_side = 0
        if v.qty != 0:
            m.exiting = 0
    d.entry_delta = s.flip.entry_delta


@njit(cache=True, nogil=True)
def flow_flips(s, p, o, z, whole, now_ns):
    """Ask the flip rule that is set; writes a signal when it says exit."""
    d = s.core.decision
    w = p.strategy.window
    if not whole:
        return False
    if p.flip.mode == SEED:
        d.flip_fp9 = fp9(-float(d.delta) / float(s.flip.entry_delta)) if s.flip.entry_delta else 0
        flips = flip_seed(s.flip, p.flip, d.delta)
        bound = float(p.flip.share_fp9) * 1e-9
    elif p.flip.mode == CUSUM and now_ns % _SPANS_NS[w] == 0:
        flips = flip_cusum(s.flip, p.flip, z)
        d.flip_fp9 = s.flip.cusum_fp9
        bound = float(p.flip.h_fp9) * 1e-9
    else:
        return False
    if flips:
        signal(o, d, D_FLIP, -s.flip.direction, 1.0, float(d.flip_fp9) * 1e-9, bound)
    return flips


@njit(cache=True, nogil=True)
def give_up_entry(s, p, now_ns):
    """Cancel a resting entry (or what is left of it) that has waited ``entry_ttl``."""
    m = s.strategy
    waits = m.pending_ns > 0 and s.known.open_orders > 0 and m.exiting == 0
    if (
        waits
        and p.strategy.entry == ENTRY_LIMIT
        and now_ns - m.pending_ns >= p.strategy.entry_ttl_ns
    ):
        s.core.decision.action = ACTION_CANCEL
        cancel_order(s.intents, s.known.last_order_id)
        m.pending_ns = 0


@njit(cache=True, nogil=True)
def protect(s, p):
    """Move the stop to the entry price once price has gone ``breakeven`` in favour."""
    m = s.strategy
    v = s.known
    if p.strategy.breakeven_fp9 == 0 or m.protected == 1 or m.exiting == 1:
        return
    side = 1 if v.qty > 0 else -1
    gained = float(side * (s.core.decision.price - v.entry_price))
    if gained >= float(v.entry_price) * float(p.strategy.breakeven_fp9) * 1e-9:
        m.protected = 1
        s.core.decision.action = ACTION_MOVE_STOP
        move_stop(s.intents, v.position_id, v.entry_price)


@njit(cache=True, nogil=True)
def manage(s, p, o, z, whole, now_ns):
    """In a position: exit when the flow flips or the time is up."""
    d = s.core.decision
    protect(s, p)
    reason = 0
    if flow_flips(s, p, o, z, whole, now_ns):
        reason = REASON_FLIP
    elif p.strategy.max_hold_ns > 0 and now_ns - s.known.open_ns >= p.strategy.max_hold_ns:
        reason = REASON_TIME
    if reason != 0 and s.strategy.exiting == 0:
        d.action = 3
        d.exit_reason = reason
        s.strategy.exiting = 1
        exit_market(s.intents, s.known.qty, reason)


@njit(cache=True, nogil=True)
def book_agrees(s, p, o, direction):
    """The book's log ratio lies on the side of ``direction``, or the book is not asked."""
    d = s.core.decision
    d.book_fp9 = s.book.imbalance5_fp9
    if s.book.stale == 1:
        d.quality |= Q_BOOK_STALE
    if p.strategy.book == BOOK_OFF:
        return True
    if s.book.stale == 1:
        return p.strategy.book != BOOK_REQUIRE
    lean = direction * d.book_fp9
    if lean >= p.strategy.book_min_fp9:
        value = float(d.book_fp9) * 1e-9
        signal(o, d, D_BOOK, direction, abs(value), value, float(p.strategy.book_min_fp9) * 1e-9)
        return True
    return False


@njit(cache=True, nogil=True)
def not_stretched(s, p, direction):
    """Price is not beyond ``vwap_limit`` weighted deviations on the side of the entry."""
    if p.strategy.vwap_limit_fp9 == 0:
        return True
    z = vwap_z(s.vwap.session, s.core.decision.price)
    return direction * fp9(z) <= p.strategy.vwap_limit_fp9


@njit(cache=True, nogil=True)
def beyond_value(s, p, direction):
    """Price left the value area of the last closed 1 m candle on the side of the entry."""
    if p.strategy.value == 0:
        return True
    if s.candles.closed[1] == 0:
        return False
    candle = closed_candle(s.candles, 1, 1)
    edge = candle.value_high if direction > 0 else candle.value_low
    return candle.trades > 0 and direction * (s.core.decision.price - edge) > 0


@njit(cache=True, nogil=True)
def enter(s, p, direction):
    """Send the entry with its stop and target, as shares of the last price."""
    d = s.core.decision
    price = d.price
    qty = qty_of(p.core, p.strategy.notional_money, price)
    if not gate(d, G_SIZE, qty > 0):
        return
    stop_away = max(
        np.int64(1), np.int64(np.rint(float(price) * float(p.strategy.stop_fp9) * 1e-9))
    )
    goal = max(np.int64(1), np.int64(np.rint(float(price) * float(p.strategy.target_fp9) * 1e-9)))
    stop = price - direction * stop_away if p.strategy.stop_fp9 > 0 else 0
    target = price + direction * goal if p.strategy.target_fp9 > 0 else 0
    d.action = 1 if direction > 0 else 2
    s.strategy.pending_side = direction
    s.strategy.pending_delta = d.delta
    s.strategy.pending_ns = d.ts_ns
    touch = s.book.bid_price[0] if direction > 0 else s.book.ask_price[0]
    if p.strategy.entry == ENTRY_LIMIT and s.book.stale == 0:
        enter_limit(s.intents, direction, qty, touch, stop, target)
    else:
        enter_market(s.intents, direction, qty, stop, target)


@njit(cache=True, nogil=True)
def seek(s, p, o, z, ready, now_ns):
    """Flat: ask every gate in turn, and enter when all pass."""
    d = s.core.decision
    threshold = float(p.strategy.entry_z_fp9) * 1e-9
    direction = 0
    if ready and abs(d.delta_z_fp9) >= p.strategy.entry_z_fp9:
        direction = 1 if d.delta_z_fp9 > 0 else -1
    signal(o, d, D_DELTA, direction, abs(z) / (2.0 * threshold), z, threshold)
    d.direction = direction
    d.score_fp9 = fp9(min(1.0, abs(z) / (2.0 * threshold)))
    ok = gate(d, G_WINDOW, ready)
    ok &= gate(d, G_FLOW, direction != 0)
    if direction != 0:
        ok &= gate(d, G_BOOK, book_agrees(s, p, o, direction))
        ok &= gate(d, G_VWAP, not_stretched(s, p, direction))
        ok &= gate(d, G_VALUE, beyond_value(s, p, direction))
    idle = s.strategy.pending_side == 0 and s.known.open_orders == 0
    ok &= gate(d, G_FLAT, s.known.qty == 0 and idle)
    since = now_ns - s.known.last_exit_ns
    ok &= gate(d, G_COOLDOWN, s.known.last_exit_ns == 0 or since >= p.strategy.cooldown_ns)
    if ok:
        enter(s, p, direction)


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """One decision at boundary ``now_ns`` (ns UTC): manage a position, or seek an entry."""
    z, ready = measure(s, p, o, now_ns, grid_s)
    follow_position(s, s.core.decision)
    give_up_entry(s, p, now_ns)
    if s.known.qty != 0:
        manage(s, p, o, z, ready, now_ns)
    else:
        seek(s, p, o, z, ready, now_ns)


STRATEGY = Strategy(
    name="delta_flip",
    doc="Enter with a burst of delta that the book agrees with; leave when the flow flips.",
    handlers=("flow", "windows", "candles", "footprint", "vwap", "book", "flip"),
    params=(
        Param(
            "window", "choice", "30s", "window whose delta is read", tuple(f"{x}s" for x in SPANS_S)
        ),
        Param("entry_z", "ratio", "2.0", "delta over its usual size that starts an entry", low=0.1),
        Param("memory", "count", "240", "windows that the usual size remembers", low=2),
        Param("warmup", "count", "20", "windows before the first entry", low=2),
        Param(
            "book",
            "choice",
            "prefer",
            "ask the book: off, prefer, require",
            ("off", "prefer", "require"),
        ),
        Param(
            "book_min", "ratio", "0.0", "least log(bid/ask quantity), 5 levels, on the entry side"
        ),
        Param(
            "vwap_limit",
            "ratio",
            "4.0",
            "weighted deviations from VWAP not to chase (0: off)",
            low=0,
        ),
        Param(
            "value",
            "choice",
            "off",
            "enter only outside the last 1 m value area",
            ("off", "outside"),
        ),
        Param("notional", "money", "1000", "size of an entry in account currency", low=0),
        Param("stop", "ratio", "0.0015", "hard stop, as a share of price (0: none)", low=0, high=1),
        Param("target", "ratio", "0.003", "target, as a share of price (0: none)", low=0, high=1),
        Param("entry", "choice", "market", "take, or rest at the touch", ("market", "limit")),
        Param("entry_ttl", "duration", "15s", "a resting entry is cancelled after this"),
        Param(
            "breakeven",
            "ratio",
            "0",
            "gain after which the stop moves to the entry (0: off)",
            low=0,
        ),
        Param("max_hold", "duration", "30m", "longest time in a position (0: no limit)"),
        Param("cooldown", "duration", "30s", "pause after an exit"),
    ),
    state=STATE,
    decide=decide,
    gates=GATES,
    detectors=DETECTORS,
)
"""The strategy as the engine takes it."""
