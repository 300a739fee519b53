"""``ofs bundle`` and ``ofs verify BUNDLE``, as two users on two machines run them."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.cli.run import Result, ofs
from tests.engine.runtime.make_run import EAGER, make_log

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


def backtest(home: Path, *words: str, **env: str) -> str:
    done = ofs("backtest", "--log", "log", "--runs", "runs", "--json", *words, home=home, **env)
    assert done.code == 0, done.err
    return str(done.json()["run"])


def bundle(home: Path, *words: str, **env: str) -> Result:
    return ofs("bundle", "last", "--runs", "runs", *words, home=home, **env)


def test_a_built_in_strategy(sender: Path, receiver: Path) -> None:
    flags = [word for k, v in EAGER.items() for word in ("--set", f"{k}={v}")]
    name = backtest(sender, *flags)
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
    told = ofs("verify", "run.zip", "--json", home=receiver).json()
    assert told["ok"] and told["run"] == name and told["figures"] == []
    assert ofs("verify", "run.zip", "--log", "x", home=receiver).code == 2
    content = file.read_bytes()
    for broken, said in (
        (content[:-100], "truncated"),
        (content[:5_000] + b"?" + content[5_001:], "sha256|truncated"),
        (b"", "truncated"),
    ):
        file.write_bytes(broken)
        bad = ofs("verify", "run.zip", home=receiver)
        assert bad.code == 4 and "Traceback" not in bad.err, bad.err
        assert any(word in bad.err for word in said.split("|")) and "run.zip" in bad.err
    assert not list(receiver.glob("ofs-bundle-*"))


def test_a_strategy_of_ones_own_runs_only_where_it_is_trusted(sender: Path, receiver: Path) -> None:
    backtest(sender, "--strategy", "mine.py:S", **SLOW_START)
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


def test_mistakes(sender: Path) -> None:
    assert ofs("bundle", "last", "--runs", "runs", home=sender).code == 4
    assert ofs("bundle", home=sender).code == 2
    unknown = ofs("verify", "none.zip", home=sender)
    assert unknown.code == 4 and "there is no run 'none.zip'" in unknown.err
