"""The scalper whole: an event of the log, the decision it changed, the order it caused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import replays
from data.events import Action, ExitReason, Kind
from data.log import LogStore
from data.runs import find_run
from engine.kernel.confluence import SOURCES
from engine.kernel.desk import GATES
from engine.kernel.risk import REFUSALS
from engine.plans.compile import compile_plan
from engine.plans.load import PlanText
from engine.plans.read import parse_plans
from engine.runtime.backtest import backtest
from engine.runtime.bundle import write_bundle
from engine.runtime.explain import explain
from engine.runtime.plan_control import plan_cancel, plan_words
from engine.runtime.replay import Request
from engine.runtime.trial import Trial, fold
from engine.runtime.unbundle import unpacked
from engine.runtime.verify import verify
from strategies import scalper
from strategies.scalper import DETECTORS, STRATEGY
from tests.e2e import scalped, scalped_steps
from tests.e2e.scalped import (
    EARLY,
    FAIR,
    SYMBOL,
    VENUE,
    S,
    alone,
    decision_at,
    entries,
    plan,
    whole,
    without,
)

FP9 = 10**9
BIT = {name: 1 << n for n, name in enumerate(GATES)}
LONG, SHORT, EXIT = int(Action.ENTER_LONG), int(Action.ENTER_SHORT), int(Action.EXIT)
ABSORBED = 1_767_627_425 * S
"""Selling is absorbed, and the classifier buys."""
DIVERGED = 1_767_635_285 * S
"""Buying that the price does not follow down: the delta diverges, and the classifier buys."""


def dominant(trial: Trial, ts_ns: int) -> str:
    """The source that says most for the side that was taken."""
    row = decision_at(trial, ts_ns)
    said = trial.signals[trial.signals["decision_id"] == row["id"]]
    said = said[(said["detector"] < len(SOURCES)) & (said["direction"] == row["direction"])]
    weights = (0.30, 0.25, 0.20, 0.15, 0.10, 0, 0, 0)
    weighed = [(weights[s["detector"]] * s["strength_fp9"], s["detector"]) for s in said]
    return DETECTORS[max(weighed)[1]]


# --- from the event to the order -------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "source", "seconds", "side"),
    [(ABSORBED, "absorption", 180, -1), (DIVERGED, "delta_divergence", 30, 1)],
)
def test_without_its_trades_there_is_no_order(
    tmp_path: Path, at: int, source: str, seconds: int, side: int
) -> None:
    """Those of one aggressor decide; as many seconds of the other's leave the order as it is."""
    base = whole(EARLY)
    row = decision_at(base, at)
    (order,) = base.orders[base.orders["decision_id"] == row["id"]]
    assert row["action"] == LONG and order["ts_ns"] == at and order["side"] == 1
    assert order["filled_qty"] == order["qty"] == row["qty"]
    assert dominant(base, at) == source

    def changed(name: str, whose: int) -> Trial:
        log = without(tmp_path / name, at - seconds * S, at, whose)
        return fold(STRATEGY, log=log, settings=EARLY, to_ns=at + 30 * S)

    gone, kept = changed("gone", side), changed("kept", -side)
    assert decision_at(gone, at)["action"] == 0 and not (gone.orders["ts_ns"] == at).any()
    assert decision_at(kept, at)["action"] == LONG and (kept.orders["ts_ns"] == at).any()
    for trial in (gone, kept):
        before = trial.decisions["ts_ns"] <= at - seconds * S
        assert before.sum() > 2000
        assert (trial.decisions[before] == base.decisions[: before.sum()]).all()
        assert (trial.decisions["delta"] != base.decisions["delta"][: len(before)]).any()


def test_without_its_trades_no_plan_is_executed(tmp_path: Path) -> None:
    settings = {**EARLY, "desk.source": "plans"}
    text = plan(7, "delta_divergence_bull = true")
    base = whole(settings, text)
    (row,) = entries(base)
    assert (int(row["ts_ns"]), int(row["plan"]), int(row["action"])) == (DIVERGED, 7, LONG)
    assert (base.orders["decision_id"] == row["id"]).any()
    for side, executed in ((1, False), (-1, True)):
        log = without(tmp_path / f"side{side}", DIVERGED - 30 * S, DIVERGED, side)
        trial = fold(STRATEGY, log=log, settings=settings, plans=text, to_ns=DIVERGED + 5 * S)
        assert (decision_at(trial, DIVERGED)["plan"] == 7) == executed
        assert bool(len(trial.orders)) == executed


