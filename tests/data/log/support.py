"""Makers of random tables, and the obvious ways to say what a log must hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from data.events import EVENTS, Kind, Scales
from data.log import Batch, LogStore
from data.log.columns import list_columns

DAY = 86_400_000_000_000
MIDNIGHT = 19_944 * DAY  # 2024-08-09T00:00:00Z
SCALES = Scales(2, 3)
VENUE, SYMBOL = "binance-um", "BTCUSDT"

Row = dict[str, Any]


def trade(ts: int, **more: int) -> Row:
    """A trade; unnamed columns get plain values."""
    row = {"ts_ns": ts, "recv_ns": 0, "seq": 0, "id": 0, "price": 100, "qty": 5, "side": 1}
    return {**row, "tick": 0, **more}


def book(
    ts: int, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], **m: int
) -> Row:
    """A depth row from (price, qty) levels."""
    row: Row = {"ts_ns": ts, "recv_ns": 0, "seq": 0, "id": 0, **m}
    row["bid_price"], row["bid_qty"] = [p for p, _ in bids], [q for _, q in bids]
    row["ask_price"], row["ask_qty"] = [p for p, _ in asks], [q for _, q in asks]
    return row


def columns(kind: Kind, rows: Sequence[Row]) -> dict[str, Any]:
    """What ``tx.merge`` takes, from rows as dicts."""
    out: dict[str, Any] = {}
    for field in EVENTS[kind].fields:
        if field.is_list:
            lists = [row[field.name] for row in rows]
            offsets = np.cumsum([0] + [len(values) for values in lists])
            flat = np.array([v for values in lists for v in values], np.int64)
            out[field.name] = (flat, offsets.astype(np.int64))
        else:
            out[field.name] = np.array([row.get(field.name, 0) for row in rows], field.dtype)
    return out


def put(
    store: LogStore,
    kind: Kind,
    rows: Sequence[Row],
    scales: Scales = SCALES,
    venue: str = VENUE,
    symbol: str = SYMBOL,
) -> Any:
    """Import rows in a transaction of their own."""
    with store.transaction() as tx:
        return tx.merge(kind, venue, symbol, columns(kind, rows), scales)


def rows_of_batch(batch: Batch) -> list[tuple[Kind, Row]]:
    """The events of a batch one by one, in the order that its runs say."""
    out: list[tuple[Kind, Row]] = []
    at = dict.fromkeys(batch.columns, 0)
    for number, stop in zip(batch.run_kind.tolist(), batch.run_stop.tolist(), strict=True):
        kind = Kind(number)
        for i in range(at[kind], stop):
            out.append((kind, _row(kind, batch.columns[kind], i)))
        at[kind] = stop
    assert len(out) == batch.rows
    return out


def rows_of_batches(batches: Iterable[Batch]) -> list[tuple[Kind, Row]]:
    """All events of a pass, one by one."""
    return [row for batch in batches for row in rows_of_batch(batch)]


def _row(kind: Kind, values: Mapping[str, np.ndarray], i: int) -> Row:
    row: Row = {}
    for name, column in values.items():
        if name.endswith("_offsets"):
            continue
        if name in list_columns(kind):
            offsets = values[name.split("_")[0] + "_offsets"]
            row[name] = column[offsets[i] : offsets[i + 1]].tolist()
        else:
            row[name] = int(column[i])
    return row


def files_of(store: LogStore) -> dict[str, bytes]:
    """Path and content of every data file."""
    assert store.storage.local is not None
    root = store.storage.local
    found = root.glob("kind=*/**/*.parquet")
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(found)}


def leftovers(root: Path) -> list[str]:
    """Anything that an ended transaction must not leave behind."""
    return [str(p) for p in root.rglob("*") if "_staging" in p.parts or p.name.startswith("_jour")]


@contextmanager
def dying_at_move(store: LogStore, number: int) -> Iterator[None]:
    """Within the block the ``number``-th move (from 1) of the log's files is a death on the way."""
    original, count = store.storage.move, 0

    def move(source: str, target: str) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise KeyboardInterrupt
        original(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.storage, "move", move)
        yield


@st.composite
def tapes(draw: st.DrawFn, kinds: Sequence[Kind] = (Kind.TRADE,)) -> dict[Kind, list[Row]]:
    """Rows of some kinds around a midnight; some recorded (with seq), some from an archive."""
    out: dict[Kind, list[Row]] = {}
    seq = 0
    for kind in kinds:
        rows: list[Row] = []
        for number in range(draw(st.integers(0, 30))):
            ts = MIDNIGHT + draw(st.integers(-6, 6)) * 1_000
            recorded = draw(st.booleans())
            seq += 1
            stamp = {"recv_ns": ts + draw(st.integers(-3, 3)) * 1_000 if recorded else 0}
            stamp |= {"seq": seq if recorded else 0, "id": 1000 * int(kind) + number}
            rows.append(_random_row(draw, kind, ts, stamp))
        out[kind] = rows
    return out


def _random_row(draw: st.DrawFn, kind: Kind, ts: int, stamp: Mapping[str, int]) -> Row:
    small = st.integers(1, 9)
    if kind == Kind.TRADE:
        return trade(ts, **stamp, price=draw(small), qty=draw(small), side=draw(st.just(-1)))
    if kind == Kind.DEPTH:
        levels = st.lists(st.tuples(small, small), max_size=3)
        return book(ts, draw(levels), draw(levels), **stamp)
    if kind == Kind.QUOTE:
        return {"ts_ns": ts, **stamp, "bid": 1, "bid_qty": draw(small), "ask": 2, "ask_qty": 3}
    row = {"ts_ns": ts, **stamp, "open_ns": ts - 60, "interval_ns": 60}
    return {**row, "open": 1, "high": 9, "low": 1, "close": draw(small), "volume": 1}
