"""A simulated run told as a broker would tell it, and folded live.

:func:`answers` turns the fills and ends of orders of a simulated run into BROKER events at the
times at which the engine learned of them; :func:`live_run` feeds them to a live fold of the same
strategy among the same market events. Order ids are the live fold's own: the n-th order that one
fold sent is the n-th that the other did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.events import BrokerAct, ExitReason, Kind, OrderReason, OrderState, Scales
from engine.kernel.events import COLUMNS
from engine.runtime.compose import Composition, compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from engine.runtime.strategy import Strategy
from tests.engine.driving import SCALES, Collect
from tests.engine.tapes import Event

_NONE = dict.fromkeys(COLUMNS[Kind.BROKER], 0)
_BY_SERVER = {2: ExitReason.STOP, 3: ExitReason.TARGET, 0: ExitReason.STOP_OUT}


def answer(act: BrokerAct, ts_ns: int, **columns: int) -> Event:
    """A BROKER event; what is not named is 0."""
    return {**_NONE, "kind": Kind.BROKER, "act": int(act), "ts_ns": ts_ns, **columns}


@dataclass
class Told:
    """An answer, when it becomes known, and the place of the order that it is about (-1: none)."""

    known_ns: int
    event: Event
    nth: int = -1


@dataclass
class Live:
    """A live fold being driven, with the ids of the orders that it sent, in turn."""

    fold: Fold
    sink: Collect
    sent: list[int] = field(default_factory=list)
    intents: int = 0

    def step(self, event: Event) -> None:
        """Fold one event and note what was sent."""
        self.fold.step(Kind(event["kind"]), event)
        self.fold.drain()
        rows = self.sink.parts["intent"]
        for part in rows[self.intents :]:
            self.sent += [int(r["order_id"]) for r in part if r["action"] in (1, 2, 3, 6)]
        self.intents = len(rows)


def make(
    c: Composition, settings: dict[str, str], scales: Scales = SCALES, apart: bool = False
) -> Live:
    """A live fold of composition ``c``."""
    sink = Collect()
    return Live(Fold(c, build(c, settle(c, settings), scales, apart=apart), sink), sink)


def simulated(strategy: Strategy, tape: list[Event], settings: dict[str, str]) -> Live:
    """The same of a simulated fold, driven to the end of the tape."""
    ran = make(compose(strategy), settings)
    for event in tape:
        if event["kind"] in ran.fold.composition.kinds:
            ran.fold.step(Kind(event["kind"]), event)
    ran.fold.drain()
    return ran


def answers(ran: Live, response_ns: int) -> list[Told]:
    """What a broker would have said of a simulated run, in the order in which it became known."""
    orders = {int(o["id"]): o for o in ran.sink.rows("order")}
    fills = ran.sink.rows("fill")
    open_ = ran.fold.state["sim"][0]
    for k in range(int(open_["n_orders"])):
        o = open_["orders"][int(open_["order_at"][k])]
        orders.setdefault(int(o["id"]), o)
    own = sorted(i for i, o in orders.items() if o["decision_id"] > 0 and not _refused_here(o))
    nth = {i: n for n, i in enumerate(own)}
    found: list[tuple[tuple[int, int, int], Told]] = []
    for f in fills:
        o = orders[int(f["order_id"])]
        reason = 0 if o["decision_id"] > 0 else int(_BY_SERVER[int(o["type"])])
        event = answer(
            BrokerAct.FILL, int(f["ts_ns"]), id=int(f["id"]), position=int(f["position_id"]),
            side=int(f["side"]), price=int(f["price"]), qty=int(f["qty"]), pnl=int(f["pnl"]),
            fee=int(f["fee"]), reason=reason,
        )  # fmt: skip
        told = Told(int(f["known_ns"]), event, nth.get(int(f["order_id"]), -1))
        found.append(((told.known_ns, 0, int(f["id"])), told))
    for i in own:
        o = orders[i]
        if o["state"] in (OrderState.CANCELLED, OrderState.REJECTED):
            done = int(o["done_ns"])
            event = answer(BrokerAct.ORDER, done, state=int(o["state"]), code=10006)
            found.append(((done + response_ns, 1, i), Told(done + response_ns, event, nth[i])))
    return [told for _, told in sorted(found, key=lambda x: x[0])]


def _refused_here(o: Any) -> bool:
    """Refused before it was sent, by the same rules that the live fold asks."""
    names = o.dtype.names
    arrived = int(o["active_ns"]) > 0
    reason = int(o["reason"]) if "reason" in names else 0
    here = (OrderReason.BAD_ORDER, OrderReason.BAD_QTY, OrderReason.BAD_PRICE, OrderReason.NO_SLOT)
    return o["state"] == OrderState.REJECTED and not arrived and reason in here


def live_run(
    strategy: Strategy, tape: list[Event], told: list[Told], settings: dict[str, str],
    between: Callable[[Live], Live] | None = None,
) -> tuple[Live, list[Event]]:  # fmt: skip
    """Fold the tape live, each answer when it becomes known; the fold, and all that it was fed.

    A clock event just before an answer fires the boundaries that come before it, as the clock of a
    session does. ``between`` is asked before each event for the fold that goes on.
    """
    live = make(compose(strategy, broker="live"), settings)
    fed: list[Event] = []
    waits = list(told)

    def give(event: Event) -> None:
        nonlocal live
        if event["kind"] not in live.fold.composition.kinds:
            return
        if between is not None:
            live = between(live)
        live.step(event)
        fed.append(event)

    for event in tape:
        while waits and waits[0].known_ns <= event["ts_ns"]:
            one = waits.pop(0)
            give({"kind": Kind.CLOCK, "ts_ns": one.known_ns - 1})
            number = live.sent[one.nth] if one.nth >= 0 else 0
            give({**one.event, "order_id": number})
        give(event)
    return live, fed


def comparable(rows: np.ndarray) -> list[tuple[Any, ...]]:
    """Rows without what may differ: numbers of events and orders."""
    left_out = {"events", "entry_order_id", "exit_order_id"}
    names = [n for n in rows.dtype.names or () if n not in left_out]
    return [tuple(row[n].item() for n in names) for row in rows]
