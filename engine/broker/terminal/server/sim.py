"""A trade server and the terminal in front of it, without a clock or a socket of their own.

Owns :class:`SimServer`: time is passed in (:meth:`SimServer.advance`), calls of the package are
answered (:meth:`SimServer.call`). What must hold: the same quotes, calls and times give the same
answers; the account lives on whatever happens to who calls; what goes wrong on purpose is decided
by the script of faults and counted.

It refuses to know the argument rules of the package and who is at the other end.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.broker.terminal.server.clock import ServerClock
from engine.broker.terminal.server.desk import Desk
from engine.broker.terminal.server.keeper import Keeper
from engine.broker.terminal.server.ledger import Ledger
from engine.broker.terminal.server.market import Market, Quote
from engine.broker.terminal.server.quotes import Block
from engine.broker.terminal.server.reads import MAX_BARS, Reads
from engine.broker.terminal.server.rules import Request
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec
from engine.broker.terminal.server.words import DealType, Ret
from engine.broker.terminal.wire import Reply

BUILD = 5_200
"""Build of the terminal that it says it is."""

Answer = Callable[[dict[str, Any]], Any]


class SimServer:
    """A server with ``symbols`` and one ``account``, on the wall clock ``clock`` (a rule, see
    :class:`engine.broker.terminal.server.clock.ServerClock`). ``quotes`` are played by hand,
    ``tapes`` from a log, from ``start_ns`` on."""

    def __init__(
        self,
        clock: str,
        symbols: Iterable[SymbolSpec],
        account: AccountSpec,
        *,
        start_ns: int = 0,
        quotes: Iterable[Quote] = (),
        tapes: Mapping[str, Iterable[Block]] | None = None,
    ) -> None:
        self.market = Market(ServerClock(clock), symbols, tapes, start_ns)
        self.ledger = Ledger(account, self.market)
        self.keeper = Keeper(self.ledger)
        self.desk = Desk(self.ledger, self.keeper, self.later)
        self.reads = Reads(self.ledger)
        self.calls: Counter[str] = Counter()
        self.retcodes: Counter[int] = Counter()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timed = 0
        self._answers = self._table()
        self.market.feed(quotes)

    @property
    def now_ns(self) -> int:
        """The time that was passed in last, ns UTC."""
        return self.market.now_ns

    # --- time

    def feed(self, quotes: Iterable[Quote]) -> None:
        """Have (ns UTC, symbol, bid, ask) played when their time has come."""
        self.market.feed(quotes)

    def later(self, at_ns: int, act: Callable[[], None]) -> None:
        """Have something done at a time."""
        self._timed += 1
        heapq.heappush(self._timers, (at_ns, self._timed, act))

    def advance(self, to_ns: int) -> None:
        """Let time pass up to ``to_ns``; a time that is over changes nothing."""
        while self.market.now_ns <= to_ns:
            timer_ns = self._timers[0][0] if self._timers else to_ns + 1
            stop_ns = min(to_ns, timer_ns, self.keeper.next_ns())
            self.market.play(stop_ns, self.keeper.waits, self.keeper.quote)
            self.keeper.due()
            while self._timers and self._timers[0][0] <= self.market.now_ns:
                heapq.heappop(self._timers)[2]()
            if stop_ns >= to_ns:
                return

    # --- money that no trade brings

    def move_money(self, amount: float, comment: str = "deposit") -> int:
        """Deposit (or take, where below 0) money of the account's currency; the deal's ticket."""
        ledger = self.ledger
        return ledger.move_money(DealType.BALANCE, ledger.money.minor(amount), comment).ticket

    # --- calls

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        """Answer a call of the package."""
        self.calls[name] += 1
        return self._answer(name, payload)

    def _answer(self, name: str, payload: dict[str, Any]) -> Reply:
        answer = self._answers.get(name)
        if answer is None:
            return Reply.failed(-2)
        value = answer(payload)
        return value if isinstance(value, Reply) else Reply(value)

    def _table(self) -> dict[str, Answer]:
        reads = self.reads
        return {
            "initialize": self._log_in,
            "login": self._log_in,
            "version": lambda _: [500, BUILD, "21 Nov 2025"],
            "terminal_info": lambda _: self.terminal(),
            "account_info": lambda _: reads.account(),
            "symbols_total": lambda _: len(self.market.specs),
            "symbols_get": self._symbols,
            "symbol_info": lambda p: _or_failed(reads.symbol(p["symbol"])),
            "symbol_info_tick": lambda p: _or_failed(reads.tick(p["symbol"])),
            "symbol_select": self._select,
            "positions_total": lambda _: len(reads.positions()),
            "positions_get": lambda p: _filtered(reads.positions(), p),
            "orders_total": lambda _: len(reads.orders()),
            "orders_get": lambda p: _filtered(reads.orders(), p),
            "history_orders_get": reads.past_orders,
            "history_orders_total": lambda p: len(reads.past_orders(p)),
            "history_deals_get": reads.past_deals,
            "history_deals_total": lambda p: len(reads.past_deals(p)),
            "order_check": lambda p: self.desk.check(Request(**p["request"])),
            "order_send": self._send,
            "order_calc_margin": self._calc_margin,
            "order_calc_profit": self._calc_profit,
        }

    def terminal(self) -> dict[str, Any]:
        """``TerminalInfo``."""
        return {
            "connected": True, "trade_allowed": True, "tradeapi_disabled": False, "build": BUILD,
            "maxbars": MAX_BARS, "ping_last": 20_000, "company": "ofs", "name": "ofs sandbox",
            "language": "English", "path": "sandbox", "data_path": "sandbox",
        }  # fmt: skip

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

    def _symbols(self, payload: dict[str, Any]) -> list[dict[str, Any]]:
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

    def _send(self, payload: dict[str, Any]) -> Reply:
        result = self.desk.send(Request(**payload["request"]))
        self.retcodes[result["retcode"]] += 1
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
        volume = round(p["volume"] * 100_000_000)
        profit = money.profit(spec, p["action"] == 0, points, volume)
        return Reply.failed(-1) if profit is None else Reply(money.amount(profit))


def matches(name: str, group: str | None) -> bool:
    """Whether a name is in a group: a list of ``*`` patterns, of which a leading ``!`` excludes.
    The first exclusion that fits ends the search."""
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
    import re

    return re.fullmatch(".*".join(re.escape(p) for p in pattern.split("*")), name) is not None


def _filtered(rows: list[dict[str, Any]], payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of one ticket, else of one symbol, else all."""
    for key in ("ticket", "symbol"):
        if payload.get(key) is not None:
            return [r for r in rows if r[key] == payload[key]]
    return rows


def _or_failed(value: dict[str, Any] | None) -> Reply:
    return Reply.failed(-1) if value is None else Reply(value)


__all__ = ["BUILD", "Ret", "SimServer", "matches"]
