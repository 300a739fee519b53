"""A real Bybit recording from the file to the decisions, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from data.events import Kind
from data.log import LogReader, LogStore
from tests.e2e.support import User
from tests.shared import shared_data

RECORDING = "bybit/BYBIT_inverse.ws.26.0.txt"


def test_a_fold_takes_the_sides_that_the_file_tells(tmp_path: Path) -> None:
    path = shared_data(RECORDING)
    user = User(tmp_path)
    result = user.ofs("import", path)
    assert result.code == 0, result.err
    assert "contracts of 1 USD" in result.err
    result = user.ofs("backtest", "--venue", "bybit", "--symbol", "BTCUSD", "--json")
    assert result.code == 0, result.err
    (run,) = (p for p in user.runs.iterdir() if p.is_dir())
    decisions = pq.read_table(run / "decisions.parquet").to_pydict()
    assert len(decisions["ts_ns"]) == 6

    # (line, exchange time, signed size) of every trade, by another reading of the file
    trades = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if '{"topic":"trade.BTCUSD"' in line:
            for t in json.loads(line.partition(": ")[2])["data"]:
                signed = t["size"] * {"Buy": 1, "Sell": -1}[t["side"]]
                trades.append((number, t["trade_time_ms"] * 10**6, signed))
    books = []
    reader = LogReader(LogStore(user.log), "bybit", "BTCUSD", {Kind.DEPTH: ("seq", "ts_ns")})
    for batch in reader:
        columns = batch.columns[Kind.DEPTH]
        books += list(zip(columns["seq"].tolist(), columns["ts_ns"].tolist(), strict=True))
    for boundary, cvd in zip(decisions["ts_ns"], decisions["cvd"], strict=True):
        # the first event of that time or later closes the boundary, before it is folded itself
        closing = min(line for line, ts in [*books, *((n, ts) for n, ts, _ in trades)]
                      if ts >= boundary)  # fmt: skip
        folded = [
            q for line, ts, q in trades if line < closing or (line == closing and ts < boundary)
        ]
        assert cvd == sum(folded)
    assert user.ofs("verify", "last").code == 0
    gaps = user.ofs("log", "gaps", "--venue", "bybit")
    assert gaps.code == 0, gaps.out
