"""plan_watch: evaluate the plans against all that the detectors say, and trade nothing.

Owns no idea of its own. It is how plans are looked at before money follows them: a decision holds
the number of the plan that would act then (the lowest of those that are met) and its side, and
``ofs plan explain`` tells condition by condition why another would not. It refuses to judge a plan.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.plans import plans_next
from engine.runtime.strategy import Strategy
from strategies.watch import STRATEGY as WATCH

GATES = ("plan",)
"""Names of the bits in a decision."""


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """Write down which plan is met at boundary ``now_ns`` (ns UTC)."""
    d = s.core.decision
    d.delta = s.windows.buy[3] - s.windows.sell[3]
    d.book_fp9 = s.book.imbalance5_fp9
    slot = plans_next(s.plans)
    if slot < 0:
        d.blocked |= 1
        return
    d.gates |= 1
    d.plan = s.plans.slots[slot].id
    d.direction = s.plans.slots[slot].direction


STRATEGY = Strategy(
    name="plan_watch",
    doc="Trade nothing; write down which plan would act, for a look at plans.",
    handlers=(*WATCH.handlers, "order_block", "confluence", "metrics", "plans"),
    params=(),
    state=np.dtype([("unused", "i8")], align=True),
    decide=decide,
    gates=GATES,
)
"""The strategy as the engine takes it."""
