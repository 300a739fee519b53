"""Detectors from the log to the table of signals: what ``watch`` writes, computed again in SQL."""

from __future__ import annotations

import json

import pytest

import replays
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
