"""What trading cost: fees, and each fill's implementation shortfall as spread and slippage.

The formula
    The benchmark is the arrival price: the middle M of bid and ask when the order was sent (for a
    stop or target held by the broker: when it fired). A fill of side d (+1 buys) at price P of
    quantity q fell short of it by d (P - M) q (Perold (1988), "The implementation shortfall: paper
    versus reality"). Of that,

    * spread = half of the spread quoted when the order was sent, (ask - bid) / 2 q: paid by a
      taker, earned by a maker (then negative);
    * slippage = all the rest: the market moved on the way, the spread widened, the order walked
      the book, or (negative) the price was better than what was quoted;
    * delay, a part of slippage = d (M' - M) q, where M' is the middle in the matching engine at
      the fill: what the move of the market between the two cost (Wagner, Edwards (1993)).

What must hold, exactly, in integers of money (1e-8), for every fill and in total:
spread + slippage = shortfall, and net result + fees + spread + slippage = result at the arrival
middles without any cost. Each term is rounded half away from zero once, slippage is the difference.

A fill whose order knew no bid or no ask has no benchmark but its own price: its spread, slippage
and delay are 0 and it is counted in ``unknown``. A spread that the fill model assumed
(``sim.spread``, where the log has neither books nor quotes) counts as the spread that was quoted.

It refuses to know what a position is. What the open position of a run's end cost to enter is in the
sums; what it may bring is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.events import Liquidity

_SAFE = float(1 << 62)


@dataclass(frozen=True)
class Costs:
    """Costs a fill, int64 money arrays in the order of the fills, and which have no benchmark.

    Positive is paid. ``known`` is a bool array: False where spread and slippage are unknown.
    """

    fees: np.ndarray
    spread: np.ndarray
    slippage: np.ndarray
    delay: np.ndarray
    traded: np.ndarray
    known: np.ndarray

    @property
    def unknown(self) -> int:
        """How many fills have no benchmark."""
        return int(len(self.known) - self.known.sum())

    @property
    def total(self) -> int:
        """Fees, spread and slippage of all fills, money."""
        return sum_of(self.fees) + sum_of(self.spread) + sum_of(self.slippage)


def costs_of(
    fills: dict[str, np.ndarray], orders: dict[str, np.ndarray], mul: int, div: int
) -> Costs:
    """Costs of ``fills`` by their ``orders``: columns of the two record tables, integers.

    Of the fills order_id, side, price, qty, fee, liquidity, bid and ask are read, of the orders
    id, bid and ask. money = price * qty * mul / div, as in
    ``engine.broker.simulated.money_factors``. A fill whose order has no row has no benchmark.
    """
    bid0, ask0 = _of_orders(fills["order_id"], orders)
    known = (bid0 > 0) & (ask0 > 0)
    seen = known & (fills["bid"] > 0) & (fills["ask"] > 0)
    bid1, ask1 = np.where(seen, fills["bid"], bid0), np.where(seen, fills["ask"], ask0)
    price, qty, side = (fills[name].astype(np.int64) for name in ("price", "qty", "side"))
    pays = np.where(fills["liquidity"] == int(Liquidity.MAKER), -1, 1)
    largest = max((float(np.abs(x).max()) for x in (price, ask0, ask1) if len(x)), default=0.0)
    kind = _exact(4 * largest * float(qty.max(initial=0)) * mul)
    middle0: np.ndarray = (bid0 + ask0).astype(kind)
    middle1: np.ndarray = (bid1 + ask1).astype(kind)
    amount: np.ndarray = np.where(known, qty, 0).astype(kind) * mul
    shortfall = _divide(side * (2 * price - middle0) * amount, 2 * div)
    spread = _divide(pays * (ask0 - bid0) * amount, 2 * div)
    return Costs(
        fees=fills["fee"].astype(np.int64),
        spread=spread,
        slippage=shortfall - spread,
        delay=_divide(side * (middle1 - middle0) * amount, 2 * div),
        traded=_divide(price.astype(kind) * qty.astype(kind) * mul, div),
        known=known,
    )


def sum_of(money: np.ndarray) -> int:
    """Sum of an int64 array, exact also where it leaves int64 (92 billion of a currency)."""
    small = float(np.abs(money.astype(np.float64)).sum()) < _SAFE
    return int(money.sum()) if small else sum(money.tolist())


def _of_orders(
    order_id: np.ndarray, orders: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(bid, ask) of the order of each fill; 0 where there is no such order."""
    if not len(orders["id"]):
        return np.zeros_like(order_id), np.zeros_like(order_id)
    rank = np.argsort(orders["id"], kind="stable")
    ids = orders["id"][rank]
    at = np.minimum(np.searchsorted(ids, order_id), len(ids) - 1)
    found = ids[at] == order_id
    bid, ask = (np.where(found, orders[name][rank][at], 0) for name in ("bid", "ask"))
    return bid, ask


def _exact(largest: float) -> type:
    """The dtype in which products up to ``largest`` are exact: int64, or Python's integers."""
    return np.int64 if largest < _SAFE else object


def _divide(a: np.ndarray, b: int) -> np.ndarray:
    """``a`` / ``b``, rounded half away from zero, int64; ``b`` > 0."""
    whole = (2 * np.abs(a) + b) // (2 * b)
    return np.where(a < 0, -whole, whole).astype(np.int64)
