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
from data.log.compact import compact, plan_compaction
from data.runs import find_run
from engine.runtime.verify import Verdict, verify
from strategies.delta_flip import STRATEGY
from tests.data.log.parts import split_files
from tests.engine.runtime.make_run import SYMBOL, VENUE, columns, make_log, make_run
from tests.engine.tapes import START, market

MIDDLE_NS = START + 90 * 10**9


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
    file.write_text(
        json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8"
    )


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


def test_a_changed_equity_row(copy: Path) -> None:
    def change(rows: dict[str, list[int]]) -> None:
        rows["equity"][3] += 1

    rewrite(copy, "equity", change)
    verdict = judge(copy)
    assert not verdict.ok and verdict.digest_ok and verdict.state_ok
    (first,) = verdict.differences
    assert (first.table, first.row, first.field) == ("equity", 3, "equity")


@pytest.mark.parametrize("name", ["net_pnl", "gross_pnl", "fees", "max_drawdown", "round_trips"])
def test_a_changed_result(copy: Path, name: str) -> None:
    result = find_run(copy / "runs", "last").manifest["result"]
    set_manifest(copy, result={**result, name: result[name] + 1})
    verdict = judge(copy)
    assert not verdict.ok and not verdict.differences
    (figure,) = verdict.figures
    assert figure.name == f"result.{name}" and figure.recorded == figure.computed + 1


def test_a_result_left_out_and_a_changed_count(copy: Path) -> None:
    set_manifest(copy, result={})
    assert {f.name for f in judge(copy).figures} >= {"result.net_pnl", "result.wins"}
    counts = find_run(copy / "runs", "last").manifest["counts"]
    result = {f.name.partition(".")[2]: f.computed for f in judge(copy).figures}
    set_manifest(copy, result=result, counts={**counts, "trades": 1})
    assert [f.name for f in judge(copy).figures] == ["counts.trades"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "2020-01-01T00:00:00.000Z"), ("to", 5), ("price_scale", 4), ("qty_scale", "x"),
        ("currency", "EUR"), ("gates", ["luck"]), ("detectors", None),
    ],
)  # fmt: skip
def test_a_fact_that_is_another_one(copy: Path, name: str, value: Any) -> None:
    """What a report or a query shows of a run comes from here: it is part of what is proved."""
    set_manifest(copy, **{name: value})
    verdict = judge(copy)
    assert not verdict.ok
    assert [(f.name, f.recorded) for f in verdict.figures] == [(name, value)]


def test_statistics_that_the_records_do_not_give(copy: Path) -> None:
    def change(rows: dict[str, list[Any]]) -> None:
        rows["value"][rows["name"].index("cost_fees")] = 0.0
        rows["high"][rows["name"].index("win_rate")] = 0.9999
        rows["value"][rows["name"].index("trials")] = 5.0  # leans on other runs: not proved

    said = find_run(copy / "runs", "last").manifest["statistics"]
    set_manifest(copy, statistics={**said, "expectancy": 1_000.0, "dsr": 1.0})
    assert [f.name for f in judge(copy).figures] == ["statistics.expectancy (manifest)"]
    rewrite(copy, "statistics", change)
    verdict = judge(copy)
    assert not verdict.ok
    assert {f.name for f in verdict.figures} == {
        "statistics.cost_fees", "statistics.win_rate.high", "statistics.expectancy (manifest)",
    }  # fmt: skip


def test_compaction_changes_no_digest_and_is_told(tmp_path: Path) -> None:
    make_log(tmp_path / "log", seconds=200)
    split_files(tmp_path / "log")
    store = LogStore(tmp_path / "log")
    before = make_run(store, tmp_path / "log", tmp_path / "runs")
    part = make_run(store, tmp_path / "log", tmp_path / "runs", from_ns=MIDDLE_NS)
    done = list(compact(store, plan_compaction(store.catalogue())))
    assert sum(len(d.task.files) == 4 for d in done) > 1 and not any(d.error for d in done)
    for recorded in (before, part):
        run = find_run(tmp_path / "runs", recorded["run"])
        verdict = verify(LogStore(tmp_path / "log"), run, STRATEGY)
        assert verdict.ok, verdict
        assert ["compacted" in note for note in verdict.notes] == [True]
    after = make_run(store, tmp_path / "log", tmp_path / "runs")
    assert after["digest"] == before["digest"] and after["state_digest"] == before["state_digest"]
    assert after["log"]["content_hash"] != before["log"]["content_hash"]
    assert before["counts"]["decisions"] > 20


def test_rows_that_came_before_a_compaction_are_no_compaction(tmp_path: Path) -> None:
    """The files of the run are all in the new one, and so are trades that it never saw."""
    make_log(tmp_path / "log", seconds=100)
    split_files(tmp_path / "log")
    store = LogStore(tmp_path / "log")
    late = next((tmp_path / "log").glob("kind=trade/**/hour-03.parquet"))
    late.rename(tmp_path / "late")
    make_run(store, tmp_path / "log", tmp_path / "runs")
    (tmp_path / "late").rename(late)
    list(compact(store, plan_compaction(store.catalogue())))
    verdict = judge(tmp_path)
    assert not verdict.ok
    assert "counts.trades" in [f.name for f in verdict.figures]


def test_records_of_another_version_are_told(copy: Path) -> None:
    set_manifest(copy, schema=1)
    assert any("version 1" in note for note in judge(copy).notes)
