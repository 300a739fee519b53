"""The job on ofs itself, in a process of its own like every peer.

Owns the hand-over of the tape to the fold: trades and touches as columns and the order of merge, in
batches as the reader of the log makes them. Must hold: columns exist before the timer starts and
every record that the fold writes is taken out of its buffers within the timed call.
"""

from __future__ import annotations

import argparse
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from data.events import Kind, Scales
from engine.runtime.compose import Composition, compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from tests.bench.job import ENTRY_LATENCY_NS, FEE_RATE, ORDER_LOTS, RESPONSE_LATENCY_NS
from tests.bench.measure import emit, pin, report, timed
from tests.bench.ofs_job import strategy
from tests.bench.tape import Tape, load_tape

BATCH_TRADES = 65_536
TOUCH_LOTS = 1_000_000
Batch = tuple[dict[Kind, dict[str, np.ndarray]], np.ndarray, np.ndarray]


class Keeper:
    """Takes the drained records and keeps them, as a run that writes them out would have to."""

    def __init__(self) -> None:
        self.tables: dict[str, list[np.ndarray]] = {}

    def take(self, name: str, rows: np.ndarray) -> None:
        """Keep `rows` of the record table `name`."""
        self.tables.setdefault(name, []).append(rows)

    def rows(self, name: str) -> int:
        """How many records of a table were taken."""
        return sum(len(rows) for rows in self.tables.get(name, []))


def _merge(trade_ns: np.ndarray, touch_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order of merge: a run of trades up to each touch, the touch, and the trades that are left."""
    before = np.searchsorted(trade_ns, touch_ns, side="right")
    kinds, stops, at = [], [], 0
    for touch, stop in enumerate(before.tolist()):
        if stop > at:
            kinds.append(Kind.TRADE)
            stops.append(stop)
            at = stop
        kinds.append(Kind.QUOTE)
        stops.append(touch + 1)
    if at < len(trade_ns):
        kinds.append(Kind.TRADE)
        stops.append(len(trade_ns))
    return np.array(kinds, np.int8), np.array(stops, np.int64)


def batches(tape: Tape) -> list[Batch]:
    """The tape as the reader would hand it out: columns of at most BATCH_TRADES trades."""
    out = []
    touch = 0
    for start in range(0, len(tape), BATCH_TRADES):
        stop = min(start + BATCH_TRADES, len(tape))
        last = stop == len(tape)
        until = int(np.searchsorted(tape.touch_ts_ns, tape.ts_ns[stop - 1], side="left"))
        until = len(tape.touch_ts_ns) if last else until
        touches = slice(touch, until)
        size = np.full(until - touch, TOUCH_LOTS, np.int64)
        quotes = {
            "ts_ns": tape.touch_ts_ns[touches],
            "id": np.arange(touch, until, dtype=np.int64),
            "bid": tape.touch_bid[touches],
            "bid_qty": size,
            "ask": tape.touch_ask[touches],
            "ask_qty": size,
        }
        trades = {c: getattr(tape, c)[start:stop] for c in ("ts_ns", "id", "price", "qty", "side")}
        order = _merge(trades["ts_ns"], quotes["ts_ns"])
        out.append(({Kind.TRADE: trades, Kind.QUOTE: quotes}, *order))
        touch = until
    return out


def settings(tape: Tape) -> dict[str, str]:
    """The job's market, as a user would set it; one session, so that the CVD is never reset."""
    return {
        "threshold": str(tape.threshold_lots),
        "order_qty": str(ORDER_LOTS),
        "session.length": "10000d",
        "sim.order_latency": f"{ENTRY_LATENCY_NS}ns",
        "sim.response_latency": f"{RESPONSE_LATENCY_NS}ns",
        "sim.taker_fee": f"{FEE_RATE}",
        "sim.balance": "1000000000",
        "sim.margin": "0",
        "sim.stop_out": "0",
    }


def fold_once(c: Composition, params: np.ndarray, feed: list[Batch]) -> tuple[Any, Fold, Keeper]:
    """A fresh fold over all batches; the measured time, the fold and what it wrote."""
    keeper = Keeper()
    fold = Fold(c, params, keeper)

    def run() -> None:
        for columns, run_kind, run_stop in feed:
            fold.feed(columns, run_kind, run_stop)
        fold.finish()

    return timed(run), fold, keeper


def run_ofs(tape: Tape, variant: str = "bare") -> dict[str, Any]:
    """Do the job twice in one process and report the second; `variant` is `bare` or `all`."""
    c = compose(strategy(variant))
    params = build(c, settle(c, settings(tape)), Scales(price=1, qty=3))
    feed = batches(tape)
    for _ in range(2):  # the first run compiles or loads the cache
        measured, fold, keeper = fold_once(c, params, feed)
    state = fold.state[0]
    answer = {
        "trades": fold.events[Kind.TRADE],
        "cvd_total": int(state["flow"]["cvd"]),
        "decisions": keeper.rows("decision"),
        "orders": int(state["strategy"]["orders"]),
        "order_checksum": int(state["strategy"]["checksum"]),
        "fills": keeper.rows("fill"),
        "fees": sum(int(rows["fee"].sum()) for rows in keeper.tables.get("fill", [])) / 1e8,
    }
    handlers = ", ".join(h.name for h in c.handlers)
    given = (
        f"{len(tape)} trades and {len(tape.touch_ts_ns)} touch quotes as int64 columns in batches "
        f"of {BATCH_TRADES}; handlers: {handlers}; every record kept"
    )
    name = "ofs" if variant == "bare" else "ofs, all handlers"
    version = importlib.metadata.version("ofs")
    return report(answer, measured, peer=name, version=version, given=given)


def main() -> None:
    """Command line of the peer; prints one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--core", type=int)
    parser.add_argument("--variant", choices=("bare", "all"), default="bare")
    options = parser.parse_args()
    pinned = pin(options.core)
    emit({**run_ofs(load_tape(options.tape), options.variant), "pinned": pinned})


if __name__ == "__main__":
    main()
