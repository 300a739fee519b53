"""What the tests of the scalper share: its log, copies of it with trades taken out, its runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import replays
from data.events import Kind
from data.log import LogStore
from engine.kernel.confluence import SOURCES
from engine.runtime.trial import Trial, fold
from strategies.scalper import STRATEGY

S = 1_000_000_000
VENUE, SYMBOL = "synthetic", "BTCUSDT"
EARLY = {"impact.length": "60", "impact.warm": "20"}
"""Impact is known after twenty minutes and not after four hours: every source speaks."""
FAIR = {
    **EARLY, "sim.taker_fee": "0", "sim.maker_fee": "0", "risk.leverage": "0",
    "exits.trail_step": "0",
}  # fmt: skip
"""Nothing is a share of the price: what is left must mirror and scale exactly."""
PLAN = """
[[plan]]
id = {id}
name = "n{id}"
symbol = "BTCUSDT"
direction = "{side}"
stop = {{ atr = 4 }}
[plan.conditions]
{lines}
"""


def plan(plan_id: int, lines: str, side: str = "BUY") -> str:
    """One plan as TOML."""
    return PLAN.format(id=plan_id, side=side, lines=lines)


def alone(source: str) -> dict[str, str]:
    """Settings under which ``source`` is all that the classifier hears, and a whisper is enough."""
    weights = {f"confluence.weight_{x}": str(int(x == source)) for x in SOURCES}
    return {**EARLY, **weights, "confluence.threshold": "0.000001"}


@cache
def over(settings: tuple[tuple[str, str], ...] = (), plans: str = "") -> Trial:
    """A fold of the scalper over the replay, kept for whoever asks again."""
    return fold(STRATEGY, settings=dict(settings), plans=plans)


def whole(settings: dict[str, str], plans: str = "") -> Trial:
    """As :func:`over`, of a dict."""
    return over(tuple(sorted(settings.items())), plans)


def without(folder: Path, from_ns: int, to_ns: int, side: int = 0) -> Path:
    """A copy of the replay's log without the trades of [from, to) (of one aggressor, if named)."""
    shutil.copytree(replays.path(), folder)
    store = LogStore(folder)
    (entry,) = (e for e in store.catalogue().entries if e.kind == Kind.TRADE)
    path = folder / entry.path
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    ts = columns["ts_ns"]
    gone = (ts >= from_ns) & (ts < to_ns) & ((columns["side"] == side) | (side == 0))
    assert gone.any()
    path.unlink()
    kept = {name: values[~gone] for name, values in columns.items()}
    with store.transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, kept, entry.scales)
    return folder


def entries(trial: Trial) -> np.ndarray:
    """Decisions that entered."""
    return trial.decisions[np.isin(trial.decisions["action"], (1, 2))]


def decision_at(trial: Trial, ts_ns: int) -> Any:
    """The decision of that boundary."""
    (row,) = trial.decisions[trial.decisions["ts_ns"] == ts_ns]
    return row


def _lists(table: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A list column as (values, offsets)."""
    column = table[name].combine_chunks()
    return column.values.to_numpy(), column.offsets.to_numpy().astype(np.int64)


def rewritten(folder: Path, change: Callable[[Kind, Any], None]) -> Path:
    """A log with every table of the replay as ``change`` makes it of its columns, in place.

    The columns of a snapshot's lists are pairs (values, offsets).
    """
    store = LogStore(folder, create=True)
    lists = ("bid_price", "bid_qty", "ask_price", "ask_qty")
    for entry in LogStore(replays.path()).catalogue().entries:
        table = pq.read_table(replays.path() / entry.path)
        names = table.column_names
        columns: dict[str, Any] = {n: table[n].to_numpy() for n in names if n not in lists}
        columns.update({n: _lists(table, n) for n in names if n in lists})
        change(entry.kind, columns)
        with store.transaction() as tx:
            tx.merge(entry.kind, VENUE, SYMBOL, columns, entry.scales)
    return folder


def mirror(folder: Path, centre: int) -> Path:
    """The replay with every side turned round and every price p made ``centre - p``."""

    def turn(kind: Kind, c: Any) -> None:
        if kind == Kind.TRADE:
            c.update(price=centre - c["price"], side=-c["side"])
        elif kind == Kind.BAR:
            c.update(open=centre - c["open"], close=centre - c["close"], high=centre - c["low"],
                     low=centre - c["high"], buy_volume=c["volume"] - c["buy_volume"])  # fmt: skip
        else:
            (bid, bids), (ask, asks) = c["bid_price"], c["ask_price"]
            c.update(bid_price=(centre - ask, asks), ask_price=(centre - bid, bids),
                     bid_qty=c["ask_qty"], ask_qty=c["bid_qty"])  # fmt: skip

    return rewritten(folder, turn)


PRICES = ("price", "open", "high", "low", "close", "bid_price", "ask_price")
VOLUMES = ("qty", "volume", "buy_volume", "bid_qty", "ask_qty")


def scaled(folder: Path, *, price: int = 1, qty: int = 1) -> Path:
    """The replay with every price times ``price`` and every quantity times ``qty``."""

    def grow(kind: Kind, c: Any) -> None:
        for names, k in ((PRICES, price), (VOLUMES, qty)):
            for name in (n for n in names if n in c):
                value = c[name]
                c[name] = (value[0] * k, value[1]) if isinstance(value, tuple) else value * k

    return rewritten(folder, grow)
