"""A real live fold, the gateway and a broker: what the one asks for, the other tells, and back.

The fold is that of the puppet, which does what the tape says; the broker is the scripted one, with
faults, a mind of its own and a person at the keyboard. Engines die: fold and gateway are made anew
from what was logged. Nothing that a gateway says may be a violation for the fold, and in the end
both know the same account.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from data.enums import BrokerAct, Kind, Side
from engine.broker.intent_id import key_of
from engine.runtime.compose import compose
from engine.runtime.gateway import GatewaySettings
from engine.runtime.gateway_state import BrokerRow, Intent, followed
from tests.engine import puppet
from tests.engine.brokered import Live, answer, make
from tests.engine.runtime.scripted_broker import BASE, EURUSD, TAG, Desk, S, ScriptedBroker
from tests.engine.runtime.test_gateway_random import FAULTS, Day
from tests.engine.tapes import START, Event

SEEDS = range(100 if os.environ.get("OFS_CAMPAIGN") == "1" else 6)
SECONDS = 120
SETTINGS = {"decision.step": "1s", "stop": "40", "target": "60"}
COLUMNS = (
    "act", "order_id", "position", "state", "side", "price", "target", "qty", "pnl", "fee",
    "balance", "reason", "code", "id",
)  # fmt: skip


def told(row: BrokerRow) -> Event:
    """A row as the fold takes it."""
    columns = {name: int(getattr(row, name)) for name in COLUMNS if name != "act"}
    return answer(row.act, row.ts_ns, **columns)


class Session:
    """The fold beside a gateway's desk."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        hedging = self.rng.random() < 0.6
        script = {n: self.rng.choice(FAULTS) for n in range(1, 60) if self.rng.random() < 0.25}
        self.broker = ScriptedBroker(
            hedging=hedging, script=script, price=100_000, now_ns=START // S * S,
            hide_ns=self.rng.choice((0, 0, S // 2, 3 * S, 14 * S)),
        )  # fmt: skip
        self.settings = {**SETTINGS, "sim.account": "hedging" if hedging else "netting"}
        self.desk = Desk(self.broker, settings=GatewaySettings(entry_age_ns=20 * S))
        self.live = self.fresh()
        self.events: list[Event | Intent] = []
        self.kept = self.trades = self.taken = self.deaths = 0

    def fresh(self) -> Live:
        return make(compose(puppet.STRATEGY, broker="live"), self.settings)

    # -- both ways --------------------------------------------------------------------------------

    def step(self, event: Event) -> None:
        """Fold an event; intents that come of it are synced and given."""
        self.events.append(event)
        self.live.step(event)
        rows = self.live.sink.rows("intent")
        for row in rows[self.taken :]:
            one = Intent.of(EURUSD.number, row)
            self.events.append(one)
            self.desk.log.append(one)
            self.desk.gateway.intent(EURUSD.number, one)
        self.taken = len(rows)

    def hear(self) -> None:
        """What the gateway said goes into the fold."""
        for row in self.desk.rows[self.kept :]:
            self.kept += 1
            self.step(told(row))

    def second(self, code: int) -> None:
        """A quote and a trade, a boundary, and the broker's second."""
        ends = (self.desk.now_ns // S + 1) * S
        price = self.broker.price
        self.trades += 1
        at = self.desk.now_ns
        self.step({"kind": Kind.QUOTE, "ts_ns": at, "id": 1, "bid": price - 1, "ask": price + 1,
                   "bid_qty": 0, "ask_qty": 0})  # fmt: skip
        self.step({"kind": Kind.TRADE, "ts_ns": at, "id": self.trades * puppet.ORDERS + code,
                   "price": price, "qty": 5, "side": 1})  # fmt: skip
        while self.desk.now_ns < ends:
            self.desk.step()
            self.hear()
        self.step({"kind": Kind.CLOCK, "ts_ns": self.desk.now_ns})

    def world(self) -> None:
        """What nobody here asked for."""
        ours = [p for p in self.broker.book.values() if key_of(p.magic, BASE, TAG)]
        what = self.rng.random()
        if what < 0.3 and ours:
            self.broker.server_exit(self.rng.choice(ours).ident)
        elif what < 0.4 and ours:
            one = self.rng.choice(ours)
            qty = self.rng.randint(1, one.qty)
            self.broker.by_hand(Side(-int(one.side)), qty, one.ident)
        elif what < 0.5:
            self.broker.deposit(self.rng.randint(-100, 100) * 10**8)
        elif what < 0.6:
            self.broker.linked = False
        elif what < 0.7 and (working := [o for o in self.broker.history if not o.done_ns]):
            self.broker.fill_pending(self.rng.choice(working).ticket)
        else:
            self.broker.price += self.rng.randint(-30, 30)

    def die(self) -> None:
        """Fold and gateway are gone; of the log, the end that was not synced."""
        self.deaths += 1
        for _ in range(self.rng.randint(0, 4)):
            if self.events and not isinstance(self.events[-1], Intent):
                self.events.pop()
        log, self.events = self.events, []
        self.live, self.taken = self.fresh(), 0
        said: list[Intent | BrokerRow] = []
        self.desk.gateway = self.desk.new(None)
        for one in log:
            if isinstance(one, Intent):
                said.append(one)
            else:
                self.events.append(one)
                self.live.step(one)
                if one["kind"] == Kind.BROKER:
                    said.append(BrokerRow.of(EURUSD.number, EURUSD.execution, one))
                rows = self.live.sink.rows("intent")
                self.events += [Intent.of(EURUSD.number, row) for row in rows[self.taken :]]
                self.taken = len(rows)
        assert [x for x in self.events if isinstance(x, Intent)] == [
            x for x in said if isinstance(x, Intent)
        ], "folded again, it wants the same"
        self.desk.gateway = self.desk.new(followed(said))
        self.kept = len(self.desk.rows)

    def run(self) -> None:
        for _ in range(SECONDS):
            act = self.rng.random()
            if act < 0.03:
                self.die()
            elif act < 0.3:
                self.world()
            self.second(self.rng.choice(puppet.BUSY) if self.rng.random() < 0.5 else 0)
        self.broker.script = {}
        for _ in range(45):
            self.second(0)

    # -- the truth --------------------------------------------------------------------------------

    def check(self) -> None:
        state = self.live.fold.state
        own, sim = state["live"][0], state["sim"][0]
        assert not own["violations"].any(), own["violations"]
        assert not sim["violations"].any(), sim["violations"]
        assert int(sim["balance"]) == self.broker.balance
        held = {}
        for k in range(int(sim["n_positions"])):
            i = int(sim["position_at"][k])
            w = sim["positions"][i]
            ident = int(own["positions"][i]["ident"])
            held[ident] = (int(w["side"]) * int(w["qty"]), int(w["stop"]), int(w["target"]))
        owners = self.desk.gateway.ledger.owners
        assert held == {
            p.ident: (int(p.side) * p.qty, p.stop, p.target)
            for p in self.broker.book.values() if p.ident in owners
        }  # fmt: skip
        live = {
            int(sim["orders"][int(sim["order_at"][k])]["id"]) for k in range(int(sim["n_orders"]))
        }
        assert live == {order for _, order in self.desk.gateway.ledger.open_tracks}
        assert int(own["blocked"]) == 0
        assert all(n <= 1 for magic, n in self.broker.executed.items() if magic)


@pytest.mark.parametrize("seed", SEEDS)
def test_fold_and_broker_know_the_same_account(seed: int) -> None:
    session = Session(seed)
    session.run()
    session.check()
    assert session.live.sink.rows("intent")["id"].tolist() == list(range(1, session.taken + 1))


def test_a_days_rows_are_what_the_log_has_columns_for() -> None:
    """Every row of random days fits the event's table, value by value."""
    day: Any = Day(3)
    day.day()
    for row in day.desk.log:
        if isinstance(row, BrokerRow):
            again = BrokerRow.of(row.fold, row.series, told(row))
            assert again == row and len(row.row()) == len(COLUMNS) + 1
            assert isinstance(row.act, BrokerAct)
