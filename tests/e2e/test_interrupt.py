"""Stopped in the middle: by Ctrl-C, by SIGTERM, by kill -9. Nothing torn, and it can go on."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import User, new_user, tree

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")

KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM

STOPS = [
    pytest.param(signal.SIGINT, 130, id="ctrl-c"),
    pytest.param(signal.SIGTERM, 130, id="sigterm"),
    pytest.param(KILL, -9, id="kill-9"),
]

ROWS = 200_000


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until ``there`` while the process runs; fail when it ends before."""
    for _ in range(3_000):
        if there():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("it never came so far")


def stop(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    return process.returncode, err


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_a_backtest(number: signal.Signals, code: int, user: User) -> None:
    # plain Python takes two minutes for the replay, so that the middle is easy to hit
    process = user.start("backtest", "btc_flow", NUMBA_DISABLE_JIT="1")
    wait_for(lambda: any(user.runs.glob(".partial-*/decisions.parquet")), process)
    time.sleep(0.3)
    returned, err = stop(process, number)
    assert returned == code
    if code == 130:
        assert "interrupted; nothing half-written was kept" in err
        assert tree(user.runs) == set()
    assert user.json("runs") == []
    again = user.backtest("btc_flow", "--to", "2026-01-05T12:10")
    assert user.json("verify", "last")["ok"]
    # what a killed run left is swept by the next one
    assert [p.name for p in user.runs.iterdir()] == [again["run"]]
    assert user.json("query", "SELECT run FROM runs", OFS_LOG="") == [{"run": again["run"]}]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive file that takes a second or two to import."""
    path = tmp_path_factory.mktemp("archive") / "ETHUSDT-aggTrades-2024-07-04.csv.gz"
    rows = (f"{i},100.5,2,{i},{i},{1_720_055_357_510 + i},false\n" for i in range(1, ROWS + 1))
    path.write_bytes(gzip.compress("".join(rows).encode(), 1))
    return path


@pytest.fixture(scope="module")
def one_trade(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A log of one trade, and what ``ofs log ls`` says of it."""
    user = new_user(tmp_path_factory.mktemp("one_trade"))
    small = user.home / "BTCUSDT-aggTrades-2024-07-04.csv"
    small.write_text("1,100.5,2,1,1,1720055357510,false\n", encoding="utf-8")
    assert user.ofs("import", small).code == 0
    return user.log, user.json("log", "ls")


@pytest.mark.parametrize(
    ("number", "code", "delay_s"),
    [
        pytest.param(signal.SIGINT, 130, 0.1, id="ctrl-c"),
        pytest.param(signal.SIGTERM, 130, 0.0, id="sigterm"),
        *(pytest.param(KILL, -9, s, id=f"kill-9 after {s} s") for s in (0.0, 0.2, 0.3)),
    ],
)
def test_an_import(
    number: signal.Signals,
    code: int,
    delay_s: float,
    user: User,
    archive: Path,
    one_trade: tuple[Path, list[dict[str, Any]]],
) -> None:
    shutil.copytree(one_trade[0], user.log)
    before = one_trade[1]
    process = user.start("import", archive)
    wait_for(lambda: any((user.log / "_staging").glob("*")), process)
    time.sleep(delay_s)
    returned, err = stop(process, number)
    assert returned in (code, 0)
    after = user.json("log", "ls")
    if returned == 130:
        assert "interrupted; nothing half-written was kept" in err
    # as it was, or complete: never between
    assert after == before or [r["rows"] for r in after] == [1, ROWS]
    assert user.ofs("log", "check", "--hole", "1e6").code == 0
    assert user.json("import", archive)["totals"]["rows"] == {"trade": ROWS}
    assert [r["rows"] for r in user.json("log", "ls")] == [1, ROWS]
    assert not any((user.log / "_staging").glob("*"))
