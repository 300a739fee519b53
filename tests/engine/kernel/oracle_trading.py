"""References for the handlers that trade: what only a strategy writes stays blank without one."""

from __future__ import annotations

from typing import Any

from data.events import Control, Kind, Lifecycle
from tests.engine.kernel.oracle import Event, Oracle, S, Trade


class Untouched(Oracle):
    """Nothing touches it but a strategy; its rules have tests of their own."""

    def check(self, s: Any) -> None:
        assert not s.tobytes().strip(b"\0")


class LifecycleOracle(Oracle):
    """Without a strategy there is only the operator: paused or idle, seen at boundaries."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.paused = False
        self.seen: list[tuple[int, bool]] = []

    def control(self, code: int) -> None:
        if code in (Control.PAUSE, Control.RESUME):
            self.paused = code == Control.PAUSE

    def boundary(self, now: int) -> None:
        self.seen.append((now, self.paused))

    def check(self, s: Any) -> None:
        before = [False, *(paused for _, paused in self.seen)]
        turns = [seen for was, seen in zip(before, self.seen, strict=False) if was != seen[1]]
        state = Lifecycle.PAUSED if turns and turns[-1][1] else Lifecycle.IDLE
        assert (int(s["state"]), int(s["steps"])) == (state, len(turns))
        assert int(s["since_ns"]) == (turns[-1][0] if turns else 0)
        assert int(s["entered"][Lifecycle.PAUSED]) == sum(paused for _, paused in turns)
        assert int(s["illegal"]) == 0


class Risk(Oracle):
    """Without an account: the day, the touch, the last trade and gap, as of the last boundary."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.paused = 0
        self.touch = (0, 0)
        self.touch_ns = self.trade_ns = self.gap_ns = 0
        self.want: dict[str, int] = {}

    def control(self, code: int) -> None:
        if code in (Control.PAUSE, Control.RESUME):
            self.paused = int(code == Control.PAUSE)

    def trade(self, t: Trade) -> None:
        self.trade_ns = t[0]

    def see(self, ts: int, bid: int, ask: int) -> None:
        good = 0 < bid < ask
        self.touch = (bid, ask) if good else (0, 0)
        self.touch_ns = ts if good else self.touch_ns

    def depth(self, e: Event) -> None:
        if e["bid_price"] and e["ask_price"]:
            self.see(e["ts_ns"], e["bid_price"][0], e["ask_price"][0])

    def quote(self, e: Event) -> None:
        self.see(e["ts_ns"], e["bid"], e["ask"])

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream in (Kind.TRADE, Kind.DEPTH):
            self.gap_ns = max(self.gap_ns, end)

    def boundary(self, now: int) -> None:
        self.want = {
            "started": 1, "day": now // (86_400 * S), "bid": self.touch[0],
            "ask_price": self.touch[1], "touch_ns": self.touch_ns, "trade_ns": self.trade_ns,
            "gap_ns": self.gap_ns, "paused": self.paused, "equity": 0, "halts": 0, "open_risk": 0,
        }  # fmt: skip

    def check(self, s: Any) -> None:
        assert {name: int(s[name]) for name in self.want} == self.want


TRADING: dict[str, type[Oracle]] = {
    "flip": Untouched, "exits": Untouched, "desk": Untouched, "lifecycle": LifecycleOracle,
    "risk": Risk,
    "reference": Untouched,
}  # fmt: skip
