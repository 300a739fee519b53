"""What a report is made of when the log is whole, changed, gone, or holds little."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.enums import GapReason
from data.errors import CorruptFileError, DataError
from data.events import Kind
from data.log import LogStore
from engine.report import payload_market, payload_records
from engine.report.payload import Payload, build
from engine.report.payload_market import SPANS, read_market, span_for, windows_around
from engine.report.report import make_report
from tests.data.make_runs import T
from tests.data.sources.imported import Imported
from tests.engine.report.cases import (
    DAY,
    HOUR,
    MINUTE,
    SYMBOL,
    VENUE,
    S,
    log_of,
    report_of,
    run_of,
    tables_of,
    trades,
)  # fmt: skip
from tests.engine.report.test_encode import unpack
from tests.shared import shared_data

NONE = np.zeros(0, np.int64)


def packed(run: Any) -> tuple[Payload, dict[str, list[int]]]:
    """The payload of a run and its columns, read back."""
    made = build(run, lambda: LogStore(run.manifest["log"]["path"]), {})
    return made, unpack(made.data, made.meta["columns"])


def test_real_trades_sum_to_their_candles(tmp_path: Path) -> None:
    """Every candle of a real recording by hand: volumes by side, rows, extremes."""
    log = Imported(tmp_path / "log")
    file = shared_data("derived-aggtrades/usdm_btcusdt_20240808.csv.gz")
    log.take("um", file, venue="binance-um", symbol="BTCUSDT")
    market = read_market(log.store, "binance-um", "BTCUSDT", None, None, {}, NONE)
    rows = log.rows(Kind.TRADE, "binance-um", "BTCUSDT")
    level, chunk = market.levels[0]
    assert level.span_ns == 15 * S
    assert int(chunk.candles["volume"].sum()) == int(rows["qty"].sum())
    assert int(chunk.candles["buy"].sum()) == int(rows["qty"][rows["side"] > 0].sum())
    assert int(chunk.cells.sum()) == int(rows["qty"].sum())
    assert (rows["side"] != 0).all()
    row = rows["price"] // level.row_units
    for side, cells in ((-1, chunk.cells[0]), (1, chunk.cells[2])):
        mine = rows["side"] == side
        want = np.bincount(row[mine] - row.min(), rows["qty"][mine].astype(float))
        have = np.bincount(chunk.rows - row.min(), cells.astype(float), len(want))
        assert (want == have[: len(want)]).all()
    sums = np.add.reduceat(chunk.cells.sum(axis=0), np.append(0, chunk.stops[:-1]))
    assert (sums == chunk.candles["volume"]).all()


def test_a_range_is_read_and_nothing_else(tmp_path: Path) -> None:
    store = log_of(tmp_path / "log", {Kind.TRADE: trades(T, HOUR, S)})
    market = read_market(store, VENUE, SYMBOL, T + 600 * S, T + 1200 * S, {}, NONE)
    _, chunk = market.levels[0]
    assert len(chunk.candles) == 40
    assert int(chunk.candles["open_ns"][0]) == T + 600 * S
    assert int(chunk.candles["trades"].sum()) == 600


def test_trades_of_unknown_side_are_volume_and_no_delta(tmp_path: Path) -> None:
    rows = trades(T, 10 * MINUTE, S)
    rows["side"][:] = 0
    rows["price"][:] = 600_000  # no tick either, so the ladder cannot tell
    log_of(tmp_path / "log", {Kind.TRADE: rows})
    made, columns = packed(run_of(tmp_path / "runs", tmp_path / "log", HOUR, None))
    assert sum(columns["level0.volume"]) == rows["qty"].sum()
    assert sum(columns["level0.buy"]) == sum(columns["level0.sell"]) == 0
    assert sum(columns["level0.cell_unknown"]) == rows["qty"].sum()
    assert any("unknown side" in note for note in made.notes)


def test_sides_that_the_log_lacks_are_the_folds(tmp_path: Path) -> None:
    """Rising prices without a flag are bought, by the tick rule of the kernel."""
    rows = trades(T, 10 * MINUTE, S)
    rows["side"][:] = 0
    rows["price"] = 600_000 + np.arange(600)
    log_of(tmp_path / "log", {Kind.TRADE: rows})
    _, columns = packed(run_of(tmp_path / "runs", tmp_path / "log", HOUR, None))
    assert sum(columns["level0.buy"]) == rows["qty"][1:].sum()


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.QUOTE, Kind.DEPTH])
def test_a_log_without_trades_draws_what_it_has(tmp_path: Path, kind: Kind) -> None:
    n = np.arange(120, dtype=np.int64)
    offsets = np.arange(121, dtype=np.int64)
    mid = 600_000 + n % 9
    columns: dict[Kind, dict[str, Any]] = {
        Kind.BAR: {
            "ts_ns": T + (n + 1) * MINUTE, "id": n, "open_ns": T + n * MINUTE,
            "interval_ns": np.full(120, MINUTE), "open": mid, "high": mid + 5, "low": mid - 5,
            "close": mid + 1, "volume": 100 + n, "buy_volume": 60 + n, "trades": n + 1,
        },
        Kind.QUOTE: {"ts_ns": T + n * MINUTE, "id": n, "bid": mid - 1, "bid_qty": n + 1,
                     "ask": mid + 1, "ask_qty": n + 1},
        Kind.DEPTH: {"ts_ns": T + n * MINUTE, "id": n, "bid_price": (mid - 1, offsets),
                     "bid_qty": (n + 1, offsets), "ask_price": (mid + 1, offsets),
                     "ask_qty": (n + 1, offsets)},
    }  # fmt: skip
    log_of(tmp_path / "log", {kind: columns[kind]})
    made, packed_columns = packed(run_of(tmp_path / "runs", tmp_path / "log", 2 * HOUR, None))
    shown = 119 if kind == Kind.BAR else 120  # the last bar is known at the end of the range
    assert len(packed_columns["level0.slot"]) == shown
    assert packed_columns["level0.rows"] == [0] * shown
    assert len(made.notes) == 1
    volume = int((100 + n[:-1]).sum()) if kind == Kind.BAR else 0
    assert sum(packed_columns["level0.volume"]) == volume


def test_gaps_are_there_and_mark_their_candles(tmp_path: Path) -> None:
    n = np.ones(2, dtype=np.int64)
    start = np.array([T + 300 * S, T + 900 * S])
    gap = {
        "ts_ns": start + 60 * S, "id": 0 * n, "stream": np.array([4, 6], np.int8),
        "from_ns": start, "to_ns": start + 60 * S, "from_id": 0 * n, "to_id": 0 * n,
        "reason": np.full(2, int(GapReason.DISCONNECT), np.int8),
        "filled": np.zeros(2, np.int8),
    }  # fmt: skip
    rows = trades(T, HOUR, S)
    log_of(tmp_path / "log", {Kind.TRADE: rows, Kind.GAP: gap})
    made, columns = packed(run_of(tmp_path / "runs", tmp_path / "log", HOUR, None))
    assert [(g["stream"], g["from"], g["to"]) for g in made.meta["gaps"]] == [
        (4, 300_000_000, 360_000_000), (6, 900_000_000, 960_000_000),
    ]  # fmt: skip
    marked = [slot for slot, flag in zip(columns["level0.slot"], columns["level0.gap"], strict=True)
              if flag]  # fmt: skip
    assert marked == [20, 21, 22, 23]


def test_a_log_that_is_gone_leaves_the_records(tmp_path: Path) -> None:
    run = run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, tables_of([T + 60 * S]))
    made, columns = packed(run)
    assert made.meta["source"] == "decisions"
    assert "cannot be read" in made.notes[0]
    assert len(columns["fill.id"]) == 2
    assert len(columns["level0.slot"]) == 2


def test_candles_of_decisions_are_of_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of those that are not shown, for they are too many; a price belongs to the time before
    the boundary that saw it."""
    tables = tables_of([T + 60 * S])
    tables["decision"] = [
        {"ts_ns": T + n * 5 * S, "id": n, "price": 600_000 + n % 40, "direction": int(n == 90)}
        for n in range(1, 721)
    ]
    run = run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, tables)
    monkeypatch.setattr(payload_records, "DECISIONS_MAX", 100)
    _, columns = packed(run)
    assert len(columns["decision.id"]) == 1
    assert columns["level0.slot"] == list(range(240))
    assert (columns["level0.open"][1], columns["level0.close"][1]) == (600_004, 2)


