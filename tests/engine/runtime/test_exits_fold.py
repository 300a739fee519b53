"""Exits in a whole fold over a log: from the event to the order that it caused, and back again."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest

import replays
from data.events import Action, ExitReason
from data.log import LogStore
from engine.kernel.exits import RULES
from engine.runtime.compose import compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from engine.runtime.replay import Request, open_reader
from tests.engine.driving import Collect
from tests.engine.rider import STRATEGY

FLOWING = {"vix": "0"}
PATIENT = {"vix": "25", "flip.mode": "off", "exits.hold": "2m"}
SEED = {"vix": "25", "exits.preset": "seed"}


@cache
def reader(**settings: str) -> Any:
    c = compose(STRATEGY)
    values = settle(c, dict(settings))
    request = Request(STRATEGY, "rider", chunk_rows=2000)
    return open_reader(
        LogStore(replays.path()), c, values, request, "synthetic", "BTCUSDT", ahead=False
    )


def new_fold(settings: dict[str, str]) -> tuple[Fold, Collect]:
    c, sink = compose(STRATEGY), Collect()
    return Fold(c, build(c, settle(c, settings), reader().scales), sink), sink


@cache
def batches() -> list[Any]:
    return list(reader())


@cache
def folded(name: str) -> Collect:
    fold, sink = new_fold({"flowing": FLOWING, "patient": PATIENT, "seed": SEED}[name])
    for b in batches():
        fold.feed(b.columns, b.run_kind, b.run_stop)
    fold.finish()
    return sink


def by_id(rows: np.ndarray) -> dict[int, Any]:
    return {int(r["id"]): r for r in rows}


def ended(name: str) -> list[tuple[Any, Any, Any]]:
    """(position, the order that closed it, the decision that asked for it or None)."""
    sink = folded(name)
    orders, decisions = by_id(sink.rows("order")), by_id(sink.rows("decision"))
    found = []
    for w in sink.rows("position"):
        if w["closed_ns"]:
            order = orders[int(w["exit_order_id"])]
            found.append((w, order, decisions.get(int(order["decision_id"]))))
    return found


def rules(name: str) -> Counter[str]:
    return Counter(RULES[int(x)] for x in folded(name).rows("decision")["plan"])


def test_every_rule_acts_somewhere() -> None:
    """A market in which a rule never spoke would prove nothing of it."""
    seen = rules("flowing") + rules("patient")
    assert set(seen) == set(RULES), seen
    assert {"flip", "breakeven", "volatility", "trail"} <= set(rules("seed"))


@pytest.mark.parametrize("name", ["flowing", "patient", "seed"])
def test_every_end_has_its_cause(name: str) -> None:
    """What the decision said is why the position ended; a stop or target is the broker's own."""
    for w, order, decision in ended(name):
        reason = int(w["exit_reason"])
        if reason in (ExitReason.STOP, ExitReason.TARGET):
            assert decision is None, "the hard stop needs no decision"
        else:
            assert int(decision["exit_reason"]) == reason
            assert int(decision["action"]) == Action.EXIT
            asked = RULES[int(decision["plan"])].upper()
            assert asked == ExitReason(reason).name
            assert order["side"] == -w["side"]


def test_every_reason_occurs() -> None:
    reasons = {
        ExitReason(int(w["exit_reason"]))
        for name in ("flowing", "patient")
        for w, _, _ in ended(name)
    }
    assert reasons >= {
        ExitReason.FLIP,
        ExitReason.STOP,
        ExitReason.TARGET,
        ExitReason.TIME,
        ExitReason.MOMENTUM,
    }


def test_a_partial_reduces_and_the_rest_is_closed_later() -> None:
    """Reduce-only: what was entered is what left, in two orders at least, never more."""
    sink = folded("flowing")
    decisions, fills = by_id(sink.rows("decision")), sink.rows("fill")
    parts = [
        (o, decisions[int(o["decision_id"])])
        for o in sink.rows("order")
        if int(o["decision_id"]) and decisions[int(o["decision_id"])]["action"] == Action.PARTIAL
    ]
    assert parts
    closed = {int(w["id"]): w for w, _, _ in ended("flowing")}
    for order, decision in parts:
        assert decision["exit_reason"] == ExitReason.PARTIAL
        assert order["qty"] == order["filled_qty"] == decision["qty"]
        w = closed[int(order["position_id"])]
        assert w["entry_qty"] == w["exit_qty"] == w["qty"] > order["qty"]
        mine = fills[fills["position_id"] == w["id"]]
        assert len(set(mine["order_id"])) >= 3, "entry, part, rest"
        assert int(mine["qty"][mine["side"] == -w["side"]].sum()) == w["entry_qty"]


def test_a_break_even_stop_that_is_hit_about_breaks_even() -> None:
    """What it costs to be stopped there is the slippage of the stop alone."""
    sink = folded("flowing")
    found = 0
    for w, _, decision in ended("flowing"):
        d = sink.rows("decision")
        mine = d[(d["ts_ns"] > w["ts_ns"]) & (d["ts_ns"] <= w["closed_ns"])]
        moves = [RULES[int(x)] for x in mine["plan"] if x]
        if decision is None and w["exit_reason"] == ExitReason.STOP and moves == ["breakeven"]:
            found += 1
            fills = sink.rows("fill")
            end = fills[(fills["position_id"] == w["id"]) & (fills["side"] == -w["side"])][-1]
            stop = int(mine["stop"][mine["plan"] > 0][-1])
            slipped = -int(w["side"]) * (int(end["price"]) - stop) * int(w["qty"]) * 10**4
            assert w["net_pnl"] >= -max(slipped, 0), "it pays for the trade but for the slippage"
    assert found


@pytest.mark.parametrize("name", ["flowing", "patient"])
def test_a_snapshot_in_the_middle_of_a_position_goes_on_the_same(name: str) -> None:
    """Entry delta, R, highest gain and the stages done lie in the state."""
    settings = {"flowing": FLOWING, "patient": PATIENT}[name]
    fold, sink = new_fold(settings)
    restored = 0
    stage = {"flowing": "moved", "patient": "widened"}[name]
    for b in batches():
        fold.feed(b.columns, b.run_kind, b.run_stop)
        s = fold.state["exits"][0]
        if s["direction"] and s[stage] and restored < 3:
            fold.drain()
            kept = fold.snapshot()
            fold, _ = new_fold(settings)
            fold.sink = sink
            fold.restore(kept)
            restored += 1
    fold.finish()
    assert restored == 3
    assert sink.digest.hexdigest() == folded(name).digest.hexdigest()
