"""The four functions that the real package writes in Python: Buy, Sell, Close, _RawOrder.

Owns their behaviour, faults included: no filling mode (so FOK), a deviation of 10 points, up to ten
tries with no pause on a requote or a price that is off, a crash where there is no tick or no list
of positions. They are here because they are part of the module; nothing of ours should call them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from engine.broker.terminal.constants import (
    ORDER_TYPE_BUY,
    ORDER_TYPE_SELL,
    TRADE_ACTION_DEAL,
    TRADE_RETCODE_DONE,
    TRADE_RETCODE_PRICE_OFF,
    TRADE_RETCODE_REQUOTE,
)

_TRIES = 10
_AGAIN = (TRADE_RETCODE_REQUOTE, TRADE_RETCODE_PRICE_OFF)


class Convenience(ABC):
    """Adds the convenience functions to a class that has the calls which they are made of."""

    @abstractmethod
    def order_send(self, *args: Any, **kwargs: Any) -> Any:
        """The call of the class that this is mixed into."""

    @abstractmethod
    def positions_get(self, *args: Any, **kwargs: Any) -> Any:
        """The call of the class that this is mixed into."""

    @abstractmethod
    def symbol_info_tick(self, *args: Any) -> Any:
        """The call of the class that this is mixed into."""

    def _RawOrder(  # noqa: N802
        self,
        order_type: int,
        symbol: str,
        volume: float,
        price: float,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> Any:
        """Send a deal at ``price``, ``volume`` in lots; None where the call fails."""
        request: dict[str, Any] = {
            "action": TRADE_ACTION_DEAL,
            "symbol": symbol,
            "volume": volume,
            "type": order_type,
            "price": price,
            "deviation": 10,
        }
        if comment is not None:
            request["comment"] = comment
        if ticket is not None:
            request["position"] = ticket
        return self.order_send(request)

    def _at_market(
        self, kind: int, symbol: str, volume: float, comment: str | None, ticket: int | None
    ) -> Any:
        """Try at the touch of the moment; AttributeError where there is no tick, as it is there."""
        result = None
        for _ in range(_TRIES):
            tick = self.symbol_info_tick(symbol)
            price = tick.ask if kind == ORDER_TYPE_BUY else tick.bid
            result = self._RawOrder(kind, symbol, volume, price, comment, ticket)
            if result is None or result.retcode not in _AGAIN:
                break
        return result

    def Buy(  # noqa: N802
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> Any:
        """Buy ``volume`` lots at ``price``, else at the ask; the last result, None on failure."""
        if price is not None:
            return self._RawOrder(ORDER_TYPE_BUY, symbol, volume, price, comment, ticket)
        return self._at_market(ORDER_TYPE_BUY, symbol, volume, comment, ticket)

    def Sell(  # noqa: N802
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> Any:
        """Sell ``volume`` lots at ``price``, else at the bid; the last result, None on failure."""
        if price is not None:
            return self._RawOrder(ORDER_TYPE_SELL, symbol, volume, price, comment, ticket)
        return self._at_market(ORDER_TYPE_SELL, symbol, volume, comment, ticket)

    def Close(  # noqa: N802
        self, symbol: str, *, comment: str | None = None, ticket: int | None = None
    ) -> bool | str | None:
        """Close the positions of a symbol, or one: True, "Partially" where some were, False where
        none was, None where a call failed; TypeError where positions could not be read."""
        query = {"symbol": symbol} if ticket is None else {"ticket": ticket}
        tried = done = 0
        for position in self.positions_get(**query):
            tried += 1
            result = self._close_one(symbol, position, comment)
            if result is None:
                return None
            done += result.retcode == TRADE_RETCODE_DONE
        if not done:
            return False
        return True if done == tried else "Partially"

    def _close_one(self, symbol: str, position: Any, comment: str | None) -> Any:
        buys = position.type == ORDER_TYPE_BUY
        kind = ORDER_TYPE_SELL if buys else ORDER_TYPE_BUY
        result = None
        for _ in range(_TRIES):
            tick = self.symbol_info_tick(symbol)
            if tick is None:
                return None
            price = tick.bid if buys else tick.ask
            result = self._RawOrder(kind, symbol, position.volume, price, comment, position.ticket)
            if result is None or result.retcode not in _AGAIN:
                break
        return result
