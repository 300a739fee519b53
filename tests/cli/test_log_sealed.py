"""A log that a session sealed, through every command that looks at a log or changes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data.events import Kind
from data.log import LogStore
from tests.data.log.sealing import SERIES, of_symbol, sealed, session
from tests.data.log.support import put, trade


@pytest.fixture
def log(tmp_path: Path) -> Path:
    sealed(LogStore(tmp_path / "log", create=True), session())
    return tmp_path / "log"


def events_of(run: Any, log: Path, symbol: str) -> str:
    done = run("log", "cat", "--log", log, "--symbol", symbol, "--jsonl")
    assert done.code == 0, done.err
    return str(done.out)


def test_it_is_a_log_like_any_other(run: Any, log: Path) -> None:
    listed = run("log", "ls", "--log", log, "--json").json()
    kinds = {kind for kind, _, _ in session()}
    assert len(listed) == len(kinds) * len(SERIES)
    assert sum(s["rows"] for s in listed) == 300
    before = {s.symbol: events_of(run, log, s.symbol) for s in SERIES}
    for symbol, text in before.items():
        assert len(text.splitlines()) == len(of_symbol(session(), symbol))
    gaps = run("log", "gaps", "--log", log, "--json")
    assert gaps.code == 1, gaps.err
    sql = "SELECT symbol, count(*) AS n FROM trades GROUP BY ALL ORDER BY ALL"
    counted = run("query", sql, "--log", log, "--json").out
    one = run("log", "compact", "--log", log, "--symbol", "ETHUSDT")
    assert one.code == 0, one.err
    rest = run("log", "compact", "--log", log, "--json")
    assert rest.code == 0, rest.err
    assert not list(log.glob("sealed/kind=*"))
    assert run("query", sql, "--log", log, "--json").out == counted
    for symbol, text in before.items():
        assert events_of(run, log, symbol) == text
    pruned = run("log", "prune", "--log", log, "--keep", "1d", "--yes")
    assert pruned.code == 0, pruned.err
    assert run("log", "ls", "--log", log, "--json").json() == []


def test_damage_is_told_once_a_file(run: Any, log: Path) -> None:
    path = next(log.glob("sealed/kind=trade/**/s1-101-*.parquet"))
    path.write_bytes(path.read_bytes()[:300])
    listed = run("log", "ls", "--log", log)
    assert listed.code == 4
    assert listed.err.count("cannot use") == 1 and path.name in listed.err
    checked = run("log", "check", "--log", log, "--json")
    assert checked.code == 1
    assert checked.out.count("corrupt_file") >= 1 and path.name in checked.out
    assert run("log", "cat", "--log", log, "--symbol", "BTCUSDT", "--kinds", "depth").code == 0
    assert run("log", "cat", "--log", log, "--symbol", "BTCUSDT", "--kinds", "trade").code == 4


def test_what_is_imported_joins_a_share(run: Any, log: Path) -> None:
    first = next(row for kind, row in of_symbol(session(), "BTCUSDT") if kind == Kind.TRADE)
    put(LogStore(log), Kind.TRADE, [trade(first["ts_ns"], id=9_999), {**first, "recv_ns": 0}])
    count = run("query", "SELECT count(*) AS n FROM trades WHERE symbol = 'BTCUSDT'", "--log", log,
                "--json").json()  # fmt: skip
    wanted = sum(kind == Kind.TRADE for kind, _ in of_symbol(session(), "BTCUSDT")) + 1
    assert str(wanted) in str(count)
    assert list(log.rglob("taken.json"))
    assert run("doctor", "--log", log, "--json").code in (0, 1)
