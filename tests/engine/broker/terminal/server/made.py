"""Servers for tests: a few symbols, quotes by hand, requests with all their fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.broker.terminal.server.market import Quote
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec, spec_of

NS = 1_000_000_000
NOON_NS = 1_760_443_200 * NS
"""2025-10-14 12:00 UTC, a Tuesday: 15:00 on the server's clock."""

EMPTY = {
    "action": 0, "magic": 0, "order": 0, "symbol": "", "volume": 0.0, "price": 0.0,
    "stoplimit": 0.0, "sl": 0.0, "tp": 0.0, "deviation": 0, "type": 0, "type_filling": 0,
    "type_time": 0, "expiration": 0, "comment": "", "position": 0, "position_by": 0,
}  # fmt: skip


def server(
    *quotes: tuple[float, float, float],
    symbol: SymbolSpec | None = None,
    account: AccountSpec | None = None,
    more: Iterable[SymbolSpec] = (),
    **options: Any,
) -> SimServer:
    """A server of one symbol (EURUSD) at noon, with (seconds after noon, bid, ask) to be played;
    the quote of noon stands."""
    spec = symbol or spec_of("EURUSD")
    rows: list[Quote] = [(NOON_NS + round(s * NS), spec.name, b, a) for s, b, a in quotes]
    made = SimServer(
        "new-york", [spec, *more], account or AccountSpec(), start_ns=NOON_NS, quotes=rows,
        **options,
    )  # fmt: skip
    made.advance(NOON_NS)
    return made


def send(made: SimServer, **fields: Any) -> dict[str, Any]:
    """The result of a request; symbol EURUSD, IOC and 0.1 lots where nothing else is said."""
    request = {**EMPTY, "symbol": next(iter(made.market.specs)), "type_filling": 1, "volume": 0.1}
    reply = made.call("order_send", {"request": request | fields})
    assert reply.error[0] == 1, reply.error
    return dict(reply.value)


def value(made: SimServer, name: str, **payload: Any) -> Any:
    """The value of a call; the payload of a query is filled up with None."""
    keys = ("symbol", "ticket", "position", "date_from", "date_to", "group")
    keys = keys if name.endswith("_get") else ()
    reply = made.call(name, {**dict.fromkeys(keys), **payload})
    assert reply.error[0] == 1, reply.error
    return reply.value


def deals(made: SimServer) -> list[dict[str, Any]]:
    """All deals that are seen, without the deposit."""
    return list(value(made, "history_deals_get", date_from=0, date_to=2**31 - 1)[1:])


def books_hold(made: SimServer) -> None:
    """The balance is the sum of all deals."""
    ledger = made.ledger
    total = sum(d.profit + d.commission + d.fee + d.swap for d in ledger.deals)
    assert ledger.balance + ledger.credit == total
    assert all(p.volume > 0 for p in ledger.positions.values())
