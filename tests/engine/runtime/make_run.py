"""A small log of a market with everything that delta_flip needs to trade, and runs over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data.events import Kind, Scales
from data.log import LogStore
from engine.runtime.backtest import backtest
from engine.runtime.replay import Request
from strategies.delta_flip import STRATEGY
from tests.engine.tapes import MINUTE, Event, market

VENUE, SYMBOL = "synthetic", "BTCUSDT"
EAGER = {
    "window": "5s", "warmup": "2", "entry_z": "0.5", "cooldown": "1s", "book": "off",
    "max_hold": "40s",
}  # fmt: skip
LISTS = ("bid_price", "bid_qty", "ask_price", "ask_qty")


def make_log(folder: Path, seconds: int = 300, seed: int = 1) -> LogStore:
    """A log of ``market`` at ``folder``."""
    store = LogStore(folder, create=True)
    events = market(seed, seconds)
    with store.transaction() as change:
        for kind in (Kind.TRADE, Kind.DEPTH, Kind.BAR):
            rows = [e for e in events if e["kind"] == kind]
            if rows:
                change.merge(kind, VENUE, SYMBOL, columns(kind, rows), Scales(1, 3))
    return store


def columns(kind: Kind, rows: list[Event]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in (n for n in rows[0] if n != "kind"):
        if name in LISTS:
            flat = np.array([x for e in rows for x in e[name]], dtype=np.int64)
            offsets = np.concatenate(([0], np.cumsum([len(e[name]) for e in rows])))
            found[name] = (flat, offsets.astype(np.int64))
        else:
            dtype = np.int8 if name == "side" else np.int64
            found[name] = np.array([e[name] for e in rows], dtype=dtype)
    if kind == Kind.BAR:
        for name, value in (
            ("interval_ns", MINUTE),
            ("buy_volume", 0),
        ):
            found[name] = np.full(len(rows), value, dtype=np.int64)
    return found


def make_run(store: LogStore, log: Path, runs: Path, **changes: Any) -> dict[str, Any]:
    """Manifest of a backtest of delta_flip over ``store``."""
    request = Request(STRATEGY, "delta_flip", settings=dict(EAGER), **changes)
    return backtest(store, str(log), request, runs)
