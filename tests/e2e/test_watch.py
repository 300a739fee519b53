"""Detectors from the log to the table of signals: what ``watch`` writes, computed again in SQL."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest

import replays
from data.events import Kind, Scales
from data.log import LogStore
from strategies.watch import DETECTORS
from tests.e2e.support import User, new_user


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return new_user(tmp_path_factory.mktemp("watch"))


@pytest.fixture(scope="module")
def run(user: User) -> str:
    """A run of ``watch`` over the replay."""
    facts = user.backtest("btc_flow", "--strategy", "watch")
    assert facts["orders"] == 0 and facts["decisions"] == 4_320
    return str(facts["run"])


def test_every_signal_is_one_of_a_detector_at_a_decision(user: User, run: str) -> None:
    rows = user.json(
        "query",
        "SELECT detector, count(*) AS n, min(strength) AS least, max(strength) AS most,"
        " min(abs(s.direction)) AS speaks, count(*) FILTER (d.id IS NULL) AS lost"
        f" FROM signals s LEFT JOIN decisions d ON d.id = s.decision_id AND d.run = '{run}'"
        f" WHERE s.run = '{run}' GROUP BY ALL",
        OFS_LOG="",
    )
    seen = {DETECTORS[int(row["detector"])] for row in rows}
    assert {"vwap_deviation", "diagonal", "delta_turn", "cvd_trend", "pressure"} <= seen
    for row in rows:
        assert 0 <= row["least"] <= row["most"] <= 1
        assert row["speaks"] == 1 and row["lost"] == 0
    manifest = json.loads((user.runs / run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["detectors"] == list(DETECTORS)


def test_the_run_verifies(user: User, run: str) -> None:
    assert user.json("verify", run)["ok"]


def test_vwap_deviation_is_what_the_trades_say(user: User, run: str) -> None:
    log = str(replays.path("btc_flow"))
    place = DETECTORS.index("vwap_deviation")
    asked = f"""
        WITH asked AS (
            SELECT time, value FROM signals WHERE run = '{run}' AND detector = {place}
            ORDER BY hash(decision_id) LIMIT 12)
        SELECT a.value, max_by(t.price, (t.time, t.id)) AS last,
            sum(t.price * t.qty) / sum(t.qty) AS vwap,
            sqrt(sum(t.qty * t.price * t.price) / sum(t.qty)
                 - power(sum(t.price * t.qty) / sum(t.qty), 2)) AS sigma
        FROM asked a JOIN trades t ON t.time < a.time GROUP BY a.time, a.value"""
    rows = user.json("query", asked, OFS_LOG=log)
    assert len(rows) == 12
    for row in rows:
        assert row["value"] == pytest.approx((row["last"] - row["vwap"]) / row["sigma"], abs=1e-5)


BURST_NS = 1767614400 * 10**9 + 18_000 * 10**9
"""Five hours into the replay: every source is warm."""


def scores(user: User, run: str) -> dict[int, tuple[Any, ...]]:
    """By decision: time, score and what the classifiers said of the side."""
    places = {name: DETECTORS.index(name) for name in ("confluence", "microstructure")}
    said = ", ".join(
        f"max(s.direction) FILTER (s.detector = {place}) AS {name}"
        for name, place in places.items()
    )
    rows = user.json(
        "query",
        f"SELECT d.id, epoch_ns(d.time) AS ts, any_value(d.score) AS score, {said} FROM decisions d"
        " LEFT JOIN signals s ON s.decision_id = d.id AND s.run = d.run"
        f" WHERE d.run = '{run}' GROUP BY ALL ORDER BY d.id",
        OFS_LOG="",
    )
    return {int(r["id"]): (int(r["ts"]), r["score"], *(r[n] for n in places)) for r in rows}


def test_trades_added_to_the_log_change_the_score_from_then_on(user: User, run: str) -> None:
    """A minute of selling that lifts no offer and moves no price: absorbed, and scored so."""
    shutil.copytree(replays.path("btc_flow"), user.log)
    store = LogStore(user.log)
    entry = next(e for e in store.catalogue().entries if e.kind == Kind.TRADE)
    assert entry.scales == Scales(1, 3)
    n = 600
    last = user.json("query", "SELECT max_by(price, (time, id)) AS p FROM trades"
                     f" WHERE epoch_ns(time) < {BURST_NS}")[0]["p"]  # fmt: skip
    columns = {
        "ts_ns": BURST_NS + np.arange(n, dtype=np.int64) * 10**8 + 1,
        "id": 10**9 + np.arange(n, dtype=np.int64),
        "price": np.full(n, round(last * 10), dtype=np.int64),
        "qty": np.full(n, 5_000, dtype=np.int64),
        "side": np.full(n, -1, dtype=np.int8),
    }
    with store.transaction() as change:
        change.merge(Kind.TRADE, entry.venue, entry.symbol, columns, entry.scales)
    facts = user.backtest("--symbol", entry.symbol, "--strategy", "watch")
    before, after = scores(user, run), scores(user, str(facts["run"]))
    assert len(before) == len(after)
    differs = [k for k in before if before[k] != after[k]]
    assert differs, "the score does not depend on the log"
    first = before[differs[0]][0]
    assert BURST_NS < first <= BURST_NS + 300 * 10**9
    scored = [k for k in differs if before[k][1] != after[k][1]]
    assert scored, "the confluence does not depend on the log"
    assert BURST_NS < before[scored[0]][0] <= BURST_NS + 300 * 10**9
    assert {row[2] for row in after.values()} >= {1}, "it never speaks"
    assert {row[3] for row in before.values()} >= {-1, 1}
