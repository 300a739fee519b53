"""What an engine and a broker say to each other: the Broker protocol and its plain values.

Owns the types that cross between whoever trades and whoever executes. Prices, quantities, times and
money are the integers of the log (price and quantity at the instrument's :class:`Scales`, ns UTC,
money at 1e-8 of the account currency); a broker turns them into its own numbers at its edge, and
its own into these, so that nobody else ever sees a lot, a float price or a server's wall clock.

What must hold, for every implementation (one contract test suite runs over all of them):

* a call either answers or raises :class:`BrokerError`; whatever may have been executed is said to
  be UNKNOWN and is never sent again by the broker itself;
* nothing is empty because a link is dead: that raises;
* what is ours is known by ``magic``, never by ``comment`` alone.

It refuses to know MetaTrader, matching and the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from data.enums import ExitReason, OrderType, Side
from data.errors import EXIT_NETWORK, OfsError
from data.events import Scales


class BrokerError(OfsError):
    """A broker could not answer: what it was asked, why, and what to do. Nothing was executed by
    the call that raised it (a call that may have executed answers UNKNOWN instead)."""

    exit_code = EXIT_NETWORK


class BrokerGoneError(BrokerError):
    """The link is dead (terminal, worker or bridge lost, deadline passed): connect again."""


class Treatment(Enum):
    """What is to be done about an answer; one word for each code a broker can give."""

    DONE = "done"
    """Executed as asked, or in part: exposure exists."""
    PLACED = "placed"
    """Accepted and not executed yet: deals follow."""
    NO_CHANGE = "no change"
    """It stands already as asked."""
    FRESH_PRICE = "fresh price"
    """Try again, a bounded number of times, with the price of the moment."""
    BACK_OFF = "back off"
    """Try again later, the same."""
    REREAD = "reread"
    """The state changed under it: read positions and orders again, then decide anew."""
    FIX_INPUT = "fix input"
    """The request is wrong for this symbol or account: refused, and a bug or a setting of ours."""
    REFUSE = "refuse"
    """Refused for good (money, limits, closed market, dealer): the order is over."""
    RECONCILE = "reconcile"
    """It may have been executed: block the symbol and read until the truth is known."""
    HALT = "halt"
    """Nothing can be traded until a person acts: stop, and say so loudly."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account. ``balance``, ``equity``, ``margin`` money at 1e-8 of ``currency``; ``hedging``:
    every entry is a position of its own, else one position a symbol; ``real``: not a demo one."""

    login: int
    server: str
    currency: str
    hedging: bool
    real: bool
    balance: int
    equity: int
    margin: int
    trade_allowed: bool
    why_not: str = ""
    """Why trading is not allowed, in words; empty where it is."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """A symbol as the broker trades it, at the ``scales`` that the session uses for it.

    ``symbol`` is the broker's name. Price units: ``price_step``, ``stops_level`` and
    ``freeze_level`` (distances, 0: none published). Quantity units (base quantity, not lots):
    ``qty_step``, ``qty_min``, ``qty_max``, ``qty_limit`` (0: none). ``contract`` is the base
    quantity of one lot in quantity units. ``trade_mode`` "full", "long", "short", "close" or "off".
    ``profit_currency`` is what results arise in.
    """

    symbol: str
    scales: Scales
    price_step: int
    qty_step: int
    qty_min: int
    qty_max: int
    qty_limit: int
    contract: int
    stops_level: int
    freeze_level: int
    trade_mode: str
    profit_currency: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A quote of the broker: ``ts_ns`` UTC, prices in units; 0 for a side that is not there."""

    ts_ns: int
    bid: int
    ask: int


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to send. ``magic`` and ``comment`` (at most 29 characters) carry the intent's id.

    ``price`` is 0 for a market order; ``stop`` and ``target`` (0: none) are held by the broker.
    ``position`` (the broker's ticket) is the position that it reduces, 0 where it opens;
    ``deviation`` the most price units that a market order may slip where the broker obeys that.
    ``ioc``: what cannot be filled at once is cancelled (a limit order that is not ``ioc`` waits).
    """

    symbol: str
    magic: int
    comment: str
    type: OrderType
    side: Side
    qty: int
    price: int
    stop: int
    target: int
    position: int = 0
    deviation: int = 0
    ioc: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call that changes something.

    ``treatment`` says what to do about it; ``code`` is the broker's number (a retcode, or a
    last_error below 0), ``text`` its words. ``order`` and ``deal`` are tickets, ``qty`` what was
    filled, ``price`` its price; 0 for what is not known, which only deals then tell.
    """

    treatment: Treatment
    code: int
    text: str
    order: int = 0
    deal: int = 0
    qty: int = 0
    price: int = 0


@dataclass(frozen=True, slots=True)
class PositionFact:
    """An open position. ``ticket`` is what requests name, ``ident`` what history names."""

    ticket: int
    ident: int
    symbol: str
    magic: int
    comment: str
    side: Side
    qty: int
    price: int
    stop: int
    target: int
    open_ns: int


@dataclass(frozen=True, slots=True)
class OrderFact:
    """An order at the broker: working where ``done_ns`` is 0, else of the history, ``filled``
    being False where it ended without being filled whole. ``left`` is the quantity not filled."""

    ticket: int
    symbol: str
    magic: int
    comment: str
    type: OrderType
    side: Side
    qty: int
    left: int
    price: int
    setup_ns: int
    done_ns: int
    filled: bool
    position: int
    """Identifier of the position that it opened or changed, 0 where there is none."""


@dataclass(frozen=True, slots=True)
class DealFact:
    """An execution. ``profit``, ``fee`` (commission, fee and swap; positive is paid) are money.

    ``balance`` deals (deposits, credits, corrections) have ``side`` UNKNOWN, no symbol and no
    quantity: their ``profit`` is what they brought. ``reason``: OPEN where an order of a client
    made it, else what the server did it for (STOP, TARGET, STOP_OUT). ``closes``: it reduced its
    position. ``by_hand``: a person or another program at the same account asked for it.
    """

    ticket: int
    order: int
    position: int
    symbol: str
    magic: int
    comment: str
    side: Side
    qty: int
    price: int
    profit: int
    fee: int
    ts_ns: int
    reason: ExitReason
    closes: bool
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """How the link is: ``connected`` to the trade server, ``tick_age_ns`` of the youngest quote by
    the server's clock (-1: none), ``round_trip_ns`` of the last call, ``restarts`` of the worker,
    ``offset_ns`` of the server's clock to UTC, ``words`` what is wrong (empty: nothing)."""

    connected: bool
    trade_allowed: bool
    tick_age_ns: int
    round_trip_ns: int
    restarts: int
    offset_ns: int
    words: str = ""


class Broker(Protocol):
    """Whoever executes orders. Calls block until they are answered or their deadline is over; one
    thread at a time."""

    name: str

    def connect(self) -> Account:
        """Connect (again), check login and server, select symbols; BrokerError where refused."""

    def account(self) -> Account:
        """The account as it stands."""

    def instruments(self) -> Sequence[Instrument]:
        """The symbols that this broker was made for."""

    def quotes(self, symbol: str, since_ns: int) -> Sequence[Tick]:
        """Quotes later than ``since_ns``, oldest first; at least the last one where it is 0."""

    def submit(self, order: NewOrder) -> Outcome:
        """Send an order once. Never raises for what may have been executed."""

    def modify(self, symbol: str, position: int, stop: int, target: int) -> Outcome:
        """Let the broker hold these levels (0: none) for the position with this ticket."""

    def close(self, position: PositionFact, qty: int, magic: int, comment: str) -> Outcome:
        """Close ``qty`` of a position at the market, once."""

    def cancel(self, symbol: str, order: int) -> Outcome:
        """Withdraw a working order."""

    def positions(self) -> Sequence[PositionFact]:
        """Open positions of the account in the symbols of this broker, whoever opened them."""

    def orders(self, since_ns: int) -> Sequence[OrderFact]:
        """Working orders, and orders of the history that were set up since then."""

    def deals(self, since_ns: int) -> Sequence[DealFact]:
        """Deals of the account since then, oldest first, balance deals too; a server may show them
        seconds late."""

    def health(self) -> Health:
        """How the link is; never raises."""

    def stop(self) -> None:
        """Let go of the link; nothing is closed or cancelled."""
