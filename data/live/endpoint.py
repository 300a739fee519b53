"""Where a venue answers: its own addresses, or those of a stand-in that serves a log.

Owns :class:`Endpoint` and the question for the clock of a served venue. What must hold: an address
is checked before anything connects to it; a venue that has no ``/ofs/clock`` is a real one.

It refuses to know what is asked there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from data.errors import NetworkError, UsageError
from data.live.streams import venue_named
from data.sources.http import Http, shown

_NOT_THERE = 404


class Clock(msgspec.Struct, frozen=True):
    """What a served venue says of its time: ``now_ns`` is how far it has sent (int64 ns UTC), at
    ``speed`` times real time, of the range from ``from_ns`` to ``end_ns``."""

    now_ns: int
    speed: float = 1.0
    from_ns: int = 0
    end_ns: int = 0
    ended: bool = False


class _Line(msgspec.Struct):
    ws: str
    rest: str
    venue: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Addresses without a path: ``ws`` of the sockets, ``rest`` of the requests. ``venue`` is the
    one that is served, empty where nobody said."""

    ws: str
    rest: str
    venue: str = ""

    @classmethod
    def real(cls, venue: str) -> Endpoint:
        """The venue itself; UsageError where it is unknown."""
        about = venue_named(venue)
        return cls(about.ws, about.rest, venue)

    @classmethod
    def of(cls, text: str) -> Endpoint:
        """``ws://host:port,http://host:port``, or the name of a file with the line that ``ofs
        serve`` printed. UsageError where it is neither."""
        if "://" in text:
            found = _from_words(text)
        else:
            found = _from_file(Path(text))
        _check(found.ws, ("ws", "wss"), text)
        _check(found.rest, ("http", "https"), text)
        return cls(found.ws.rstrip("/"), found.rest.rstrip("/"), found.venue)

    @classmethod
    def rest_of(cls, text: str) -> Endpoint:
        """As :meth:`of`, or the address of the requests alone; its ``ws`` is then empty."""
        if not text.startswith("http") or "," in text:
            return cls.of(text)
        _check(text, ("http", "https"), text)
        return cls("", text.rstrip("/"))

    def clock(self, http: Http) -> Clock | None:
        """The clock of a served venue; None where there is none: it is a real venue.

        NetworkError where nothing answers, or not with a clock.
        """
        url = f"{self.rest}/ofs/clock"
        answer = http.get(url)
        if answer.status == _NOT_THERE:
            return None
        try:
            if answer.status >= 300:
                raise ValueError(f"it answered {answer.status}")
            return msgspec.json.decode(answer.body, type=Clock)
        except (msgspec.MsgspecError, ValueError) as error:
            raise NetworkError(
                "the clock of the served venue cannot be read",
                where=shown(url),
                why=str(error),
                do="check the address that --endpoint names",
            ) from None


def _from_words(text: str) -> _Line:
    words = [word.strip() for word in text.split(",")]
    ws = [word for word in words if word.startswith("ws")]
    rest = [word for word in words if word.startswith("http")]
    if len(words) != 2 or len(ws) != 1 or len(rest) != 1:
        raise _unusable(text, "it takes two addresses, one of sockets and one of requests")
    return _Line(ws[0], rest[0])


def _from_file(path: Path) -> _Line:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise _unusable(str(path), error.strerror or "it cannot be read") from None
    for line in lines:
        if line.strip():
            try:
                return msgspec.json.decode(line, type=_Line)
            except msgspec.MsgspecError as error:
                raise _unusable(str(path), str(error)) from None
    raise _unusable(str(path), "it is empty")


def _check(address: str, schemes: tuple[str, ...], where: str) -> None:
    try:
        split = urlsplit(address)
        good = split.scheme in schemes and bool(split.hostname) and split.port != 0
    except ValueError:
        good = False
    if not good:
        raise _unusable(where, f"{address!r} is no address")


def _unusable(where: str, why: str) -> UsageError:
    return UsageError(
        "this is no endpoint",
        where=where,
        why=why,
        do="write ws://host:port,http://host:port, or name the file with the line of 'ofs serve'",
    )
