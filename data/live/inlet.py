"""From what a feed hands over to admitted events: the one door into a session.

Owns :class:`Inlet`: which stream a frame belongs to, what time it is, what an opened or lost
connection means for its streams, silence, and kinds that are not wanted for a while. It does no
I/O; give it items, take groups.

What must hold: every frame ends as events, as seen before, as skipped (it carries no event by its
kind), or as a counted rejection, and never as an exception; memory is bounded; every event of a
session gets its ``seq`` here, those of operators and clocks too.

Times: a frame is received at the session's time when it was read. In a served session the times at
which frames were sent move that clock, and what the venue told of its own clock does so one message
later, when what it had sent by then must have been read. Nobody else need tell that clock.

It refuses to know sockets, files and folds.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from data.enums import GapReason, Kind
from data.events import EVENTS
from data.live.admit import FOREVER, Admission, InletFacts, Rule
from data.live.assemble import Assembler
from data.live.blocks import Group, Series
from data.live.clock import SessionClock
from data.live.decode import (
    AHEAD_OF_SENT_NS,
    UNREADABLE,
    Route,
    Row,
    SpentError,
    Told,
    reason_of,
)
from data.live.gaps import Stream, gap_row
from data.live.items import Closed, Ended, Frame, Item, Opened, Overrun, Served
from data.live.resume import Resume
from data.live.routes import Routes
from data.sources.rejects import RejectedError
from data.sources.row_checks import TIME_MAX_NS, TIME_MIN_NS

HOLD_NS = 1_000_000_000
"""A symbol waits this long for trades whose ids were skipped, ns of session time."""

HOLD_MOST = 4_096
"""Events of one symbol that wait at most."""

SILENCE_NS: dict[Kind, int] = {
    Kind.DEPTH: 10_000_000_000,
    Kind.QUOTE: 10_000_000_000,
    Kind.MARK: 5_000_000_000,
    Kind.TRADE: 120_000_000_000,
}
"""A stream that says nothing for so long (session ns) is said to be silent."""

SERVED_SILENCE_NS = 2_000_000_000
"""A served stream must also have been silent for so long by the monotonic clock."""

SERVED_PATIENCE_NS = 50_000_000
"""In a served session a symbol also waits so long by the monotonic clock: frames of another
connection may be far ahead in the session's time."""

LOOK_EVERY_NS = 1_000_000_000
AHEAD_NS = 600_000_000_000
AHEAD_SERVED_NS = 7_200_000_000_000
"""A frame sent further than this ahead of the session's clock is not believed; a served clock may
lie behind by what a quiet stretch at high speed amounts to."""

BEHIND_NS = 86_400_000_000_000
"""Nor is one sent longer ago than this."""

ODD_FRAMES = 32
ODD_SPREAD_NS = 300_000_000_000
"""So many frames in a row with odd times that agree to within this are right: the clock is off."""

BROKER_COLUMNS = tuple(
    f.name for f in EVENTS[Kind.BROKER].fields if f.name not in ("recv_ns", "seq")
)
"""What a broker's event says: columns in the order of the table, ``ts_ns`` first."""

RECORDED = frozenset({Kind.TRADE, Kind.DEPTH, Kind.BAR, Kind.QUOTE, Kind.LIQUIDATION, Kind.MARK})


@dataclass(slots=True)
class _Way:
    """Where the rows of a route go. ``by_id`` says that its ids show what is missing."""

    stream: Stream
    rule: Rule
    by_id: bool
    wanted: bool


