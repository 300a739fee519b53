"""A run exists when it is complete, and not before: whatever happens in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError
from data.runs import list_runs
from engine.runtime import backtest as backtests
from engine.runtime.backtest import summary
from tests.engine.runtime.make_run import make_log, make_run

ROOT = Path(__file__).parents[3]
KEYS = (
    "run events trades depth bars decisions orders fills round_trips net_pnl max_drawdown digest "
    "state_digest wall_s cpu_s events_per_cpu_s peak_rss_mb"
)
HANG = """
import sys, time
from pathlib import Path
from data.log import LogStore
from tests.engine.runtime.make_run import make_run
from engine.runtime.records import RunSink

take = RunSink.take
def slow(self, name, rows):
    take(self, name, rows)
    print("middle", flush=True)
    time.sleep(60)
RunSink.take = slow
make_run(LogStore(sys.argv[1]), Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_run_is_whole_and_its_summary_has_every_key(tmp_path: Path) -> None:
    store = make_log(tmp_path / "log", 120)
    content = make_run(store, tmp_path / "log", tmp_path / "runs")
    again = make_run(store, tmp_path / "log", tmp_path / "runs", chunk_rows=50)
    assert content["digest"] == again["digest"]
    assert content["state_digest"] == again["state_digest"]
    assert content["run"] != again["run"], "two runs in one second have two names"
    assert set(KEYS.split()) <= set(summary(content))
    runs, broken = list_runs(tmp_path / "runs")
    assert [r.id for r in runs] == [content["run"], again["run"]]
    assert not broken
    counts = content["counts"]
    assert counts["events"] == sum(counts[k] for k in ("trades", "depth", "bars", "quotes", "gaps"))


@pytest.mark.parametrize("where", ["run", "manifest"])
def test_an_exception_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("in the middle")

    store = make_log(tmp_path / "log", 30)
    monkeypatch.setattr(backtests, where, fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        make_run(store, tmp_path / "log", tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_empty_range_is_a_data_error_and_no_run(tmp_path: Path) -> None:
    store = make_log(tmp_path / "log", 30)
    with pytest.raises(DataError, match="in the range"):
        make_run(store, tmp_path / "log", tmp_path / "runs", from_ns=1, to_ns=2)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 there")
def test_a_killed_backtest_leaves_no_run_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    store = make_log(tmp_path / "log", 60)
    runs = tmp_path / "runs"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", HANG, str(tmp_path / "log"), str(runs)]
    with subprocess.Popen(words, env=env, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"middle\n"
        process.kill()
        process.wait(20)
    time.sleep(0.05)
    assert list_runs(runs) == ([], [])
    assert all(p.name.startswith(".partial-") for p in runs.iterdir())
    content = make_run(store, tmp_path / "log", runs)
    assert [p.name for p in runs.iterdir()] == [content["run"]], "what was torn is swept away"
