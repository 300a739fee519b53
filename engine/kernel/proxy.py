"""Order flow without prints: quotes, or bars, become pseudo trades of both sides.

Owns the ladder's lower half (reference "orderflow" 1.3). Quotes of one interval (1, 5 or 15 s,
whole multiples of UTC) make one bar: V counts its updates (each ``unit`` units of quantity) or
adds up the sizes quoted at the touch, dP is the change of the last mid since the interval before,
and bulk volume classification splits V (:mod:`engine.kernel.bvc`). The parts become at most two
trades at that mid (half a unit rounds to even), stamped with the interval's last nanosecond and
folded when an event or a boundary at or after its end (plus the feed latency of quotes) comes,
never before. The side of the price change comes last. A bar of up to a minute of which neither
trades nor quotes were seen makes up to eight: its path open, high, low, close, a quarter of its
volume each, stamped with its last nanosecond.

What must hold: parts add up to V exactly; no sum or change reaches across a gap or a silence;
where real trades were folded within ``quiet``, nothing is emitted; a late quote keeps its volume
and moves no price. Also owned: which sources the recent past came from, how good that is, and what
may be claimed from it (:mod:`engine.kernel.proxy_gate`). It refuses to know what is made of it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import NS, Kind
from engine.kernel.bvc import BVC_MOMENTS, bvc_fold, bvc_less, bvc_sigma
from engine.kernel.numbers import product_fits
from engine.kernel.proxy_gate import (
    BVC_1S,
    BVC_BAR,
    CLAIMS,
    FLAG,
    LIMITED,
    NONE,
    QUOTE_RULE,
    SOURCES,
    TICK_RULE,
    UNAVAILABLE,
    may_signal,
    side_conf,
    source_quality,
)

HORIZONS = ("1s", "5s", "15s")
_HORIZONS_NS = np.array([NS, 5 * NS, 15 * NS], dtype=np.int64)
UPDATES = 0
SIZES = 1
PARTS = 8
"""Pseudo trades of one bar at most: two at each of open, high, low and close."""
MINUTES = 64
_MINUTE_NS = np.int64(60 * NS)
_NEVER = np.int64(np.iinfo(np.int64).max)
_QUOTES, _BARS = int(Kind.QUOTE), int(Kind.BAR)

TAPE = np.dtype(
    [
        ("ts_ns", "i8", (PARTS,)),
        ("id", "i8", (PARTS,)),
        ("price", "i8", (PARTS,)),
        ("qty", "i8", (PARTS,)),
        ("flag", "i1", (PARTS,)),
        ("side", "i1", (PARTS,)),
    ],
    align=True,
)
"""Pseudo trades as columns, for the hooks that take trades; flag: always 0, no venue set it."""

PROXY_STATE = np.dtype(
    [
        ("interval", "i8"),
        ("updates", "i8"),
        ("volume", "i8"),
        ("due_ns", "i8"),
        ("mid2", "i8"),
        ("price2", "i8"),
        ("base2", "i8"),
        ("base_ns", "i8"),
        ("quote_ns", "i8"),
        ("bar_ns", "i8"),
        ("trade_ns", "i8"),
        ("direction", "i8"),
        ("moments", BVC_MOMENTS, (2,)),
        ("n", "i8"),
        ("tape", TAPE),
        ("trades", "i8"),
        ("emitted", "i8"),
        ("silenced", "i8"),
        ("late", "i8"),
        ("crossed", "i8"),
        ("refused", "i8"),
        ("side_source", "i8"),
        ("side_conf_fp9", "i8"),
        ("data_quality", "i8"),
        ("allowed", "i8", (CLAIMS,)),
        ("last_ns", "i8", (SOURCES,)),
        ("seen", "i8", (3,)),
        ("fresh", "i8", (SOURCES,)),
        ("minute", "i8"),
        ("counts", "i8", (MINUTES, SOURCES)),
    ],
    align=True,
)
"""interval: the one that collects (ts // horizon); mid2, price2, base2: twice the mid in it (0:
none), the last ever, that of the interval before (0: not known); quote_ns, bar_ns, trade_ns: last
quote, end of the last bar, last real trade; direction: of the last change; moments of quotes and of
bars; n pseudo trades in tape; trades, emitted: how many ever and their volume; silenced: volume
kept back; side_source, side_conf, data_quality, allowed (by claim): as of the last boundary."""

PROXY_PARAMS = np.dtype(
    [
        ("horizon", "i8"),
        ("volume", "i8"),
        ("unit", "i8"),
        ("dist", "i8"),
        ("length", "i8"),
        ("warm", "i8"),
        ("quiet_ns", "i8"),
        ("silence_ns", "i8"),
        ("window_ns", "i8"),
        ("memory_ns", "i8"),
        ("gate", "i8"),
    ],
    align=True,
)
"""horizon: index of HORIZONS; volume UPDATES or SIZES; unit: quantity units of one update."""


@njit(cache=True, nogil=True)
def round_half_even(twice):
    """Half of int64 ``twice``, a half rounded to even: mirrored prices round to mirrored ones."""
    half = twice // 2
    return half + (twice & 1) * (half & 1)


@njit(cache=True, nogil=True)
def proxy_due(s):
    """Engine time (ns) at which the interval that collects may be closed; the largest int64 when
    none does."""
    return s.due_ns if s.due_ns > 0 else _NEVER


@njit(cache=True, nogil=True)
def proxy_trades(s, ts, i, j):
    """Real trades [i, j) were folded: int64 ts in ns."""
    latest = s.trade_ns
    for k in range(i, j):
        latest = max(latest, ts[k])
    s.trade_ns = latest


@njit(cache=True, nogil=True)
def proxy_quote(s, p, latency_ns, ts, bid, bid_qty, ask, ask_qty):
    """A quote (int64 prices and quantities, ns); an empty or crossed one is counted and dropped."""
    if bid <= 0 or ask < bid:
        s.crossed += 1
        return
    horizon = _HORIZONS_NS[p.horizon]
    interval = ts // horizon
    if interval < s.interval:
        s.late += 1
    else:
        s.interval = interval
        s.mid2 = bid + ask
        s.price2 = s.mid2
        s.quote_ns = max(s.quote_ns, ts)
    s.updates += 1
    s.volume += p.unit if p.volume == UPDATES else bid_qty + ask_qty
    s.due_ns = (s.interval + 1) * horizon + latency_ns


@njit(cache=True, nogil=True)
def _less(s, p, which, volume, change, known):
    """The smaller part of ``volume``; the bar's ``change`` is judged by the past and then folded.

    ``which``: 0 quotes, 1 bars. Sets ``direction`` where the price changed.
    """
    m = s.moments[which]
    sigma = bvc_sigma(m) if m.n >= p.warm else 0.0
    less = bvc_less(volume, change, sigma, p.dist)
    if known:
        bvc_fold(m, volume, change, p.length)
        if change != 0:
            s.direction = np.int64(1) if change > 0 else np.int64(-1)
    return less


@njit(cache=True, nogil=True)
def _put(s, ts, price, qty, side):
    """Add a pseudo trade to the tape; one of quantity 0 is none."""
    if qty > 0:
        t = s.tape
        t.ts_ns[s.n] = ts
        t.price[s.n] = price
        t.qty[s.n] = qty
        t.flag[s.n] = 0
        t.side[s.n] = side
        s.trades += 1
        t.id[s.n] = s.trades
        s.n += 1
        s.emitted += qty


@njit(cache=True, nogil=True)
def _quiet(s, p, at_ns):
    """True when no real trade was folded within ``quiet`` before ``at_ns``."""
    return s.trade_ns == 0 or at_ns - s.trade_ns >= p.quiet_ns


@njit(cache=True, nogil=True)
def proxy_close(s, p):
    """Close the interval that collects; returns how many pseudo trades stand in the tape."""
    end = (s.interval + 1) * _HORIZONS_NS[p.horizon]
    volume = s.volume
    known = s.mid2 > 0 and s.base2 > 0 and end - s.base_ns <= p.silence_ns
    change = s.mid2 - s.base2 if known else np.int64(0)
    less = _less(s, p, np.int64(0), volume, change, known)
    if s.mid2 > 0:
        s.base2 = s.mid2
        s.base_ns = end
    s.interval += 1
    s.updates = 0
    s.volume = 0
    s.due_ns = 0
    s.mid2 = 0
    s.n = 0
    price = round_half_even(s.price2)
    if volume <= 0 or price <= 0 or not product_fits(price, volume):
        s.refused += 1
    elif not _quiet(s, p, end):
        s.silenced += volume
    else:
        side = np.int64(1) if s.direction >= 0 else np.int64(-1)
        _put(s, end - 1, price, less, -side)
        _put(s, end - 1, price, volume - less, side)
        s.fresh[BVC_1S + p.horizon] += s.n
    return s.n


@njit(cache=True, nogil=True)
def _bar_speaks(s, p, ts, open_ns, high, low):
    """True for a sane bar of up to a minute of which no trade, no quote and no bar was seen."""
    if not 0 < ts - open_ns <= _MINUTE_NS or low <= 0 or high < low:
        return False
    finer = max(s.trade_ns, s.quote_ns)
    return (finer == 0 or finer < open_ns) and s.bar_ns <= open_ns and _quiet(s, p, ts)


@njit(cache=True, nogil=True)
def proxy_bar(s, p, ts, open_ns, open_, high, low, close, volume, trades):
    """A closed bar of [open_ns, ts): int64 prices; V is ``trades`` (tick volume), else ``volume``.

    Returns how many pseudo trades stand in the tape (0 where finer data were seen).
    """
    s.n = 0
    if not _bar_speaks(s, p, ts, open_ns, high, low):
        return s.n
    v = trades * p.unit if trades > 0 else volume
    close2 = 2 * close
    known = s.base2 > 0 and open_ns - s.base_ns <= p.silence_ns
    change = close2 - s.base2 if known else np.int64(0)
    if v <= 0 or not product_fits(high, v):
        s.refused += 1
        return s.n
    less = _less(s, p, np.int64(1), v, change, known)
    s.base2 = close2
    s.base_ns = ts
    s.bar_ns = ts
    side = np.int64(1) if s.direction >= 0 else np.int64(-1)
    _path(s, ts - 1, open_, high, low, close, v, less, side)
    s.fresh[BVC_BAR] += s.n
    return s.n


@njit(cache=True, nogil=True)
def _path(s, at, open_, high, low, close, volume, less, side):
    """Pseudo trades of a bar: open, high, low, close, a quarter of both parts each."""
    done = np.int64(0)
    gone = np.int64(0)
    for step in range(1, 5):
        if step == 1:
            price = open_
        elif step == 2:
            price = high
        elif step == 3:
            price = low
        else:
            price = close
        take = volume * step // 4 - done
        minor = min(less * step // 4 - gone, take)
        done += take
        gone += minor
        _put(s, at, price, minor, -side)
        _put(s, at, price, take - minor, side)


@njit(cache=True, nogil=True)
def proxy_gap(s, p, stream, from_ns):
    """Events of ``stream`` (Kind) were missed from ``from_ns`` on; True where that stream is what
    the flow is made of, so that whoever reads trades must hear of the hole."""
    if stream == _QUOTES:
        s.base2 = 0
        s.mid2 = 0
        return _quiet(s, p, from_ns)
    if stream == _BARS:
        s.base2 = 0
        return _quiet(s, p, from_ns) and (s.quote_ns == 0 or s.quote_ns < from_ns - _MINUTE_NS)
    return False


@njit(cache=True, nogil=True)
def _roll(s, minute):
    """Advance the ring of minutes to ``minute``, clearing what is new."""
    for x in range(max(s.minute + 1, minute - MINUTES + 1), minute + 1):
        for source in range(SOURCES):
            s.counts[x & (MINUTES - 1), source] = 0
    s.minute = max(s.minute, minute)


@njit(cache=True, nogil=True)
def _count(s, sides, now_ns):
    """Book what came since the last boundary, by source: sides (SIDES_STATE) for real trades."""
    s.fresh[FLAG] += sides.by_flag - s.seen[0]
    s.fresh[QUOTE_RULE] += sides.by_quote - s.seen[1]
    s.fresh[TICK_RULE] += sides.by_tick - s.seen[2]
    s.seen[0] = sides.by_flag
    s.seen[1] = sides.by_quote
    s.seen[2] = sides.by_tick
    minute = (now_ns - 1) // _MINUTE_NS
    _roll(s, minute)
    for source in range(SOURCES):
        if s.fresh[source] > 0:
            s.counts[minute & (MINUTES - 1), source] += s.fresh[source]
            s.last_ns[source] = now_ns
            s.fresh[source] = 0


@njit(cache=True, nogil=True)
def _judge(s, p):
    """Source, confidence and quality of the last ``window``: its minutes up to now."""
    spans = min(max(p.window_ns // _MINUTE_NS, 1), MINUTES)
    total = np.int64(0)
    weight = np.int64(0)
    covered = np.int64(0)
    s.side_source = NONE
    for back in range(spans):
        slot = (s.minute - back) & (MINUTES - 1)
        here = np.int64(0)
        for source in range(1, SOURCES):
            n = s.counts[slot, source]
            if n > 0:
                here += n
                weight += n * side_conf(source)
                s.side_source = max(s.side_source, source)
        total += here
        covered += np.int64(here > 0)
    s.side_conf_fp9 = weight // total if total > 0 else np.int64(0)
    s.data_quality = source_quality(s.side_source)
    if 2 * covered < spans:
        s.data_quality = UNAVAILABLE
    elif 5 * covered < 4 * spans:
        s.data_quality = min(s.data_quality, LIMITED)


@njit(cache=True, nogil=True)
def proxy_boundary(s, p, sides, now_ns):
    """Judge the sources at a decision boundary; what may be claimed is ruled by the weakest one
    within ``memory``, because detectors look that far back."""
    _count(s, sides, now_ns)
    _judge(s, p)
    weakest = NONE
    for source in range(1, SOURCES):
        if s.last_ns[source] > 0 and now_ns - s.last_ns[source] < p.memory_ns:
            weakest = source
    for what in range(CLAIMS):
        s.allowed[what] = 1 if p.gate == 0 else may_signal(weakest, what)
