"""The fault matrix: every fault, at every point of an order's life, the engine alive and killed.

Real adapter, real journal, the stand-in's server, virtual time; see ``fault_cell``. Each cell is
run with one seed, and with 20 under OFS_CAMPAIGN=1. What is asserted: at most one live order for
each intent, nothing sent before it is synced or while blocked, every execution told once, nothing
open that the log does not know, what is unknown resolved within 10 s of looking (and the few
seconds that looks and lags take), and books that agree to the last unit.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.fault_cell import DAY_KINDS, Cell, Engine, day
from tests.e2e.support import CAMPAIGN

SEEDS = 20 if CAMPAIGN else 1
READS = ("account_info", "symbol_info_tick", "positions_get", "terminal_info")
FACTS = ("history_deals_get", "positions_get", "history_orders_get", "orders_get")
FAULTS = (
    "timeout", "none", "pipe reset", "requote", "duplicate answer", "late answer",
    "out-of-order fill", "partial then cut", "terminal restart", "hang",
)  # fmt: skip
POINTS = ("before send", "sent", "acknowledged", "partly filled", "closing")

Kinds = list[tuple[str, dict[str, Any]]]


def faults_of(name: str, executed: bool, cell: Cell) -> Kinds:
    """The stand-in's faults behind a word of the matrix."""
    rng = cell.rng
    code = rng.choice((-10000, -10001, -10002, -10005))
    deep = {"executed": executed} if executed else {}
    late_s = rng.choice((3, 12, 40))
    return {
        "timeout": [("hang", deep)],
        "none": [("none", {"value": code, **deep})],
        "pipe reset": [("pipe_death", deep)],
        "requote": [("requote", {})],
        "duplicate answer": [("duplicate_answer", {})],
        "late answer": [("late_execution", {"value": f"{late_s % 37}s"})]
        if executed
        else [("delay", {"value": f"{late_s}s"})],
        "out-of-order fill": [(rng.choice(("out_of_order", "hidden_deals")), {"value": "4s"})],
        "partial then cut": [("partial", {"value": 0.5}), ("lost_answer", {})],
        "terminal restart": [("restart", {"value": f"{rng.choice((1, 8))}s"})],
        "hang": [("hang", deep), ("disconnect", {"value": "6s"})],
    }[name]


def put(cell: Cell, name: str, call: str, executed: bool) -> None:
    """Have the next call of that name struck; what concerns orders only strikes the next order."""
    for kind, more in faults_of(name, executed, cell):
        on_orders = kind in ("requote", "partial", "out_of_order", "hidden_deals", "late_execution")
        met = "order_send" if on_orders else call
        cell.rig.server.fault(kind, call=met, count=1, times=1, **more)


def strike(name: str, point: str) -> Any:
    """What puts the faults of a cell in place, at its point."""

    def struck(cell: Cell, engine: Engine) -> bool:
        ledger = engine.gateway.ledger
        sent = engine.gateway.counts.sent
        if point == "before send":
            if engine.gateway.reconciled:
                put(cell, name, cell.rng.choice((*READS, "order_send")), executed=False)
                return True
            return False
        if point == "sent":
            if engine.gateway.reconciled:
                put(cell, name, "order_send", executed=True)
                return True
            return False
        if point == "acknowledged":
            if sent and any(t.working for t in ledger.tracks.values()):
                put(cell, name, cell.rng.choice(FACTS), executed=False)
                return True
            return False
        if point == "partly filled":
            if not sent and engine.gateway.reconciled and not cell.rig.server.plan.done["partial"]:
                if not cell.rig.server.plan._lanes:
                    cell.rig.server.fault("partial", 0.5, count=1, times=1)
                return False
            if sent and cell.rig.server.plan.done["partial"]:
                put(cell, name, cell.rng.choice((*FACTS, "order_send")), executed=True)
                return True
            return False
        if ledger.held:
            put(cell, name, "order_send", executed=cell.rng.random() < 0.7)
            engine.moved = True  # the next order is the one that closes
            return True
        return False

    return struck


SEEN: Counter[str] = Counter()


@pytest.mark.campaign
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_cell(fault: str, point: str, killed: bool, tmp_path: Path) -> None:
    for seed in range(SEEDS):
        cell = Cell(tmp_path / str(seed), seed, strike(fault, point), killed)
        cell.run()
        cell.check()
        cell.engine.drop()
        SEEN.update(cell.rig.server.plan.done)
        assert cell.rig.server.plan.done, "nothing was struck"
        SEEN["deaths"] += cell.deaths
        SEEN["unknown"] += cell.engine.gateway.counts.unknown


@pytest.mark.campaign
def test_a_day_with_thirty_faults(tmp_path: Path) -> None:
    """Positions are opened and closed all day, by us and by the server; the books agree to the last
    unit at its end, and every fault was met."""
    cell = day(tmp_path, 5, 24 if CAMPAIGN else 0.3)
    cell.check()
    cell.engine.drop()
    assert {kind for kind, _, _ in DAY_KINDS} == set(cell.rig.server.plan.done)
    assert cell.deaths and len(cell.rig.server.ledger.deals) > 20


def test_every_fault_was_met() -> None:
    """Runs behind the cells of this file: faults that never struck would prove nothing."""
    if not SEEN:
        pytest.skip("the cells were not run in this process")
    for kind in ("hang", "none", "pipe_death", "requote", "duplicate_answer", "delay",
                 "late_execution", "partial", "lost_answer", "restart", "disconnect"):  # fmt: skip
        assert SEEN[kind], f"{kind} never struck"
    assert SEEN["deaths"] >= 40 and SEEN["unknown"] >= 10
