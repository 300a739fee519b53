"""A served range of the replay, and sessions over it: processes as a user starts them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import replays
from tests.e2e.support import User

FROM, TO = "2026-01-05T12:00:00Z", "2026-01-05T12:25:00Z"
"""A part of the replay with decisions, orders and some 10,000 events."""

PAPER = """
venue = "binance-spot"
symbols = ["BTCUSDT"]
streams = ["trade", "depth", "bar"]
strategy = "delta_flip"

[record]
checkpoint = "{checkpoint}"

[http]
on = false
"""


@dataclass
class Served:
    """A user beside whom a venue plays; ``address`` is the file with its line."""

    user: User
    address: Path

    def record(self, *more: str) -> list[str]:
        """Words of a recording of everything."""
        return ["record", "--venue", "binance-spot", "--symbol", "BTCUSDT", "--endpoint",
                str(self.address), "--streams", "trade,depth,bar", "--until-end", "--json",
                *more]  # fmt: skip

    def paper(self, *more: str, checkpoint: str = "10m") -> list[str]:
        """Words of a paper session."""
        file = self.user.home / "paper.toml"
        file.write_text(PAPER.format(checkpoint=checkpoint), encoding="utf-8")
        return ["paper", "--config", str(file), "--endpoint", str(self.address), "--until-end",
                "--json", *more]  # fmt: skip

    def killed(self, words: list[str], after_s: float, number: int = 0) -> str:
        """Start ``words`` and send a signal (0: kill it) ``after_s`` seconds after its first line
        on stderr told the session; the rest of stderr. The process has ended on return."""
        process = self.user.start(*words)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("session "):
                break
        time.sleep(after_s)
        if number and os.name != "nt":  # Windows knows no signals
            process.send_signal(number)
        else:
            process.kill()
        return process.communicate(timeout=60)[1]


@contextmanager
def serving(user: User, *options: str, speed: float = 600) -> Iterator[Served]:
    """Play the range in the layout of spot, whose one socket has one order."""
    span = () if "--from" in options else ("--from", FROM, "--to", TO)
    with serving_log(user, replays.path(), "spot", *span, *options, speed=speed) as served:
        yield served


@contextmanager
def serving_log(
    user: User, log: Path, layout: str, *options: str, speed: float
) -> Iterator[Served]:
    """Play a log in the layout of a venue."""
    address = user.home / "served.json"
    with address.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            _words(user, "serve", "--log", str(log), "--layout", layout, "--speed", str(speed),
                   "--hold", "30s", "--grace", "0.3s", *options),
            stdout=out, stderr=subprocess.PIPE, env=_env(user), cwd=user.home,
        )  # fmt: skip
    try:
        end_s = time.monotonic() + 60
        while not address.read_text(encoding="utf-8").endswith("\n"):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end_s
            time.sleep(0.05)
        yield Served(user, address)
    finally:
        process.kill()
        process.communicate()


def _words(user: User, *words: str) -> list[str]:
    from tests.cli.run import command

    return command(*words)


def _env(user: User) -> dict[str, str]:
    from tests.cli.run import environment

    return environment(user.home, **user.env)


def session_json(user: User) -> dict[str, Any]:
    """The facts of the only session."""
    (found,) = (user.runs / "_sessions").glob("*/session.json")
    facts: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return facts
