"""Strategies from a user's file: fresh whatever was edited, and errors that name the way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import strategies
from data.errors import ConfigError, UsageError
from tests.engine.driving import fold_events
from tests.engine.tapes import market

ROOT = Path(__file__).parents[3]
TAPE = market(1, 30)

MINE = '''
"""A user's strategy: writes a number that stands in a helper."""
import numpy as np
from numba import njit
from engine.runtime.strategy import Strategy
from helper import answer

@njit(cache=True, nogil=True)
def decide(s, p, o, now, grid):
    s.core.decision.delta = answer(s.flow.cvd * 0)

S = Strategy("mine", "Mine.", ("flow",), (), np.dtype([("unused", "i8")]), decide)
OTHER = 5
'''
HELPER = """
from numba import njit
from deeper.constants import BASE

@njit(cache=True, nogil=True)
def answer(x):
    return x + BASE + {n}
"""
SEE = """
import json, sys
from engine.runtime.compose import compose
import strategies
from tests.engine.driving import fold_events
from tests.engine.tapes import market
c = compose(strategies.get(sys.argv[1]), broker="none")
print(json.dumps(fold_events(c, market(1, 30)).sink.rows("decision")["delta"].tolist()))
"""


def write_files(folder: Path, n: int = 1, base: int = 100, mine: str = MINE) -> str:
    (folder / "deeper").mkdir(exist_ok=True)
    (folder / "deeper" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "deeper" / "constants.py").write_text(f"BASE = {base}\n", encoding="utf-8")
    (folder / "helper.py").write_text(HELPER.replace("{n}", str(n)), encoding="utf-8")
    (folder / "mine.py").write_text(mine, encoding="utf-8")
    return f"{folder / 'mine.py'}:S"


def seen(name: str) -> int:
    """The number that the strategy wrote, the same in every decision."""
    from engine.runtime.compose import compose

    c = compose(strategies.get(name), broker="none")
    (number,) = set(fold_events(c, TAPE).sink.rows("decision")["delta"].tolist())
    return number


def seen_elsewhere(name: str, cache: Path) -> int:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OFS_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", SEE, name], env=env, cwd=ROOT, capture_output=True, text=True,
        encoding="utf-8", check=True,
    )  # fmt: skip
    (number,) = set(json.loads(done.stdout))
    return number


def test_edits_of_file_helper_and_helpers_helper_are_seen_in_one_process(tmp_path: Path) -> None:
    """The edits keep size and, within a second, the file time: no cache may go by those."""
    name = write_files(tmp_path)
    first = strategies.get(name)
    assert seen(name) == 101
    write_files(tmp_path, n=2)
    assert strategies.get(name).source_sha256 != first.source_sha256
    assert seen(name) == 102
    write_files(tmp_path, n=2, base=200)
    assert seen(name) == 202
    write_files(tmp_path, mine=MINE.replace("* 0)", "* 0) + 5"))
    assert seen(name) == 106
    write_files(tmp_path)
    assert seen(name) == 101, "and back"


def test_edits_of_a_helper_are_seen_by_the_next_process(tmp_path: Path) -> None:
    name, cache = write_files(tmp_path), tmp_path / "cache"
    assert seen_elsewhere(name, cache) == 101
    write_files(tmp_path, n=2)
    assert seen_elsewhere(name, cache) == 102
    write_files(tmp_path)
    assert seen_elsewhere(name, cache) == 101, "from the cache of the first text"


def test_two_folders_may_each_have_a_helper(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    one, two = write_files(a, n=3), write_files(b, n=4)
    assert (seen(one), seen(two), seen(one)) == (103, 104, 103)
    assert "helper" not in sys.modules


def test_a_lone_file_is_named_by_its_own_hash(tmp_path: Path) -> None:
    import hashlib

    name = write_files(tmp_path, mine=MINE.replace("from helper import answer", "answer = abs"))
    text = (tmp_path / "mine.py").read_bytes()
    assert strategies.get(name).source_sha256 == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    ("mine", "says"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_at_all\n", "no_such_module_at_all"),
        ("raise KeyError('boom')\n", "boom"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("raise SystemExit(7)\n", "SystemExit: 7"),
        ("x = 1\n", "no Strategy at all"),
        ("from . import helper\n", "ImportError"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_a_config_error(
    tmp_path: Path, mine: str, says: str
) -> None:
    name = write_files(tmp_path, mine=mine)
    with pytest.raises(ConfigError) as error:
        strategies.get(name)
    assert error.value.exit_code == 3
    assert says in str(error.value)
    assert error.value.do


@pytest.mark.parametrize("name", ["a/b", "a:b", "..", "my rule", "", "x" * 65, "größe", "nul"])
def test_a_name_that_no_disk_can_hold(tmp_path: Path, name: str) -> None:
    """It becomes part of the run's folder and of the compiled module."""
    spec = write_files(tmp_path, mine=MINE.replace('"mine", "Mine."', f'"{name}", "Mine."'))
    with pytest.raises(ConfigError, match="cannot name a strategy") as error:
        strategies.get(spec)
    assert str(tmp_path / "mine.py") in error.value.where and error.value.do


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="delta_flip"):
        strategies.get("delta_flop")
    with pytest.raises(UsageError, match="no such strategy file"):
        strategies.get(f"{tmp_path / 'nothing.py'}:S")
    name = write_files(tmp_path)
    with pytest.raises(ConfigError, match="S"):
        strategies.get(name.replace(":S", ":OTHER"))


def test_decide_stands_in_the_strategy_file(tmp_path: Path) -> None:
    """Otherwise the generated fold could not import it by the loaded file's name."""
    mine = MINE[: MINE.index("@njit")] + MINE[MINE.index("S = Strategy") :]
    name = write_files(tmp_path, mine=mine.replace(", decide)", ", answer)"))
    with pytest.raises(ConfigError, match="another file"):
        strategies.get(name)
