"""kill -9 at every named point of a compaction and of a pruning: before or after, never between."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.events import Kind
from data.log import LogStore
from tests.data.log.killing import ACTIONS, COMMITTED, POINTS
from tests.data.log.parts import write_part
from tests.data.log.support import DAY, MIDNIGHT, leftovers, trade
from tests.data.log.test_compact import everything, hours

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def die(root: Path, action: str) -> dict[str, str]:
    """What became of each point."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.log.killing", str(root), action],
        capture_output=True, text=True, encoding="utf-8", check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return dict(line.split("\t") for line in done.stdout.splitlines())


def base_log(root: Path) -> LogStore:
    store = hours(root, count=3, each=10)
    for name, first in (("a.parquet", 10_000), ("b.parquet", 10_010)):
        rows = [trade(MIDNIGHT + DAY + first + i, id=first + i) for i in range(10)]
        write_part(root, Kind.TRADE, rows, name, "2024-08-10")
    store.catalogue()
    return store


def test_compaction(tmp_path: Path) -> None:
    before = everything(base_log(tmp_path / "base"))
    found = die(tmp_path, "compact")
    assert found == dict.fromkeys(POINTS, "killed")
    for number, name in enumerate(POINTS):
        root = tmp_path / str(number)
        store = LogStore(root)
        assert everything(store) == before, name
        files = sorted(p.name for p in root.glob("kind=*/**/*.parquet"))
        committed = files == ["data.parquet"] * 3
        assert committed == (name in COMMITTED), name
        assert committed or len(files) == 8, name
        ACTIONS["compact"](root)  # and it can be done again
        assert everything(store) == before, name
        assert sorted(p.name for p in root.glob("kind=*/**/*.parquet")) == ["data.parquet"] * 3
        with store.transaction():
            pass  # whoever writes next sweeps what a dead process left
        assert leftovers(root) == []


def test_pruning(tmp_path: Path) -> None:
    base = base_log(tmp_path / "base")
    before = everything(base)
    after = [row for row in before if row[1]["ts_ns"] >= MIDNIGHT + DAY]
    points = set(POINTS) - {"a file is half staged", "a file is moved"}
    found = die(tmp_path, "prune")
    assert {name for name, how in found.items() if how == "killed"} == points
    assert "failed" not in found.values()
    for number, name in enumerate(POINTS):
        if name not in points:
            continue
        root = tmp_path / str(number)
        store = LogStore(root)
        assert everything(store) == (after if name in COMMITTED else before), name
        ACTIONS["prune"](root)
        assert everything(store) == after, name
        assert [p.name for p in root.glob("kind=*/**/date=*")] == ["date=2024-08-10"], name
        with store.transaction():
            pass
        assert leftovers(root) == []
