"""Putting a recording together: which session goes on, its instruments, clock, inlet and feed.

Owns :class:`Ask` (what is to be recorded, and how) and :func:`wire`. What must hold: a session that
goes on has the instruments, scales and numbers that it had; it begins behind its last event.

It refuses to know what becomes of the events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.enums import Kind
from data.errors import UsageError
from data.events import Scales
from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.endpoint import Endpoint
from data.live.feed import MOST_BYTES, MOST_FRAMES, ROTATE_AFTER_NS, SocketFeed
from data.live.filler import Filler
from data.live.inlet import HOLD_MOST, HOLD_NS, Inlet
from data.live.instruments import series_of
from data.live.items import Feed
from data.live.recorder import Limits
from data.live.reopen import Opened, left_behind, seal_rest
from data.live.rest import Rest
from data.live.session_folder import SessionFolder, open_session, sessions
from data.live.source import Source
from data.live.streams import TERMINAL, plan, venue_named
from data.sources.http import Http

_PROBE_S = 10.0


@dataclass(frozen=True)
class Ask:
    """What is recorded, from where, and the bounds of doing so. Times int64 ns, sizes bytes.

    ``named_in`` is the option or the file that named the symbols, for messages. ``source`` stands
    in the place of the endpoint where the venue has no sockets."""

    venue: str
    symbols: tuple[str, ...]
    kinds: tuple[Kind, ...]
    endpoint: Endpoint
    sync_ms: float = 10
    sync_events: int = 4096
    segment_bytes: int = 64 << 20
    limits: Limits = field(default_factory=Limits)
    hold_ns: int = HOLD_NS
    hold_most: int = HOLD_MOST
    rotate_ns: int = ROTATE_AFTER_NS
    queue_frames: int = MOST_FRAMES
    queue_bytes: int = MOST_BYTES
    named_in: str = "--symbol"
    source: Source | None = None

    @property
    def journal_options(self) -> dict[str, Any]:
        """What :meth:`data.journal.Journal.open` is given."""
        return {
            "sync_ms": self.sync_ms, "sync_events": self.sync_events,
            "segment_bytes": self.segment_bytes,
        }  # fmt: skip

    @property
    def identity(self) -> dict[str, Any]:
        """What a recording must have in common with the one that it goes on with."""
        return {
            "venue": self.venue, "symbols": list(self.symbols),
            "streams": [k.name.lower() for k in self.kinds],
        }  # fmt: skip


def kinds_of(venue: str, names: Sequence[str]) -> tuple[Kind, ...]:
    """The kinds called ``names``, all that the venue has where there are none; UsageError for one
    that it lacks."""
    about = venue_named(venue)
    if not names:
        return tuple(sorted(about.names))
    kinds = tuple(dict.fromkeys(Kind[name.upper()] for name in names))
    for kind in kinds:
        about.stream("X", kind)
    if venue == TERMINAL:
        if Kind.QUOTE not in kinds:
            raise UsageError("the streams lack quote", where="--streams",
                             why="what a terminal tells of the market are quotes",
                             do="add quote")  # fmt: skip
    elif Kind.TRADE not in kinds:
        raise UsageError("the streams lack trade", where="--streams",
                         why="only the ids of trades show what was missed",
                         do="add trade")  # fmt: skip
    return kinds


@dataclass
class Wired:
    """The moving parts of a recording."""

    clock: SessionClock
    inlet: Inlet
    feed: Feed


def served_ns(endpoint: Endpoint) -> int | None:
    """The time (ns UTC) that a stand-in tells there, None where none does: it is a real venue.

    NetworkError where nothing answers.
    """
    http = Http(connect_s=_PROBE_S, read_s=_PROBE_S, whole_s=2 * _PROBE_S)
    try:
        clock = endpoint.clock(http)
        return clock.now_ns if clock is not None else None
    finally:
        http.close()


def instruments(ask: Ask, known: Sequence[Series] = ()) -> list[Series]:
    """The session's instruments in the order asked for; those that are known are not asked."""
    have = {s.symbol: s for s in known}
    missing = [symbol for symbol in ask.symbols if symbol not in have]
    asked: list[Series] = []
    if missing and ask.source is not None:
        asked = ask.source.series(missing, ask.named_in)
    elif missing:
        asked = series_of(ask.venue, missing, ask.endpoint, where=ask.named_in)
    found = {s.symbol: s for s in asked}
    return [have.get(symbol) or found[symbol] for symbol in ask.symbols]


