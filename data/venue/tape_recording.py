"""A raw recording as a tape: the lines of websocket recordings, sent again as they stand.

Owns :class:`RecordingTape`: which streams a recording has, when each line came, and the message
inside. What must hold: a message is sent with the bytes that were received (its frame is wrapped
anew with the stream's name); lines of one file keep their order; a line that is no message of a
named stream is left out and counted. Memory does not grow with the file.

It refuses to know what messages mean, beyond the name of their stream and the id that faults show.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from data.enums import Kind
from data.errors import DataError
from data.events import Scales
from data.sources.binance_frames import Combined, channel_of, market_of
from data.sources.bybit_frames import channel_of as bybit_channel_of
from data.sources.bybit_frames import market_of as bybit_market_of
from data.sources.lines import local_time_ns
from data.sources.opening import Reader, files_of, members_of
from data.sources.rejects import RejectedError
from data.venue.frames import Encode, Sheet
from data.venue.names import Asked
from data.venue.tape import Due, Instrument

_STREAM = re.compile(rb'\s*\{\s*"(stream|topic)"\s*:\s*"([^"\\]+)"')
_REST_BOOK = re.compile(rb'\s*\{\s*"lastUpdateId"')
_NUMBER = re.compile(r'"(?:a|t|u|lastUpdateId)":(\d+)')
_DECIMALS = re.compile(rb'"(?:(p|b|a|c)|(q|B|A|v))":"\d+\.(\d+)"')
_KINDS = {"trade": Kind.TRADE, "aggTrade": Kind.TRADE, "bookTicker": Kind.QUOTE,
          "kline": Kind.BAR, "markPrice": Kind.MARK, "forceOrder": Kind.LIQUIDATION,
          "publicTrade": Kind.TRADE, "allLiquidation": Kind.LIQUIDATION}  # fmt: skip
_BLOCK = 1 << 20
_LOOKED_AT = 2_000


class _Ids(Sequence[int]):
    """Ids of messages, read when they are asked for."""

    def __init__(self, bodies: list[str]) -> None:
        self._bodies = bodies

    def __len__(self) -> int:
        """Number of messages."""
        return len(self._bodies)

    def __getitem__(self, i: Any) -> Any:
        """The id of message ``i``; 0 where it has none."""
        found = _NUMBER.search(self._bodies[i])
        return int(found[1]) if found else 0


@dataclass(slots=True)
class _Learnt:
    """What a first pass over the files found."""

    streams: dict[str, int] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    venue: str = ""
    scales: dict[str, tuple[int, int]] = field(default_factory=dict)


class RecordingTape:
    """The recordings ``paths``, one after the other, of ``venue`` (else what the messages show).

    ``from_ns`` and ``to_ns`` bound the local time. ``streams`` are the names of all streams, in
    the order of their numbers; ``skipped`` counts lines that are not sent, by reason. DataError
    where there is no message to send.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        venue: str = "",
        symbols: Sequence[str] = (),
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> None:
        self._members = [m for path, _ in files_of(paths) for m in members_of(path)]
        self._range = (from_ns or 0, to_ns or 1 << 62)
        self._symbols = {s.upper() for s in symbols}
        learnt = self._learn()
        if not learnt.streams:
            raise DataError(
                "the recording has no message that could be sent",
                where=", ".join(str(p) for p in paths),
                why=f"lines left out: {dict(learnt.skipped) or 'none'}",
                do="name files of lines '<local time> <combined frame>'; see --symbol and --from",
            )
        self.venue = venue.lower() or learnt.venue or "binance-um"
        self.streams = list(learnt.streams)
        self.skipped = learnt.skipped
        self.from_ns, self.end_ns = learnt.first_ns, learnt.last_ns + 1
        self._number = learnt.streams
        symbols_found = dict.fromkeys(a.symbol for a in map(asked, self.streams))
        self.instruments = [
            Instrument(self.venue, s, Scales(*learnt.scales.get(s, (0, 0)))) for s in symbols_found
        ]

    def find(self, name: str) -> tuple[int, Asked] | None:
        """The number of the stream called ``name``, and what it asks for."""
        number = self._number.get(name)
        return None if number is None else (number, asked(name))

    def __iter__(self) -> Iterator[Due]:
        """A fresh pass."""
        last = 0
        for block in self._blocks():
            bodies: list[str] = []
            rows: list[tuple[int, int, Kind]] = []
            for at_ns, name, body in self._messages(block, Counter()):
                last = max(last, at_ns)
                number = self._number[name]
                rows.append((last, number, asked(name).kind))
                bodies.append(body)
            sheet: Sheet = {"raw": bodies, "id": _Ids(bodies), "ts_ns": [r[0] for r in rows]}
            sheet["interval_ns"] = [0] * len(rows)
            for i, (at_ns, number, kind) in enumerate(rows):
                yield Due(at_ns, 0, number, kind, sheet, i)

    def _blocks(self) -> Iterator[bytes]:
        for member in self._members:
            yield from Reader(member).blocks(_BLOCK)

    def _messages(self, block: bytes, skipped: Counter[str]) -> Iterator[tuple[int, str, str]]:
        """(local time, stream, message) of every line of a block that is sent."""
        for line in block.split(b"\n"):
            head, _, payload = line.partition(b" ")
            if not head[:1].isdigit():
                if line.strip():
                    skipped["no local time"] += 1
                continue
            try:
                at_ns = local_time_ns(head)
            except RejectedError:
                skipped["no local time"] += 1
                continue
            found = _STREAM.match(payload)
            if found is None:
                skipped["rest book" if _REST_BOOK.match(payload) else "no stream"] += 1
                continue
            try:
                name, body = _message(found[2].decode(), payload, found[1] == b"topic")
            except (msgspec.MsgspecError, UnicodeDecodeError):
                skipped["no message"] += 1
                continue
            wanted = not self._symbols or asked(name).symbol in self._symbols
            if wanted and self._range[0] <= at_ns < self._range[1]:
                yield at_ns, name, body

    def _learn(self) -> _Learnt:
        learnt, looked = _Learnt(), 0
        for block in self._blocks():
            for at_ns, name, body in self._messages(block, learnt.skipped):
                learnt.streams.setdefault(name, len(learnt.streams))
                learnt.first_ns = learnt.first_ns or at_ns
                learnt.last_ns = max(learnt.last_ns, at_ns)
                if looked < _LOOKED_AT:
                    looked += 1
                    _look(learnt, name, body)
        return learnt


