"""Where a label's stop and target lie, and what the round trip costs.

Owns the two ways to say a distance (``4atr``: a multiple of the one-minute ATR at the decision;
``0.3%``: a share of the price) and the cost of a market order in and one out, from the settings of
the simulated broker that a backtest would use: fees both ways, the spread once (half on either
side of the trade that is taken for the price; the book's where it is known, else ``sim.spread``),
and ``sim.slippage`` twice where no book is known. It refuses to know what is traded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from data.events import Scales

_FORM = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(atr|%)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Distance:
    """A distance as a user gives it: ``value`` ATR, or ``value`` percent of the price."""

    value: float
    unit: str

    def units(self, price: np.ndarray, atr: np.ndarray) -> np.ndarray:
        """int64[n] price units, at least 1, of ``price`` and ``atr`` int64[n]."""
        of = atr.astype(np.float64) if self.unit == "atr" else price / 100.0
        return np.asarray(np.maximum(np.rint(self.value * of), 1)).astype(np.int64)

    def __str__(self) -> str:
        """As it was given."""
        return f"{self.value:g}{self.unit}"


def parse_distance(text: str) -> Distance:
    """A :class:`Distance` of ``4atr`` or ``0.3%``; ValueError that says what fits."""
    found = _FORM.fullmatch(text)
    if not found or not float(found[1]):
        raise ValueError("write a multiple of the ATR such as 4atr, or a share such as 0.3%")
    return Distance(float(found[1]), found[2].lower())


def round_trip_cost(
    settings: Mapping[str, str], scales: Scales, price: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """float64[n]: cost of one unit in and out, price units; ``price``, ``spread`` int64[n].

    ``settings`` are those of a fold (text); ``spread`` 0 means that no book was known.
    """
    unit = float(10**scales.price)
    fee = float(Decimal(settings["sim.taker_fee"]))
    fixed = float(Decimal(settings["sim.fee_per_unit"])) * unit
    blind = float(Decimal(settings["sim.spread"])) + 2 * float(Decimal(settings["sim.slippage"]))
    return np.asarray(2 * (fee * price + fixed) + np.where(spread > 0, spread, blind * unit))
