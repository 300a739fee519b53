"""The golden sessions tell what their manifests say, and what is told hangs on its events.

One event of each is followed from the log to the signal, the decision, its gates, the order and the
fill. Then the events that decided are taken out of a copy of the log, and what they caused is gone.
All sessions of scalper are folded by one compile.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import replays
from data.enums import Action, ExitReason, OrderType, Side
from data.events import EVENTS, FP9, NS, Kind
from data.log import LogReader, LogStore
from data.runs import Run, find_run
from data.times import parse_utc
from engine.kernel.confluence import SOURCES
from engine.kernel.risk import REFUSALS
from engine.runtime.backtest import backtest
from engine.runtime.explain import Explanation, explain
from engine.runtime.golden import (
    Session,
    facts_of,
    fold_session,
    platform_name,
    session_of,
)
from engine.runtime.replay import Request
from engine.runtime.trial import Trial, fold
from strategies import get
from tests.e2e.support import User

TRADES = ("absorption_long", "short_stopped", "flip_exit")
SESSIONS = (*TRADES, "guards_day")
Columns = dict[str, np.ndarray]


def session(name: str) -> Session:
    return session_of(replays.path(name), replays.manifest(name))


def story(name: str) -> dict[str, Any]:
    return dict(replays.manifest(name)["story"])


@cache
def folded(name: str) -> Trial:
    """The session as it ships."""
    return over(name, replays.path(name))


def over(name: str, log: Path) -> Trial:
    """Strategy, settings and plans of the session over ``log``."""
    own = session(name)
    text = own.plans.text if own.plans else ""
    return fold(get(own.strategy), log=log, settings=own.settings, plans=text)


def refused(decision: Any) -> set[str]:
    return {name for bit, name in enumerate(REFUSALS) if int(decision["refused"]) >> bit & 1}


def label(name: str) -> dict[str, Any]:
    """The last pattern that was planted before the session's position ended."""
    ended = int(folded(name).positions[0]["closed_ns"])
    return [x for x in replays.labels(name) if x["onset_ns"] < ended][-1]


def without(
    name: str, folder: Path, kind: Kind, dropped: Callable[[Columns], np.ndarray]
) -> tuple[Path, int]:
    """(a copy of the session's log without the events of ``kind`` that are dropped, how many)."""
    m = replays.manifest(name)
    source = LogStore(replays.path(name))
    copy = folder / "log"
    left = shutil.ignore_patterns("catalogue.*", f"kind={kind.name.lower()}")
    shutil.copytree(replays.path(name), copy, ignore=left)
    reader = LogReader(source, m["venue"], m["symbol"], {kind: EVENTS[kind].names}, ahead=False)
    parts = [batch.columns[kind] for batch in reader]
    columns = {n: np.concatenate([p[n] for p in parts]) for n in EVENTS[kind].names}
    gone = dropped(columns)
    with LogStore(copy).transaction() as tx:
        kept = {n: values[~gone] for n, values in columns.items()}
        if not gone.all():
            tx.merge(kind, m["venue"], m["symbol"], kept, reader.scales)
    return copy, int(gone.sum())


def between(from_ns: int, to_ns: int, side: Side) -> Callable[[Columns], np.ndarray]:
    """Trades of one aggressor with from_ns <= time < to_ns."""
    return lambda c: (c["ts_ns"] >= from_ns) & (c["ts_ns"] < to_ns) & (c["side"] == int(side))


# --- the manifests ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_gives_its_golden_result(name: str) -> None:
    own = session(name)
    found = fold_session(own, get(own.strategy))
    assert found.ok, found.differences
    assert {"digest", "state_digest", "rows", "net_pnl_1e8", "round_trips"} <= set(own.golden)
    assert folded(name).digest == own.golden["digest"]
    assert not folded(name).violations


@pytest.mark.parametrize("name", SESSIONS)
def test_the_size_of_chunks_changes_nothing(name: str) -> None:
    own = session(name)
    facts = facts_of(own, get(own.strategy), chunk_rows=997)
    assert facts["digest"] == own.golden["digest"]