def asked(name: str) -> Asked:
    """What a recorded stream carries; one without a known form is taken for a book."""
    found = channel_of(name)
    symbol, channel = found or (bybit_channel_of(name) or ("", ""))[:2]
    kind = _KINDS.get(channel, Kind.DEPTH)
    # single trades of futures come on the route of the books
    return Asked(name, symbol, kind, route=Kind.DEPTH if channel == "trade" and found else kind)


def raw_encode(_wanted: Asked) -> Encode:
    """The message as it was received."""

    def encode(sheet: Sheet, i: int, _at_ns: int) -> str:
        body: str = sheet["raw"][i]
        return body

    return encode


def _message(name: str, payload: bytes, whole: bool) -> tuple[str, str]:
    if whole:
        return name, payload.strip().decode()
    return name, bytes(msgspec.json.decode(payload, type=Combined).data).decode()


def _look(learnt: _Learnt, name: str, body: str) -> None:
    """Venue and decimals from a message."""
    symbol, data = asked(name).symbol, body.encode()
    if not learnt.venue:
        wrapped = f'{{"stream":"{name}","data":{body}}}'.encode()
        learnt.venue = bybit_market_of(data)[1] or market_of(wrapped)[1]
    price, qty = learnt.scales.get(symbol, (0, 0))
    for is_price, is_qty, digits in _DECIMALS.findall(data):
        used = min(12, len(digits.rstrip(b"0")))
        price, qty = max(price, used if is_price else 0), max(qty, used if is_qty else 0)
    learnt.scales[symbol] = price, qty
