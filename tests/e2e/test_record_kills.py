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

from data.errors import OfsError
from data.events import EVENTS, Kind
from data.journal import look
from data.log import LogReader, LogStore
from tests.e2e.served import Served, serving
from tests.e2e.support import CAMPAIGN, User

KILLS = 200 if CAMPAIGN else 2
SPEED = 800 if CAMPAIGN else 300
SPAN = ("2026-01-05T12:00:00Z", "2026-01-05T18:00:00Z") if CAMPAIGN else ()
RESTART_S = 2.0 if CAMPAIGN else 10.0
"""From the start of a process to its first new event on the disk; other tests share the machine."""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")


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
    kinds = dict.fromkeys(EVENTS, ("seq", "id"))
    reader = LogReader(LogStore(user.log), "binance-spot", "BTCUSDT", kinds)
    seqs, ids = [], []
    for batch in reader:
        seqs += [batch.columns[kind]["seq"] for kind in kinds]
        ids.append(batch.columns[Kind.TRADE]["id"])
    seq = np.sort(np.concatenate(seqs))
    received = seq[seq > 0]
    assert np.array_equal(received, np.arange(1, len(received) + 1)), "no hole, no event twice"
    trades = np.sort(np.concatenate(ids))
    assert np.array_equal(trades, np.arange(trades[0], trades[-1] + 1)), "each trade once"
    assert slowest <= RESTART_S, f"recording again took {slowest:.1f} s"