@pytest.mark.parametrize("place", range(len(SOURCES)), ids=SOURCES)
def test_every_source_alone_is_the_score_and_trades(place: int) -> None:
    trial = whole(alone(SOURCES[place]))
    d = trial.decisions
    said = trial.signals[trial.signals["detector"] == place]
    evidence = np.zeros(len(d), dtype=np.int64)
    evidence[said["decision_id"] - 1] = said["direction"] * said["strength_fp9"]
    assert (evidence != 0).sum() > 10
    assert (d["score_fp9"] == abs(evidence)).all()
    assert (d["direction"] == np.sign(evidence)).all()
    asked = (d["gates"] | d["blocked"]) & BIT["idea"] != 0
    idea = d["gates"] & BIT["idea"] != 0
    assert (idea[asked] == (abs(evidence) >= 1000)[asked]).all()
    entered = entries(trial)
    assert len(entered) and len(trial.orders)
    assert (np.where(entered["action"] == LONG, 1, -1) == entered["direction"]).all()
    for row in entered:
        (order,) = trial.orders[trial.orders["decision_id"] == row["id"]]
        assert order["side"] == row["direction"] and order["qty"] == row["qty"]


def test_an_order_leaves_exactly_when_every_gate_says_so() -> None:
    """Needed: history, idea, placed, size, guards, free; asked of nobody who has a position."""
    trial = whole(EARLY)
    d = trial.decisions
    needed = sum(BIT[n] for n in ("history", "idea", "score", "model", "placed", "size", "guards",
                                  "free"))  # fmt: skip
    agreed = (d["gates"] & needed == needed) & (d["blocked"] == 0)
    assert (agreed == np.isin(d["action"], (LONG, SHORT))).all() and agreed.sum() > 4
    ours = trial.orders["decision_id"][trial.orders["decision_id"] > 0]
    assert 0 < len(trial.orders) - len(ours) < len(ours), "stops are the broker's"
    assert sorted(ours) == sorted(
        d["id"][np.isin(d["action"], (LONG, SHORT, EXIT, int(Action.PARTIAL)))]
    ), "no order without a decision, no decision without its order"
    refused = d["blocked"] & BIT["guards"] != 0
    assert refused.sum() > 10
    assert (d["refused"][refused] != 0).all()
    assert (d["refused"][d["gates"] & BIT["guards"] != 0] == 0).all()
    assert d["refused"].max() < 1 << len(REFUSALS)
    assert not trial.violations


# --- a model ---------------------------------------------------------------------------------


def test_with_a_model_a_trade_happens_exactly_when_its_lower_bound_pays() -> None:
    fitted = {
        "confluence.fitted": "true", "confluence.knots": "2", "confluence.intercept": "-0.5",
        "confluence.knot_x_0": "-2", "confluence.knot_p_0": "0.2", "confluence.knot_low_0": "0.2",
        "confluence.knot_x_1": "2", "confluence.knot_p_1": "0.9", "confluence.knot_low_1": "0.9",
        "risk.kelly": "0",
    }  # fmt: skip
    betas = {f"confluence.beta_{x}": "1" for x in SOURCES[:5]}
    trial = whole({**EARLY, **fitted, **betas})
    d = trial.decisions
    asked = (d["gates"] | d["blocked"]) & BIT["model"] != 0
    pays = d["probability_fp9"] > d["needed_fp9"]
    assert ((d["gates"] & BIT["model"] != 0) == pays)[asked].all()
    assert (asked & pays).sum() > 5 and (asked & ~pays).sum() > 100
    expected = 1 << REFUSALS.index("expectancy")
    assert ((d["refused"] & expected == 0) == pays)[asked].all()
    flat = asked & (d["blocked"] & BIT["free"] == 0)
    others = d["refused"] & ~expected == 0
    entered = np.isin(d["action"], (LONG, SHORT))
    assert (entered == (flat & pays & others)).all() and entered.sum() > 3
    least = {**fitted, "confluence.knot_low_0": "0", "confluence.knot_low_1": "0.01"}
    assert not len(whole({**EARLY, **betas, **least}).orders), "the probability alone is nothing"


# --- sides and units -------------------------------------------------------------------------