def test_plain_python_tells_the_same_story(user: User) -> None:
    golden = replays.manifest("short_stopped")["golden"]
    plain = user.json("backtest", "short_stopped", NUMBA_DISABLE_JIT="1")
    assert plain["digest"] == golden["digest"]
    if golden["state_on"] == platform_name():
        assert plain["state_digest"] == golden["state_digest"]


@pytest.mark.parametrize("name", TRADES)
def test_a_session_of_one_trade_ends_as_its_story_says(name: str) -> None:
    told, t = story(name), folded(name)
    assert len(t.positions) == 1
    position = t.positions[0]
    assert Side(int(position["side"])).name == told["side"]
    assert ExitReason(int(position["exit_reason"])).name == told["exit_reason"]
    assert (position["net_pnl"] > 0) == (told["exit_reason"] == "TARGET")
    # what was planted speaks for the one that won, and against those that lost
    planted = label(name)
    favours = 1 if told["exit_reason"] == "TARGET" else -1
    assert planted["type"] == told["planted"]
    assert planted["direction"] == favours * int(position["side"])


# --- from the event to the fill --------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A run of a session, made once."""
    runs: Path = tmp_path_factory.mktemp("runs")

    @cache
    def made(name: str) -> Run:
        own = session(name)
        request = Request(
            get(own.strategy), own.strategy, settings=own.settings, plans=own.plans
        )  # fmt: skip
        content = backtest(LogStore(own.log), str(own.log), request, runs)
        return find_run(runs, content["run"])

    return made


def told(run: Run, subject: str) -> Explanation:
    return explain(LogStore(run.manifest["log"]["path"]), run, get("scalper"), subject)


@pytest.mark.parametrize("name", TRADES)
def test_an_event_is_followed_to_the_fill(name: str, recorded: Callable[[str], Run]) -> None:
    found = told(recorded(name), "position:1")
    side = story(name)["side"]
    decision, entry, last = found.decision, found.orders[0], found.orders[-1]
    assert found.agrees
    assert decision["action"] == {"BUY": "ENTER_LONG", "SELL": "ENTER_SHORT"}[side]
    asked = {gate for gate, verdict in found.gates if verdict == "passed"}
    assert asked >= {"free", "history", "idea", "placed", "size", "guards", "model"}
    assert all(verdict != "blocked" for _, verdict in found.gates) and not found.refused
    assert (entry["decision_id"], entry["side"]) == (decision["id"], side)
    assert decision["plan"] == story(name).get("plan", 0)
    # the entry's fills are of its order, after the decision, and an event of the log made each
    first = [f for f in found.fills if f["order_id"] == entry["id"]]
    assert sum(f["qty"] for f in first) == pytest.approx(entry["qty"]) and entry["qty"] > 0
    assert all(f["ts_ns"] > decision["ts_ns"] for f in first)
    assert found.event is not None and found.event["time"] <= decision["ts_ns"]
    made = {c["fill"]: c["time"] for c in found.causes}
    assert made and all(made[f["id"]] == f["cause_ts_ns"] for f in found.fills if f["id"] in made)
    assert found.positions[0]["exit_order_id"] == last["id"]
    assert found.positions[0]["exit_reason"] == story(name)["exit_reason"]


def test_the_long_stands_on_the_absorption_that_was_planted(
    recorded: Callable[[str], Run],
) -> None:
    found = told(recorded("absorption_long"), "order:1")
    assert SOURCES[found.numbers["confluence"]["dominant"]] == story("absorption_long")["dominant"]
    spoke = [s for s in found.signals if s["detector"] == "absorption"]
    assert [s["direction"] for s in spoke] == [1] and spoke[0]["strength"] > 0.5
    assert dict(found.gates)["score"] == "passed"
    planted, signals = label("absorption_long"), folded("absorption_long").signals
    first = int(signals[signals["detector"] == 0]["ts_ns"][0])
    assert planted["start_ns"] < first <= planted["end_ns"] + 60 * NS
    assert found.orders[-1]["type"] == "MARKET"
    (target,) = [o for o in folded("absorption_long").orders if o["type"] == OrderType.TARGET]
    assert target["price"] == round(found.decision["target"] * 10)


