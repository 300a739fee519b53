"""Which rows of a stream are new, in which order they go on, and what is missing between them.

Owns :class:`Admission`, one rule a kind:

* trades count up by one: what was seen is left out, a jump makes the symbol wait
  (:mod:`data.live.order_hold`), a hole is an event. Opaque ids are only compared with those seen
  lately;
* depth and quotes carry rising update ids that leave out numbers: an older sample that was not seen
  is left out and said (DISORDER), because a book must not go back;
* bars go by their start, and a missing start is a hole (not where minutes without a quote have no
  bar: a terminal's); marks by their time; liquidations by content.

What must hold: while a symbol waits, all its events wait; ids that fall back or jump beyond belief
are a new count and are said (SEQUENCE_BREAK).

It refuses to know frames, venues and connections.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from data.enums import GapReason, Kind
from data.live.assemble import Assembler
from data.live.decode import Row
from data.live.gaps import Seen, Stream, gap_row
from data.live.order_hold import OrderHold

JUMP_MAX = 100_000
"""Trades that may be missing at once on an open connection; beyond it the id is a stranger's."""

REACH_MAX = 10**9
"""The same after an outage: months of a busy symbol."""

OLD_IDS_MAX = 16
"""So many old update ids in a row, none of them seen, say that the venue counts anew."""

MARK_BACK_NS = 60_000_000_000
"""A mark that is older than the last one by more is not late: the venue's clock was put back."""

SEEN_MOST = 100_000
"""Liquidations and opaque trade ids remembered in each of two generations."""

FOREVER = 1 << 62

_TRADE = Kind.TRADE  # an enumeration's member costs a look-up each time
Rule = Callable[[Stream, Row, int], None]
LAGS_KEPT = 8192


@dataclass(slots=True)
class InletFacts:
    """Counters since the start. ``lags`` are receive less sending time (ns) of the last frames."""

    frames: int = 0
    bytes: int = 0
    admitted: Counter[Kind] = field(default_factory=Counter)
    duplicates: Counter[Kind] = field(default_factory=Counter)
    late: Counter[Kind] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    gaps: Counter[GapReason] = field(default_factory=Counter)
    unwanted: Counter[Kind] = field(default_factory=Counter)
    holds: int = 0
    restored: int = 0
    lags: deque[int] = field(default_factory=lambda: deque(maxlen=LAGS_KEPT))

    @property
    def events(self) -> int:
        """Events admitted."""
        return self.admitted.total()


