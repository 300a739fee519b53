"""A simulated fortnight: served days, rotations, crashes and disk alarms end in a verdict.

With OFS_CAMPAIGN=1: fourteen days with three crashes and two alarms. The short form of the same is
test_verdict.py.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.served import Served, serving_log, session_json
from tests.e2e.support import CAMPAIGN, User

DAYS = 14
SPEED = 20_000
PATIENCE_S = 1_500
ACTS = ("kill", "alarm", "kill", "alarm", "kill")

CONFIG = """
venue = "binance-um"
symbols = ["BTCUSDT"]
streams = ["trade", "depth", "bar"]
strategy = "delta_flip"
days = {days}

[record]
checkpoint = "6h"

[disk]
free_min = "{free_min}"

[http]
on = false

[gates]
off = ["trades", "expectancy", "place", "lag", "decision_lag", "venue_lag", "cpu", "filled",
       "uptime", "gaps", "disk", "slippage", "memory"]
"""

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX"),
    pytest.mark.skipif(not CAMPAIGN, reason="fourteen served days; short form in test_verdict.py"),
]


def words(served: Served, free_min: int) -> list[str]:
    """A session that goes on, under a mark of free space."""
    file = served.user.home / "paper.toml"
    file.write_text(
        CONFIG.format(days=DAYS + 1, free_min=f"{free_min // 10**6}MB"), encoding="utf-8"
    )
    return ["paper", "--config", str(file), "--endpoint", str(served.address), "--until-end",
            "--json"]  # fmt: skip


@pytest.mark.campaign
@pytest.mark.timeout(2 * PATIENCE_S)
def test_a_fortnight_ends_in_a_verdict(user: User, tmp_path: Path) -> None:
    sparse = ("--rate", "0.2/s", "--depth-ms", "5000", "--log", str(tmp_path / "market"))
    made = user.ofs("synth", "--seed", "9", "--days", str(DAYS), *sparse, "--no-progress")
    assert made.code == 0, made.err
    chance = random.Random(4)
    span_s = DAYS * 86_400 / SPEED
    with serving_log(user, tmp_path / "market", "futures", speed=SPEED) as served:
        for act in ACTS:
            # a tenth below the mark: depth is given up, everything else goes on
            mark = shutil.disk_usage(user.home).free * 11 // 10 if act == "alarm" else 0
            number = signal.SIGTERM if act == "alarm" else signal.SIGKILL
            served.killed(words(served, mark), 0.6 + chance.random() * span_s / 8, number)
        last = user.start(*words(served, 0))
        out, err = last.communicate(timeout=PATIENCE_S)
        assert last.returncode == 0, err
        facts = json.loads(out)
    kept = session_json(user)
    assert len(kept["starts"]) == len(ACTS) + 1
    assert facts["gaps_by_reason"]["disk"] >= ACTS.count("alarm")
    assert facts["gaps_by_reason"]["downtime"] >= 2 * len(ACTS)
    verdict = user.json("verify", facts["runs"][0])
    assert verdict["ok"], verdict
    report = user.ofs("paper", "report", "last", "--json")
    print({name: facts[name] for name in ("events", "gaps_by_reason", "decisions", "orders")})
    judged = {gate["gate"]: gate for gate in report.json()["gates"]}
    assert judged["parity"]["status"] == "pass", judged["parity"]
    assert report.code in (0, 1), report.err
