"""What became of a decision: the triple barrier over the log's own trades, and what a label weighs.

Owns the barriers (Marcos Lopez de Prado, Advances in Financial Machine Learning, 2018, ch. 3) and
the weights by average uniqueness (ch. 4). Of every decision both sides are labelled: a purchase and
a sale at the first trade that an order could have met (decision + latency), each with a stop and a
target at a distance from that price, and a time limit. Trades are taken one by one in the order of
the log; the first that reaches a barrier decides, and the stop is looked at before the target.

A row is won (1) when its target is reached first and lies beyond the cost of the round trip. Stop,
time limit and a target that the costs eat are lost (0): with a probability so defined,
(stop + cost) / (target + stop) is at least what a trade needs to break even, because a trade that
ends by time loses less than its stop.

What must hold: a label knows nothing past its end; one that reaches over an unfilled gap of trades
or past the last trade of the range is no label. It refuses to know what the sources said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit

from data.enums import Kind
from data.log import Batch

OPEN, TARGET, STOP, TIME, NONE = range(5)
"""Outcomes; NONE is no label at all (a gap, the end of the log, a stop at nothing)."""

SIDES = (1, -1)
"""Column 0 of every array of rows is the purchase, column 1 the sale."""

COLUMNS: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("ts_ns", "price"),
    Kind.GAP: ("ts_ns", "from_ns", "to_ns", "stream", "filled"),
}
"""What a reader must be asked for."""


@dataclass(frozen=True)
class Labels:
    """n decisions, two sides each.

    ``outcome`` int8[n, 2]; ``start_ns`` int64[n] the decision; ``end_ns`` int64[n, 2] the trade
    that decided; ``net`` float64[n, 2] the result after costs, in price units; ``won`` bool[n, 2];
    ``entry`` int64[n] price paid; ``stop``, ``target``, ``cost`` float64[n] price units.
    """

    outcome: np.ndarray
    start_ns: np.ndarray
    end_ns: np.ndarray
    net: np.ndarray
    won: np.ndarray
    entry: np.ndarray
    stop: np.ndarray
    target: np.ndarray
    cost: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """bool[n]: both sides have a label."""
        return np.asarray((self.outcome != NONE).all(axis=1))

    @property
    def last_ns(self) -> np.ndarray:
        """int64[n]: when the last of the two labels of a decision ends."""
        return np.asarray(self.end_ns.max(axis=1))


@njit(cache=True, nogil=True)
def _walk(
    times: np.ndarray, prices: np.ndarray, first: int, stop: int, from_ns: np.ndarray,
    limit_ns: int, stops: np.ndarray, targets: np.ndarray, entry: np.ndarray,
    entry_ns: np.ndarray, outcome: np.ndarray, end_ns: np.ndarray, last: np.ndarray,
) -> int:  # fmt: skip
    """Take trades (times: running maximum, ns; prices: int64) for decisions [first, stop).

    Fills ``entry``, ``entry_ns``, ``outcome``, ``end_ns`` and ``last`` (exit price) of those that
    a trade decides. Returns the first decision with a side still open.
    """
    n = len(times)
    for d in range(first, stop):
        if outcome[d, 0] != OPEN and outcome[d, 1] != OPEN:
            continue
        k = np.searchsorted(times, from_ns[d]) if entry_ns[d] == 0 else 0
        while k < n:
            x = prices[k]
            if entry_ns[d] == 0:
                entry[d] = x
                entry_ns[d] = times[k]
            for c in range(2):
                if outcome[d, c] != OPEN:
                    continue
                move = x - entry[d] if c == 0 else entry[d] - x
                found = OPEN
                if times[k] >= from_ns[d] + limit_ns:
                    found = TIME
                elif move <= -stops[d]:
                    found = STOP
                elif move >= targets[d]:
                    found = TARGET
                if found != OPEN:
                    outcome[d, c] = found
                    end_ns[d, c] = times[k]
                    last[d, c] = x
            if outcome[d, 0] != OPEN and outcome[d, 1] != OPEN:
                break
            k += 1
    while first < stop and outcome[first, 0] != OPEN and outcome[first, 1] != OPEN:
        first += 1
    return first


def label(
    batches: Iterable[Batch],
    start_ns: np.ndarray,
    stop: np.ndarray,
    target: np.ndarray,
    cost: np.ndarray,
    latency_ns: int,
    limit_ns: int,
    progress: Callable[[int, int], None] = lambda events, market_ns: None,
) -> Labels:
    """Label decisions at ``start_ns`` (ascending) by the trades of ``batches``.

    ``stop``, ``target`` (int64, price units, above 0) and ``cost`` (float, price units for a round
    trip) are arrays of n; ``limit_ns`` runs from the decision plus ``latency_ns``. A trade at or
    past the limit ends the label at its price. ``progress`` gets (trades so far, market time).
    """
    n = len(start_ns)
    from_ns = start_ns + latency_ns
    entry, entry_ns = np.zeros(n, np.int64), np.zeros(n, np.int64)
    outcome = np.zeros((n, 2), np.int8)
    end_ns, last = np.zeros((n, 2), np.int64), np.zeros((n, 2), np.int64)
    gaps: list[np.ndarray] = [np.zeros((0, 2), np.int64)]
    first = now_ns = seen = 0
    for batch in batches:
        gaps.append(_gaps(batch))
        trades = batch.columns.get(Kind.TRADE, {})
        prices = trades.get("price", entry[:0])
        good = prices > 0
        if not good.any():
            continue
        times = np.maximum(np.maximum.accumulate(trades["ts_ns"][good]), now_ns)
        now_ns = int(times[-1])
        reached = int(np.searchsorted(from_ns, now_ns, side="right"))
        first = int(_walk(times, prices[good], first, reached, from_ns, limit_ns, stop, target,
                          entry, entry_ns, outcome, end_ns, last))  # fmt: skip
        seen += len(times)
        progress(seen, now_ns)
    outcome[from_ns + limit_ns > now_ns] = NONE
    outcome[outcome == OPEN] = NONE
    outcome[entry_ns >= from_ns + limit_ns] = NONE
    outcome[(stop <= 0) | (target <= 0)] = NONE
    outcome[_across(np.concatenate(gaps), start_ns, end_ns.max(axis=1))] = NONE
    net = np.column_stack((last[:, 0] - entry, entry - last[:, 1])).astype(np.float64)
    net -= cost[:, None]
    won = (outcome == TARGET) & (net > 0)
    return Labels(outcome, start_ns, end_ns, net, won, entry, stop.astype(np.float64),
                  target.astype(np.float64), cost)  # fmt: skip


def _gaps(batch: Batch) -> np.ndarray:
    """int64[g, 2]: (from, to) of the unfilled gaps of trades in ``batch``, ns."""
    rows = batch.columns.get(Kind.GAP)
    if not rows or not len(rows["ts_ns"]):
        return np.zeros((0, 2), np.int64)
    mine = (rows["filled"] == 0) & (rows["stream"] == int(Kind.TRADE))
    return np.column_stack((rows["from_ns"][mine], rows["to_ns"][mine]))


def _across(gaps: np.ndarray, start_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    """bool[n]: [start, end] touches one of ``gaps``."""
    touched = np.zeros(len(start_ns), dtype=bool)
    for gap_from, gap_to in gaps:
        touched |= (start_ns <= gap_to) & (end_ns >= gap_from)
    return touched


def uniqueness(start_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    """Average uniqueness of labels over [start, end) (int64 ns arrays): float64 in (0, 1].

    The time average, over a label's own span, of one over the number of labels that are alive. The
    sum of all is the number of labels that would tell as much if none overlapped. A label of no
    length counts as one nanosecond long.
    """
    if not len(start_ns):
        return np.zeros(0)
    stop_ns = np.maximum(end_ns, start_ns + 1)
    times = np.unique(np.concatenate((start_ns, stop_ns)))
    opened = np.bincount(np.searchsorted(times, start_ns), minlength=len(times))
    closed = np.bincount(np.searchsorted(times, stop_ns), minlength=len(times))
    alive = np.cumsum(opened - closed)[:-1]
    spans = np.diff(times).astype(np.float64)
    share = np.divide(spans, alive, out=np.zeros_like(spans), where=alive > 0)
    total = np.concatenate(([0.0], np.cumsum(share)))
    at, to = np.searchsorted(times, start_ns), np.searchsorted(times, stop_ns)
    return np.asarray((total[to] - total[at]) / (stop_ns - start_ns))
