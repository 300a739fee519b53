"""``ofs explain`` over a real run: the story of an order is the one that the records tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import replays
from data.errors import UsageError
from data.log import LogStore
from data.runs import Run, find_run
from engine.runtime.backtest import backtest
from engine.runtime.explain import explain, parse_subject
from engine.runtime.replay import Request
from strategies import get


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    runs: Path = tmp_path_factory.mktemp("runs")
    log = str(replays.path())
    request = Request(get("delta_flip"), "delta_flip", to_ns=1_767_620_000_000_000_000)
    made = backtest(LogStore(log), log, request, runs)
    return find_run(runs, made["run"])


def told(recorded: Run, subject: str) -> Any:
    store = LogStore(recorded.manifest["log"]["path"])
    return explain(store, recorded, get("delta_flip"), subject)


def test_the_story_of_an_order(recorded: Run) -> None:
    found = told(recorded, "order:1")
    assert found.agrees
    order, decision = found.orders[0], found.decision
    assert order["decision_id"] == decision["id"]
    assert decision["action"] in ("ENTER_LONG", "ENTER_SHORT")
    assert all(verdict == "passed" for _, verdict in found.gates)
    assert {s["detector"] for s in found.signals} == {"delta", "book"}
    fill = found.fills[0]
    assert (fill["order_id"], found.causes[0]["fill"]) == (1, fill["id"])
    assert found.causes[0]["time"] == fill["cause_ts_ns"]
    assert found.event["time"] <= decision["ts_ns"]
    assert found.positions[0]["entry_order_id"] == 1
    # the numbers are of that decision: the fold's CVD is the one that was written down
    assert found.numbers["flow"]["cvd"] == round(decision["cvd"] * 1000)


def test_a_fill_and_a_position_lead_to_the_same_decision(recorded: Run) -> None:
    by_order = told(recorded, "order:1")
    assert told(recorded, "fill:1").decision == by_order.decision
    position = told(recorded, "position:1")
    assert position.decision == by_order.decision
    assert position.orders[0]["id"] == 1 and len(position.orders) == 2


def test_a_decision_that_did_nothing(recorded: Run) -> None:
    found = told(recorded, "decision:3")
    assert found.agrees and not found.orders and not found.fills
    verdicts = {verdict for _, verdict in found.gates}
    assert "blocked" in verdicts


def test_another_strategy_is_noticed(recorded: Run) -> None:
    changed = Run(recorded.id, recorded.folder, {**recorded.manifest})
    changed.manifest["params"] = {**recorded.manifest["params"], "window": "5s"}
    assert not told(changed, "decision:300").agrees


@pytest.mark.parametrize("subject", ["order", "order:", "order:0", "order:x", "signal:1", ":3"])
def test_what_cannot_be_explained(subject: str) -> None:
    with pytest.raises(UsageError, match="names nothing"):
        parse_subject(subject)


@pytest.mark.parametrize(
    "subject", ["order:99999", "fill:99999", "position:99999", "decision:99999"]
)
def test_what_is_not_there(recorded: Run, subject: str) -> None:
    with pytest.raises(UsageError, match=f"has no {subject}") as caught:
        told(recorded, subject)
    view = subject.partition(":")[0] + "s"
    assert f"from {view} where run = '{recorded.id}'" in str(caught.value.do)
    assert "are numbered from 1" in str(caught.value.why)
