"""What the desk does, case by case, with the JIT off (``test_desk.py`` runs them)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.events import Action, Control, ExitReason, Kind, Lifecycle
from tests.engine.tapes import S
from tests.engine.told import FIRST, at_once, market, run

LONG, SHORT, EXIT = int(Action.ENTER_LONG), int(Action.ENTER_SHORT), int(Action.EXIT)
CANCEL = int(Action.CANCEL)
FP9 = 10**9


def once(at: int, side: int = 1):  # type: ignore[no-untyped-def]
    """The classifier speaks at one boundary only."""
    return lambda n: side if n == at else 0


def test_an_idea_becomes_one_order_with_its_stop_and_target() -> None:
    for side, action in ((1, LONG), (-1, SHORT)):
        told = run(market(60), once(30, side))
        assert told.actions() == {30: action}
        (order,) = told.rows("order")
        (fill,) = told.rows("fill")
        row = told.at(30)
        assert order["decision_id"] == row["id"] and row["stop"] > 0
        assert order["qty"] == fill["qty"] == row["qty"] > 0
        assert side * (fill["price"] - row["stop"]) > 0 > side * (fill["price"] - row["target"])
        assert told.gates(30)[1] == set()
        assert row["lifecycle"] == int(Lifecycle.POSITION_ENTRY)
        assert told.at(35)["lifecycle"] == int(Lifecycle.IN_POSITION)
        assert told.gates(40) == (set(), {"idea"})
        assert int(told.fold.state["lifecycle"]["illegal"][0]) == 0


def test_a_pause_ends_entries_and_not_exits() -> None:
    controls = {32: at_once(Control.PAUSE), 90: at_once(Control.RESUME)}
    told = run(market(120, controls=controls), lambda n: 1, {"exits.hold": "40s"})
    assert told.actions() == {20: LONG, 65: EXIT, 95: LONG}
    assert told.at(65)["exit_reason"] == int(ExitReason.TIME)
    assert told.at(40)["lifecycle"] == int(Lifecycle.PAUSED)
    assert told.refused(70) == {"kill"}
    assert int(told.fold.state["lifecycle"]["illegal"][0]) == 0


def test_a_pause_withdraws_an_entry_that_rests() -> None:
    controls = {32: at_once(Control.PAUSE)}
    told = run(market(60, controls=controls), once(30), {"desk.entry": "limit"})
    assert told.actions() == {30: LONG, 35: CANCEL}
    (order,) = told.rows("order")
    assert order["filled_qty"] == 0 and order["price"] == 100_000


def test_flatten_cancels_what_is_left_of_an_entry_and_then_closes() -> None:
    controls = {41: at_once(Control.FLATTEN)}
    told = run(partly_filled(controls), once(30), {"desk.entry": "limit"})
    assert told.at(40)["position"] > 0
    assert told.actions() == {30: LONG, 45: CANCEL, 50: EXIT}
    assert told.at(55)["position"] == 0
    assert int(told.fold.state["core"]["flatten"][0]) == 0
    assert int(told.fold.state["known"]["open_orders"][0]) == 0


def partly_filled(controls=None, price=None):  # type: ignore[no-untyped-def]
    """A seller of very little hits the bid at 35 s, behind a queue that a crossing trade ends."""

    def extra(n: int, at: int) -> list[dict[str, int]]:
        if n != 35:
            return []
        return [{"kind": Kind.TRADE, "price": 100_000, "qty": 9_100, "side": -1}]

    return market(100, price or (lambda n: 100_000), controls=controls, extra=extra)


def test_what_is_left_of_an_entry_is_withdrawn_when_its_time_is_up() -> None:
    told = run(partly_filled(), once(30), {"desk.entry": "limit"})
    assert told.at(40)["position"] > 0
    assert told.actions()[60] == CANCEL
    assert int(told.fold.state["known"]["open_orders"][0]) == 0
    assert int(told.fold.state["known"]["qty"][0]) > 0


def test_an_exit_takes_what_is_left_of_an_entry_with_it() -> None:
    settings = {"desk.entry": "limit", "exits.hold": "15s", "lifecycle.entry": "10m"}
    told = run(partly_filled(), once(30), settings)
    assert told.actions() == {30: LONG, 55: EXIT}
    assert int(told.fold.state["known"]["open_orders"][0]) == 0
    assert int(told.fold.state["known"]["qty"][0]) == 0
    entry, exit_ = sorted(told.rows("order"), key=lambda r: r["id"])
    assert 0 < entry["filled_qty"] < entry["qty"] and exit_["filled_qty"] == exit_["qty"]


ALWAYS = {"direction": 1}


def test_a_plan_that_is_refused_does_not_stand_in_the_way_of_the_next() -> None:
    """The first plan's stop lies on the wrong side for ever; the second is sound."""
    wrong = {"direction": 1, "stop_mode": 1, "stop_value": 200_000}
    told = run(market(60), lambda n: 0, plans=[wrong, ALWAYS])
    assert told.actions() == {20: LONG}
    assert told.at(20)["plan"] == 2 and told.at(20)["stop"] > 0
    status = told.fold.state["plans"]["slots"][0]["status"].tolist()
    assert status[:2] == [1, 2]


