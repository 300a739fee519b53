"""A run is proved by folding again: every kind of tampering is found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import CorruptFileError, DataError
from data.events import Kind, Scales
from data.log import LogStore
from data.runs import find_run
from engine.runtime.verify import Verdict, verify
from strategies.delta_flip import STRATEGY
from tests.engine.runtime.make_run import SYMBOL, VENUE, columns, make_log, make_run
from tests.engine.tapes import market


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("made")
    store = make_log(folder / "log")
    return folder, make_run(store, folder / "log", folder / "runs")


@pytest.fixture
def copy(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    shutil.copytree(made[0], tmp_path / "copy")
    return tmp_path / "copy"


def judge(folder: Path, **options: Any) -> Verdict:
    run = find_run(folder / "runs", "last")
    return verify(LogStore(folder / "log"), run, STRATEGY, **options)


def rewrite(folder: Path, table: str, change: Callable[[dict[str, list[int]]], None]) -> None:
    file = find_run(folder / "runs", "last").folder / f"{table}.parquet"
    old = pq.read_table(file)
    rows = old.to_pydict()
    change(rows)
    pq.write_table(pa.table(rows, schema=old.schema), file)


def set_manifest(folder: Path, **changes: Any) -> None:
    file = find_run(folder / "runs", "last").folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_an_untouched_run_is_proved(copy: Path, made: tuple[Path, dict[str, Any]]) -> None:
    verdict = judge(copy)
    assert verdict.ok
    assert not verdict.notes
    assert verdict.digest == made[1]["digest"]
    assert verdict.decisions == made[1]["counts"]["decisions"] > 50
    assert made[1]["result"]["round_trips"] > 3
    assert judge(copy, chunk_rows=97).ok, "in other pieces"


def test_a_changed_decision(copy: Path) -> None:
    def change(rows: dict[str, list[int]]) -> None:
        rows["delta"][20] += 1

    rewrite(copy, "decisions", change)
    verdict = judge(copy)
    assert not verdict.ok
    first = verdict.differences[0]
    assert (first.table, first.row, first.field, first.decision) == ("decision", 20, "delta", 21)
    assert int(first.recorded) == int(first.computed) + 1
    assert first.time.startswith("2024-08-09T13:")


@pytest.mark.parametrize("which", [0, 3, -1])
def test_a_removed_fill(copy: Path, which: int) -> None:
    def change(rows: dict[str, list[int]]) -> None:
        for values in rows.values():
            del values[which]

    rewrite(copy, "fills", change)
    verdict = judge(copy)
    assert not verdict.ok
    assert verdict.differences[0].table == "fill"


@pytest.mark.parametrize("table", ["fills", "decisions", "positions"])
def test_all_rows_removed(copy: Path, table: str) -> None:
    rewrite(copy, table, lambda rows: [values.clear() for values in rows.values()] and None)
    first = judge(copy).differences[0]
    assert (first.row, first.field, first.recorded) == (0, "(row)", "nothing")


def test_a_row_too_many(copy: Path) -> None:
    def change(rows: dict[str, list[int]]) -> None:
        for values in rows.values():
            values.append(values[-1])

    rewrite(copy, "orders", change)
    (first,) = judge(copy).differences
    assert (first.table, first.recorded, first.computed) == ("order", "a row", "nothing")


def test_a_changed_digest(copy: Path) -> None:
    set_manifest(copy, digest="0" * 64)
    assert not judge(copy).ok
    set_manifest(copy, digest=judge(copy).digest, state_digest="0" * 64)
    verdict = judge(copy)
    assert verdict.digest_ok
    assert not verdict.ok


def test_a_log_that_has_grown_is_named(copy: Path) -> None:
    """More trades within the run's day: other content, other decisions, and the file's name."""
    store = LogStore(copy / "log")
    more = [e for e in market(2, 300) if e["kind"] == Kind.TRADE]
    late = columns(Kind.TRADE, more)
    late["id"] = late["id"] + 10**6
    with store.transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, late, Scales(1, 3))
    verdict = judge(copy)
    assert not verdict.ok
    assert not verdict.log_ok
    assert any("kind=trade" in note for note in verdict.notes)
    assert verdict.differences


def test_a_partition_damaged_on_disk(copy: Path) -> None:
    (file,) = (copy / "log").rglob("kind=trade/**/*.parquet")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"kind=trade"):
        judge(copy)


def test_a_missing_table_and_a_missing_log(copy: Path) -> None:
    run = find_run(copy / "runs", "last")
    (run.folder / "fills.parquet").unlink()
    with pytest.raises(DataError, match="a table of the run is missing"):
        judge(copy)
    shutil.rmtree(copy / "log")
    with pytest.raises(DataError):
        judge(copy)


def test_the_digest_is_that_of_the_tables(copy: Path) -> None:
    """The recorded tables, read back, hash to the recorded digest: nothing was lost on the way."""
    from data.events import RECORDS
    from engine.runtime.records import DIGESTED, Digest, read_rows

    run = find_run(copy / "runs", "last")
    digest = Digest()
    for name in DIGESTED:
        for rows in read_rows(run.file(RECORDS[name].view), RECORDS[name], 64):
            assert rows.dtype.names is not None
            digest.take(name, np.asarray(rows))
    assert digest.hexdigest() == run.manifest["digest"]
