"""Settings of the broker, as a user writes them: the simulated one, and the basis of a live one.

Owns the groups ``sim``, whose meaning for a fill is in ``engine.broker.simulated``, and ``basis``
(``engine.kernel.basis``), which only a live fold has. It refuses to know how a text becomes a
number.
"""

from __future__ import annotations

from engine.broker.simulated import ACCOUNTS, QUEUE_MODELS
from engine.runtime.strategy import Param

BROKER: dict[str, tuple[Param, ...]] = {
    "sim": (
        Param("order_latency", "duration", "50ms", "from intent to the matching engine"),
        Param("response_latency", "duration", "50ms", "from a fill to our knowledge of it"),
        Param("taker_fee", "ratio", "0.0004", "commission of taking, share of notional"),
        Param("maker_fee", "ratio", "0.0002", "commission of making, share of notional"),
        Param("fee_per_unit", "money", "0", "commission per whole unit of quantity"),
        Param("spread", "price", "0", "spread where neither book nor quote is known"),
        Param("slippage", "price", "0", "added against us where no book is known"),
        Param("stale", "duration", "5s", "a book or quote older than this is not traded on"),
        Param("price_stale", "duration", "0", "a last price older than this is no price (0: off)"),
        Param("queue_model", "choice", "risk_averse", "queue of limit orders", QUEUE_MODELS),
        Param("queue_power", "count", "3", "exponent of the power and ratio models"),
        Param("account", "choice", "netting", "netting or hedging", ACCOUNTS),
        Param("balance", "money", "10000", "balance at the start"),
        Param("margin", "ratio", "0.05", "margin, share of notional: 0.05 is leverage 20 (0: off)"),
        Param("stop_out", "ratio", "0.5", "equity below this share of margin closes all (0: off)"),
        Param("price_step", "price", "0", "grid of order prices (0: one price unit)"),
        Param("qty_step", "quantity", "0", "grid of order quantities (0: one unit)"),
        Param("qty_min", "quantity", "0", "smallest order (0: one unit)"),
        Param("qty_max", "quantity", "0", "largest order (0: no limit)"),
    ),
    "basis": (
        Param("half_life", "duration", "1m", "how fast the mean of the basis forgets"),
        Param("most", "ratio", "0.02", "largest basis, share of price (0: off)", low=0),
        Param("change", "ratio", "0.005", "most it may differ from its mean (0: off)", low=0),
        Param("stale", "duration", "5s", "oldest quote and flow that it is taken from"),
    ),
}
"""Settings by group."""
