"""The small moving charts of a symbol: delta, CVD, imbalance and price of the last ten minutes.

Owns reading them off the rings of the windows handler (blocks of five seconds), exact to the last
folded trade: the CVD at the end of a block is the CVD now less what came after it. A fold without
windows is charted by its last decisions.

It refuses to know how a chart is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from data.events import NS, Scales
from engine.kernel.windows import BLOCK_MASK, BLOCK_S, BLOCKS
from engine.runtime.fold import Fold
from engine.runtime.view import ChartView

POINTS = 120
SMOOTHED = 6
"""Blocks that an imbalance is of: half a minute."""


def chart_of(fold: Fold, scales: Scales, decisions: Sequence[Any] | Iterable[Any]) -> ChartView:
    """Charts of ``fold`` as it stands; ``decisions``: its latest decision records."""
    rows = [r for r in decisions if r["price"] > 0][-POINTS:]
    price = tuple(int(r["price"]) / 10**scales.price for r in rows)
    if any(h.name == "windows" for h in fold.composition.handlers):
        return _of_windows(fold, scales, price)
    unit = 10**scales.qty
    last = int(rows[-1]["ts_ns"]) if rows else 0
    delta, cvd = (tuple(int(r[x]) / unit for r in rows) for x in ("delta", "cvd"))
    return ChartView(BLOCK_S, last, delta, cvd, (), price)


def _of_windows(fold: Fold, scales: Scales, price: tuple[float, ...]) -> ChartView:
    core, w = fold.state["core"][0], fold.state["windows"][0]
    if not w["started"] or not core["first_trade_ns"]:
        return ChartView(price=price)
    head = int(w["head_s"]) // BLOCK_S
    last = max(head, int(core["now_ns"]) // NS // BLOCK_S)
    first = max(last - POINTS + 1, int(core["first_trade_ns"]) // NS // BLOCK_S)
    blocks = np.arange(first, last + 1)
    kept = (blocks <= head) & (blocks > head - BLOCKS)
    buy, sell = (np.where(kept, w[x][blocks & BLOCK_MASK], 0) for x in ("block_buy", "block_sell"))
    unit = 10**scales.qty
    return ChartView(
        BLOCK_S,
        (last + 1) * BLOCK_S * NS,
        tuple(((buy - sell) / unit).tolist()),
        _cvd(fold, buy - sell, blocks, unit),
        _imbalance(buy, sell),
        price,
    )


def _cvd(fold: Fold, delta: np.ndarray, blocks: np.ndarray, unit: int) -> tuple[float, ...]:
    """CVD at the end of each block of the running session: it began at zero with the session."""
    if not any(h.name == "flow" for h in fold.composition.handlers):
        return ()
    core, span = fold.state["core"][0], int(fold.params["core"]["session_ns"][0])
    begin = (int(core["session_end_ns"]) - span) // NS // BLOCK_S
    after = np.concatenate((np.cumsum(delta[::-1])[-2::-1], [0]))
    values = int(fold.state["flow"]["cvd"][0]) - after
    return tuple((values[blocks >= begin] / unit).tolist())


def _imbalance(buy: np.ndarray, sell: np.ndarray) -> tuple[float, ...]:
    """(buy - sell) / (buy + sell) of the last SMOOTHED blocks up to each; 0 without trades."""
    ones = np.ones(SMOOTHED)
    difference = np.convolve(buy - sell, ones)[: len(buy)]
    total = np.convolve(buy + sell, ones)[: len(buy)]
    return tuple((difference / np.maximum(total, 1)).tolist())
