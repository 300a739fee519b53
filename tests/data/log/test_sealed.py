"""Shared files: damage is named, checks and questions see them, retention takes them, kill -9."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import CorruptFileError, OfsError
from data.events import Kind, Scales
from data.live.blocks import Series
from data.log import LogReader, LogStore
from data.log.checks import Wanted, check_log
from data.log.compact import compact, explained, plan_compaction
from data.log.prune import Limits, plan_pruning, prune
from data.log.quick import quick_check
from data.log.seal import seal, sealed_upto
from data.query import Database
from tests.data.log.killing import ACTIONS, POINTS
from tests.data.log.sealing import SERIES, groups_of, of_symbol, read, sealed, session
from tests.data.log.support import DAY, MIDNIGHT, VENUE, leftovers, put, trade
from tests.data.log.test_killed import die

SYMBOLS = [s.symbol for s in SERIES]
TRADES = "sealed/kind=trade/venue=binance-um/date=2024-08-09/s1-101-200.parquet"


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    made = LogStore(tmp_path / "log", create=True)
    sealed(made, session())
    return made


def root_of(store: LogStore) -> Path:
    assert store.storage.local is not None
    return store.storage.local


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def ask(store: LogStore, sql: str) -> list[dict[str, object]]:
    with Database(LogStore(root_of(store)), root_of(store) / "runs") as database:
        return [row for batch in database.ask(sql) for row in batch.to_pylist()]


def test_a_flipped_byte_is_found_or_is_none_of_the_symbols(store: LogStore) -> None:
    events = session()
    path = root_of(store) / TRADES
    content = path.read_bytes()
    named: dict[str, int] = dict.fromkeys(SYMBOLS, 0)
    rng = random.Random(5)
    places = [*rng.sample(range(4, len(content)), 25), len(content) - 6]
    for at in places:
        path.write_bytes(flip(content, at))
        for symbol in SYMBOLS:
            try:
                rows = read(LogStore(root_of(store)), symbol)
            except CorruptFileError as error:
                assert TRADES in str(error)
                named[symbol] += 1
            else:
                assert rows == of_symbol(events, symbol)
    assert all(0 < count < len(places) for count in named.values())  # the footer is everybody's


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("how", ["truncate", "empty"])
def test_a_cut_file_is_named_and_the_rest_is_readable(
    store: LogStore, how: str, known: bool
) -> None:
    path = root_of(store) / TRADES
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if how == "truncate" else b"")
    if not known:
        (root_of(store) / "catalogue.parquet").unlink()
    for symbol in SYMBOLS:
        with pytest.raises(CorruptFileError, match="s1-101-200"):
            read(LogStore(root_of(store)), symbol)
        reader = LogReader(store, VENUE, symbol, {Kind.DEPTH: ("ts_ns",)})
        assert sum(batch.rows for batch in reader)
    with pytest.raises(CorruptFileError):
        put(store, Kind.TRADE, [trade(MIDNIGHT + 1, id=5_000)])
    plan = plan_compaction(store.catalogue(), kinds=[Kind.TRADE])
    assert not plan.tasks
    assert [b.path for b in plan.broken] == [TRADES]
    found = [f for f in check_log(store) if f.check == "corrupt_file"]
    assert [f.path for f in found] == [TRADES]
    assert TRADES in dict(quick_check(store).faults)
    with pytest.raises(OfsError, match="s1-101-200"):
        ask(store, "SELECT count(*), max(price) FROM trades")
    assert ask(store, "SELECT count(*) AS n FROM depth")[0]["n"]


def test_checks_look_at_every_share(store: LogStore) -> None:
    assert not list(check_log(store, Wanted(checks=("corrupt_file", "out_of_order"))))
    gaps = list(check_log(store, Wanted(symbol="ETHUSDT", checks=("recorded_gap",))))
    assert len(gaps) == sum(kind == Kind.GAP for kind, _ in of_symbol(session(), "ETHUSDT"))
    found = quick_check(store)
    assert (found.faults, found.gone) == ([], [])
    assert found.hashed == found.files == len(store.catalogue())


def test_questions_scale_each_symbol_and_leave_out_what_was_taken(store: LogStore) -> None:
    sql = "SELECT symbol, count(*) AS n, max(price) AS most, sum(qty) AS q FROM trades GROUP BY ALL"
    wanted = []
    for series in SERIES:
        rows = [row for kind, row in of_symbol(session(), series.symbol) if kind == Kind.TRADE]
        most = max(row["price"] for row in rows) / 10**series.scales.price
        q = pytest.approx(sum(row["qty"] for row in rows) / 10**series.scales.qty)
        wanted.append({"symbol": series.symbol, "n": len(rows), "most": most, "q": q})
    assert ask(store, sql + " ORDER BY symbol") == wanted
    list(compact(store, plan_compaction(store.catalogue(), symbol="ETHUSDT")))
    assert ask(store, sql + " ORDER BY symbol") == wanted
    one = ask(store, "SELECT count(*) AS n FROM trades WHERE symbol = 'ETHUSDT'")
    assert one == [{"n": wanted[1]["n"]}]
    assert {str(row["date"]) for row in ask(store, "SELECT date FROM trades")} == {"2024-08-09"}


def test_a_symbol_may_change_its_scales_between_sessions(store: LogStore) -> None:
    other = [Series(VENUE, s.symbol, Scales(s.scales.price + 1, s.scales.qty)) for s in SERIES]
    events = session(100, start=MIDNIGHT + 5_000 * 10**9)
    seal(store, "s2", other, groups_of(events), 100)
    reader = LogReader(store, VENUE, "BTCUSDT", {Kind.TRADE: ("price", "seq")})
    assert reader.scales == other[0].scales
    low = ask(store, "SELECT min(price) AS p FROM trades WHERE symbol = 'BTCUSDT'")[0]["p"]
    assert low == pytest.approx(0.1)
    count = ask(store, "SELECT count(*) AS n FROM trades")[0]["n"]
    assert count == sum(e.rows for e in store.catalogue().select([Kind.TRADE]))


def test_a_compaction_explains_itself(store: LogStore) -> None:
    """What verify asks: are the files of a run still there, or compacted?"""
    before = {e.path: e.sha256 for e in store.catalogue().select(symbol="XRPUSDT")}
    list(compact(store, plan_compaction(store.catalogue(), symbol="XRPUSDT")))
    now = {e.path: e.sha256 for e in store.catalogue().select(symbol="XRPUSDT")}
    assert explained(store.storage, before, now) is True
    assert explained(store.storage, before, before) is None
    other = dict.fromkeys(before, "0" * 64)
    assert explained(store.storage, other, now) is False


def test_retention_takes_whole_days(store: LogStore) -> None:
    events = session(100, start=MIDNIGHT + DAY, first=301)
    seal(store, "s1", SERIES, groups_of(events), 400)
    prune(store, plan_pruning(store, Limits(keep_ns=DAY), now_ns=MIDNIGHT + 2 * DAY))
    assert read(store, "ETHUSDT") == of_symbol(events, "ETHUSDT")
    assert not list(root_of(store).rglob("*date=2024-08-09*"))
    assert sealed_upto(store, "s1") == 400


def test_retention_of_one_symbol_leaves_the_others(store: LogStore) -> None:
    prune(store, plan_pruning(store, Limits(keep_ns=1), MIDNIGHT + 9 * DAY, symbol="BTCUSDT"))
    (root_of(store) / "catalogue.parquet").unlink()
    assert {s.symbol for s in store.series()} == {"ETHUSDT", "XRPUSDT"}
    assert read(store, "ETHUSDT") == of_symbol(session(), "ETHUSDT")
    prune(store, plan_pruning(store, Limits(keep_ns=1), MIDNIGHT + 9 * DAY))
    assert not list(root_of(store).rglob("sealed/kind=*"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("action", ["compact", "prune", "seal"])
def test_kill_at_every_step(tmp_path: Path, action: str) -> None:
    """A commit of shared files: before or after, with and without the catalogue."""
    base = LogStore(tmp_path / "base", create=True)
    start = MIDNIGHT - (15 * 10**9 if action == "prune" else 0)
    sealed(base, session(30, start=start), every=10)
    wanted: dict[str, Callable[[list[int]], bool]] = {
        "compact": lambda seqs: seqs == list(range(1, 31)),
        "prune": lambda seqs: seqs in (list(range(1, 31)), list(range(16, 31))),
        "seal": lambda seqs: seqs in (list(range(1, 31)), list(range(1, 61))),
    }
    found = die(tmp_path, action)
    assert list(found.values()).count("killed") >= 7
    for number in range(len(POINTS)):
        store = LogStore(tmp_path / str(number))
        store.catalogue()
        for _ in range(2):
            seqs = [row["seq"] for s in SYMBOLS for _, row in _rows(store, s)]
            assert wanted[action](sorted(seqs)), (action, number)
            (root_of(store) / "catalogue.parquet").unlink(missing_ok=True)
        if action == "seal":
            assert sealed_upto(store, "s1") == len(seqs)
        ACTIONS[action](root_of(store))
        with store.transaction():
            pass
        assert leftovers(root_of(store)) == []


def _rows(store: LogStore, symbol: str) -> list[tuple[Kind, dict[str, int]]]:
    return read(store, symbol) if store.catalogue().select(symbol=symbol) else []
