"""A recorded live session in two series: flow of one, quotes and a broker's answers of another.

The broker is the plainest there can be: it fills every order whole, a little later, at the touch,
and holds the levels that it is given. What is fed to the fold is what stands in the log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data.events import EVENTS, BrokerAct, ExitReason, Kind, OrderState, Scales
from data.log import LogStore
from engine.runtime.compose import OF_EXECUTION, compose
from engine.runtime.replay import Request
from tests.engine.brokered import Live, answer, make
from tests.engine.puppet import EXIT, LONG, MOVE, SHORT, STRATEGY, market
from tests.engine.tapes import MS, Event

FLOW, EXECUTION = ("binance-um", "BTCUSDT"), ("mt5", "BTCUSDc")
SCALES = Scales(1, 3)
OFFSET = 250
"""What the execution venue's mid has over the flow, price units."""
SETTINGS = {"decision.step": "1s", "one": "true", "stop": "400", "target": "600"}
LISTS = ("bid_price", "bid_qty", "ask_price", "ask_qty")


class Plain:
    """Answers intents. Prices and quantities in units."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[int, int, int]] = {}
        self.deals = 0

    def answers(self, intents: np.ndarray, ts_ns: int) -> list[Event]:
        """What comes of ``intents`` (rows of the table)."""
        found = []
        for r in intents:
            order, ident = int(r["order_id"]), int(r["position"])
            if r["action"] == 5:
                levels = {"price": int(r["stop"]), "target": int(r["target"])}
                found.append(answer(BrokerAct.LEVELS, ts_ns, position=ident, **levels))
                continue
            self.deals += 1
            side, qty = int(r["side"]), int(r["qty"])
            price = int(r["ask"] if side > 0 else r["bid"])
            works = {"order_id": order, "id": order, "state": int(OrderState.WORKING)}
            found.append(answer(BrokerAct.ORDER, ts_ns, **works))
            pnl = 0
            if ident:
                was, paid, _ = self.held.pop(ident)
                pnl = was * (price - paid) * qty * 10**4
            else:
                ident = 7000 + self.deals
                self.held[ident] = (side, price, qty)
            found.append(
                answer(
                    BrokerAct.FILL, ts_ns, id=self.deals, order_id=order, position=ident,
                    side=side, price=price, qty=qty, pnl=pnl, fee=12_345,
                )
            )  # fmt: skip
        return found

    def stops(self, bid: int, ts_ns: int) -> list[Event]:
        """The server closes a long that has lost 5 units."""
        found = []
        for ident, (side, paid, qty) in list(self.held.items()):
            if side > 0 and bid < paid - 25:
                del self.held[ident]
                self.deals += 1
                found.append(
                    answer(
                        BrokerAct.FILL, ts_ns, id=self.deals, position=ident, side=-1, price=bid,
                        qty=qty, pnl=(bid - paid) * qty * 10**4, reason=int(ExitReason.STOP),
                    )
                )  # fmt: skip
        return found


def session(seed: int = 3, seconds: int = 180) -> tuple[Live, list[Event]]:
    """A live fold at its end, and every event that it was fed, in order."""
    live = make(compose(STRATEGY, broker="live"), SETTINGS, SCALES, apart=True)
    broker, fed = Plain(), []

    def give(event: Event) -> None:
        fed.append(event)
        live.step(event)

    for event in market(seed, seconds, (LONG, SHORT, EXIT, EXIT, MOVE)):
        had = live.intents
        give(event)
        new = [row for part in live.sink.parts["intent"][had:] for row in part]
        for a in broker.answers(new, event["ts_ns"] + 30 * MS):
            give(a)
        if event["kind"] == Kind.DEPTH:
            bid = event["bid_price"][0] + OFFSET
            quote = {"id": 0, "bid": bid, "ask": bid + 4, "bid_qty": 0, "ask_qty": 0}
            give({"kind": Kind.QUOTE, "ts_ns": event["ts_ns"] + 20 * MS, **quote})
            for a in broker.stops(bid, event["ts_ns"] + 60 * MS):
                give(a)
    live.fold.finish()
    return live, fed


def stamped(events: list[Event]) -> list[Event]:
    """With the order in which the session took them."""
    stamp, out = 0, []
    for seq, event in enumerate(events, start=1):
        stamp = max(stamp, event["ts_ns"])
        out.append({**event, "recv_ns": stamp, "seq": seq})
    return out


def columns(kind: Kind, rows: list[Event]) -> dict[str, Any]:
    """Columns of a kind as a transaction takes them."""
    found: dict[str, Any] = {}
    for f in EVENTS[kind].fields:
        if f.is_list:
            sizes = np.cumsum([len(e[f.name]) for e in rows])
            flat = np.array([x for e in rows for x in e[f.name]], dtype=np.int64)
            found[f.name] = flat, np.concatenate(([0], sizes)).astype(np.int64)
        else:
            found[f.name] = np.array([e.get(f.name, 0) for e in rows], dtype=f.dtype)
    return found


def write_log(folder: Path, events: list[Event]) -> LogStore:
    """The log of a session, each kind under the series that it came from."""
    store = LogStore(folder, create=True)
    rows = stamped(events)
    with store.transaction() as change:
        for kind in sorted({e["kind"] for e in rows}):
            series = EXECUTION if kind in OF_EXECUTION else FLOW
            mine = [e for e in rows if e["kind"] == kind]
            change.merge(Kind(kind), *series, columns(Kind(kind), mine), SCALES)
    return store


def request(**changes: Any) -> Request:
    """What made it."""
    return Request(
        STRATEGY, "puppet", *FLOW, settings=dict(SETTINGS), broker="live", execution=EXECUTION,
        **changes,
    )  # fmt: skip
