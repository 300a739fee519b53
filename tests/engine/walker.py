"""A small strategy that asks the risk guards and walks through the life cycle; and its market.

It looks every 30 s, buys one boundary later if no guard refuses, and sells when its time is up or a
halt says so. Its market is written by hand: a price for every second.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from data.events import Action, Control, ExitReason, Kind
from engine.kernel.intents import cancel_order, enter_market, exit_market
from engine.kernel.lifecycle import (
    COOLDOWN,
    ENTER,
    EXIT,
    IN_POSITION,
    SIGNAL_DETECTED,
    lifecycle_block,
    lifecycle_event,
    lifecycle_look,
    lifecycle_signal,
    lifecycle_withdraws,
)
from engine.kernel.risk import (
    REFUSALS,
    risk_accept,
    risk_check,
    risk_closes,
    risk_note,
    risk_propose,
    risk_size,
    risk_slippage,
    risk_standing,
)
from engine.runtime.strategy import Param, Strategy
from tests.engine.tapes import Event, S

START = 1_729_976_223 * S + S // 4
"""2024-10-26T20:57:03.25Z: three minutes before midnight in Athens, on no grid."""
_RISK = int(ExitReason.RISK)
_TIME = int(ExitReason.TIME)
_EXIT = int(Action.EXIT)
_LONG = int(Action.ENTER_LONG)
_CANCEL = int(Action.CANCEL)


@njit(cache=True, nogil=True)
def leave(s, p, now):
    d = s.core.decision
    reason = 0
    if risk_closes(s.risk, p.risk):
        reason = _RISK
    elif now - s.known.open_ns >= p.strategy.hold_ns:
        reason = _TIME
    if reason != 0 and s.lifecycle.state == IN_POSITION:
        d.action = _EXIT
        d.exit_reason = reason
        exit_market(s.intents, s.known.qty, reason)
        lifecycle_event(s.lifecycle, EXIT, now)


@njit(cache=True, nogil=True)
def seek(s, p, now):
    d = s.core.decision
    r = s.risk
    entry = r.ask_price
    stop = entry - entry // 100
    target = entry + entry // 50
    spread = r.ask_price - r.bid
    qty = risk_size(p.risk, p.core, r.equity, entry, stop, target, spread, 0, 0)
    risk_propose(r, 1, entry, stop, target, qty, spread)
    r.ask.slip = risk_slippage(s.book, 1, qty)
    if risk_check(r, p.risk, p.core, s.known, now) == 0:
        enter_market(s.intents, 1, qty, stop, target)
        d.action = _LONG
        risk_accept(r)
        lifecycle_event(s.lifecycle, ENTER, now)
    risk_note(r, d)


@njit(cache=True, nogil=True)
def decide(s, p, o, now, grid):
    d = s.core.decision
    g = s.lifecycle
    standing = risk_standing(s.risk, now)
    d.refused = standing
    if s.known.qty != 0:
        leave(s, p, now)
        return
    if lifecycle_withdraws(g, s.known):
        d.action = _CANCEL
        cancel_order(s.intents, s.known.last_order_id)
        return
    if g.state != COOLDOWN:
        lifecycle_block(g, standing, now)
    first = s.core.first_trade_ns
    if not lifecycle_look(g, first > 0 and now - first >= p.strategy.warm_ns, now):
        return
    seen = g.state == SIGNAL_DETECTED
    if lifecycle_signal(g, seen or grid == 30, now) and seen:
        seek(s, p, now)


STRATEGY = Strategy(
    "walker",
    "Walks through the life cycle.",
    ("lifecycle", "risk", "book"),
    (Param("hold", "duration", "40s", "time in a position"),
     Param("warm", "duration", "12s", "time before it looks")),
    np.dtype([("unused", "i8")]),
    decide,
    refusals=REFUSALS,
)  # fmt: skip

NINE = {"risk.losses": "1", "risk.losses_pause": "60s"}
HALT = {"risk.daily_loss": "0.002", "risk.zone": "Europe/Athens"}


def rise_then_fall(second: int) -> int:
    """+300 in the first trade, -300 in the second."""
    return 100_000 + 10 * min(max(0, second - 35), 30) - 10 * min(max(0, second - 130), 30)


def crash(second: int) -> int:
    """-500 in the first trade, at once."""
    return 100_000 if second < 45 else 99_500


def tape(price: Callable[[int], int], seconds: int, controls: dict[int, Control]) -> list[Event]:
    """A book and a trade every second; operator's acts at their seconds."""
    events: list[Event] = []

    def add(at: int, kind: Kind, **values: object) -> None:
        events.append({"kind": kind, "ts_ns": at, "id": len(events) + 1, **values})

    for n in range(seconds):
        at, p = START + n * S, price(n)
        if n in controls:
            add(at, Kind.CONTROL, code=int(controls[n]), value=0)
        add(at + S // 8, Kind.DEPTH, bid_price=[p, p - 10], bid_qty=[9000, 9000],
            ask_price=[p + 1, p + 11], ask_qty=[9000, 9000])  # fmt: skip
        add(at + S // 4, Kind.TRADE, price=p + n % 2, qty=100, side=2 * (n % 2) - 1)
    return events


def all_nine() -> list[Event]:
    """Five minutes in which the walker is in every state."""
    return tape(rise_then_fall, 290, {245: Control.PAUSE, 265: Control.RESUME})


def halted() -> list[Event]:
    """A loss that halts the day, and midnight in Athens at second 177."""
    return tape(crash, 240, {100: Control.PAUSE, 110: Control.RESUME})
