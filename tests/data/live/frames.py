"""Frames as venues send them, a clock by hand, and what came out, for tests of admission."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from data.enums import GapReason, Kind
from data.events import Scales
from data.live.blocks import Group, Series
from data.live.clock import SessionClock
from data.live.inlet import Inlet
from data.live.items import Frame, Item

T0 = 1_790_000_000_000
"""Start of every test, ms UTC."""
T0_NS = T0 * 1_000_000
MS = 1_000_000
BTC = Series("binance-um", "BTCUSDT", Scales(1, 3))
ETH = Series("binance-um", "ETHUSDT", Scales(2, 3))


class Hands:
    """Machine clocks that go as the test says; ``now`` is ns since the start."""

    def __init__(self) -> None:
        self.now = 0
        self.base_ns = T0_NS

    def mono(self) -> int:
        return 1_000 + self.now

    def wall(self) -> int:
        return self.base_ns + self.now

    def clock(self, served: bool = False) -> SessionClock:
        return SessionClock(served, self.mono, self.wall)


class Door:
    """An inlet with a clock by hand that keeps every event it gave, in order."""

    def __init__(
        self,
        series: list[Series] | None = None,
        served: bool = False,
        base_ns: int = T0_NS,
        **more: Any,
    ) -> None:
        self.hands = Hands()
        self.hands.base_ns = base_ns
        self.clock = self.hands.clock(served)
        self.series = series or [BTC, ETH]
        self.inlet = Inlet(self.series, self.clock, **more)
        self.groups: list[Group] = []
        self._known: tuple[int, list[dict[str, Any]]] = (-1, [])

    def at(self, ms: float) -> int:
        """Monotonic time ``ms`` after the start."""
        return 1_000 + round(ms * MS)

    def send(self, ms: float, *datas: bytes) -> Door:
        """Frames that are all read ``ms`` after the start."""
        return self.put(ms, *(Frame(self.at(ms), 1, data) for data in datas))

    def put(self, ms: float, *items: Item) -> Door:
        self.hands.now = max(self.hands.now, round(ms * MS))
        return self.keep(self.inlet.take(items))

    def end(self) -> Door:
        return self.keep(self.inlet.flush())

    def keep(self, group: Group | None) -> Door:
        if group is not None:
            self.groups.append(group)
        return self

    @property
    def events(self) -> list[dict[str, Any]]:
        if self._known[0] != len(self.groups):
            self._known = len(self.groups), events_of(self.groups)
        return self._known[1]

    def rows(self, *names: str, kind: Kind = Kind.TRADE, series: int = 0) -> list[Any]:
        """Columns of the events of one kind and series: a tuple a row, or values of one column."""
        found = [e for e in self.events if e["kind"] is kind and e["series"] == series]
        if len(names) == 1:
            return [e[names[0]] for e in found]
        return [tuple(e[n] for n in names) for e in found]

    def gaps(self, series: int = 0) -> list[tuple[str, str, int, int, int]]:
        """(kind, reason, from_id, to_id, filled) of each gap."""
        names = ("stream", "reason", "from_id", "to_id", "filled")
        found = self.rows(*names, kind=Kind.GAP, series=series)
        return [(Kind(k).name, GapReason(r).name, a, b, f) for k, r, a, b, f in found]


def events_of(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """Every event of some groups as a dict, in the order of seq; checks what groups promise."""
    out = []
    for group in groups:
        for kind, part in group.parts.items():
            rows = part.rows
            for i in range(rows.n):
                event: dict[str, Any] = {"kind": kind, "series": int(part.series[i])}
                for name, values in rows.columns.items():
                    if name.endswith("_offsets"):
                        continue
                    if kind is Kind.DEPTH and name[3:] in ("_price", "_qty"):
                        offsets = rows[f"{name[:3]}_offsets"]
                        event[name] = values[offsets[i] : offsets[i + 1]].tolist()
                    else:
                        event[name] = int(values[i])
                out.append(event)
    out.sort(key=lambda e: e["seq"])
    assert [e["seq"] for e in out] == list(
        range(groups_first(groups), groups_first(groups) + len(out))
    )
    received = [e["recv_ns"] for e in out]
    assert received == sorted(received)
    return out


def groups_first(groups: Iterable[Group]) -> int:
    return next((g.first_seq for g in groups), 1)


def framed(stream: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def trade(id: int, ms: int = 0, p: str = "27950.10", q: str = "0.120", **more: Any) -> bytes:
    """An aggTrade of USD-M that was made ``ms`` after the start."""
    s = more.pop("s", "BTCUSDT")
    data = {
        "e": "aggTrade", "E": T0 + ms + 5, "a": id, "s": s, "p": p, "q": q, "nq": q,
        "f": id * 2, "l": id * 2 + 1, "T": T0 + ms, "m": False, "st": 1,
    }  # fmt: skip
    return framed(f"{s.lower()}@aggTrade", data | more)


def depth(u: int, ms: int = 0, levels: int = 20, **more: Any) -> bytes:
    """A partial book of USD-M."""
    s = more.pop("s", "BTCUSDT")
    bids = [[f"{27950 - i}.10", f"{1 + i}.500"] for i in range(levels)]
    asks = [[f"{27951 + i}.10", f"{2 + i}.500"] for i in range(levels)]
    data = {
        "e": "depthUpdate", "E": T0 + ms + 5, "T": T0 + ms, "s": s, "ps": s, "U": u - 5, "u": u,
        "pu": u - 6, "b": bids, "a": asks, "st": 1,
    }  # fmt: skip
    return framed(f"{s.lower()}@depth20@100ms", data | more)


def quote(u: int, ms: int = 0, **more: Any) -> bytes:
    s = more.pop("s", "BTCUSDT")
    data = {
        "e": "bookTicker", "u": u, "s": s, "ps": s, "b": "27950.10", "B": "1.000",
        "a": "27950.20", "A": "2.000", "T": T0 + ms, "E": T0 + ms + 5, "st": 1,
    }  # fmt: skip
    return framed(f"{s.lower()}@bookTicker", data | more)


def kline(minute: int, closed: bool = True, **more: Any) -> bytes:
    """The bar of minute ``minute`` after the start (which is a whole one)."""
    s = "BTCUSDT"
    start = (T0 // 60_000 + minute) * 60_000
    k = {
        "t": start, "T": start + 59_999, "s": s, "i": "1m", "f": 100 + minute, "L": 200 + minute,
        "o": "27950.10", "c": "27951.00", "h": "27952.00", "l": "27949.00", "v": "12.500", "n": 99,
        "x": closed, "q": "1.0", "V": "6.250", "Q": "1.0", "B": "0",
    }  # fmt: skip
    data = {"e": "kline", "E": start + 60_010, "s": s, "k": k | more}
    return framed(f"{s.lower()}@kline_1m", data)


def mark(ms: int = 0, **more: Any) -> bytes:
    s = "BTCUSDT"
    data = {
        "e": "markPriceUpdate", "E": T0 + ms, "s": s, "p": "27950.16666667", "ap": "1",
        "P": "1", "i": "27949.94999999", "r": "0.00010000", "T": T0 + 3_600_000, "st": 1,
    }  # fmt: skip
    return framed(f"{s.lower()}@markPrice@1s", data | more)


def liquidation(ms: int = 0, **more: Any) -> bytes:
    o = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "27900.00",
        "ap": "27910.55", "X": "FILLED", "l": "0.014", "z": "0.014", "T": T0 + ms,
    }  # fmt: skip
    return framed("btcusdt@forceOrder", {"e": "forceOrder", "E": T0 + ms + 3, "o": o | more})
