"""Why: from the event to the fill, with every gate and every number.

Owns putting together what is known of one decision, order, fill or position of a run. The records
say what was decided; the numbers behind it are in no record, so the log is folded again up to that
decision (:mod:`engine.runtime.moment`), and its state is read. The decision that this gives must be
the recorded one: where it is not, that is said, and ``ofs verify`` tells why. It refuses to know
how it is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.errors import UsageError
from data.events import EVENTS, FP9, RECORDS, Kind
from data.log import LogReader, LogStore
from data.runs import Run
from data.show import all_columns, readable
from data.times import format_utc
from engine.kernel.metrics import METRICS
from engine.plans.explain import in_unit
from engine.runtime.compare import RecordedRows
from engine.runtime.compose import OF_EXECUTION
from engine.runtime.moment import Moment, moment
from engine.runtime.plan_explain import plans_of
from engine.runtime.records import packed
from engine.runtime.replay import request_of
from engine.runtime.shown import Side, shown
from engine.runtime.strategy import Strategy

PORTION = 16_384
SUBJECTS = ("decision", "order", "fill", "position")
RAW = frozenset(
    {"core", "known", "intents", "sim", "candles", "footprint", "windows", "strategy", "plans"}
)
"""Parts of the state that keep the market or the account, not a judgement."""
LONGEST = 12
"""Arrays of a state up to this length are shown."""
_EPOCH_2000 = 946_684_800_000_000_000

Shown = dict[str, Any]


@dataclass
class Explanation:
    """All that is to be said: rows as people read them, numbers by handler of the fold.

    ``agrees`` is False where the fold of today gives another decision than the run wrote;
    ``event`` is the last trade (or quote) before the decision, ``causes`` the events that filled
    its orders, ``plans`` the plans with their conditions as they were last asked.
    """

    subject: str
    run: str
    decision: Shown
    gates: list[tuple[str, str]]
    refused: list[str]
    signals: list[Shown]
    numbers: dict[str, dict[str, Any]]
    orders: list[Shown] = field(default_factory=list)
    fills: list[Shown] = field(default_factory=list)
    positions: list[Shown] = field(default_factory=list)
    event: Shown | None = None
    causes: list[Shown] = field(default_factory=list)
    agrees: bool = True
    plans: list[Shown] = field(default_factory=list)


def parse_subject(text: str) -> tuple[str, int]:
    """``order:12`` or ``decision:812`` as (table, id); UsageError for anything else."""
    name, _, number = text.partition(":")
    if name not in SUBJECTS or not number.isdigit() or not int(number):
        raise UsageError(
            f"{text!r} names nothing that can be explained",
            where="ofs explain",
            why=f"it is one of {', '.join(SUBJECTS)}, a colon and its id",
            do="write, for example, order:12 or decision:812; `ofs query` shows the ids",
        )
    return name, int(number)


def explain(
    store: LogStore,
    recorded: Run,
    strategy: Strategy,
    subject: str,
    on_cold: Callable[[], None] | None = None,
) -> Explanation:
    """Explain ``subject`` of the run; UsageError where the run has no such row."""
    name, number = parse_subject(subject)
    side = Side.of(recorded)
    rows = _Rows(recorded)
    orders, decision_id = _orders_of(rows, name, number, side)
    row = rows.one("decision", "id", decision_id) if decision_id else None
    if row is None:
        raise _nothing(subject, recorded, _unasked(subject))
    request = request_of(recorded.manifest, strategy)
    at = moment(store, request, int(row["ts_ns"]), on_cold)
    fills = [f for o in orders for f in rows.all("fill", "order_id", int(o["id"]))]
    held = sorted({int(f["position_id"]) for f in fills} - {0})
    positions = [p for i in held for p in rows.all("position", "id", i)]
    return Explanation(
        subject,
        recorded.id,
        _show("decision", row, side),
        _gates(row, side),
        list(shown(RECORDS["decision"], _FIELD["refused"], row["refused"], side.scales, side)),
        [_show("signal", s, side) for s in at.signals],
        dict(_numbers(at)),
        [_show("order", o, side) for o in orders],
        [_show("fill", f, side) for f in fills],
        [_show("position", p, side) for p in positions],
        _last_event(store, at),
        [c for f in fills for c in _cause(store, at, f)],
        _same(at, row, rows),
        [plan.facts() for plan in plans_of(at)] if _has(at, "plans") else [],
    )


def _has(at: Moment, handler: str) -> bool:
    return any(h.name == handler for h in at.fold.composition.handlers)


_FIELD = {f.name: f for f in RECORDS["decision"].fields}


class _Rows:
    """Rows of a run's tables, looked up by a column; every table is read in portions."""

    def __init__(self, recorded: Run) -> None:
        self.run = recorded
        self.lacking: tuple[str, ...] = RecordedRows(recorded, RECORDS["decision"]).lacking

    def all(self, name: str, column: str, value: int) -> list[Any]:
        found: list[Any] = []
        rows = RecordedRows(self.run, RECORDS[name])
        while len(part := rows.next(PORTION)):
            found.extend(part[part[column] == value])
        return found

    def one(self, name: str, column: str, value: int) -> Any | None:
        found = self.all(name, column, value)
        return found[0] if found else None