def test_a_damaged_log_leaves_the_records(tmp_path: Path) -> None:
    store = log_of(tmp_path / "log", {Kind.TRADE: trades(T, HOUR, S)})
    run = run_of(tmp_path / "runs", tmp_path / "log", HOUR, tables_of([T + 60 * S]))
    path = tmp_path / "log" / store.catalogue().entries[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    made, _ = packed(run)
    assert made.meta["source"] == "decisions"
    assert "cannot be read" in made.notes[0]


def test_a_log_that_changed_is_drawn_and_said(tmp_path: Path) -> None:
    store = log_of(tmp_path / "log", {Kind.TRADE: trades(T, HOUR, S)})
    entries = [{"path": e.path, "sha256": e.sha256} for e in store.catalogue().entries]
    log = {"path": str(tmp_path / "log"), "content_hash": "", "entries": entries}
    run = run_of(tmp_path / "runs", tmp_path / "log", HOUR, None, log=log)
    assert packed(run)[0].notes == []
    late = trades(T + 2 * HOUR, MINUTE, S)
    late["id"] += 10**6
    with store.transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, late, store.catalogue().entries[0].scales)
    made, columns = packed(run)
    assert made.meta["source"] == "trades"
    assert "has changed since this run" in made.notes[0]
    assert sum(columns["level0.trades"]) == 3600


