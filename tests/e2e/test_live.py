"""``ofs live`` against a sandbox: the whole path from a venue's sockets to an account and back.

A terminal's stand-in plays the replay, the flow venue beside it, under one clock; the session, the
worker processes and the sandbox are processes as a user starts them.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import replays
from data.enums import Control, Kind
from data.log import LogReader, LogStore
from tests.cli.run import command, environment
from tests.e2e.support import CAMPAIGN, User

FROM = "2026-01-05T12:00:00Z"
pytestmark = pytest.mark.timeout(600)
SEEDS = range(5 if CAMPAIGN else 1)
PATIENCE_S = 400
"""A fold that has to be compiled first takes minutes on a busy machine."""
PLANTED = "planted-and-not-to-be-seen"
LOGIN = 5_000_001
CONFIG = """
venue = "binance-spot"
symbols = ["BTCUSDT"]
streams = ["trade", "depth", "bar"]
strategy = "delta_flip"

[settings]
warmup = 2
cooldown = 0
entry_z = 1.2
window = "15s"
sim.stale = "2m"
basis.stale = "2m"

[account]
login = 5000001
server = "ofs-Sandbox"

[map]
BTCUSDT = "BTCUSDc"

[limits]
daily_loss = {daily_loss}
lost_feed = "1m"
verdict_age = "30d"
quote_age = "2m"

[record]
checkpoint = "5m"

[http]
on = false
"""


@dataclass
class Box:
    """A user beside whom a sandbox plays; ``line`` is what it printed."""

    user: User
    line: dict[str, Any]

    def words(self, *more: str, daily_loss: float = 1000.0) -> list[str]:
        """Words of a session there."""
        file = self.user.home / "live.toml"
        file.write_text(CONFIG.format(daily_loss=daily_loss), encoding="utf-8")
        return ["live", "--config", str(file), "--endpoint", str(self.user.home / "sandbox.json"),
                "--yes-trade-account", str(LOGIN), "--unproven", "a test", "--until-end",
                "--json", *more]  # fmt: skip

    def terminal(self) -> dict[str, Any]:
        """What the sandbox says of its account and of what was asked of it."""
        with urllib.request.urlopen(f"{self.line['rest']}/ofs/terminal", timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def begun(self, words: list[str]) -> subprocess.Popen[str]:
        """A session that runs: its first line is out."""
        process = self.user.start(*words)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("session "):
                return process
        raise AssertionError("the session did not begin")


@contextmanager
def sandbox(user: User, *, minutes: int, speed: float) -> Iterator[Box]:
    """Play the first minutes of the replay."""
    out = user.home / "sandbox.json"
    words = ["sandbox", "--log", str(replays.path()), "--map", "BTCUSDc=BTCUSDT", "--layout",
             "spot", "--from", FROM, "--to", f"2026-01-05T12:{minutes:02d}:00Z", "--speed",
             str(speed), "--hold", "60s", "--grace", "0.3s"]  # fmt: skip
    with out.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command(*words), stdout=file, stderr=subprocess.PIPE, cwd=user.home,
            env=environment(user.home, **user.env),
        )  # fmt: skip
    try:
        end_s = time.monotonic() + 60
        while not out.read_text(encoding="utf-8").endswith("\n"):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end_s
            time.sleep(0.05)
        yield Box(user, json.loads(out.read_text(encoding="utf-8")))
    finally:
        process.kill()
        process.communicate()


def check_books(facts: dict[str, Any]) -> None:
    """Nothing is unknown, and the account's money is ours to the last cent."""
    assert facts["books"]["equal"] and facts["books"]["difference"] == 0, facts["books"]
    assert facts["blocked"] == [] and facts["unknown"] == 0 and facts["reconciled"]


def check_verified(user: User, facts: dict[str, Any]) -> None:
    """The session's run is the fold of its log."""
    verdict = user.json("verify", "last")
    assert verdict["ok"] and verdict["digest"] == facts["digest"], verdict


def control_codes(log: Path) -> list[int]:
    """Codes of the control events of a session."""
    reader = LogReader(LogStore(log), "binance-spot", "BTCUSDT", {Kind.CONTROL: ("seq", "code")})
    return [int(code) for batch in reader for code in batch.columns[Kind.CONTROL]["code"]]


