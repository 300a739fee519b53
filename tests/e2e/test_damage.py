"""Damaged files, missing folders, a full disk: named, exit 4, and everything else still works."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.cli.run import command, environment
from tests.e2e.support import User, new_user, tree

RANGE = ("--to", "2026-01-05T00:10")


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 3
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


def emptied(_: bytes) -> bytes:
    return b""


DAMAGES = [truncated, flipped, emptied]
each_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A synthetic market, the archive trades of another symbol, and one run over each."""
    user = new_user(tmp_path_factory.mktemp("whole"))
    assert user.ofs("synth", "--seed", "7", "--days", "0.014").code == 0
    other = user.home / "ETHUSDT-aggTrades-2024-07-04.csv"
    rows = (
        f"{i},100.5,2,{i},{i},{1_720_055_357_510 + 20 * i},{str(i % 3 > 0).lower()}\n"
        for i in range(1, 5_001)
    )
    other.write_text("".join(rows), encoding="utf-8")
    assert user.ofs("import", other).code == 0
    user.backtest("--symbol", "BTCUSDT", *RANGE)
    return user


@pytest.fixture
def mine(whole: User, tmp_path: Path) -> User:
    """A copy to break."""
    shutil.copytree(whole.home, tmp_path / "mine")
    return User(tmp_path / "mine")


def spoil(user: User, pattern: str, damage: Callable[[bytes], bytes]) -> Path:
    (path,) = user.home.glob(pattern)
    path.write_bytes(damage(path.read_bytes()))
    return path


TRADES = "log/kind=trade/venue=synthetic/**/data.parquet"
DEPTH = "log/kind=depth/venue=synthetic/**/data.parquet"


@each_damage
def test_a_damaged_file_is_named_and_the_rest_is_readable(
    damage: Callable[[bytes], bytes], mine: User
) -> None:
    path = spoil(mine, TRADES, damage)
    before = tree(mine.runs)
    for words in (("backtest", "--symbol", "BTCUSDT"), ("verify", "last", "--log", str(mine.log))):
        done = mine.ofs(*words)
        assert (done.code, done.out) == (4, ""), done.err
        assert str(path) in done.err
        assert "  do: " in done.err
    assert tree(mine.runs) == before
    check = mine.ofs("log", "check", "--json")
    assert check.code == 1
    (finding,) = (f for f in check.json()["findings"] if f["check"] == "corrupt_file")
    assert str(path) in finding["text"]
    # the other symbol, and the other kinds of this one
    assert mine.ofs("log", "check", "--symbol", "ETHUSDT").code == 0
    eth = mine.json("backtest", "--symbol", "ETHUSDT")
    assert eth["trades"] == 5_000
    (row,) = mine.sql(
        "SELECT (SELECT count(*) FROM trades WHERE symbol = 'ETHUSDT') AS trades, "
        "(SELECT count(*) > 0 FROM depth) AS depth"
    )
    assert row == {"trades": 5_000, "depth": True}


@pytest.mark.parametrize("damage", [truncated, emptied], ids=lambda d: d.__name__)
@pytest.mark.parametrize("question", ["count(*)", "sum(qty)", "min(time)", "any_value(symbol)"])
def test_a_question_that_needs_the_damaged_file_fails_on_it(
    damage: Callable[[bytes], bytes], question: str, mine: User
) -> None:
    path = spoil(mine, TRADES, damage)
    done = mine.ofs("query", f"SELECT {question} FROM trades WHERE symbol = 'BTCUSDT'")
    assert (done.code, done.out) == (4, "")
    assert f"where: {path}" in done.err


@pytest.mark.parametrize("where", ["", "WHERE ask_qty[1] > 0", "WHERE symbol = 'BTCUSDT'"])
def test_the_only_file_of_a_view_fails_its_own_questions_alone(where: str, mine: User) -> None:
    path = spoil(mine, DEPTH, emptied)
    done = mine.ofs("query", f"SELECT count(*) FROM depth {where}")
    assert (done.code, done.out) == (4, "")
    assert f"where: {path}" in done.err
    assert mine.sql("SELECT count(*) AS n FROM depth WHERE symbol = 'ETHUSDT'") == [{"n": 0}]
    assert mine.sql("SELECT count(*) AS n FROM trades WHERE symbol = 'ETHUSDT'") == [{"n": 5_000}]
    assert mine.ofs("query", "--list").code == 0


def test_a_damaged_catalogue_is_named_and_a_lost_one_is_made_again(mine: User) -> None:
    before = mine.json("log", "ls")
    for damage in (truncated, emptied):
        path = spoil(mine, "log/catalogue.parquet", damage)
        done = mine.ofs("log", "ls")
        assert (done.code, done.out) == (4, "")
        assert f"where: {path}" in done.err
        assert "do: delete it" in done.err
        path.unlink()
        assert mine.json("log", "ls") == before
    assert mine.json("verify", "last")["ok"]


