"""A venue that repeats, swaps, drops and disconnects: what is folded is the clean market but for
the gaps, and every gap is said.

Set OFS_SEED=N to run the seed that failed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.events import GapReason, Kind
from tests.campaigns.venue import (
    Venue,
    check_whole,
    playing,
    rows,
    seeds,
    session_log,
    table,
)
from tests.e2e.support import CAMPAIGN, User, new_user

pytestmark = pytest.mark.campaign

SPEED = 300
SPAN_NS = 5_000_000_000
"""The window of the strategy."""

DUPLICATES = """
seed = {seed}
[[fault]]
kind = "duplicate"
share = 0.01
"""

MUTATIONS = (
    DUPLICATES
    + """
[[fault]]
kind = "reorder"
stream = "*rade"
share = 0.01
value = 3
within = "100ms"
[[fault]]
kind = "drop"
stream = "*rade"
share = 0.001
[[fault]]
kind = "disconnect"
every = "{every}"
"""
)
EVERY = "350s" if CAMPAIGN else "170s"
Done = tuple[User, dict[str, Any], dict[str, Any]]


def ran(user: User, log: Path, faults: str = "") -> Done:
    """A session over the market; (its user, its facts, what the venue did wrong)."""
    with playing(user, log=log, faults=faults, speed=SPEED) as venue:
        done = user.ofs(*Venue.paper(venue))
        assert done.code == 0, done.err
        return user, done.json(), venue.asked("/ofs/faults")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, market: Path) -> Done:
    """The session over a venue that behaves."""
    return ran(new_user(tmp_path_factory.mktemp("clean") / "home"), market)


@pytest.mark.parametrize("seed", seeds(1, 3))
def test_duplicates_give_the_digest_of_the_clean_run(
    user: User, market: Path, clean: Done, seed: int
) -> None:
    _, facts, did = ran(user, market, DUPLICATES.format(seed=seed + 1))
    assert did["done"]["duplicate"] > 50, did["done"]
    assert facts["gaps"] == 0 == clean[1]["gaps"]
    assert facts["decisions"] == clean[1]["decisions"] > 100
    assert facts["digest"] == clean[1]["digest"], f"seed {seed}"
    check_whole(user, facts)


@pytest.mark.parametrize("seed", seeds(1, 5))
def test_what_a_gap_does_not_touch_is_decided_as_in_the_clean_run(
    user: User, market: Path, clean: Done, seed: int
) -> None:
    _, facts, did = ran(user, market, MUTATIONS.format(seed=seed + 1, every=EVERY))
    counts = did["done"]
    print(f"seed {seed}: {counts}, {facts['gaps_by_reason']}")
    assert counts["drop"] and counts["reorder"] > 20 and counts["disconnect"] >= 2, counts
    check_whole(user, facts)
    gaps, trades = rows(session_log(user), Kind.GAP), rows(session_log(user), Kind.TRADE)
    dropped = [act["id"] for act in did["list"] if act["kind"] == "drop"]
    assert len(dropped) == counts["drop"]
    there = set(trades["id"].tolist())
    lost = [id for id in dropped if id not in there and not in_gap(gaps, id)]
    assert not lost, f"seed {seed}: {lost} were dropped and are in no gap"
    was = rows(session_log(clean[0]), Kind.TRADE)
    missing = np.setdiff1d(was["id"], trades["id"])
    untold = [id for id in missing.tolist() if not in_gap(gaps, id)]
    assert not untold, f"seed {seed}: {untold} are missing and in no gap"
    same_decisions(clean, (user, facts, did), gaps, seed)


def in_gap(gaps: dict[str, np.ndarray], id: int) -> bool:
    """A gap of trades says that this id is missing."""
    mine = gaps["stream"] == int(Kind.TRADE)
    return bool(np.any(mine & (gaps["from_id"] < id) & (id < gaps["to_id"])))


def same_decisions(clean: Done, other: Done, gaps: dict[str, np.ndarray], seed: int) -> None:
    """Outside of what gaps touch the market is read alike, and so decided where both may decide."""
    was = table(clean[0], clean[1]["runs"][0], "decisions")
    now = table(other[0], other[1]["runs"][0], "decisions")
    ns = was["ts_ns"]
    touched = np.zeros(len(ns), dtype=bool)
    read = np.isin(gaps["stream"], (int(Kind.TRADE), int(Kind.DEPTH)))  # the strategy reads no bars
    for start, end in zip(gaps["from_ns"][read], gaps["to_ns"][read], strict=True):
        touched |= (ns >= start) & (ns - SPAN_NS <= end)
    assert 0.05 < touched.mean() < 0.8, f"{touched.mean():.2f} of the decisions are touched"
    skipped = np.setdiff1d(ns[~touched], now["ts_ns"])
    assert not len(skipped), f"seed {seed}: no decision at {skipped[:5]}"
    assert np.isin(now["ts_ns"], ns).all()
    common, a, b = np.intersect1d(ns, now["ts_ns"], return_indices=True)
    touched = touched[a]
    for name in ("delta", "price"):
        wrong = np.flatnonzero((was[name][a] != now[name][b]) & ~touched)
        assert not len(wrong), f"seed {seed}: {name} at {common[wrong[:5]]}, {len(wrong)} in all"
    free = ~touched & (was["direction"][a] == now["direction"][b]) & (was["direction"][a] != 0)
    wrong = np.flatnonzero((was["book_fp9"][a] != now["book_fp9"][b]) & free)
    assert not len(wrong), f"seed {seed}: book at {common[wrong[:5]]}"
    print(f"{len(ns)} decisions, {touched.mean():.0%} touched, {free.sum()} books compared")
    assert free.sum() > 10
    assert int(GapReason.ID_HOLE) in set(gaps["reason"].tolist())
