"""What the end-to-end tests share: one home, one log of real recordings, rows by SQL.

Everything here goes through the command line in a process of its own, as a user does.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.cli.run import Result, command, environment, ofs

NEXO = "NEXOUSDT"
BTC = "BTCUSDT"

BTC_SETTINGS = ("warmup=2", "entry_z=1.2", "window=15s", "cooldown=0")
"""Six minutes hold few windows: a short warm-up and a low bar let trades happen in them."""

NEXO_SETTINGS = ("entry_z=1.5",)

CAMPAIGN = bool(os.environ.get("OFS_CAMPAIGN"))
"""Campaigns run whole with OFS_CAMPAIGN=1, in short form otherwise."""


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class User:
    """A user with a home, a log and a folder of runs of their own."""

    home: Path
    fresh: bool = False
    """Whether every command starts an interpreter, and is no fork of one that has loaded ofs."""

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def env(self) -> dict[str, str]:
        return {"OFS_LOG": str(self.log), "OFS_RUNS": str(self.runs)}

    def ofs(self, *words: str | Path, **env: str) -> Result:
        """Run ``ofs`` to its end."""
        return ofs(
            *(str(w) for w in words), home=self.home, fresh=self.fresh, **{**self.env, **env}
        )

    def start(self, *words: str | Path, **env: str) -> subprocess.Popen[str]:
        """Start ``ofs`` and return at once."""
        return subprocess.Popen(
            command(*(str(w) for w in words)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment(self.home, **{**self.env, **env}),
            cwd=self.home,
            # a shell that runs the tests in the background makes its children deaf to Ctrl-C
            preexec_fn=_hear_interrupts if os.name == "posix" else None,
        )

    def json(self, *words: str | Path, **env: str) -> Any:
        """The JSON value of a command that must succeed."""
        done = self.ofs(*words, "--json", **env)
        assert done.code == 0, done.err
        return done.json()

    def sql(self, question: str) -> list[dict[str, Any]]:
        """Rows of ``ofs query``."""
        rows: list[dict[str, Any]] = self.json("query", question)
        return rows

    def backtest(self, *words: str, settings: tuple[str, ...] = ()) -> dict[str, Any]:
        """The JSON object of a backtest that must succeed."""
        flags = [word for setting in settings for word in ("--set", setting)]
        facts: dict[str, Any] = self.json("backtest", *words, *flags)
        return facts

    def table(self, run: str, view: str) -> pa.Table:
        """A record table of a run, as it is stored."""
        return pq.read_table(self.runs / run / f"{view}.parquet")


def new_user(home: Path) -> User:
    """A user whose home is there and empty."""
    home.mkdir(parents=True, exist_ok=True)
    return User(home)


def tree(folder: Path) -> set[str]:
    """Every file and folder below ``folder``."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}
