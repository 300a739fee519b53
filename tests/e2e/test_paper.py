"""A paper session over a served range: what it decided is what the fold of its log decides.

Killed at any moment it goes on, with the time between as a gap, and the whole still verifies.
"""

from __future__ import annotations

import random
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.events import EVENTS, Kind
from data.log import LogReader, LogStore
from tests.e2e.served import serving, session_json
from tests.e2e.support import CAMPAIGN, User

SEEDS = range(8 if CAMPAIGN else 1)
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")


def events_of(log: Path) -> tuple[np.ndarray, np.ndarray]:
    """(seq, trade ids) of everything in a log, in order."""
    kinds = dict.fromkeys(EVENTS, ("ts_ns", "seq", "id"))
    reader = LogReader(LogStore(log), "binance-spot", "BTCUSDT", kinds)
    seqs, ids = [], []
    for batch in reader:
        seqs += [batch.columns[kind]["seq"] for kind in kinds]
        ids.append(batch.columns[Kind.TRADE]["id"])
    return np.sort(np.concatenate(seqs)), np.concatenate(ids)


def check_whole(user: User, facts: dict) -> None:
    """The session's run verifies, and its log has every event once."""
    (run,) = facts["runs"]
    verdict = user.json("verify", run)
    assert verdict["ok"], verdict
    assert verdict["digest"] == facts["digest"]
    seqs, ids = events_of(log_of(user))
    received = seqs[seqs > 0]
    assert received.tolist() == list(range(1, facts["events"] + 1))
    assert facts["synced"] == facts["events"]
    assert np.array_equal(np.sort(ids), np.arange(ids.min(), ids.max() + 1)), (
        "what was missed was fetched over REST"
    )


def log_of(user: User) -> Path:
    (log,) = (user.runs / "_sessions").glob("*/log")
    return log


def test_a_session_verifies_and_reports(user: User) -> None:
    with serving(user) as served:
        done = user.ofs(*served.paper())
        assert done.code == 0, done.err
        facts = done.json()
    check_whole(user, facts)
    assert facts["decisions"] > 250
    assert facts["gaps"] == 0
    assert facts["lag_p99_ms"] > 0
    kept = session_json(user)
    assert kept["ended"]["reason"] == "the served range is over"
    assert not list(log_of(user).glob("_live/*/*.wal")), "what is sealed is not kept twice"
    assert user.json("explain", "decision:100", "--run", facts["runs"][0])["agrees"]
    rows = pq.read_table(user.runs / facts["runs"][0] / "decisions.parquet")
    assert rows.num_rows == facts["decisions"]


@pytest.mark.parametrize("seed", SEEDS)
def test_stopped_and_killed_at_any_moment_it_goes_on(user: User, seed: int) -> None:
    chance = random.Random(seed)
    with serving(user, speed=300) as served:
        said = served.killed(served.paper(), chance.uniform(1.2, 1.8), signal.SIGTERM)
        assert "stopped" in said, said
        kept = session_json(user)
        assert kept["phase"] == "stopped"
        assert kept["ended"] is None, "a session that was stopped can go on"
        served.killed(served.paper(), chance.uniform(0.3, 1.2))
        done = user.ofs(*served.paper())
        assert done.code == 0, done.err
        facts = done.json()
    assert facts["session"] == kept["session"]
    assert facts["resumed_at"] > 0
    assert facts["gaps_by_reason"]["downtime"] >= 4
    check_whole(user, facts)
    assert len(session_json(user)["starts"]) == 3
