"""Runs and logs that are not as one would like them, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data.enums import Action, ExitReason, FillReason, OrderState, OrderType
from data.events import Kind, Scales
from data.log import LogStore
from data.runs import Run, find_run
from data.times import format_utc
from engine.report.report import Report, make_report, write_report
from tests.data.make_runs import T
from tests.data.make_runs import make_run as write_run

S = 1_000_000_000
MINUTE = 60 * S
HOUR = 3600 * S
DAY = 24 * HOUR
VENUE, SYMBOL = "binance-um", "BTCUSDT"
MONEY = 10**8
Tables = dict[str, list[dict[str, int]]]


def trades(start: int, length: int, every: int, price: int = 600_000) -> dict[str, np.ndarray]:
    """A trade each ``every`` ns over ``length`` ns; the price swings, two of three are bought."""
    n = np.arange(length // every, dtype=np.int64)
    return {
        "ts_ns": start + n * every,
        "id": 1 + n,
        "price": price + np.rint(400 * np.sin(n * every / HOUR)).astype(np.int64) + n % 5,
        "qty": 100 + n % 7,
        "side": np.where(n % 3 == 0, -1, 1).astype(np.int8),
    }


def log_of(folder: Path, kinds: dict[Kind, dict[str, np.ndarray]]) -> LogStore:
    """A log with these rows of one symbol."""
    store = LogStore(folder, create=True)
    with store.transaction() as change:
        for kind, columns in kinds.items():
            change.merge(kind, VENUE, SYMBOL, columns, Scales(1, 3))
    return store


def round_trip(number: int, start: int, *, side: int = 1, price: int = 600_000) -> Tables:
    """The records of a position that was opened at ``start`` and closed a minute later."""
    end = start + MINUTE
    first = 2 * number - 1
    orders, fills = [], []
    for n, (at, way, paid) in enumerate(((start, side, price), (end, -side, price + 50))):
        common = {"id": first + n, "position_id": number, "side": way, "qty": 1000}
        orders.append({
            **common, "ts_ns": at, "decision_id": first + n, "type": int(OrderType.MARKET),
            "state": int(OrderState.FILLED), "filled_qty": 1000, "active_ns": at, "done_ns": at,
            "bid": paid - 1, "ask": paid + 1,
        })  # fmt: skip
        fills.append({
            **common, "ts_ns": at, "order_id": first + n, "price": paid, "fee": MONEY,
            "pnl": 5 * MONEY * side * n, "reason": int(FillReason.BOOK_WALK),
            "cause_kind": int(Kind.DEPTH), "cause_ts_ns": at - S, "known_ns": at + S,
            "latency_ns": S // 20, "bid": paid - 1, "ask": paid + 1,
        })  # fmt: skip
    position = {
        "ts_ns": start, "id": number, "side": side, "qty": 1000, "gross_pnl": 5 * MONEY * side,
        "entry_notional": 60_000 * MONEY, "exit_notional": 60_005 * MONEY, "entry_qty": 1000,
        "exit_qty": 1000, "fees": 2 * MONEY, "net_pnl": (5 * side - 2) * MONEY,
        "exit_reason": int(ExitReason.FLIP), "closed_ns": end, "entry_order_id": first,
        "exit_order_id": first + 1,
    }  # fmt: skip
    return {"order": orders, "fill": fills, "position": [position]}


def tables_of(starts: list[int]) -> Tables:
    """The records of a round trip at each of ``starts``, with decisions and equity around them."""
    found: Tables = {name: [] for name in ("order", "fill", "position", "decision", "equity")}
    for n, start in enumerate(starts, start=1):
        for name, rows in round_trip(n, start, side=1 if n % 2 else -1).items():
            found[name] += rows
        found["decision"].append({
            "ts_ns": start, "id": 2 * n - 1, "action": int(Action.ENTER_LONG), "direction": 1,
            "price": 600_000, "gates": 3, "blocked": 0,
        })  # fmt: skip
        found["decision"].append({"ts_ns": start + MINUTE, "id": 2 * n, "price": 600_050,
                                  "action": int(Action.EXIT), "blocked": 4})  # fmt: skip
        found["equity"].append({"ts_ns": start + MINUTE, "balance": 10_000 * MONEY + n * MONEY,
                                "equity": 10_000 * MONEY + n * MONEY,
                                "drawdown": n * MONEY})  # fmt: skip
    return found


def run_of(runs: Path, where: Path | str, length: int, tables: Tables | None, **more: Any) -> Run:
    """A run over [T, T + length) of the log at ``where`` with these records."""
    span = {"from_ns": T, "to_ns": T + length}
    changes = {
        "from": format_utc(T), "to": format_utc(T + length), "range": span,
        "gates": ["window", "flow", "book"], "params": {},
        "log": {"path": str(where), "content_hash": "", "entries": []}, **more,
    }  # fmt: skip
    name = f"20261121T000000-case{len(list(runs.glob('*'))) if runs.exists() else 0}"
    write_run(runs, name, tables, **changes)
    return find_run(runs, name)


def report_of(run: Run) -> tuple[Report, Path]:
    """The report of a run, and its file."""
    report = make_report(run, lambda: LogStore(run.manifest["log"]["path"]))
    path = run.folder / "report.html"
    write_report(report, path)
    return report, path
