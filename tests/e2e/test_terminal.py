"""A terminal as a venue: recorded whole through a killed worker, fetched, and traded on paper.

The terminal is that of ``ofs sandbox``, in a process of its own, playing made-up quotes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.enums import Kind
from data.events import EVENTS, Scales
from data.log import LogReader, LogStore
from tests.e2e.support import CAMPAIGN, User, new_user
from tests.shared import shared_data

BEGIN = 1_717_502_400_000_000_000  # 2024-06-04 12:00 UTC, a Tuesday in summer
SECONDS = 420
SPEED = 30

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")

PAPER = """
venue = "mt5"
symbols = ["{symbol}"]
strategy = "{strategy}"

[record]
checkpoint = "2m"

[account]
server = "ofs-Sandbox"

[http]
on = false
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user whose log ``market`` holds quotes of seven minutes, two a second."""
    made = new_user(tmp_path_factory.mktemp("terminal"))
    chance = np.random.default_rng(7)
    n = 2 * SECONDS
    ts = BEGIN + np.sort(chance.integers(0, SECONDS * 1000, n)) * 1_000_000
    bid = 108_000 + np.cumsum(chance.choice([-3, -2, -1, 1, 2, 3], n))
    columns = {"ts_ns": ts, "bid": bid, "bid_qty": np.zeros(n, np.int64),
               "ask": bid + chance.integers(1, 4, n), "ask_qty": np.zeros(n, np.int64)}  # fmt: skip
    with LogStore(made.home / "market", create=True).transaction() as change:
        change.merge(Kind.QUOTE, "oanda", "EURUSD", columns, Scales(5, 0))
    return made


@contextmanager
def sandbox(user: User, *more: str, speed: int = SPEED) -> Iterator[str]:
    """The file with the line of a sandbox that plays."""
    words = more or ("--log", str(user.home / "market"))
    process = user.start("sandbox", "--speed", str(speed), "--grace", "0", *words)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        file = user.home / f"box-{process.pid}.json"
        file.write_text(line, encoding="utf-8")
        yield str(file)
    finally:
        process.kill()
        process.communicate(timeout=30)


def rows(log: Path, venue: str, kind: Kind, *more: int) -> dict[str, np.ndarray]:
    reader = LogReader(LogStore(log), venue, "EURUSD", {kind: EVENTS[kind].names}, *more)
    parts = [batch.columns[kind] for batch in reader]
    return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


def quotes(log: Path, venue: str, *more: int) -> list[tuple[int, int, int]]:
    found = rows(log, venue, Kind.QUOTE, *more)
    return sorted(zip(*(found[n].tolist() for n in ("ts_ns", "bid", "ask")), strict=True))


def worker_of(process: subprocess.Popen[str]) -> int:
    """The process that calls the terminal for ``process``."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for task in Path(f"/proc/{process.pid}/task").glob("*/children"):
            for child in task.read_text(encoding="utf-8").split():
                if "worker_main" in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8"):
                    return int(child)
        time.sleep(0.02)
    raise AssertionError("no worker was started")


def waited(log: Path, process: subprocess.Popen[str], size: int) -> None:
    """Until the journal of the recording has grown by some."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        if sum(p.stat().st_size for p in (log / "_live").rglob("*") if p.is_file()) > size:
            return
        time.sleep(0.02)
    raise AssertionError("nothing was recorded")


def test_a_recording_through_a_killed_worker_is_whole_in_the_end(user: User) -> None:
    log = user.home / "log"
    with sandbox(user) as file:
        words = ("--venue", "mt5", "--symbol", "EURUSD", "--endpoint", file)
        process = user.start("record", *words, "--until-end", "--json")
        waited(log, process, 20_000)
        os.kill(worker_of(process), signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        facts: dict[str, Any] = json.loads(out)
        # each stream tells its hole when it begins, and again when it speaks before the end
        assert set(facts["gaps_by_reason"]) == {"disconnect"} and 2 <= facts["gaps"] <= 4, facts
        assert facts["rejects"] == {} and facts["dropped"] == 0
        gaps = rows(log, "mt5", Kind.GAP)
        assert set(gaps["stream"].tolist()) >= {int(Kind.QUOTE)}
        assert set(gaps["filled"].tolist()) == {1}
        mine = quotes(log, "mt5")
        assert mine == quotes(user.home / "market", "oanda", mine[0][0], mine[-1][0] + 1)
        received = rows(log, "mt5", Kind.QUOTE)["recv_ns"]
        assert 0 < (received == 0).sum() < len(received)  # those that were fetched
        bars = rows(log, "mt5", Kind.BAR)
        assert set(np.diff(bars["open_ns"]).tolist()) <= {60_000_000_000}

        done = user.json("fetch", "EURUSD", "--venue", "mt5", "--from", "2024-06-04",
                         "--endpoint", file)  # fmt: skip
        assert done["complete"] and done["ranges"][0]["known"] == len(mine)
        assert quotes(log, "mt5") == quotes(user.home / "market", "oanda")
        again = user.json("fetch", "EURUSD", "--venue", "mt5", "--from", "2024-06-04",
                          "--endpoint", file)  # fmt: skip
        assert [r["added"] for r in again["ranges"]] == [0, 0]
        wrong = user.ofs("fetch", "EURUSDm", "--venue", "mt5", "--from", "2024-06-04",
                         "--endpoint", file)  # fmt: skip
        assert wrong.code == 2 and "it has EURUSD" in wrong.err
        wrong = user.ofs("record", *words, "--clock", "utc", "--new")
        assert wrong.code == 5 and "does not run by the rule 'utc'" in wrong.err


def paper(user: User, file: str, symbol: str, strategy: str, *more: str) -> dict[str, Any]:
    config = user.home / "paper.toml"
    config.write_text(PAPER.format(symbol=symbol, strategy=strategy), encoding="utf-8")
    words = ("--config", config, "--endpoint", file, "--until-end", "--json", *more)
    process = user.start("paper", *words)  # a user's commands have two minutes, this may need more
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    facts: dict[str, Any] = json.loads(out)
    checked = user.ofs("verify", facts["runs"][0])
    assert checked.code == 0, checked.err
    return facts


def test_a_session_on_paper_verifies(user: User) -> None:
    with sandbox(user) as file:
        facts = paper(user, file, "EURUSD", "watch_proxy")
    assert facts["decisions"] > 10 and facts["gaps"] == 0 and facts["events"] > 300


@pytest.mark.campaign
@pytest.mark.skipif(not CAMPAIGN, reason="it compiles the whole scalper: OFS_CAMPAIGN=1")
@pytest.mark.parametrize(
    ("symbol", "folder"),
    [("XAUUSD", "cfd/oanda/tick/xauusd"), ("EURUSD", "forex/oanda/tick/eurusd")],
)
def test_the_proxy_scalper_from_backtest_to_paper(user: User, symbol: str, folder: str) -> None:
    log = user.home / "shared"
    zipped = shared_data(f"quotes/{folder}/20140506_quote.zip")
    assert user.ofs("import", zipped, OFS_LOG=str(log)).code == 0
    span = ("--from", "2014-05-06T00:00", "--to", "2014-05-06T10:00")
    run = user.json("backtest", "--strategy", "proxy_scalper", "--symbol", symbol, *span,
                    OFS_LOG=str(log))  # fmt: skip
    assert run["fills"] > 10
    with sandbox(user, "--log", str(log), "--symbol", symbol, *span, speed=120) as file:
        facts = paper(user, file, symbol, "proxy_scalper")
    assert facts["decisions"] > 5_000 and facts["fills"] > 10 and facts["gaps"] == 0
