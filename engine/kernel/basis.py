"""The basis: what the execution venue's price has over the price of the flow.

Owns one number, its mean over event time and whether it may be leaned on. Where orders are executed
in another series than the one whose flow is read (a CFD against the futures it follows), levels are
thought in prices of the flow and sent in prices of the venue: the basis is what lies between. It is
sampled at each quote of the venue, as its mid less the last price of the flow, and averaged over
event time: a sample that comes dt after the one before has the weight dt / (dt + tau), with tau the
half-life over ln 2. That is the exponential mean in its implicit form: every dt is allowed, and
nothing but a division is needed, so all machines agree.

What must hold: without a fresh sample, or out of its bounds, the basis is not good, and no entry is
sent. Where flow and execution are one series it is 0 and good. It refuses to know orders.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BASIS_STATE = np.dtype(
    [
        ("n", "i8"),
        ("ts_ns", "i8"),
        ("last2", "i8"),
        ("units", "i8"),
        ("good", "i8"),
        ("mean", "f8"),
    ],
    align=True,
)
"""n: samples taken; ts_ns: time of the last one; last2: twice the last one (price units, twice
because a mid may be half a unit); mean: price units; units: the mean as a whole number of them;
good: 1 when it may be leaned on, as of the last boundary."""

BASIS_PARAMS = np.dtype(
    [("half_life_ns", "i8"), ("most_fp9", "i8"), ("change_fp9", "i8"), ("stale_ns", "i8")],
    align=True,
)
"""most: largest basis, change: largest distance of the last sample from the mean, both as a share
of the flow's price at 1e-9 (0: off); stale: oldest sample or flow that counts."""

_LN2 = math.log(2.0)


@njit(cache=True, nogil=True)
def basis_quote(s, p, core, ts_ns, bid, ask):
    """A quote of the execution venue (ns, price units) meets the last price of the flow.

    A quote that is crossed or has an empty side is no sample, nor is one that finds no flow, or
    only one that has been silent for ``stale``.
    """
    price = core.last_price
    if price <= 0 or bid <= 0 or ask < bid or ts_ns - core.last_trade_ns > p.stale_ns:
        return
    s.last2 = bid + ask - 2 * price
    sample = 0.5 * float(s.last2)
    if s.n == 0:
        s.mean = sample
    else:
        dt = float(max(np.int64(0), ts_ns - s.ts_ns))
        tau = float(p.half_life_ns) / _LN2
        s.mean += dt / (dt + tau) * (sample - s.mean)
    s.ts_ns = max(s.ts_ns, ts_ns)
    s.n += 1
    s.units = np.int64(np.rint(s.mean))


@njit(cache=True, nogil=True)
def basis_boundary(s, p, apart, core, now_ns):
    """At a boundary (ns): may the basis be leaned on? ``apart`` 0: there is but one series."""
    if apart == 0:
        s.good = 1
        return
    price = float(core.last_price)
    most = price * float(p.most_fp9) * 1e-9
    change = price * float(p.change_fp9) * 1e-9
    fresh = s.n > 0 and now_ns - s.ts_ns <= p.stale_ns
    near = p.most_fp9 == 0 or abs(s.mean) <= most
    calm = p.change_fp9 == 0 or abs(0.5 * float(s.last2) - s.mean) <= change
    s.good = 1 if fresh and near and calm else 0


@njit(cache=True, nogil=True)
def to_execution(s, apart, step, price):
    """A price of the flow (units, 0: none) as one of the execution venue, on its grid ``step``."""
    if apart == 0 or price == 0:
        return price
    moved = price + s.units
    return max(step, (moved + step // 2) // step * step)
