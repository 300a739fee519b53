"""An event as a person or a program reads it: scaled numbers, names for enums, times as text.

Owns the derivation from the schema of one readable form: the column names and meanings are those of
the SQL views (:func:`data.events.duckdb_columns`), so that what is seen in one place can be asked
for in the other. What must hold: a stored price is shown as the decimal that it stands for.

It refuses to know where events come from and where the text goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from data.events import (
    ENUMS,
    EVENTS,
    FP9,
    MONEY_SCALE,
    NS,
    Field,
    Kind,
    Scales,
    Table,
    duckdb_columns,
)
from data.times import format_utc

Columns = Mapping[str, np.ndarray]


def readable(
    kind: Kind, columns: Columns, scales: Scales, start: int, stop: int
) -> Iterator[dict[str, Any]]:
    """Rows [start, stop) of the columns of ``kind`` as plain dicts, ``kind`` and ``time`` first.

    ``columns`` are the arrays of a :class:`data.log.Batch`: int64 or int8[n], levels as values
    with int64 offsets. Every column of the schema must be there.
    """
    table = EVENTS[kind]
    names = [name for name, _ in duckdb_columns(table, scales)]
    shown = [_column(f, columns, scales, start, stop) for f in table.fields]
    for row in zip(*shown, strict=True):
        yield {"kind": table.name, **dict(zip(names, row, strict=True))}


def line(event: Mapping[str, Any]) -> str:
    """One line of text for what :func:`readable` yields; 0 and *not known* are left out."""
    kind = event["kind"]
    rest = {k: v for k, v in event.items() if k not in ("kind", "time")}
    body = _LINES.get(kind, _generic)(rest)
    return f"{event['time']}  {kind:<11}  {body}".rstrip()


def _column(f: Field, columns: Columns, scales: Scales, start: int, stop: int) -> Sequence[Any]:
    values = columns[f.name]
    if f.is_list:
        offsets = columns[f.name.split("_")[0] + "_offsets"][start : stop + 1].tolist()
        shown = _numbers(values[offsets[0] : offsets[-1]], _divisor(f, scales))
        base = offsets[0]
        return [shown[a - base : b - base] for a, b in pairwise(offsets)]
    part = values[start:stop]
    if f.unit == "ns" and f.name in ("interval_ns", "latency_ns"):
        return _numbers(part, NS)
    if f.unit == "ns":
        always = f.name == "ts_ns"
        return [format_utc(v) if v or always else None for v in part.tolist()]
    if f.unit.startswith("enum:"):
        words = {int(member): member.name for member in ENUMS[f.unit[5:]]}
        return [words.get(v) for v in part.tolist()]
    return _numbers(part, _divisor(f, scales))


def _divisor(f: Field, scales: Scales) -> int:
    by_unit = {"price": 10**scales.price, "qty": 10**scales.qty, "money": 10**MONEY_SCALE}
    return {**by_unit, "fp9": FP9}.get(f.unit.removesuffix("[]"), 1)


def _numbers(values: np.ndarray, divisor: int) -> list[Any]:
    """Stored integers as numbers; a correctly rounded quotient prints as the decimal meant."""
    plain: list[Any] = values.tolist()
    return plain if divisor == 1 else [v / divisor for v in plain]


def _number(value: float) -> str:
    return f"{value:.12g}"


def _trade(e: Mapping[str, Any]) -> str:
    side = (e["side"] or "?").lower().ljust(7)
    return f"{side} {_number(e['qty'])} @ {_number(e['price'])}{_id(e)}"


def _depth(e: Mapping[str, Any]) -> str:
    bids, asks = len(e["bid_price"]), len(e["ask_price"])
    bid = f"{_number(e['bid_qty'][0])} @ {_number(e['bid_price'][0])}" if bids else "no bid"
    ask = f"{_number(e['ask_qty'][0])} @ {_number(e['ask_price'][0])}" if asks else "no ask"
    return f"{bid} | {ask}  {bids}x{asks} levels{_id(e)}"


def _quote(e: Mapping[str, Any]) -> str:
    bid = f"{_number(e['bid_qty'])} @ {_number(e['bid'])}"
    return f"{bid} | {_number(e['ask_qty'])} @ {_number(e['ask'])}{_id(e)}"


def _bar(e: Mapping[str, Any]) -> str:
    prices = " ".join(f"{name[0]}{_number(e[name])}" for name in ("open", "high", "low", "close"))
    return f"{_number(e['interval_s'])} s  {prices}  volume {_number(e['volume'])}"


def _generic(e: Mapping[str, Any]) -> str:
    known = {k: v for k, v in e.items() if v not in (None, 0, "", [])}
    return "  ".join(f"{k} {_number(v) if isinstance(v, float) else v}" for k, v in known.items())


def _id(e: Mapping[str, Any]) -> str:
    return f"  id {e['id']}" if e["id"] else ""


_LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "trade": _trade,
    "liquidation": _trade,
    "depth": _depth,
    "quote": _quote,
    "bar": _bar,
}


def all_columns(kinds: Sequence[Kind]) -> dict[Kind, tuple[str, ...]]:
    """What a reader must be asked for, so that :func:`readable` can show events of ``kinds``."""
    tables: dict[Kind, Table] = {kind: EVENTS[kind] for kind in kinds}
    return {kind: table.names for kind, table in tables.items()}