def _orders_of(rows: _Rows, name: str, number: int, side: Side) -> tuple[list[Any], int]:
    """(orders to show, the decision behind them) of any subject."""
    if name == "decision":
        return rows.all("order", "decision_id", number), number
    if name == "order":
        return _one_order(rows, number)
    if name == "fill":
        fill = rows.one("fill", "id", number)
        if fill is None:
            raise _nothing(f"fill:{number}", side.run, "its fills are numbered from 1")
        return _one_order(rows, int(fill["order_id"]))
    position = rows.one("position", "id", number)
    if position is None:
        raise _nothing(f"position:{number}", side.run, "its positions are numbered from 1")
    orders, decision = _one_order(rows, int(position["entry_order_id"]))
    if position["exit_order_id"]:
        orders += _one_order(rows, int(position["exit_order_id"]), loose=True)[0]
    return orders, decision


def _one_order(rows: _Rows, number: int, *, loose: bool = False) -> tuple[list[Any], int]:
    """An order and its decision; one of the broker's own (a stop) has its position's decision."""
    order = rows.one("order", "id", number)
    if order is None:
        raise _nothing(f"order:{number}", rows.run, "its orders are numbered from 1")
    if order["decision_id"] or loose:
        return [order], int(order["decision_id"])
    position = rows.one("position", "id", int(order["position_id"]))
    if position is None or position["entry_order_id"] == number:
        return [order], 0
    entry, decision = _one_order(rows, int(position["entry_order_id"]))
    return [*entry, order], decision


def _unasked(subject: str) -> str:
    """Why there is no decision to begin at."""
    if subject.startswith("decision:"):
        return "its decisions are numbered from 1, one a step of the run"
    return "no decision of the run asked for it"


def _nothing(subject: str, recorded: Run, why: str) -> UsageError:
    view = RECORDS[subject.partition(":")[0]].view
    return UsageError(
        f"the run has no {subject}", where=recorded.id, why=why,
        do=f"`ofs query \"select id from {view} where run = '{recorded.id}'\"` lists what there is",
    )  # fmt: skip


def _show(name: str, row: Any, side: Side) -> Shown:
    table = RECORDS[name]
    return {
        f.name.removesuffix("_fp9"): shown(table, f, row[f.name], side.scales, side)
        for f in table.fields
    }


def _gates(row: Any, side: Side) -> list[tuple[str, str]]:
    """Every gate of the strategy: passed, blocked, or not asked."""
    passed, blocked = int(row["gates"]), int(row["blocked"])

    def verdict(bit: int) -> str:
        return "passed" if passed >> bit & 1 else "blocked" if blocked >> bit & 1 else "not asked"

    return [(name, verdict(bit)) for bit, name in enumerate(side.names("gates"))]


