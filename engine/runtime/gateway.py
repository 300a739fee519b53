"""Between intents and a broker: what is asked, in which order, and what the answers mean.

Owns :class:`Gateway`, which makes no call and reads no clock: it takes synced intents, says the
next :class:`Call`, takes its answer, and gives BROKER rows for the log. What must hold:

* an order leaves at most once, unless the broker itself said that it was not executed;
* after anything that may have been executed, and at every start, the instrument is blocked until
  positions, orders and deals have told what is true;
* everything that it knows follows from the session's intents and BROKER rows (the ledger) and from
  what the broker says now; a gateway that is made anew from the log goes on safely;
* positions and orders that are not this session's are reported and not touched, unless told.

One thread uses it. Times are session time, ns. It refuses to know threads, sockets and MetaTrader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from data.enums import BrokerAct
from engine.broker.protocol import (
    Account,
    BrokerError,
    BrokerGoneError,
    DealFact,
    Health,
    OrderFact,
    Outcome,
    PositionFact,
    Tick,
)
from engine.runtime.books import Books
from engine.runtime.gateway_calls import CHANGES, Answer, Ask, Call
from engine.runtime.gateway_chores import Chores
from engine.runtime.gateway_lane import Job, Lane
from engine.runtime.gateway_settings import Counts, Desk, GatewaySeries, GatewaySettings
from engine.runtime.gateway_state import BrokerRow, Intent, Ledger
from engine.runtime.reconcile import Found, Names, tell_deals, tell_orders, tell_positions

__all__ = [
    "Ask", "BrokerRow", "Call", "Gateway", "GatewaySeries", "GatewaySettings", "Intent", "Ledger",
]  # fmt: skip

LOOK = (Ask.DEALS, Ask.ORDERS, Ask.POSITIONS, Ask.HEALTH, Ask.ACCOUNT)
"""A whole look, in this order: an execution is told as early as can be, and that the terminal was
connected is asked when all was read."""

CONNECT_PAUSES_NS = (0, 500_000_000, 1_000_000_000, 2_000_000_000, 5_000_000_000)
ERRORS_MOST = 3
"""Looks in a row that a broker may fail to answer before the link is taken for dead."""


@dataclass(slots=True)
class _Look:
    """A look being made: the time it began, and how far it is."""

    began_ns: int
    at: int = 0
    positions: Sequence[PositionFact] = ()
    connected: bool = False
    allowed: bool = False
    last_deal_ns: int = 0


@dataclass
class _Looks:
    """When to look, and what the looks cannot put into rows."""

    next_ns: int = 0
    step_ns: int = 0
    now: _Look | None = None
    whole: bool = True
    errors: int = 0
    early: dict[int, int] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)


class Gateway:
    """Sends the intents of a session's folds, once.

    ``series`` are the instruments; ``base`` and ``tag`` make the magics (see
    ``engine.broker.intent_id``); ``resume`` is the ledger of the session so far (see
    :func:`~engine.runtime.gateway_state.followed`): every order in it without an end may have been
    sent, and is looked for before anything else. A new session gives none.
    """

    def __init__(
        self,
        series: Sequence[GatewaySeries],
        base: int,
        tag: int,
        settings: GatewaySettings | None = None,
        resume: Ledger | None = None,
    ) -> None:
        assert len({s.symbol for s in series}) == len(series), "a symbol has one fold"
        self.settings = settings or GatewaySettings()
        self.ledger = resume or Ledger()
        self.names = Names(
            base, tag, {s.number: s.execution for s in series}, {s.number: s.symbol for s in series}
        )
        self.books = Books(self.settings.settle_ns)
        self.account: Account | None = None
        self.health: Health | None = None
        self.halted = ""
        """Why nothing can be traded until a person acts; empty where it can."""
        self.link_error = ""
        """Why there is no link to the broker; empty where there is one, or none was tried."""
        self._alarms: list[str] = []
        self.alarmed = 0
        """How many alarms there were."""
        self._desk = Desk(self.names, self.settings, self.ledger, self._alarm)
        self._lanes = {s.number: Lane.make(s, self._desk) for s in series}
        self._chores = Chores(self._desk)
        self._looks = _Looks()
        self._linked = False
        self._connect_ns = self._connects = 0
        self._halt_until_ns = 0
        self._call: Call | None = None
        self._number = 0
        self._turn = 0
        self._began = False

    # -- what goes in -----------------------------------------------------------------------------

    def intent(self, series: int, row: Any, waited_ns: int = 0) -> None:
        """An intent of fold ``series`` (a row with the columns of the table ``intent``, or an
        :class:`Intent`), which must be synced by now. One that was given before is not taken.
        ``waited_ns`` passed since it was decided; below ``late_ns`` that is the way it goes."""
        intent = row if isinstance(row, Intent) else Intent.of(series, row)
        if self.ledger.intend(intent):
            late = waited_ns >= self.settings.late_ns
            self._lanes[series].line.append(Job(intent, waited_ns=waited_ns if late else 0))

    # -- what to do -------------------------------------------------------------------------------

    def next_call(self, now_ns: int) -> Call | None:
        """The call to make now; None while one is being made or none is due. Rows may have been
        said as well: see :meth:`take`."""
        if self._call is not None:
            return None
        if not self._began:
            self._begin(now_ns)
        self._call = self._choose(now_ns)
        return self._call

    def due_ns(self, now_ns: int) -> int:
        """When :meth:`next_call` should be asked again; ``now_ns`` where at once."""
        if self._call is not None:
            return now_ns + self.settings.poll_ns
        if not self._linked:
            return max(now_ns, self._connect_ns)
        dues = [self._looks.next_ns] if self._looks.now is None else [now_ns]
        dues += [due for lane in self._lanes.values() if (due := lane.due_ns()) >= 0]
        return max(now_ns, min(dues))

    def answer(self, call: Call, answer: Answer, now_ns: int) -> list[BrokerRow]:
        """What ``call`` came to; the rows that follow from it, in order, for the log. The answer
        to another call than the one being made is counted, and nothing else."""
        if self._call is None or call.number != self._call.number:
            self.counts.late_answers += 1
            return self.take()
        self._call = None
        if isinstance(answer, BrokerError):
            self._failed(call, answer, now_ns)
        elif call.ask in CHANGES:
            self._changed(call, cast("Outcome", answer), now_ns)
        elif call.ask is Ask.CONNECT:
            self._connected(cast("Account", answer), now_ns)
        elif call.ask is Ask.QUOTES:
            ticks = cast("Sequence[Tick]", answer)
            for lane in self._lanes.values():
                if lane.series.symbol == call.symbol:
                    lane.quote = ticks[-1] if ticks else Tick(0, 0, 0)
        else:
            self._seen(call, answer, now_ns)
        for lane in self._lanes.values():
            lane.told(now_ns)
        return self.take()

    def take(self) -> list[BrokerRow]:
        """Rows said since they were taken last."""
        return self.ledger.take()

    def take_alarms(self) -> list[str]:
        """What a person should hear, since this was asked last."""
        said, self._alarms = self._alarms, []
        return said

    # -- what is known ----------------------------------------------------------------------------

    @property
    def counts(self) -> Counts:
        """What was done so far, by this process."""
        return self._desk.counts

    @property
    def blocked(self) -> dict[int, tuple[str, ...]]:
        """Why nothing is sent, by number of the fold; empty where all may trade."""
        return {n: tuple(sorted(lane.why)) for n, lane in self._lanes.items() if lane.why}

    @property
    def unknown_positions(self) -> list[PositionFact]:
        """Positions in our symbols that this session did not open, as of the last look."""
        return self._chores.unknown

    @property
    def quiet(self) -> bool:
        """Nothing waits, is under way or unknown."""
        return self._call is None and all(lane.quiet for lane in self._lanes.values())

    @property
    def reconciled(self) -> bool:
        """The start is through: what the broker has was compared with the log."""
        return self._began and not any("start" in lane.why for lane in self._lanes.values())

    def facts(self) -> dict[str, Any]:
        """Figures for a screen and a last object; plain values."""
        counts = self.counts
        return {
            "blocked": {str(n): list(why) for n, why in self.blocked.items()},
            "halted": self.halted,
            "connected": bool(self.health and self.health.connected and self._linked),
            "link_error": self.link_error,
            "reconciled": self.reconciled,
            "waiting": sum(len(lane.line) for lane in self._lanes.values()),
            "unknown_now": sum(len(lane.doubts.unknown) for lane in self._lanes.values()),
            "unknown_positions": [p.ticket for p in self.unknown_positions],
            "unknown_orders": [o.ticket for o in self._chores.others],
            "positions": len(self.ledger.held),
            "alarms": self.alarmed,
            "books": {
                "broker": self.books.broker, "ours": self.books.ours,
                "difference": self.books.difference, "equal": self.books.equal,
            },
            **{name: getattr(counts, name) for name in counts.__dataclass_fields__},
        }  # fmt: skip

    # -- choosing ---------------------------------------------------------------------------------

    def _begin(self, now_ns: int) -> None:
        """What the log leaves open may have been sent: look for it before anything else."""
        self._began = True
        for held in self.ledger.held.values():
            held.asked = True  # levels may have moved while nobody looked
        for number, lane in self._lanes.items():
            lane.block("start", now_ns)
            lane.block("link", now_ns)
            for track in self.ledger.open_of(number):
                lane.doubts.add(track.intent, now_ns)
            lane.line.extend(
                Job(i) for (fold, _), i in self.ledger.cancels.items() if fold == number
            )
            if lane.doubts.unknown:
                lane.block("unknown", now_ns)

    def _choose(self, now_ns: int) -> Call | None:
        for lane in self._lanes.values():
            lane.tidy(now_ns)
        if not self._linked:
            return self._new(Ask.CONNECT) if now_ns >= self._connect_ns else None
        lanes = list(self._lanes.values())
        for i in range(len(lanes)):
            lane = lanes[(self._turn + i) % len(lanes)]
            call = lane.next_call(self._number + 1, now_ns)
            if call is not None:
                self._number += 1
                self._turn += i + 1
                return call
        return self._chore(now_ns) or self._look_on(now_ns)

    def _new(self, ask: Ask, since_ns: int = 0) -> Call:
        self._number += 1
        return Call(self._number, ask, since_ns=since_ns)

    def _look_on(self, now_ns: int) -> Call | None:
        looks = self._looks
        if looks.now is None:
            if now_ns < looks.next_ns:
                return None
            looks.now = _Look(now_ns)
        return self._new(LOOK[looks.now.at], self._since_ns(now_ns))

    def _since_ns(self, now_ns: int) -> int:
        """How far back a look goes: over what is open, and over all where something differs."""
        since_ns = now_ns
        if self._looks.whole and self.ledger.began_ns:
            since_ns = self.ledger.began_ns
        for track in self.ledger.open_tracks.values():
            since_ns = min(since_ns, track.intent.ts_ns)
        return max(0, min(since_ns, now_ns) - self.settings.overlap_ns)

    # -- answers ----------------------------------------------------------------------------------

    def _failed(self, call: Call, error: BrokerError, now_ns: int) -> None:
        gone = isinstance(error, BrokerGoneError) or call.ask is Ask.CONNECT
        lane = self._lane_of(call)
        if lane is not None and call.ask in CHANGES:
            if gone:
                lane.doubt(now_ns, 0)
            else:
                lane.refused(now_ns)
                self._alarm(f"{lane.series.symbol}: refused before it was sent: {error}")
        if call.ask not in CHANGES and not gone:
            self._looks.errors += 1
            self._looks.now = None
            self._looks.next_ns = now_ns + self.settings.pause_ns
        if gone or self._looks.errors >= ERRORS_MOST:
            self._lost(str(error), now_ns)

    def _lane_of(self, call: Call) -> Lane | None:
        return self._lanes[call.intent.series] if call.intent is not None else None

    def _lost(self, why: str, now_ns: int) -> None:
        """The link is dead: nothing may leave until it is back and all was looked at."""
        self.counts.links_lost += self._linked
        if self._linked or why != self.link_error:
            self._alarm(f"there is no link to the broker: {why}")
        self._linked, self.link_error = False, why
        self._looks.now, self._looks.errors, self._looks.whole = None, 0, True
        pause_ns = CONNECT_PAUSES_NS[min(self._connects, len(CONNECT_PAUSES_NS) - 1)]
        self._connect_ns = now_ns + pause_ns
        self._connects += 1
        for lane in self._lanes.values():
            lane.block("link", now_ns)
            lane.doubts.unlooked()

    def _connected(self, account: Account, now_ns: int) -> None:
        before = self.account
        self.account = account
        if before is not None and (before.login, before.server) != (account.login, account.server):
            self._halt("the terminal is logged in to another account", now_ns)
        self._linked, self.link_error = True, ""
        self._looks.next_ns = now_ns

    def _changed(self, call: Call, outcome: Outcome, now_ns: int) -> None:
        lane = self._lane_of(call)
        self._looks.now = None  # what was read before this is old
        self._looks.next_ns, self._looks.step_ns = now_ns, self.settings.quick_ns
        if lane is None:
            return  # a chore: the next look shows what came of it
        why = lane.answered(outcome, now_ns)
        if why:
            self._halt(why, now_ns)

    def _halt(self, why: str, now_ns: int) -> None:
        if not self.halted:
            self.counts.halts += 1
            self._alarm(f"trading is halted: {why}")
        self.halted = why
        self._halt_until_ns = now_ns + self.settings.halt_ns
        for lane in self._lanes.values():
            lane.block("halt", now_ns)

    # -- looks ------------------------------------------------------------------------------------

    def _seen(self, call: Call, answer: Answer, now_ns: int) -> None:
        if call.ask is Ask.POSITIONS:
            positions = cast("Sequence[PositionFact]", answer)
            self._desk.positions.clear()
            self._desk.positions.update({p.ident: p for p in positions})
        look = self._looks.now
        if look is None or LOOK[look.at] is not call.ask:
            return
        if call.ask is Ask.DEALS:
            deals = cast("Sequence[DealFact]", answer)
            look.last_deal_ns = max((d.ts_ns for d in deals), default=0)
            self._tell_deals(deals, now_ns)
        elif call.ask is Ask.ORDERS:
            found = Found()
            orders = cast("Sequence[OrderFact]", answer)
            tell_orders(self.ledger, self.names, orders, now_ns, found)
            self._chores.strays(found.stray, now_ns)
            self._chores.orders(found.others)
        elif call.ask is Ask.POSITIONS:
            look.positions = tuple(self._desk.positions.values())
            unknown = tell_positions(self.ledger, self.names, look.positions, now_ns)
            self._unknown(unknown, now_ns)
        elif call.ask is Ask.HEALTH:
            self.health = cast("Health", answer)
            look.connected = self.health.connected
            look.allowed = self.health.trade_allowed
        look.at += 1
        if call.ask is Ask.ACCOUNT:
            self.account = cast("Account", answer)
            self._looked(look, now_ns)

    def _tell_deals(self, deals: Sequence[DealFact], now_ns: int) -> None:
        looks, found = self._looks, Found()
        late = any(now_ns - since > self.settings.settle_ns for since in looks.early.values())
        tell_deals(self.ledger, self.names, deals, now_ns, found, patient=not late)
        if late:
            self._alarm("a deal that closes a position is there, and the one that opened it is not")
        looks.early = {d.ticket: looks.early.get(d.ticket, now_ns) for d in found.early}
        for ticket in found.foreign:
            if ticket not in looks.told:
                looks.told.add(ticket)
                self._alarm(f"deal {ticket} carries this session's mark, and no intent explains it")

    def _looked(self, look: _Look, now_ns: int) -> None:
        """A look is whole."""
        looks = self._looks
        looks.now, looks.errors = None, 0
        if look.connected:
            self._connects = 0
            self._first_balances(look, now_ns)
            for lane in self._lanes.values():
                lane.looked(look.positions, look.began_ns, now_ns)
            self._may_trade(look.allowed, now_ns)
            self._compare(now_ns)
            looks.whole = bool(looks.early) or not self.books.equal or self._differs
            for lane in self._lanes.values():
                lane.unblock("link", now_ns)
                if not lane.doubts.unknown:
                    lane.unblock("start", now_ns)
        else:
            looks.whole = True
            for lane in self._lanes.values():
                lane.block("link", now_ns)
                lane.doubts.unlooked()
        busy = any(lane.busy for lane in self._lanes.values())
        quick_ns = max(looks.step_ns, self.settings.quick_ns)
        step_ns = quick_ns if busy else self.settings.poll_ns
        looks.step_ns = min(2 * quick_ns, self.settings.poll_ns) if busy else 0
        looks.next_ns = now_ns + step_ns

    def _first_balances(self, look: _Look, now_ns: int) -> None:
        """The balance that a fold begins with, as of the last deal that was seen: by the server's
        own time, which may not be that of the session."""
        assert self.account is not None
        for number, series in self.names.series.items():
            if number not in self.ledger.balances:
                at_ns = look.last_deal_ns or now_ns
                balance = self.account.balance
                self.ledger.say(
                    BrokerRow(number, series, at_ns, 0, BrokerAct.BALANCE, balance=balance)
                )

    @property
    def _differs(self) -> bool:
        return any(lane.doubts.differs_ns for lane in self._lanes.values())

    def _may_trade(self, allowed: bool, now_ns: int) -> None:
        """Halted while the terminal or the account allows no trading; trusted again after that."""
        if not allowed:
            words = self.health.words if self.health else ""
            self._halt(words or "the terminal or the account does not allow trading", now_ns)
        elif self.halted and now_ns >= self._halt_until_ns:
            self.halted = ""
            for lane in self._lanes.values():
                lane.unblock("halt", now_ns)

    def _compare(self, now_ns: int) -> None:
        assert self.account is not None
        if not self.quiet or self._differs or self._looks.early:
            return
        ours = [self.ledger.balances[n] for n in self._lanes]
        why = self.books.compare(self.account.balance, ours, now_ns)
        if why:
            self._alarm(why)

    def _unknown(self, positions: list[PositionFact], now_ns: int) -> None:
        self._chores.positions(positions, now_ns)
        netting = self.account is not None and not self.account.hedging
        theirs = {p.symbol for p in positions}
        for lane in self._lanes.values():
            if netting and lane.series.symbol in theirs:
                lane.block("foreign", now_ns)  # an order of ours would become part of it
            else:
                lane.unblock("foreign", now_ns)

    def _chore(self, now_ns: int) -> Call | None:
        if not self.reconciled or self.halted or any("link" in w for w in self.blocked.values()):
            return None
        call = self._chores.next_call(self._number + 1, now_ns)
        self._number += call is not None
        return call

    def _alarm(self, words: str) -> None:
        self.alarmed += 1
        self._alarms.append(words)
