"""Money of an account: what a move of the price is worth, and what a position needs as margin.

Owns both formulas (MetaQuotes' documentation, "Margin calculation" and "Profit calculation") and
the rates between currencies. Money is an int in the smallest unit of the account's currency
(cents); it is rounded once, half away from zero, as a trade server does. What must hold: where
profit arises in the account's currency nothing is rounded before that.

It refuses to know who trades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.broker.terminal.server.specs import (
    CFD,
    FOREX,
    LOT,
    AccountSpec,
    SymbolSpec,
)

Mid = Callable[[str], float]
"""The last middle price of a symbol, 0 before its first quote."""


def half_away(number: int, divisor: int) -> int:
    """``number / divisor`` to the nearest whole number, halves away from zero."""
    whole = (abs(number) * 2 + divisor) // (2 * divisor)
    return whole if number >= 0 else -whole


class Money:
    """The account's arithmetic over ``symbols``, whose prices ``mid`` tells."""

    def __init__(self, account: AccountSpec, symbols: Mapping[str, SymbolSpec], mid: Mid) -> None:
        self.account = account
        self.unit = int(10**account.currency_digits)
        self._symbols = symbols
        self._mid = mid
        self._fixed = {account.currency: 1.0, **dict(account.rates)}

    def amount(self, minor: int) -> float:
        """Cents as the package shows them."""
        return round(minor / self.unit, self.account.currency_digits)

    def minor(self, amount: float) -> int:
        """Cents of an amount."""
        return round(amount * self.unit)

    def rate(self, currency: str) -> float | None:
        """Price of one unit of ``currency`` in the account's; None where nothing tells it."""
        fixed = self._fixed.get(currency)
        if fixed is not None:
            return fixed
        for spec in self._symbols.values():
            price = self._mid(spec.name)
            pair = spec.currency_base, spec.currency_profit
            if price and pair == (currency, self.account.currency):
                return price
            if price and pair == (self.account.currency, currency):
                return 1.0 / price
        return None

    def profit(self, spec: SymbolSpec, buy: bool, points: int, volume: int) -> int | None:
        """Cents that ``volume`` (1e-8 lots) gains when the price rises by ``points``."""
        return self.profit_of(spec, (points if buy else -points) * volume)

    def profit_of(self, spec: SymbolSpec, move: int) -> int | None:
        """Cents of a gain of ``move``, points x 1e-8 lots; None where a rate is missing."""
        rate = self.rate(spec.currency_profit)
        if rate is None:
            return None
        contract = int(spec.contract) if spec.contract == int(spec.contract) else None
        if rate == 1.0 and contract is not None:
            return half_away(move * contract * self.unit, spec.scale * LOT)
        value = move / (spec.scale * LOT) * spec.contract * rate * self.unit
        return int(abs(value) + 0.5) * (1 if value >= 0 else -1)

    def margin(self, spec: SymbolSpec, price: float, volume: float) -> int | None:
        """Cents that ``volume`` lots need at ``price``; None where a rate is missing."""
        leverage = spec.leverage or self.account.leverage
        if spec.calc_mode == FOREX:
            rate = self.rate(spec.currency_base)
            price, leverage = (price, leverage) if rate is None else (1.0, leverage)
            rate = self.rate(spec.currency_profit) if rate is None else rate
        else:
            rate = self.rate(spec.currency_profit)
            leverage = 1.0 if spec.calc_mode == CFD else leverage
        if rate is None:
            return None
        return round(volume * spec.contract * price * rate / leverage * self.unit)

    def charge(self, per_lot: float, volume: int) -> int:
        """Cents (negative) of a commission or fee of ``per_lot`` for ``volume`` (1e-8 lots)."""
        return -round(per_lot * self.unit * volume / LOT)