class Admission:
    """Rules and waiting of all series; ``series`` is their number, ``hold_ns`` session time.

    ``patience_ns`` is how long a symbol waits at least by the monotonic clock, which whoever admits
    keeps in ``mono_ns``: the clock of a session that is served fast leaps.
    """

    def __init__(
        self,
        series: int,
        assembler: Assembler,
        hold_ns: int,
        hold_most: int,
        facts: InletFacts,
        patience_ns: int = 0,
    ) -> None:
        self.due_ns = FOREVER
        self.mono_ns = 0
        self._patience_ns = patience_ns
        self._began_ns: dict[int, int] = {}
        self.facts = facts
        self._assembler = assembler
        self._hold_ns = hold_ns
        self._hold_most = hold_most
        self._holds: list[OrderHold | None] = [None] * series
        self._waiting: dict[int, Stream] = {}
        self._seen = Seen(SEEN_MOST)
        self._rules = {
            Kind.TRADE: self._trade,
            Kind.DEPTH: self._sample,
            Kind.QUOTE: self._sample,
            Kind.BAR: self._bar,
            Kind.MARK: self._mark,
            Kind.LIQUIDATION: self._liquidation,
        }

    def rule(self, kind: Kind, running_ids: bool) -> Rule:
        """What takes the rows of a stream of ``kind``: (stream, row, session ns of receipt)."""
        if kind is Kind.TRADE and not running_ids:
            return self._opaque_trade
        if kind is Kind.BAR and not running_ids:
            return self._sparse_bar
        return self._rules[kind]

    def waits(self, series: int) -> bool:
        """A series waits for trades that were skipped."""
        return self._holds[series] is not None

    def emit(self, series: int, kind: Kind, row: Row, recv_ns: int) -> None:
        """Let an event go on in its turn, whatever it is."""
        if kind is Kind.GAP:
            self.facts.gaps[GapReason(row[7])] += 1
        hold = self._holds[series]
        if hold is None:
            self._assembler.push(series, kind, row, recv_ns)
            return
        hold.add(kind, row, recv_ns)
        if len(hold) >= self._hold_most:
            self.release(series)

    def spend(self, stream: Stream, id: int, recv_ns: int) -> None:
        """A trade id was used up by no event."""
        hold = self._holds[stream.series]
        if hold is not None:
            if id > hold.last_id and not hold.knows(id):
                hold.add_trade(id, None, recv_ns)
                self._go_on(stream.series, hold)
        elif id == stream.key + 1:
            stream.key = stream.last_id = id
        elif id > stream.key > 0:
            self._wait(stream, id, None, recv_ns)

    def release(self, series: int, late_ns: int = FOREVER) -> None:
        """Let go what waits for trades that should have come by ``late_ns`` (all by default)."""
        hold = self._holds[series]
        if hold is not None:
            self._let_go(series, hold, late_ns)
            self._next_due()

    def release_due(self, now_ns: int) -> None:
        """Let go what has waited its time at ``now_ns`` (session ns)."""
        if now_ns >= self.due_ns:
            for series in list(self._waiting):
                hold = self._holds[series]
                waited_ns = self.mono_ns - self._began_ns[series]
                if hold is not None and waited_ns >= self._patience_ns:
                    self._let_go(series, hold, now_ns - self._hold_ns)
            self._next_due()

    def release_all(self) -> None:
        """Let go everything."""
        for series in list(self._waiting):
            self.release(series)

    # -- trades -----------------------------------------------------------------------------------

    def _trade(self, stream: Stream, row: Row, recv_ns: int) -> None:
        id = row[1]
        hold = self._holds[stream.series]
        if hold is None and id == stream.key + 1 and stream.gap is None:
            stream.key = stream.last_id = id
            stream.last_ns = row[0]
            self._assembler.push(stream.series, _TRADE, row, recv_ns)
            return
        if id <= stream.key and row[0] <= stream.last_ns:
            self._old_trade(stream, id)
        elif hold is not None:
            if hold.knows(id):
                self.facts.duplicates[Kind.TRADE] += 1
                return
            hold.add_trade(id, row, recv_ns)
            self._go_on(stream.series, hold)
        elif stream.key == 0 or id == stream.key + 1:
            if stream.gap is not None:
                whole = stream.key > 0
                self.emit(stream.series, Kind.GAP, stream.close_gap(row[0], id, whole), recv_ns)
            self._trade_goes(stream, row, recv_ns)
        else:
            self._wait(stream, id, row, recv_ns)

    def _opaque_trade(self, stream: Stream, row: Row, recv_ns: int) -> None:
        """Take a trade whose id tells no order."""
        if not self._seen.add(row[1]):
            self.facts.duplicates[Kind.TRADE] += 1
            return
        self._follow(stream, row, recv_ns)

    def _trade_goes(self, stream: Stream, row: Row, recv_ns: int) -> None:
        stream.last_ns, stream.key, stream.last_id = row[0], row[1], row[1]
        self._assembler.push(stream.series, _TRADE, row, recv_ns)

    def _old_trade(self, stream: Stream, id: int) -> None:
        late = any(a < id < b for a, b in stream.holes)
        (self.facts.late if late else self.facts.duplicates)[Kind.TRADE] += 1

    def _wait(self, stream: Stream, id: int, row: Row | None, recv_ns: int) -> None:
        """A trade id jumped: from here on the symbol waits."""
        reach = JUMP_MAX if stream.gap is None else REACH_MAX
        hold = OrderHold(stream.key, reach)
        hold.add_trade(id, row, recv_ns)
        self._holds[stream.series] = hold
        self._waiting[stream.series] = stream
        self._began_ns[stream.series] = self.mono_ns
        self.facts.holds += 1
        self.due_ns = min(self.due_ns, recv_ns + self._hold_ns)

    def _go_on(self, series: int, hold: OrderHold) -> None:
        if hold.ready:
            self._let_go(series, hold, None)
            self._next_due()
        elif len(hold) >= self._hold_most:
            self.release(series)

    def _let_go(self, series: int, hold: OrderHold, late_ns: int | None) -> None:
        stream, push = self._waiting[series], self._assembler.push
        holes = self.facts.gaps.total()
        for out in hold.take(late_ns):
            if not out.id:
                assert out.row is not None
                push(series, out.kind, out.row, out.recv_ns)
                continue
            ts_ns = out.row[0] if out.row is not None else stream.last_ns
            if out.hole or out.anew or stream.gap is not None:
                gap = self._hole(stream, ts_ns, out.id, out.hole, out.anew)
                push(series, Kind.GAP, gap, out.recv_ns)
            stream.key = stream.last_id = out.id
            if out.row is not None:
                stream.last_ns = ts_ns
                push(series, Kind.TRADE, out.row, out.recv_ns)
        if hold.wrong:
            self.facts.rejects["id"] += hold.wrong
            hold.wrong = 0
        self._began_ns[series] = self.mono_ns
        if hold.empty:
            self._holds[series] = None
            del self._waiting[series]
            self.facts.restored += holes == self.facts.gaps.total()

    def _hole(self, stream: Stream, ts_ns: int, id: int, hole: bool, anew: bool) -> Row:
        """The gap row before a trade: the end of an outage, a hole, or ids that began anew."""
        if anew:
            reason = GapReason.SEQUENCE_BREAK
            row = gap_row(stream, ts_ns, reason, stream.known_ns, stream.last_id, id)
            stream.gap = None
            stream.holes.clear()
        elif stream.gap is not None:
            reason = stream.gap
            row = stream.close_gap(ts_ns, id, whole=not hole)
        else:
            reason = GapReason.ID_HOLE
            row = gap_row(stream, ts_ns, reason, stream.known_ns, stream.last_id, id)
        if hole:
            stream.holes.append((stream.key, id))
        self.facts.gaps[reason] += 1
        return row

    def _next_due(self) -> None:
        due = FOREVER
        for series in self._waiting:
            hold = self._holds[series]
            if hold is not None and not hold.empty:
                due = min(due, hold.oldest_ns + self._hold_ns)
        self.due_ns = due

    # -- the other kinds --------------------------------------------------------------------------

    def _follow(self, stream: Stream, row: Row, recv_ns: int) -> None:
        """A new row after the last one: the end of an outage, if there was one, and the row."""
        if stream.gap is not None:
            self.emit(stream.series, Kind.GAP, stream.close_gap(row[0], row[1]), recv_ns)
        stream.last_ns, stream.last_id = row[0], row[1]
        self.emit(stream.series, stream.kind, row, recv_ns)

    def _sample(self, stream: Stream, row: Row, recv_ns: int) -> None:
        id = row[1]
        if id > stream.key:
            stream.key = id
            stream.recent.append(id)
            stream.old_ids = 0
            if stream.gap is None and self._holds[stream.series] is None:
                stream.last_ns, stream.last_id = row[0], id
                self._assembler.push(stream.series, stream.kind, row, recv_ns)
            else:
                self._follow(stream, row, recv_ns)
            return
        if id in stream.recent:
            self.facts.duplicates[stream.kind] += 1
            return
        stream.old_ids += 1
        dated = row[0] != recv_ns
        if (dated and row[0] > stream.last_ns) or stream.old_ids >= OLD_IDS_MAX:
            self._anew(stream, row, recv_ns)
        elif not stream.recent or id < stream.recent[0]:
            self.facts.duplicates[stream.kind] += 1
        else:
            self._late(stream, row, recv_ns, id)

    def _anew(self, stream: Stream, row: Row, recv_ns: int) -> None:
        """Update ids began anew with this sample."""
        reason, id = GapReason.SEQUENCE_BREAK, row[1]
        if stream.gap is None:
            gap = gap_row(stream, row[0], reason, stream.known_ns, stream.last_id, id)
            self.emit(stream.series, Kind.GAP, gap, recv_ns)
        stream.key, stream.old_ids = id, 0
        stream.recent.clear()
        stream.recent.append(id)
        self._follow(stream, row, recv_ns)

    def _late(self, stream: Stream, row: Row, recv_ns: int, key: int) -> None:
        """A sample that is older than the last one and was not seen: left out, and said."""
        self.facts.late[stream.kind] += 1
        now_ns = max(stream.last_ns, row[0])
        reason = GapReason.DISORDER
        gap = gap_row(stream, now_ns, reason, row[0], row[1], stream.last_id)
        stream.recent.append(key)
        self.emit(stream.series, Kind.GAP, gap, recv_ns)

    def _bar(self, stream: Stream, row: Row, recv_ns: int) -> None:
        open_ns, interval_ns = row[2], row[3]
        if stream.key and stream.gap is None and open_ns > stream.key + interval_ns:
            gap = gap_row(stream, row[0], GapReason.ID_HOLE, stream.known_ns, 0)
            self.emit(stream.series, Kind.GAP, gap, recv_ns)
        self._sparse_bar(stream, row, recv_ns)

    def _sparse_bar(self, stream: Stream, row: Row, recv_ns: int) -> None:
        open_ns = row[2]
        if open_ns > stream.key:
            stream.key = open_ns
            stream.recent.append(open_ns)
            self._follow(stream, row, recv_ns)
        elif open_ns in stream.recent or open_ns == stream.key:
            self.facts.duplicates[Kind.BAR] += 1
        else:
            self._late(stream, row, recv_ns, open_ns)

    def _mark(self, stream: Stream, row: Row, recv_ns: int) -> None:
        content = hash(row)
        if content in stream.recent:
            self.facts.duplicates[Kind.MARK] += 1
        elif row[0] < stream.key - MARK_BACK_NS:
            self._anew(stream, row, recv_ns)
            stream.key = row[0]
        elif row[0] < stream.key:
            self._late(stream, row, recv_ns, content)
        else:
            stream.key = row[0]
            stream.recent.append(content)
            self._follow(stream, row, recv_ns)

    def _liquidation(self, stream: Stream, row: Row, recv_ns: int) -> None:
        if not self._seen.add(hash((stream.series, row))):
            self.facts.duplicates[Kind.LIQUIDATION] += 1
            return
        if row[0] < stream.last_ns:
            # kept, because sums count it, and said, because it is not where it belongs
            reason = GapReason.DISORDER
            gap = gap_row(stream, stream.last_ns, reason, row[0], 0)
            self.facts.late[Kind.LIQUIDATION] += 1
            self.emit(stream.series, Kind.GAP, gap, recv_ns)
        self._follow(stream, row, recv_ns)