def test_refused_plans_give_way_to_the_classifier_and_the_first_is_told_of() -> None:
    wrong = {"direction": 1, "stop_mode": 1, "stop_value": 200_000}
    poor = {"direction": 1, "min_rr_fp9": 9 * FP9}
    told = run(market(60), once(30, -1), plans=[wrong, poor])
    assert told.actions() == {30: SHORT}
    assert told.at(30)["plan"] == 0
    assert told.at(25)["plan"] == 1 and told.gates(25)[1] == {"placed"}
    assert not told.refused(25) and told.at(25)["qty"] == 0
    alone = run(market(60), lambda n: 0, plans=[poor])
    assert alone.actions() == {} and alone.refused(25) == {"rr"}
    assert alone.at(25)["plan"] == 1 and alone.at(25)["qty"] > 0


def test_a_plan_whose_entry_was_never_filled_waits_again() -> None:
    """It rests below the market for 30 s, is withdrawn, and rests again; then it is filled."""

    def price(n: int) -> int:
        return 100_000 if n < 75 else 99_950

    settings = {"desk.entry": "limit", "exits.hold": "0"}
    told = run(market(130, price), lambda n: 0, settings, plans=[ALWAYS])
    orders = told.rows("order")
    assert len(orders) >= 2 and orders[0]["filled_qty"] == 0
    assert (told.rows("fill")["order_id"] == orders[-1]["id"]).all()
    assert int(told.fold.state["plans"]["slots"][0]["status"][0]) == 2
    assert int(told.fold.state["known"]["qty"][0]) > 0
    entered = [second for second, action in told.actions().items() if action == LONG]
    assert len(entered) == len(orders) and min(np.diff(entered)) >= 30


def test_a_plan_that_was_filled_is_never_acted_on_again() -> None:
    told = run(market(200), lambda n: 0, {"exits.hold": "20s"}, plans=[ALWAYS])
    assert list(told.actions().values()) == [LONG, EXIT]


def test_an_entry_that_rests_is_placed_and_sized_by_its_own_price() -> None:
    """The least distance of a stop is the spread: from the ask it would lie on the bid."""
    settings = {"desk.entry": "limit", "desk.stop_share": "0.00001"}
    told = run(market(40, spread=200), once(30), {**settings, "risk.spread": "0.01"})
    (order,) = told.rows("order")
    assert order["price"] == 100_000 and told.at(30)["stop"] <= 99_800
    assert order["active_ns"] > 0, "the broker took it"
    assert told.at(30)["target"] > 100_000


def test_slippage_counts_in_size_and_risk() -> None:
    """A book of little: what is taken beyond the touch is part of what may be lost."""
    wide = run(market(40, depth=9_000), once(30))
    thin = run(market(40, depth=2_000), once(30))
    ask_wide, ask_thin = (int(t.fold.state["risk"]["ask"]["slip"][0]) for t in (wide, thin))
    assert ask_wide < ask_thin
    assert thin.at(30)["qty"] < wide.at(30)["qty"]
    for told in (wide, thin):
        equity = 10_000 * 10**8
        assert told.at(30)["risk"] <= equity // 100
        (fill,) = {int(r["order_id"]) for r in told.rows("fill")}
        assert fill == 1


def test_a_model_without_a_target_is_never_enough() -> None:
    told = run(market(40), once(30), {"desk.target": "none"}, lower=900_000_000)
    assert told.actions() == {} and told.at(30)["needed_fp9"] == FP9
    assert "expectancy" in told.refused(30) and "model" in told.gates(30)[1]


def test_a_model_must_beat_what_is_needed() -> None:
    needed = int(run(market(40), once(30), lower=1).at(30)["needed_fp9"])
    assert 0 < needed < FP9
    assert run(market(40), once(30), lower=needed).actions() == {}
    settings = {"risk.kelly": "0"}
    assert run(market(40), once(30), settings, lower=needed + 1).actions() == {30: LONG}


def test_the_second_scorer_has_a_gate_of_its_own() -> None:
    half = {"long": (60 * FP9, 0), "short": (0, 90 * FP9)}
    for setting, said, passes in (
        ("off", (0, 0), True), ("watch", half["long"], True), ("arm", half["long"], False),
        ("watch", half["short"], False), ("arm", (75 * FP9, 0), True), ("watch", (0, 0), False),
    ):  # fmt: skip
        told = run(market(40), once(30), {"desk.second": setting}, second=said)
        assert (told.actions() == {30: LONG}) == passes, (setting, said)
        passed, blocked = told.gates(30)
        assert ("second" in passed | blocked) == (setting != "off")
        assert ("second" in blocked) == (not passes)
    plan = run(market(40), lambda n: 0, {"desk.second": "arm"}, plans=[ALWAYS])
    assert plan.actions() == {20: LONG}, "a plan is asked nothing but its conditions"


