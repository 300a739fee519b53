"""A paper session that is killed again and again: it goes on as if nothing had happened but gaps.

Compared with one fold of its log that nobody interrupted: the digest of its records and every byte
of its state, in which stand positions, equity and the losses of the day.

Set OFS_SEED=N to run the seed that failed.
"""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.events import GapReason, Kind
from data.live.wiring import series_in
from data.log import LogReader, LogStore
from engine.kernel.events import READ_COLUMNS
from engine.runtime.fold import Buffers
from engine.runtime.paper_config import from_facts
from engine.runtime.replay import Request
from engine.runtime.session_fold import LiveFold
from engine.runtime.session_state import read_snapshot, snapshots
from strategies import get
from tests.campaigns.venue import (
    Venue,
    check_whole,
    moments,
    playing,
    rows,
    seeds,
    session_log,
    table,
)
from tests.e2e.served import session_json
from tests.e2e.support import CAMPAIGN, User

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills with SIGKILL"),
]
KILLS = 40 if CAMPAIGN else 5
SPEED = 100
CHECKPOINT = "40s"


def hurt(venue: Venue, chance: random.Random, at_ns: int) -> str:
    """Start a session and kill it: one time in four while it begins, else when the market is at
    ``at_ns``; its stderr."""
    process = venue.user.start(*venue.paper(checkpoint=CHECKPOINT))
    if chance.random() < 1 / 4:
        time.sleep(chance.uniform(0.8, 2.2))
    else:
        venue.wait_until(at_ns)
        time.sleep(chance.uniform(0.0, 0.05))
    assert process.poll() is None, process.communicate()
    process.kill()
    return process.communicate(timeout=30)[1]


@pytest.mark.parametrize("seed", seeds(1, 5))
@pytest.mark.timeout(1_200 if CAMPAIGN else 120)
def test_killed_at_any_moment_it_is_one_session(user: User, market: Path, seed: int) -> None:
    chance = random.Random(seed)
    with playing(user, log=market, speed=SPEED) as venue:
        targets = moments(chance, KILLS, venue.line["from_ns"], venue.line["end_ns"])
        said = [hurt(venue, chance, at_ns) for at_ns in targets]
        done = user.ofs(*venue.paper(checkpoint=CHECKPOINT))
        assert done.code == 0, f"seed {seed}: {done.err}"
        said.append(done.err)
        facts = done.json()
    print(f"seed {seed}: {facts['events']} events, {facts['gaps_by_reason']}")
    went_on = [
        int(n.replace(",", "")) for text in said for n in re.findall(r"event ([\d,]+)", text)
    ]
    assert went_on == sorted(went_on), f"seed {seed}: synced events were lost: {went_on}"
    assert len(set(went_on)) >= KILLS / 3, f"seed {seed}: {went_on}"
    assert set(facts["gaps_by_reason"]) <= {"downtime"}, f"seed {seed}"
    check_whole(user, facts)
    once = folded_once(user, facts)
    (snapshot,) = snapshots(user.runs / "_sessions" / facts["session"] / "state")[:1]
    kept = read_snapshot(snapshot)
    assert kept.seq == facts["events"]
    cut = once.cut()
    assert cut.digest.hexdigest() == facts["digest"], f"seed {seed}"
    assert same_state(once, cut.state, kept.states["BTCUSDT"]) == [], f"seed {seed}"
    assert survived(user, facts) > 0, f"seed {seed}: no position was open at any kill"


def folded_once(user: User, facts: dict[str, Any]) -> LiveFold:
    """One fold of what the session received, from its first event to its last."""
    kept = session_json(user)
    config = from_facts(kept["config"])
    request = Request(get(config.strategy), config.strategy, config.venue, settings=config.settings)
    store = LogStore(session_log(user))
    live = LiveFold.make(0, series_in(kept["series"])[0], request, Buffers())
    columns = {kind: READ_COLUMNS[kind] for kind in live.fold.composition.kinds}
    reader = LogReader(store, "binance-spot", "BTCUSDT", columns, received=(0, facts["events"]))
    for batch in reader:
        live.feed(batch.columns, batch.run_kind, batch.run_stop)
    return live


def same_state(live: LiveFold, a: bytes, b: bytes) -> list[str]:
    """Groups of a state that differ."""
    dtype = live.fold.composition.state
    one, two = np.frombuffer(a, dtype), np.frombuffer(b, dtype)
    return [name for name in dtype.names or () if one[name].tobytes() != two[name].tobytes()]


def survived(user: User, facts: dict[str, Any]) -> int:
    """Positions that were open when the session was killed and closed after it went on."""
    positions = table(user, facts["runs"][0], "positions")
    gaps = rows(session_log(user), Kind.GAP)
    down = gaps["ts_ns"][(gaps["reason"] == int(GapReason.DOWNTIME)) & (gaps["stream"] == 4)]
    opened, closed = positions["ts_ns"], positions["closed_ns"]
    return sum(int(np.any((opened < at) & (at < closed))) for at in down)
