"""Probes of metrics and plans: the numbers and the verdicts of every boundary."""

from __future__ import annotations

from numba import njit

from engine.kernel.metrics import METRICS_MAX
from engine.kernel.plans import PLANS_MAX, plans_next


@njit(cache=True, nogil=True)
def metrics(s, p, o, now, grid):
    d = s.core.decision
    for k in range(METRICS_MAX):
        d.delta += (k + 1) * (s.metrics.value[k] % 1_000_003)
        d.entry_delta += (k + 1) * s.metrics.known[k]


@njit(cache=True, nogil=True)
def plans(s, p, o, now, grid):
    d = s.core.decision
    d.plan = plans_next(s.plans) + 1
    for k in range(PLANS_MAX):
        x = s.plans.slots[k]
        d.delta += (k + 1) * x.passed
        d.entry_delta += (k + 1) * x.failed
        d.delta_z_fp9 += (k + 1) * x.unknown
        d.book_fp9 += (k + 1) * x.status
        d.flip_fp9 += (k + 1) * (x.value[0] % 1_000_003)


PLAN_PROBES = {f.__name__: f for f in (metrics, plans)}
BESIDE = {"metrics": ("windows", "flow", "book")}
"""Handlers that the probe of a handler has beside it, because it reads what is there."""
