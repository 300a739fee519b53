"""``ofs bundle`` and ``ofs verify BUNDLE``, as two users on two machines run them."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from data.log import LogStore
from tests.cli.run import Result, ofs
from tests.engine.runtime.make_run import make_log, make_run

MINE = """
import sys
import numpy as np
from numba import njit
from engine.runtime.strategy import Strategy
from helper import answer

print("this code runs", file=sys.stderr)

@njit(cache=True, nogil=True)
def decide(s, p, o, now, grid):
    s.core.decision.delta = answer(s.flow.cvd)

S = Strategy("mine", "Mine.", ("flow",), (), np.dtype([("unused", "i8")]), decide)
"""
HELPER = """
from numba import njit

@njit(cache=True, nogil=True)
def answer(x):
    return x + 7
"""

SLOW_START = {"NUMBA_DISABLE_JIT": "1"}
"""Short logs fold faster as plain Python than a strategy of one's own is compiled."""


@pytest.fixture
def sender(tmp_path: Path) -> Path:
    """A user's home with a log of a minute and a strategy of one's own."""
    home = tmp_path / "sender"
    make_log(home / "log", seconds=60)
    (home / "mine.py").write_text(MINE, encoding="utf-8")
    (home / "helper.py").write_text(HELPER, encoding="utf-8")
    return home


@pytest.fixture
def receiver(tmp_path: Path) -> Path:
    (tmp_path / "receiver").mkdir()
    return tmp_path / "receiver"


def bundle(home: Path, *words: str, **env: str) -> Result:
    return ofs("bundle", "last", "--runs", "runs", *words, home=home, **env)


def test_a_built_in_strategy(sender: Path, receiver: Path) -> None:
    name = str(make_run(LogStore(sender / "log"), sender / "log", sender / "runs")["run"])
    done = bundle(sender, "--json")
    assert done.code == 0, done.err
    facts = done.json()
    assert facts["file"] == f"{name}.bundle.zip" and facts["run"] == name
    assert (facts["own_code"], facts["fresh"]) == (False, True)
    again = bundle(sender)
    assert again.out == f"{name}.bundle.zip\n" and "byte for byte" in again.err
    assert facts["sha256"] in again.err
    file = Path(shutil.move(sender / facts["file"], receiver / "run.zip"))
    shutil.rmtree(sender)
    proved = ofs("verify", "run.zip", home=receiver)
    assert proved.code == 0 and proved.out.startswith("ok: "), proved.err
    file.write_bytes(file.read_bytes()[:-100])
    bad = ofs("verify", "run.zip", home=receiver)
    assert bad.code == 4 and "truncated" in bad.err and "Traceback" not in bad.err, bad.err


def test_what_is_said_of_a_bundle(sender: Path, run: Any) -> None:
    name = make_run(LogStore(sender / "log"), sender / "log", sender / "runs")["run"]
    file = sender / "run.zip"
    assert run("bundle", "last", "--runs", sender / "runs", "--out", file).code == 0
    told = run("verify", file, "--json").json()
    assert told["ok"] and told["run"] == name and told["figures"] == []
    assert run("verify", file, "--log", "x").code == 2
    content = file.read_bytes()
    for broken, said in ((content[:5_000] + b"?" + content[5_001:], "altered"), (b"", "no bundle")):
        file.write_bytes(broken)
        bad = run("verify", file)
        assert bad.code == 4 and said in bad.err and "run.zip" in bad.err, bad.err


def test_a_strategy_of_ones_own_runs_only_where_it_is_trusted(sender: Path, receiver: Path) -> None:
    words = ("backtest", "--log", "log", "--runs", "runs", "--strategy", "mine.py:S")
    assert ofs(*words, home=sender, **SLOW_START).code == 0
    done = bundle(sender, "--out", str(receiver / "run.zip"))
    assert done.code == 0 and "--trust" in done.err, done.err
    with zipfile.ZipFile(receiver / "run.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("strategy/")]
        assert names == ["strategy/helper.py", "strategy/mine.py"]
        assert str(sender).encode() not in archive.read("run/manifest.json")
    (sender / "helper.py").write_text(HELPER.replace("7", "8"), encoding="utf-8")
    late = bundle(sender, "--out", str(receiver / "late.zip"))
    assert late.code == 4 and "the strategy changed since the run" in late.err
    shutil.rmtree(sender)
    asked = ofs("verify", "run.zip", home=receiver, **SLOW_START)
    assert asked.code == 2 and "runs that code on this machine" in asked.err
    assert "strategy/mine.py" in asked.err and "this code runs" not in asked.out + asked.err
    trusted = ofs("verify", "run.zip", "--trust", home=receiver, **SLOW_START)
    assert trusted.code == 0, trusted.err
    assert "this code runs" in trusted.err and trusted.out.startswith("ok: ")


def test_a_run_is_proved_from_any_folder(sender: Path, receiver: Path) -> None:
    """The log and the strategy's file may have been named relative to where the run was made."""
    words = ("backtest", "--log", "log", "--runs", "runs", "--strategy", "mine.py:S")
    assert ofs(*words, home=sender, **SLOW_START).code == 0
    for command in (("verify",), ("bundle", "--out", "run.zip"), ("report", "--out", "run.html")):
        runs = str(sender / "runs")
        done = ofs(*command, "last", "--runs", runs, home=receiver, **SLOW_START)
        assert done.code == 0, done.err
        assert "cannot be read" not in done.err


def test_mistakes(sender: Path, run: Any) -> None:
    assert run("bundle", "last", "--runs", sender).code == 4
    assert run("bundle").code == 2
    unknown = run("verify", "none.zip")
    assert unknown.code == 4 and "there is no such bundle" in unknown.err
