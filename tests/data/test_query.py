"""Questions in SQL over runs: columns and scales, what may be asked, and what is left unread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data.errors import CorruptFileError, UsageError
from data.events import EVENTS, RECORDS, Scales, duckdb_columns
from data.query import LOG_KINDS, Database
from data.query_examples import EXAMPLES
from data.telemetry import COLUMNS, MONITOR, SESSIONS, add_rows
from tests.data.make_runs import T, make_run

FILL = {"ts_ns": T + 5, "id": 1, "order_id": 7, "side": 1, "price": 279501, "qty": 1500, "fee": 125}


def answer(database: Database, sql: str) -> list[dict[str, Any]]:
    return [row for batch in database.ask(sql) for row in batch.to_pylist()]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    order = {"ts_ns": T, "id": 7, "decision_id": 3, "side": 1, "type": 0}
    decision = {"ts_ns": T, "id": 3, "action": 1, "price": 279500}
    make_run(folder, "one", {"fill": [FILL], "order": [order], "decision": [decision]})
    make_run(
        folder,
        "two",
        {"fill": [{**FILL, "side": -1, "price": 2500, "qty": 7}]},
        price_scale=3,
        qty_scale=0,
        strategy="other",
    )
    return folder


@pytest.fixture
def database(runs: Path) -> Iterator[Database]:
    with Database(None, runs) as opened:
        yield opened


def test_every_view_is_there_before_any_file(tmp_path: Path) -> None:
    with Database(None, tmp_path / "missing") as database:
        views = {view.name: view for view in database.views()}
        for name in views:
            assert answer(database, f"SELECT * FROM {name}") == []
    wanted = {EVENTS[kind].view: EVENTS[kind] for kind in LOG_KINDS}
    wanted |= {table.view: table for table in RECORDS.values()}
    assert set(views) == {*wanted, "runs", "statistics", "monitor"}
    for name, view in views.items():
        types = {column.name: column.type for column in view.columns}
        assert types["time"] == "TIMESTAMP_NS" and next(iter(types)) == "time"
        if name != "monitor":  # it is about a process, not about a market
            assert types["venue"] == types["symbol"] == "VARCHAR"
        assert all(column.doc for column in view.columns), name
        if name in wanted:
            shown = [column for column, _ in duckdb_columns(wanted[name], Scales(0, 0))]
            assert [n for n in types if n in shown] == shown


def test_columns_have_the_same_types_with_and_without_files(
    database: Database, tmp_path: Path
) -> None:
    with Database(None, tmp_path / "missing") as empty:
        assert database.views() == empty.views()


def test_prices_of_different_scales_stand_in_one_view(database: Database) -> None:
    rows = answer(database, "SELECT run, strategy, symbol, side, price, qty, fee FROM fills")
    assert sorted(rows, key=lambda row: row["run"]) == [
        {"run": "one", "strategy": "delta_flip", "symbol": "BTCUSDT", "side": "BUY",
         "price": 27950.1, "qty": 1.5, "fee": 125 / 1e8},
        {"run": "two", "strategy": "other", "symbol": "BTCUSDT", "side": "SELL",
         "price": 2.5, "qty": 7.0, "fee": 125 / 1e8},
    ]  # fmt: skip


def test_detectors_gates_and_guards_have_the_names_of_their_run(tmp_path: Path) -> None:
    rows = {
        "signal": [{"ts_ns": T, "detector": 1, "direction": 1}],
        "decision": [{"ts_ns": T, "id": 3, "gates": 5, "blocked": 2, "refused": 0b110}],
    }
    named = {
        "detectors": ["absorption", "sweep"],
        "gates": ["history", "score", "free"],
        "refusals": ["drawdown", "spread", "stale"],
    }
    make_run(tmp_path, "one", rows, **named)
    make_run(tmp_path, "two", rows, refusals="nonsense")
    with Database(None, tmp_path) as database:
        signals = answer(database, "SELECT name FROM signals ORDER BY run")
        decisions = answer(
            database, "SELECT gates_passed, gates_blocked, refused_by FROM decisions ORDER BY run"
        )
        found = answer(
            database, "SELECT run FROM decisions WHERE list_contains(refused_by, 'stale')"
        )
    assert signals == [{"name": "sweep"}, {"name": None}]
    assert decisions == [
        {
            "gates_passed": ["history", "free"],
            "gates_blocked": ["score"],
            "refused_by": ["spread", "stale"],
        },
        dict.fromkeys(("gates_passed", "gates_blocked", "refused_by")),
    ]
    assert found == [{"run": "one"}]


def test_time_is_exact_utc(database: Database) -> None:
    rows = answer(database, "SELECT epoch_ns(time) AS ns FROM fills WHERE time > '2024-08-09'")
    assert rows == [{"ns": T + 5}, {"ns": T + 5}]


def test_runs_are_a_view_too(database: Database) -> None:
    rows = answer(database, "SELECT run, net_pnl, trades, from_time = '2024-08-09' AS f FROM runs")
    assert rows[0] == {"run": "one", "net_pnl": 1.5, "trades": 8, "f": True}


def test_a_predicate_on_the_run_leaves_other_files_unread(runs: Path) -> None:
    for n in range(8):
        make_run(runs, f"more{n}", {"fill": [FILL]})
    with Database(None, runs) as database:
        sql = "EXPLAIN ANALYZE SELECT * FROM fills WHERE run = 'more3'"
        plan = answer(database, sql)[0]["explain_value"]
    assert "Scanning Files: 1/9" in plan


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_runs(number: int, database: Database, tmp_path: Path) -> None:
    question, sql = EXAMPLES[number]
    assert question
    answer(database, sql)
    with Database(None, tmp_path / "missing") as empty:
        assert isinstance(answer(empty, sql), list)


def test_there_are_fourteen_examples_and_one_joins_what_was_decided(database: Database) -> None:
    assert len(EXAMPLES) == 14
    assert answer(database, EXAMPLES[-1][1])[0]["slip"] == pytest.approx(0.1)


WRITES = [
    "COPY (SELECT 1) TO '{runs}/x.csv'",
    "COPY fills TO '{runs}/x.parquet'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{runs}/x.csv'",
    "/* a */ -- b\n explain (ANALYZE) COPY (SELECT 1) TO '{runs}/x.csv'",
    "CREATE TABLE t AS SELECT 1",
    "DROP VIEW fills",
    "INSERT INTO run_table SELECT * FROM run_table",
    "ATTACH '{runs}/x.db'",
    "EXPORT DATABASE '{runs}/x'",
    "SET threads = 1",
    "PRAGMA threads = 1",
    "INSTALL httpfs",
    "CALL pragma_version()",
    "SELECT 1; COPY (SELECT 1) TO '{runs}/x.csv'",
    "SELECT 1; SELECT 2",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", WRITES)
def test_a_question_only_reads(sql: str, runs: Path, database: Database) -> None:
    before = sorted(runs.rglob("*"))
    with pytest.raises(UsageError):
        database.ask(sql.format(runs=runs))
    assert sorted(runs.rglob("*")) == before


@pytest.mark.parametrize("call", ["read_csv", "read_text", "read_parquet", "glob"])
def test_a_question_reads_the_log_and_the_runs_only(
    call: str, database: Database, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="Permission"):
        answer(database, f"SELECT * FROM {call}('{secret}')")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM fils", "the views are trades, depth, bars"),
        ("SELECT nothing FROM fills", "query --list"),
        ("SELEC 1", "syntax error"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
        ("SELECT * FROM fills WHERE time > 'yesterday'", "cannot answer"),
    ],
)
def test_wrong_sql_is_a_usage_error_with_a_hint(sql: str, said: str, database: Database) -> None:
    with pytest.raises(UsageError) as caught:
        answer(database, sql)
    assert said in str(caught.value)


def test_runs_of_an_older_version_show_null_where_they_have_no_column(runs: Path) -> None:
    make_run(runs, "old", {"fill": [FILL]}, schema=1)
    make_run(runs, "new", {"fill": [{**FILL, "bid": 279500, "ask": 279502}]})
    with Database(None, runs) as database:
        found = answer(database, "SELECT run, price, bid, ask FROM fills ORDER BY run")
    assert found[1:3] == [
        {"run": "old", "price": 27950.1, "bid": None, "ask": None},
        {"run": "one", "price": 27950.1, "bid": 0.0, "ask": 0.0},
    ]
    assert found[0] == {"run": "new", "price": 27950.1, "bid": 27950.0, "ask": 27950.2}


@pytest.mark.parametrize("damage", ["truncate", "empty", "flip"])
def test_a_damaged_file_is_named_and_the_rest_is_readable(damage: str, runs: Path) -> None:
    file = runs / "one" / "fills.parquet"
    content = file.read_bytes()
    flipped = bytes([content[0] ^ 255]) + content[1:-6] + b"\xff\xff" + content[-4:]
    file.write_bytes({"truncate": content[:-20], "empty": b"", "flip": flipped}[damage])
    make_run(runs, "three", {"fill": [FILL]})
    with Database(None, runs) as database:
        with pytest.raises(CorruptFileError) as caught:
            answer(database, "SELECT * FROM fills")
        assert Path(caught.value.where) == file
        assert len(answer(database, "SELECT * FROM fills WHERE run = 'three'")) == 1
        assert len(answer(database, "SELECT * FROM decisions")) == 1


def test_a_manifest_without_scales_is_named_and_left_out(runs: Path) -> None:
    make_run(runs, "bad", {"fill": [FILL]}, price_scale="one")
    with Database(None, runs) as database:
        assert len(database.warnings) == 1 and "bad" in database.warnings[0]
        assert len(answer(database, "SELECT * FROM fills")) == 2


def test_an_answer_is_streamed_and_leaving_early_ends_the_work(database: Database) -> None:
    stream = database.ask("SELECT * FROM range(1000000000)", batch_rows=1000)
    for batch in stream:
        assert 0 < batch.num_rows <= 2048
        break
    stream.close()
    stream.close()
    assert "ofs-query" not in [thread.name for thread in threading.enumerate()]
    assert answer(database, "SELECT 1 AS one") == [{"one": 1}]


def test_an_interrupt_inside_duckdb_is_an_interrupt(database: Database) -> None:
    heavy = "SELECT count(*) AS n FROM range(100000000) a, range(1000) b WHERE a.range*b.range%7=3"
    threading.Timer(0.3, database._connection.interrupt).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        answer(database, heavy)
    assert time.monotonic() - started < 20


def test_the_version_of_duckdb_is_one_that_was_tried() -> None:
    assert int(duckdb.__version__.split(".")[0]) in (1, 2)


def test_the_monitors_of_all_sessions_are_one_view(runs: Path) -> None:
    row = dict.fromkeys((c.name for c in COLUMNS), 1)
    for session in ("a-paper", "b-record"):
        folder = runs / SESSIONS / session / MONITOR
        add_rows(folder, [{**row, "ts_ns": T + n, "open_files": None} for n in range(3)])
    with Database(None, runs) as opened:
        found = answer(opened, "SELECT session, count(*) AS n FROM monitor GROUP BY ALL ORDER BY 1")
        assert found == [{"session": "a-paper", "n": 3}, {"session": "b-record", "n": 3}]
        (first,) = answer(opened, "SELECT * FROM monitor ORDER BY session, time LIMIT 1")
        assert (first["lag_p99_ms"], first["open_files"], first["synced"]) == (1.0, None, 1)
        assert len(answer(opened, "SELECT run FROM runs")) == 2
