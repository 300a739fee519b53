"""Carries out the faults of a stand-in venue on the way from an event to its frames.

Owns :class:`Striker` and :class:`Done`, the exact account of what was done. What must hold: faults
are met in the order of the file; what is held goes out in the order of its due time, and all of it
before the range ends; nothing is counted that met no subscriber, so that every drop that is
counted is missing from somebody's data.

It refuses to know files of faults, sockets' protocol and the clock.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from data.enums import Kind
from data.venue.frames import Encoder, Sheet
from data.venue.hub import Hub, Receiver, Variant
from data.venue.tape import Due
from data.venue.venue_faults import Fault, Script, Trigger

LIST_MOST = 200_000
"""Acts that are listed one by one; all are counted."""

ON_CONNECTIONS = ("stall", "clock_skew", "cut", "disconnect", "drip", "shutdown")
"""Faults that strike once for all streams that they are about, not each stream by itself."""

_ABSURD = (
    (
        "p|b|a|B|A|v|o|ap",
        ("-1.5", "1e308", "NaN", "", "0", "0." + "1" * 30, "99999999999999999999"),
    ),
    ("q|z|size", ("-1", "0", "NaN", "", "1e308")),
    ("T|E|t|u|a|lastUpdateId", ("-1", "0", "9223372036854775808", "null", '"1"')),
)
_MALFORMED: tuple[Callable[[str], str], ...] = (
    lambda body: body[: len(body) // 2],
    lambda body: "\\u0000" + body[1:],
    lambda body: body.replace(":", "", 1),
    lambda body: "[" + body + "]",
    lambda _body: "{}",
    lambda body: body.replace('"', "'", 2),
    lambda body: re.sub(r'"s":"[A-Z0-9]+",', "", body, count=1) + "}",
)


Name = Callable[[Kind], tuple[str, str]]
"""A kind -> (usual name of its stream, symbol), for one series."""


class Carried(Receiver, Protocol):
    """A socket on which faults of a connection can be carried out."""

    def cut_in(self, frame: bytes, now_ns: int) -> None:
        """Send what was gathered and half of ``frame``, and end the connection."""

    def drop_off(self, code: int, now_ns: int) -> None:
        """Send what was gathered and close with ``code``; 0: without a close frame."""

    def drip(self, bytes_per_s: int, lasts_s: float) -> None:
        """Send slowly for a while."""

    def shut_down(self, after_s: float, now_ns: int) -> None:
        """Announce the end and close after ``after_s``."""


@dataclass(slots=True)
class Done:
    """What was done: counts by kind, and one entry an act as long as the list is not full."""

    counts: Counter[str] = field(default_factory=Counter)
    acts: list[dict[str, Any]] = field(default_factory=list)

    def note(self, kind: str, stream: str, due: Due | None, **more: Any) -> None:
        """Count an act."""
        self.counts[kind] += 1
        if len(self.acts) < LIST_MOST:
            event = {}
            if due is not None:
                ts_ns, number = due.sheet["ts_ns"][due.row], due.sheet["id"][due.row]
                event = {"id": number, "ts_ns": ts_ns, "at_ns": due.at_ns}
            self.acts.append({"kind": kind, "stream": stream, **event, **more})


Mutate = Callable[[str], str]


@dataclass(slots=True, eq=False)
class _Held:
    """The frames of an event: spoilt ones that come ``before``, ``copies`` of it, spoilt by
    ``mutate``; ``left`` later ones may overtake it until ``until_ns``."""

    due: Due
    copies: int = 1
    before: list[Mutate] = field(default_factory=list)
    mutate: Mutate | None = None
    left: int = 0
    until_ns: int = 0
    overtaken: int = 0


class _Stream:
    """One stream of a symbol, its faults, and what it holds."""

    def __init__(self, name: str, triggers: list[Trigger]) -> None:
        self.name = name
        self.triggers = triggers
        self.release_ns = 0
        self.queue: deque[tuple[int, _Held]] = deque()
        self.held: list[_Held] = []


class Striker:
    """Between the tape and the hub. ``names`` name the streams of each series, ``encoders`` gives
    the encoders of a series that are in use; ``from_ns`` is where the range begins."""

    def __init__(
        self,
        hub: Hub,
        names: Sequence[Name],
        encoders: Callable[[int], Iterator[Encoder]],
        script: Script,
        from_ns: int,
    ) -> None:
        self._hub = hub
        self._encoders = encoders
        self._names = names
        self._script = script
        self._from_ns = from_ns
        self.done = Done()
        self.skew_ns = 0
        self._shifts: dict[int, tuple[int, int]] = {}
        self.books: dict[int, tuple[Sheet, int]] = {}
        self._streams: dict[tuple[int, Kind], _Stream | None] = {}
        self._waiting: list[tuple[int, int, Kind]] = []
        on_events = any(f.kind not in ("rest_error", "wrong_path") for f in script.faults)
        self._faulty = on_events
        self._shared: dict[int, Trigger] = {}
        self._mute = [f for f in script.faults if f.kind == "wrong_path"]
        self._muted: Counter[int] = Counter()
        self._silent: set[tuple[int, int]] = set()
        if self._mute:
            hub.mute = self._is_mute

    def send(self, due: Due) -> None:
        """Gather the frames of an event, or do with it what its faults say."""
        if due.kind == Kind.DEPTH and "bid_offsets" in due.sheet:
            self.books[due.series] = due.sheet, due.row
        if not self._faulty:
            self._hub.send(due)
            return
        if self._waiting:
            self._release(due.at_ns)
        stream = self._stream(due.series, due.kind)
        if stream is None:
            self._hub.send(due)
        else:
            self._struck(stream, due)

    def prepare(self, series: int, encoder: Encoder) -> None:
        """Let a new encoder go as far astray as the others have."""
        encoder.skew_ns = self.skew_ns
        encoder.id_shift, encoder.update_shift = self._shifts.get(series, (0, 0))

    def tick(self, now_ns: int) -> None:
        """Send what was held until ``now_ns``."""
        if self._waiting:
            self._release(now_ns)

    def end(self) -> None:
        """Send all that is held."""
        self._release(1 << 62)

    def _stream(self, series: int, kind: Kind) -> _Stream | None:
        key = series, kind
        if key not in self._streams:
            name, symbol = self._names[series](kind)
            mine = [
                self._trigger(f, name)
                for f in self._script.faults
                if f.kind not in ("rest_error", "wrong_path") and f.concerns(name, symbol)
            ]
            self._streams[key] = _Stream(name, mine) if mine else None
        return self._streams[key]

    def _trigger(self, fault: Fault, name: str) -> Trigger:
        """A trigger of its own for each stream; faults of connections have one for all streams."""
        if fault.kind not in ON_CONNECTIONS:
            return Trigger(fault, self._script.seed, name, self._from_ns)
        if fault.number not in self._shared:
            self._shared[fault.number] = Trigger(fault, self._script.seed, "*", self._from_ns)
        return self._shared[fault.number]

    def _struck(self, stream: _Stream, due: Due) -> None:
        struck = [t for t in stream.triggers if t.strikes(due.at_ns)]
        if not struck:
            self._out(stream, _Held(due))
            return
        if not self._sockets(due):
            for trigger in struck:
                trigger.again(due.at_ns)
            return
        held = _Held(due)
        for trigger in struck:
            if trigger.fault.kind in ON_CONNECTIONS:
                self.done.note(trigger.fault.kind, stream.name, due)
                self._act(trigger.fault, due)
        if not self._sockets(due):
            return  # the faults above left nobody to misinform
        kinds = [t.fault.kind for t in struck]
        if "drop" in kinds:
            self.done.note("drop", stream.name, due)
            for variant in self._variants(due):
                variant.encode(due.sheet, due.row, due.at_ns)  # a chain of updates shows the loss
            return
        for trigger in struck:
            if trigger.fault.kind not in ON_CONNECTIONS:
                self._mar(stream, trigger, held)
        if held.left:
            stream.held.append(held)
            self._wait(held.until_ns, due)
        else:
            self._out(stream, held)

    def _mar(self, stream: _Stream, trigger: Trigger, held: _Held) -> None:
        """Faults of one frame, of its stream's time and of its ids."""
        fault, due = trigger.fault, held.due
        if fault.kind == "reorder":
            held.left = trigger.luck().randint(1, max(1, fault.value))
            held.until_ns = due.at_ns + fault.within_ns
            return
        self.done.note(fault.kind, stream.name, due)
        if fault.kind == "duplicate":
            held.copies += 1
        elif fault.kind in ("malformed", "absurd"):
            if fault.insert:
                held.before.append(_spoiler(trigger))
            else:
                held.mutate = _spoiler(trigger)
        elif fault.kind == "delay":
            stream.release_ns = max(stream.release_ns, due.at_ns + fault.long_ns)
        elif fault.kind == "id_reset":
            shift = due.sheet["id"][due.row] - fault.value
            trades, books = self._shifts.get(due.series, (0, 0))
            is_trade = due.kind == Kind.TRADE
            self._shifts[due.series] = (shift, books) if is_trade else (trades, shift)
            for encoder in self._encoders(due.series):
                self.prepare(due.series, encoder)

    def _out(self, stream: _Stream, held: _Held) -> None:
        """Send an event, and those that waited for it to overtake them."""
        self._pass(stream, held)
        if stream.held:
            for waiting in stream.held:
                waiting.overtaken += 1
            self._let_go(stream, [h for h in stream.held if h.overtaken >= h.left])

    def _pass(self, stream: _Stream, held: _Held) -> None:
        """Send now, or behind what its stream holds back."""
        if held.due.at_ns < stream.release_ns or stream.queue:
            stream.queue.append((stream.release_ns, held))
            self._wait(stream.release_ns, held.due)
        else:
            self._emit(held)

    def _emit(self, held: _Held) -> None:
        for spoil in held.before:
            self._hub.send(held.due, spoil)
        for _ in range(held.copies):
            self._hub.send(held.due, held.mutate)

    def _let_go(self, stream: _Stream, free: list[_Held]) -> None:
        for held in free:
            stream.held.remove(held)
            if held.overtaken:
                self.done.note("reorder", stream.name, held.due, overtaken=held.overtaken)
            self._pass(stream, held)

    def _wait(self, until_ns: int, due: Due) -> None:
        heapq.heappush(self._waiting, (until_ns, due.series, due.kind))

    def _release(self, now_ns: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, series, kind = heapq.heappop(self._waiting)
            stream = self._streams[series, kind]
            if stream is None:
                continue
            self._let_go(stream, [h for h in stream.held if h.until_ns <= now_ns])
            while stream.queue and stream.queue[0][0] <= now_ns:
                self._emit(stream.queue.popleft()[1])

    def _act(self, fault: Fault, due: Due) -> None:
        """Faults of connections and of the venue as a whole."""
        if fault.kind == "stall":
            self._stall(fault, due)
        elif fault.kind == "clock_skew":
            self.skew_ns = fault.long_ns
            for number in range(len(self._names)):
                for encoder in self._encoders(number):
                    self.prepare(number, encoder)
        elif fault.kind == "cut":
            self._cut(due)
        else:
            for socket in self._carrying(fault):
                if fault.kind == "disconnect":
                    socket.drop_off(fault.value, due.at_ns)
                elif fault.kind == "drip":
                    socket.drip(fault.value, fault.lasts_ns / 1e9)
                else:
                    socket.shut_down(fault.long_ns / 1e9, due.at_ns)

    def _cut(self, due: Due) -> None:
        for variant in self._variants(due):
            body = variant.encode(due.sheet, due.row, due.at_ns)
            for socket in [*variant.wrapped, *variant.plain]:
                frame = self._hub.frame(variant, body, socket.combined)
                cast("Carried", socket).cut_in(frame, due.at_ns)

    def _carrying(self, fault: Fault) -> list[Carried]:
        """Sockets that carry any stream that ``fault`` is about."""
        found: dict[Receiver, None] = {}
        for series, named in enumerate(self._names):
            for kind in Kind:
                name, symbol = named(kind)
                if fault.concerns(name, symbol):
                    for variant in self._hub.wanted(series, kind):
                        found |= dict.fromkeys((*variant.wrapped, *variant.plain))
        return [cast("Carried", socket) for socket in found]

    def _stall(self, fault: Fault, due: Due) -> None:
        for series, named in enumerate(self._names):
            for kind in Kind:
                name, symbol = named(kind)
                stream = self._stream(series, kind)
                if stream is not None and fault.concerns(name, symbol):
                    stream.release_ns = max(stream.release_ns, due.at_ns + fault.long_ns)

    def _variants(self, due: Due) -> list[Variant]:
        return [v for v in self._hub.wanted(due.series, due.kind) if v.wrapped or v.plain]

    def _sockets(self, due: Due) -> bool:
        """Whether anybody gets the stream of ``due``."""
        return bool(self._variants(due))

    def _is_mute(self, receiver: Any, series: int, kind: Kind) -> bool:
        """Whether a route is acknowledged and stays silent on this connection."""
        name, symbol = self._names[series](kind)
        for fault in self._mute:
            if not fault.concerns(name, symbol):
                continue
            key = fault.number, receiver.number
            if key not in self._silent and self._muted[fault.number] < fault.value:
                self._muted[fault.number] += 1
                self._silent.add(key)
            if key in self._silent:
                self.done.note("wrong_path", name, None, connection=receiver.number)
                return True
        return False


def _spoiler(trigger: Trigger) -> Mutate:
    """What makes a message malformed or absurd; drawn once a strike."""
    luck = trigger.luck()
    if trigger.fault.kind == "malformed":
        return luck.choice(_MALFORMED)
    names, values = luck.choice(_ABSURD)
    value = luck.choice(values)
    number = re.compile(rf'"({names})":(-?\d+)')
    text = re.compile(rf'"({names})":"[^"]*"|\["[^"]*"')

    def spoil(body: str) -> str:
        plain = number.sub(lambda m: f'"{m[1]}":{value}', body, count=1)
        if plain != body and value not in ("", "NaN"):
            return plain
        quoted = value.strip('"')
        return text.sub(lambda m: f'"{m[1]}":"{quoted}"' if m[1] else f'["{quoted}"', body, count=1)

    return spoil
