"""Compaction: one file a partition, the same rows in the same order, whatever lay there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import LockedError
from data.events import EVENTS, Kind, Scales
from data.log import LogReader, LogStore
from data.log import compact as module
from data.log import files as files_module
from data.log.compact import Compacted, compact, explained, plan_compaction
from tests.data.log.parts import DATE, split_store, splits, write_part
from tests.data.log.support import (
    DAY,
    MIDNIGHT,
    SCALES,
    SYMBOL,
    VENUE,
    Row,
    book,
    leftovers,
    put,
    rows_of_batches,
    tapes,
    trade,
)
from tests.data.log.test_reader import KINDS

EVERYTHING = {kind: EVENTS[kind].names for kind in Kind}


def run(store: LogStore, **wanted: Any) -> list[Compacted]:
    return list(compact(store, plan_compaction(store.catalogue(), **wanted)))


def everything(store: LogStore, **limits: Any) -> list[tuple[Kind, Row]]:
    """Every row with every column, in the order of the reader."""
    return rows_of_batches(LogReader(store, VENUE, SYMBOL, EVERYTHING, **limits))


def hashes(store: LogStore) -> dict[str, str]:
    return {e.path: e.sha256 for e in store.catalogue().entries}


def one_each(store: LogStore) -> bool:
    paths = [e.path for e in store.catalogue().entries]
    return all(p.endswith("/data.parquet") for p in paths)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tapes(KINDS), st.data())
def test_a_reader_sees_no_difference(
    tmp_path_factory: pytest.TempPathFactory, tape: dict[Kind, list[Row]], data: st.DataObject
) -> None:
    if not any(tape.values()):
        return
    for i, row in enumerate(tape[Kind.BAR]):
        row["open_ns"] = MIDNIGHT - DAY + i
    store = split_store(tmp_path_factory.mktemp("log"), tape, data.draw(splits(tape)))
    latency = {kind: data.draw(st.integers(0, 5)) * 1_000 for kind in KINDS}
    edge = data.draw(st.integers(-7, 7)) * 1_000 + MIDNIGHT
    views: list[dict[str, Any]] = [{}, {"latency_ns": latency}]
    rows = [row for rows in tape.values() for row in rows]
    views += [{"from_ns": edge}] if any(r["ts_ns"] >= edge for r in rows) else []
    before = [everything(store, **view) for view in views]
    files = hashes(store)
    done = run(store)
    assert [everything(store, **view) for view in views] == before
    assert one_each(store)
    assert all(not d.error and not d.duplicates and not d.replaced for d in done)
    assert sum(d.rows for d in done) == sum(d.task.rows for d in done)
    assert explained(store.storage, files, hashes(store)) in (None, True)
    assert run(store) == []
    with store.transaction() as tx:  # the catalogue stored is what the files say
        assert tx.catalogue.entries == LogStore(store.storage.where).catalogue().entries


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tapes([Kind.TRADE, Kind.DEPTH]), st.data())
def test_what_stands_in_two_files_is_kept_once(
    tmp_path_factory: pytest.TempPathFactory, tape: dict[Kind, list[Row]], data: st.DataObject
) -> None:
    """Copies of some rows lie in another file: the log afterwards is that of imports."""
    root = tmp_path_factory.mktemp("log")
    whole = LogStore(root / "whole", create=True)
    copies = {k: [r for r in rows if data.draw(st.booleans())] for k, rows in tape.items()}
    for kind, rows in tape.items():
        put(whole, kind, rows)
    store = split_store(
        root / "parts",
        {k: [*tape[k], *copies[k]] for k in tape},
        {k: ["a.parquet"] * len(tape[k]) + ["b.parquet"] * len(copies[k]) for k in tape},
    )
    if not len(store.catalogue()):
        return
    done = run(store)
    assert everything(store) == everything(whole)
    assert sum(d.duplicates for d in done) == sum(len(rows) for rows in copies.values())


def hours(root: Path, count: int = 6, each: int = 50) -> LogStore:
    """A day of trades and books in ``count`` files a kind, as a recorder seals them."""
    for hour in range(count):
        start = MIDNIGHT + hour * 3_600 * 10**9
        seq = hour * each * 2
        rows = [
            trade(start + i * 10**9, recv_ns=start + i * 10**9 + 7, seq=seq + i, id=seq + i + 1)
            for i in range(each)
        ]
        write_part(root, Kind.TRADE, rows, f"hour-{hour:02d}.parquet")
        books = [
            book(start + i * 10**9, [(9, 1)], [(11, i + 1)], recv_ns=start + i * 10**9 + 9,
                 seq=seq + each + i) for i in range(each)
        ]  # fmt: skip
        write_part(root, Kind.DEPTH, books, f"hour-{hour:02d}.parquet")
    return LogStore(root)


def test_hours_become_a_day(tmp_path: Path) -> None:
    store = hours(tmp_path)
    plan = plan_compaction(store.catalogue())
    assert [(len(t.files), t.rows, t.place.kind) for t in plan.tasks] == [
        (6, 300, Kind.DEPTH),
        (6, 300, Kind.TRADE),
    ]
    before = everything(store)
    seen: list[int] = []
    done = list(compact(store, plan, seen.append))
    assert [(d.rows, d.duplicates) for d in done] == [(300, 0), (300, 0)] and sum(seen) == 600
    entries = store.catalogue().entries
    assert [(e.rows, e.path.rpartition("/")[2]) for e in entries] == [(300, "data.parquet")] * 2
    assert (
        sum(d.bytes for d in done)
        == sum(e.bytes for e in entries)
        < sum(t.bytes for t in plan.tasks)
    )
    assert everything(store) == before
    assert leftovers(tmp_path) == []
    # an import of the same rows finds them all
    again = [r for k, r in before if k == Kind.TRADE]
    assert put(store, Kind.TRADE, again).added == 0


def test_the_file_is_the_one_that_an_import_writes(tmp_path: Path) -> None:
    """The same bytes but for the names of the files that it was made from."""
    store = hours(tmp_path / "parts")
    rows = [r for k, r in everything(store) if k == Kind.TRADE]
    whole = LogStore(tmp_path / "whole", create=True)
    put(whole, Kind.TRADE, rows)
    made_of = [e.sha256[:32] for e in store.catalogue().select([Kind.TRADE])]
    run(store, kinds=[Kind.TRADE])
    compacted, imported = (
        next((tmp_path / name).glob("kind=trade/**/data.parquet")).read_bytes()
        for name in ("parts", "whole")
    )
    for name in made_of:
        assert name.encode() in compacted
    data_end = imported.rindex(b"ofs.schema")  # of the footer
    assert 0 < len(compacted) - len(imported) < 6 * 33 + 60
    assert compacted[: data_end // 2] == imported[: data_end // 2]


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    store = hours(tmp_path)
    other = [trade(MIDNIGHT + DAY + i, id=10_000 + i) for i in range(5)]
    write_part(tmp_path, Kind.TRADE, other[:3], "a.parquet", "2024-08-10")
    write_part(tmp_path, Kind.TRADE, other[3:], "b.parquet", "2024-08-10")
    catalogue = store.catalogue()

    def dates(**wanted: Any) -> list[tuple[str, str]]:
        tasks = plan_compaction(catalogue, **wanted).tasks
        return [(EVENTS[t.place.kind].name, t.place.date) for t in tasks]

    assert dates(kinds=[Kind.DEPTH]) == [("depth", DATE)]
    assert dates(from_ns=MIDNIGHT + DAY) == [("trade", "2024-08-10")]
    # one hour is asked for: all files of its day are taken
    last = MIDNIGHT + 5 * 3_600 * 10**9
    plan = plan_compaction(catalogue, [Kind.TRADE], None, None, last, MIDNIGHT + DAY)
    assert [len(t.files) for t in plan.tasks] == [6]
    assert dates(venue="bybit") == [] and dates(symbol="X") == []


def test_a_file_under_another_name_is_renamed(tmp_path: Path) -> None:
    write_part(tmp_path, Kind.TRADE, [trade(MIDNIGHT, id=1)], "part-000.parquet")
    store = LogStore(tmp_path)
    before = everything(store)
    assert [d.rows for d in run(store)] == [1]
    assert everything(store) == before and one_each(store)


def test_scales_that_differ_are_raised(tmp_path: Path) -> None:
    write_part(tmp_path, Kind.TRADE, [trade(MIDNIGHT, id=1, price=7)], "a.parquet")
    finer = [trade(MIDNIGHT + 1, id=2, price=7)]
    write_part(tmp_path, Kind.TRADE, finer, "b.parquet", scales=Scales(4, 3))
    store = LogStore(tmp_path)
    before = everything(store)
    run(store)
    (entry,) = store.catalogue().entries
    assert entry.scales == Scales(4, SCALES.qty)
    assert everything(store) == before
    assert [r["price"] for _, r in before] == [700, 7]


def test_the_stored_order_of_a_recorder_stays(tmp_path: Path) -> None:
    """Its clock was set back by a second: the order in which it took the messages counts."""
    rows = [
        trade(MIDNIGHT + i, recv_ns=MIDNIGHT + recv, seq=i, id=i)
        for i, recv in ((1, 3_000), (2, 9_000), (3, 4_000), (4, 5_000), (5, 12_000))
    ]
    write_part(tmp_path, Kind.TRADE, rows, "hour-00.parquet", as_given=True)
    later = [trade(MIDNIGHT + 50, recv_ns=MIDNIGHT + 10_000, seq=6, id=6)]
    write_part(tmp_path, Kind.TRADE, later, "hour-01.parquet")
    store = LogStore(tmp_path)
    before = [r["id"] for _, r in everything(store)]
    assert before == [1, 2, 3, 4, 6, 5]
    run(store)
    assert [r["id"] for _, r in everything(store)] == before


def test_opaque_ids_tell_no_order(tmp_path: Path) -> None:
    """Ids that are hashes: rows of one instant stay in the order of their files."""
    from data.ids import opaque_id

    ids = sorted((opaque_id(str(n)) for n in range(4)), reverse=True)
    write_part(tmp_path, Kind.TRADE, [trade(MIDNIGHT, id=i) for i in ids[:2]], "a.parquet")
    write_part(tmp_path, Kind.TRADE, [trade(MIDNIGHT, id=i) for i in ids[2:]], "b.parquet")
    store = LogStore(tmp_path)
    before = everything(store)
    assert [r["id"] for _, r in before] == ids
    assert [d.duplicates for d in run(store)] == [0]
    assert everything(store) == before


def test_equal_rows_of_one_file_may_be_different_events(tmp_path: Path) -> None:
    """A sweep: three equal trades without an id; a copy of the file adds none."""
    sweep = [trade(MIDNIGHT, price=5)] * 3
    write_part(tmp_path, Kind.TRADE, sweep, "data.parquet")
    write_part(tmp_path, Kind.TRADE, sweep[:2], "data (1).parquet")
    store = LogStore(tmp_path)
    assert len(everything(store)) == 5
    assert [(d.rows, d.duplicates) for d in run(store)] == [(3, 2)]


def test_of_two_bars_the_better_one_stays(tmp_path: Path) -> None:
    def bar(close: int, trades: int) -> Row:
        row = {"ts_ns": MIDNIGHT + 60, "recv_ns": 0, "seq": 0, "id": 0, "open_ns": MIDNIGHT}
        row |= {"interval_ns": 60, "open": 5, "high": 9, "low": 1, "close": close, "volume": 1}
        return {**row, "buy_volume": 0, "trades": trades}

    write_part(tmp_path, Kind.BAR, [bar(6, 100)], "a.parquet")
    write_part(tmp_path, Kind.BAR, [bar(7, 40)], "b.parquet")
    store = LogStore(tmp_path)
    (done,) = run(store)
    assert (done.rows, done.duplicates, done.replaced) == (1, 0, 1)
    assert [r["close"] for _, r in everything(store)] == [6]


def test_a_damaged_file_leaves_its_partition_as_it_is(tmp_path: Path) -> None:
    store = hours(tmp_path)
    store.catalogue()
    victim = next(tmp_path.glob("kind=trade/**/hour-03.parquet"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    kept = sorted(p.name for p in tmp_path.glob("kind=trade/**/*.parquet"))
    done = {d.task.place.kind: d for d in run(store)}
    assert str(victim) in done[Kind.TRADE].error and not done[Kind.DEPTH].error
    assert sorted(p.name for p in tmp_path.glob("kind=trade/**/*.parquet")) == kept
    assert len(list(tmp_path.glob("kind=depth/**/*.parquet"))) == 1
    assert leftovers(tmp_path) == []
    # one that cannot even be opened is named by the plan
    victim.write_bytes(b"")
    plan = plan_compaction(LogStore(tmp_path).catalogue())
    assert plan.tasks == () and [b.path for b in plan.broken] == [
        victim.relative_to(tmp_path).as_posix()
    ]


class Slips(files_module.FileWriter):
    """A writer with a fault: the third row gets another price, or goes missing."""

    drop = False

    def write(self, rows: Any) -> None:
        if self.drop:
            super().write(rows.take(np.array([i for i in range(rows.n) if i != 2])))
            return
        changed = rows.take(np.arange(rows.n))
        changed.columns["price"][2] += 1
        super().write(changed)


@pytest.mark.parametrize("drop", [False, True])
def test_a_row_that_changed_on_the_way_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drop: bool
) -> None:
    store = hours(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.parquet")}
    monkeypatch.setattr(module, "FileWriter", Slips)
    monkeypatch.setattr(Slips, "drop", drop)
    (done,) = run(store, kinds=[Kind.TRADE])
    assert "read back differs" in done.error
    assert {p: p.read_bytes() for p in before} == before
    assert leftovers(tmp_path) == []


def test_it_commits_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = hours(tmp_path)
    monkeypatch.setattr(module, "BATCH_BYTES", 1)
    plan = plan_compaction(store.catalogue())
    steps = compact(store, plan)
    next(steps)
    counts = [len(list(tmp_path.glob(f"kind={k}/**/*.parquet"))) for k in ("depth", "trade")]
    assert counts == [1, 6]
    assert len(list(steps)) == 1 and one_each(store)


def test_a_writer_is_waited_for_by_nobody(tmp_path: Path) -> None:
    store = hours(tmp_path)
    plan = plan_compaction(store.catalogue())
    with LogStore(tmp_path).transaction(), pytest.raises(LockedError, match="pid"):
        list(compact(store, plan))


def test_what_was_done_in_between_is_not_done_twice(tmp_path: Path) -> None:
    store = hours(tmp_path)
    plan = plan_compaction(store.catalogue())
    run(store)
    before = hashes(store)
    assert [(d.rows, d.error) for d in compact(store, plan)] == [(300, ""), (300, "")]
    assert hashes(store) == before


def test_files_are_traced_through_several_compactions(tmp_path: Path) -> None:
    store = hours(tmp_path, count=2)
    states = [hashes(store)]
    run(store)
    states.append(hashes(store))
    late = [trade(MIDNIGHT + 9 * 3_600 * 10**9, id=9_999)]
    write_part(tmp_path, Kind.TRADE, late, "hour-09.parquet")
    states.append(hashes(store))
    run(store)
    now = hashes(store)
    assert [explained(store.storage, s, now) for s in states] == [True, True, True]
    assert explained(store.storage, now, now) is None
    other = {**states[0], next(iter(states[0])): "0" * 64}
    assert explained(store.storage, other, now) is False
    put(store, Kind.TRADE, [trade(MIDNIGHT + 5, id=77_777)])
    assert explained(store.storage, states[0], hashes(store)) is False


def test_ranges_of_files_become_groups(tmp_path: Path) -> None:
    def part(name: str, *rows: Row) -> None:
        write_part(tmp_path, Kind.TRADE, rows, name)

    part("a.parquet", trade(MIDNIGHT, id=1), trade(MIDNIGHT + 10, id=5))
    part("b.parquet", trade(MIDNIGHT + 11, id=6), trade(MIDNIGHT + 20, id=9))
    part("c.parquet", trade(MIDNIGHT + 20, id=10), trade(MIDNIGHT + 30, id=12))
    part("d.parquet", trade(MIDNIGHT + 40, id=20))
    entries = LogStore(tmp_path).catalogue().entries
    names = [[e.path.rpartition("/")[2][0] for e in g] for g in module.clusters(entries)]
    assert names == [["a"], ["b", "c"], ["d"]]
    part("e.parquet", trade(MIDNIGHT + 50, id=7))  # a late copy of an id in the middle
    entries = LogStore(tmp_path).catalogue().entries
    names = [[e.path.rpartition("/")[2][0] for e in g] for g in module.clusters(entries)]
    assert names == [["a"], ["b", "c", "d", "e"]]


def test_files_that_do_not_meet_are_not_held_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row group by row group: nothing of a whole file is in memory, let alone of a day."""
    monkeypatch.setattr(files_module, "GROUP_ROWS", 16)
    store = hours(tmp_path, count=4, each=64)
    largest = []
    original = module.regroup

    def watched(parts: Any, size: int) -> Any:
        def seen() -> Any:
            for rows in parts:
                largest.append(rows.n)
                yield rows

        return original(seen(), size)

    monkeypatch.setattr(module, "regroup", watched)
    monkeypatch.setattr(module, "concat", None)  # what would hold files together
    assert [d.rows for d in run(store, kinds=[Kind.TRADE])] == [256]
    assert max(largest) == 16


def test_copies_of_books_are_found_in_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal arrivals lie across row groups; no portion is larger than two of them."""
    monkeypatch.setattr(files_module, "GROUP_ROWS_DEPTH", 8)
    rows = [book(MIDNIGHT + i // 3, [(9, 1)], [(11, i + 1)], id=i + 1) for i in range(200)]
    write_part(tmp_path, Kind.DEPTH, rows, "a.parquet")
    write_part(tmp_path, Kind.DEPTH, rows[50:150], "b.parquet")
    store = LogStore(tmp_path)
    sizes = []
    original = module.survivors

    def watched(rows: Any, file: Any, names: Any) -> Any:
        sizes.append(rows.n)
        return original(rows, file, names)

    monkeypatch.setattr(module, "survivors", watched)
    (done,) = run(store)
    assert (done.rows, done.duplicates) == (200, 100)
    assert [r["id"] for _, r in everything(store)] == list(range(1, 201))
    assert sum(sizes) == 300 and max(sizes) <= 24
