"""Trades and gaps as batches, and a market whose truth is a logistic one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from data.enums import Kind
from data.log import Batch
from engine.calibrate.fit import Rows
from engine.calibrate.fitting import Market
from engine.calibrate.labels import label, uniqueness

S = 1_000_000_000


def batches(
    ts_ns: Sequence[int],
    price: Sequence[int],
    gaps: Sequence[tuple[int, int, int, int]] = (),
    cuts: Sequence[int] = (),
) -> list[Batch]:
    """Trades, cut at ``cuts``; gaps (from, to, stream, filled) come with the first batch."""
    ts, prices = np.array(ts_ns, dtype=np.int64), np.array(price, dtype=np.int64)
    rows = np.array(gaps, dtype=np.int64).reshape(-1, 4)
    places = sorted({0, len(ts), *(c for c in cuts if c < len(ts))})
    out = []
    for a, b in pairwise(places):
        g = rows if a == 0 else rows[:0]
        out.append(
            Batch(
                {
                    Kind.TRADE: {"ts_ns": ts[a:b], "price": prices[a:b]},
                    Kind.GAP: {
                        "ts_ns": g[:, 0], "from_ns": g[:, 0], "to_ns": g[:, 1],
                        "stream": g[:, 2].astype(np.int8), "filled": g[:, 3].astype(np.int8),
                    },
                },
                np.zeros(0, np.int8), np.zeros(0, np.int64), b - a,
            )
        )  # fmt: skip
    return out


def planted(
    seed: int, events: int, beta: Sequence[float], cost: float = 0.0, reach: int = 5
) -> tuple[Rows, Market, np.ndarray]:
    """Rows and market of a tape in which P(win | side) = sigmoid(side * beta . s) exactly.

    From each decision on the price goes one unit up or down a second, up with probability q, until
    it is ``reach`` away: gambler's ruin, P(up first) = sigmoid(reach * logit(q)). Also returns the
    true probability of the purchase. Scores are sparse, as those of detectors are.
    """
    r = np.random.default_rng(seed)
    speaks = r.random((events, 8)) < 0.4
    scores = np.where(speaks, r.uniform(-1, 1, (events, 8)), 0.0)
    truth = 1 / (1 + np.exp(-scores @ np.array(beta)))
    ts, prices, start, now, price = [0], [10_000], [], S, 10_000
    for p in truth:
        start.append(now)
        q = 1 / (1 + np.exp(-np.log(p / (1 - p)) / reach))
        ts.append(now)
        prices.append(price)
        from_price = price
        while abs(price - from_price) < reach:
            now += S
            price += 1 if r.random() < q else -1
            ts.append(now)
            prices.append(price)
        now += S
    ts.append(now + 10_000 * S)
    prices.append(price)
    far = np.full(events, reach)
    labels = label(
        batches(ts, prices), np.array(start), far, far, np.full(events, cost), 0, 10_000 * S
    )
    assert labels.whole.all()
    weight = np.column_stack([uniqueness(labels.start_ns, labels.end_ns[:, k]) for k in range(2)])
    rows = Rows(scores, labels.won, weight, labels.start_ns, labels.last_ns)
    side = np.sign(np.round(scores @ np.abs(np.array(beta) + 0.1), 9)).astype(np.int64)
    needed = (labels.stop + labels.cost) / (labels.stop + labels.target)
    market = Market(needed, labels.net, labels.entry.astype(float), labels.stop, side)
    return rows, market, truth
