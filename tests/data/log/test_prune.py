"""Retention: what goes by age and by bytes, as it was said, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError, LockedError
from data.events import Kind
from data.log import LogStore
from data.log.prune import FIRST_TO_GO, Item, Limits, lost_runs, plan_pruning, prune
from data.runs import Run
from tests.data.log.parts import write_part
from tests.data.log.support import (
    DAY,
    MIDNIGHT,
    SYMBOL,
    VENUE,
    book,
    files_of,
    leftovers,
    put,
    trade,
)

NOON = MIDNIGHT + DAY // 2


def days(root: Path, count: int = 5) -> LogStore:
    """Trades and books on ``count`` days from 2024-08-09 on, and trades of another symbol."""
    store = LogStore(root, create=True)
    for day in range(count):
        start = MIDNIGHT + day * DAY
        rows = [trade(start + i * 10**9, id=day * 100 + i + 1) for i in range(40)]
        put(store, Kind.TRADE, rows)
        put(store, Kind.TRADE, rows, symbol="XAUT", venue="bybit")
        put(store, Kind.DEPTH, [book(start + i, [(5, i + 1)], [(6, 1)]) for i in range(40)])
    return store


def dates(items: tuple[Item, ...]) -> list[str]:
    return sorted({i.date for i in items})


def test_by_age_only_whole_days_go(tmp_path: Path) -> None:
    store = days(tmp_path)
    # now is 2024-08-13T12:00; two days back is 2024-08-11T12:00: that day has to stay
    plan = plan_pruning(store, Limits(keep_ns=2 * DAY), NOON + 4 * DAY)
    assert dates(plan.items) == ["2024-08-09", "2024-08-10"]
    assert (len(plan.items), plan.files, plan.kept_items) == (6, 6, 9)
    at_midnight = plan_pruning(store, Limits(keep_ns=2 * DAY), MIDNIGHT + 4 * DAY)
    assert dates(at_midnight.items) == ["2024-08-09", "2024-08-10"]
    earlier = plan_pruning(store, Limits(keep_ns=2 * DAY), MIDNIGHT + 4 * DAY - 1)
    assert dates(earlier.items) == ["2024-08-09"]
    before = files_of(store)
    prune(store, plan)
    after = files_of(store)
    assert all("date=2024-08-09" not in p and "date=2024-08-10" not in p for p in after)
    assert after == {p: c for p, c in before.items() if p in after} and len(after) == 9
    assert sorted(e.path for e in store.catalogue().entries) == sorted(after)
    assert not list(tmp_path.rglob("date=2024-08-09"))
    assert leftovers(tmp_path) == []
    assert plan_pruning(store, Limits(keep_ns=2 * DAY), NOON + 4 * DAY).items == ()


def test_age_is_measured_from_now(tmp_path: Path) -> None:
    """A log that stopped growing ages too."""
    store = days(tmp_path, 2)
    plan = plan_pruning(store, Limits(keep_ns=30 * DAY), MIDNIGHT + 400 * DAY)
    assert len(plan.items) == 6 and plan.kept_items == 0
    prune(store, plan)
    assert len(store.catalogue()) == 0
    assert not list(tmp_path.glob("kind=*"))
    assert plan_pruning(store, Limits(keep_ns=10**19), MIDNIGHT).items == ()


def test_by_bytes_the_oldest_days_go_first(tmp_path: Path) -> None:
    store = days(tmp_path)
    entries = store.catalogue().entries
    total = sum(e.bytes for e in entries)
    newest = [e for e in entries if e.date >= "2024-08-12"]
    limit = sum(e.bytes for e in newest)
    plan = plan_pruning(store, Limits(max_bytes=limit), NOON)
    assert dates(plan.items) == ["2024-08-09", "2024-08-10", "2024-08-11"]
    assert plan.kept_bytes == limit and plan.bytes == total - limit
    # one byte less: of the next day, the books are given up, the trades stay
    tighter = plan_pruning(store, Limits(max_bytes=limit - 1), NOON)
    (more,) = set(tighter.items) - set(plan.items)
    assert (more.date, more.kind) == ("2024-08-12", "depth")
    assert plan_pruning(store, Limits(max_bytes=total), NOON).items == ()
    assert len(plan_pruning(store, Limits(max_bytes=0), NOON).items) == 15


def test_by_bytes_kind_after_kind(tmp_path: Path) -> None:
    store = days(tmp_path)
    entries = store.catalogue().entries
    depth = sum(e.bytes for e in entries if e.kind == Kind.DEPTH)
    total = sum(e.bytes for e in entries)
    plan = plan_pruning(store, Limits(max_bytes=total - depth, order="kind"), NOON)
    assert {i.kind for i in plan.items} == {"depth"} and len(plan.items) == 5
    plan = plan_pruning(store, Limits(max_bytes=total - depth - 1, order="kind"), NOON)
    assert [(i.date, i.kind) for i in plan.items if i.kind != "depth"] == [("2024-08-09", "trade")]
    assert sorted(FIRST_TO_GO) == sorted(Kind)
    with pytest.raises(ValueError, match="order"):
        plan_pruning(store, Limits(max_bytes=0, order="size"), NOON)


def test_both_limits_hold(tmp_path: Path) -> None:
    store = days(tmp_path)
    size = sum(e.bytes for e in store.catalogue().entries if e.date == "2024-08-13")
    plan = plan_pruning(store, Limits(keep_ns=2 * DAY, max_bytes=size), NOON + 4 * DAY)
    assert dates(plan.items) == ["2024-08-09", "2024-08-10", "2024-08-11", "2024-08-12"]


def test_only_the_chosen_series(tmp_path: Path) -> None:
    store = days(tmp_path)
    now, limits = MIDNIGHT + 400 * DAY, Limits(keep_ns=DAY)
    chosen: list[tuple[dict[str, Any], int]] = [
        ({"venue": "bybit"}, 5), ({"symbol": SYMBOL}, 10), ({"kinds": [Kind.DEPTH]}, 5),
        ({"venue": VENUE, "kinds": [Kind.TRADE]}, 5), ({"symbol": "NONE"}, 0), ({}, 15),
    ]  # fmt: skip
    for wanted, count in chosen:
        assert len(plan_pruning(store, limits, now, **wanted).items) == count, wanted
    # bytes of the chosen series only
    size = sum(e.bytes for e in store.catalogue().entries if e.kind == Kind.DEPTH)
    assert not plan_pruning(store, Limits(max_bytes=size), now, kinds=[Kind.DEPTH]).items


def test_every_file_of_a_partition_goes(tmp_path: Path) -> None:
    store = days(tmp_path, 1)
    write_part(tmp_path, Kind.TRADE, [trade(MIDNIGHT + 5, id=999)], "hour-01.parquet")
    broken = next(tmp_path.glob("kind=depth/**/*.parquet"))
    broken.write_bytes(b"PAR1")
    odd = broken.with_name("odd.parquet")
    odd.write_bytes(b"no parquet at all")
    plan = plan_pruning(store, Limits(keep_ns=DAY), MIDNIGHT + 9 * DAY)
    assert plan.files == 5 and plan.kept_items == 0
    prune(store, plan)
    assert not list(tmp_path.glob("kind=*"))


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    store = days(tmp_path, 1)
    note = next(tmp_path.glob("kind=depth/**/data.parquet")).with_name("note.txt")
    note.write_text("mine", encoding="utf-8")
    (tmp_path / "replay.json").write_text("{}", encoding="utf-8")
    prune(store, plan_pruning(store, Limits(keep_ns=DAY), MIDNIGHT + 9 * DAY))
    assert note.is_file() and (tmp_path / "replay.json").is_file()
    assert not list(tmp_path.glob("kind=trade"))


def test_rejects_go_by_the_day_on_which_they_were_written(tmp_path: Path) -> None:
    store = days(tmp_path, 1)
    with store.transaction() as tx:
        tx.attach("old.jsonl", b"x" * 100)
        tx.attach("new.jsonl", b"y" * 100)
    for name, day in (("old", 0), ("new", 300)):
        seconds = (MIDNIGHT + day * DAY) // 10**9 + 100
        os.utime(tmp_path / "rejects" / f"{name}.jsonl", (seconds, seconds))
    now = MIDNIGHT + 301 * DAY
    plan = plan_pruning(store, Limits(keep_ns=30 * DAY), now)
    assert [i.files[0][0] for i in plan.items if i.place is None] == ["rejects/old.jsonl"]
    assert plan.bytes == 100 + sum(e.bytes for e in store.catalogue().entries)
    # they cannot be told to belong to one series
    assert all(i.place for i in plan_pruning(store, Limits(keep_ns=DAY), now, venue=VENUE).items)
    prune(store, plan)
    assert [p.name for p in (tmp_path / "rejects").iterdir()] == ["new.jsonl"]


@pytest.mark.parametrize("change", ["more rows", "a new file"])
def test_a_log_that_changed_since_the_plan(tmp_path: Path, change: str) -> None:
    store = days(tmp_path, 2)
    plan = plan_pruning(store, Limits(keep_ns=DAY), MIDNIGHT + 9 * DAY)
    if change == "more rows":
        put(store, Kind.TRADE, [trade(MIDNIGHT + 7, id=5_000)])
    else:
        write_part(tmp_path, Kind.TRADE, [trade(MIDNIGHT + 7, id=5_000)], "hour-00.parquet")
    before = files_of(store)
    with pytest.raises(DataError, match="changed since the plan"):
        prune(store, plan)
    assert files_of(store) == before and leftovers(tmp_path) == []


def test_a_writer_is_named(tmp_path: Path) -> None:
    store = days(tmp_path, 1)
    plan = plan_pruning(store, Limits(keep_ns=DAY), MIDNIGHT + 9 * DAY)
    with LogStore(tmp_path).transaction(), pytest.raises(LockedError, match="pid"):
        prune(store, plan)


def test_runs_that_lose_their_log_are_found(tmp_path: Path) -> None:
    store = days(tmp_path / "log", 2)
    entries = [{"path": e.path, "sha256": e.sha256} for e in store.catalogue().entries]

    def over(name: str, path: Path | str, entries: Any) -> Run:
        return Run(name, tmp_path, {"log": {"path": str(path), "entries": entries}})

    first = [e for e in entries if "date=2024-08-09" in e["path"] and "bybit" not in e["path"]]
    second = [e for e in entries if "date=2024-08-10" in e["path"]]
    # before a compaction the same partition lay in other files
    hours = [{"path": first[0]["path"].replace("data.", "hour-00."), "sha256": "0" * 64}]
    runs = [
        over("both", tmp_path / "log", entries), over("one", tmp_path / "log", first),
        over("other day", tmp_path / "log", second), over("hours", tmp_path / "log", hours),
        over("elsewhere", tmp_path / "copy", first), over("remote", "s3://bucket/log", first),
        over("odd", tmp_path / "log", [1, {}, {"path": 5}, {"path": "x"}]),
        over("odder", tmp_path / "log", None), Run("bare", tmp_path, {}),
    ]  # fmt: skip
    plan = plan_pruning(store, Limits(keep_ns=DAY), NOON + 2 * DAY)
    assert dates(plan.items) == ["2024-08-09"]
    lost = lost_runs(runs, tmp_path / "log", plan)
    assert [r.id for r in lost] == ["both", "one", "hours"]
    assert lost_runs(runs, None, plan) == []
