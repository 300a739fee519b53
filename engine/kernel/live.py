"""Live matching: the doors of a fold whose orders are executed by a broker.

Owns what market events and time do there: nothing is filled by them. Where flow and execution are
one series they keep the touch, as in simulated matching; where they are not, only quotes of the
execution venue do, and each is a sample of the basis. Orders become intents (``live_orders``),
answers move the account (``live_events``). It refuses to know how anything is sent.

``s`` is a LIVE_STATE record, ``m`` a SIM_STATE, ``p`` a SIM_PARAMS, ``lp`` a LIVE_PARAMS.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Kind
from engine.kernel.account import equity_now
from engine.kernel.basis import BASIS_PARAMS, BASIS_STATE, basis_boundary, basis_quote
from engine.kernel.compiled import inlined
from engine.kernel.live_events import live_broker
from engine.kernel.live_orders import live_cancel, live_move_stop, live_submit
from engine.kernel.live_state import LIVE_PARAMS, LIVE_STATE, LIVE_VIOLATIONS
from engine.kernel.matching import MINUTE_NS, bar_counts
from engine.kernel.matching_book import keep_book, keep_last, keep_quote
from engine.kernel.matching_records import write_equity
from engine.kernel.matching_reports import apply_reports
from engine.kernel.matching_state import NEVER

__all__ = [
    "BASIS_PARAMS",
    "BASIS_STATE",
    "LIVE_PARAMS",
    "LIVE_STATE",
    "LIVE_VIOLATIONS",
    "basis_boundary",
    "live_bar",
    "live_boundary",
    "live_broker",
    "live_cancel",
    "live_depth",
    "live_move_stop",
    "live_quote",
    "live_submit",
    "live_trades",
]

_TRADE = np.int64(Kind.TRADE)
_BAR = np.int64(Kind.BAR)
_QUOTE = np.int64(Kind.QUOTE)
_ZERO = np.int64(0)


@inlined
def live_trades(m, lp, ts, ids, price, side, i, j):
    """Trades [i, j) of int64 arrays happened; the last is the last price. Returns ``j``."""
    if lp.apart == 0 and j > i:
        keep_last(m, _TRADE, ts[j - 1], ids[j - 1], price[j - 1], side[j - 1])
        m.trade_ns = ts[j - 1]
    return j


@inlined
def live_depth(
    m, lp, ts, id_, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1,
):  # fmt: skip
    """A snapshot, as ``sim_depth`` takes it: levels [b0, b1), [a0, a1) of flat int64 arrays."""
    if lp.apart == 0:
        keep_book(m, ts, id_, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1)


@inlined
def live_bar(m, lp, ts, id_, open_ns, high, low, close):
    """A closed bar (price units); its close is the last price if nothing finer was seen in it."""
    if lp.apart == 0 and bar_counts(m, open_ns, high, low):
        keep_last(m, _BAR, ts, id_, close, _ZERO)


@njit(cache=True, nogil=True)
def live_quote(m, lp, b, bp, core, ts, id_, bid, bid_qty, ask, ask_qty):
    """A quote of the execution venue; where flow comes from elsewhere it is a sample of the basis,
    and its mid the last price that anything is valued at once it is old."""
    if keep_quote(m, ts, id_, bid, bid_qty, ask, ask_qty) and lp.apart:
        keep_last(m, _QUOTE, ts, id_, (bid + ask) // 2, _ZERO)
        basis_quote(b, bp, core, ts, bid, ask)


@njit(cache=True, nogil=True)
def live_boundary(m, p, out, now):
    """A decision boundary at ``now`` (ns): a sample of the equity on every whole UTC minute."""
    m.now_ns = max(m.now_ns, now)
    apply_reports(m, NEVER)
    if now % MINUTE_NS == 0:
        write_equity(m, out, now, equity_now(m, p))
