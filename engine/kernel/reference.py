"""Levels beside the market: the last close of another series, such as the VIX.

Owns the value as of now. What must hold: a bar counts from its end (plus ``latency``), never
before; a value older than ``age`` is not known; nothing of it is mixed with the symbol's own bars.
It refuses to know where the series lies in the log: whoever opens the reader does.
"""

from __future__ import annotations

import numpy as np
from numba import njit

REFERENCE_STATE = np.dtype(
    [("vix_fp9", "i8"), ("at_ns", "i8"), ("known", "i8"), ("seen", "i8")], align=True
)
"""vix_fp9: last close at 1e-9, 0 where it is not known; at_ns: end of its bar; known 0 or 1; seen:
bars so far."""

REFERENCE_PARAMS = np.dtype([("vix", "i8"), ("latency_ns", "i8"), ("age_ns", "i8")], align=True)
"""vix: 1 where a series is named; latency: from a bar's end to our knowledge; age: oldest that
counts (ns)."""


@njit(cache=True, nogil=True)
def reference_bar(s, ts_ns, close):
    """A bar that ended at ``ts_ns`` closed at ``close`` (1e-9)."""
    s.vix_fp9 = max(close, 0)
    s.at_ns = ts_ns
    s.known = 1 if close > 0 else 0
    s.seen += 1


@njit(cache=True, nogil=True)
def reference_boundary(s, p, now_ns):
    """What is too old at boundary ``now_ns`` is forgotten."""
    if s.known == 1 and now_ns - s.at_ns > p.age_ns:
        s.known = 0
        s.vix_fp9 = 0