def test_a_try_needs_nothing_but_the_command(user: User) -> None:
    process = user.start(
        "live", "--sandbox", "--log", replays.path(), "--speed", "300", "--from", FROM,
        "--to", "2026-01-05T12:25:00Z", "--until-end", "--json", OFS_MT5_PASSWORD=PLANTED,
    )  # fmt: skip
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    facts = json.loads(out)
    assert facts["fills"] > 0 and facts["orders"] > 0, facts
    assert facts["intents"] >= facts["gateway"]["sent"] > 0
    assert facts["account"]["login"] == LOGIN and facts["account"]["balance"] != 10_000
    check_books(facts)
    check_verified(user, facts)
    (log,) = (user.runs / "_sessions").glob("*/log")
    assert int(Control.UNPROVEN) in control_codes(log)
    for path in user.home.rglob("*"):
        if path.is_file():
            assert PLANTED.encode() not in path.read_bytes(), path
    assert PLANTED not in out + err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_any_moment_it_sends_nothing_twice(user: User, seed: int) -> None:
    chance = random.Random(seed)
    with sandbox(user, minutes=15, speed=120) as box:
        for _ in range(2 if CAMPAIGN else 1):
            process = box.begun(box.words())
            time.sleep(chance.uniform(1.5, 3.0))
            process.kill()
            process.communicate()
        process = user.start(*box.words())
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        facts, there = json.loads(out), box.terminal()
    assert facts["resumed_at"] > 0 and facts["gaps_by_reason"]["downtime"] > 0
    assert facts["fills"] > 0, "or the test proves little"
    assert there["calls"]["order_send"] <= facts["intents"], "each intent left once at most"
    assert there["deals"] - 1 == facts["fills"], "one deal brought the balance"
    assert there["balance"] == facts["account"]["balance"]
    check_books(facts)
    check_verified(user, facts)


@pytest.mark.skipif(not CAMPAIGN, reason="the guard has tests of its own; OFS_CAMPAIGN=1")
def test_the_loss_of_a_day_closes_everything_and_ends(user: User) -> None:
    with sandbox(user, minutes=25, speed=150) as box:
        process = user.start(*box.words(daily_loss=0.01))
        out, err = process.communicate(timeout=PATIENCE_S)
        there = box.terminal()
    assert process.returncode == 6, err
    facts = json.loads(out)
    assert facts["ended"].startswith("the day lost")
    assert facts["held"] == 0 and there["positions"] == 0
    check_books(facts)
    check_verified(user, facts)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")
def test_a_signal_flattens_and_ends(user: User) -> None:
    with sandbox(user, minutes=40, speed=100) as box:
        process = box.begun(box.words())
        while not box.terminal()["positions"]:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=PATIENCE_S)
        there = box.terminal()
    facts = json.loads(out)
    assert facts["ended"] == "SIGUSR1 asked for it", err
    assert facts["held"] == 0 and there["positions"] == 0
    check_books(facts)


def test_gates_that_do_not_pass_stop_it(user: User) -> None:
    with sandbox(user, minutes=2, speed=1) as box:
        words = box.words()
        at = words.index("--unproven")
        unproven = user.ofs(*words[:at], *words[at + 2 :])
        words[words.index("--yes-trade-account") + 1] = "7"
        other = user.ofs(*words)
        assert box.terminal()["calls"].get("order_send", 0) == 0
        looked = user.ofs("doctor", "--offline", "--live", str(user.home / "live.toml"),
                          "--sandbox", str(user.home / "sandbox.json"), "--json")  # fmt: skip
    assert unproven.code == 6 and "never judged on paper" in unproven.err
    assert other.code == 6 and "--yes-trade-account says 7" in other.err
    lines = {line["check"]: line["status"] for line in looked.json()["lines"]}
    assert lines["login"] == lines["symbol BTCUSDc"] == lines["account"] == "ok"
    assert lines["paper verdict"] == "fail" and looked.code == 1
    assert not (user.runs / "_sessions").exists()
