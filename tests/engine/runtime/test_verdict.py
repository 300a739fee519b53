"""Each gate on figures made by hand: it passes, fails at its limit, and says what is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data.units import NS_OF
from engine.runtime.paper_sections import GATE_NAMES, GIB, Gates
from engine.runtime.verdict import (
    Facts,
    Finding,
    Lag,
    Parity,
    Place,
    Readings,
    Trading,
    growth_of,
    judge,
)
from engine.runtime.verdict_holes import Hole

DAY = NS_OF["d"]
N = 100


def readings(**changes: Any) -> Readings:
    full: dict[str, Any] = {
        "cpu": 0.4, "memory": 5e8, "disk_free": 9e9,
    } | changes  # fmt: skip
    arrays = {name: np.broadcast_to(np.asarray(v, float), N) for name, v in full.items()}
    start = changes.get("start", np.ones(N, np.int64))
    return Readings(np.arange(N) * DAY // N, start, arrays["cpu"], arrays["memory"],
                    arrays["disk_free"])  # fmt: skip


def trading(**changes: Any) -> Trading:
    bp = np.random.default_rng(1).normal(3.0, 4.0, 200)
    made = Trading(bp, bp / 10, "USDT", 400, 4, 390, 0, 0.4, np.full(200, 60.0))
    return replace(made, **changes)


def lags(**changes: Lag) -> dict[str, Lag]:
    usual = {
        "venue_lag": Lag(9, 50.0, 80.0, "x"), "lag": Lag(9, 2.0, 9.0, "x"),
        "decision_lag": Lag(9, 3.0, 12.0, "x"),
    }  # fmt: skip
    return usual | changes


def facts(**changes: Any) -> Facts:
    good = Facts(
        "20261107T000000-paper-delta_flip", "binance-um", ("BTCUSDT",), "delta_flip", "ended",
        1, False, 0, 14 * DAY, (), readings(), lags(), (Parity("run", True, 9000, ""),), trading(),
        Place("windows of x", 60.0, 0.6, 40, 10.0, -5.0, 50.0, 90.0),
    )  # fmt: skip
    return replace(good, **changes)


def found(name: str, facts: Facts, **limits: Any) -> Finding:
    judged = judge(facts, Gates(**limits))
    (finding,) = [f for f in judged.findings if f.gate == name]
    return finding


def status(name: str, facts: Facts, **limits: Any) -> str:
    return found(name, facts, **limits).status


def test_a_good_session_passes_every_gate() -> None:
    judged = judge(facts(), Gates())
    assert [f.gate for f in judged.findings] == list(GATE_NAMES)
    assert {f.status for f in judged.findings} == {"pass"}
    assert judged.passed
    said = json.loads(json.dumps(judged.as_json()))
    assert said["verdict"] == "PASS" and said["days"] == 14 and len(said["gates"]) == 16


def test_one_gate_that_fails_is_enough() -> None:
    judged = judge(facts(trading=trading(rejected=100)), Gates())
    assert not judged.passed
    assert [f.gate for f in judged.findings if f.status == "fail"] == ["rejects"]
    assert judge(facts(trading=trading(rejected=100)), Gates(off=("rejects",))).passed


def test_nothing_asked_for_is_no_pass() -> None:
    assert not judge(facts(), Gates(off=GATE_NAMES)).passed


def hole(hours: float, reason: str = "DISCONNECT", filled: bool = False) -> Hole:
    return Hole("BTCUSDT", "trade", DAY, DAY + int(hours * NS_OF["h"]), reason, filled)


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("uptime", {"to_ns": 5 * DAY}, {}),
    ("uptime", {"holes": (hole(4, "DOWNTIME"),)}, {}),
    ("gaps", {"holes": (hole(4),)}, {}),
    ("filled", {"holes": (hole(0.1), hole(0.1), hole(0.1))}, {}),
    ("venue_lag", {"lags": lags(venue_lag=Lag(9, 1.0, 2001.0, "x"))}, {}),
    ("lag", {"lags": lags(lag=Lag(9, 1.0, 101.0, "x"))}, {}),
    ("lag", {"lags": lags(lag=Lag(9, 21.0, 30.0, "x"))}, {}),
    ("decision_lag", {"lags": lags(decision_lag=Lag(9, 1.0, 101.0, "x"))}, {}),
    ("cpu", {"readings": readings(cpu=0.81)}, {}),
    ("memory", {"readings": readings(memory=3e9)}, {}),
    ("memory", {"readings": readings(memory=np.linspace(1e8, 9e8, N))}, {}),
    ("disk", {"readings": readings(disk_free=[*[9e9] * (N - 1), GIB - 1])}, {}),
    ("parity", {"parity": (Parity("a", True, 1, ""), Parity("b", False, 1, "row 3"))}, {}),
    ("trades", {"trading": trading(bp=np.full(29, 1.0))}, {}),
    ("slippage", {"trading": trading(slippage_bp=2.01)}, {}),
    ("rejects", {"trading": trading(rejected=9)}, {}),
    ("fill_latency", {"trading": trading(fill_ms=np.full(9, 2001.0))}, {}),
    ("expectancy", {"trading": trading(bp=np.random.default_rng(2).normal(0.1, 9, 200))}, {}),
    ("place", {"place": Place("x", 1.0, 0.04, 40)}, {}),
    ("place", {"place": Place("x", 1.0, 0.99, 40)}, {"place_max": 0.95}),
]


@pytest.mark.parametrize(("gate", "changes", "limits"), CASES)
def test_a_gate_fails_alone(gate: str, changes: dict[str, Any], limits: dict[str, Any]) -> None:
    finding = found(gate, facts(**changes), **limits)
    assert finding.status == "fail" and finding.limit and finding.figure, finding


MISSING: list[tuple[str, dict[str, Any]]] = [
    *((gate, {"readings": None}) for gate in ("cpu", "memory", "disk")),
    *((gate, {"lags": {}}) for gate in ("venue_lag", "lag", "decision_lag")),
    *((gate, {"lags": {gate: Lag(0, 0.0, 0.0, "x")}}) for gate in ("venue_lag", "lag")),
    ("parity", {"parity": ()}),
    ("slippage", {"trading": trading(slippage_bp=None, fills=0)}),
    ("rejects", {"trading": trading(orders=0, rejected=0)}),
    ("fill_latency", {"trading": trading(fill_ms=np.zeros(0))}),
    ("expectancy", {"trading": trading(bp=np.full(9, 1.0))}),
    ("place", {"place": None}),
    ("place", {"place": Place("x", 1.0, why="3 days of x hold 2 windows")}),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "changes"), MISSING)
def test_what_cannot_be_judged_fails_and_says_why(gate: str, changes: dict[str, Any]) -> None:
    finding = found(gate, facts(**changes))
    assert (finding.status, finding.figure) == ("fail", "cannot be judged")
    assert finding.why


def test_a_session_without_any_figure_is_judged_all_the_same() -> None:
    none = trading(bp=np.zeros(0), net=np.zeros(0), orders=0, fills=0, slippage_bp=None,
                   fill_ms=np.zeros(0))  # fmt: skip
    empty = facts(to_ns=0, readings=None, lags={}, parity=(), trading=none, place=None)
    judged = judge(empty, Gates())
    assert not judged.passed
    assert {f.gate for f in judged.findings if f.status == "pass"} == {"gaps", "filled"}


def test_a_served_venue_has_no_lag_of_its_own() -> None:
    slow = facts(served=True, lags=lags(venue_lag=Lag(9, 1e9, 1e9, "x")))
    assert status("venue_lag", slow) == "off"
    assert judge(slow, Gates()).passed


def test_a_filled_hole_is_no_gap_any_more() -> None:
    holes = (hole(4), hole(4, filled=True))
    assert status("gaps", facts(holes=holes)) == "pass"
    assert found("filled", facts(holes=holes)).figure == "1 of 1 holes in trades"


def test_growth_leaves_the_warm_up_out() -> None:
    memory = np.concatenate([np.linspace(1, 100, 20), np.full(180, 100.0)])
    assert growth_of(memory) == 0.0
    memory[180:] = 110.0
    assert growth_of(memory) == pytest.approx(0.1)
    assert growth_of(np.array([1.0, 9.0])) == 0.0


def test_growth_is_that_of_one_process() -> None:
    """A process that starts anew is small again, and the next one may be larger."""
    memory = np.concatenate([np.full(60, 9e8), np.full(40, 3e8)])
    start = np.repeat([1, 2], [60, 40])
    found_ = found("memory", facts(readings=readings(memory=memory[::-1], start=start[::-1])))
    assert found_.status == "pass" and found_.values["growth"] == 0.0
    memory[:60] = np.linspace(3e8, 9e8, 60)
    assert status("memory", facts(readings=readings(memory=memory, start=start))) == "fail"


def test_an_interval_is_the_wider_of_two() -> None:
    x = np.convolve(np.random.default_rng(5).normal(0.5, 2, 400), np.ones(8) / 8, "valid")
    values = found("expectancy", facts(trading=trading(bp=x))).values
    half = 1.96 * x.std() / len(x) ** 0.5
    assert values["low_bp"] < x.mean() - 1.5 * half < values["bp"] < values["high_bp"]