def test_a_stale_touch_prices_nothing() -> None:
    told = run(market(60, quiet=lambda n: n >= 20), once(30))
    assert told.actions() == {} and {"stale"} <= told.refused(30)


def test_the_widest_stop_of_a_plan_stays_in_its_own_budget() -> None:
    told = run(market(40), lambda n: 0, plans=[{**ALWAYS, "risk_fp9": FP9 // 500}])
    budget = int(told.fold.state["exits"]["entry"]["budget"][0])
    assert budget <= 10_000 * 10**8 // 500


def test_every_boundary_says_why_there_is_no_order() -> None:
    """No decision of a flat desk is silent: something blocked, or an order left."""
    told = run(market(200), lambda n: 1 if n % 20 else -1, {"exits.hold": "15s"})
    for row in told.rows("decision"):
        asked = row["blocked"] != 0 or row["refused"] != 0 or row["action"] != 0
        waits = row["lifecycle"] in (int(Lifecycle.COOLDOWN), int(Lifecycle.POSITION_EXIT))
        assert asked or waits, (int(row["ts_ns"] - FIRST) // S, row)


def test_a_day_that_lost_too_much_closes_and_stays_closed() -> None:
    told = run(
        market(120, lambda n: 100_000 if n < 40 else 99_900), lambda n: 1 if n >= 30 else 0,
        {"risk.daily_loss": "0.001"},
    )  # fmt: skip
    acts = told.actions()
    assert acts[30] == LONG and EXIT in acts.values() and list(acts.values()).count(LONG) == 1
    (at,) = [n for n, a in acts.items() if a == EXIT]
    assert told.at(at)["exit_reason"] == int(ExitReason.RISK)
    assert told.refused(at) == {"daily_loss"}
    assert told.at(110)["lifecycle"] == int(Lifecycle.BLOCKED)
    assert told.refused(110) == {"daily_loss"}


def test_a_position_is_left_while_trades_go_on_though_the_book_stalls() -> None:
    told = run(market(90, quiet=lambda n: n >= 30), once(25), {"exits.hold": "20s"})
    assert told.actions() == {25: LONG, 50: EXIT}


def gap(n: int, at: int) -> list[dict[str, int]]:
    """Trades of a moment at 25 s were missed."""
    if n != 25:
        return []
    return [{"kind": Kind.GAP, "stream": int(Kind.TRADE), "from_ns": at, "to_ns": at, "filled": 0}]


REFUSED: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "heat_trade": ({"risk.heat_trade": "0.0001"}, {}),
    "heat_symbol": ({"risk.heat_symbol": "0.0001"}, {}),
    "heat_total": ({"risk.heat_total": "0.0001"}, {}),
    "spread": ({"risk.spread": "0.00001"}, {}),
    "slippage": ({}, {"depth": 100}),
    "latency": ({"risk.latency": "100ms"}, {}),
    "stale": ({}, {"quiet": lambda n: n >= 20}),
    "gap": ({}, {"extra": gap}),
    "rr": ({"risk.min_rr": "3"}, {}),
    "size": ({"sim.qty_min": "1000"}, {}),
    "notional": ({"risk.notional_min": "1000000000"}, {}),
    "kill": ({}, {"controls": {27: at_once(Control.STOP)}}),
    "expectancy": ({"confluence.fitted": "false"}, {"lower": 1}),
}


@pytest.mark.parametrize("guard", REFUSED)
def test_a_guard_that_refuses_is_named(guard: str) -> None:
    settings, options = REFUSED[guard]
    lower = options.get("lower", 0)
    tape = market(45, **{k: v for k, v in options.items() if k != "lower"})
    told = run(tape, once(35), settings, lower=lower)
    assert told.actions() == {}
    assert guard in told.refused(35), told.refused(35)
    asked = "guards" in told.gates(35)[1]
    assert asked or guard == "kill", "a standing guard needs no idea"


def test_losses_make_a_pause_and_a_fall_a_halt() -> None:
    """Three losers by the clock; then the account's own guards, which name themselves."""

    def falling(n: int) -> int:
        return 100_000 - 4 * n

    settings = {"exits.hold": "5s", "risk.losses_pause": "1h"}
    told = run(market(160, falling), lambda n: 1, settings)
    assert told.refused(155) == {"cooldown"}
    assert list(told.actions().values()).count(LONG) == 3
    told = run(market(160, falling), lambda n: 1, {"exits.hold": "5s", "risk.drawdown": "0.0001"})
    assert told.refused(155) == {"drawdown"}


def test_a_market_that_is_not_normal_is_not_entered() -> None:
    told = run(market(60, lambda n: 100_000 if n < 34 else 108_000), once(35))
    assert told.actions() == {} and "market_state" in told.refused(35)


def test_one_position_at_a_time() -> None:
    told = run(market(60), lambda n: 1 if n in (20, 40) else 0)
    assert told.actions() == {20: LONG} and "positions" in told.refused(40)
    assert told.at(40)["qty"] > 0 and "free" in told.gates(40)[1]