@pytest.mark.parametrize("damage", [truncated, emptied], ids=lambda d: d.__name__)
def test_a_damaged_table_of_a_run_is_named(damage: Callable[[bytes], bytes], mine: User) -> None:
    second = mine.backtest("--symbol", "ETHUSDT")["run"]
    path = spoil(mine, f"runs/{first_run(mine)}/decisions.parquet", damage)
    for words in (("verify", first_run(mine)), ("query", "SELECT count(*) FROM decisions")):
        done = mine.ofs(*words)
        assert (done.code, done.out) == (4, ""), done.err
        assert f"where: {path}" in done.err
    assert mine.json("verify", second)["ok"]
    assert len(mine.json("runs")) == 2
    (row,) = mine.sql(f"SELECT count(*) > 0 AS some FROM decisions WHERE run = '{second}'")
    assert row["some"]


def test_one_forged_figure_is_found(mine: User) -> None:
    path = mine.runs / first_run(mine) / "decisions.parquet"
    table = pq.read_table(path)
    forged = table.column("cvd").to_pylist()
    forged[77] += 1
    place = table.schema.get_field_index("cvd")
    pq.write_table(table.set_column(place, table.schema.field(place), [forged]), path)
    done = mine.ofs("verify", "last")
    assert done.code == 1
    assert "decision row 77" in done.out
    assert f"cvd: the run has {forged[77]}, the fold gives {forged[77] - 1}" in done.out


def first_run(user: User) -> str:
    return min(p.name for p in user.runs.iterdir() if not p.name.startswith("."))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 3}'])
def test_a_damaged_manifest_does_not_hide_the_other_runs(text: str, mine: User) -> None:
    second = mine.backtest("--symbol", "ETHUSDT")["run"]
    broken = mine.runs / first_run(mine) / "manifest.json"
    broken.write_text(text, encoding="utf-8")
    done = mine.ofs("verify", broken.parent.name)
    assert done.code == 4, done.err
    assert str(broken.parent.name) in done.err
    assert "Traceback" not in done.err and "bug:" not in done.err
    listed = mine.ofs("runs", "--json")
    assert second in [run["run"] for run in listed.json()]
    if text != '{"run": 3}':
        assert listed.code == 4
        assert str(broken) in listed.err
    (row,) = mine.sql(f"SELECT count(*) AS n FROM runs WHERE run = '{second}'")
    assert row["n"] == 1


def test_folders_that_are_not_there(user: User) -> None:
    for words in (("backtest", "--symbol", "X"), ("log", "ls"), ("log", "check"), ("bench",)):
        done = user.ofs(*words, OFS_LOG="nowhere")
        assert done.code == 4, words
        assert "there is no log at nowhere" in done.err
    assert user.ofs("runs", OFS_RUNS="nowhere").code == 4


def test_a_folder_of_runs_that_cannot_be_written(user: User) -> None:
    user.runs.write_text("a file stands where the folder should be", encoding="utf-8")
    done = user.ofs("backtest", "btc_flow", *RANGE)
    assert (done.code, done.out) == (4, "")
    assert str(user.runs) in done.err
    assert "Traceback" not in done.err


def limited(user: User, limit_bytes: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run with no file allowed to grow beyond ``limit_bytes``: what a full disk looks like."""
    assert os.name != "nt"
    import resource
    import signal

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(user.home, **user.env),
        cwd=user.home,
        preexec_fn=limit,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="limits of a process are of POSIX")
def test_a_full_disk_tears_nothing(mine: User) -> None:
    before: dict[str, Any] = {"ls": mine.json("log", "ls"), "runs": tree(mine.runs)}
    files = {p: p.read_bytes() for p in mine.log.rglob("data.parquet")}
    more = mine.home / "ETHUSDT-aggTrades-2024-07-05.csv"
    rows = (
        f"{i},{100 + i % 977}.5,{i % 89},{i},{i},{1_720_155_357_510 + 20 * i},true\n"
        for i in range(10_001, 40_001)
    )
    more.write_text("".join(rows), encoding="utf-8")
    for words in (("import", str(more)), ("backtest", "--symbol", "BTCUSDT")):
        done = limited(mine, 6_000, *words)
        assert done.returncode == 4, done.stderr
        assert "File too large" in done.stderr
        assert "Traceback" not in done.stderr
    assert mine.json("log", "ls") == before["ls"]
    assert {p: p.read_bytes() for p in mine.log.rglob("data.parquet")} == files
    assert tree(mine.runs) == before["runs"]
    assert mine.json("import", more)["totals"]["added"] == sum(
        i % 89 > 0 for i in range(10_001, 40_001)
    )
