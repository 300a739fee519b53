"""One cell of the fault matrix: an engine that trades, the real adapter, the stand-in's server, and
a real journal in a folder, in virtual time.

The engine here decides nothing worth money: it enters, moves the stop, leaves, and does that again
when told that it did not happen. It knows only what its journal holds, so that it can be killed at
any moment: the object is dropped, what was not appended is gone, and another one is built from the
frames. The server lives on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.enums import Action, BrokerAct, ExitReason, Kind, OrderType, Side
from data.events import RECORDS, numpy_dtype
from data.journal import Events, Journal, Records, read_frames
from data.live.assemble import Assembler
from data.live.blocks import Series
from engine.broker.intent_id import key_of
from engine.broker.terminal.server.specs import AccountSpec
from engine.runtime.gateway import Gateway, GatewaySeries, GatewaySettings
from engine.runtime.gateway_calls import CHANGES, Call, perform
from engine.runtime.gateway_state import BrokerRow, Intent, followed
from tests.engine.broker.rigs import NS, SCALES, SYMBOL, TerminalRig

BASE, TAG = 321, 999
FOLD, EXECUTION = 0, 1
QTY = 100
SERIES = [Series("binance-um", "BTCUSDT", SCALES), Series("mt5", SYMBOL, SCALES)]
SETTINGS = GatewaySettings(poll_ns=NS, quick_ns=NS // 10, entry_age_ns=5 * NS)
CALL_NS = 2_000_000
INTENT = numpy_dtype(RECORDS["intent"])
SERVER_MADE = frozenset((4, 5, 6))


class Killed(Exception):  # noqa: N818  no error: what the test does to an engine
    """The engine's process is gone."""


