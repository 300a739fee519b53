"""Plans through a real log and real runs: added, changed and cancelled at their times, verified."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import replays
from data.errors import ConfigError
from data.events import Kind, Scales
from data.log import LogStore
from data.runs import Run, find_run
from engine.plans.compile import compile_plan
from engine.plans.load import PlanText
from engine.plans.read import parse_plans
from engine.runtime.backtest import backtest
from engine.runtime.plan_control import plan_cancel, plan_words
from engine.runtime.plan_explain import one_of, plans_at
from engine.runtime.replay import Request
from engine.runtime.trial import fold
from engine.runtime.verify import verify
from strategies.delta_flip import STRATEGY as OTHER
from strategies.plan_watch import STRATEGY

S = 1_000_000_000
FROM = 1_767_614_400 * S
"""2026-01-05T12:00Z, where the replay begins."""
PLAN = """
[[plan]]
id = {id}
name = "n{id}"
symbol = "BTCUSDT"
direction = "{side}"
stop = {{ atr = 2 }}
[plan.conditions]
{lines}
"""


def text(plan_id: int, lines: str, side: str = "BUY") -> str:
    return PLAN.format(id=plan_id, side=side, lines=lines)


def scales_of(store: LogStore) -> Scales:
    return next(e.scales for e in store.catalogue().entries if e.kind == Kind.TRADE)


def controls(store: LogStore, acts: list[tuple[int, list[tuple[int, int]]]]) -> None:
    """Write control events (moment, events) into the log, as a session does."""
    rows = [(at, code, value) for at, events in acts for code, value in events]
    n = len(rows)
    columns = {
        "ts_ns": np.array([r[0] for r in rows]), "recv_ns": np.zeros(n, dtype=np.int64),
        "seq": np.zeros(n, dtype=np.int64), "id": np.arange(1, n + 1),
        "code": np.array([r[1] for r in rows]), "value": np.array([r[2] for r in rows]),
    }  # fmt: skip
    with store.transaction() as change:
        change.merge(Kind.CONTROL, "synthetic", "BTCUSDT", columns, scales_of(store))


@pytest.fixture
def log(tmp_path: Path) -> LogStore:
    shutil.copytree(replays.path(), tmp_path / "log")
    return LogStore(str(tmp_path / "log"))


def acts(decisions: np.ndarray) -> list[tuple[int, int, int]]:
    rows = decisions[decisions["plan"] > 0]
    return [(int(r["ts_ns"]), int(r["plan"]), int(r["direction"])) for r in rows]


def test_a_plan_of_the_log_acts_from_its_moment_on(log: LogStore, tmp_path: Path) -> None:
    moments = [FROM + x * S for x in (901, 1203, 1507)]
    buy, sell = (
        compile_plan(parse_plans(text(5, "price_above = 1", side), "x").sound()[0], scales_of(log))
        for side in ("BUY", "SELL")
    )
    controls(log, [
        (moments[0], plan_words(buy.record)), (moments[1], plan_words(sell.record)),
        (moments[2], plan_cancel(5)),
    ])  # fmt: skip
    until = FROM + 1800 * S
    made = [
        fold(STRATEGY, log=tmp_path / "log", to_ns=until, chunk_rows=rows)
        for rows in (32_768, 777, 64)
    ]
    assert len({m.digest for m in made}) == 1
    assert len({m.state_digest for m in made}) == 1
    said = acts(made[0].decisions)
    # not an order-flow plan: asked on the 30 s grid
    grid = [FROM + x * S for x in range(930, 1501, 30)]
    assert said == [(t, 5, 1 if t < moments[1] else -1) for t in grid]


def test_a_run_keeps_its_plans_and_is_verified_without_the_file(
    log: LogStore, tmp_path: Path
) -> None:
    source = PlanText(
        "folder/p.toml", text(2, "delta_positive = true") + text(3, "cvd_falling = true")
    )
    request = Request(STRATEGY, "plan_watch", to_ns=FROM + 3600 * S, plans=source)
    content = backtest(log, str(tmp_path / "log"), request, tmp_path / "runs")
    kept = content["plans"]
    assert (kept["file"], kept["plans"], kept["sha256"]) == ("p.toml", [2, 3], source.sha256)
    recorded = run_of(tmp_path / "runs", content)
    verdict = verify(log, recorded, STRATEGY)
    assert verdict.digest_ok
    assert verdict.state_ok
    changed = {**recorded.manifest, "plans": {**kept, "text": source.text.replace("fall", "ris")}}
    other = verify(log, Run(recorded.id, recorded.folder, changed), STRATEGY)
    assert not other.digest_ok, "the plans are what the run was made with"


def run_of(runs: Path, content: dict[str, Any]) -> Run:
    return find_run(runs, content["run"])


def test_explained_is_what_the_run_decided(log: LogStore, tmp_path: Path) -> None:
    lines = "delta_positive = true\nprice_above = 1\nmax_spread = 1000"
    source = PlanText("p.toml", text(1, lines) + text(2, "price_below = 1"))
    made = fold(STRATEGY, log=tmp_path / "log", to_ns=FROM + 1800 * S, plans=source.text)
    said = {t for t, _, _ in acts(made.decisions)}
    assert 20 < len(said) < 300
    request = Request(STRATEGY, "plan_watch", from_ns=FROM, plans=source)
    for at in (FROM + 600 * S, FROM + 605 * S, FROM + 1200 * S, FROM + 3 * S):
        found = plans_at(log, request, at + 2 * S) if at % (5 * S) == 0 else None
        if found is None:
            continue
        x = one_of(found, "n1")
        assert (x.at_ns, x.met) == (at, at in said)
        verdicts = {y.condition: y.verdict for y in x.lines}
        assert verdicts["price_above"] == "passed"
        assert (verdicts["delta_positive"] == "passed") == (at in said)
        assert one_of(found, "2").lines[0].verdict == "failed"


def test_a_plan_that_came_by_control_events_is_explained_too(log: LogStore) -> None:
    (plan,) = parse_plans(text(9, "price_above = 1"), "x").sound()
    controls(log, [(FROM + 60 * S, plan_words(compile_plan(plan, scales_of(log)).record))])
    request = Request(STRATEGY, "plan_watch", from_ns=FROM)
    (x,) = plans_at(log, request, FROM + 120 * S)
    assert (x.id, x.name, x.met) == (9, "", True)
    assert [(y.metric, y.bound) for y in x.lines] == [("price", ">= 1.0")]


def test_a_strategy_without_plans_says_so(log: LogStore) -> None:
    request = Request(OTHER, "delta_flip", plans=PlanText("p.toml", text(1, "price_above = 1")))
    with pytest.raises(ConfigError, match="takes no plans"):
        backtest(log, "log", request, Path("runs"))
