"""A trade server and the terminal in front of it, without a clock or a socket of their own.

Owns :class:`SimServer`: time is passed in (:meth:`SimServer.advance`), calls of the package are
answered (:meth:`SimServer.call`), and the script of faults is carried out. What must hold: the same
quotes, calls, times and script give the same answers; the account lives on whatever happens to who
calls; a call is executed at most once; what went wrong on purpose is counted.

It refuses to know the argument rules of the package and who is at the other end.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from engine.broker.terminal.server.clock import ServerClock
from engine.broker.terminal.server.conditions import Conditions
from engine.broker.terminal.server.desk import PLAIN, Desk, Twist
from engine.broker.terminal.server.faults import EVENTS, KINDS, Fault, Plan, Script
from engine.broker.terminal.server.front import Front
from engine.broker.terminal.server.keeper import Keeper
from engine.broker.terminal.server.ledger import NS, Ledger
from engine.broker.terminal.server.market import Market, Quote
from engine.broker.terminal.server.quotes import Block
from engine.broker.terminal.server.reads import Reads
from engine.broker.terminal.server.rules import Request
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec
from engine.broker.terminal.server.words import DealType, Ret
from engine.broker.terminal.wire import Fault as Broken
from engine.broker.terminal.wire import FaultKind, Reply

_SILENT = "IPC initialize failed, Pipe server didn't answer in 60 sec"


class SimServer:
    """A server with ``symbols`` and one ``account``, on the wall clock ``clock`` (a rule, see
    :class:`engine.broker.terminal.server.clock.ServerClock`), from ``start_ns`` on. ``quotes`` are
    given by hand, ``tapes`` come from a log; ``faults`` are what goes wrong."""

    def __init__(
        self,
        clock: str,
        symbols: Iterable[SymbolSpec],
        account: AccountSpec,
        faults: Script | None = None,
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
        self.conditions = Conditions(self.ledger, self.reads)
        self.front = Front(self.reads, self.desk, self.conditions)
        self.plan = Plan(faults or Script(), start_ns)
        self.calls: Counter[str] = Counter()
        self.retcodes: Counter[int] = Counter()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timed = 0
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
            due_ns = min(timer_ns, self.keeper.next_ns(), self.plan.next_ns())
            stop_ns = max(min(to_ns, due_ns), self.market.now_ns)
            self.market.play(stop_ns, self.keeper.waits, self.keeper.quote)
            self.keeper.due()
            while self._timers and self._timers[0][0] <= self.market.now_ns:
                heapq.heappop(self._timers)[2]()
            for fault in self.plan.begun(self.market.now_ns):
                self._begin(fault)
            if due_ns > to_ns:
                return

    # --- what goes wrong, and money that no trade brings

    def fault(self, kind: str, value: str | float | None = None, **when: Any) -> None:
        """One more fault from now on, as a table of the script has it: ``kind``, ``value``, and one
        of share, at, every and count. ConfigError where it is none."""
        self.plan.add(Fault.of(kind, value, **when), self.now_ns)

    def begin_script(self, script: Script) -> None:
        """Have this go wrong; its times and calls are counted from now on."""
        self.plan = Plan(script, self.now_ns)

    def move_money(self, amount: float, comment: str = "deposit") -> int:
        """Deposit (or take, where below 0) money of the account's currency; the deal's ticket."""
        ledger = self.ledger
        return ledger.move_money(DealType.BALANCE, ledger.money.minor(amount), comment).ticket

    def _begin(self, fault: Fault) -> None:
        if fault.kind == "deposit":
            self.move_money(fault.value, "deposit" if fault.value >= 0 else "withdrawal")
        elif fault.kind == "reopen":
            self.ledger.reopen()
        else:
            self.conditions.begin(fault.kind, fault.long_ns)

    # --- calls

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        """Answer a call of the package; the reply says what happens to it on its way."""
        self.calls[name] += 1
        symbol = str((payload.get("request") or payload).get("symbol") or "")
        met = self.plan.met(name, symbol, self.now_ns)
        struck = {f.kind: f for f in met}
        for fault in met:
            if KINDS[fault.kind].state or fault.kind in EVENTS:
                self._begin(fault)
        self.conditions.look()
        if self.conditions.active("restart"):
            dead = Reply.failed(-10003, _SILENT)
            return dead if name == "initialize" else _broken(FaultKind.PIPE_DEATH)
        if self.conditions.waits_for_initialize and name != "initialize":
            return _broken(FaultKind.PIPE_DEATH)
        return self._met(name, payload, struck)

    def _met(self, name: str, payload: dict[str, Any], struck: dict[str, Fault]) -> Reply:
        """The reply to a call that meets faults."""
        for kind, broken in (
            ("hang", FaultKind.HANG),
            ("pipe_death", FaultKind.PIPE_DEATH),
            ("lost_answer", FaultKind.PIPE_DEATH),
        ):
            if kind in struck:
                if struck[kind].executed:
                    self._execute(name, payload, struck)
                return _broken(broken)
        if "late_execution" in struck:
            at_ns = self.now_ns + struck["late_execution"].long_ns
            self.later(at_ns, lambda: self._late(name, payload, struck))
            return _broken(FaultKind.HANG)
        if "none" in struck:
            if struck["none"].executed:
                self._execute(name, payload, struck)
            return _failed(int(struck["none"].value))
        reply = self._execute(name, payload, struck)
        for kind in ("delay", "late_answer"):
            if kind in struck:
                reply = replace(reply, fault=Broken(FaultKind.DELAY, struck[kind].long_ns / NS))
        if "duplicate_answer" in struck:
            reply = replace(reply, fault=Broken(FaultKind.DUPLICATE))
        return reply

    def _late(self, name: str, payload: dict[str, Any], struck: dict[str, Fault]) -> None:
        self.conditions.look()
        self._execute(name, payload, struck)

    def _execute(self, name: str, payload: dict[str, Any], struck: dict[str, Fault]) -> Reply:
        if name != "order_send":
            reply = self.front.answer(name, payload)
            if "duplicate_deals" in struck and isinstance(reply.value, list):
                reply = replace(reply, value=[row for row in reply.value for _ in (0, 1)])
            return reply
        if "out_of_order" in struck:
            self.ledger.held_deal_ns = self.now_ns + struck["out_of_order"].long_ns
        reply = self.front.send(payload["request"], _twist(struck))
        if reply.value is None:
            return reply
        told = struck.get("retcode")
        if told is not None and told.executed:
            request = Request(**payload["request"])
            reply = replace(reply, value=self.desk.result(int(told.value), request))
        if "no_price" in struck:
            reply = replace(reply, value=reply.value | {"price": 0.0})
        self.retcodes[reply.value["retcode"]] += 1
        return reply

    def facts(self) -> dict[str, Any]:
        """What was asked, answered and done so far, for a person or a test."""
        money, ledger = self.ledger.money.amount, self.ledger
        return {
            "now_ns": self.now_ns,
            "balance": money(ledger.balance),
            "equity": money(ledger.equity()),
            "positions": len(ledger.positions),
            "orders": len(ledger.orders),
            "deals": len(ledger.deals),
            "calls": dict(sorted(self.calls.items())),
            "retcodes": {str(code): n for code, n in sorted(self.retcodes.items())},
            "server": dict(sorted(self.keeper.counts.items())),
            "elsewhere": self.front.elsewhere,
            "faults": dict(sorted(self.plan.done.items())),
        }


def _twist(struck: dict[str, Fault]) -> Twist:
    """What the faults of a request change about it."""
    twist, code = PLAIN, struck.get("retcode")
    if code is not None and not code.executed:
        twist = replace(twist, code=int(code.value))
    if "requote" in struck:
        twist = replace(twist, code=int(Ret.REQUOTE))
    if "partial" in struck:
        twist = replace(twist, share=struck["partial"].value)
    if "placed" in struck:
        twist = replace(twist, late_ns=struck["placed"].long_ns)
    if "slip" in struck:
        twist = replace(twist, slip=int(struck["slip"].value))
    return twist


def _broken(kind: FaultKind) -> Reply:
    return Reply(None, fault=Broken(kind))


def _failed(code: int) -> Reply:
    return Reply.failed(code)
