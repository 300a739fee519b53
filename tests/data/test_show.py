"""Events as people read them: every kind, with the names and values that SQL gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import DataError, UsageError
from data.events import EVENTS, Kind, Scales
from data.log import LogReader, LogStore
from data.query import LOG_KINDS, Database
from data.series import pick_series
from data.show import all_columns, line, readable
from tests.data.make_log import T, make_log

SCALES = Scales(2, 3)


def sample(kind: Kind) -> dict[str, Any]:
    """Two rows of ``kind``; the second leaves all that may be unknown at 0."""
    columns: dict[str, Any] = {}
    for number, field in enumerate(EVENTS[kind].fields):
        if field.is_list:
            side = 0 if field.name.startswith("bid") else 100
            columns[field.name] = (
                np.array([1000 + side, 999 - side if side == 0 else 1001 + side, 7], np.int64),
                np.array([0, 2, 3], np.int64),
            )
        elif field.name == "ts_ns":
            columns[field.name] = np.array([T + 1, T + 2_000_000], np.int64)
        elif field.unit == "ns":
            columns[field.name] = np.array([T + number, 0], np.int64)
        elif field.dtype == "i1":
            columns[field.name] = np.array([1, 0], np.int8)
        else:
            columns[field.name] = np.array([12_345 + number, 0], np.int64)
    return columns


def shown(store: LogStore, kind: Kind) -> list[dict[str, Any]]:
    reader = LogReader(store, "x", "Y", all_columns([kind]))
    return [
        event
        for batch in reader
        for event in readable(
            kind, batch.columns[kind], reader.scales, 0, len(batch.columns[kind]["ts_ns"])
        )
    ]


@pytest.mark.parametrize("kind", LOG_KINDS, ids=lambda kind: kind.name)
def test_an_event_reads_as_sql_shows_it(kind: Kind, tmp_path: Path) -> None:
    store = LogStore(tmp_path / "log", create=True)
    with store.transaction() as change:
        change.merge(kind, "x", "Y", sample(kind), SCALES)
    events = shown(store, kind)
    assert len(events) == 2 and all(event["kind"] == EVENTS[kind].name for event in events)
    with Database(store, tmp_path / "runs") as database:
        sql = f"SELECT * EXCLUDE (venue, symbol, date) FROM {EVENTS[kind].view} ORDER BY time"
        from cli.rows import rows_of

        stream = database.ask(sql)
        names = stream.schema.names
        rows = [dict(zip(names, row, strict=True)) for b in stream for row in rows_of(b)]
    assert [{k: v for k, v in event.items() if k != "kind"} for event in events] == rows


@pytest.mark.parametrize("kind", LOG_KINDS, ids=lambda kind: kind.name)
def test_an_event_is_one_line(kind: Kind, tmp_path: Path) -> None:
    store = LogStore(tmp_path / "log", create=True)
    with store.transaction() as change:
        change.merge(kind, "x", "Y", sample(kind), SCALES)
    for event in shown(store, kind):
        text = line(event)
        assert "\n" not in text and text.startswith(f"{event['time']}  {EVENTS[kind].name}")


def test_a_price_is_the_decimal_that_it_stands_for() -> None:
    prices = np.array([3, 10**15 + 1, 279501], np.int64)
    columns = {
        "ts_ns": np.full(3, T, np.int64), "recv_ns": np.zeros(3, np.int64),
        "seq": np.zeros(3, np.int64), "id": np.zeros(3, np.int64), "price": prices,
        "qty": prices, "side": np.zeros(3, np.int8), "tick": np.zeros(3, np.int8),
    }  # fmt: skip
    events = list(readable(Kind.TRADE, columns, Scales(1, 8), 1, 3))
    assert [e["price"] for e in events] == [100000000000000.1, 27950.1]
    assert [repr(e["qty"]) for e in events] == ["10000000.00000001", "0.00279501"]


def test_one_series_is_picked(tmp_path: Path) -> None:
    store = make_log(tmp_path / "log", days=1, count=2)
    assert pick_series(store, None, "xaut") == ("bybit", "XAUT")
    assert pick_series(store, "Binance-UM", None) == ("binance-um", "BTCUSDT")
    with pytest.raises(UsageError, match="2 series fit"):
        pick_series(store, None, None)
    with pytest.raises(DataError) as caught:
        pick_series(store, "bybt", None)
    assert caught.value.do == "did you mean bybit?"
    with pytest.raises(DataError, match="holds nothing"):
        pick_series(LogStore(tmp_path / "empty", create=True), None, None)
