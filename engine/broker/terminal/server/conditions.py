"""What is the matter with the terminal or the server for a while.

Owns :class:`Conditions`: which states of the script hold until when, what each of them does to the
market, the books and the picture that the terminal has, and by which code an order is refused
meanwhile. What must hold: what the terminal does not see goes on at the server all the same.

It refuses to know when a state begins.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from engine.broker.terminal.server.ledger import NS, Ledger
from engine.broker.terminal.server.reads import Reads
from engine.broker.terminal.server.words import Ret

RECONNECT_NS = NS
"""A terminal that was started again needs this long until it has its server."""

_STOPS_QUOTES = ("stale_quotes", "disconnect")


class Conditions:
    """The states that hold. ``restarts`` counts the terminal's deaths."""

    def __init__(self, ledger: Ledger, reads: Reads) -> None:
        self.ledger = ledger
        self.market = ledger.market
        self.reads = reads
        self.restarts = 0
        self.waits_for_initialize = False
        self._until: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._sent: deque[int] = deque()

    def active(self, kind: str) -> bool:
        """Whether a state holds now."""
        return self.market.now_ns < self._until.get(kind, 0)

    def begin(self, kind: str, long_ns: int) -> None:
        """A state holds from now on, for ``long_ns``."""
        now_ns = self.market.now_ns
        if not self.active(kind):
            self._since[kind] = now_ns
        until_ns = self._until[kind] = max(now_ns + long_ns, self._until.get(kind, 0))
        if kind == "market_closed":
            self.market.closed_until_ns = until_ns
        elif kind == "hidden_deals":
            self.ledger.hidden_until_ns = until_ns
        elif kind == "restart":
            self.restarts += 1
            self.waits_for_initialize = True
            self.begin("disconnect", long_ns + RECONNECT_NS)
        elif kind == "disconnect":
            self.reads.keep_account()

    def look(self) -> None:
        """Set how far the terminal sees, for the call that comes now."""
        since = [self._since[k] for k in _STOPS_QUOTES if self.active(k)]
        self.reads.quotes_until_ns = min(since, default=-1)
        away = self.active("disconnect")
        self.reads.trades_until_ns = self._since["disconnect"] if away else -1
        self.reads.elsewhere = self.active("wrong_account")
        if not away:
            self.reads.kept_account = None

    def terminal(self) -> dict[str, Any]:
        """Fields of ``TerminalInfo`` that change."""
        return {
            "connected": not self.active("disconnect"),
            "trade_allowed": not self.active("autotrading_off"),
            "tradeapi_disabled": self.active("python_off"),
        }

    def account(self) -> dict[str, Any]:
        """Fields of ``AccountInfo`` that change."""
        a = self.ledger.account
        return {
            "trade_allowed": a.trade_allowed and not self.active("account_disabled"),
            "trade_expert": a.trade_expert and not self.active("server_autotrading_off"),
        }

    def refusal(self) -> int:
        """The code by which any order is refused now, 0 where none is; counts the request."""
        account, now_ns = self.account(), self.market.now_ns
        checks = (
            (self.active("disconnect"), Ret.CONNECTION),
            (self.active("autotrading_off"), Ret.CLIENT_DISABLES_AT),
            (not account["trade_allowed"], Ret.TRADE_DISABLED),
            (not account["trade_expert"], Ret.SERVER_DISABLES_AT),
            (self.ledger.account.only_real and not self.ledger.account.real, Ret.ONLY_REAL),
            (self._too_many(now_ns), Ret.TOO_MANY_REQUESTS),
        )
        return next((int(code) for refused, code in checks if refused), 0)

    def _too_many(self, now_ns: int) -> bool:
        most = self.ledger.account.requests
        if not most:
            return False
        while self._sent and self._sent[0] <= now_ns - NS:
            self._sent.popleft()
        if len(self._sent) >= most:
            return True
        self._sent.append(now_ns)
        return False
