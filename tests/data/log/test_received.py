"""What a session received, read out of a log that was filled since."""

from __future__ import annotations

from pathlib import Path

from data.events import EVENTS, Kind, Scales
from data.log import LogReader, LogStore
from tests.data.log.support import columns, put, rows_of_batches, trade

SYMBOL = "BTCUSDT"


def seqs(store: LogStore, received: tuple[int, int] | None) -> list[int]:
    reader = LogReader(
        store, "binance-um", SYMBOL, {Kind.TRADE: EVENTS[Kind.TRADE].names}, received=received
    )
    return [row["seq"] for _, row in rows_of_batches(reader)]


def test_rows_fetched_later_and_later_events_are_left_out(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "log", create=True)
    live = [trade(1000 + n, id=n, seq=n, recv_ns=1005 + n) for n in range(1, 11)]
    put(store, Kind.TRADE, live, symbol=SYMBOL)
    put(store, Kind.TRADE, [trade(1003, id=40), trade(1500, id=41)], symbol=SYMBOL)
    assert len(seqs(store, None)) == 12
    assert seqs(store, (0, 10)) == list(range(1, 11))
    assert seqs(store, (3, 7)) == [4, 5, 6, 7]
    assert seqs(store, (10, 20)) == []


def test_a_gap_filled_later_was_open_when_it_was_received(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "log", create=True)
    gap = {
        "ts_ns": 1010, "recv_ns": 1012, "seq": 4, "id": 0, "stream": int(Kind.TRADE),
        "from_ns": 1003, "to_ns": 1010, "from_id": 3, "to_id": 9, "reason": 1, "filled": 1,
    }  # fmt: skip
    with store.transaction() as tx:
        tx.merge(Kind.GAP, "binance-um", SYMBOL, columns(Kind.GAP, [gap]), Scales(2, 3))
    names = {Kind.GAP: EVENTS[Kind.GAP].names}
    plain = LogReader(store, "binance-um", SYMBOL, names)
    assert [row["filled"] for _, row in rows_of_batches(plain)] == [1]
    received = LogReader(store, "binance-um", SYMBOL, names, received=(0, 9))
    assert [row["filled"] for _, row in rows_of_batches(received)] == [0]
