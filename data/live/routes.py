"""Which stream a frame belongs to, by the name that the venue puts on it.

Owns :class:`Routes`: names are looked up once and remembered. What must hold: what a frame names
cannot make memory grow; a frame without a name, or with one that is not ours, is skipped and said
why.

It refuses to know what is in a frame besides its name.
"""

from __future__ import annotations

import msgspec

from data.live import decode_binance, decode_bybit, decode_mt5
from data.live.blocks import Series
from data.live.book_text import warm_up
from data.live.decode import Blocks, Numbers, Route
from data.live.streams import TERMINAL
from data.sources.decimals import Fixed
from data.sources.rejects import RejectedError

BYBIT = "bybit"
_TOPIC, _STREAM = b'{"topic":"', b'{"stream":"'

UNKNOWN_MAX = 1_000
"""Names of no use that are remembered before they are all forgotten."""


class _Head(msgspec.Struct, gc=False):
    """What tells frames of all venues apart."""

    stream: str = ""
    e: str = ""
    topic: str = ""
    id: msgspec.Raw = msgspec.Raw(b"")
    op: str = ""
    success: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class Routes:
    """The routes of one session's frames. Its series may be of several venues, as long as these
    call no stream alike: those of one venue with sockets, and those of a terminal."""

    def __init__(self, series: list[Series]) -> None:
        self._series = list(series)
        self._venues = {s.venue: _numbers_of(series, s.venue) for s in series}
        begins = list(dict.fromkeys(_begin_of(venue) for venue in self._venues)) or [_STREAM]
        self._begin, self._other = begins[0], begins[-1]
        if set(self._venues) - {BYBIT, TERMINAL}:
            warm_up()  # now, and not when the first book comes
        blocks, memos = Blocks(), dict[int, Fixed]()
        shared = {s.scales: Numbers(s.scales, blocks, memos) for s in series}
        self._numbers = [shared[s.scales] for s in series]
        self._routes: dict[bytes, Route] = {}
        self._unknown: set[bytes] = set()
        self._head = msgspec.json.Decoder(_Head).decode

    def of(self, frame: bytes) -> Route | None:
        """The route of a frame; None where it goes nowhere.

        RejectedError, or what reading JSON raises, where it is no message at all.
        """
        # `{"stream":"NAME",` is what a combined connection sends, byte for byte
        begin = self._begin if frame.startswith(self._begin) else self._other
        at = len(begin)
        name = frame[at : frame.find(b'"', at)] if frame.startswith(begin) else b""
        route = self._routes.get(name)
        if route is not None:
            return route
        if not name:
            head = self._head(frame)
            stream = head.topic if self._begin == _TOPIC else head.stream
            if not (stream or _is_answer(head)):
                raise RejectedError("frame")
            name = stream.encode()
        return self._found(name)

    def named(self, name: str) -> Route | None:
        """The route of a stream's name."""
        return self._found(name.encode())

    def why(self, frame: bytes) -> str:
        """Why :meth:`of` gave None, in a few fixed words."""
        begins = (self._begin, self._other)
        return "stream" if any(b[1:-2] in frame[:64] for b in begins) else "answer"

    def _found(self, name: bytes) -> Route | None:
        route = self._routes.get(name)
        if route is not None or not name or name in self._unknown:
            return route
        route = self._made(name.decode("utf-8", "replace"))
        if route is not None:
            self._routes[name] = route
            return route
        if len(self._unknown) >= UNKNOWN_MAX:
            self._unknown.clear()
        self._unknown.add(name)
        return None

    def _made(self, name: str) -> Route | None:
        """The route that one of the venues knows by that name."""
        for venue, numbers in self._venues.items():
            if venue == TERMINAL:
                route = decode_mt5.route_of(name, numbers, self._series, self._numbers)
            else:
                route_of = decode_bybit.route_of if venue == BYBIT else decode_binance.route_of
                route = route_of(venue, name, numbers, self._series, self._numbers)
            if route is not None:
                return route
        return None


def _numbers_of(series: list[Series], venue: str) -> dict[str, int]:
    """Numbers of a venue's series by what its streams call their symbols: sockets write them in
    any case, a broker's names are what they are."""
    mine = [(s.symbol, number) for number, s in enumerate(series) if s.venue == venue]
    return {name if venue == TERMINAL else name.upper(): number for name, number in mine}


def _begin_of(venue: str) -> bytes:
    return _TOPIC if venue == BYBIT else _STREAM


def _is_answer(head: _Head) -> bool:
    """An answer to a request, or a word of the server about itself."""
    said = (head.id, head.success, head.result, head.error)
    return any(bytes(raw) for raw in said) or head.e == "serverShutdown" or head.op != ""