@dataclass
class Engine:
    """What one process of the engine holds. ``kill`` is asked after each call, before its answer
    is looked at (True: die), and after it (False)."""

    rig: TerminalRig
    folder: Path
    kill: Callable[[Call, bool], bool]
    trips: int = 2
    moved: bool = False
    hold_ns: int = 0
    calls: list[tuple[int, Call]] = field(default_factory=list)

    def __post_init__(self) -> None:
        log, last_seq = read_log(self.folder)
        self.ledger = followed(log)
        self.intents = self.ledger.last_intent.get(FOLD, 0)
        self.orders = max((order for _, order in self.ledger.tracks), default=0)
        self.fills = sum(isinstance(x, BrokerRow) and x.act == BrokerAct.FILL for x in log)
        self.journal = Journal.open(self.folder, sync_ms=1e9, sync_events=1 << 40)
        self.journal.set_series(SERIES)
        self.assembler = Assembler(last_seq + 1, self.now_ns)
        self.marks: dict[int, int] = {}
        self.since_ns = self.now_ns
        self.gateway = Gateway(
            [GatewaySeries(FOLD, EXECUTION, SYMBOL, SCALES, slippage=5_000)], BASE, TAG, SETTINGS,
            self.ledger,
        )  # fmt: skip

    @property
    def now_ns(self) -> int:
        return self.rig.server.now_ns

    def drop(self) -> None:
        """The process is gone; what it appended is in the system's hands."""
        self.journal.close(clean=False)

    # -- one step ---------------------------------------------------------------------------------

    def step(self) -> None:
        self.decide()
        call = self.gateway.next_call(self.now_ns)
        self.keep(self.gateway.take())
        if call is None:
            due_ns = self.gateway.due_ns(self.now_ns)
            self.rig.wait(max(due_ns - self.now_ns, NS // 1000) / NS)
            return
        if call.ask in CHANGES:
            assert call.intent is not None, "nothing here is to be tidied up"
            assert self.marks[call.intent.id] <= self.journal.synced_mark, (
                "sent before it is synced"
            )
            assert not self.gateway.blocked, "sent while blocked"
        self.calls.append((self.now_ns, call))
        answer = perform(call, self.rig.broker)
        if self.kill(call, True):
            raise Killed
        self.rig.wait(CALL_NS / NS)
        rows = self.gateway.answer(call, answer, self.now_ns)
        if self.kill(call, False):
            raise Killed
        self.keep(rows)

    def keep(self, rows: list[BrokerRow]) -> None:
        for row in rows:
            self.assembler.push(row.series, Kind.BROKER, row.row(), self.now_ns)
            self.fills += row.act == BrokerAct.FILL
        group = self.assembler.collect()
        if group is not None:
            self.journal.append(group)

    # -- what it wants ----------------------------------------------------------------------------

    def decide(self) -> None:
        """One thing at a time, and only while nothing is blocked."""
        ledger = self.gateway.ledger
        if FOLD in ledger.blocked or not self.gateway.reconciled or ledger.open_tracks:
            return
        if not self.gateway.quiet or self.now_ns - self.since_ns < self.hold_ns:
            return
        self.since_ns = self.now_ns
        held = list(ledger.held.values())
        bid, ask = self.rig.touch
        known = {"bid": bid, "ask": ask, "tif": 1}
        if not held:
            if self.entered < self.trips:
                self.intend(
                    action=Action.ENTER_LONG, side=Side.BUY, qty=QTY, order_id=self.orders + 1,
                    stop=bid - 100_000, target=ask + 100_000, **known,
                )  # fmt: skip
        elif held[0].stop != bid - 90_000 and not self.moved:
            self.moved = True
            self.intend(
                action=Action.MOVE_STOP, side=Side.BUY, position=held[0].ident, stop=bid - 90_000,
                target=held[0].target,
            )  # fmt: skip
        else:
            self.intend(
                action=Action.EXIT, side=Side.SELL, qty=abs(held[0].net), reduce_only=1,
                order_id=self.orders + 1, position=held[0].ident,
                exit_reason=ExitReason.STRATEGY, **known,
            )  # fmt: skip

    @property
    def entered(self) -> int:
        """Entries that were executed, as the log has it."""
        tracks = self.gateway.ledger.tracks.values()
        return sum(t.filled > 0 and not t.intent.reduces for t in tracks)

    @property
    def done(self) -> bool:
        ledger = self.gateway.ledger
        over = self.entered >= self.trips and not ledger.held and not ledger.open_tracks
        return over and self.gateway.quiet and self.gateway.reconciled and not self.gateway.blocked

    def intend(self, **columns: Any) -> None:
        """Journaled, synced, and only then given."""
        self.intents += 1
        row = np.zeros(1, INTENT)
        row["ts_ns"], row["id"], row["decision_id"] = self.now_ns, self.intents, self.intents
        row["type"] = OrderType.MARKET
        for name, value in columns.items():
            row[name] = value
        if columns["action"] != Action.MOVE_STOP:
            self.orders += 1
        mark = self.journal.append_records(FOLD, "intent", row, self.journal.written_seq)
        self.marks[self.intents] = mark
        self.journal.sync()
        self.gateway.intent(FOLD, row[0])


def read_log(folder: Path) -> tuple[list[Intent | BrokerRow], int]:
    """Intents and BROKER rows of a journal in their order, and its last event."""
    log: list[Intent | BrokerRow] = []
    last_seq = 0
    if not any(folder.glob("*")):
        return log, last_seq
    for frame in read_frames(folder):
        if isinstance(frame, Records):
            log += [Intent.of(frame.series, row) for row in frame.rows]
        elif isinstance(frame, Events):
            part = frame.group.parts[Kind.BROKER]
            for i in range(part.rows.n):
                row = {name: part.rows[name][i] for name in part.rows.columns}
                log.append(BrokerRow.of(FOLD, int(part.series[i]), row))
            last_seq = frame.group.last_seq
    return log, last_seq


@dataclass
class Cell:
    """One cell with one seed. ``strike(cell, engine)`` puts the faults in place; it is called
    before each step until it says that it has."""

    folder: Path
    seed: int
    strike: Callable[[Cell, Engine], bool]
    killed: bool
    rng: random.Random = field(init=False)
    deaths: int = 0
    longest_ns: int = 0
    trips: int = 2
    hold_ns: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        lag_s = self.rng.choice((0.0, 0.0, 0.3, 1.5))
        self.rig = TerminalRig(
            hedging=self.rng.random() < 0.7,
            account=AccountSpec(lag_s=lag_s, keeps_magic=self.rng.random() < 0.5),
        )
        self.kill_in = -1
        self.engine = self.begun()
        self.struck = False

    def begun(self) -> Engine:
        return Engine(self.rig, self.folder, self._kill, trips=self.trips, hold_ns=self.hold_ns)

    def _kill(self, call: Call, before_the_answer: bool) -> bool:
        """The engine dies some calls after the fault: before it sees an answer, or before it has
        kept what follows from it."""
        if self.kill_in < 0:
            return False
        self.kill_in -= before_the_answer
        return self.kill_in < 0 and self.rng.random() < 0.7

    def run(self, most_s: float = 240.0) -> None:
        began_ns = self.rig.server.now_ns
        blocked_since = 0
        while not (self.engine.done and self.struck):
            now_ns = self.rig.server.now_ns
            assert now_ns - began_ns < most_s * NS, self.story()
            if not self.struck and self.strike(self, self.engine):
                self.struck = True
                self.trips = self.engine.trips
                if self.killed and not self.deaths:
                    self.kill_in = self.rng.randint(0, 6)
            try:
                self.engine.step()
            except Killed:
                self.deaths += 1
                self.engine.drop()
                fills = self.engine.fills
                self.rig.wait(self.rng.choice((0.01, 1.0, 20.0)))
                self.kill_in = -1
                self.engine = self.begun()
                assert self.engine.fills <= fills, "a fill that nobody said"
            self.look()
            waits = (
                set(*self.engine.gateway.blocked.values()) if self.engine.gateway.blocked else {}
            )
            if "unknown" in waits and "link" not in waits and "halt" not in waits:
                blocked_since = blocked_since or self.rig.server.now_ns
                since_ns = self.rig.server.now_ns - blocked_since
                self.longest_ns = max(self.longest_ns, since_ns)
            else:
                blocked_since = 0
        if self.killed and not self.deaths:
            self.engine.drop()
            self.deaths += 1
            self.engine = self.begun()
        for _ in range(12):
            self.engine.step()
            self.rig.wait(1)
        while self.engine.gateway.blocked or not self.engine.gateway.books.equal:
            assert self.rig.server.now_ns - began_ns < 2 * most_s * NS, self.story()
            self.engine.step()

    def look(self) -> None:
        """At every moment: no more is open than one order may open."""
        assert sum(p.volume for p in self.rig.server.ledger.positions.values()) <= 10**8, (
            self.story()
        )

    def check(self) -> None:
        """What must be true at the end."""
        server, ledger = self.rig.server.ledger, self.engine.gateway.ledger
        done = [o for o in server.past.values() if o.initial != o.volume]
        made = [key_of(o.magic, BASE, TAG) for o in done if o.reason not in SERVER_MADE]
        assert None not in made and len(made) == len(set(made)), self.story()
        assert not server.positions and not server.orders, self.story()
        log, _ = read_log(self.folder)
        again = followed(log)
        assert again.balances == ledger.balances, self.story()
        told = [x for x in log if isinstance(x, BrokerRow) and x.act == BrokerAct.FILL]
        deals = [d for d in server.deals if d.symbol]
        assert sorted(r.id for r in told) == sorted(d.ticket for d in deals), self.story()
        assert self.engine.gateway.books.equal
        assert again.balances[FOLD] == server.balance * 10**6, self.story()
        booked = sum(d.profit + d.commission + d.fee + d.swap for d in deals)
        assert sum(r.pnl - r.fee for r in told) == booked * 10**6, "a day's loss is counted whole"
        assert all(t.ended for t in again.tracks.values()), self.story()
        assert self.longest_ns <= 14 * NS, f"blocked for {self.longest_ns / NS:.1f} s"

    def story(self) -> str:
        """What happened, for a person."""
        log, _ = read_log(self.folder)
        began = self.rig.server.now_ns
        lines = [f"seed {self.seed}"]
        for x in log:
            began = min(began, x.ts_ns)
            at = f"{(x.ts_ns - began) / NS:9.3f} "
            if isinstance(x, Intent):
                lines.append(f"{at}intent {x.action.name} order {x.order_id} of {x.position}")
            else:
                what = f"{x.act.name} {x.state.name} order {x.order_id} id {x.id} code {x.code}"
                lines.append(f"{at}  {what} {x.side.name} {x.qty} {x.balance}")
        lines += [f"{(t - began) / NS:9.3f} {c.ask.value}" for t, c in self.engine.calls[-30:]]
        lines += [str(a) for a in self.rig.server.plan.acts]
        lines += [str(self.engine.gateway.facts()), str(self.rig.server.facts())]
        return "\n".join(lines)


DAY_KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("hang", "order_send", {}), ("hang", "order_send", {"executed": True}),
    ("hang", "positions_get", {}), ("pipe_death", "order_send", {"executed": True}),
    ("pipe_death", "history_deals_get", {}), ("lost_answer", "order_send", {}),
    ("late_execution", "order_send", {"value": "5s"}), ("none", "order_send", {"value": -10001}),
    ("none", "account_info", {"value": -10002}), ("duplicate_answer", "order_send", {}),
    ("requote", "order_send", {}), ("partial", "order_send", {"value": 0.3}),
    ("placed", "order_send", {"value": "2s"}), ("slip", "order_send", {"value": 20}),
    ("retcode", "order_send", {"value": 10012, "executed": True}),
    ("retcode", "order_send", {"value": 10024}), ("no_price", "order_send", {}),
    ("out_of_order", "order_send", {"value": "4s"}),
    ("hidden_deals", "order_send", {"value": "4s"}),
    ("duplicate_deals", "history_deals_get", {}), ("delay", "order_send", {"value": "3s"}),
    ("stale_quotes", "symbol_info_tick", {"value": "10s"}),
    ("disconnect", "account_info", {"value": "15s"}),
    ("market_closed", "order_send", {"value": "20s"}),
    ("autotrading_off", "order_send", {"value": "20s"}),
    ("python_off", "order_send", {"value": "9s"}),
    ("restart", "order_send", {"value": "5s"}), ("restart", "positions_get", {"value": "9s"}),
    ("deposit", "order_send", {"value": 250.0}), ("deposit", "order_send", {"value": -130.55}),
)  # fmt: skip
"""Thirty things that go wrong in a day: kind, the call that meets it, and more."""


def day(folder: Path, seed: int, hours: float) -> Cell:
    """A day of trading in which all of :data:`DAY_KINDS` happen in turn, the market moves (stops
    and targets are hit), and the engine is killed now and then; the cell as it stands."""
    left = list(DAY_KINDS)
    random.Random(seed).shuffle(left)
    gap_ns = int(hours * 3600 * NS) // (len(left) + 2)
    next_ns = 0

    def strike(cell: Cell, engine: Engine) -> bool:
        nonlocal next_ns
        now_ns = cell.rig.server.now_ns
        if now_ns < next_ns or not engine.gateway.reconciled:
            return False
        next_ns = now_ns + gap_ns
        if not left:
            engine.trips = 0
            return True
        kind, call, more = left.pop()
        cell.rig.server.fault(kind, call=call, count=1, times=1, **more)
        bid, ask = cell.rig.touch
        step = cell.rng.choice((-110_000, -4_000, 0, 4_000, 110_000))
        step = max(step, 1_000_000 - bid)
        cell.rig.touch = bid + step, ask + step
        if cell.rng.random() < 0.2:
            cell.kill_in = cell.rng.randint(0, 40)
        return False

    cell = Cell(folder, seed, strike, killed=False)
    cell.engine.trips = cell.trips = 1 << 30
    cell.hold_ns = 20 * NS
    cell.engine.hold_ns = cell.hold_ns
    cell.run(most_s=hours * 3600 + 3600)
    return cell
