"""level: trades nothing; its decisions carry the VIX as it was known (``plan``, at 1e-9)."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.runtime.strategy import Strategy


@njit(cache=True, nogil=True)
def decide(s, p, o, now, grid):
    d = s.core.decision
    d.plan = s.reference.vix_fp9
    d.qty = s.reference.known
    d.delta = s.reference.seen


STRATEGY = Strategy(
    "level", "Write down the VIX.", ("reference",), (), np.dtype([("unused", "i8")]), decide
)
