"""The recorder is killed again and again while it is busy: nothing that was synced is lost.

Afterwards every event number is there once, every trade once, and recording again took seconds.
"""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import replays
from data.errors import OfsError
from data.events import EVENTS, Kind
from data.journal import look
from data.log import LogReader, LogStore
from tests.e2e.served import Served, serving
from tests.e2e.support import CAMPAIGN, User

KILLS = 200 if CAMPAIGN else 2
SPEED = 800 if CAMPAIGN else 300
SPAN = ("2026-01-05T12:00:00Z", "2026-01-05T18:00:00Z") if CAMPAIGN else ()
RESTART_S = 2.0 if CAMPAIGN else 20.0
"""From the start of a process to its first new event on the disk; other tests share the machine."""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")


def trades_of(log: Path, venue: str) -> dict[str, np.ndarray]:
    """Trades of a log without what only a recording has."""
    names = [n for n in EVENTS[Kind.TRADE].names if n not in ("recv_ns", "seq", "tick")]
    reader = LogReader(LogStore(log), venue, "BTCUSDT", {Kind.TRADE: names})
    parts = [batch.columns[Kind.TRADE] for batch in reader]
    return {name: np.concatenate([p[name] for p in parts]) for name in names}


def synced_of(log: Path) -> int:
    """The last event that is on the disk now."""
    (folder,) = (log / "_live").glob("*-record")
    return look(folder).last_seq


def killed(served: Served, chance: random.Random, log: Path) -> tuple[int, float]:
    """Start a recording, wait until it writes, kill it; (last event before, seconds to the first
    new one)."""
    before = synced_of(log) if list((log / "_live").glob("*-record")) else 0
    began = time.monotonic()
    process = served.user.start(*served.record("--checkpoint", "2m"))
    took = 0.0
    while not took:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < 60
        time.sleep(0.01)
        try:
            now = synced_of(log) if list((log / "_live").glob("*-record")) else 0
        except (OfsError, OSError, ValueError):
            continue  # it changes under our eyes
        if now > before:
            took = time.monotonic() - began
    time.sleep(chance.uniform(0.05, 0.7))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return before, took


def test_nothing_synced_is_lost_and_nothing_is_there_twice(user: User) -> None:
    chance = random.Random(11)
    span = ("--from", SPAN[0], "--to", SPAN[1]) if SPAN else ()
    slowest = 0.0
    with serving(user, *span, speed=SPEED) as served:
        for n in range(KILLS):
            before, took = killed(served, chance, user.log)
            slowest = max(slowest, took if n else 0.0)
            assert synced_of(user.log) > before, "what was on the disk still is"
        last = synced_of(user.log)
        process = user.start(*served.record())
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert json.loads(out)["synced"] > last
    kinds = dict.fromkeys(EVENTS, ("seq",))
    reader = LogReader(LogStore(user.log), "binance-spot", "BTCUSDT", kinds)
    parts = [batch.columns[kind]["seq"] for batch in reader for kind in EVENTS]
    seq = np.sort(np.concatenate(parts))
    received = seq[seq > 0]
    assert np.array_equal(received, np.arange(1, len(received) + 1)), "no hole, no event twice"
    played, came = trades_of(replays.path(), "synthetic"), trades_of(user.log, "binance-spot")
    there = slice(*np.searchsorted(played["id"], (came["id"][0], came["id"][-1] + 1)).tolist())
    for name, values in came.items():
        assert np.array_equal(values, played[name][there]), f"{name}: each trade once, as played"
    assert slowest <= RESTART_S, f"recording again took {slowest:.1f} s"