def _same(at: Moment, row: Any, rows: _Rows) -> bool:
    """Whether the fold of today gives the decision that was recorded, byte for byte."""
    mine, theirs = at.decision.copy(), at.decision.copy()
    theirs[0] = row
    for name in rows.lacking:
        mine[name] = theirs[name] = 0
    return packed(RECORDS["decision"], mine) == packed(RECORDS["decision"], theirs)


# --- numbers ---------------------------------------------------------------------------------


def _numbers(at: Moment) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each handler that judges had in its state, by name of the number."""
    state = at.fold.state
    for handler in at.fold.composition.handlers:
        if handler.name == "metrics":
            yield handler.name, _metrics(state["metrics"][0], at)
        elif handler.name not in RAW:
            yield handler.name, dict(_flat("", state[handler.name][0]))


def _metrics(state: Any, at: Moment) -> dict[str, Any]:
    """What plans can ask for, in units; what is not known is left out."""
    return {
        name: in_unit(name, unit, int(state["value"][n]), at.scales)
        for n, (name, unit) in enumerate(METRICS)
        if state["known"][n]
    }


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Numbers of a record; nested ones by dotted names, long arrays left out."""
    array = np.asarray(value)
    if array.dtype.names is not None:
        if array.ndim == 0:
            for name in array.dtype.names:
                yield from _flat(f"{prefix}.{name}" if prefix else name, value[name])
        return
    if array.size > LONGEST:
        return
    name, scaled = _scaled(prefix, array)
    yield name, scaled


def _scaled(name: str, array: np.ndarray) -> tuple[str, Any]:
    values: Sequence[Any] = array.reshape(-1).tolist()
    if name.endswith("_fp9"):
        name, values = name.removesuffix("_fp9"), [v / FP9 for v in values]
    elif name.endswith("_ns"):
        times = [format_utc(v) if v > _EPOCH_2000 else v for v in values]
        name, values = (name.removesuffix("_ns"), times) if times != list(values) else (name, times)
    return name, values if array.ndim else values[0]


# --- events ----------------------------------------------------------------------------------


def _event(store: LogStore, at: Moment, kind: Kind, ts_ns: int, number: int) -> Shown | None:
    """The event of ``kind`` at ``ts_ns`` with that venue id (0: the last one), as it is read."""
    elsewhere = at.execution if kind in OF_EXECUTION else None
    mine = elsewhere or (at.venue, at.symbol)
    if kind not in {x.kind for x in store.series() if (x.venue, x.symbol) == mine}:
        return None
    columns = all_columns([kind])
    reader = LogReader(store, *mine, columns, ts_ns, ts_ns + 1, ahead=False)
    found = None
    for batch in reader:
        rows = len(batch.columns[kind]["ts_ns"])
        for row in readable(kind, batch.columns[kind], reader.scales, 0, rows):
            if number == 0 or row["id"] == number:
                found = row
    return found


def _last_event(store: LogStore, at: Moment) -> Shown | None:
    """The last trade before the decision; where the log has none, the last quote."""
    core, sides = at.fold.state["core"], at.fold.state["sides"]
    ts_ns, number = int(core["last_trade_ns"][0]), int(core["last_trade_id"][0])
    found = _event(store, at, Kind.TRADE, ts_ns, number) if ts_ns else None
    ts_ns = int(sides["quote_ns"][0])
    return found if found or not ts_ns else _event(store, at, Kind.QUOTE, ts_ns, 0)


def _cause(store: LogStore, at: Moment, fill: Any) -> Iterator[Shown]:
    """The event that caused a fill, where it is one of the log."""
    kind = Kind(int(fill["cause_kind"]))
    if kind in EVENTS and fill["cause_ts_ns"]:
        found = _event(store, at, kind, int(fill["cause_ts_ns"]), int(fill["cause_id"]))
        if found is not None:
            yield {"fill": int(fill["id"]), **found}
