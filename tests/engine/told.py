"""told: a desk that is told what the classifier says, and a market that is told its prices.

The desk is the real one, with everything that it needs; what the classifier found at a boundary is
replaced by ``SAYS``, so that a test says what is wanted and looks at what becomes of it. Only with
the JIT off: the hook reads a dict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.events import Control, Kind
from engine.kernel.desk import GATES, desk_decide
from engine.kernel.risk import REFUSALS
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from engine.runtime.strategy import Strategy
from tests.engine.driving import SCALES, Collect, whole
from tests.engine.tapes import Event, S, pack

FIRST = 1_723_209_300 * S
"""2024-08-09T13:15:00Z, on every grid of decisions."""
SAYS: dict[str, Any] = {}


def decide(s: Any, p: Any, o: Any, now: int, grid: int) -> None:
    """What the classifiers say is put in their place; then the desk."""
    at = (now - FIRST) // S
    c = s.confluence
    c.side = SAYS["side"](at)
    c.meets = 1 if c.side != 0 else 0
    c.signal.ready = 1
    c.fitted = 1 if SAYS["lower"] else 0
    c.lower_fp9 = SAYS["lower"]
    m = s.microstructure
    m.signal.ready = 1
    m.score_long_fp9, m.score_short_fp9 = SAYS["second"]
    desk_decide(s, p, now)


STRATEGY = Strategy(
    "told", "A desk that is told.", ("desk",), (), np.dtype([("unused", "i8")]), decide,
    gates=GATES, refusals=REFUSALS,
)  # fmt: skip
SHORT = {
    "desk.window": "5s", "desk.warmup": "2", "desk.stop": "share", "flip.mode": "off",
    "exits.widen": "false", "exits.trail": "0", "exits.momentum": "off",
    "exits.breakeven_by": "off", "exits.partial_by": "off", "risk.latency": "0",
    "lifecycle.cooldown": "0",
}  # fmt: skip


@dataclass
class Told:
    """What a run over a told market gave."""

    fold: Fold
    sink: Collect

    def rows(self, name: str) -> np.ndarray:
        return self.sink.rows(name)

    def at(self, second: int) -> Any:
        """The decision of that second."""
        rows = self.rows("decision")
        (row,) = rows[rows["ts_ns"] == FIRST + second * S]
        return row

    def actions(self) -> dict[int, int]:
        """Actions by second, where there was one."""
        rows = self.rows("decision")
        return {int((r["ts_ns"] - FIRST) // S): int(r["action"]) for r in rows if r["action"] != 0}

    def gates(self, second: int) -> tuple[set[str], set[str]]:
        """Names of the gates that passed and that blocked at that second."""
        row = self.at(second)

        def named(bits: int) -> set[str]:
            return {n for k, n in enumerate(GATES) if bits >> k & 1}

        return named(int(row["gates"])), named(int(row["blocked"]))

    def refused(self, second: int) -> set[str]:
        bits = int(self.at(second)["refused"])
        return {n for k, n in enumerate(REFUSALS) if bits >> k & 1}


def calm(second: int) -> int:
    """100 000 price units, for ever."""
    return 100_000


def market(
    seconds: int,
    price: Callable[[int], int] = calm,
    *,
    spread: int = 10,
    depth: int = 9000,
    controls: dict[int, list[tuple[int, int]]] | None = None,
    quiet: Callable[[int], bool] = lambda n: False,
    extra: Callable[[int, int], list[dict[str, Any]]] = lambda n, at: [],
) -> list[Event]:
    """A book and two trades every second; an operator's acts come a quarter into their second."""
    events: list[Event] = []

    def add(at: int, kind: Kind, **values: Any) -> None:
        events.append({"kind": kind, "ts_ns": at, "id": len(events) + 1, **values})

    for n in range(seconds):
        at, mid = FIRST + n * S, price(n)
        bid, ask = mid, mid + spread
        if not quiet(n):
            add(at + S // 8, Kind.DEPTH,
                bid_price=[bid - 10 * k for k in range(5)], bid_qty=[depth] * 5,
                ask_price=[ask + 10 * k for k in range(5)], ask_qty=[depth] * 5)  # fmt: skip
        for code, value in (controls or {}).get(n, []):
            add(at + S // 4, Kind.CONTROL, code=int(code), value=value)
        side = 1 if n % 3 else -1
        add(at + S // 2, Kind.TRADE, price=ask if side > 0 else bid, qty=100 + n % 7, side=side)
        for values in extra(n, at + S // 2):
            add(at + S // 2, **values)
    return events


def run(
    events: list[Event],
    side: Callable[[int], int],
    settings: dict[str, str] | None = None,
    *,
    lower: int = 0,
    second: tuple[int, int] = (0, 0),
    plans: list[dict[str, int]] | None = None,
) -> Told:
    """Fold ``events``; ``side``: what the classifier says at a second; ``plans``: words by name."""
    SAYS.update(side=side, lower=lower, second=second)
    c = whole(STRATEGY)
    params = build(c, settle(c, {**SHORT, **(settings or {})}), SCALES)
    for n, words in enumerate(plans or []):
        slot = params["plans"]["slots"][0][n]
        slot["id"], slot["status"], slot["order_flow"] = n + 1, 1, 1
        for name, value in words.items():
            slot[name] = value
        params["plans"]["n"] = n + 1
    sink = Collect()
    fold = Fold(c, params, sink)
    tape = pack(events)
    fold.feed(*tape.batch(0, len(tape)))
    fold.finish()
    return Told(fold, sink)


def at_once(control: Control, value: int = 0) -> list[tuple[int, int]]:
    """One act of the operator."""
    return [(int(control), value)]
