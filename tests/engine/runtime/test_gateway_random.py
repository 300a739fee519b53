"""Random days of a gateway: faults, deaths and the world's own doings, against the plain truth.

The oracle is the scripted broker's list of deals, read the obvious way: what was executed, for
whom, and what stands open. Seeds are fixed; each failing one can be run by itself.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from data.enums import Action, BrokerAct, ExitReason, OrderState, OrderType, Side
from engine.broker.intent_id import key_of
from engine.broker.protocol import Treatment
from engine.runtime.gateway import GatewaySettings
from engine.runtime.gateway_calls import Ask
from engine.runtime.gateway_state import Intent, Ledger, followed
from tests.engine.runtime.scripted_broker import BASE, TAG, Desk, S, ScriptedBroker

CAMPAIGN = os.environ.get("OFS_CAMPAIGN") == "1"
SEEDS = range(2_000 if CAMPAIGN else 80)
FAULTS = [
    "lost", "never", "gone", "lost gone", "partial", "error", Treatment.FRESH_PRICE,
    Treatment.BACK_OFF, Treatment.REREAD, Treatment.FIX_INPUT, Treatment.REFUSE, Treatment.HALT,
    Treatment.RECONCILE,
]  # fmt: skip


class Day:
    """One random session over one broker."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        script = {n: self.rng.choice(FAULTS) for n in range(1, 60) if self.rng.random() < 0.4}
        self.broker = ScriptedBroker(
            hedging=self.rng.random() < 0.7, script=script,
            hide_ns=self.rng.choice((0, 0, S // 2, 3 * S, 14 * S)),
        )  # fmt: skip
        self.desk = Desk(self.broker, settings=GatewaySettings(entry_age_ns=20 * S))
        self.orders = 0
        self.deaths = 0
        self.blocked_calls = 0

    def step(self) -> None:
        """One step; a changing call while the fold is blocked is a fault of the gateway."""
        before = len(self.desk.calls)
        self.desk.step()
        for call in self.desk.calls[before:]:
            if call.intent is not None and self.desk.gateway.ledger is not None:
                self.blocked_calls += self.blocked_at_call

    def run(self, seconds: float) -> None:
        until = self.desk.now_ns + int(seconds * S)
        while self.desk.now_ns < until:
            self.blocked_at_call = 0 in self.desk.gateway.blocked
            self.step()

    # -- what happens -----------------------------------------------------------------------------

    def enter(self) -> None:
        self.orders += 1
        action = self.rng.choice((Action.ENTER_LONG, Action.ENTER_SHORT))
        side = Side.BUY if action == Action.ENTER_LONG else Side.SELL
        limit = self.rng.random() < 0.2
        self.desk.intend(
            self.orders, action, side=side, qty=self.rng.randint(1, 100),
            type=OrderType.LIMIT if limit else OrderType.MARKET, price=9_990 if limit else 0,
        )  # fmt: skip

    def leave(self) -> None:
        held = list(self.desk.gateway.ledger.held.values())
        if held:
            one = self.rng.choice(held)
            self.orders += 1
            qty = abs(one.net) if self.rng.random() < 0.7 else max(1, abs(one.net) // 2)
            self.desk.intend(
                self.orders, Action.EXIT, side=Side.SELL if one.net > 0 else Side.BUY, qty=qty,
                position=one.ident, reduce_only=1, stop=0, target=0,
            )  # fmt: skip

    def move(self) -> None:
        held = list(self.desk.gateway.ledger.held.values())
        if held:
            one = self.rng.choice(held)
            stop = 9_900 + self.rng.randint(0, 50)
            self.desk.intend(0, Action.MOVE_STOP, position=one.ident, stop=stop, target=10_300)

    def cancel(self) -> None:
        resting = [t for t in self.desk.gateway.ledger.open_tracks.values() if t.intent.rests]
        if resting:
            one = self.rng.choice(resting)
            self.desk.intend(one.intent.order_id, Action.CANCEL)

    def world(self) -> None:
        what = self.rng.random()
        ours = [p for p in self.broker.book.values() if key_of(p.magic, BASE, TAG)]
        if what < 0.3 and ours:
            reason = self.rng.choice((ExitReason.STOP, ExitReason.TARGET, ExitReason.STOP_OUT))
            self.broker.server_exit(self.rng.choice(ours).ident, reason)
        elif what < 0.5:
            self.broker.price += self.rng.randint(-30, 30)
        elif what < 0.6 and ours:
            one = self.rng.choice(ours)
            side = Side(-int(one.side))
            self.broker.by_hand(side, self.rng.randint(1, one.qty), one.ident)
        elif what < 0.7:
            self.broker.deposit(self.rng.randint(-100, 100) * 10**8)
        elif what < 0.8:
            self.broker.linked = False
        elif what < 0.9:
            working = [o for o in self.broker.history if not o.done_ns]
            if working:
                self.broker.fill_pending(self.rng.choice(working).ticket)

    def die(self) -> None:
        """The engine is killed; of what was said, some of the end was not synced. Intents were,
        before they were given."""
        self.deaths += 1
        log = self.desk.log
        lost = self.rng.randint(0, 4)
        while lost and log and not isinstance(log[-1], Intent):
            log.pop()
            lost -= 1
        self.desk.gateway = self.desk.new(followed(log))

    def day(self) -> None:
        self.run(1)
        acts = [self.enter] * 4 + [self.leave] * 4 + [self.move, self.cancel, self.die]
        acts += [self.world] * 4
        for _ in range(30):
            self.rng.choice(acts)()
            self.run(self.rng.choice((0.001, 0.01, 0.3, 2, 12)))
        self.broker.script = {}
        self.run(60)
        while not self.desk.gateway.quiet:  # each order in the line waits for the one before
            assert self.desk.now_ns - self.broker.history[-1].setup_ns < 100 * S
            self.run(20)


def check(day: Day) -> None:
    """The truth against the log."""
    broker, ledger = day.broker, day.desk.gateway.ledger
    assert all(n <= 1 for magic, n in broker.executed.items() if magic)
    log = followed(day.desk.log)
    assert state(log) == state(ledger)
    told: Counter[int] = Counter(
        r.id for r in day.desk.log if not isinstance(r, Intent)
        and (r.act == BrokerAct.FILL or (r.act == BrokerAct.BALANCE and r.id))
    )  # fmt: skip
    # a balance that was told and not synced before a death is told again, as it stands by then
    since = log.began_ns
    assert told == Counter(d.ticket for d in broker.deal_list if d.ts_ns > since or d.magic)
    assert log.balances[0] == broker.balance
    assert {h.ident: h.net for h in log.held.values()} == {
        p.ident: int(p.side) * p.qty for p in broker.book.values() if p.ident in log.owners
    }
    assert not [p for p in broker.book.values() if p.ident not in log.owners and p.magic]
    for ident, held in log.held.items():
        assert (held.stop, held.target) == (broker.book[ident].stop, broker.book[ident].target)
    filled: Counter[int] = Counter()
    for deal in broker.deal_list:
        key = key_of(deal.magic, BASE, TAG)
        if key is not None and deal.reason == ExitReason.OPEN:
            filled[key.order] += deal.qty
    for (_, order), track in log.tracks.items():
        assert track.filled == filled[order]
    working = {o.magic for o in broker.history if not o.done_ns}
    for track in log.open_tracks.values():
        assert track.intent.rests and track.working
    assert len(working) == len(log.open_tracks)
    life(day)
    assert not day.blocked_calls
    assert not day.desk.gateway.blocked and day.desk.gateway.books.equal


def state(ledger: Ledger) -> object:
    tracks = {k: (t.working, t.filled, t.ended) for k, t in ledger.tracks.items()}
    held = {i: (h.net, h.stop, h.target) for i, h in ledger.held.items()}
    return tracks, held, ledger.balances, ledger.seen, ledger.blocked


def life(day: Day) -> None:
    """No order lives twice: it works before it fills, and ends once."""
    seen: dict[int, str] = {}
    for row in day.desk.log:
        if isinstance(row, Intent) or not row.order_id:
            continue
        before = seen.get(row.order_id, "")
        if row.act == BrokerAct.FILL:
            assert before in ("works", "ended")
        elif row.state == OrderState.WORKING:
            assert before in ("", "works")
            seen[row.order_id] = "works"
        else:
            assert before == ("works" if row.state == OrderState.CANCELLED else "")
            seen[row.order_id] = "ended"


@pytest.mark.parametrize("block", range(0, len(SEEDS), 20))
def test_random_days(block: int) -> None:
    for seed in SEEDS[block : block + 20]:
        day = Day(seed)
        day.day()
        try:
            check(day)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_the_days_reach_what_they_should() -> None:
    """Faults, deaths, late deals: a campaign that never met them proves nothing."""
    days = [Day(seed) for seed in range(25)]
    for day in days:
        day.day()
    assert sum(day.deaths for day in days) > 20
    counts = [day.desk.gateway.counts for day in days]
    for name in ("unknown", "found", "unsent", "refused", "resent", "links_lost", "halts"):
        assert sum(getattr(c, name) for c in counts) > 0, name
    asks = Counter(c.ask for day in days for c in day.desk.calls)
    assert all(asks[ask] for ask in Ask)
