"""A venue that plays a log with faults, and sessions over it, as processes of their own.

The layout of spot has one socket, so what a session receives has one order, run after run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pyarrow.parquet as pq

import replays
from data.events import EVENTS, Kind
from data.log import LogReader, LogStore
from tests.cli.run import command, environment
from tests.e2e.support import CAMPAIGN, User

READY_S = 60
SEED = int(os.environ.get("OFS_SEED", "0"))
"""First seed of a campaign: OFS_SEED=N runs the one that failed."""

PAPER = """
venue = "binance-spot"
symbols = ["BTCUSDT"]
streams = ["trade", "depth", "bar"]
strategy = "delta_flip"
[settings]
window = "5s"
memory = 2
warmup = 2
entry_z = 0.5
cooldown = "1s"
max_hold = "20s"
[record]
checkpoint = "{checkpoint}"
[http]
on = false
"""


def seeds(short: int, long: int) -> list[int]:
    """The seeds of a campaign."""
    return [SEED + n for n in range(long if CAMPAIGN else short)]


@dataclass
class Venue:
    """A venue that plays; ``line`` is what it said when it was ready."""

    user: User
    file: Path
    line: dict[str, Any]

    def asked(self, path: str) -> dict[str, Any]:
        """What its REST says at ``path``."""
        with urlopen(self.line["rest"] + path, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def wait_until(self, at_ns: int, patience_s: float = 60) -> None:
        """Until it has sent everything up to ``at_ns``."""
        by_s = time.monotonic() + patience_s
        while self.asked("/ofs/clock")["now_ns"] < at_ns:
            assert time.monotonic() < by_s, "the venue does not get there"
            time.sleep(0.02)

    def paper(self, *more: str, checkpoint: str = "10m") -> list[str]:
        """Words of a paper session over it."""
        config = self.user.home / "paper.toml"
        config.write_text(PAPER.format(checkpoint=checkpoint), encoding="utf-8")
        return ["paper", "--config", str(config), "--endpoint", str(self.file), "--until-end",
                "--json", "--no-progress", *more]  # fmt: skip


@contextmanager
def playing(user: User, *options: str, log: Path | None = None, faults: str = "",
            speed: float = 600, hold: str = "60s") -> Iterator[Venue]:  # fmt: skip
    """Play ``log`` (the replay by default); ``faults`` is a script."""
    words = ["serve", "--log", str(log or replays.path()), "--layout", "spot", "--speed",
             str(speed), "--hold", hold, "--grace", "0.3s", *options]  # fmt: skip
    if faults:
        (user.home / "faults.toml").write_text(faults, encoding="utf-8")
        words += ["--faults", str(user.home / "faults.toml")]
    file, said = user.home / "served.json", user.home / "served.err"
    with file.open("w", encoding="utf-8") as out, said.open("w", encoding="utf-8") as err:
        process = subprocess.Popen(command(*words), stdout=out, stderr=err, cwd=user.home,
                                   env=environment(user.home, **user.env))  # fmt: skip
    try:
        by_s = time.monotonic() + READY_S
        while not file.read_text(encoding="utf-8").endswith("\n"):
            assert process.poll() is None, said.read_text(encoding="utf-8")
            assert time.monotonic() < by_s, "the venue does not get ready"
            time.sleep(0.02)
        yield Venue(user, file, json.loads(file.read_text(encoding="utf-8")))
    finally:
        process.kill()
        process.wait()


def session_log(user: User) -> Path:
    """The log of the only session."""
    (log,) = (user.runs / "_sessions").glob("*/log")
    return log


def rows(log: Path, kind: Kind, venue: str = "binance-spot") -> dict[str, np.ndarray]:
    """All rows of a kind in a log, in its order."""
    names = [n for n in EVENTS[kind].names if not n.startswith(("bid_", "ask_"))]
    reader = LogReader(LogStore(log), venue, "BTCUSDT", {kind: names})
    parts = [batch.columns[kind] for batch in reader]
    return {name: np.concatenate([p[name] for p in parts]) for name in names}


def table(user: User, run: str, view: str) -> dict[str, np.ndarray]:
    """A record table of a run, by column."""
    found = pq.read_table(user.runs / run / f"{view}.parquet")
    return {name: found[name].to_numpy() for name in found.column_names}


def check_whole(user: User, facts: dict[str, Any]) -> None:
    """The session's run verifies, and its log has every event once."""
    (run,) = facts["runs"]
    verdict = user.json("verify", run)
    assert verdict["ok"], verdict
    assert verdict["digest"] == facts["digest"]
    log, seqs = session_log(user), []
    for kind in {s.kind for s in LogStore(log).series()}:
        seqs.append(rows(log, kind)["seq"])
    got = np.sort(np.concatenate(seqs))
    got = got[got > 0]  # what was fetched later has no number
    assert np.array_equal(got, np.arange(1, facts["events"] + 1))
    ids = rows(log, Kind.TRADE)["id"]
    assert len(np.unique(ids)) == len(ids)
    assert facts["synced"] == facts["events"]


def moments(chance: random.Random, count: int, from_ns: int, to_ns: int) -> list[int]:
    """Random times in a range, in order, ns UTC."""
    return sorted(chance.randrange(from_ns, to_ns) for _ in range(count))