def test_a_mirrored_market_is_traded_in_mirror(tmp_path: Path) -> None:
    """To the last digit: every side turned round, every price p made ``centre - p``."""
    centre = 1_200_000
    a = whole(FAIR)
    b = fold(STRATEGY, log=scalped.mirror(tmp_path / "log", centre), settings=FAIR)
    turned = np.array([0, 2, 1, 3, 4, 5, 6])
    assert len(entries(a)) > 4 and set(entries(a)["direction"].tolist()) == {-1, 1}
    assert (turned[a.decisions["action"]] == b.decisions["action"]).all()
    priced = ("price", "stop", "target")
    signed = ("direction", "delta", "cvd", "entry_delta", "delta_z_fp9", "book_fp9", "position")
    for name in a.decisions.dtype.names:
        x, y = a.decisions[name], b.decisions[name]
        if name in priced:
            assert (np.where(x, centre - x, 0) == y).all(), name
        elif name != "action":
            assert ((-x if name in signed else x) == y).all(), name
    for mine, theirs, whole_ in ((a.orders, b.orders, ("qty", "filled_qty", "state", "ts_ns")),
                                 (a.fills, b.fills, ("qty", "pnl", "fee", "ts_ns"))):  # fmt: skip
        assert len(mine) == len(theirs)
        assert (mine["side"] == -theirs["side"]).all()
        for name in whole_:
            assert (mine[name] == theirs[name]).all(), name
    assert (a.fills["price"] == centre - b.fills["price"]).all()


@pytest.mark.parametrize(("price", "qty"), [(2, 1), (1, 3)])
def test_other_units_are_traded_alike(tmp_path: Path, price: int, qty: int) -> None:
    """Twice the price, or three times the volume: what is said and done is the same."""
    settings = {**FAIR, "risk.share": "0.0001"}
    a = whole(settings).decisions
    log = scalped.scaled(tmp_path / "log", price=price, qty=qty)
    b = fold(STRATEGY, log=log, settings=settings).decisions
    for name in ("ts_ns", "action", "exit_reason", "direction", "score_fp9", "delta_z_fp9", "gates",
                 "blocked", "refused", "lifecycle", "market", "flip_fp9", "quality"):  # fmt: skip
        assert (a[name] == b[name]).all(), name
    for name in ("delta", "cvd", "entry_delta"):
        assert (a[name] * qty == b[name]).all(), name
    assert (a["price"] * price == b["price"]).all()
    if price == 1:
        for name in ("qty", "stop", "target", "risk", "needed_fp9"):
            assert (a[name] == b[name]).all(), name


# --- plans while it runs, and a run as a record ----------------------------------------------


def test_a_plan_of_the_log_is_traded_from_its_moment_on(tmp_path: Path) -> None:
    """Added, and cancelled half an hour later, by control events that a session wrote."""
    start = 1_767_614_400 * S
    settings = {**EARLY, "desk.source": "plans", "exits.hold": "2m"}
    added, cancelled = start + 1201 * S, start + 3002 * S
    text = plan(3, "price_above = 1")

    def run(name: str, acts: list[tuple[int, list[tuple[int, int]]]]) -> Trial:
        shutil.copytree(replays.path(), tmp_path / name)
        store = LogStore(tmp_path / name)
        scales = next(e.scales for e in store.catalogue().entries if e.kind == Kind.TRADE)
        rows = [(at, code, value) for at, events in acts for code, value in events]
        ts, code, value = (np.array(column) for column in zip(*rows, strict=True))
        columns = {"ts_ns": ts, "code": code, "value": value}
        columns["id"] = np.arange(1, len(rows) + 1)
        columns["recv_ns"] = columns["seq"] = np.zeros(len(rows), dtype=np.int64)
        with store.transaction() as tx:
            tx.merge(Kind.CONTROL, VENUE, SYMBOL, columns, scales)
        return fold(STRATEGY, log=tmp_path / name, settings=settings, to_ns=start + 3600 * S)

    scales = next(e.scales for e in LogStore(replays.path()).catalogue().entries)
    words = plan_words(compile_plan(parse_plans(text, "x").sound()[0], scales).record)
    trial = run("added", [(added, words)])
    (row,) = entries(trial)
    assert row["plan"] == 3 and row["ts_ns"] == start + 1230 * S, "asked on the grid of 30 s"
    assert len(trial.orders) == 2, "once, and out again"
    early = run("cancelled", [(added - 400 * S, words), (added - 395 * S, plan_cancel(3))])
    assert not len(early.orders) and not early.decisions["plan"].any()
    again = run("again", [(added, words), (cancelled, words)])
    assert [int(t) for t in entries(again)["ts_ns"]] == [start + 1230 * S, start + 3030 * S]


