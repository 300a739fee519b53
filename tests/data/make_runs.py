"""Small runs on disk, in the layout that a backtest leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.events import RECORD_VERSION, RECORDS, arrow_schema

T = 1_723_161_600_000_000_000  # 2024-08-09T00:00:00Z


def manifest(run: str, **changes: Any) -> dict[str, Any]:
    """A whole manifest; ``changes`` replace keys."""
    return {
        "run": run,
        "schema": RECORD_VERSION,
        "created": "2026-11-21T03:04:05.123456+00:00",
        "command": "ofs backtest",
        "strategy": "delta_flip",
        "venue": "binance-um",
        "symbol": "BTCUSDT",
        "price_scale": 1,
        "qty_scale": 3,
        "currency": "USDT",
        "from": "2024-08-09T00:00:00.000Z",
        "to": "2024-08-09T01:00:00.000Z",
        "params": {"window_s": 60},
        "versions": {"ofs": "0.1.0"},
        "log": {"path": "log", "content_hash": "abc", "entries": []},
        "source_hash": "def",
        "fill_model": "simulated 1",
        "counts": {"events": 10, "trades": 8, "depth": 1, "bars": 1, "decisions": 2, "fills": 1},
        "result": {"net_pnl": 1.5, "max_drawdown": 0.25, "round_trips": 1},
        "digest": "d" * 64,
        "state_digest": "s" * 64,
        "wall_s": 0.5,
        "cpu_s": 0.25,
        "events_per_cpu_s": 40.0,
        "peak_rss_mb": 100.0,
        **changes,
    }


def write_rows(
    file: Path, table: str, rows: list[dict[str, int]], version: int = RECORD_VERSION
) -> None:
    """A record table with ``rows`` and the columns of ``version``; what a row leaves out is 0."""
    schema = arrow_schema(RECORDS[table])
    schema = pa.schema([schema.field(f.name) for f in RECORDS[table].fields if f.since <= version])
    columns = [[row.get(name, 0) for row in rows] for name in schema.names]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), file)


def make_run(
    runs: Path, run: str, tables: dict[str, list[dict[str, int]]] | None = None, **changes: Any
) -> Path:
    """A finished run with every record table; ``tables`` gives rows by table name."""
    folder = runs / run
    folder.mkdir(parents=True)
    content = manifest(run, **changes)
    for name, table in RECORDS.items():
        rows = (tables or {}).get(name, [])
        write_rows(folder / f"{table.view}.parquet", name, rows, content["schema"])
    text = json.dumps(content)
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return folder
