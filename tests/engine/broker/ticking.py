"""A terminal of quotes alone, in this process and in a time that tests set: what polls see of one.

It answers the calls of market data from lists of ticks in UTC, on a server's clock, and fails as
told. The whole stand-in is ``engine.broker.terminal``; this one can put any tick anywhere.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.broker.calls import Answer, CallTimeoutError
from engine.broker.mt5_clock import ServerClock
from engine.broker.terminal.structs import RATES, TICKS

NS, MS = 1_000_000_000, 1_000_000
Tick = tuple[int, float, float]
"""UTC ns, bid, ask."""


class Ticking:
    """A :class:`engine.broker.calls.Terminal`. ``ticks`` by symbol, in order of arrival; those
    after ``now`` are not there yet. ``fail`` maps a call's name to what it does instead."""

    def __init__(self, rule: str = "new-york", start_ns: int = 1_717_243_200 * NS) -> None:
        self.restarts = 0
        self.round_trip_ns = 1000
        self.clock = ServerClock(rule)
        self.now = start_ns
        self.ticks: dict[str, list[Tick]] = {"EURUSD": []}
        self.connected = True
        self.history = True
        self.fail: dict[str, Any] = {}
        self.calls: list[str] = []
        self.closed = False

    # --- the protocol

    def now_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * NS)

    def close(self) -> None:
        self.closed = True

    def call(self, name: str, *args: Any, deadline_s: float, **kwargs: Any) -> Answer:
        self.calls.append(name)
        wrong = self.fail.get(name, self.fail.get("*"))
        if isinstance(wrong, Exception):
            raise wrong
        if wrong is not None:
            return Answer(None, wrong, "failed", 0, 0)
        value = getattr(self, name)(*args, **kwargs)
        return Answer(value, 1 if value is not None else -1, "", 0, 0)

    def hang(self) -> CallTimeoutError:
        return CallTimeoutError("not answered within 5 s", why="its worker was killed")

    # --- what it shows

    def initialize(self, *_: Any, **__: Any) -> bool:
        return True

    def symbol_select(self, *_: Any) -> bool:
        return True

    def terminal_info(self) -> Any:
        return SimpleNamespace(connected=self.connected)

    def account_info(self) -> Any:
        return SimpleNamespace(login=7, server="Fake-Server", trade_mode=0)

    def symbol_info(self, symbol: str) -> Any:
        if symbol not in self.ticks:
            return None
        return SimpleNamespace(
            name=symbol, digits=5, point=1e-5, trade_tick_size=1e-5, trade_contract_size=100_000.0,
            volume_step=0.01,
        )  # fmt: skip

    def seen(self, symbol: str) -> list[Tick]:
        return [t for t in self.ticks[symbol] if t[0] <= self.now]

    def wall_ms(self, utc_ns: int) -> int:
        return self.clock.to_server_ns(utc_ns) // MS

    def symbol_info_tick(self, symbol: str) -> Any:
        seen = self.seen(symbol)
        if not seen:
            return None
        ts, bid, ask = seen[-1]
        wall = self.wall_ms(ts)
        return SimpleNamespace(time=wall // 1000, time_msc=wall, bid=bid, ask=ask, last=0.0,
                               volume=0, flags=6)  # fmt: skip

    def _rows(self, symbol: str) -> np.ndarray:
        rows = np.zeros(len(self.seen(symbol)), TICKS)
        for row, (ts, bid, ask) in zip(rows, self.seen(symbol), strict=True):
            wall = self.wall_ms(ts)
            row["time"], row["time_msc"], row["bid"], row["ask"] = wall // 1000, wall, bid, ask
            row["flags"] = 6
        return np.sort(rows, order="time_msc", kind="stable")

    def copy_ticks_from(self, symbol: str, begin: int, count: int, _flags: int) -> Any:
        if not self.history:
            return None
        rows = self._rows(symbol)
        return rows[rows["time_msc"] >= begin * 1000][:count]

    def copy_ticks_range(self, symbol: str, begin: int, end: int, _flags: int) -> Any:
        if not self.history:
            return None
        rows = self._rows(symbol)
        return rows[(rows["time_msc"] >= begin * 1000) & (rows["time_msc"] <= end * 1000)]

    def _bars(self, symbol: str) -> np.ndarray:
        minutes: dict[int, list[float]] = {}
        for ts, bid, _ in self.seen(symbol):
            minutes.setdefault(self.wall_ms(ts) // 60_000 * 60, []).append(bid)
        rows = np.zeros(len(minutes), RATES)
        for row, (at, bids) in zip(rows, sorted(minutes.items()), strict=True):
            row["time"], row["tick_volume"] = at, len(bids)
            row["open"], row["close"] = bids[0], bids[-1]
            row["high"], row["low"] = max(bids), min(bids)
        return rows

    def copy_rates_from_pos(self, symbol: str, _frame: int, start: int, count: int) -> Any:
        rows = self._bars(symbol)
        end = len(rows) - start
        return rows[max(0, end - count) : max(0, end)]

    def copy_rates_range(self, symbol: str, _frame: int, begin: int, end: int) -> Any:
        rows = self._bars(symbol)
        return rows[(rows["time"] >= begin) & (rows["time"] <= end)]
