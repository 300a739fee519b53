"""What a source of sides can know, and what may therefore be said from it.

Owns the names of the sources (the ladder of reference "orderflow" 1.3), how much each knows beyond
the price, and the table of what may be claimed from it. A bar-only proxy may say where the trend of
flow points; it may not claim a divergence, an absorption or a flip. Bulk volume classification of
one second knows some (partial correlation with true delta given the return .33 to .49, AUC of
divergences .77 to .79) but not enough for absorption (AUC .55 to .57); at 5 and 15 s less (.19 to
.36, .11 to .25), so not even a divergence. Pseudo trades stand at the mid and come two a second:
rows of a footprint, single prints and what was eaten of a wall are beyond all of them.
It refuses to know where the volume came from.
"""

from __future__ import annotations

import numpy as np
from numba import njit

NONE, FLAG, QUOTE_RULE, TICK_RULE, BVC_1S, BVC_5S, BVC_15S, BVC_BAR = range(8)
SOURCE_NAMES = ("none", "flag", "quote_rule", "tick_rule", "bvc_1s", "bvc_5s", "bvc_15s", "bvc_bar")
"""``side_source`` by number; the larger number knows less (but none, which knows nothing)."""
SOURCES = len(SOURCE_NAMES)

PRICE, BOOK, TREND, DIVERGENCE, FLIP, SWEEP, ABSORPTION, ROWS, PRINTS = range(9)
CLAIM_NAMES = (
    "price",
    "book",
    "trend",
    "divergence",
    "flip",
    "sweep",
    "absorption",
    "rows",
    "prints",
)
"""What a detector claims: price and book need no flow; trend is the direction of CVD; rows are of
the footprint; prints are single trades (speed of the tape, large ones, what a level traded)."""
CLAIMS = len(CLAIM_NAMES)

UNAVAILABLE, LIMITED, PROXY, GOOD = range(4)
QUALITY_NAMES = ("unavailable", "limited", "proxy", "good")
"""``data_quality`` by number, as the seed names it (reference 11.9)."""

_MAY = np.array(
    [
        # price book trend divergence flip sweep absorption rows prints
        [1, 1, 0, 0, 0, 0, 0, 0, 0],  # none
        [1, 1, 1, 1, 1, 1, 1, 1, 1],  # flag
        [1, 1, 1, 1, 1, 1, 1, 1, 1],  # quote_rule
        [1, 1, 1, 1, 1, 1, 1, 1, 1],  # tick_rule
        [1, 1, 1, 1, 1, 1, 0, 0, 0],  # bvc_1s
        [1, 1, 1, 0, 0, 0, 0, 0, 0],  # bvc_5s
        [1, 1, 1, 0, 0, 0, 0, 0, 0],  # bvc_15s
        [1, 1, 1, 0, 0, 0, 0, 0, 0],  # bvc_bar
    ],
    dtype=np.int64,
)
_CONF = np.array([0, 100, 93, 43, 33, 19, 11, 0], dtype=np.int64) * 10_000_000
_QUALITY = np.array(
    [UNAVAILABLE, GOOD, GOOD, PROXY, PROXY, LIMITED, LIMITED, LIMITED], dtype=np.int64
)

GATED: dict[str, tuple[tuple[str, int], ...]] = {
    "cvd_divergence": (("signal", DIVERGENCE),),
    "delta_divergence": (("signal", DIVERGENCE),),
    "delta_turn": (("signal", DIVERGENCE),),
    "absorption": (("signal", ABSORPTION),),
    "sweep": (("signal", SWEEP),),
    "order_block": (("signal", SWEEP),),
    "cvd_trend": (("signal", TREND),),
    "vwap_deviation": (("signal", PRICE),),
    "diagonal": (("signal", ROWS),),
    "auction": (("signal", ROWS), ("unfinished", ROWS)),
    "tape": (("signal", PRINTS), ("prints", PRINTS)),
    "replenish": (("signal", PRINTS),),
    "walls": (("signal", PRINTS),),
    "toxicity": (("signal", PRINTS),),
    "pressure": (("signal", BOOK),),
    "market_state": (("signal", BOOK),),
    "regime": (("signal", PRICE),),
}
"""The signals of every detector and what each claims; a detector without a line is a bug."""
ZONED: dict[str, int] = {"absorption": ABSORPTION, "diagonal": ROWS, "auction": ROWS}
"""Detectors that keep zones, which plans can ask for."""


@njit(cache=True, nogil=True)
def may_signal(source, what):
    """1 when a source of sides (SOURCE_NAMES) can know what a detector claims (CLAIM_NAMES)."""
    return _MAY[source, what]


@njit(cache=True, nogil=True)
def side_conf(source):
    """Confidence in a side of ``source``, at 1e-9: the lower end of its partial correlation with
    true delta given the return (reference 1.3), 1 for the exchange's own flag."""
    return _CONF[source]


@njit(cache=True, nogil=True)
def source_quality(source):
    """``data_quality`` of flow that comes from ``source`` without holes."""
    return _QUALITY[source]


@njit(cache=True, nogil=True)
def gate_zones(z):
    """Zones (ZONES_STATE) that were drawn from what cannot be known are gone."""
    z.cleared += z.n
    z.n = 0
