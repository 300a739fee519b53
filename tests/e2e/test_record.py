"""``ofs record`` over a served range: the log that comes out is the log that was played."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

import replays
from data.events import EVENTS, Kind
from data.log import LogReader, LogStore
from data.times import parse_utc
from tests.e2e.served import FROM, TO, serving, session_json
from tests.e2e.support import User

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")


def trades(log: Path, venue: str) -> dict[str, np.ndarray]:
    """Trades of the range, without what only a recording has."""
    names = [n for n in EVENTS[Kind.TRADE].names if n not in ("recv_ns", "seq", "tick")]
    span = parse_utc(FROM), parse_utc(TO)
    reader = LogReader(LogStore(log), venue, "BTCUSDT", {Kind.TRADE: names}, *span)
    parts = [batch.columns[Kind.TRADE] for batch in reader]
    return {name: np.concatenate([p[name] for p in parts]) for name in names}


def test_what_was_played_is_recorded_and_goes_on_after_a_kill(user: User) -> None:
    with serving(user, speed=300) as served:
        served.killed(served.record("--checkpoint", "5m"), 1.5)
        done = user.ofs(*served.record("--checkpoint", "5m"))
        assert done.code == 0, done.err
        facts = done.json()
    kept = session_json(user)
    assert kept["session"] == facts["session"]
    assert len(kept["starts"]) == 2
    assert facts["synced"] == facts["sealed"] == facts["events"]
    assert set(facts["gaps_by_reason"]) <= {"downtime"}
    played, came = trades(replays.path(), "synthetic"), trades(user.log, "binance-spot")
    for name, values in came.items():
        assert np.array_equal(values, played[name]), f"{name}: what was missed was fetched"


def test_another_recording_seals_what_was_left(user: User) -> None:
    with serving(user, speed=300) as served:
        served.killed(served.record(), 1.0)
        words = served.record()
        words[words.index("trade,depth,bar")] = "trade"
        done = user.ofs(*words)
        assert done.code == 0, done.err
    store = LogStore(user.log)
    kinds = {s.kind for s in store.series()}
    assert Kind.DEPTH in kinds, "the first session's events are in the log"
    assert not list(user.log.glob("_live/*/*.wal"))
