# mypy: disallow-untyped-defs=False
"""The compiled limit order book that synthetic orders trade against.

Owns the book's state and what an order, the passing of time and the latent price do to it. All
prices are int64 ticks, all quantities int64 lots; quantities lie in two rings of :data:`RING`
prices, one a side. All compiled functions of the market stand in this one file, because numba's
disk cache does not see a change in a callee of another file.

The latent price ``f`` (float64 ticks) is what the market would agree on. It is the sum of a base
part, moved by base orders and news alone, and an overlay part, moved by planted patterns alone; so
the base part is the same in a market and its null twin. Quotes are sticky: the touch moves only
when ``f`` has left it by a threshold, then at once to ``f``. Orders consume what is displayed,
level by level; the side they eat recovers, an opened spread closes, within milliseconds.

What must hold: best bid < best ask; a print lies at a displayed price of its side; nothing here
draws a number of its own: uniforms come from a pool, re-anchored at every step of the clock, so
that a difference between twins does not outlive its cause.
"""

from __future__ import annotations

import numpy as np
from numba import njit

RING = 512
MASK = RING - 1
POOL = 1 << 16
WALK_MAX = 64
"""An order takes liquidity at most this many ticks beyond the touch; the rest is cancelled."""

CELLS = 4096
REVERT = 0.92
"""Chance that an opened spread closes at the next millisecond in which something happens."""

TAUS = 3

NOW = 3
"""Value of ``extreme`` that makes the latent price of the moment the level."""

PAST_S = 4_096
PAST_MASK = PAST_S - 1
"""Seconds of which the highest and lowest latent price are kept; a power of two."""

STATE = np.dtype(
    [
        ("best", "i8", 2),  # bid, ask: ticks
        ("far", "i8", 2),  # outermost populated price a side
        ("f", "f8"),  # latent price, ticks
        ("root", "f8"),  # permanent part of the base
        ("root_t", "f8", TAUS),  # its transient parts
        ("over", "f8"),  # permanent part of the overlay
        ("over_t", "f8", TAUS),
        ("frozen", "f8"),  # overlay at the end of a pattern, which then fades
        ("h", "f8"),  # threshold of the sticky quote, ticks
        ("z", "f8", 2),  # log size of the touch a side, autoregressive
        ("level", "i8"),  # price of an absorber, or the extreme that a sweep runs through; 0 none
        ("cap", "i8"),  # side of an absorber: +1 asks, -1 bids, 0 none
        ("ms", "i8"),  # time of the last order
        ("draw", "i8"),  # position in the pool
        ("order", "i8"),  # cursor: next order of the block
        ("step", "i8"),  # cursor: step of the block
        ("phase", "i8"),  # cursor: 0 before the tick, 1 before the snapshot, 2 after it
        ("second", "i8"),  # second of the newest entry of hi and lo
        ("prints", "i8"),  # cursor: prints written in this call
        ("hi", "f8", PAST_S),  # highest f of each of the last seconds
        ("lo", "f8", PAST_S),
    ],
    align=True,
)

PARAMS = np.dtype(
    [
        ("impact", "f8"),  # ticks for an order of mean size
        ("permanent", "f8"),  # share of the impact that stays
        ("share_t", "f8", TAUS),  # shares that fade
        ("decay_t", "f8", TAUS),  # what is left of each after an order
        ("noise", "f8"),  # news with an order, ticks
        ("news", "f8"),  # news in a step, ticks
        ("sticky", "f8"),  # mean threshold, ticks
        ("touch", "f8"),  # median quantity at the touch, lots
        ("mean_lots", "f8"),
        ("floor", "f8"),  # the latent price is reflected here
        ("step_ms", "i8"),
        ("levels", "i8"),
        ("hold", "f8"),  # how far price may sink away from an absorber, ticks
        ("lookback", "i8"),  # a recent high or low is that of so many seconds
    ],
    align=True,
)

