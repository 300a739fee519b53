"""How far price stands from the session's VWAP, in weighted deviations, and what that says.

Owns z = (P - VWAP) / sigma_w at every boundary and, from it, a signed lean: back towards the VWAP
in a range, s = -sgn(z) * clip((|z| - 1) / 2, 0, 1); in a trend nothing, or with the move when
``follow`` is set. A trend is an efficiency ratio above ``trend``. (The seed names a deviation of
"70 %" and gives it neither unit nor sign.) What must hold: no word before ``warmup_ns`` of the
session has been seen, nor after trades of this session were missed (its VWAP would be another),
nor while the minutes that tell range from trend reach over a gap. A session that was joined in its
middle is taken from its first trade seen. It refuses to know how the sum is kept (see ``vwap``).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.efficiency import efficiency_fp9
from engine.kernel.numbers import fp9, isqrt_float
from engine.kernel.signals import SIGNAL_STATE, signal_set, signal_unready

VWAP_DEVIATION_STATE = np.dtype([("signal", SIGNAL_STATE), ("efficiency_fp9", "i8")], align=True)
"""signal.value_fp9 is z; efficiency_fp9: ratio at the last boundary, -1 where unknown."""

VWAP_DEVIATION_PARAMS = np.dtype(
    [("warmup_ns", "i8"), ("bars", "i8"), ("trend_fp9", "i8"), ("follow", "i8")], align=True
)
"""warmup_ns of a session; bars: minutes of the efficiency ratio; trend_fp9: ratio above which
it is a trend; follow 1: lean with the move in a trend, 0: keep silent there."""

INNER = 1.0
WIDTH = 2.0
"""The lean starts at one sigma and is full two sigmas further out."""


@njit(cache=True, nogil=True)
def _known(p, v, core, session_ns, now_ns):
    """True when the session's sum is whole and long enough to be measured against."""
    since = max(core.session_end_ns - session_ns, core.first_trade_ns)
    return (
        core.first_trade_ns > 0
        and v.weight > 0.0
        and now_ns - since >= p.warmup_ns
        and core.trade_gap_ns <= since
    )


@njit(cache=True, nogil=True)
def vwap_distance(v, price):
    """z at 1e-9 of int64 ``price`` against one weighted sum ``v``; 0 where sigma is 0.

    Taken relative to the sum's origin, so that mirrored prices mirror exactly.
    """
    if v.weight <= 0.0:
        return np.int64(0)
    sigma = isqrt_float(v.squares / v.weight)
    if sigma == 0.0:
        return np.int64(0)
    return fp9((float(price - v.origin) - v.mean) / sigma)


@njit(cache=True, nogil=True)
def vwap_deviation_boundary(s, p, v, candles, core, session_ns, now_ns):
    """The lean as of ``now_ns``: ``v`` is the session's weighted sum, ``core`` the engine's."""
    s.efficiency_fp9 = efficiency_fp9(candles, p.bars)
    if s.efficiency_fp9 < 0 or not _known(p, v, core, session_ns, now_ns):
        signal_unready(s.signal)
        return
    z_fp9 = vwap_distance(v, candles.open[0].close)
    z = float(z_fp9) / FP9
    lean = (abs(z) - INNER) / WIDTH
    direction = np.int64(0)
    if lean > 0.0:
        direction = np.int64(-1) if z_fp9 > 0 else np.int64(1)
        if s.efficiency_fp9 > p.trend_fp9:
            direction = -direction if p.follow == 1 else np.int64(0)
    signal_set(s.signal, direction, lean, z, INNER)
