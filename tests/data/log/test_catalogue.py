"""The catalogue: it knows without opening, and learns only what it does not know."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.events import Kind, Scales
from data.log import LogStore
from data.log import catalogue as catalogues
from data.log.coverage import Coverage
from data.log.entry import Entry
from tests.data.log.support import DAY, MIDNIGHT, SCALES, book, put, trade


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    made = LogStore(tmp_path, create=True)
    for day in range(3):
        start = MIDNIGHT + day * DAY
        ids = [1, 2, 5, 6, 9]
        put(made, Kind.TRADE, [trade(start + k, id=day * 100 + k) for k in ids])
        put(made, Kind.DEPTH, [book(start + k, [(5, 1)], [(6, 1)], id=k) for k in ids])
    put(made, Kind.TRADE, [trade(MIDNIGHT, id=7)], Scales(0, 0), "bybit", "ETHUSD")
    return made


def test_nothing_is_opened_that_is_known(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = store.storage.open_input
    monkeypatch.setattr(store.storage, "open_input", lambda p: opened.append(p) or original(p))
    assert len(store.catalogue()) == 7
    assert opened == ["catalogue.parquet"]


def test_a_catalogue_made_from_the_files_is_the_one_made_by_writing(store: LogStore) -> None:
    assert store.storage.local is not None
    expected = store.catalogue().entries
    path = store.storage.local / "catalogue.parquet"
    content = path.read_bytes()
    path.unlink()
    assert store.catalogue().entries == expected
    assert path.read_bytes() == content  # it was kept for the next one
    assert not (store.storage.local / "_staging").exists()


def test_a_file_put_there_by_somebody_else_is_learned(store: LogStore, tmp_path: Path) -> None:
    assert store.storage.local is not None
    other = LogStore(tmp_path / "other", create=True)
    put(other, Kind.TRADE, [trade(MIDNIGHT + 9 * DAY, id=77)])
    (entry,) = other.catalogue().entries
    target = store.storage.local / entry.path
    target.parent.mkdir(parents=True)
    target.write_bytes((tmp_path / "other" / entry.path).read_bytes())
    # hidden and foreign files are passed over
    (target.parent / ".x.parquet").write_bytes(b"")
    (target.parent / "notes.txt").write_text("hello", encoding="utf-8")
    assert entry in store.catalogue().entries
    assert store.catalogue().broken == []


def test_selecting_by_everything(store: LogStore) -> None:
    found = store.catalogue()

    def dates(**how: object) -> list[str]:
        return [e.date[-2:] for e in found.select(**how)]  # type: ignore[arg-type]

    assert len(found.select()) == 7
    assert dates(kinds=[Kind.DEPTH]) == ["09", "10", "11"]
    assert dates(symbol="ETHUSD") == dates(venue="bybit") == ["09"]
    assert dates(venue="nowhere") == []
    trades = {"kinds": [Kind.TRADE], "venue": "binance-um"}
    assert dates(**trades, from_ns=MIDNIGHT + 9) == ["09", "10", "11"]
    assert dates(**trades, from_ns=MIDNIGHT + 10) == ["10", "11"]
    assert dates(**trades, to_ns=MIDNIGHT + DAY + 1) == ["09"]
    assert dates(**trades, to_ns=MIDNIGHT + DAY + 2) == ["09", "10"]


def test_the_summary_of_each_series(store: LogStore) -> None:
    found = store.series()
    names = [(s.venue, s.symbol, s.kind) for s in found]
    assert names == [
        ("binance-um", "BTCUSDT", Kind.TRADE),
        ("binance-um", "BTCUSDT", Kind.DEPTH),
        ("bybit", "ETHUSD", Kind.TRADE),
    ]
    trades = found[0]
    assert (trades.rows, trades.files, trades.gaps) == (15, 3, 6)
    assert (trades.min_ts_ns, trades.max_ts_ns) == (MIDNIGHT + 1, MIDNIGHT + 2 * DAY + 9)
    assert trades.bytes == sum(e.bytes for e in store.catalogue().entries[4 - 1 : 6])


def test_a_read_only_log_can_be_listed(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.storage.local is not None
    (store.storage.local / "catalogue.parquet").unlink()

    def refuse(path: str, content: bytes) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(store.storage, "write_bytes", refuse)
    assert len(store.catalogue()) == 7


def test_a_hundred_thousand_files_are_a_matter_of_seconds(store: LogStore) -> None:
    one = store.catalogue().entries[0]
    many: list[Entry] = [
        replace(one, symbol=f"S{k % 300}", path=f"{one.path}/{k:06d}", min_ts_ns=k, max_ts_ns=k)
        for k in range(100_000)
    ]
    started = time.process_time()
    large = catalogues.empty().replaced(many)
    content = catalogues.to_bytes(large)
    store.storage.write_bytes(catalogues.CATALOGUE, content)
    loaded = catalogues.load(store.storage)
    assert loaded is not None
    assert len(loaded.series()) == 300
    assert len(loaded.select(symbol="S7", from_ns=50_000)) == 167
    assert time.process_time() - started < 20  # quadratic work would take minutes


def test_listing_a_log_imports_nothing_heavy(store: LogStore) -> None:
    script = (
        "import sys; from data.log import LogStore; "
        f"print(len(LogStore({str(store.storage.local)!r}).series()));"
        "print([m for m in ('numba', 'pandas', 'duckdb', 'pyarrow.dataset') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    out = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert out.stdout.split("\n")[:2] == ["3", "[]"]


@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=6))
def test_coverage_is_exact_in_any_order(parts: list[list[int]]) -> None:
    coverage = Coverage()
    for number, part in enumerate(parts):
        seen = {i for p in parts[:number] for i in p if i}
        values = np.array(part, np.int64)
        assert coverage.contains(values).tolist() == [i in seen for i in part]
        coverage.add(values, values * 10)
    there = sorted({i for part in parts for i in part if i})
    expected = [(a, b, 10 * a, 10 * b) for a, b in pairwise(there) if b > a + 1]
    holes = [(h.from_id, h.to_id, h.from_ns, h.to_ns) for h in coverage.holes()]
    assert holes == expected
    assert coverage.count == len(expected)
    assert (coverage.first_id, coverage.last_id) == ((there[0], there[-1]) if there else (0, 0))


def test_entries_survive_the_file(store: LogStore) -> None:
    found = store.catalogue()
    store.storage.write_bytes("copy.parquet", catalogues.to_bytes(found))
    assert found.entries[0].scales == SCALES
    loaded = catalogues.load(store.storage)
    assert loaded is not None
    assert loaded.entries == found.entries
