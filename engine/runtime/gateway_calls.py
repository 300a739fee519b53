"""What a gateway asks of a broker, one call at a time, as plain values.

Owns :class:`Call`, and :func:`perform`, which makes it on a real :class:`Broker`. A gateway itself
never touches a broker: it says a call, somebody makes it, and the answer comes back, whatever
thread or virtual time that took. It refuses to know what is asked for and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from engine.broker.protocol import (
    Account,
    Broker,
    BrokerError,
    DealFact,
    Health,
    NewOrder,
    OrderFact,
    Outcome,
    PositionFact,
    Tick,
)
from engine.runtime.gateway_state import Intent


class Ask(Enum):
    """What a call asks; the last four change something and carry the intent that wants it."""

    CONNECT = "connect"
    HEALTH = "health"
    POSITIONS = "positions"
    ORDERS = "orders"
    DEALS = "deals"
    ACCOUNT = "account"
    QUOTES = "quotes"
    SUBMIT = "submit"
    CLOSE = "close"
    MODIFY = "modify"
    CANCEL = "cancel"


CHANGES = frozenset({Ask.SUBMIT, Ask.CLOSE, Ask.MODIFY, Ask.CANCEL})


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``number`` is 1, 2, 3 ... of a gateway; ``since_ns`` for orders and deals;
    ``ticket`` is the position or order that a modify or cancel names, ``stop`` and ``target`` the
    levels to hold; ``order`` is what to submit, ``position`` and ``qty`` what to close."""

    number: int
    ask: Ask
    symbol: str = ""
    since_ns: int = 0
    intent: Intent | None = None
    order: NewOrder | None = None
    position: PositionFact | None = None
    qty: int = 0
    stop: int = 0
    target: int = 0
    ticket: int = 0
    magic: int = 0
    comment: str = ""


Answer = (
    Account | Health | Outcome | BrokerError
    | Sequence[PositionFact] | Sequence[OrderFact] | Sequence[DealFact] | Sequence[Tick]
)  # fmt: skip
"""What a call came to."""


def perform(call: Call, broker: Broker) -> Answer:
    """Make ``call``; a BrokerError is returned, everything else that is raised passes."""
    try:
        return _made(call, broker)
    except BrokerError as error:
        return error


def _made(call: Call, broker: Broker) -> Answer:
    ask = call.ask
    if ask is Ask.SUBMIT:
        assert call.order is not None
        return broker.submit(call.order)
    if ask is Ask.CLOSE:
        assert call.position is not None
        return broker.close(call.position, call.qty, call.magic, call.comment)
    if ask is Ask.MODIFY:
        return broker.modify(call.symbol, call.ticket, call.stop, call.target)
    if ask is Ask.CANCEL:
        return broker.cancel(call.symbol, call.ticket)
    if ask is Ask.QUOTES:
        return broker.quotes(call.symbol, 0)
    if ask is Ask.ORDERS:
        return broker.orders(call.since_ns)
    if ask is Ask.DEALS:
        return broker.deals(call.since_ns)
    if ask is Ask.POSITIONS:
        return broker.positions()
    if ask is Ask.ACCOUNT:
        return broker.account()
    return broker.connect() if ask is Ask.CONNECT else broker.health()
