"""A fork of the server is a process of its own: streams, folder, environment, exit code, end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.forks import can_fork, forks
from tests.cli.run import environment, ofs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux only")


@pytest.mark.parametrize(
    "words", [("config", "show", "--json"), ("log", "chek"), ("runs", "--json"), ("log", "check")]
)
def test_a_fork_and_a_start_say_the_same(words: tuple[str, ...], tmp_path: Path) -> None:
    given = {"OFS_LOG": "somewhere", "OFS_RUNS": str(tmp_path / "runs")}
    assert ofs(*words, home=tmp_path, **given) == ofs(*words, home=tmp_path, fresh=True, **given)


def test_one_fork_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    shown = [ofs("config", "show", home=tmp_path, OFS_LOG=name).out for name in ("abc", "xyz")]
    assert "abc" in shown[0] and "abc" not in shown[1] and "xyz" in shown[1]


def test_what_is_read_while_loading_needs_a_start(tmp_path: Path) -> None:
    assert can_fork(environment(tmp_path, OFS_LOG="x"))
    for name in ("NUMBA_DISABLE_JIT", "PYTHONHASHSEED", "OFS_CACHE"):
        assert not can_fork(environment(tmp_path, **{name: "1"}))


def test_one_that_hangs_is_killed_and_the_next_answers(tmp_path: Path) -> None:
    endless = "SELECT count(*) FROM range(100000000) a, range(1000) b WHERE (a.range*b.range)%7=3"
    with pytest.raises(subprocess.TimeoutExpired):
        forks().run(["query", endless], environment(tmp_path), tmp_path, None, 1.5)
    assert ofs("query", "SELECT 41 + 1 AS n", "--json", home=tmp_path).json() == [{"n": 42}]