def test_the_stop_is_the_brokers_and_fills_where_the_plan_said(
    recorded: Callable[[str], Run],
) -> None:
    found = told(recorded("short_stopped"), "position:1")
    stop = found.orders[-1]
    assert (stop["type"], stop["decision_id"]) == ("STOP", 0)
    assert stop["price"] == found.decision["stop"] > found.decision["price"]
    fills = [f for f in found.fills if f["order_id"] == stop["id"]]
    assert fills and all(f["price"] >= stop["price"] for f in fills)
    # it lost what the guards had been told, and what it slipped
    lost = -float(found.positions[0]["net_pnl"])
    assert lost == pytest.approx(float(found.decision["risk"]), rel=0.1)


def test_the_flip_closes_by_an_order_of_its_own(recorded: Callable[[str], Run]) -> None:
    t = folded("flip_exit")
    (exit_,) = t.decisions[t.decisions["action"] == Action.EXIT]
    assert ExitReason(int(exit_["exit_reason"])) is ExitReason.FLIP
    assert exit_["flip_fp9"] > 4 * FP9  # flip.h, the threshold of the CUSUM
    found = told(recorded("flip_exit"), f"decision:{exit_['id']}")
    assert found.agrees and found.decision["exit_reason"] == "FLIP"
    assert [(o["side"], o["type"]) for o in found.orders] == [("SELL", "MARKET")]
    assert found.positions[0]["exit_order_id"] == found.orders[0]["id"]
    turned = label("flip_exit")["onset_ns"]
    assert turned < int(exit_["ts_ns"]) <= turned + 90 * NS


# --- without the event -----------------------------------------------------------------------


def test_without_the_sells_that_were_absorbed_there_is_no_long(tmp_path: Path) -> None:
    planted = label("absorption_long")
    pressed = between(planted["start_ns"], planted["end_ns"], Side.SELL)
    log, dropped = without("absorption_long", tmp_path, Kind.TRADE, pressed)
    t = over("absorption_long", log)
    assert 0 < dropped < 1_000
    assert not len(t.orders)
    assert not (t.signals["detector"] == 0).any()
    # all else of the log is there: the same decisions were made up to the pattern
    before = t.decisions["ts_ns"] <= planted["start_ns"]
    whole = folded("absorption_long").decisions
    assert np.array_equal(t.decisions[before], whole[: int(before.sum())])


def test_without_other_sells_the_long_is_still_there(tmp_path: Path) -> None:
    planted = label("absorption_long")
    before = 30 * 60 * NS
    other = between(planted["start_ns"] - before, planted["end_ns"] - before, Side.SELL)
    log, dropped = without("absorption_long", tmp_path, Kind.TRADE, other)
    assert dropped > 0
    order, whole = over("absorption_long", log).orders[0], folded("absorption_long").orders[0]
    assert (order["ts_ns"], order["side"]) == (whole["ts_ns"], whole["side"])


def test_without_the_sells_before_it_the_plan_sends_no_short(tmp_path: Path) -> None:
    entered = int(folded("short_stopped").orders[0]["ts_ns"])
    sold = between(entered - 30 * NS, entered, Side.SELL)
    log, dropped = without("short_stopped", tmp_path, Kind.TRADE, sold)
    t = over("short_stopped", log)
    assert dropped > 0
    assert not (t.orders["ts_ns"] <= entered).any()


def test_without_the_sells_that_turned_the_flow_nothing_flips(tmp_path: Path) -> None:
    position, turned = folded("flip_exit").positions[0], label("flip_exit")["onset_ns"]
    sold = between(turned, int(position["closed_ns"]), Side.SELL)
    log, dropped = without("flip_exit", tmp_path, Kind.TRADE, sold)
    t = over("flip_exit", log)
    assert dropped > 0
    assert t.positions[0]["ts_ns"] == position["ts_ns"]
    exits = t.decisions[t.decisions["action"] == Action.EXIT]
    assert not (exits["ts_ns"] <= position["closed_ns"]).any()


