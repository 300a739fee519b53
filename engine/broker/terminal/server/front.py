"""The terminal in front of the server: the answer to each call of the package.

Owns the table of calls and the failures of a terminal (an unknown symbol, no data, a wrong login).
What must hold: arguments are valid by the module's rules already; a call that reads changes
nothing.

It refuses to know faults and time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from engine.broker.terminal.server.charts import Chart, book_rows, period_s
from engine.broker.terminal.server.conditions import Conditions
from engine.broker.terminal.server.desk import PLAIN, Desk, Twist
from engine.broker.terminal.server.reads import MAX_BARS, Reads, Struct
from engine.broker.terminal.server.rules import Request
from engine.broker.terminal.server.specs import LOT
from engine.broker.terminal.wire import Reply

BUILD = 5_200
"""Build of the terminal that it says it is."""

_AUTO_TRADING_OFF = -8
Answer = Callable[[dict[str, Any]], Any]


class Front:
    """Answers calls over the books that ``reads`` shows and ``desk`` changes."""

    def __init__(self, reads: Reads, desk: Desk, conditions: Conditions) -> None:
        self.reads = reads
        self.desk = desk
        self.ledger = reads.ledger
        self.market = reads.market
        self.conditions = conditions
        self.elsewhere = 0
        self._books: set[str] = set()
        self._answers = self._table()

    def answer(self, name: str, payload: dict[str, Any]) -> Reply:
        """The reply to a call; -2 for one that there is not."""
        answer = self._answers.get(name)
        value = Reply.failed(-2) if answer is None else answer(payload)
        return value if isinstance(value, Reply) else Reply(value)

    def _table(self) -> dict[str, Answer]:
        reads = self.reads
        return {
            "initialize": self._initialize,
            "login": self._log_in,
            "version": lambda _: [500, BUILD, "21 Nov 2025"],
            "terminal_info": lambda _: self._terminal(),
            "account_info": lambda _: reads.account() | self.conditions.account(),
            "symbols_total": lambda _: len(self.market.specs),
            "symbols_get": self._symbols,
            "symbol_info": lambda p: _or_failed(reads.symbol(p["symbol"])),
            "symbol_info_tick": lambda p: _or_failed(reads.tick(p["symbol"])),
            "symbol_select": self._select,
            "market_book_add": self._book_add,
            "market_book_get": self._book_get,
            "market_book_release": self._book_release,
            **{name: self._copies(name) for name in _COPIES},
            "positions_total": lambda _: len(reads.positions()),
            "positions_get": lambda p: _filtered(reads.positions(), p),
            "orders_total": lambda _: len(reads.orders()),
            "orders_get": lambda p: _filtered(reads.orders(), p),
            "history_orders_get": reads.past_orders,
            "history_orders_total": lambda p: len(reads.past_orders(p)),
            "history_deals_get": reads.past_deals,
            "history_deals_total": lambda p: len(reads.past_deals(p)),
            "order_check": lambda p: self.desk.check(Request(**p["request"])),
            "order_send": lambda p: self.send(p["request"], PLAIN),
            "order_calc_margin": self._calc_margin,
            "order_calc_profit": self._calc_profit,
        }

    # --- connection

    def _initialize(self, payload: dict[str, Any]) -> Reply:
        reply = self._log_in(payload)
        if reply.value:
            self.conditions.waits_for_initialize = False
        return reply

    def _log_in(self, payload: dict[str, Any]) -> Reply:
        account = self.ledger.account
        login, password = payload.get("login"), payload.get("password")
        server = payload.get("server")
        wrong = (
            (login and login != account.login)
            or (server and server != account.server)
            or (account.password and password and password != account.password)
        )
        return Reply.failed(-6) if wrong else Reply(True)

    def _terminal(self) -> Struct:
        return {
            "build": BUILD, "maxbars": MAX_BARS, "ping_last": 20_000, "company": "ofs",
            "name": "ofs sandbox", "language": "English", "path": "sandbox",
            "data_path": "sandbox", "commondata_path": "sandbox", **self.conditions.terminal(),
        }  # fmt: skip

    # --- symbols

    def _symbols(self, payload: dict[str, Any]) -> list[Struct]:
        return [
            info
            for name in self.market.specs
            if matches(name, payload.get("group")) and (info := self.reads.symbol(name))
        ]

    def _select(self, payload: dict[str, Any]) -> Reply:
        name = payload["symbol"]
        if name not in self.market.specs:
            return Reply.failed(-1)
        if payload.get("enable", True):
            self.reads.selected.add(name)
            return Reply(True)
        held = {p.symbol for p in self.ledger.positions.values()}
        if name in held | {o.symbol for o in self.ledger.orders.values()}:
            return Reply.failed(-1)
        self.reads.selected.discard(name)
        return Reply(True)

    def _book_add(self, payload: dict[str, Any]) -> bool:
        spec = self.market.specs.get(payload["symbol"])
        if spec is None or not spec.obeys_depth:
            return False
        self._books.add(spec.name)
        return True

    def _book_release(self, payload: dict[str, Any]) -> bool:
        known = payload["symbol"] in self._books
        self._books.discard(payload["symbol"])
        return known

    def _book_get(self, payload: dict[str, Any]) -> Reply:
        name = payload["symbol"]
        row = self.reads.rows(name) - 1 if name in self._books else -1
        if row < 0:
            return Reply.failed(-1)
        return Reply(book_rows(self.market.specs[name], self.market.quotes[name], row))

    # --- history of prices

    def _copies(self, name: str) -> Answer:
        def answer(payload: dict[str, Any]) -> Reply:
            spec = self.market.specs.get(payload["symbol"])
            if spec is None:
                return Reply.failed(-1)
            if _bad_range(payload):
                return Reply.failed(-2)
            quotes, rows = self.market.quotes[spec.name], self.reads.rows(spec.name)
            return Reply(_COPIES[name](Chart(spec, quotes, rows, self.market.clock), payload))

        return answer

    # --- trading

    def send(self, request: dict[str, Any], twist: Twist) -> Reply:
        """``order_send``, with what goes wrong about it."""
        if self.conditions.active("python_off"):
            return Reply.failed(_AUTO_TRADING_OFF)
        r = Request(**request)
        code = self.conditions.refusal()
        if code:
            return Reply(self.desk.result(code, r))
        if self.reads.elsewhere:
            # it is executed at the account that the terminal is logged in to: not in these books
            self.elsewhere += 1
            ticket = self.ledger.ticket()
            done = self.desk.result(10009, r, deal=ticket, order=ticket, volume=r.volume)
            return Reply(done)
        result = self.desk.send(r, twist)
        if result["order"] and r.symbol in self.market.specs:
            self.reads.selected.add(r.symbol)
        return Reply(result)

    def _calc_margin(self, p: dict[str, Any]) -> Reply:
        spec = self.market.specs.get(p["symbol"])
        if spec is None or p["action"] not in (0, 1):
            return Reply.failed(-1 if spec is None else -2)
        money = self.ledger.money
        margin = money.margin(spec, p["price"], p["volume"])
        return Reply.failed(-1) if margin is None else Reply(money.amount(margin))

    def _calc_profit(self, p: dict[str, Any]) -> Reply:
        spec = self.market.specs.get(p["symbol"])
        if spec is None or p["action"] not in (0, 1):
            return Reply.failed(-1 if spec is None else -2)
        money = self.ledger.money
        points = spec.points(p["price_close"]) - spec.points(p["price_open"])
        profit = money.profit(spec, p["action"] == 0, points, round(p["volume"] * LOT))
        return Reply.failed(-1) if profit is None else Reply(money.amount(profit))


_COPIES: dict[str, Callable[[Chart, dict[str, Any]], Any]] = {
    "copy_ticks_from": lambda c, p: c.ticks_from(p["date_from"], p["count"], p["flags"]),
    "copy_ticks_range": lambda c, p: c.ticks_range(p["date_from"], p["date_to"], p["flags"]),
    "copy_rates_from": lambda c, p: c.bars_from(p["timeframe"], p["date_from"], p["count"]),
    "copy_rates_from_pos": lambda c, p: c.bars_from_pos(
        p["timeframe"], p["start_pos"], min(p["count"], MAX_BARS)
    ),
    "copy_rates_range": lambda c, p: c.bars_range(p["timeframe"], p["date_from"], p["date_to"]),
}


def _bad_range(p: dict[str, Any]) -> bool:
    return (
        ("timeframe" in p and not period_s(p["timeframe"]))
        or p.get("count", 1) <= 0
        or p.get("start_pos", 0) < 0
        or ("date_to" in p and p["date_to"] < p["date_from"])
    )


def matches(name: str, group: str | None) -> bool:
    """Whether a name is in a group: a list of ``*`` patterns, of which a leading ``!`` excludes.
    An exclusion that fits ends the search."""
    if not group:
        return True
    found = False
    for pattern in group.split(","):
        word = pattern.strip()
        if word.startswith("!"):
            if _like(name, word[1:]):
                return False
        elif _like(name, word):
            found = True
    return found


def _like(name: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(re.escape(p) for p in pattern.split("*")), name) is not None


def _filtered(rows: list[Struct], payload: dict[str, Any]) -> list[Struct]:
    """Rows of one ticket, else of one symbol, else all."""
    for key in ("ticket", "symbol"):
        if payload.get(key) is not None:
            return [r for r in rows if r[key] == payload[key]]
    return rows


def _or_failed(value: Struct | None) -> Reply:
    return Reply.failed(-1) if value is None else Reply(value)
