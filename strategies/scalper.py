"""scalper: the whole order-flow system on a market with prints and a book (BTC on Binance flow).

Owns no idea of its own: it puts the parts together. Detectors speak, the classifier adds them up,
plans ask their conditions, and the desk (``engine.kernel.desk``) does the rest: life cycle, place
of stop and target, size, guards, exits. Plans (``--plans``) come before the classifier. In
``standard`` mode, the default, the classifier's score trades at ``confluence.threshold`` until a
model is fitted (``ofs calibrate``); from then on the lower bound of its probability must beat what
the stop, the target and the costs need. The settings of the seed system: see ``SEED``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.desk import GATES, desk_decide
from engine.kernel.risk import REFUSALS
from engine.kernel.signals import signal_write
from engine.runtime.strategy import Strategy

DETECTORS = (
    "absorption", "delta_divergence", "liquidity_sweep", "cvd_divergence", "vwap_deviation",
    "pressure", "cvd_trend", "diagonal", "exhaustion", "unfinished", "delta_turn", "tape", "prints",
    "replenish", "walls", "regime", "market_state", "confluence", "microstructure",
)  # fmt: skip
"""Names of the detectors in the manifest; a signal's ``detector`` is the place in this list."""


@njit(cache=True, nogil=True)
def _sources(s, d, o):
    """The eight sources of the classifier, in its order."""
    signal_write(o, d, 0, s.absorption.signal)
    signal_write(o, d, 1, s.delta_divergence.signal)
    signal_write(o, d, 2, s.sweep.signal)
    signal_write(o, d, 3, s.cvd_divergence.signal)
    signal_write(o, d, 4, s.vwap_deviation.signal)
    signal_write(o, d, 5, s.pressure.signal)
    signal_write(o, d, 6, s.cvd_trend.signal)
    signal_write(o, d, 7, s.diagonal.signal)


@njit(cache=True, nogil=True)
def _others(s, d, o):
    signal_write(o, d, 8, s.auction.signal)
    signal_write(o, d, 9, s.auction.unfinished)
    signal_write(o, d, 10, s.delta_turn.signal)
    signal_write(o, d, 11, s.tape.signal)
    signal_write(o, d, 12, s.tape.prints)
    signal_write(o, d, 13, s.replenish.signal)
    signal_write(o, d, 14, s.walls.signal)
    signal_write(o, d, 15, s.regime.signal)
    signal_write(o, d, 16, s.market_state.signal)


@njit(cache=True, nogil=True)
def _scores(s, d, o):
    signal_write(o, d, 17, s.confluence.signal)
    signal_write(o, d, 18, s.microstructure.signal)


@njit(cache=True, nogil=True)
def signals(s, d, o):
    """Write every signal that stands at decision ``d`` (record)."""
    _sources(s, d, o)
    _others(s, d, o)
    _scores(s, d, o)


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """One decision at boundary ``now_ns`` (ns UTC)."""
    desk_decide(s, p, now_ns)
    signals(s, s.core.decision, o)


HANDLERS = (
    "flow", "windows", "candles", "footprint", "vwap", "book", "diagonal", "auction", "delta_turn",
    "tape", "atr", "pivots", "impact", "cvd_divergence", "vwap_deviation", "delta_divergence",
    "cvd_trend", "absorption", "pressure", "toxicity", "regime", "walls", "market_state", "sweep",
    "replenish", "order_block", "reference", "confluence", "microstructure", "metrics", "plans",
    "flip", "exits", "lifecycle", "risk", "desk",
)  # fmt: skip
"""Everything: what a plan may ask for must be in the fold."""

STRATEGY = Strategy(
    name="scalper",
    doc="Plans and confluence of every detector, with life cycle, exits and risk.",
    handlers=HANDLERS,
    params=(),
    state=np.dtype([("unused", "i8")], align=True),
    decide=decide,
    gates=GATES,
    detectors=DETECTORS,
    refusals=REFUSALS,
    overrides=(("confluence.threshold", "0.2"), ("flip.mode", "cusum")),
)
"""The strategy as the engine takes it."""