# --- the day in which every guard refuses ----------------------------------------------------


def in_scene(t: Trial, scene: dict[str, Any]) -> np.ndarray:
    """Decisions of a scene: those of its plan, or all where no plan is looked at."""
    d = t.decisions
    rows = d[(d["ts_ns"] >= parse_utc(scene["from"])) & (d["ts_ns"] < parse_utc(scene["to"]))]
    return rows[rows["plan"] == scene["plan"]]


def test_every_guard_refuses_at_least_once() -> None:
    assert story("guards_day")["every_guard_refuses"]
    met = set[str]().union(*(refused(d) for d in folded("guards_day").decisions))
    assert met == set(REFUSALS)


@pytest.mark.parametrize("scene", story("guards_day")["scenes"], ids=lambda s: s["from"][11:16])
def test_a_scene_is_refused_for_its_own_reason(scene: dict[str, Any]) -> None:
    t = folded("guards_day")
    rows = in_scene(t, scene)
    assert len(rows)
    entered = rows[rows["action"] == Action.ENTER_LONG]
    if scene["refused"]:
        assert not len(entered)
        assert {frozenset(refused(d)) for d in rows} == {frozenset(scene["refused"])}
        return
    assert len(entered) == 1 and not refused(entered[0])
    (order,) = t.orders[t.orders["decision_id"] == entered[0]["id"]]
    (position,) = t.positions[t.positions["entry_order_id"] == order["id"]]
    assert ExitReason(int(position["exit_reason"])).name == scene["exit_reason"]


def test_a_refusal_is_explained_by_name(recorded: Callable[[str], Run]) -> None:
    scene = next(s for s in story("guards_day")["scenes"] if s["refused"] == ["slippage"])
    (row, *_) = in_scene(folded("guards_day"), scene)
    found = told(recorded("guards_day"), f"decision:{row['id']}")
    assert found.agrees and found.refused == ["slippage"] and not found.orders
    assert dict(found.gates)["guards"] == "blocked"
    assert found.numbers["risk"]["ask.slip"] == -1


@pytest.mark.parametrize(
    ("kind", "reason"), [(Kind.GAP, "gap"), (Kind.CONTROL, "kill")], ids=["gap", "control"]
)
def test_without_its_event_the_guard_is_silent(kind: Kind, reason: str, tmp_path: Path) -> None:
    scene = next(s for s in story("guards_day")["scenes"] if s["refused"] == [reason])
    log, dropped = without(
        "guards_day", tmp_path, kind, lambda c: c["ts_ns"] < parse_utc(scene["to"])
    )
    t = over("guards_day", log)
    assert dropped == 1
    assert not any(reason in refused(d) for d in t.decisions)
    if reason == "gap":  # and what it had held back is let in
        assert Action.ENTER_LONG in in_scene(t, scene)["action"]


# --- by the command --------------------------------------------------------------------------


def test_a_session_is_run_as_it_ships_by_its_name(user: User) -> None:
    golden = replays.manifest("short_stopped")["golden"]
    own = user.json("backtest", "short_stopped")
    assert (own["strategy"], own["digest"]) == ("scalper", golden["digest"])
    assert user.json("verify", "last")["ok"]
    # its settings go over those of files and the environment, --set goes over its settings
    mine = user.json("backtest", "short_stopped", OFS_SET="desk.source=classifier")
    assert mine["digest"] == golden["digest"]
    wider = user.json("backtest", "short_stopped", "--set", "risk.share=0.005")
    assert -own["net_pnl"] / 3 < -wider["net_pnl"] < -own["net_pnl"] * 2 / 3
    other = user.json("backtest", "short_stopped", "--strategy", "delta_flip")
    assert other["strategy"] == "delta_flip"


def test_verify_golden_says_a_line_a_session(user: User) -> None:
    done = user.ofs("verify", "--golden")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"ok: {n}" for n in replays.names()]
