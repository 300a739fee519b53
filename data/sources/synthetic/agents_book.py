# mypy: disallow-untyped-defs=False
"""The compiled order book in which agents meet: takers, market makers, patient orders.

Owns the book's state and what every participant does to it. Prices are int64 ticks and quantities
int64 lots, in two rings of :data:`RING` prices (bids, asks). Constants and compiled functions stand
together in this file, because numba's disk cache does not see a change in another one.

* Takers: orders from a table (background, and the takers of a pattern) eat the queue at the touch,
  then the next. Nothing else turns flow into price: a price moves because a queue ran out before it
  was filled up again, or because those who stood in it went away.
* Market makers quote ``fair`` plus and minus half a spread, skewed by their inventory. They refill
  prices behind their quote, by level, and cancel; prices better than their quote they leave, fast.
  ``fair`` moves with news of its own, and when a queue at the touch has run out: the more so, the
  less they expected that side to be next.
* A price limit (``wall``): a participant of a pattern who takes everything at one price and shows
  little of it.

How ``rho`` is steered: what flow does to a minute's price is a matter of the queues, and was
measured (``agents.SLOPE``, ``agents.REST``); news moves quotes without flow, and ``news_sigma``
there makes it as large as the wanted correlation needs. Without any news ``rho`` is about 0.7 at
one order a second, 0.87 at 5, 0.95 at 15: a higher target gives that. A pattern's minutes lower it.

What must hold: best bid < best ask; queues are never negative; a print lies at the best price of
its side. Random numbers come in arrays anchored to steps, so that twins draw the same ones.
"""

from __future__ import annotations

import numpy as np
from numba import njit

RING = 1 << 16
MASK = RING - 1
DEEP = 40
"""Ticks behind the market makers' quote in which patient orders come and go."""

WALK_MAX = 8
"""An order walks at most so many ticks from the touch; the rest is cancelled."""

SHOWN = 3
"""Mean orders that a hidden participant shows."""

BEGIN, PEAK, WALL_ON, WALL_OFF, ANCHOR, ANCHOR_LEVEL, ANCHOR_PEAK, END, TOUCH = range(1, 10)
"""Events of a control: see ``_control``."""

PLAIN, PUSH, GIVE_BACK, CONFIRM, RUN = range(5)
"""Conditions of an order: see ``_wants``."""

LOOKBACK_S = 300
"""The recent extreme is that of so many seconds."""

ROUND = 50
"""Round prices are multiples of so many ticks."""

STATE = np.dtype(
    [
        ("best", "i8", 2),  # bid, ask
        ("fair", "f8"),
        ("inventory", "f8"),  # of the market makers, mean orders
        ("expected", "f8"),  # side of the next queue to run out, as market makers expect it
        ("wall_side", "i8"),  # +1: takes all buying (stands in the asks), -1: all selling; 0 none
        ("wall", "i8"),  # its price
        ("anchor", "f8"),  # mid at the pattern's beginning, or what an event made it
        ("level", "f8"),  # the extreme or round price of a pattern
        ("peak", "f8"),  # extreme mid of a pattern's first push
        ("worst", "f8"),  # running extreme of the mid in the push's direction
        ("side", "i8"),  # side that a pattern's takers push to
        ("cvd", "i8"),  # buying less selling, lots
        ("cvd_from", "i8"),  # at the beginning
        ("cvd_peak", "i8"),  # at the first push's end
        ("active", "i8"),
        ("order", "i8"),
        ("step", "i8"),
        ("prints", "i8"),
        ("quotes", "i8"),
        ("second", "i8"),
        ("hi", "f8", 512),
        ("lo", "f8", 512),
    ],
    align=True,
)

PARAMS = np.dtype(
    [
        ("half", "f8"),  # half the spread, ticks
        ("think", "f8"),  # ticks that a queue's running out moves the fair value, in full surprise
        ("expect", "f8"),  # weight of one of them in what is expected
        ("foresee", "f8"),  # share of what is expected that is taken for granted
        ("forget", "f8"),  # what is left of the inventory after a step
        ("skew", "f8"),  # ticks for a mean order of inventory
        ("skew_max", "f8"),
        ("add", "f8"),  # chance that an order joins a level in a step
        ("cancel", "f8"),  # chance that some leave
        ("pull", "f8"),  # chance that a stale level is left in a step
        ("joins", "f8", DEEP),  # scale of the joining size by level, lots
        ("mean_lots", "f8"),
        ("shown", "i8"),  # what a hidden participant shows, lots
        ("step_ms", "i8"),
        ("steps_per_book", "i8"),
        ("levels", "i8"),
    ],
    align=True,
)

