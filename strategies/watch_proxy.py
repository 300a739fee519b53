"""watch_proxy: look at order flow that is made of quotes or bars, and trade nothing.

For instruments without prints (gold, FX): quotes become pseudo trades inside the fold, every
detector runs on them, and what its source cannot know it does not say. A run fills the table
``signals`` with every direction that was not 0; a decision carries the delta of 30 s, the CVD, the
source's confidence as ``book_fp9`` and the seed's aggressor ratio as ``delta_z_fp9``. It refuses to
judge what is said.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.signals import signal_write
from engine.runtime.strategy import Strategy

DETECTORS = (
    "cvd_divergence",
    "delta_divergence",
    "absorption",
    "sweep",
    "vwap_deviation",
    "cvd_trend",
    "diagonal",
    "delta_turn",
    "tape",
    "prints",
    "proxy_metrics",
)
"""Names of the detectors in the manifest; a signal's ``detector`` is the place in this list."""
GATES = ("quality_good", "quality_proxy", "quality_limited", "by_proxy")
"""Bits of ``gates``: what the flow is worth at a decision, and whether it comes by proxy."""


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """Write the signals that stand at boundary ``now_ns`` (ns UTC), and how good the flow is."""
    d = s.core.decision
    d.delta = s.windows.buy[3] - s.windows.sell[3]
    d.book_fp9 = s.proxy.side_conf_fp9
    d.delta_z_fp9 = s.proxy_metrics.aggressor_ratio_fp9
    quality = s.proxy.data_quality
    d.gates = 0
    if quality > 0:
        d.gates = 1 << (3 - quality)
    if s.proxy.side_source > 3:
        d.gates |= 8
    signal_write(o, d, 0, s.cvd_divergence.signal)
    signal_write(o, d, 1, s.delta_divergence.signal)
    signal_write(o, d, 2, s.absorption.signal)
    signal_write(o, d, 3, s.sweep.signal)
    signal_write(o, d, 4, s.vwap_deviation.signal)
    signal_write(o, d, 5, s.cvd_trend.signal)
    signal_write(o, d, 6, s.diagonal.signal)
    signal_write(o, d, 7, s.delta_turn.signal)
    signal_write(o, d, 8, s.tape.signal)
    signal_write(o, d, 9, s.tape.prints)
    signal_write(o, d, 10, s.proxy_metrics.signal)


STRATEGY = Strategy(
    name="watch_proxy",
    doc="Trade nothing; show the flow that quotes or bars give, and what may be said from it.",
    handlers=(
        "flow",
        "windows",
        "cvd_divergence",
        "delta_divergence",
        "absorption",
        "sweep",
        "vwap_deviation",
        "cvd_trend",
        "diagonal",
        "delta_turn",
        "tape",
        "proxy",
        "proxy_metrics",
    ),
    params=(),
    state=np.dtype([("unused", "i8")], align=True),
    decide=decide,
    gates=GATES,
    detectors=DETECTORS,
)
"""The strategy as the engine takes it."""
