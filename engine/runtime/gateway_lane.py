"""One instrument's line to the broker: the intents that wait, and the one under way.

Owns :class:`Lane`. What must hold: an order is given out at most
once unless the broker itself said that it was not executed; while one is under way, or unknown,
nothing else leaves; what is unknown is told only by looking, and is never sent again.

Times are session time, ns. It refuses to know links, accounts and who makes a call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from data.enums import Action, BrokerAct, OrderType, Side
from engine.broker.intent_id import IntentKey, comment_of, magic_of
from engine.broker.protocol import NewOrder, Outcome, PositionFact, Tick, Treatment
from engine.runtime.gateway_calls import Ask, Call
from engine.runtime.gateway_doubts import Doubts
from engine.runtime.gateway_settings import Desk, GatewaySeries
from engine.runtime.gateway_state import TIF_IOC, BrokerRow, Intent, Track
from engine.runtime.reconcile import say_end, say_working

_ORDER_TELLS = frozenset(
    {
        Treatment.DONE, Treatment.PLACED, Treatment.NO_CHANGE, Treatment.REREAD,
        Treatment.FIX_INPUT, Treatment.REFUSE,
    }
)  # fmt: skip
"""Whatever of these a cancel comes to, the order itself tells what became of it."""


@dataclass(slots=True)
class Job:
    """An intent in the line. ``code`` is the broker's last word on it; ``look`` and ``quote``: it
    needs positions, or a price, read after ``since_ns``."""

    intent: Intent
    arrived_ns: int = -1
    not_before_ns: int = 0
    tries: int = 0
    code: int = 0
    look: bool = False
    quote: bool = False
    missing_ns: int = 0
    waited_ns: int = 0
    """So long it had waited elsewhere when it arrived."""


@dataclass
class Lane:
    """See the module. ``why`` it is blocked, with the broker's code; ``out``: a call is being made
    for the head of the line; ``awaiting_ns``: since when its deals are awaited (0: they are not);
    ``quote``: a price that was asked for."""

    series: GatewaySeries
    desk: Desk
    doubts: Doubts
    line: deque[Job] = field(default_factory=deque)
    why: dict[str, int] = field(default_factory=dict)
    out: bool = False
    awaiting_ns: int = 0
    quote: Tick | None = None
    _pause_until_ns: int = 0

    @classmethod
    def make(cls, series: GatewaySeries, desk: Desk) -> Lane:
        """An empty line of ``series``."""
        return cls(series, desk, Doubts(series, desk))

    # -- blocked ----------------------------------------------------------------------------------

    def block(self, why: str, now_ns: int, code: int = 0) -> None:
        """Nothing may leave, for one reason more."""
        before = bool(self.why)
        self.why.setdefault(why, code)
        if not before and self.series.number not in self.desk.ledger.blocked:
            self._say(BrokerAct.BLOCK, now_ns, code)

    def unblock(self, why: str, now_ns: int) -> None:
        """One reason less; the last one lets go."""
        if self.why.pop(why, None) is not None and not self.why:
            self._say(BrokerAct.UNBLOCK, now_ns, 0)

    def _say(self, act: BrokerAct, now_ns: int, code: int) -> None:
        s = self.series
        self.desk.ledger.say(BrokerRow(s.number, s.execution, now_ns, 0, act, code=code))

    @property
    def busy(self) -> bool:
        """Something is under way or unknown: it is worth looking often."""
        return self.out or bool(self.awaiting_ns) or bool(self.doubts.unknown)

    @property
    def quiet(self) -> bool:
        """Nothing waits, is under way or unknown."""
        return not self.line and not self.busy

    # -- what may leave ---------------------------------------------------------------------------

    def due_ns(self) -> int:
        """When the head of the line may leave (0: at once); -1 where nothing can."""
        if not self.line or self.why or self.busy:
            return -1
        return max(self.line[0].not_before_ns, self._pause_until_ns)

    def tidy(self, now_ns: int) -> None:
        """Take out of the line what need not, or must not, leave any more."""
        for job in self.line:
            if job.arrived_ns < 0:
                job.arrived_ns = max(0, now_ns - job.waited_ns)
        start = 1 if self.out or self.awaiting_ns else 0
        keep = [job for i, job in enumerate(self.line) if i < start or self._stays(i, job, now_ns)]
        if len(keep) != len(self.line):
            # a cancel further back in the line may have ended an order that was to stay
            self.line = deque(j for j in keep if not (j.intent.orders and self._over(j.intent)))

    def _stays(self, at: int, job: Job, now_ns: int) -> bool:
        intent = job.intent
        if intent.orders:
            return self._order_stays(job, now_ns)
        if intent.action == Action.CANCEL:
            return self._cancel_stays(intent, now_ns)
        held = self.desk.ledger.held.get(intent.position)
        later = list(self.line)[at + 1 :]
        if held is None or any(_moves(j.intent, intent.position) for j in later):
            return False
        if (held.stop, held.target) == (intent.stop, intent.target):
            self.desk.counts.spared += 1
            self._levels(intent.position, intent.stop, intent.target, now_ns)
            return False
        return True

    def _over(self, intent: Intent) -> bool:
        return self._track(intent).ended

    def _order_stays(self, job: Job, now_ns: int) -> bool:
        track = self._track(job.intent)
        if track.ended:
            return False
        if job.intent.reduces:
            held = self.desk.ledger.held.get(self._position_of(job.intent))
            if held is not None and held.net * int(job.intent.side) < 0:
                return True
        elif now_ns - job.arrived_ns <= self.desk.settings.entry_age_ns:
            return True
        self.desk.counts.dropped += 1
        say_end(self.desk.ledger, self.desk.names, track, now_ns, job.code)
        return False

    def _cancel_stays(self, intent: Intent, now_ns: int) -> bool:
        track = self.desk.ledger.tracks.get((intent.series, intent.order_id))
        if track is None or track.ended:
            return False
        waits = any(j.intent.orders and j.intent.order_id == intent.order_id for j in self.line)
        if waits and not track.working and not self.busy:
            say_end(self.desk.ledger, self.desk.names, track, now_ns)
            return False
        return True

    # -- the next call ----------------------------------------------------------------------------

    def next_call(self, number: int, now_ns: int) -> Call | None:
        """The call that the head of the line (which is tidy) needs now; it counts as made once it
        is returned."""
        due_ns = self.due_ns()
        if due_ns < 0 or now_ns < due_ns:
            return None
        job = self.line[0]
        intent = job.intent
        if intent.orders and not intent.reduces:
            return self._submit(job, number, now_ns)
        if intent.action == Action.CANCEL:
            track = self._track(intent)
            self.out = True
            return Call(number, Ask.CANCEL, self.series.symbol, intent=intent, ticket=track.ticket)
        fact = self.desk.positions.get(self._position_of(intent))
        if fact is not None and intent.orders and fact.side == intent.side:
            fact = None  # it was turned round, and the deal that did it is not seen yet
        if job.look or fact is None:
            return self._read(job, number, now_ns)
        return self._change(job, fact, number)

    def _submit(self, job: Job, number: int, now_ns: int) -> Call | None:
        intent, series = job.intent, self.series
        most = series.most(_touch(intent))
        if now_ns - job.arrived_ns > self.desk.settings.pause_ns and most:
            job.quote = True  # it had to wait: the price may have run away
        if job.quote:
            if self.quote is None:
                return Call(number, Ask.QUOTES, series.symbol)
            tick, self.quote = self.quote, None
            if self._too_far(intent, tick):
                self.desk.counts.dropped += 1
                self._end(job, now_ns)
                return None
        magic, comment = self._id(intent)
        order = NewOrder(
            series.symbol, magic, comment, intent.type, intent.side, intent.qty,
            0 if intent.type == OrderType.MARKET else intent.price, intent.stop, intent.target,
            deviation=most, ioc=intent.type == OrderType.MARKET or intent.tif == TIF_IOC,
        )  # fmt: skip
        self._leaves(job)
        return Call(number, Ask.SUBMIT, series.symbol, intent=intent, order=order, magic=magic)

    def _read(self, job: Job, number: int, now_ns: int) -> Call | None:
        """Positions, because the one that is meant is not known well enough."""
        intent = job.intent
        if not job.look:
            job.missing_ns = job.missing_ns or now_ns
            if now_ns - job.missing_ns > self.desk.settings.settle_ns:
                self.desk.alarm(
                    f"position {intent.position} is not at the broker; by its deals it is open"
                )
                self._end(job, now_ns)
                return None
            job.not_before_ns = now_ns + self.desk.settings.pause_ns
        job.look = False
        return Call(number, Ask.POSITIONS)

    def _change(self, job: Job, fact: PositionFact, number: int) -> Call:
        intent, symbol = job.intent, self.series.symbol
        self._leaves(job)
        if not intent.orders:
            return Call(
                number, Ask.MODIFY, symbol, intent=intent, ticket=fact.ticket, stop=intent.stop,
                target=intent.target,
            )  # fmt: skip
        magic, comment = self._id(intent)
        qty = min(intent.qty, fact.qty)
        if intent.type == OrderType.MARKET:
            self._track(intent).sent = qty
            return Call(
                number, Ask.CLOSE, symbol, intent=intent, position=fact, qty=qty, magic=magic,
                comment=comment,
            )  # fmt: skip
        order = NewOrder(
            symbol, magic, comment, intent.type, intent.side, qty, intent.price, 0, 0, fact.ticket,
            ioc=intent.tif == TIF_IOC,
        )  # fmt: skip
        return Call(number, Ask.SUBMIT, symbol, intent=intent, order=order, magic=magic)

    def _leaves(self, job: Job) -> None:
        self.out = True
        self.quote = None
        if job.intent.orders:
            track = self._track(job.intent)
            assert not track.ended and not track.working, "an order leaves once"
            self.desk.counts.sent += 1
            self.desk.counts.resent += job.tries > 0
        else:
            self.desk.counts.moves += 1

    # -- answers ----------------------------------------------------------------------------------

    def answered(self, outcome: Outcome, now_ns: int) -> str:
        """What came of the call under way; words where trading must halt, else ""."""
        self.out = False
        job = self.line[0]
        job.code = outcome.code
        treatment = outcome.treatment
        if treatment is Treatment.RECONCILE or self._stale(job.intent, outcome):
            self.doubt(now_ns, outcome.code)
        elif job.intent.action == Action.CANCEL and treatment in _ORDER_TELLS:
            self.line.popleft()
            self.doubts.add(job.intent, now_ns, job.tries)
            self.block("unknown", now_ns)
        elif treatment is Treatment.HALT:
            self._end(job, now_ns)
            return outcome.text or f"code {outcome.code}"
        elif treatment is Treatment.FRESH_PRICE:
            self._again(job, now_ns, self.desk.settings.pause_ns)
            job.quote = True
        elif treatment is Treatment.BACK_OFF:
            self._again(job, now_ns, self.desk.settings.pause_ns << min(job.tries, 6))
        elif treatment is Treatment.REREAD or (
            treatment is Treatment.FIX_INPUT and job.intent.reduces and not job.tries
        ):
            self._again(job, now_ns, self.desk.settings.pause_ns)
            job.look = True
        elif treatment in (Treatment.DONE, Treatment.PLACED, Treatment.NO_CHANGE):
            self._taken(job, outcome, now_ns)
        else:
            self.desk.counts.refused += 1
            self._pause_until_ns = now_ns + self.desk.settings.refused_pause_ns
            self._end(job, now_ns)
        return ""

    def refused(self, now_ns: int) -> None:
        """The call under way was certainly not made."""
        self.out = False
        self.desk.counts.refused += 1
        self._pause_until_ns = now_ns + self.desk.settings.refused_pause_ns
        self._end(self.line[0], now_ns)

    def doubt(self, now_ns: int, code: int) -> None:
        """The call under way may have been executed: block, and look."""
        self.out, self.awaiting_ns = False, 0
        job = self.line.popleft()
        self.desk.counts.unknown += 1
        self.doubts.add(job.intent, now_ns, job.tries)
        self.block("unknown", now_ns, code)

    def _stale(self, intent: Intent, outcome: Outcome) -> bool:
        """The answer cannot be this call's: nothing stands already that was asked for the first
        time, and a ticket is given out once."""
        if not intent.orders:
            return False
        other = self.desk.ledger.by_ticket.get(outcome.order) if outcome.order else None
        mine = other is None or other is self._track(intent)
        return outcome.treatment is Treatment.NO_CHANGE or not mine

    def _taken(self, job: Job, outcome: Outcome, now_ns: int) -> None:
        intent = job.intent
        if not intent.orders:
            self.line.popleft()
            if intent.position in self.desk.ledger.held:
                self._levels(intent.position, intent.stop, intent.target, now_ns)
        else:
            track = self._track(intent)
            if not track.working:
                say_working(self.desk.ledger, self.desk.names, track, outcome.order, now_ns)
            if intent.rests:
                self.line.popleft()
            else:
                self.awaiting_ns = now_ns

    def _again(self, job: Job, now_ns: int, pause_ns: int) -> None:
        """Try again after a pause, unless that was done too often."""
        job.tries += 1
        most = self.desk.settings.exit_retries if job.intent.reduces else self.desk.settings.retries
        job.not_before_ns = now_ns + pause_ns
        if job.tries > most:
            self.desk.counts.refused += 1
            self._end(job, now_ns)

    def _end(self, job: Job, now_ns: int) -> None:
        """The head of the line is over without having been executed."""
        self.line.popleft()
        intent = job.intent
        if intent.orders:
            say_end(self.desk.ledger, self.desk.names, self._track(intent), now_ns, job.code)
        elif intent.action == Action.CANCEL:
            self.doubts.give_up(intent, now_ns)
        else:
            held = self.desk.ledger.held.get(intent.position)
            if held is not None:
                self._levels(intent.position, held.stop, held.target, now_ns)

    # -- looks ------------------------------------------------------------------------------------

    def told(self, now_ns: int) -> None:
        """Rows were said: is what was under way over?"""
        if not self.awaiting_ns:
            head = self.line[0] if self.line and not self.out else None
            if head is not None and head.intent.orders:
                track = self._track(head.intent)
                if track.working and not track.ended:
                    # it was to be tried again, and the broker has it, whatever its answer said
                    self.doubt(now_ns, head.code)
            return
        if self._track(self.line[0].intent).ended:
            self.awaiting_ns = 0
            self.line.popleft()
        elif now_ns - self.awaiting_ns > self.desk.settings.settle_ns:
            self.desk.alarm(f"{self.series.symbol}: an order that was executed shows no deal")
            self.doubt(now_ns, 0)

    def looked(self, facts: Sequence[PositionFact], began_ns: int, now_ns: int) -> None:
        """A whole look, begun at ``began_ns``, with a connected terminal."""
        doubts = self.doubts
        moving = {j.intent.position for j in self.line if not j.intent.orders}
        doubts.looked(facts, moving, began_ns, now_ns)
        for again in doubts.again:
            self.line.appendleft(Job(again.intent, tries=again.tries + 1))
        doubts.again.clear()
        if not doubts.unknown:
            self.unblock("unknown", now_ns)
        if not doubts.differs_ns:
            self.unblock("differs", now_ns)
        elif not self.busy and now_ns - doubts.differs_ns > self.desk.settings.settle_ns:
            if "differs" not in self.why:
                self.desk.alarm(f"{self.series.symbol}: the broker's positions are not what its "
                                "deals add up to")  # fmt: skip
            self.block("differs", now_ns)

    # -- small things -----------------------------------------------------------------------------

    def _track(self, intent: Intent) -> Track:
        return self.desk.ledger.tracks[intent.series, intent.order_id]

    def _id(self, intent: Intent) -> tuple[int, str]:
        key = IntentKey(intent.series, intent.order_id)
        return magic_of(self.desk.names.base, self.desk.names.tag, key), comment_of(
            self.desk.names.tag, key
        )

    def _position_of(self, intent: Intent) -> int:
        """The position that an intent means; where it names none, the oldest that it reduces."""
        if intent.position:
            return intent.position
        fits = (
            h.ident for h in self.desk.ledger.held.values()
            if h.fold == self.series.number and h.net * int(intent.side) < 0
        )  # fmt: skip
        return min(fits, default=0)

    def _levels(self, ident: int, stop: int, target: int, now_ns: int) -> None:
        s = self.series
        self.desk.ledger.say(
            BrokerRow(
                s.number, s.execution, now_ns, ident, BrokerAct.LEVELS, position=ident, price=stop,
                target=target,
            )
        )  # fmt: skip

    def _too_far(self, intent: Intent, tick: Tick) -> bool:
        """The price of the moment is worse than the intent knew by more than may be."""
        most = self.series.most(_touch(intent))
        if intent.side == Side.BUY:
            return not tick.ask or (most > 0 and 0 < intent.ask < tick.ask - most)
        return not tick.bid or (most > 0 and intent.bid > tick.bid + most)


def _touch(intent: Intent) -> int:
    """The price that the intent knew on its side; 0: none."""
    return intent.ask if intent.side == Side.BUY else intent.bid


def _moves(intent: Intent, position: int) -> bool:
    return intent.action == Action.MOVE_STOP and intent.position == position