def test_a_run_with_plans_is_verified_bundled_and_explained(tmp_path: Path) -> None:
    text = plan(7, "delta_divergence_bull = true") + plan(8, "price_above = 1000000")
    request = Request(STRATEGY, "scalper", settings=dict(EARLY), plans=PlanText("p.toml", text))
    log = str(replays.path())
    store, runs = LogStore(log), tmp_path / "runs"
    made = backtest(store, log, request, runs)
    recorded = find_run(runs, made["run"])
    assert made["gates"] == list(GATES) and made["refusals"] == list(REFUSALS)
    verdict = verify(store, recorded, STRATEGY)
    assert verdict.digest_ok and verdict.state_ok and verdict.ok
    write_bundle(recorded, store, Path(scalper.__file__), tmp_path / "run.zip")
    with unpacked(tmp_path / "run.zip") as found:
        assert verify(LogStore(found.log), found.run, STRATEGY).ok
    trial = whole(EARLY, text)
    (at,) = np.flatnonzero(trial.decisions["plan"] == 7)[:1]
    order = trial.orders[trial.orders["decision_id"] == at + 1]["id"][0]
    story = explain(store, recorded, STRATEGY, f"order:{order}")
    assert story.agrees and story.decision["plan"] == 7 and len(story.fills) >= 1
    assert story.numbers["delta_divergence"]["signal.direction"] == 1
    assert dict(story.gates)["guards"] == "passed" and dict(story.gates)["score"] == "not asked"


# --- the same, however it is handed over -----------------------------------------------------


def test_chunks_change_nothing_and_two_runs_are_one() -> None:
    want = fold(STRATEGY, settings=EARLY)
    kept = whole(EARLY)
    assert (want.digest, want.state_digest) == (kept.digest, kept.state_digest)
    for rows in (911, 32):
        got = fold(STRATEGY, settings=EARLY, chunk_rows=rows)
        assert (got.digest, got.state_digest) == (want.digest, want.state_digest)


@pytest.mark.parametrize("to_s", [2_003, 13_031, 21_060])
def test_the_future_changes_nothing(to_s: int) -> None:
    want = whole(EARLY)
    to_ns = want.from_ns + to_s * S
    got = fold(STRATEGY, settings=EARLY, to_ns=to_ns)
    n = len(got.decisions)
    assert n > to_s // 5 - 3
    assert (got.decisions == want.decisions[:n]).all()
    assert (got.signals == want.signals[: len(got.signals)]).all()
    assert (got.fills == want.fills[: len(got.fills)]).all()


def test_cuts_and_restarts_change_nothing() -> None:
    want = scalped_steps.straight(600)
    decisions = want.sink.rows("decision")
    assert len(want.sink.rows("position")) >= 3 and (decisions["position"] != 0).sum() > 20
    assert {1, 2, 3} <= set(decisions["action"].tolist())
    for way, digests in scalped_steps.ways(600).items():
        assert digests == want.digests, way


def test_a_restart_in_the_middle_of_a_position_keeps_what_was_known_at_its_entry() -> None:
    events, want = scalped_steps.tape(600), scalped_steps.straight(600)
    digests, state = scalped_steps.restored(events, scalped_steps.held_at(events, want))
    assert digests == want.digests
    held, entry = int(state["known"]["qty"][0]), state["exits"]["entry"]
    assert held != 0 and np.sign(held) == state["exits"]["direction"][0]
    (order,) = want.sink.rows("order")[
        want.sink.rows("order")["position_id"] == state["known"]["position_id"][0]
    ][:1]
    (row,) = want.sink.rows("decision")[order["decision_id"] - 1 : order["decision_id"]]
    assert row["action"] in (LONG, SHORT)
    for name, value in (("entry_delta", row["delta"]), ("window_ns", 5 * S), ("rule", 1),
                        ("stop", row["stop"]), ("target", row["target"])):  # fmt: skip
        assert int(entry[name][0]) == value, name
    assert int(entry["budget"][0]) >= row["risk"] > 0


def test_plain_python_gives_the_same_digests_in_one_piece_and_step_by_step() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.scalped_steps", "600"],
        capture_output=True, encoding="utf-8", check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    want, plain = scalped_steps.straight(600), json.loads(done.stdout)
    assert plain["fold"] == plain["steps"] == list(want.digests)
    assert plain["orders"] == len(want.sink.rows("order")) > 0


def test_exits_say_why() -> None:
    trial = whole(EARLY)
    left = trial.decisions[trial.decisions["action"] == EXIT]
    assert len(left) > 3 and {int(ExitReason.FLIP), int(ExitReason.MOMENTUM)} & set(
        left["exit_reason"]
    )
    assert (left["exit_reason"] != 0).all()
    assert (trial.decisions["position"][trial.decisions["action"] == EXIT] != 0).all()
