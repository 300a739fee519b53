"""Brokers for tests, each with its market in the test's hand: what the contract is run over.

A rig has a broker, quotes that the test makes, and time that the test lets pass. Prices and
quantities are those of one symbol at two decimals each: 6000000 is 60,000.00, 100 is 1.00 BTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from data.enums import OrderType, Side
from data.events import Scales
from engine.broker.direct import DirectTerminal
from engine.broker.intent_id import IntentKey, comment_of, magic_of, tag_of
from engine.broker.mt5 import Mt5Broker, Mt5Settings
from engine.broker.protocol import Broker, NewOrder
from engine.broker.simulated import SimulatedBroker
from engine.broker.simulated_venue import SimulatedVenue
from engine.broker.terminal.client import Terminal
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec, spec_of
from engine.broker.terminal.server.words import Margin
from engine.broker.terminal.wire import DirectLink

NS = 1_000_000_000
NOON_NS = 1_760_443_200 * NS
"""2025-10-14 12:00 UTC, a Tuesday: 15:00 on a server's clock that follows New York."""

SCALES = Scales(2, 2)
SYMBOL = "BTCUSDc"
BID, ASK = 6_000_000, 6_000_200
TAG = tag_of("a session")


class ServerTime:
    """The clock of a simulated server, which quotes go with."""

    def __init__(self, server: SimServer) -> None:
        self.server = server

    def now_ns(self) -> int:
        return self.server.now_ns

    def pass_ns(self, ns: int) -> None:
        self.server.advance(self.server.now_ns + ns)


def direct(server: SimServer) -> DirectTerminal:
    """The stand-in's module over a server in this process, in the server's time."""

    def make(wait: Callable[[float], None]) -> Terminal:
        return Terminal(lambda _path: DirectLink(server, wait))

    return DirectTerminal(make, ServerTime(server))


class Rig(Protocol):
    """A broker and its market."""

    broker: Broker
    hedging: bool

    def quote(self, bid: int, ask: int) -> None:
        """The market moves, a second later."""

    def wait(self, seconds: float) -> None:
        """Time passes; the market stays, and is quoted anew."""


class TerminalRig:
    """The adapter over the stand-in and its simulated server, in virtual time."""

    def __init__(
        self,
        hedging: bool = True,
        symbol: SymbolSpec | None = None,
        account: AccountSpec | None = None,
        rule: str = "new-york",
        **settings: Any,
    ) -> None:
        spec = symbol or spec_of(SYMBOL)
        mode = Margin.HEDGING if hedging else Margin.NETTING
        known = replace(account or AccountSpec(), margin_mode=mode)
        self.hedging = hedging
        self.server = SimServer(rule, [spec], known, start_ns=NOON_NS)
        self.symbol = spec.name
        self.touch = (BID, ASK)
        self.show(NOON_NS)
        self.server.advance(NOON_NS)
        self.terminal = direct(self.server)
        given = {"clock": "new-york", "symbols": {spec.name: SCALES}}
        self.settings = Mt5Settings(known.login, known.server, **{**given, **settings})
        self.broker = Mt5Broker(self.terminal, self.settings)

    def show(self, at_ns: int) -> None:
        bid, ask = self.touch
        self.server.feed([(at_ns, self.symbol, bid / 100, ask / 100)])

    def quote(self, bid: int, ask: int) -> None:
        self.touch = (bid, ask)
        self.wait(1)

    def wait(self, seconds: float) -> None:
        at = self.server.now_ns + round(seconds * NS)
        self.show(at)
        self.server.advance(at)


def connected(**made: Any) -> TerminalRig:
    """A rig whose broker is connected."""
    rig = TerminalRig(**made)
    rig.broker.connect()
    return rig


def executed(rig: TerminalRig) -> int:
    """Deals at the server beside the first deposit."""
    return len(rig.server.ledger.deals) - 1


def sends(rig: TerminalRig) -> int:
    """Requests to trade that reached the server."""
    return rig.server.calls["order_send"]


class VenueRig:
    """Simulated matching without latencies and fees, in a time of its own."""

    def __init__(self, hedging: bool = True, **assumed: Any) -> None:
        self.hedging = hedging
        self.now_ns = NOON_NS
        free = {
            "order_latency_ns": 0, "response_latency_ns": 0, "taker_fee": Decimal(0),
            "maker_fee": Decimal(0), "account": "hedging" if hedging else "netting",
        }  # fmt: skip
        self.broker = SimulatedVenue(
            SYMBOL, SCALES, lambda: self.now_ns, SimulatedBroker(**{**free, **assumed})
        )
        self.touch = (BID, ASK)
        self.wait(0)

    def quote(self, bid: int, ask: int) -> None:
        self.touch = (bid, ask)
        self.wait(1)

    def wait(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS)
        self.broker.quote(self.now_ns, *self.touch)


def magic(order: int) -> int:
    """The magic of an intent of this test's session."""
    return magic_of(7, TAG, IntentKey(0, order))


def limit(side: Side, qty: int, price: int, number: int = 1, **more: Any) -> NewOrder:
    """A limit order that waits and is the intent ``number``."""
    known = replace(market(side, qty, number), type=OrderType.LIMIT, price=price, ioc=False)
    return replace(known, **more)


def market(side: Side, qty: int, number: int = 1, **more: Any) -> NewOrder:
    """A market order that is the intent ``number``."""
    known: dict[str, Any] = {"price": 0, "stop": 0, "target": 0, "deviation": 100}
    return NewOrder(
        symbol=SYMBOL, magic=magic(number), comment=comment_of(TAG, IntentKey(0, number)),
        type=OrderType.MARKET, side=side, qty=qty, **{**known, **more},
    )  # fmt: skip
