"""All folds of a session: fed by the recorder, cut and kept at checkpoints.

Owns :class:`Folds`, the recorder's consumer. What must hold: a checkpoint's records, run and
snapshot are of one event, and are written in an order in which a crash between any two steps leaves
what the next start can use: records, then runs, then the snapshot that stands for them.

It refuses to know sockets and journals.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from data import jitcache
from data.events import RECORDS
from data.live.blocks import Group, Series
from data.live.recorder import RecordRows
from data.log import LogStore
from engine.runtime.fold import Buffers
from engine.runtime.replay import Request
from engine.runtime.session_fold import LiveFold, numbers_in
from engine.runtime.session_publish import Draft, draft, publish, run_name
from engine.runtime.session_state import RecordPieces, Snapshot, write_snapshot
from engine.runtime.usage import Stopwatch

PATIENCE_NS = 250_000_000
"""So far beyond a decision boundary must the venue's clock be before a clock event fires it: an
event that reaches the boundary by itself usually comes first."""

QUIET_NS = 250_000_000
QUIET_SERVED_NS = 1_500_000_000
"""And so long must the instrument have been silent by the monotonic clock; a served venue's frames
may be on their way for as long as its clock is asked for."""


@dataclass
class Checkpoint:
    """A checkpoint in the making: a draft of each run, and what the snapshot holds."""

    seq: int
    drafts: list[Draft]
    snapshot: Snapshot


@dataclass
class Places:
    """Where a session keeps what it makes: its state, and the runs that it publishes."""

    session: str
    store: LogStore
    log: Path
    state: Path
    runs: Path
    command: str = "paper"

    def pieces(self, symbol: str) -> RecordPieces:
        """The record tables of one symbol."""
        return RecordPieces(self.state / "records" / symbol)


@dataclass
class Folds:
    """The folds of a session, by number of their series."""

    lives: list[LiveFold]
    places: Places
    layout: str
    mono_ns: Callable[[], int] = time.monotonic_ns
    extra: Callable[[], dict[str, Any]] = dict
    crash_point: Callable[[str], None] = lambda _name: None
    decided: Callable[[int, int], None] = lambda _number, _count: None
    seq: int = 0
    published: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    _fresh: list[tuple[int, str, np.ndarray]] = field(default_factory=list)
    _seen_ns: list[int] = field(default_factory=list)
    _owner: dict[int, int] = field(default_factory=dict)
    _watch: Stopwatch = field(default_factory=Stopwatch)

    @classmethod
    def make(
        cls,
        series: Sequence[Series],
        request: Request,
        places: Places,
        on_cold: Callable[[], None] | None = None,
        execution: Mapping[int, int] | None = None,
        terms: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Folds:
        """A fold of ``request`` for each instrument, all with an empty state.

        ``execution`` gives, by number of the series whose flow is read, the number of the one in
        which its orders are executed; such series stand behind all others and have no fold.
        ``terms`` are settings of some symbols alone.
        """
        buffers = Buffers()
        lives: list[LiveFold] = []
        places_of = {flow: place for flow, place in (execution or {}).items() if flow != place}
        for n, s in enumerate(series):
            place = places_of.get(n)
            if n in places_of.values():
                continue
            assert n == len(lives), "a series of execution stands before one of flow"
            own = request
            if terms and s.symbol in terms:
                own = replace(request, settings={**request.settings, **terms[s.symbol]})
            if place is not None:
                own = replace(own, execution=(series[place].venue, series[place].symbol))
            lives.append(LiveFold.make(n, s, own, buffers, on_cold, place))
        folds = cls(lives, places, layout_of(request, lives))
        folds._owner = {live.number: live.number for live in lives}
        folds._owner |= {live.execution: live.number for live in lives if live.execution}
        folds._seen_ns = [folds.mono_ns()] * len(lives)
        for live in lives:
            live.heard = folds.listener(live.number)
        return folds

    def listener(self, number: int) -> Callable[[str, np.ndarray], None]:
        """What takes the records of one fold to the journal."""

        def heard(name: str, rows: np.ndarray) -> None:
            self._fresh.append((number, name, rows))

        return heard

    @property
    def numbers(self) -> list[int]:
        """Numbers of the series that are folded."""
        return [live.number for live in self.lives]

    def concerned(self, group: Group) -> list[int]:
        """Numbers of the folds that ``group`` has rows for, rising."""
        return sorted({self._owner[number] for number in numbers_in(group)})

    # -- the recorder's consumer ------------------------------------------------------------------

    def fold(self, group: Group) -> Sequence[RecordRows]:
        """Fold a group; the records that came of it, in order."""
        now_ns = self.mono_ns()
        for number in self.concerned(group):
            self.lives[number].feed_group(group)
            self._seen_ns[number] = now_ns
        self.seq = group.last_seq
        fresh, self._fresh = self._fresh, []
        for number, name, rows in fresh:
            if name == "decision":
                self.decided(number, len(rows))
        return [RecordRows(number, name, rows, group.last_seq) for number, name, rows in fresh]

    def cut(self, seq: int) -> Checkpoint:
        """States, records since the last cut, and what stands open, all as of ``seq``."""
        drafts, states, symbols = [], {}, {}
        p = self.places
        for live in self.lives:
            cut = live.cut()
            drafts.append(draft(live, cut, seq, p.session, p.log, self._watch, p.command))
            symbol = live.series.symbol
            states[symbol] = cut.state
            symbols[symbol] = {
                "rows": cut.rows, "marks": cut.marks, "sums": cut.sums, "first_ns": cut.first_ns,
            }  # fmt: skip
        facts = {"layout": self.layout, "symbols": symbols, "extra": self.extra()}
        return Checkpoint(seq, drafts, Snapshot(seq, facts, states))

    def keep(self, seq: int, cut: Checkpoint) -> None:
        """Records, then runs, then the snapshot; on the recorder's second thread."""
        p, published, digests = self.places, [], {}
        for d in cut.drafts:
            symbol, pieces = d.live.series.symbol, p.pieces(d.live.series.symbol)
            for name in RECORDS:
                new = d.cut.new.get(name, [])
                pieces.write(name, d.cut.rows[name] - sum(len(x) for x in new), new)
            self.crash_point("records")
            run = run_name(p.session, symbol, len(self.lives))
            if publish(d, p.store, p.runs, run, pieces, self.crash_point):
                published.append(run)
                digests[symbol] = d.cut.digest.hexdigest()
            self.crash_point("published")
        write_snapshot(p.state, cut.snapshot)
        self.crash_point("snapshot")
        for d in cut.drafts:
            p.pieces(d.live.series.symbol).tidy()
        self.published, self.digests = published, digests

    # -- time -------------------------------------------------------------------------------------

    def overdue(self, venue_ns: int, served: bool) -> list[int]:
        """Numbers of the folds whose next boundary is behind although nothing came to say so."""
        quiet_ns = QUIET_SERVED_NS if served else QUIET_NS
        now_ns, found = self.mono_ns(), []
        for live in self.lives:
            if now_ns - self._seen_ns[live.number] < quiet_ns:
                continue
            if 0 < live.next_ns <= venue_ns - PATIENCE_NS:
                found.append(live.number)
        return found

    # -- what a last object says ------------------------------------------------------------------

    @property
    def rows(self) -> dict[str, int]:
        """Records of all folds by table."""
        return {name: sum(live.digest.rows[name] for live in self.lives) for name in RECORDS}

    def digest(self) -> str:
        """The published run's digest; of several, one hash over them in order of symbol."""
        found = [self.digests[symbol] for symbol in sorted(self.digests)]
        return (
            found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()
        )


def layout_of(request: Request, lives: Sequence[LiveFold]) -> str:
    """Hash of all that a state's bytes depend on: sources, settings, scales, plans."""
    parts = [jitcache.source_hash(), request.strategy.source_sha256]
    parts += [request.plans.sha256 if request.plans else ""]
    for live in lives:
        parts += [str(live.series), str(sorted(live.settings.items()))]
        parts += [live.request.broker, str(live.request.execution)]
        parts += [str(live.fold.composition.state.itemsize)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
