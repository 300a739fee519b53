"""A planted cheat: a handler that looks one trade ahead where the batch lets it."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.registry import Handler
from engine.runtime.strategy import Strategy

CHEAT_STATE = np.dtype([("seen", "i8")], align=True)


@njit(cache=True, nogil=True)
def cheat_trades(s, price, i, k):
    s.seen = price[min(k, len(price) - 1)]


@njit(cache=True, nogil=True)
def decide(s, p, o, now, grid):
    s.core.decision.delta = s.cheat.seen


HANDLER = Handler(
    "cheat", CHEAT_STATE, "tests.engine.cheat", ("cheat_trades",),
    {"trades": ("cheat_trades(s.cheat, trade_price, i, k)",)},
)  # fmt: skip
STRATEGY = Strategy("cheat", "Looks ahead.", ("cheat",), (), np.dtype([("unused", "i8")]), decide)
