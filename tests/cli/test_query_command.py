"""``ofs query``: the four forms of an answer, the list of views, and mistakes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data import errors
from data.query_examples import EXAMPLES
from tests.data.make_log import make_log
from tests.data.make_runs import T, make_run

FILL = {"ts_ns": T + 1, "id": 1, "side": 1, "price": 279501, "qty": 1500, "fee": 125}
ROWS = "SELECT run, time, price, [1, 2] AS levels, NULL AS nothing FROM fills"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_run(tmp_path / "runs", "one", {"fill": [FILL]})
    return tmp_path / "runs"


def test_json_is_a_list_of_row_objects(run: Any, runs: Path) -> None:
    result = run("query", "--json", "--runs", runs, ROWS)
    assert (result.code, result.err) == (0, "")
    assert result.json() == [
        {"run": "one", "time": "2024-08-09T00:00:00.000000001Z", "price": 27950.1,
         "levels": [1, 2], "nothing": None}
    ]  # fmt: skip
    assert run("query", "--json", "--runs", runs, ROWS + " WHERE false").json() == []


def test_csv_has_a_header_and_no_rounding(run: Any, runs: Path) -> None:
    out = run("query", "--csv", "--runs", runs, ROWS).out
    assert list(csv.reader(io.StringIO(out))) == [
        ["run", "time", "price", "levels", "nothing"],
        ["one", "2024-08-09T00:00:00.000000001Z", "27950.1", "[1, 2]", ""],
    ]


def test_a_table_lines_up(run: Any, runs: Path) -> None:
    out = run("query", "--runs", runs, "SELECT run, price FROM fills").out
    assert out == "run    price\none  27950.1\n"


def test_parquet_is_written_beside_and_renamed(run: Any, runs: Path, tmp_path: Path) -> None:
    target = tmp_path / "answer.parquet"
    target.write_text("old", encoding="utf-8")
    result = run("query", "--parquet", target, "--runs", runs, "SELECT *, 1 AS id FROM fills")
    assert (result.code, result.out) == (0, "")
    assert "wrote 1 rows" in result.err
    table = pq.read_table(target)
    assert table["time"].cast("int64").to_pylist() == [T + 1] and "id_1" in table.column_names
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_a_question_that_fails_leaves_the_old_file(run: Any, tmp_path: Path) -> None:
    target = tmp_path / "answer.parquet"
    target.write_text("old", encoding="utf-8")
    sql = "SELECT 1 / (range - 50000)::INTEGER, error('no') FROM range(100000)"
    assert run("query", "--parquet", target, sql).code == errors.EXIT_USAGE
    assert target.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_nothing_is_written_into_the_log(run: Any, tmp_path: Path) -> None:
    make_log(tmp_path / "log", days=1, count=2)
    target = tmp_path / "log" / "kind=trade" / "x.parquet"
    result = run("query", "--log", tmp_path / "log", "--parquet", target, "SELECT 1")
    assert result.code == errors.EXIT_USAGE and "does not write into the log" in result.err
    assert not target.exists()


def test_a_long_table_is_cut_and_says_so(run: Any) -> None:
    result = run("query", "SELECT * FROM range(5000)")
    assert len(result.out.splitlines()) == 1001
    assert "the first 1,000 rows" in result.err
    assert len(run("query", "--json", "SELECT * FROM range(5000)").json()) == 5000


def test_types_that_arrow_or_json_find_hard(run: Any) -> None:
    sql = (
        "SELECT 170141183460469231731687303715884105727::HUGEINT AS big, sum(2::BIGINT) AS total, "
        "1.25::DECIMAL(9, 2) AS d, INTERVAL '1 month 2 days 3.5 seconds' AS i, "
        "TIMESTAMPTZ '2024-08-09 02:00:00+02' AS tz, 'NaN'::DOUBLE AS nan, "
        "DATE '2024-08-09' AS day, {'a': [1]} AS s, 1 AS x, 2 AS x, true AS b"
    )
    row = run("query", "--json", sql).json()[0]
    assert row == {
        "big": 2**127 - 1, "total": 2, "d": 1.25, "i": "1 month 2 days 00:00:03.5",
        "tz": "2024-08-09T00:00:00.000Z", "nan": None, "day": "2024-08-09", "s": {"a": [1]},
        "x": 1, "x_1": 2, "b": True,
    }  # fmt: skip


def test_the_list_shows_views_columns_and_examples(run: Any) -> None:
    facts = run("query", "--list", "--json").json()
    names = [view["name"] for view in facts["views"]]
    assert names[:5] == ["trades", "depth", "bars", "quotes", "gaps"]
    assert {"runs", "signals", "decisions", "orders", "fills", "positions", "equity"} <= set(names)
    assert [e["sql"] for e in facts["examples"]] == [sql for _, sql in EXAMPLES]
    text = run("query", "--list").out
    assert "\n  time" in text and EXAMPLES[0][1] in text


def test_explain_is_drawn_as_it_is(run: Any) -> None:
    out = run("query", "EXPLAIN SELECT * FROM range(3)").out
    assert "explain_key" not in out and "RANGE" in out.upper()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["SELECT * FROM fils"], 2, "the views are trades"),
        (["SELEC"], 2, "syntax error"),
        (["DROP VIEW trades"], 2, "only reads"),
        (["SELECT 1; SELECT 2"], 2, "one question"),
        (["SELECT * FROM read_csv('x.csv')"], 2, "the log and the runs only"),
        (["--parquet", "no/such/folder/x.parquet", "SELECT 1"], 4, "no/such/folder"),
        (["--log", "missing", "SELECT 1"], 4, "missing"),
        (["--runs", "missing", "SELECT 1"], 4, "there is no folder of runs"),
    ],
)
def test_mistakes(words: list[str], code: int, said: str, run: Any) -> None:
    result = run("query", *words)
    assert result.code == code and said in result.err and result.out == ""
    assert "Traceback" not in result.err


def test_a_damaged_file_ends_with_4_and_its_name(run: Any, runs: Path) -> None:
    file = runs / "one" / "fills.parquet"
    file.write_bytes(file.read_bytes()[:-30])
    result = run("query", "--runs", runs, "SELECT * FROM fills")
    assert result.code == errors.EXIT_DATA and str(file) in result.err


def test_a_manifest_that_cannot_be_read_is_said(run: Any, runs: Path) -> None:
    (runs / "torn").mkdir()
    (runs / "torn" / "manifest.json").write_text("{", encoding="utf-8")
    result = run("query", "--json", "--runs", runs, "SELECT run FROM runs")
    assert json.loads(result.out) == [{"run": "one"}]
    assert "warning: left out" in result.err and "torn" in result.err
