"""What a handler is to a fold: its state, its parameters, and the calls that it makes at each hook.

Owns the record :class:`Handler`. The calls are source lines, which the fold generator pastes into a
module of its own (closures over dispatchers would never hit numba's disk cache). Names that a call
may use: ``s`` state record, ``p`` params record, ``o`` output record, ``core``, ``now`` (boundary,
ns), the columns of the event kind (``trade_price``, ``depth_bid_qty``), ``side`` (resolved
aggressor), ``i`` and ``k`` (run of trades [i, k)), ``r`` (row of another kind). It refuses to know
which handlers there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data.events import Kind


@dataclass(frozen=True)
class Handler:
    """One handler: ``hooks`` maps a hook name to source lines, ``imports`` names what they use.

    Hooks: trades, depth, quote, bar, control, reference, gap_trade, gap_depth, boundary, session;
    metrics (every handler has had its boundary, its numbers are filled in); decided (the decision
    is made, or was not asked for, and is about to be written); rows (a candle ends, its footprint
    still stands; ``minute_ends`` and ``five_ends`` tell which do beside that of 15 s) and candle
    (it is closed; ``frames`` is how many timeframes closed, 1 to 3).
    """

    name: str
    state: np.dtype
    module: str
    imports: tuple[str, ...]
    hooks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    params: np.dtype | None = None
    needs: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = (Kind.TRADE, Kind.GAP)
