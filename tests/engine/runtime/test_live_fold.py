"""A live fold is the simulated one with other fills: told the same, it decides the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.events import RECORDS
from engine.runtime.compose import compose
from engine.runtime.fold import Fold
from engine.runtime.records import packed
from strategies.delta_flip import STRATEGY as DELTA_FLIP
from tests.engine import absurd
from tests.engine.brokered import answers, comparable, live_run, make, simulated
from tests.engine.driving import SCALES, Collect, fold_cut, fold_steps, random_cuts
from tests.engine.live_digests import HEDGING, RESPONSE_NS, SETTINGS, digests, of
from tests.engine.puppet import STRATEGY, market
from tests.engine.runtime.make_run import EAGER
from tests.engine.tapes import Event, pack
from tests.engine.tapes import market as whole_market
from tests.shared import CAMPAIGN

ROOT = Path(__file__).parents[3]
SEEDS = range(200 if CAMPAIGN else 8)
RESTING = {"entry": "limit", "entry_ttl": "3s", "breakeven": "0.00001"}


def told_the_same(strategy: Any, tape: list[Event], settings: dict[str, str]) -> Any:
    """Both runs, after what they must agree in was compared."""
    ran = simulated(strategy, tape, settings)
    live, _ = live_run(strategy, tape, answers(ran, RESPONSE_NS), settings)
    mine, its = (comparable(r.sink.rows("decision")) for r in (ran, live))
    assert its[: len(mine)] == mine and len(its) <= len(mine) + 1
    mine, its = (comparable(r.sink.rows("position")) for r in (ran, live))
    assert its == mine[: len(its)] and len(mine) <= len(its) + 1, "what the tape's end cut off"
    for column in ("ts_ns", "price", "qty", "side", "pnl", "fee"):
        mine, its = (r.sink.rows("fill")[column] for r in (ran, live))
        assert its.tolist() == mine[: len(its)].tolist()
    assert not live.fold.state["live"]["violations"].any()
    assert not live.fold.state["live"]["late"].any()
    return ran, live


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("settings", [SETTINGS, HEDGING], ids=["netting", "hedging"])
def test_a_run_told_by_a_broker_is_known_as_it_was(settings: dict[str, str], seed: int) -> None:
    tape = market(seed, 90)
    ran, live = told_the_same(STRATEGY, tape, settings)
    assert len(ran.sink.rows("fill")) > 3 or seed >= 8, "the default ones trade"
    if len(live.sink.rows("fill")) == len(ran.sink.rows("fill")):
        for name in ("balance", "net_qty", "margin", "closed"):
            assert live.fold.state["sim"][name] == ran.fold.state["sim"][name], name


@pytest.mark.parametrize("more", [{}, RESTING], ids=["market", "limit"])
def test_delta_flip_decides_the_same_whoever_fills(more: dict[str, str]) -> None:
    settings = {**EAGER, "sim.response_latency": "70ms", **more}
    ran, live = told_the_same(DELTA_FLIP, whole_market(1, 300), settings)
    assert len(ran.sink.rows("position")) > 5
    actions = set(live.sink.rows("intent")["action"].tolist())
    assert {1, 2, 3} <= actions and (not more or 4 in actions)


# --- however it is cut ---------------------------------------------------------------------------


def fed_events(seed: int, settings: dict[str, str]) -> list[Event]:
    tape = market(seed, 60)
    return live_run(STRATEGY, tape, answers(simulated(STRATEGY, tape, settings), RESPONSE_NS),
                    settings)[1]  # fmt: skip


@pytest.mark.parametrize("odd", [False, True], ids=["told", "absurd"])
@pytest.mark.parametrize("seed", [1, 2])
def test_splitting_anywhere_changes_nothing(seed: int, odd: bool) -> None:
    events = absurd.tape(seed) if odd else fed_events(seed, SETTINGS)
    c, tape = compose(STRATEGY, broker="live"), pack(events)
    whole = of(fold_cut(c, tape, (), SETTINGS))
    assert of(fold_steps(c, events, SETTINGS)) == whole
    for n in range(3):
        assert of(fold_cut(c, tape, random_cuts(len(tape), n), SETTINGS)) == whole


def test_a_snapshot_goes_on_as_if_nothing_had_been() -> None:
    events = absurd.tape(5)
    whole = of(fold_steps(compose(STRATEGY, broker="live"), events, SETTINGS))
    live = make(compose(STRATEGY, broker="live"), SETTINGS)
    for n, event in enumerate(events):
        if n % 37 == 0:
            kept, sink = live.fold.snapshot(), live.sink
            live = make(compose(STRATEGY, broker="live"), SETTINGS)
            live.fold.restore(kept)
            live.fold.sink = live.sink = sink
        live.step(event)
    live.fold.finish()
    intents = packed(RECORDS["intent"], live.sink.rows("intent"))
    assert [live.sink.digest.hexdigest(), live.fold.state_digest()] == whole[:2]
    assert len(intents) > 0


def test_plain_python_gives_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.live_digests"], cwd=ROOT, capture_output=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == digests()


# --- whatever comes ------------------------------------------------------------------------------


def check_sums(fold: Fold, sink: Collect) -> None:
    """Money, quantities and rows add up."""
    sim, own = fold.state["sim"][0], fold.state["live"][0]
    fills, orders = sink.rows("fill"), sink.rows("order")
    booked = sum(fills["pnl"].tolist()) - sum(fills["fee"].tolist())
    start = int(fold.params["sim"]["start_balance"][0])
    assert int(sim["balance"]) == start + booked + int(own["adjusted"])
    open_ = [sim["positions"][int(sim["position_at"][k])] for k in range(int(sim["n_positions"]))]
    assert all(w["qty"] > 0 for w in open_)
    assert int(sim["net_qty"]) == sum(int(w["side"] * w["qty"]) for w in open_)
    held = fills[fills["position_id"] > 0]
    assert int(sim["net_qty"]) == int((held["side"] * held["qty"]).sum())
    assert len(np.unique(orders["id"])) == len(orders)
    assert (orders["filled_qty"] <= orders["qty"]).all() and (orders["filled_qty"] >= 0).all()
    intents = sink.rows("intent")["id"]
    assert intents.tolist() == list(range(1, len(intents) + 1))
    assert not fold.state["sim"]["violations"][0, 0], "an illegal step of an order"


@pytest.mark.parametrize("settings", [SETTINGS, HEDGING], ids=["netting", "hedging"])
def test_absurd_answers_never_break_the_sums(settings: dict[str, str]) -> None:
    met, fills = np.zeros(8, dtype=np.int64), 0
    for seed in SEEDS:
        live = make(compose(STRATEGY, broker="live"), settings, SCALES)
        for n, event in enumerate(absurd.tape(seed, 120), start=1):
            live.step(event)
            if n % 40 == 0:
                check_sums(live.fold, live.sink)
        check_sums(live.fold, live.sink)
        met += live.fold.state["live"]["violations"][0]
        fills += len(live.sink.rows("fill"))
    assert fills > 10 * len(SEEDS)
    assert (met[:4] > 0).all(), "each kind of nonsense came at least once"
