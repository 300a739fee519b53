"""Every kind of wrong, planted and found; nothing found where nothing is wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.events import GapReason, Kind, Scales
from data.log import LogStore
from data.log import files as files_module
from data.log.checks import CHECKS, GAP_CHECKS, Wanted, check_log
from data.log.rules import Finding
from data.log.ticks import PriceHistogram, infer_tick
from tests.data.log.support import DAY, MIDNIGHT, SYMBOL, VENUE, Row, book, put, trade
from tests.shared import shared_data

S = 1_000_000_000


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogStore:
    """An empty log of small row groups, so that every rule has to carry over their edges."""
    monkeypatch.setattr(files_module, "GROUP_ROWS", 8)
    monkeypatch.setattr(files_module, "GROUP_ROWS_DEPTH", 8)
    return LogStore(tmp_path, create=True)


def found(store: LogStore, **wanted: Any) -> list[Finding]:
    return list(check_log(store, Wanted(**wanted)))


def brief(findings: list[Finding]) -> list[tuple[str, int]]:
    return [(f.check, f.count) for f in findings]


def tape(n: int, **more: Any) -> list[Row]:
    return [trade(MIDNIGHT + k * S, id=k + 1, price=100 + 10 * (k % 9), **more) for k in range(n)]


def test_a_sound_log_gives_no_findings(store: LogStore) -> None:
    put(store, Kind.TRADE, tape(40))
    put(store, Kind.DEPTH, [book(MIDNIGHT + k * S, [(90, 1), (80, 1)], [(100, 1)], id=k)
                            for k in range(40)])  # fmt: skip
    quotes = [{"ts_ns": MIDNIGHT + k * S, "bid": 90, "ask": 100} for k in range(40)]
    put(store, Kind.QUOTE, [q | {"bid_qty": 1, "ask_qty": 1} for q in quotes])
    put(store, Kind.BAR, [bar(k) for k in range(40)])
    assert found(store) == []


def test_holes_in_ids_are_exact(store: LogStore) -> None:
    rows = tape(60)
    missing = {10, 11, 12, 30, 59}
    put(store, Kind.TRADE, [r for r in rows if r["id"] not in missing])
    holes = [f for f in found(store) if f.check == "id_hole"]
    assert [(f.from_id, f.to_id, f.count) for f in holes] == [(9, 13, 3), (29, 31, 1), (58, 60, 1)]
    assert (holes[0].from_ns, holes[0].to_ns) == (MIDNIGHT + 8 * S, MIDNIGHT + 12 * S)
    assert "3 trade ids are missing" in holes[0].text


def test_ids_that_arrive_late_are_no_holes(store: LogStore) -> None:
    rows = tape(60)
    for k, row in enumerate(rows):
        row["id"] = (k * 7) % 60 + 1
    put(store, Kind.TRADE, rows)
    assert found(store) == []


def test_a_range_sees_only_its_own_holes(store: LogStore) -> None:
    put(store, Kind.TRADE, [r for r in tape(60) if r["id"] not in (10, 40)])
    (hole,) = found(store, from_ns=MIDNIGHT + 20 * S, checks=GAP_CHECKS)
    assert hole.from_id == 39


def test_silences_are_holes_in_time(store: LogStore) -> None:
    times = [0, 1, 50, 111, 112, 400]
    put(store, Kind.TRADE, [trade(MIDNIGHT + t * S, price=10 + t) for t in times])
    holes = [f for f in found(store) if f.check == "time_hole"]
    assert [((f.from_ns - MIDNIGHT) // S, (f.to_ns - MIDNIGHT) // S) for f in holes] == [
        (50, 111),
        (112, 400),
    ]
    assert brief(found(store, hole_s={Kind.TRADE: 288.0})) == []
    assert len(found(store, hole_s={Kind.TRADE: 40.0})) == 3


def test_no_ids_no_holes(store: LogStore) -> None:
    put(store, Kind.TRADE, [trade(MIDNIGHT + k * S, id=0, price=10 + k) for k in range(20)])
    assert found(store) == []


def test_one_id_for_two_trades(store: LogStore) -> None:
    rows = tape(40)
    put(store, Kind.TRADE, [*rows, {**rows[3], "ts_ns": rows[30]["ts_ns"], "price": 170}])
    (conflict,) = found(store)
    assert brief([conflict]) == [("conflicting_id", 1)]
    assert (conflict.from_id, conflict.from_ns, conflict.to_ns) == (
        4,
        MIDNIGHT + 3 * S,
        MIDNIGHT + 30 * S,
    )


def test_a_trade_that_is_there_twice(store: LogStore, tmp_path: Path) -> None:
    """Two files of two days that overlap: nobody imported that, somebody copied a file."""
    put(store, Kind.TRADE, tape(40))
    other = LogStore(tmp_path / "other", create=True)
    again = [{**r, "recv_ns": r["ts_ns"] + DAY, "seq": 1} for r in tape(40)[35:]]
    put(other, Kind.TRADE, again)
    (entry,) = other.catalogue().entries
    (tmp_path / entry.path).parent.mkdir(parents=True)
    (tmp_path / entry.path).write_bytes((tmp_path / "other" / entry.path).read_bytes())
    repeated = [f for f in found(store) if f.check == "duplicate_id"]
    assert brief(repeated) == [("duplicate_id", 5)]
    assert (repeated[0].from_id, repeated[0].to_id) == (36, 40)
    assert "out_of_order" in {f.check for f in found(store)}


def test_times_that_go_back(store: LogStore) -> None:
    rows = tape(40)
    for k, row in enumerate(rows):
        row["recv_ns"], row["seq"] = row["ts_ns"] + S, k + 1
    rows[20]["ts_ns"] -= 5 * S
    rows[24]["ts_ns"] -= 2 * S
    put(store, Kind.TRADE, rows)
    (finding,) = found(store)
    assert brief([finding]) == [("out_of_order", 2)]
    assert (finding.from_id, finding.to_id) == (21, 25)


def test_books_that_cannot_be(store: LogStore) -> None:
    good = [book(MIDNIGHT + k * S, [(90, 1), (80, 1)], [(100, 1), (110, 1)], id=k + 1)
            for k in range(30)]  # fmt: skip
    good[3]["bid_price"] = [110, 80]
    good[9]["ask_price"] = [90, 110]
    good[11]["bid_price"] = [80, 90]
    good[12]["ask_price"] = [100, 100]
    good[13]["bid_qty"] = [1, 0]
    good[29]["ask_qty"] = [-1, 1]
    good[15]["bid_price"], good[15]["bid_qty"] = [], []
    put(store, Kind.DEPTH, good)
    by_check = {f.check: f for f in found(store)}
    assert {c: f.count for c, f in by_check.items()} == {
        "crossed": 1,
        "locked": 1,
        "unsorted": 2,
        "not_positive": 2,
    }
    assert by_check["crossed"].from_id == 4
    assert (by_check["unsorted"].from_id, by_check["unsorted"].to_id) == (12, 13)
    assert (by_check["not_positive"].from_id, by_check["not_positive"].to_id) == (14, 30)


def test_levels_are_compared_within_a_book_only(store: LogStore) -> None:
    rows = [book(MIDNIGHT, [(90, 1)], [(100, 1)], id=1)]
    rows += [book(MIDNIGHT + S, [(95, 1)], [(97, 1)], id=2), book(MIDNIGHT + 2 * S, [], [], id=3)]
    rows += [book(MIDNIGHT + 3 * S, [(95, 1)], [(96, 1)], id=4)]
    put(store, Kind.DEPTH, rows)
    assert found(store) == []


def test_quotes_that_cannot_be(store: LogStore) -> None:
    pairs = [(90, 100), (100, 90), (95, 95), (0, 100)]
    rows = [{"ts_ns": MIDNIGHT + k * S, "bid": b, "ask": a} for k, (b, a) in enumerate(pairs)]
    put(store, Kind.QUOTE, [r | {"bid_qty": 0, "ask_qty": 0} for r in rows])
    assert brief(found(store)) == [("crossed", 1), ("locked", 1), ("not_positive", 1)]


def bar(k: int, **more: int) -> Row:
    start = MIDNIGHT + k * 60 * S
    row = {"ts_ns": start + 60 * S, "open_ns": start, "interval_ns": 60 * S, "id": k + 1}
    return row | {"open": 20, "high": 40, "low": 10, "close": 30, "volume": 1} | more


def test_bars_that_cannot_be_and_bars_that_are_missing(store: LogStore) -> None:
    rows = [bar(k) for k in range(20) if k not in (5, 6, 12)]
    rows[2] = bar(2, close=50)
    rows[3] = bar(3, low=-10)
    put(store, Kind.BAR, rows)
    findings = found(store)
    assert sorted(brief(findings)) == [
        ("bad_bar", 1),
        ("not_positive", 1),
        ("time_hole", 1),
        ("time_hole", 2),
    ]
    hole = next(f for f in findings if f.check == "time_hole")
    assert (hole.from_ns, hole.to_ns) == (MIDNIGHT + 300 * S, MIDNIGHT + 420 * S)


def test_prices_off_the_grid(store: LogStore) -> None:
    rows = [trade(MIDNIGHT + k * S, id=k + 1, price=1000 + 5 * (k % 50)) for k in range(3000)]
    rows[7]["price"] = 1003
    rows[2900]["price"] = 1011
    put(store, Kind.TRADE, rows)
    (finding,) = found(store)
    assert brief([finding]) == [("off_grid", 2)]
    assert (finding.from_id, finding.to_id) == (8, 2901)
    assert "0.05" in finding.text
    assert brief(found(store, ticks={(VENUE, SYMBOL): 0.1}, checks=("off_grid",)))[0][1] > 1000
    assert found(store, ticks={(VENUE, SYMBOL): 0.01}) == []


@given(
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.lists(st.integers(1, 10**9), max_size=2),
)
def test_the_tick_is_found_in_spite_of_wild_prices(tick: int, low: int, wild: list[int]) -> None:
    steps = low + np.arange(3000) * 7 % 2999
    prices = np.concatenate((tick * steps, np.array(wild, np.int64)))
    assert infer_tick(prices) == tick
    values, counts = np.unique(prices, return_counts=True)
    assert infer_tick(values, counts) == tick


@given(st.lists(st.lists(st.integers(-5, 10**8) | st.integers(1, 30), max_size=20), max_size=5))
def test_the_histogram_is_exact_over_blocks(blocks: list[list[int]]) -> None:
    seen = PriceHistogram()
    flat: list[int] = []
    for block in blocks:
        start, n = len(flat), len(block)
        stamps = np.stack((np.arange(start, start + n), np.arange(start, start + n) * 2))
        seen.add(np.array(block, np.int64), np.arange(n), stamps)
        flat += block
    assert seen.prices.tolist() == sorted(set(flat))
    for i, price in enumerate(seen.prices.tolist()):
        where = [k for k, value in enumerate(flat) if value == price]
        assert seen.counts[i] == len(where)
        assert seen.first[:, i].tolist() == [where[0], 2 * where[0]]
        assert seen.last[:, i].tolist() == [where[-1], 2 * where[-1]]


def test_the_tick_of_almost_nothing() -> None:
    assert infer_tick(np.array([], np.int64)) == 0
    assert infer_tick(np.array([5, 5, 5, -1])) == 0
    assert infer_tick(np.array([5, 15])) == 5


def test_gaps_that_were_recorded(store: LogStore) -> None:
    gap = {"ts_ns": MIDNIGHT, "stream": int(Kind.DEPTH), "from_ns": MIDNIGHT - S}
    gap |= {"to_ns": MIDNIGHT, "from_id": 5, "to_id": 9, "reason": int(GapReason.SEQUENCE_BREAK)}
    put(store, Kind.GAP, [gap | {"filled": 0}, gap | {"filled": 1, "ts_ns": MIDNIGHT + 1}])
    (finding,) = found(store, checks=GAP_CHECKS)
    assert (finding.check, finding.from_ns, finding.to_id) == ("recorded_gap", MIDNIGHT - S, 9)
    assert "sequence break" in finding.text
    assert store.series()[0].gaps == 1


def test_only_what_was_asked_for(store: LogStore) -> None:
    put(store, Kind.TRADE, [trade(MIDNIGHT, id=1, qty=0), trade(MIDNIGHT + 99 * S, id=9)])
    put(store, Kind.TRADE, [trade(MIDNIGHT, id=1, qty=0)], symbol="ETHUSDT")
    assert {f.symbol for f in found(store)} == {SYMBOL, "ETHUSDT"}
    assert {f.check for f in found(store, symbol=SYMBOL)} == {
        "id_hole",
        "time_hole",
        "not_positive",
    }
    assert found(store, kinds=(Kind.DEPTH,)) == []
    assert brief(found(store, symbol="ETHUSDT", checks=("not_positive",))) == [("not_positive", 1)]
    with pytest.raises(ValueError, match="unknown checks"):
        found(store, checks=("nonsense",))
    assert set(GAP_CHECKS) < set(CHECKS)


def test_progress_counts_every_row(store: LogStore) -> None:
    put(store, Kind.TRADE, tape(40))
    seen: list[int] = []
    assert list(check_log(store, Wanted(), seen.append)) == []
    assert sum(seen) == 40
    assert len(seen) == 5


def test_a_real_recording_with_16_gaps(tmp_path: Path) -> None:
    """LTCUSDT: 16 holes in the ids, 168 ids missing, 117 of them in one silence of 88 s."""
    store = LogStore(tmp_path, create=True)
    first = shared_data("binance-spot/LTCUSDT_2025-06-21_06h_trades.csv")
    rows: list[dict[str, str]] = []
    for path in sorted(first.parent.glob("LTCUSDT_*_trades.csv")):
        rows += list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 53_325
    given_columns = {
        "ts_ns": np.array([int(r["timestamp"]) * 1_000_000 for r in rows]),
        "id": np.array([int(r["tradeId"]) for r in rows]),
        "price": np.array([round(float(r["price"]) * 100) for r in rows]),
        "qty": np.array([round(float(r["quantity"]) * 1000) for r in rows]),
        "side": np.array([1 if r["side"] == "buy" else -1 for r in rows]),
    }
    with store.transaction() as tx:
        tx.merge(Kind.TRADE, "binance-spot", "LTCUSDT", given_columns, Scales(2, 3))
    findings = found(store)
    holes = [f for f in findings if f.check == "id_hole"]
    assert (len(holes), sum(f.count for f in holes)) == (16, 168)
    assert [f.count for f in holes if f.count == 117] == [117]
    assert brief([f for f in findings if f.check != "id_hole"]) == [("time_hole", 1)]
    assert store.series()[0].gaps == 16