def series_facts(series: Sequence[Series]) -> list[list[Any]]:
    """Instruments as a session's facts hold them."""
    return [[s.venue, s.symbol, s.scales.price, s.scales.qty] for s in series]


def series_in(rows: Sequence[Sequence[Any]]) -> list[Series]:
    """The reverse of :func:`series_facts`."""
    return [Series(v, symbol, Scales(int(p), int(q))) for v, symbol, p, q in rows]


def socket_feed(ask: Ask, opened: Opened) -> Feed:
    """The venue's sockets, not opened yet."""
    symbols = [s.symbol for s in opened.series if s.symbol in ask.symbols]
    return SocketFeed(
        plan(ask.venue, symbols, ask.kinds),
        ask.endpoint,
        rotate_after_ns=ask.rotate_ns,
        most_frames=ask.queue_frames,
        most_bytes=ask.queue_bytes,
    )


def wire(ask: Ask, opened: Opened, now_ns: int | None,
         feed: Callable[[SessionClock], Feed] | None = None) -> Wired:  # fmt: skip
    """Clock, inlet and feed for what stands in ``opened``; the feed is not started. ``now_ns`` is
    the time of a served venue, None of a real one: the hole since the last event ends there.
    ``feed`` makes another feed than that of the venue's sockets or of what stands in for them."""
    floor_ns = max(opened.last_recv_ns, now_ns or 0)
    clock = SessionClock(served=now_ns is not None, floor_ns=floor_ns)
    inlet = Inlet(
        opened.series,
        clock,
        opened.last_seq + 1,
        None if opened.fresh else opened.resume,
        hold_ns=ask.hold_ns,
        hold_most=ask.hold_most,
    )
    if feed is not None:
        return Wired(clock, inlet, feed(clock))
    if ask.source is not None:
        return Wired(clock, inlet, ask.source.feed(ask.symbols, ask.kinds, clock))
    return Wired(clock, inlet, socket_feed(ask, opened))


def recording_session(runs: Path, log: Path, ask: Ask, *, new: bool) -> SessionFolder:
    """The session that a recording into ``log`` goes on with: the one left there of the same
    streams, else a new one. What others left is sealed into the log.
    """
    where = {"log": str(log.resolve()), **ask.identity}
    known = {s.id: s for s in sessions(runs)}
    chosen: SessionFolder | None = None
    for name in left_behind(log):
        there = known.get(name)
        same = there is not None and all(there.facts.get(k) == v for k, v in where.items())
        if same and not new and there is not None and not there.ended:
            chosen = there
            continue
        seal_rest(log, name)
        if there is not None and not there.ended:
            there.end("sealed when another recording began")
    return chosen or SessionFolder.create(runs, "record", "", where)


def named_session(path: Path, ask: Ask) -> SessionFolder:
    """The session in ``path``, to go on; UsageError where it is over or of other streams."""
    found = open_session(path)
    if found.ended:
        raise UsageError(f"session {found.id} is over", where="--session",
                         why=str(found.facts["ended"].get("reason")),
                         do="leave --session out to begin another one")  # fmt: skip
    other = [k for k, v in ask.identity.items() if found.facts.get(k) != v]
    if other:
        raise UsageError(f"session {found.id} has other {', '.join(other)}", where="--session",
                         do="ask for the same as when it began, or begin another one")  # fmt: skip
    return found


def filler(ask: Ask, opened: Opened, now_ns: Callable[[], int]) -> Callable[[], None]:
    """What fetches the trades and bars (of a terminal quotes and bars) that the session missed,
    within the venue's reach before ``now_ns`` (session time). It raises NetworkError where the
    venue cannot be asked."""
    if ask.source is not None:
        return ask.source.filler(opened.store, ask.symbols, now_ns)
    rest = Rest(ask.venue, ask.endpoint)
    return Filler(opened.store, ask.venue, ask.symbols, rest, now_ns).fill
