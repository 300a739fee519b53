"""The job as a strategy of ofs: one compiled hook, in two companies.

Owns the decisions in compiled form. Must hold: the same rules as `tests.bench.job.decide`, over
integers. `bare` compiles in what the job needs, `all` every handler that the engine has.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.intents import enter_market, exit_market
from engine.kernel.registry import HANDLERS
from engine.runtime.strategy import Param, Strategy
from tests.bench.job import FLIP_DEN, FLIP_NUM

STATE = np.dtype(
    [
        ("cvd_before", "i8"),
        ("cvd_total", "i8"),
        ("sessions", "i8"),
        ("entry_delta", "i8"),
        ("orders", "i8"),
        ("checksum", "i8"),
    ],
    align=True,
)
"""CVD at the last decision, the sum of all step deltas, the entry's delta, orders, checksum."""


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """One decision: enter with the step's delta, leave when it flips by 80 %."""
    m = s.strategy
    d = s.core.decision
    v = s.known
    delta = s.flow.cvd - m.cvd_before
    m.cvd_before = s.flow.cvd
    d.delta = delta
    d.entry_delta = m.entry_delta
    side = 0
    if v.qty == 0:
        if delta > p.strategy.threshold:
            side = 1
        elif delta < -p.strategy.threshold:
            side = -1
        if side != 0:
            m.entry_delta = delta
            d.action = 1 if side > 0 else 2
            enter_market(s.intents, side, p.strategy.order_qty, 0, 0)
    else:
        held = 1 if v.qty > 0 else -1
        if -held * delta * FLIP_DEN >= abs(m.entry_delta) * FLIP_NUM:
            side = -held
            d.action = 3
            exit_market(s.intents, v.qty, 1)
    if side != 0:
        d.direction = side
        m.orders += 1
        m.checksum += side * s.core.decisions


def strategy(variant: str) -> Strategy:
    """The job with the handlers it needs (`bare`) or with every handler (`all`)."""
    return Strategy(
        name=f"bench_{variant}",
        doc="The job of the peers' comparison.",
        handlers=("flow",) if variant == "bare" else tuple(HANDLERS),
        params=(
            Param("threshold", "count", "0", "lots of delta in a step that start an entry"),
            Param("order_qty", "count", "1", "lots of an order"),
        ),
        state=STATE,
        decide=decide,
    )
