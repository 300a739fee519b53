"""The compiled broker against the slow one on the embedded replay, with a market maker's orders."""

from __future__ import annotations

import random
from typing import Any

import pytest

import replays
from data.events import FillReason, Kind
from data.log import LogReader, LogStore
from tests.engine.kernel.matching_driver import BASE, Sim
from tests.engine.kernel.matching_oracle import Oracle

MS = 1_000_000
EVENTS = 6000
WANTED = {
    Kind.TRADE: ("ts_ns", "id", "price", "qty", "side"),
    Kind.DEPTH: ("ts_ns", "id", "bid_price", "bid_qty", "ask_price", "ask_qty"),
}


def events() -> list[tuple[Any, ...]]:
    """The first events of the replay, merged: (kind, ts, id, ...)."""
    reader = LogReader(
        LogStore(replays.path()), "synthetic", "BTCUSDT", WANTED, ahead=False, verify=False
    )
    for batch in reader:
        rows: list[tuple[Any, ...]] = []
        at = dict.fromkeys(WANTED, 0)
        for kind, stop in zip(batch.run_kind, batch.run_stop, strict=True):
            kind = Kind(kind)
            c = batch.columns[kind]
            for k in range(at[kind], int(stop)):
                rows.append(trade(c, k) if kind == Kind.TRADE else depth(c, k))
            at[kind] = int(stop)
            if len(rows) > EVENTS:
                return rows[:EVENTS]
        return rows
    return []


def trade(c: Any, k: int) -> tuple[Any, ...]:
    return "trade", *(int(c[name][k]) for name in WANTED[Kind.TRADE])


def depth(c: Any, k: int) -> tuple[Any, ...]:
    sides = []
    for side in ("bid", "ask"):
        a, b = (int(x) for x in c[f"{side}_offsets"][k : k + 2])
        columns = (c[f"{side}_{what}"][a:b].tolist() for what in ("price", "qty"))
        sides.append(list(zip(*columns, strict=True)))
    return "depth", int(c["ts_ns"][k]), int(c["id"][k]), *sides


def make_market(broker: Any, rows: list[tuple[Any, ...]], seed: int) -> list[Any]:
    """Quote both sides around the touch, cancel, take now and then; what the broker showed."""
    r = random.Random(seed)
    said: list[Any] = []
    bid = ask = 0
    for n, (what, ts, *rest) in enumerate(rows):
        getattr(broker, what)(ts, *rest)
        if what == "depth" and rest[1] and rest[2]:
            bid, ask = rest[1][0][0], rest[2][0][0]
        if n % 25 or not bid:
            continue
        broker.boundary(ts)
        said.append(broker.view())
        side, qty = r.choice([-1, 1]), r.randint(1, 400)
        price = bid - r.randint(0, 3) if side > 0 else ask + r.randint(0, 3)
        stop = price - side * r.randint(5, 60)
        kind = int(r.random() < 0.8)
        said.append(
            broker.submit(ts, n, kind, side, qty, price * kind, stop, price + side * 30, 0, 0, 0)
        )
        said.append(broker.cancel(ts, max(1, said[-1] - r.randint(1, 4))))
    broker.finish()
    return said


@pytest.mark.parametrize("model", range(4))
def test_kernel_is_the_reference_on_the_replay(model):
    rows = events()
    assert len(rows) == EVENTS
    chosen = {
        "queue_model": model, "queue_power": 3, "order_latency_ns": 20 * MS, "hedging": model % 2,
        "response_latency_ns": 30 * MS, "stale_ns": 2000 * MS, "taker_ppb": 400_000,
        "maker_ppb": 200_000, "margin_ppb": 50_000_000, "start_balance": 10**14,
    }  # fmt: skip
    kernel, reference = Sim(**chosen), Oracle(**{**BASE, **chosen})
    assert make_market(kernel, rows, model) == make_market(reference, rows, model)
    assert kernel.rows == reference.rows
    reasons = {f["reason"] for f in kernel.table("fills")}
    assert {FillReason.QUEUE, FillReason.TRADE_THROUGH, FillReason.BOOK_WALK} <= reasons
    assert sum(kernel.violations) == 0