CONTROL = np.dtype(
    [
        ("news", "f8"),  # move of the fair value, ticks
        ("event", "i8"),
        ("side", "i8"),  # with BEGIN: side of the push, +1 or -1
        ("pattern", "i8"),  # its index, for the table of levels
        ("hold", "f8"),  # share of the way to the goal that market makers go in this step
        ("goal", "f8"),  # ticks from the anchor
        ("supply", "f8", 2),  # factor of the joining size: bids, asks
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def _mid(s):
    return (s.best[0] + s.best[1]) / 2.0


@njit(cache=True, nogil=True)
def _settle(s, rings, side):
    """Find the best price of ``side`` (0 bids, 1 asks) from where it was, outwards."""
    step = -1 if side == 0 else 1
    price = s.best[side]
    for _ in range(RING // 4):
        if rings[side, price & MASK] > 0:
            break
        price += step
    s.best[side] = price


@njit(cache=True, nogil=True)
def _show(s, p, rings):
    """The hidden participant shows what it shows, unless the other side stands in its way."""
    if s.wall_side == 0:
        return
    book = 1 if s.wall_side > 0 else 0
    clear = s.best[0] < s.wall if book == 1 else s.best[1] > s.wall
    if not clear:
        return
    at = s.wall & MASK
    rings[book, at] = max(rings[book, at], p.shown)
    s.best[book] = min(s.best[book], s.wall) if book == 1 else max(s.best[book], s.wall)


@njit(cache=True, nogil=True)
def _take(s, p, rings, ms, sign, lots, reach, out, touch):
    """An order of ``lots`` eats the other side; every price it eats is a print."""
    book = 1 if sign > 0 else 0
    start = s.best[book]
    left = lots
    while left > 0 and abs(s.best[book] - start) <= reach:
        price = s.best[book]
        n = s.prints
        touch[n, 0], touch[n, 1] = s.best[0], s.best[1]
        at = price & MASK
        hidden = s.wall_side == sign and price == s.wall
        done = left if hidden else min(left, rings[book, at])
        rings[book, at] -= done
        if hidden:
            rings[book, at] = max(p.shown, rings[book, at])
        out[n, 0], out[n, 1], out[n, 2], out[n, 3] = ms, price, done, sign
        s.prints = n + 1
        s.cvd += sign * done
        if not hidden:
            s.inventory -= sign * done / p.mean_lots
        left -= done
        if rings[book, at] == 0:
            _ran_out(s, p, sign)
            _settle(s, rings, book)


@njit(cache=True, nogil=True)
def _ran_out(s, p, sign):
    """A queue was eaten up: market makers think again, by how much this comes as a surprise."""
    s.fair += p.think * (sign - p.foresee * s.expected)
    s.expected += p.expect * (sign - s.expected)


@njit(cache=True, nogil=True)
def _wants(s, c, cond, sign):
    """Whether the taker of a pattern still wants to trade.

    PUSH: until the mid is at the goal. GIVE_BACK: until the flow since the beginning is back at a
    third of what it was at the peak. CONFIRM: until both mid and flow lie beyond goal and peak.
    """
    if cond in (PUSH, CONFIRM):
        short = sign * (s.anchor + c.goal - _mid(s)) > 0
        if cond == CONFIRM:
            made = s.cvd_peak - s.cvd_from
            short = short or sign * (s.cvd - s.cvd_from - made) < 0.3 * abs(made)
        return short
    if cond == GIVE_BACK:
        made = s.cvd_peak - s.cvd_from
        return sign * (s.cvd - s.cvd_from) < sign * made * 0.33
    return True


@njit(cache=True, nogil=True)
def _control(s, p, rings, c, levels):
    """What a pattern says at this step."""
    if c.event == BEGIN:
        s.anchor = _mid(s)
        s.worst = s.anchor
        s.side, s.cvd_from, s.cvd_peak, s.active = c.side, s.cvd, s.cvd, 1
        s.level = _level(s)
    elif c.event == PEAK:
        s.peak, s.cvd_peak = s.worst, s.cvd
        levels[c.pattern] = int(s.peak)
    elif c.event == WALL_ON or c.event == TOUCH:
        s.wall = s.best[1] if s.side > 0 else s.best[0]
        s.wall_side = s.side if c.event == WALL_ON else 0
        levels[c.pattern] = s.wall
    elif c.event == WALL_OFF:
        s.wall_side = 0
        s.anchor = _mid(s)
    elif c.event == ANCHOR:
        s.anchor = _mid(s)
    elif c.event == ANCHOR_LEVEL:
        s.anchor = s.level
        levels[c.pattern] = int(s.level)
    elif c.event == ANCHOR_PEAK:
        # whatever lies further out by now is what a new extreme must pass
        s.anchor = s.worst
    elif c.event == END:
        s.active = s.wall_side = 0


@njit(cache=True, nogil=True)
def _level(s):
    """The recent extreme on the push's side, or the round price just beyond; 3 ticks off at least.

    Ticks, on the side's price grid.
    """
    mid = _mid(s)
    far = mid
    for i in range(LOOKBACK_S):
        k = (s.second - i) & 511
        far = max(far, s.hi[k]) if s.side > 0 else min(far, s.lo[k])
    if s.side > 0:
        level = np.ceil(max(far, mid + 3.0))
        beyond = np.ceil(level / ROUND) * ROUND
    else:
        level = np.floor(min(far, mid - 3.0))
        beyond = np.floor(level / ROUND) * ROUND
    return beyond if abs(beyond - level) <= 4.0 else level


@njit(cache=True, nogil=True)
def _quote(s, p, rings, c, u):
    """Market makers and patient orders, one step: joining, cancelling, leaving stale prices.

    ``u`` float64[2, DEEP + 1] a side: for each level what happens, and for leaving.
    """
    s.fair += c.news
    s.fair += c.hold * (s.anchor + c.goal - s.fair)
    s.inventory *= p.forget
    lean = 0.0 if c.hold > 0.0 else p.skew * s.inventory
    centre = s.fair - max(-p.skew_max, min(p.skew_max, lean))
    top0 = int(np.floor(centre - p.half))
    top1 = max(int(np.ceil(centre + p.half)), top0 + 1)
    for side in range(2):
        _leave(s, p, rings, side, top0 if side == 0 else top1, u[side, DEEP])
    for side in range(2):
        _join(s, p, rings, side, top0 if side == 0 else top1, c.supply[side], u[side])
    _show(s, p, rings)


@njit(cache=True, nogil=True)
def _leave(s, p, rings, side, top, x):
    """Prices better than the quote are left, one level after the other, each with a chance."""
    step = -1 if side == 0 else 1
    price = s.best[side]
    for _ in range(DEEP):
        if (price - top) * step >= 0 or x > p.pull:
            break
        if s.wall_side != 0 and price == s.wall:
            break
        rings[side, price & MASK] = 0
        x /= p.pull
        price += step
    if rings[side, s.best[side] & MASK] == 0:  # they left, and quote where they now want to
        other = s.best[1 - side]
        if (top - other) * step <= 0:
            top = other + step
        rings[side, top & MASK] = max(rings[side, top & MASK], p.shown)
        _settle(s, rings, side)


@njit(cache=True, nogil=True)
def _join(s, p, rings, side, top, supply, u):
    """Orders join and leave the levels from the quote outwards."""
    step = -1 if side == 0 else 1
    other = s.best[1 - side]
    for k in range(DEEP):
        price = top + step * k
        if (price - other) * step <= 0:
            continue
        at = price & MASK
        x = u[k]
        if x < p.add:
            lots = int(np.rint(2.0 * (x / p.add) * p.joins[k] * supply))
            rings[side, at] += lots
            if lots > 0 and (price - s.best[side]) * step < 0:
                s.best[side] = price
        elif x > 1.0 - p.cancel and rings[side, at] > 0:
            gone = (1.0 - x) / p.cancel
            rings[side, at] -= int(gone * rings[side, at])
            if gone > 0.9 and price != s.best[side]:
                rings[side, at] = 0


@njit(cache=True, nogil=True)
def _write_book(s, p, rings, price, qty):
    """The best levels of both sides: ``price`` and ``qty`` int64[2, levels]."""
    for side in range(2):
        step = -1 if side == 0 else 1
        at = s.best[side]
        n = 0
        for i in range(512):
            if n == p.levels:
                break
            if i >= 4 * DEEP and rings[side, at & MASK] == 0:
                rings[side, at & MASK] = 1  # a forgotten order, far away
            if rings[side, at & MASK] > 0:
                price[side, n] = at
                qty[side, n] = rings[side, at & MASK]
                n += 1
            at += step


@njit(cache=True, nogil=True)
def _write_quote(s, rings, ms, quotes):
    """A row of ms, bid, quantity, ask, quantity, where it differs from the one before."""
    n = s.quotes
    b, a = s.best[0], s.best[1]
    bq, aq = rings[0, b & MASK], rings[1, a & MASK]
    q = quotes[n - 1]
    if n > 0 and q[1] == b and q[2] == bq and q[3] == a and q[4] == aq:
        return
    quotes[n, 0], quotes[n, 1], quotes[n, 2], quotes[n, 3], quotes[n, 4] = ms, b, bq, a, aq
    s.quotes = n + 1


@njit(cache=True, nogil=True)
def _remember(s, second):
    """Running extremes of the mid, by second."""
    mid = _mid(s)
    k = second & 511
    if second != s.second:
        s.hi[k] = s.lo[k] = mid
        s.second = second
    s.hi[k] = max(s.hi[k], mid)
    s.lo[k] = min(s.lo[k], mid)
    if s.active:
        s.worst = max(s.worst, mid) if s.side > 0 else min(s.worst, mid)


@njit(cache=True, nogil=True)
def run(s, p, rings, controls, orders, u, out, touch, quotes, price, qty, levels, start_ms):
    """Fold one block: orders and steps in time order. True when done, False when ``out`` is full.

    ``orders`` int64[n, 4]: ms, side, lots, condition; ``controls`` and ``u`` by step; ``out``
    int64[:, 4] prints (ms, price, lots, side), ``touch`` int64[:, 2], ``quotes`` int64[:, 5],
    ``price`` and ``qty`` int64[books, 2, levels].
    """
    steps = len(controls)
    while s.step <= steps:
        last = s.step == steps
        now = start_ms + s.step * p.step_ms
        c = controls[min(max(s.step - 1, 0), steps - 1)]
        while s.order < len(orders) and (last or orders[s.order, 0] <= now):
            if s.prints + RESERVE > len(out) or s.quotes + RESERVE > len(quotes):
                return False
            order = orders[s.order]
            if _wants(s, c, order[3], order[1]):
                reach = 3 * WALK_MAX if order[3] == RUN else WALK_MAX
                _take(s, p, rings, order[0], order[1], order[2], reach, out, touch)
                _remember(s, order[0] // 1000)
                _write_quote(s, rings, order[0], quotes)
            s.order += 1
        if last:
            break
        if s.quotes + RESERVE > len(quotes):
            return False
        c = controls[s.step]
        if c.event != 0:
            _control(s, p, rings, c, levels)
        _quote(s, p, rings, c, u[s.step])
        _remember(s, now // 1000)
        _write_quote(s, rings, now, quotes)
        if s.step % p.steps_per_book == 0:
            k = s.step // p.steps_per_book
            _write_book(s, p, rings, price[k], qty[k])
        s.step += 1
    return True


RESERVE = 64
"""Free rows that one order or step may need."""


def fill(rings: np.ndarray, state: np.recarray, params: np.recarray) -> None:
    """A first book around the fair value, 400 ticks deep, in place."""
    centre = int(state.fair)
    state.best[0], state.best[1] = centre - 1, centre + 1
    for k in range(400):
        lots = max(int(params.joins[min(k, DEEP - 1)] * 2), 1)
        rings[0, (centre - 1 - k) & MASK] = lots
        rings[1, (centre + 1 + k) & MASK] = lots
