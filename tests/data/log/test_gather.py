"""Gathering: many small shared files become one, and nobody who reads notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import CorruptFileError
from data.live.keep import DiskLimits, Keeper
from data.log import LogStore
from data.log import gather as module
from data.log.compact import compact, explained, plan_compaction
from data.log.gather import gather, plan_gathering
from data.log.seal import seal, sealed_upto
from tests.data.log.sealing import SERIES, groups_of, of_symbol, read, sealed, session
from tests.data.log.support import MIDNIGHT, dying_at_move, leftovers

SYMBOLS = [s.symbol for s in SERIES]
COUNT = 300


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    made = LogStore(tmp_path / "log", create=True)
    sealed(made, session(COUNT), every=25)
    return made


def root_of(store: LogStore) -> Path:
    assert store.storage.local is not None
    return store.storage.local


def shared(store: LogStore) -> list[str]:
    return sorted(p.name for p in root_of(store).glob("sealed/kind=*/**/*.parquet"))


def gather_all(store: LogStore) -> int:
    return sum(gather(store, plan) for plan in plan_gathering(store.catalogue()))


def unchanged(store: LogStore) -> None:
    """Every symbol reads as it was admitted, also when the log is learned anew."""
    for _ in range(2):
        for symbol in SYMBOLS:
            assert read(store, symbol) == of_symbol(session(COUNT), symbol)
        (root_of(store) / "catalogue.parquet").unlink()


def test_small_files_become_one_a_kind(store: LogStore) -> None:
    kinds = {kind for kind, _, _ in session(COUNT)}
    before = {e.path: e.sha256 for e in store.catalogue().select(symbol="ETHUSDT")}
    assert len(shared(store)) == 12 * len(kinds)
    assert gather_all(store) == len(kinds)
    assert shared(store) == ["s1-1-300.parquet"] * len(kinds)
    unchanged(store)
    assert plan_gathering(store.catalogue()) == []
    now = {e.path: e.sha256 for e in store.catalogue().select(symbol="ETHUSDT")}
    assert explained(store.storage, before, now) is True
    list(compact(store, plan_compaction(store.catalogue())))
    last = {e.path: e.sha256 for e in store.catalogue().select(symbol="ETHUSDT")}
    assert explained(store.storage, before, last) is True
    assert explained(store.storage, now, last) is True
    assert sealed_upto(store, "s1") == COUNT
    assert not leftovers(root_of(store))


def test_what_was_taken_out_stays_out(store: LogStore) -> None:
    list(compact(store, plan_compaction(store.catalogue(), symbol="BTCUSDT")))
    assert gather_all(store)
    unchanged(store)
    assert not list(root_of(store).rglob("taken.json"))
    assert {e.symbol for e in store.catalogue().entries if e.share} == {"ETHUSDT", "XRPUSDT"}


def test_a_later_file_joins_and_other_sessions_do_not(store: LogStore) -> None:
    other = session(40, start=MIDNIGHT + 1_000 * 10**9, seed=2)
    sealed(store, other, name="another-session", every=10)
    assert {p.path.rpartition("/")[2] for p in plan_gathering(store.catalogue())} == {
        "s1-1-300.parquet"
    }
    gather_all(store)
    sealed(store, [*session(COUNT), *session(80, MIDNIGHT + 2_000 * 10**9, first=301)], every=10)
    gather_all(store)
    assert {n for n in shared(store) if n.startswith("s1-1-")} == {"s1-1-380.parquet"}
    assert sum(e.rows for e in store.catalogue().entries) == COUNT + 40 + 80


def test_large_files_are_left_as_they_are(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL_BYTES", 1)
    assert plan_gathering(store.catalogue()) == []
    monkeypatch.setattr(module, "SMALL_BYTES", 1 << 20)
    monkeypatch.setattr(module, "MOST_BYTES", max(e.file_bytes for e in store.catalogue().entries))
    assert plan_gathering(store.catalogue(), fewest=8) == []


def test_damage_stops_it_and_changes_nothing(store: LogStore) -> None:
    path = next(root_of(store).glob("sealed/kind=trade/**/s1-101-*.parquet"))
    content = path.read_bytes()
    path.write_bytes(content[:80] + bytes([content[80] ^ 1]) + content[81:])
    names = shared(store)
    plans = plan_gathering(store.catalogue())
    with pytest.raises(CorruptFileError, match="s1-101-"):
        for plan in plans:
            if "kind=trade" in plan.path:
                gather(store, plan)
    assert shared(store) == names
    keeper = Keeper(store, DiskLimits(0), lambda: 1 << 40)
    for _ in range(2):
        keeper.work(MIDNIGHT + 3_600 * 10**9)
    assert (keeper.facts.gathered, keeper.facts.failures) == (len(plans) - 1, 1)
    assert "kind=trade" in keeper.facts.left[0]


def test_a_busy_log_is_left_for_later(store: LogStore) -> None:
    keeper = Keeper(store, DiskLimits(0), lambda: 1 << 40)
    with store.transaction():
        keeper.work(MIDNIGHT + 3_600 * 10**9)
    assert (keeper.facts.busy, keeper.facts.failures, keeper.facts.left) == (1, 0, [])
    keeper.work(MIDNIGHT + 3_600 * 10**9)
    assert keeper.facts.gathered > 0


def test_a_plan_that_is_out_of_date_does_nothing(store: LogStore) -> None:
    plans = plan_gathering(store.catalogue())
    list(compact(store, plan_compaction(store.catalogue())))
    assert not any(gather(store, plan) for plan in plans)
    unchanged(store)


def test_a_death_on_the_way_is_before_or_after(store: LogStore) -> None:
    for die_at in (1, 2, 3):  # the note of the commit, the file, the catalogue
        (plan, *_) = plan_gathering(store.catalogue())
        with pytest.raises(KeyboardInterrupt), dying_at_move(store, die_at):
            gather(store, plan)
        unchanged(store)


def test_a_day_of_many_sealings_stays_small(tmp_path: Path) -> None:
    """A session that seals every few events: its files do not grow with their number."""
    store = LogStore(tmp_path / "log", create=True)
    keeper = Keeper(store, DiskLimits(0), lambda: 1 << 40)
    events = session(400)
    groups = groups_of(events, 5)
    most = 0
    for upto in range(10, 401, 10):
        seal(store, "s1", SERIES, groups, upto)
        keeper.work(MIDNIGHT + 3_600 * 10**9)
        most = max(most, len(shared(store)))
    assert most <= 4 * module.FEWEST
    assert read(store, "ETHUSDT") == of_symbol(events, "ETHUSDT")
