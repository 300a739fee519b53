"""The gateway's thread over a real journal: an intent leaves once it is behind a barrier."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.enums import Action, BrokerAct, OrderType, Side
from data.events import RECORDS, numpy_dtype
from data.journal import Journal
from data.live.blocks import Series
from engine.broker.protocol import NewOrder, Outcome
from engine.runtime.gateway import Gateway
from engine.runtime.gateway_state import BrokerRow
from engine.runtime.gateway_thread import GatewayThread
from tests.engine.runtime.scripted_broker import BASE, EURUSD, SCALES, TAG, ScriptedBroker


class WallClock:
    served = False

    def now(self) -> int:
        return time.time_ns()


class LiveBroker(ScriptedBroker):
    """The scripted broker by the wall clock; ``before`` is called with each order."""

    before: Callable[[NewOrder], None] = staticmethod(lambda _order: None)

    def submit(self, order: NewOrder) -> Outcome:
        self.now_ns = time.time_ns()
        self.before(order)
        return super().submit(order)


def row(id: int, order: int) -> np.ndarray:
    one = np.zeros(1, numpy_dtype(RECORDS["intent"]))
    one["ts_ns"], one["id"], one["order_id"] = time.time_ns(), id, order
    one["action"], one["type"], one["side"] = Action.ENTER_LONG, OrderType.MARKET, Side.BUY
    one["qty"], one["stop"], one["target"] = 100, 9_900, 10_200
    return one


class Session:
    """A thread, its journal, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal.open(folder, sync_ms=1e9, sync_events=1 << 40)
        self.journal.set_series([Series("a", "b", SCALES), Series("mt5", "EURUSD", SCALES)])
        self.broker = LiveBroker(now_ns=time.time_ns())
        self.gateway = Gateway([EURUSD], BASE, TAG)
        self.woken = threading.Event()
        self.thread = GatewayThread(self.gateway, self.broker, WallClock(), self.woken.set)
        self.journal.on_synced = self.thread.synced
        self.rows: list[BrokerRow] = []
        self.alarms: list[str] = []
        self.thread.start()
        self.until(lambda: any(r.act == BrokerAct.UNBLOCK for r in self.rows))

    def until(self, true: Callable[[], bool], seconds: float = 20.0) -> None:
        by_s = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < by_s, (self.rows, self.thread.failure)
            self.woken.wait(0.01)
            self.woken.clear()
            self.rows += self.thread.take()
            self.alarms += self.thread.take_alarms()

    def intend(self, id: int, order: int) -> int:
        rows = row(id, order)
        mark = self.journal.append_records(0, "intent", rows, 0)
        self.thread.expect(mark, 0, rows)
        return mark

    def filled(self, order: int) -> bool:
        return any(r.act == BrokerAct.FILL and r.order_id == order for r in self.rows)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path)
    yield made
    made.thread.stop()
    made.journal.close()


def test_an_intent_leaves_once_it_is_synced_and_not_before(session: Session) -> None:
    marks: dict[int, int] = {}
    seen: list[tuple[int, int]] = []

    def before(order: NewOrder) -> None:
        seen.append((order.magic & 0xFFFFFF, session.journal.synced_mark))

    session.broker.before = before
    marks[1] = session.intend(1, 1)
    time.sleep(0.1)
    assert not seen and not session.thread.idle
    session.journal.hurry()
    session.until(lambda: session.filled(1))
    marks[2] = session.intend(2, 2)
    session.journal.sync()
    session.until(lambda: session.filled(2))
    assert [order for order, _ in seen] == [1, 2]
    assert all(synced >= marks[order] for order, synced in seen)
    session.until(lambda: session.thread.idle)
    assert session.thread.facts["sent"] == 2 and session.thread.failure is None


def test_an_intent_that_was_synced_before_it_is_expected_leaves_too(session: Session) -> None:
    rows = row(1, 1)
    mark = session.journal.append_records(0, "intent", rows, 0)
    session.journal.sync()
    session.thread.expect(mark, 0, rows)
    session.until(lambda: session.filled(1))


def test_what_a_broker_raises_ends_only_that_call(session: Session) -> None:
    def before(_order: NewOrder) -> None:
        session.broker.before = lambda _order: None
        raise ZeroDivisionError("a bug of a broker")

    session.broker.before = before
    session.intend(1, 1)
    session.journal.hurry()
    session.until(lambda: bool(session.gateway.blocked))
    session.until(lambda: any("ZeroDivisionError" in a for a in session.alarms))
    assert session.thread.surprises == 1 and session.thread.failure is None
    assert session.gateway.counts.unknown == 1


def test_a_bug_of_the_gateway_is_told(session: Session) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug of ours")

    session.gateway.next_call = broken  # type: ignore[method-assign, assignment]
    session.until(lambda: session.thread.failure is not None)
    assert isinstance(session.thread.failure, RuntimeError)


def test_it_stops_before_it_was_started(tmp_path: Path) -> None:
    gateway = Gateway([EURUSD], BASE, TAG)
    GatewayThread(gateway, ScriptedBroker(), WallClock(), lambda: None).stop()