class Inlet:
    """Admits the events of one session. One thread uses it.

    ``series`` are the session's instruments by number; ``next_seq`` is the first number to give
    out; ``resume`` says where the streams stood before a restart, which makes a hole of the time
    since; ``hold_ns`` and ``hold_most`` bound how long and how much a symbol waits when trade ids
    jump; ``silence_ns`` by kind overrides :data:`SILENCE_NS`.
    """

    def __init__(
        self,
        series: list[Series],
        clock: SessionClock,
        next_seq: int = 1,
        resume: Resume | None = None,
        *,
        hold_ns: int = HOLD_NS,
        hold_most: int = HOLD_MOST,
        silence_ns: dict[Kind, int] | None = None,
    ) -> None:
        self.series = list(series)
        self.clock = clock
        self.facts = InletFacts()
        self.ended = False
        self._silence_ns = SILENCE_NS if silence_ns is None else silence_ns
        self._assembler = Assembler(next_seq, clock.now())
        patience_ns = SERVED_PATIENCE_NS if clock.served else 0
        self._admission = Admission(
            len(series), self._assembler, hold_ns, hold_most, self.facts, patience_ns
        )
        self._routes = Routes(self.series)
        self._streams: dict[tuple[int, Kind], Stream] = {}
        self._wanted: frozenset[Kind] = RECORDED
        self._served_ns = 0
        self._look_ns = 0
        self._low_ns, self._high_ns, self._bias_ns = 0, 0, 0
        self._odd: list[int] = []
        self._served = clock.served
        self._least_lag_ns = FOREVER
        self._lag = self.facts.lags.append
        self._ways: list[_Way] = []
        self._believe(clock.now())
        if resume is not None:
            self._resume(resume)

    # -- what goes in -----------------------------------------------------------------------------

    def take(self, items: Iterable[Item]) -> Group | None:
        """Admit what happened, in order; the group of everything that may go on by then.

        Without items it lets go what waited long enough, and looks for silence."""
        item: Item | None = None
        for item in items:
            if type(item) is Frame:
                self._frame(item)
            else:
                self._happened(item)
        # not the time by now: the next item may have been read before that
        mono_ns = self.clock.mono_ns() if item is None else item.mono_ns
        now_ns = self.clock.at(mono_ns)
        self._admission.mono_ns = mono_ns
        if self._least_lag_ns < FOREVER and not self._served:
            self.clock.saw(now_ns - self._least_lag_ns, now_ns)
        self._least_lag_ns = FOREVER
        self._believe(now_ns)
        self._look(now_ns)
        return self.collect()

    def flush(self) -> Group | None:
        """The end: lets go everything that waits."""
        self._admission.release_all()
        return self.collect()

    def collect(self) -> Group | None:
        """What was admitted since the last group."""
        group = self._assembler.collect()
        if group is not None:
            for kind, part in group.parts.items():
                self.facts.admitted[kind] += part.rows.n
        return group

    def clock_event(self, ts_ns: int, series: Iterable[int] | None = None) -> None:
        """Time passes: venue time ``ts_ns``, for some series or all.

        For a series that waits it does not: what it waits for comes first, and time after that.
        """
        mono_ns = self.clock.mono_ns()
        recv_ns = self.clock.at(mono_ns)
        for number in range(len(self.series)) if series is None else series:
            if not self._admission.waits(number):
                self._assembler.push(number, Kind.CLOCK, (ts_ns, mono_ns), recv_ns)

    def control_event(self, code: int, value: int, series: Iterable[int] | None = None) -> None:
        """An act of an operator or a guard, for some series or all; it waits for nothing."""
        recv_ns = self.clock.now()
        ts_ns = self.clock.venue_ns(recv_ns)
        for number in range(len(self.series)) if series is None else series:
            self._assembler.push(number, Kind.CONTROL, (ts_ns, 0, code, value), recv_ns)

    def broker_event(self, series: int, row: Row) -> None:
        """What the broker of a series told: ``row`` is :data:`BROKER_COLUMNS`. Like an order of a
        person it waits for nothing; a ``ts_ns`` of 0 is the venue's time by now."""
        assert len(row) == len(BROKER_COLUMNS)
        recv_ns = self.clock.now()
        ts_ns = row[0] or self.clock.venue_ns(recv_ns)
        self._assembler.push(series, Kind.BROKER, (ts_ns, *row[1:]), recv_ns)

    def break_streams(self, reason: GapReason, kinds: Set[Kind] = RECORDED) -> None:
        """Everything of some kinds is missing from here until it comes again (a full disk)."""
        for stream in self._streams.values():
            if stream.kind in kinds:
                self._broken(stream, self.clock.now(), reason)

    # -- what is known ----------------------------------------------------------------------------

    @property
    def next_seq(self) -> int:
        """The number of the next event."""
        return self._assembler.next_seq

    @property
    def wanted(self) -> frozenset[Kind]:
        """Kinds that are recorded now; set it to leave some out. What is left out is a gap."""
        return self._wanted

    @wanted.setter
    def wanted(self, kinds: Set[Kind]) -> None:
        """Record only these; holes begin for the others."""
        gone = self._wanted - kinds
        self._wanted = frozenset(kinds) & RECORDED
        for way in self._ways:
            way.wanted = way.stream.kind in self._wanted
        if gone:
            self._admission.release_all()
            self.break_streams(GapReason.DISK, gone)

    def silent_streams(self) -> tuple[str, ...]:
        """The venue's names of the streams that are silent, or of no use, for too long now."""
        now_ns, mono_ns = self.clock.now(), self.clock.mono_ns()
        return tuple(s.name for s in self._streams.values() if self._silent(s, now_ns, mono_ns))

    def stuck_streams(self) -> tuple[str, ...]:
        """Those that lack a message, so that nothing of use comes until they begin anew."""
        return tuple(s.name for s in self._streams.values() if s.stuck and s.listens)

    @property
    def open_gaps(self) -> int:
        """Streams that stand in a hole now."""
        return sum(s.gap is not None for s in self._streams.values())

    # -- frames -----------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> None:
        mono_ns, _, data = frame
        facts = self.facts
        facts.frames += 1
        facts.bytes += len(data)
        recv_ns = self.clock.at(mono_ns)
        self._admission.mono_ns = mono_ns
        if recv_ns >= self._admission.due_ns:
            self._admission.release_due(recv_ns)
        route: Route | None = None
        try:
            route = self._routes.of(data)
            if route is None:
                facts.skipped[self._routes.why(data)] += 1
                return
            way = route.goes or self._way(route)
            if not way.wanted:
                facts.unwanted[route.kind] += 1
                if route.restart is not None:
                    route.read(data, recv_ns)  # a book must stay in step while it is not wanted
                return
            told = route.read(data, recv_ns)
            if told.sent_ns:
                recv_ns = self._sent(told.sent_ns, recv_ns, mono_ns)
            self._rows(way, told, recv_ns, mono_ns)
        except SpentError as error:
            facts.rejects[error.reason] += 1
            if route is not None:
                self._admission.spend(self._way(route).stream, error.id, recv_ns)
        except UNREADABLE as error:
            facts.rejects[reason_of(error)] += 1
            if route is not None:
                self._refused(self._way(route), recv_ns)

    def _way(self, route: Route) -> _Way:
        """What is known of the rows of a route."""
        if route.goes is None:
            stream = self._stream(route.series, route.kind)
            rule = self._admission.rule(route.kind, route.running_ids)
            by_id = stream.kind in (Kind.BAR, Kind.TRADE) and route.running_ids
            route.goes = _Way(stream, rule, by_id, route.kind in self._wanted)
            self._ways.append(route.goes)
        way: _Way = route.goes
        return way

    def _sent(self, sent_ns: int, recv_ns: int, mono_ns: int) -> int:
        """Believe the time at which a frame was sent, or not; returns when it was received."""
        if not self._low_ns <= sent_ns < self._high_ns:
            self._doubt(sent_ns, recv_ns)
        elif self._odd:
            self._odd.clear()
        if self._served:
            self.clock.told(sent_ns)
            recv_ns = self.clock.at(mono_ns)
        lag_ns = recv_ns - sent_ns
        if lag_ns < self._least_lag_ns:
            self._least_lag_ns = lag_ns
        self._lag(lag_ns)
        return recv_ns

    def _doubt(self, sent_ns: int, recv_ns: int) -> None:
        """RejectedError, unless many frames in a row agree on that time."""
        odd = self._odd
        odd.append(sent_ns)
        if len(odd) < ODD_FRAMES:
            raise RejectedError("time")
        if max(odd) - min(odd) > ODD_SPREAD_NS:
            del odd[0]
            raise RejectedError("time")
        self._bias_ns = sent_ns - recv_ns
        odd.clear()
        self._believe(recv_ns)

    def _believe(self, now_ns: int) -> None:
        """Which times of sending are believed from now on."""
        about = max(now_ns, self._served_ns) + self._bias_ns
        if self.clock.served and not about:
            self._low_ns, self._high_ns = TIME_MIN_NS, TIME_MAX_NS  # it told no time yet
            return
        self._low_ns = about - BEHIND_NS
        self._high_ns = about + (AHEAD_SERVED_NS if self.clock.served else AHEAD_NS)

    def _rows(self, way: _Way, told: Told, recv_ns: int, mono_ns: int) -> None:
        stream, rows, sent_ns = way.stream, told.rows, told.sent_ns
        stream.stuck = told.stuck
        if not told.stuck:
            stream.heard_ns, stream.heard_mono = recv_ns, mono_ns
        high_ns = sent_ns + AHEAD_OF_SENT_NS if sent_ns else self._high_ns
        refused = 0
        for row in rows:
            if self._low_ns <= row[0] < high_ns or row[0] == recv_ns:
                way.rule(stream, row, recv_ns)
            else:
                refused += 1
        if not rows and not told.refused:
            self.facts.skipped["no event"] += 1
        if refused or told.refused or told.gaps:
            for gap in told.gaps:
                self._emit_gap(stream, gap, recv_ns)
            self.facts.rejects.update(told.refused)
            if refused:
                self.facts.rejects["time"] += refused
            if refused or told.refused:
                self._refused(way, recv_ns)

    def _emit_gap(self, stream: Stream, gap: Row, recv_ns: int) -> None:
        """A gap that a reader found; where its times are not to be believed, up to now."""
        times = (gap[0], gap[3], gap[4])
        if not (self._low_ns <= min(times) and max(times) < self._high_ns):
            now_ns = max(self.clock.venue_ns(recv_ns), stream.known_ns)
            reason, from_ns = GapReason(gap[7]), stream.known_ns or now_ns
            gap = gap_row(stream, now_ns, reason, from_ns, stream.last_id)
        self._admission.emit(stream.series, Kind.GAP, gap, recv_ns)

    def _refused(self, way: _Way, recv_ns: int) -> None:
        """A frame of a stream was not fit for use: something is missing from here to its next
        event, and where ids do not tell it is said. One gap is enough for many frames."""
        if not way.by_id and way.stream.gap is None:
            self._broken(way.stream, recv_ns, GapReason.UNKNOWN)

    # -- what happens besides ---------------------------------------------------------------------

    def _happened(self, item: Item) -> None:
        recv_ns = self.clock.at(item.mono_ns)
        self._admission.mono_ns = item.mono_ns
        self._admission.release_due(recv_ns)
        if isinstance(item, Opened):
            for stream, _ in self._named(item.streams):
                stream.listens = True
                stream.since_ns = self.clock.venue_ns(recv_ns)
                stream.heard_ns, stream.heard_mono = recv_ns, item.mono_ns
        elif isinstance(item, Closed):
            for stream, route in self._named(item.streams):
                stream.listens = False
                self._lost(stream, route, recv_ns, item.reason)
        elif isinstance(item, Overrun):
            for stream, route in self._named(item.streams):
                self._lost(stream, route, recv_ns, item.reason)
        elif isinstance(item, Served):
            self.clock.told(self._served_ns or item.now_ns)
            self._served_ns = item.now_ns
            self._believe(self.clock.now())
        elif isinstance(item, Ended):
            self.clock.told(self._served_ns)
            self.ended = True

    def _lost(self, stream: Stream, route: Route, recv_ns: int, reason: GapReason) -> None:
        self._admission.release(stream.series)
        self._broken(stream, recv_ns, reason)
        stream.stuck = False
        if route.restart is not None:
            route.restart()

    def _named(self, names: Iterable[str]) -> list[tuple[Stream, Route]]:
        """The streams behind the venue's names; those that carry no event of ours are left out."""
        found = []
        for name in names:
            route = self._routes.named(name)
            if route is not None:
                stream = self._stream(route.series, route.kind)
                stream.name = name
                found.append((stream, route))
        return found

    def _stream(self, series: int, kind: Kind) -> Stream:
        stream = self._streams.get((series, kind))
        if stream is None:
            stream = self._streams[series, kind] = Stream(series, kind)
        return stream

    def _broken(self, stream: Stream, recv_ns: int, reason: GapReason) -> None:
        row = stream.open_gap(self.clock.venue_ns(recv_ns), reason)
        if row is not None:
            self._admission.emit(stream.series, Kind.GAP, row, recv_ns)

    def _look(self, now_ns: int) -> None:
        """Once a second: what waited long enough, and who is silent."""
        self._admission.release_due(now_ns)
        if now_ns < self._look_ns:
            return
        self._look_ns = now_ns + LOOK_EVERY_NS
        mono_ns = self.clock.mono_ns()
        for stream in self._streams.values():
            if stream.gap is None and self._silent(stream, now_ns, mono_ns):
                self._broken(stream, now_ns, GapReason.SILENCE)

    def _silent(self, stream: Stream, now_ns: int, mono_ns: int) -> bool:
        if not stream.listens or stream.kind not in self._wanted:
            return False
        if now_ns - stream.heard_ns < self._silence_ns.get(stream.kind, FOREVER):
            return False
        return not self._served or mono_ns - stream.heard_mono >= SERVED_SILENCE_NS

    def _resume(self, resume: Resume) -> None:
        now_ns = self.clock.now()
        for (series, kind), (last_ns, key, id) in sorted(resume.last.items()):
            if series < len(self.series):
                stream = self._stream(series, kind)
                stream.last_ns, stream.key, stream.last_id = last_ns, key, id
                stream.recent.append(key)
                self._broken(stream, now_ns, GapReason.DOWNTIME)
