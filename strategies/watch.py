"""watch: write down what every detector says at every boundary, and trade nothing.

Owns no idea of its own. It is how a detector is looked at: a run of it fills the table ``signals``
with every direction that was not 0, and ``ofs query`` tells how often each spoke, how strongly, and
what the price did then. The two classifiers are written down beside them, and a decision carries
the score of the confluence. It refuses to judge what is said.
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
    "exhaustion",
    "unfinished",
    "delta_turn",
    "tape",
    "prints",
    "pressure",
    "replenish",
    "walls",
    "regime",
    "market_state",
    "confluence",
    "microstructure",
)
"""Names of the detectors in the manifest; a signal's ``detector`` is the place in this list."""


@njit(cache=True, nogil=True)
def _flow(s, d, o):
    signal_write(o, d, 0, s.cvd_divergence.signal)
    signal_write(o, d, 1, s.delta_divergence.signal)
    signal_write(o, d, 2, s.absorption.signal)
    signal_write(o, d, 3, s.sweep.signal)
    signal_write(o, d, 4, s.vwap_deviation.signal)
    signal_write(o, d, 5, s.cvd_trend.signal)


@njit(cache=True, nogil=True)
def _rows(s, d, o):
    signal_write(o, d, 6, s.diagonal.signal)
    signal_write(o, d, 7, s.auction.signal)
    signal_write(o, d, 8, s.auction.unfinished)
    signal_write(o, d, 9, s.delta_turn.signal)
    signal_write(o, d, 10, s.tape.signal)
    signal_write(o, d, 11, s.tape.prints)


@njit(cache=True, nogil=True)
def _book(s, d, o):
    signal_write(o, d, 12, s.pressure.signal)
    signal_write(o, d, 13, s.replenish.signal)
    signal_write(o, d, 14, s.walls.signal)
    signal_write(o, d, 15, s.regime.signal)
    signal_write(o, d, 16, s.market_state.signal)


@njit(cache=True, nogil=True)
def _classifiers(s, d, o):
    signal_write(o, d, 17, s.confluence.signal)
    signal_write(o, d, 18, s.microstructure.signal)
    d.score_fp9 = s.confluence.score_fp9
    d.probability_fp9 = s.confluence.probability_fp9


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """Write the signals that stand at boundary ``now_ns`` (ns UTC)."""
    d = s.core.decision
    d.delta = s.windows.buy[3] - s.windows.sell[3]
    d.book_fp9 = s.book.imbalance5_fp9
    _flow(s, d, o)
    _rows(s, d, o)
    _book(s, d, o)
    _classifiers(s, d, o)


STRATEGY = Strategy(
    name="watch",
    doc="Trade nothing; write down what every detector says, for a look at them.",
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
        "auction",
        "delta_turn",
        "tape",
        "pressure",
        "replenish",
        "walls",
        "regime",
        "market_state",
        "toxicity",
        "confluence",
        "microstructure",
    ),
    params=(),
    state=np.dtype([("unused", "i8")], align=True),
    decide=decide,
    detectors=DETECTORS,
)
"""The strategy as the engine takes it."""