def test_quotes_of_the_series_that_executes_belong_to_the_log_of_a_run(tmp_path: Path) -> None:
    store = log_of(tmp_path / "log", {Kind.TRADE: trades(T, HOUR, S)})
    scales = store.catalogue().entries[0].scales
    quote = {"bid": 600_000, "ask": 600_010, "bid_qty": 0, "ask_qty": 0, "id": 0}
    rows = {name: np.full(60, value) for name, value in quote.items()}
    rows["ts_ns"] = np.arange(60) * MINUTE + T
    with store.transaction() as change:
        change.merge(Kind.QUOTE, "mt5", "BTCUSDc", rows, scales)
    entries = [{"path": e.path, "sha256": e.sha256} for e in store.catalogue().entries]
    log = {"path": str(tmp_path / "log"), "content_hash": "", "entries": entries}
    place = {"venue": "mt5", "symbol": "BTCUSDc"}
    where = tmp_path / "runs", tmp_path / "log", HOUR, None
    run = run_of(*where, log=log, broker="live", execution=place)
    assert len(entries) == 2
    assert packed(run)[0].notes == []
    run.manifest["log"]["entries"][1]["sha256"] = "0" * 64
    assert "has changed since this run" in packed(run)[0].notes[0]


def test_a_manifest_that_says_nothing_and_a_damaged_table_are_errors(tmp_path: Path) -> None:
    run = run_of(tmp_path / "runs", tmp_path / "log", HOUR, tables_of([T]))
    run.file("fills").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(CorruptFileError):
        make_report(run, lambda: LogStore(tmp_path))
    del run.manifest["from"]
    with pytest.raises(DataError, match="does not say"):
        build(run, lambda: LogStore(tmp_path), {})


def test_tables_that_are_missing_are_said(tmp_path: Path) -> None:
    run = run_of(tmp_path / "runs", tmp_path / "log", HOUR, None)
    for name in ("fills", "orders", "positions", "signals", "decisions", "equity"):
        run.file(name).unlink()
    report, path = report_of(run)
    assert path.stat().st_size > 10_000
    assert any("statistics cannot be computed" in note for note in report.notes)
    assert sum("no table of" in note for note in report.notes) == 4


def test_a_month_is_bounded_and_keeps_the_hours_around_its_fills(tmp_path: Path) -> None:
    length = 30 * DAY
    log_of(tmp_path / "log", {Kind.TRADE: trades(T, length, 20 * S)})
    starts = [T + d * DAY + 5 * HOUR for d in (3, 11, 27)]
    run = run_of(tmp_path / "runs", tmp_path / "log", length, tables_of(starts))
    made, columns = packed(run)
    wide, fine = made.meta["levels"]
    assert wide["span_us"] == 300_000_000
    assert fine["span_us"] == 15_000_000
    assert len(fine["windows"]) == 6
    assert len(columns["level0.slot"]) == length // (300 * S)
    assert len(columns["level1.slot"]) == 6 * 90
    assert sum(columns["level0.trades"]) == length // (20 * S)
    assert any("The range is long" in note for note in made.notes)
    assert len(made.data) < 4_000_000


def test_too_many_rows_become_higher_and_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_of(tmp_path / "log", {Kind.TRADE: trades(T, HOUR, S)})
    monkeypatch.setattr(payload_market, "CELLS_MAX", 500)
    run = run_of(tmp_path / "runs", tmp_path / "log", HOUR, None)
    made, columns = packed(run)
    assert len(columns["level0.row"]) <= 500
    assert made.meta["levels"][0]["row_units"] > 1
    assert any("rows of the 15s candles" in note for note in made.notes)
    assert sum(columns["level0.volume"]) == sum(columns["level0.cell_buy"]) + sum(
        columns["level0.cell_sell"]
    )


def test_too_many_records_are_thinned_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload_records, "DECISIONS_MAX", 5)
    monkeypatch.setattr(payload_records, "EQUITY_MAX", 2)
    monkeypatch.setattr(payload_records, "ROWS_MAX", 6)
    tables = tables_of([T + n * 300 * S for n in range(5)])
    tables["decision"].append({"ts_ns": T + 1700 * S, "id": 11})
    run = run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, tables)
    made, columns = packed(run)
    assert len(columns["fill.id"]) == 6
    assert len(columns["decision.id"]) == 6
    assert len(columns["equity.ts_ns"]) <= 2
    text = " ".join(made.notes)
    for part in ("Only the first 6 of 10 fills", "Of 11 decisions", "The equity curve shows"):
        assert part in text


def test_widths_and_windows() -> None:
    assert span_for(DAY) == 15 * S
    assert span_for(30 * DAY) == 300 * S
    assert span_for(10**6 * DAY) == SPANS[-1]
    half = 1800 * S
    middle = T + half // 2
    assert windows_around(np.array([middle, middle + 31 * MINUTE])) == [
        (T, T + half), (T + half, T + 2 * half),
    ]  # fmt: skip
    assert windows_around(np.array([T])) == [(T - half, T), (T, T + half)]  # what leads up to it
    assert windows_around(NONE) == []
    many = np.repeat(np.arange(200), np.arange(200)) * half + half // 2
    assert len(windows_around(many)) == payload_market.WINDOWS_MAX
    assert windows_around(many)[0][0] == 152 * half


def test_the_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.report import report as module

    run = run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, None)
    report, path = report_of(run)
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        module.write_report(report, path)
    assert path.read_bytes() == before
    assert [p.name for p in run.folder.glob("*.part")] == []
    shutil.rmtree(run.folder)
