"""The job on hftbacktest 2.4, run inside an environment of its own.

Owns the conversion of the tape to its event rows and the strategy in its own idiom: `elapse(5 s)`,
sum `last_trades`, submit a market order. Must hold: everything that the engine can be spared is
spared it (no recorder, zero feed latency, the coarsest step that the job allows, loading in
parallel off, arrays already in memory). Refuses to know ofs.

What it is given: one 64-byte row a trade (exchange and local event at the same time), and the
touch: one bid and one ask row at the tape's start and, before every boundary, rows that delete the
levels that moved and set the new ones. Its market orders need that book: no trade moves it.
The first touch row stands on a whole multiple of 5 s, because its decision grid begins at its first
event.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import hftbacktest
import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LOCAL_EVENT,
    MARKET,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype
from numba import njit

from tests.bench.job import (
    ENTRY_LATENCY_NS,
    FEE_RATE,
    FLIP_DEN,
    FLIP_NUM,
    ORDER_LOTS,
    RESPONSE_LATENCY_NS,
)
from tests.bench.measure import emit, pin, report, timed
from tests.bench.tape import LOT, STEP_NS, TICK, Tape, load_tape

BOTH = EXCH_EVENT | LOCAL_EVENT
TOUCH_LOTS = 1_000_000
ROWS_FILE = "hftbacktest.npy"


def depth_rows(tape: Tape) -> np.ndarray:
    """Touch changes as depth rows: what moved is set to zero, then the new level is set."""
    rows = []
    bid, ask = None, None
    touches = zip(
        tape.touch_ts_ns.tolist(), tape.touch_bid.tolist(), tape.touch_ask.tolist(), strict=True
    )
    for ts_ns, new_bid, new_ask in touches:
        changes = ((BUY_EVENT, bid, new_bid), (SELL_EVENT, ask, new_ask))
        rows += [(ts_ns, s, old, 0) for s, old, new in changes if old is not None and old != new]
        rows += [(ts_ns, s, new, TOUCH_LOTS) for s, old, new in changes if old != new]
        bid, ask = new_bid, new_ask
    out = np.zeros(len(rows), event_dtype)
    out["exch_ts"] = out["local_ts"] = [row[0] for row in rows]
    out["ev"] = np.array([row[1] for row in rows], np.uint64) | np.uint64(BOTH | DEPTH_EVENT)
    out["px"] = np.array([row[2] for row in rows]) * TICK
    out["qty"] = np.array([row[3] for row in rows]) * LOT
    return out


def event_rows(tape: Tape) -> np.ndarray:
    """All rows in time order, a touch before a trade of the same instant."""
    trades = np.zeros(len(tape), event_dtype)
    trades["exch_ts"] = trades["local_ts"] = tape.ts_ns
    side = np.where(tape.side > 0, BUY_EVENT, SELL_EVENT).astype(np.uint64)
    trades["ev"] = side | np.uint64(BOTH | TRADE_EVENT)
    trades["px"] = tape.price * TICK
    trades["qty"] = tape.qty * LOT
    depth = depth_rows(tape)
    order = np.argsort(np.concatenate((depth["exch_ts"], trades["exch_ts"])), kind="stable")
    return np.concatenate((depth, trades))[order]


@njit
def drain(hbt, buy):
    """Signed quantity of the trades since the last call (floats, as the engine keeps them)."""
    signed = 0.0
    for trade in hbt.last_trades(0):
        if trade.ev & buy == buy:
            signed += trade.qty
        else:
            signed -= trade.qty
    hbt.clear_last_trades(0)
    return signed


@njit
def run_job(hbt, step_ns, threshold, flip_num, flip_den, order_qty, lot, buy):
    """Whole job; returns cvd in lots, decisions, orders, order checksum."""
    cvd, decisions, orders, checksum, entry_delta = 0, 0, 0, 0, 0
    while hbt.elapse(step_ns) == 0:
        decisions += 1
        delta = round(drain(hbt, buy) / lot)
        cvd += delta
        hbt.clear_inactive_orders(0)
        position = hbt.position(0)
        side = 0
        if abs(position) < lot / 2:
            if delta > threshold:
                side = 1
            elif delta < -threshold:
                side = -1
            if side != 0:
                entry_delta = delta
        else:
            held = 1 if position > 0 else -1
            if -held * delta * flip_den >= abs(entry_delta) * flip_num:
                side = -held
        if side == 0:
            continue
        orders += 1
        checksum += side * decisions
        if side > 0:
            hbt.submit_buy_order(0, orders, 0.0, order_qty, GTC, MARKET, False)
        else:
            hbt.submit_sell_order(0, orders, 0.0, order_qty, GTC, MARKET, False)
    cvd += round(drain(hbt, buy) / lot)
    return cvd, decisions, orders, checksum


def build(rows: np.ndarray, book: str, low: float, high: float) -> Any:
    """A fresh backtest over `rows`, kept alive by the caller: the engine has a pointer only."""
    asset = (
        BacktestAsset()
        .data(rows)
        .linear_asset(1.0)
        .constant_order_latency(ENTRY_LATENCY_NS, RESPONSE_LATENCY_NS)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(FEE_RATE, FEE_RATE)
        .tick_size(TICK)
        .lot_size(LOT)
        .last_trades_capacity(100_000)
        .parallel_load(False)
    )
    if book == "hashmap":
        return HashMapMarketDepthBacktest([asset])
    return ROIVectorMarketDepthBacktest([asset.roi_lb(low).roi_ub(high)])


def convert(folder: Path) -> None:
    """Write the event rows of a tape beside it, once; a process of its own does this.

    The conversion needs several times the memory of the rows, which is none of the engine's.
    """
    path = folder / ROWS_FILE
    if not path.exists():
        part = path.with_suffix(".part.npy")
        np.save(part, event_rows(load_tape(folder)))
        part.replace(path)


def run(folder: Path, book: str) -> dict[str, Any]:
    """Do the job twice in one process over the converted rows and report the second."""
    rows = np.load(folder / ROWS_FILE)
    threshold = json.loads((folder / "tape.json").read_text(encoding="utf-8"))["threshold_lots"]
    trades = int(np.count_nonzero(rows["ev"] & np.uint64(0xFF) == TRADE_EVENT))
    low, high = float(rows["px"].min()) - 1.0, float(rows["px"].max()) + 1.0
    rest = (STEP_NS, threshold, FLIP_NUM, FLIP_DEN, ORDER_LOTS * LOT, LOT, BUY_EVENT)
    for _ in range(2):  # the first run compiles
        backtest = build(rows, book, low, high)
        measured = timed(lambda b=backtest: run_job(b, *rest))
        state = backtest.state_values(0)
        last = {
            "fills": int(state.num_trades),
            "fees": round(float(state.fee), 6),
            "cash": round(float(state.balance), 6),
        }
        backtest.close()
    names = ("cvd_total", "decisions", "orders", "order_checksum")
    answer = {"trades": trades} | dict(zip(names, map(int, measured.value), strict=True)) | last
    given = f"{trades} trade + {len(rows) - trades} touch rows of 64 B, {book} book, elapse(5 s)"
    version = hftbacktest.__version__
    return report(answer, measured, peer=f"hftbacktest {book}", version=version, given=given)


def main() -> None:
    """Command line of the peer; prints one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--core", type=int)
    parser.add_argument("--variant", choices=("convert", "hashmap", "roivec"), default="hashmap")
    options = parser.parse_args()
    pinned = pin(options.core)
    if options.variant == "convert":
        convert(options.tape)
        emit({"converted": str(options.tape / ROWS_FILE)})
        return
    emit({**run(options.tape, options.variant), "pinned": pinned})


if __name__ == "__main__":
    main()
