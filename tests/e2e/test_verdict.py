"""What a verdict says of a session that crashed and whose disk was nearly full: figure by figure.

The session runs in processes of its own against a served venue. The campaign (OFS_CAMPAIGN=1)
serves 14 days and kills the session three times; the short form serves an hour and kills it once.
Every second start finds a disk with too little free space, and leaves the books out.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest

from data.log import LogStore
from data.sources.synthetic import MarketSpec, write_market
from tests.e2e.support import CAMPAIGN, User

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills with SIGKILL")

HOURS = 14 * 24 if CAMPAIGN else 1
KILLS = 3 if CAMPAIGN else 1
SPEED = 6000 if CAMPAIGN else 1000
RATE = 0.5 if CAMPAIGN else 2.0
ROTATE = "23h" if CAMPAIGN else "20m"
PATIENCE_S = 1200 if CAMPAIGN else 90

CONFIG = f"""
venue = "binance-um"
symbols = ["BTCUSDT"]
streams = ["trade", "depth"]
strategy = "delta_flip"
[settings]
entry_z = 1
book = "off"
window = "15s"
warmup = 5
cooldown = "10s"
max_hold = "2m"
[record]
checkpoint = "20m"
rotate_after = "{ROTATE}"
[http]
port = 0
[gates]
days_min = {0.99 * HOURS / 24}
uptime_min = 0.9
gap_share_max = 0.6
off = ["memory"]
trades_min = 10
rejects_max = 0.1
expectancy_bp_min = -1e6
cpu_max = 2
lag_p50_ms_max = 1e4
lag_p99_ms_max = 1e5
decision_p99_ms_max = 1e5
disk_free_min = "1MB"
"""
"""What a busy machine of tests may do to lags is not asked here; that no decision differs is."""


@contextmanager
def served(user: User) -> Iterator[dict[str, Any]]:
    """A venue that plays the log and waits for a session that died; yields its line."""
    words = ("serve", "--log", str(user.home / "past"), "--speed", str(SPEED), "--hold", "60s")
    process = user.start(*words, "--no-progress")
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        (user.home / "venue.json").write_text(line, encoding="utf-8")
        yield json.loads(line)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def start(user: User, *, alarm: bool) -> subprocess.Popen[str]:
    """Start the session, or go on with it; ``alarm``: free space is a little below the mark."""
    free_min = int(shutil.disk_usage(user.home).free * 1.08) if alarm else 0
    text = f'{CONFIG}[disk]\nfree_min = "{free_min}B"\n'
    (user.home / "paper.toml").write_text(text, encoding="utf-8")
    return user.start("paper", "--config", "paper.toml", "--endpoint", "venue.json", "--until-end",
                      "--json", "--no-progress")  # fmt: skip


def wait_for(venue: dict[str, Any], share: float) -> None:
    """Until ``share`` of the served range was sent."""
    target = venue["from_ns"] + share * (venue["end_ns"] - venue["from_ns"])
    by_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < by_s:
        with urlopen(f"{venue['rest']}/ofs/clock", timeout=10) as answer:
            if json.load(answer)["now_ns"] >= target:
                return
        time.sleep(0.05)
    pytest.fail(f"the venue did not get to {share:.0%}")


@pytest.mark.timeout(2400 if CAMPAIGN else 180)
def test_what_a_session_missed_and_did_stands_in_its_verdict(user: User) -> None:
    spec = MarketSpec(duration_s=HOURS * 3600, rate_per_s=RATE, depth_levels=5, depth_ms=5_000)
    write_market(LogStore(user.home / "past", create=True), spec)
    with served(user) as venue:
        for kill in range(KILLS):
            session = start(user, alarm=kill % 2 == 1)
            wait_for(venue, (kill + 1) / (KILLS + 1))
            session.kill()
            session.communicate(timeout=30)
        last = start(user, alarm=KILLS % 2 == 1)
        out, err = last.communicate(timeout=PATIENCE_S)
    assert last.returncode == 0, err
    said = json.loads(out)
    assert said["resumed_at"] > 0 and said["gaps_by_reason"]["downtime"] >= KILLS
    done = user.ofs("paper", "report", said["session"], "--json", "--no-progress")
    assert done.code == 0, done.out + done.err
    verdict = done.json()
    gates = {gate["gate"]: gate for gate in verdict["gates"]}
    assert verdict["verdict"] == "PASS" and verdict["starts"] == KILLS + 1
    assert gates["parity"]["values"]["decisions"] == said["decisions"]
    assert gates["filled"]["values"] == {"share": 1.0, "holes": KILLS, "filled": KILLS}
    holes = gates["gaps"]["values"]
    alarms = (KILLS + 1) // 2  # each one hole in the books, from the crash before to that after
    assert holes["reasons"] == {"DOWNTIME": KILLS + alarms, "DISK": alarms}
    assert holes["streams"]["BTCUSDT trade"] == 0.0
    assert 0.3 < holes["streams"]["BTCUSDT depth"] < 0.6
    (run,) = said["runs"]
    verified = user.json("verify", run)
    assert verified["ok"] and verified["digest"]