CONTROL = np.dtype(
    [
        ("event", "i8"),  # 0 none, 1 starts, 2 ends, 3 settled
        ("gain", "f8"),  # impact of overlay orders, 1 = as any order
        ("ramp", "f8"),  # ticks added to the latent price
        ("keep", "f8"),  # what is left of the frozen overlay
        ("cap", "i8"),
        ("pull", "f8"),  # weight of a pull to level + target
        ("target", "f8"),
        ("extreme", "i8"),  # with event 1 the level: +1 recent high, -1 low, +2 ask, -2 bid, NOW
        ("pattern", "i8"),  # which pattern, for its label
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def _draw(s, pool):
    """The next uniform of the pool."""
    s.draw = (s.draw + 1) & (POOL - 1)
    return pool[s.draw]


@njit(cache=True, nogil=True)
def _touch_lots(s, p, side, exps, pool):
    """Quantity that the touch of ``side`` (0 bid, 1 ask) tends to, lots.

    It shrinks where the latent price presses against it and swells on the other side.
    """
    mid = 0.5 * (s.best[0] + s.best[1])
    x = (s.f - mid) / s.h
    x = min(max(x, -1.0), 1.0)
    lean = 1.0 - 0.85 * x if side == 1 else 1.0 + 0.85 * x
    k = int(s.z[side] * 64.0) + 256
    k = min(max(k, 0), 512)
    return max(1, int(p.touch * lean * exps[k]))


@njit(cache=True, nogil=True)
def _deep_lots(s, pool, table):
    """Quantity of a price behind the touch, lots; 0 where nobody stands."""
    return table[int(_draw(s, pool) * CELLS)]


@njit(cache=True, nogil=True)
def _extend(s, rings, side, to, pool, table):
    """Populate ``side`` outward up to price ``to``."""
    o = 1 if side == 1 else -1
    q = s.far[side]
    while (to - q) * o > 0:
        q += o
        rings[side, q & MASK] = _deep_lots(s, pool, table)
    s.far[side] = q


@njit(cache=True, nogil=True)
def _lead(s, p, rings, side, to, pool, table, exps):
    """The best price of ``side`` improves to ``to``; prices between are populated."""
    d = 1 if side == 0 else -1
    q = s.best[side]
    if (to - q) * d > RING - 1:
        q = to - d * (RING - 1)
    rings[side, s.best[side] & MASK] = max(1, rings[side, s.best[side] & MASK] // 8)
    while (to - q) * d > 1:
        q += d
        rings[side, q & MASK] = _deep_lots(s, pool, table)
    s.best[side] = to
    fresh = 0.3 + 0.7 * _draw(s, pool)
    rings[side, to & MASK] = max(1, int(fresh * _touch_lots(s, p, side, exps, pool)))
    if (to - s.far[side]) * d > RING - 1:
        s.far[side] = to - d * (RING - 1)


@njit(cache=True, nogil=True)
def _retreat(s, p, rings, side, to, pool, table, exps):
    """The best price of ``side`` falls back to ``to``: what stood nearer is cancelled."""
    _extend(s, rings, side, to, pool, table)
    s.best[side] = to
    fresh = 0.3 + 0.7 * _draw(s, pool)
    rings[side, to & MASK] = max(1, int(fresh * _touch_lots(s, p, side, exps, pool)))


@njit(cache=True, nogil=True)
def _requote(s, p, rings, pool, table, exps):
    """Move the touch to the latent price when it has left it by the threshold."""
    mid = 0.5 * (s.best[0] + s.best[1])
    x = s.f - mid
    # beside an absorber the touch keeps close, because the pressure on it never lets go
    if abs(x) <= (s.h if s.cap == 0 else min(s.h, p.hold)):
        return
    s.h = p.sticky * (0.25 + 1.5 * _draw(s, pool))
    if x > 0:
        to = int(np.floor(s.f))
        if to > s.best[0]:
            if to >= s.best[1]:
                _retreat(s, p, rings, 1, to + 1, pool, table, exps)
            _lead(s, p, rings, 0, to, pool, table, exps)
    else:
        to = int(np.ceil(s.f))
        if to < s.best[1]:
            if to <= s.best[0]:
                _retreat(s, p, rings, 0, to - 1, pool, table, exps)
            _lead(s, p, rings, 1, to, pool, table, exps)


@njit(cache=True, nogil=True)
def _close_spread(s, p, rings, pool, table, exps):
    """An opened spread closes to one tick, on the side towards the latent price.

    Beside an absorber it closes towards the absorber: who presses bids up to it.
    """
    if s.best[1] - s.best[0] <= 1 or _draw(s, pool) > REVERT:
        return
    if s.cap > 0 or (s.cap == 0 and s.f > 0.5 * (s.best[0] + s.best[1])):
        _lead(s, p, rings, 0, s.best[1] - 1, pool, table, exps)
    else:
        _lead(s, p, rings, 1, s.best[0] + 1, pool, table, exps)


@njit(cache=True, nogil=True)
def _latent(s, c, p):
    """Put the latent price together from base, overlay and what a pattern holds it to."""
    base = s.root
    over = s.over + s.frozen * c.keep + c.ramp
    for j in range(TAUS):
        base += s.root_t[j]
        over += s.over_t[j]
    if base < p.floor:
        s.root += 2.0 * (p.floor - base)
        base = 2.0 * p.floor - base
    f = base + over
    if c.pull > 0.0:
        f = (1.0 - c.pull) * f + c.pull * (s.level + c.target)
    if c.cap == 1:
        f = min(max(f, s.level - p.hold), s.level - 0.5)
    elif c.cap == -1:
        f = max(min(f, s.level + p.hold), s.level + 0.5)
    s.f = f


@njit(cache=True, nogil=True)
def _impact(s, c, p, sign, lots, noise, overlay):
    """An order moves the latent price: square root of its size, part of it for good.

    The rest fades in the time of the market's own orders, so in busy times faster.
    """
    kick = p.impact * sign * np.sqrt(lots / p.mean_lots)
    if overlay == 0:
        s.root += p.permanent * kick + p.noise * noise
        for j in range(TAUS):
            s.root_t[j] = s.root_t[j] * p.decay_t[j] + p.share_t[j] * kick
            s.over_t[j] *= p.decay_t[j]
    else:
        kick *= c.gain
        s.over += p.permanent * kick
        for j in range(TAUS):
            s.over_t[j] += p.share_t[j] * kick
    _latent(s, c, p)


@njit(cache=True, nogil=True)
def _walk(s, p, rings, sign, lots, ms, out, touch, pool, table):
    """An aggressive order takes what is displayed, one print a price level.

    ``out`` is int64[n, 4]: ms, price, lots, sign; ``touch`` int64[n, 2]: the best bid
    and ask before it.
    """
    side = 1 if sign > 0 else 0
    bid, ask = s.best[0], s.best[1]
    first = s.best[side]
    q = first
    while True:
        if (q - s.far[side]) * sign > 0:
            _extend(s, rings, side, q, pool, table)
        have = rings[side, q & MASK]
        held = s.cap == sign and q == s.level
        if (have > 0 or held) and lots > 0:
            take = lots if held else min(lots, have)
            k = s.prints
            out[k, 0], out[k, 1], out[k, 2], out[k, 3] = ms, q, take, sign
            touch[k, 0], touch[k, 1] = bid, ask
            s.prints = k + 1
            lots -= take
            if not held:
                rings[side, q & MASK] = have - take
        if held or (rings[side, q & MASK] > 0 and lots <= 0):
            break
        if (q - first) * sign >= WALK_MAX:
            lots = 0
            if rings[side, q & MASK] > 0:
                break
        q += sign
    s.best[side] = q


@njit(cache=True, nogil=True)
def _order(s, c, p, rings, orders, i, out, touch, pool, table, exps):
    """One aggressive order: it presses, thins the queue that it is about to break, and trades."""
    ms, sign = orders[i, 0], orders[i, 1]
    if ms > s.ms:
        _close_spread(s, p, rings, pool, table, exps)
        s.ms = ms
    side = 1 if sign > 0 else 0
    mid = 0.5 * (s.best[0] + s.best[1])
    if (s.f - mid) * sign > 0.9 * s.h:
        q = s.best[side] & MASK
        rings[side, q] = max(1, int(rings[side, q] * 0.3 * _draw(s, pool)))
    _walk(s, p, rings, sign, orders[i, 2], ms, out, touch, pool, table)


@njit(cache=True, nogil=True)
def _refresh(s, p, rings, z, pool, table, exps):
    """A step of the clock: the touch tends to its size, a few deeper levels change."""
    for side in range(2):
        s.z[side] = 0.97 * s.z[side] + 0.27 * z[side]
        o = 1 if side == 1 else -1
        k = s.best[side] & MASK
        want = _touch_lots(s, p, side, exps, pool)
        rings[side, k] = max(1, int(rings[side, k] + (want - rings[side, k]) * 0.3))
        for _ in range(3):
            u = _draw(s, pool)
            at = s.best[side] + o * (1 + int(36.0 * u * u))
            if (s.far[side] - at) * o >= 0:
                rings[side, at & MASK] = _deep_lots(s, pool, table)
    if s.cap != 0:
        side = 1 if s.cap > 0 else 0
        if (s.level - s.best[side]) * s.cap >= 0 and (s.far[side] - s.level) * s.cap >= 0:
            k = s.level & MASK
            rings[side, k] = max(rings[side, k], int(p.touch))


@njit(cache=True, nogil=True)
def _reset(s, p, rings, pool, table, exps):
    """Draw the whole book anew around the latent price."""
    to = int(np.floor(s.f))
    s.h = p.sticky * (0.25 + 1.5 * _draw(s, pool))
    for side in range(2):
        s.best[side] = to + side
        s.far[side] = to + side
    for side in range(2):
        rings[side, (to + side) & MASK] = _touch_lots(s, p, side, exps, pool)
        _extend(s, rings, side, to + side + (40 if side == 1 else -40), pool, table)


@njit(cache=True, nogil=True)
def _begin(s, c, p, levels):
    """A pattern starts: remember the level that it works at."""
    if c.extreme == NOW:
        s.level = int(np.rint(s.f))
    elif abs(c.extreme) == 2:
        s.level = s.best[1] if c.extreme > 0 else s.best[0]
    elif c.extreme != 0:
        best = s.f
        for i in range(p.lookback):
            j = (s.second - i) & PAST_MASK
            best = max(best, s.hi[j]) if c.extreme > 0 else min(best, s.lo[j])
        s.level = int(np.rint(best))
    levels[c.pattern] = s.level


@njit(cache=True, nogil=True)
def _event(s, c, p, rings, pool, table, exps, levels):
    """Start, end or settling of a pattern."""
    if c.event == 1:
        _begin(s, c, p, levels)
    if c.event == 2:
        base = s.root
        for j in range(TAUS):
            base += s.root_t[j]
        s.frozen = s.f - base
        s.over = 0.0
        s.over_t[:] = 0.0
        s.level = 0
    if c.event == 3:
        s.frozen = 0.0
        s.over = 0.0
        s.over_t[:] = 0.0
        s.hi[:] = -1e18
        s.lo[:] = 1e18
        _latent(s, c, p)
        _reset(s, p, rings, pool, table, exps)


@njit(cache=True, nogil=True)
def _tick(s, c, p, rings, z, k, pool, table, exps, levels):
    """Everything that the passing of one step does, before the orders of that instant."""
    s.draw = (k * 7919) & (POOL - 1)
    s.root += p.news * z[2]
    if c.event != 0:
        _event(s, c, p, rings, pool, table, exps, levels)
    s.cap = c.cap
    _latent(s, c, p)
    _requote(s, p, rings, pool, table, exps)
    _close_spread(s, p, rings, pool, table, exps)
    _refresh(s, p, rings, z, pool, table, exps)


@njit(cache=True, nogil=True)
def _extremes(s, at):
    """Keep the highest and lowest latent price of each second."""
    j = (at // 1000) & PAST_MASK
    if s.second != at // 1000:
        s.second = at // 1000
        s.hi[j] = s.f
        s.lo[j] = s.f
    s.hi[j] = max(s.hi[j], s.f)
    s.lo[j] = min(s.lo[j], s.f)


@njit(cache=True, nogil=True)
def _snapshot(s, p, rings, k, price, qty, pool, table):
    """Write the best levels of both sides into row ``k`` of int64[2, rows, levels] arrays."""
    for side in range(2):
        o = 1 if side == 1 else -1
        q = s.best[side]
        n = 0
        while n < p.levels:
            if (q - s.far[side]) * o > 0:
                _extend(s, rings, side, q, pool, table)
            have = rings[side, q & MASK]
            if have > 0:
                price[side, k, n] = q
                qty[side, k, n] = have
                n += 1
            q += o


@njit(cache=True, nogil=True)
def _drain(s, c, p, rings, orders, noise, end, out, touch, pool, table, exps):
    """Fold the orders before ``end`` (ms); False when ``out`` is nearly full."""
    room = out.shape[0] - WALK_MAX - 2
    n = orders.shape[0]
    while s.order < n and orders[s.order, 0] < end:
        if s.prints > room:
            return False
        i = s.order
        _order(s, c, p, rings, orders, i, out, touch, pool, table, exps)
        _impact(s, c, p, orders[i, 1], orders[i, 2], noise[i], orders[i, 3])
        _requote(s, p, rings, pool, table, exps)
        s.order += 1
    return True


@njit(cache=True, nogil=True)
def run(
    s, p, rings, controls, orders, noise, z, pool, table, exps, out, touch, price, qty, levels, t0
):
    """Go on with a block until it ends or ``out`` is nearly full; True when the block is done.

    ``orders`` is int64[n, 4] (ms, sign, lots, overlay) in time order, ``noise`` float64[n],
    ``controls`` one record a step, ``z`` float64[steps, 3] normals, ``t0`` the block's start in ms.
    At each step the clock ticks, then come the orders of that very millisecond, the snapshot, and
    the orders up to the next step. ``s.phase`` says how far the current step has got.
    """
    while s.step < controls.shape[0]:
        k = s.step
        c = controls[k]
        at = t0 + k * p.step_ms
        if s.phase == 0:
            _tick(s, c, p, rings, z[k], k, pool, table, exps, levels)
            _extremes(s, at)
            s.phase = 1
        if s.phase == 1:
            if not _drain(s, c, p, rings, orders, noise, at + 1, out, touch, pool, table, exps):
                return False
            _snapshot(s, p, rings, k, price, qty, pool, table)
            s.phase = 2
        end = at + p.step_ms
        if not _drain(s, c, p, rings, orders, noise, end, out, touch, pool, table, exps):
            return False
        s.phase = 0
        s.step += 1
    return True
