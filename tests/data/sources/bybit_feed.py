"""Helpers of the Bybit tests: lines parsed in one session, and messages of the v5 feed."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

from data.events import EVENTS, Kind
from data.sources.bybit import BybitParser
from data.sources.chunks import Chunk, concat
from data.sources.lines import Key, Session
from data.sources.rejects import Rejects

MS = 1_753_382_994_700
US = f"{MS}123 "


class Run:
    """Some lines, parsed in one session; ``files`` are lists of lines that follow each other."""

    def __init__(
        self,
        *files: list[str],
        venue: str = "bybit",
        cadence_ms: int = 0,
        levels: int = 25,
        stamped: bool = True,
    ) -> None:
        self.session = Session(levels=levels, cadence_ns=cadence_ms * 1_000_000)
        self.kept: list[bytes] = []
        self.chunks: dict[Key, list[Chunk]] = {}
        for lines in files:
            self.rejects = Rejects("x", lambda _name, data: self.kept.append(data))
            self.parser = BybitParser(venue, self.session, self.rejects, stamped=stamped)
            for key, chunk in self.parser.parse("\n".join(lines).encode()):
                self.chunks.setdefault(key, []).append(chunk)
        self.skipped = self.parser.counts.skipped
        self.finished = dict(self.session.finish())

    def rows(self, kind: Kind, *names: str) -> list[tuple[Any, ...]]:
        """Values row by row; prices and quantities as decimals."""
        parts = [c for key, chunks in self.chunks.items() if key[0] == kind for c in chunks]
        return rows_of(concat(parts), *names) if parts else []


def rows_of(chunk: Chunk, *names: str) -> list[tuple[Any, ...]]:
    columns: list[list[Any]] = []
    for name in names:
        unit = EVENTS[chunk.kind].field(name).unit.removesuffix("[]")
        scale = {"price": chunk.scales.price, "qty": chunk.scales.qty}.get(unit, 0)
        column = chunk.columns[name]
        values = column[0] if isinstance(column, tuple) else column
        plain = [Decimal(v).scaleb(-scale) if scale else v for v in values.tolist()]
        if isinstance(column, tuple):
            cuts = column[1].tolist()
            columns.append([plain[a:b] for a, b in pairwise(cuts)])
        else:
            columns.append(plain)
    return list(zip(*columns, strict=True))


def stamp(*messages: dict[str, Any]) -> list[str]:
    return [US + json.dumps(m, separators=(",", ":")) for m in messages]


def book(
    kind: str,
    u: int,
    bids: list[list[str]],
    asks: list[list[str]],
    *,
    seq: int = 0,
    ms: int = 0,
    depth: int = 50,
    **more: Any,
) -> dict[str, Any]:
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": seq or 1000 + u}
    topic = f"orderbook.{depth}.BTCUSDT"
    when = ms or MS + u * 20
    return {"topic": topic, "type": kind, "ts": when + 2, "data": data, "cts": when, **more}


def deal(**more: Any) -> dict[str, Any]:
    trade = {
        "T": MS, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "16578.50", "L": "PlusTick",
        "i": "20f43950-d8dd-5b31-9112-a178eb6023af", "BT": False,
    }  # fmt: skip
    trade |= more
    return {
        "topic": f"publicTrade.{trade['s']}", "type": "snapshot", "ts": MS + 3, "data": [trade],
    }  # fmt: skip
