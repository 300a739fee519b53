"""rider: enters with the flow whenever it is flat, so that exits have something to do.

No idea of its own: it is how placement and exits are tried in a whole fold. A decision's ``plan``
is the number of the exit rule that acted.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.absorption import ABSORPTION_STATE
from engine.kernel.core import window_ready
from engine.kernel.ewma import EWMA_STATE, ewma_sigma, ewma_update
from engine.kernel.exits import exits_atr, exits_expect, exits_follow, exits_manage
from engine.kernel.intents import enter_market
from engine.kernel.pivots import PIVOTS_STATE
from engine.kernel.placement import cost_units, money_of, pays_enough, stop_price, target_price
from engine.kernel.sweep import SWEEP_STATE
from engine.runtime.strategy import Param, Strategy

STATE = np.dtype(
    [
        ("sigma", EWMA_STATE),
        ("pivots", PIVOTS_STATE),
        ("absorption", ABSORPTION_STATE),
        ("sweep", SWEEP_STATE),
    ],
    align=True,
)
"""No structure is known: the detectors of one would only make the fold longer to compile."""
WINDOW = 3
WINDOW_NS = 30_000_000_000


@njit(cache=True, nogil=True)
def measure(s, p, now):
    """(window is whole, z) of the delta of 30 s."""
    d = s.core.decision
    d.delta = s.windows.buy[WINDOW] - s.windows.sell[WINDOW]
    ready = window_ready(s.core, now, WINDOW_NS)
    sigma = ewma_sigma(s.strategy.sigma)
    if ready and now % WINDOW_NS == 0:
        ewma_update(s.strategy.sigma, float(d.delta), np.int64(60))
    warm = s.strategy.sigma.n >= 3 and sigma > 0.0
    return ready and warm, float(d.delta) / sigma if warm else 0.0


@njit(cache=True, nogil=True)
def enter(s, p, atr, bid, ask):
    """Enter with the flow, with a stop, a target and a budget of twice the risk."""
    d = s.core.decision
    side = 1 if d.delta > 0 else -1
    at = ask if side > 0 else bid
    w, core = p.strategy, p.core
    stop = stop_price(
        w.stop_mode, w.stop_value_fp9, side, at, atr, core, ask - bid, s.strategy.pivots,
        s.strategy.absorption, s.strategy.sweep,
    )  # fmt: skip
    target = target_price(np.int64(6), w.target_r_fp9, side, at, stop, atr, core, ask - bid)
    cost = cost_units(core, at, ask - bid)
    d.stop = stop
    d.target = target
    if stop == 0 or target == 0 or not pays_enough(side, at, stop, target, cost, np.int64(1)):
        return
    qty = w.qty_lots
    d.qty = qty
    d.risk = money_of(core, float(abs(at - stop)) + cost, qty)
    d.action = 1 if side > 0 else 2
    exits_expect(s.exits, p.flip, d.delta, WINDOW_NS, stop, target, atr, 2 * d.risk)
    enter_market(s.intents, side, qty, stop, target)


@njit(cache=True, nogil=True)
def decide(s, p, o, now, grid):
    d = s.core.decision
    ready, z = measure(s, p, now)
    exits_follow(s.exits, s.flip, p.core, s.known)
    bid = s.book.bid_price[0] if s.book.stale == 0 else np.int64(0)
    ask = s.book.ask_price[0] if s.book.stale == 0 else np.int64(0)
    atr = exits_atr(p.exits, s.atr)
    if s.known.qty != 0:
        d.plan = exits_manage(
            s.exits, p.exits, s.flip, p.flip, p.core, s.intents, d, s.known, now,
            1 if ready else 0, d.delta, z, bid, ask, atr, p.strategy.vix_fp9,
        )  # fmt: skip
    elif s.known.open_orders == 0 and ready and d.delta != 0 and atr > 0.0 and bid > 0:
        enter(s, p, atr, bid, ask)


STRATEGY = Strategy(
    name="rider",
    doc="Enter with the flow whenever flat; leave by the exits.",
    handlers=("flow", "windows", "candles", "book", "atr", "exits"),
    params=(
        Param("stop_mode", "count", "4", "mode of the stop", low=1, high=5),
        Param("stop_value", "ratio", "2", "its value"),
        Param("target_r", "ratio", "3", "target in R"),
        Param("qty", "quantity", "0.1", "size"),
        Param("vix", "ratio", "0", "the VIX, as if it were known"),
    ),
    state=STATE,
    decide=decide,
)
