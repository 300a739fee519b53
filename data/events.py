"""The one schema module: what an event is, what a record is, and how each is stored.

Owns the kinds, their columns, the units of those columns, and the derivation of every physical
form from one definition: a numpy dtype, an Arrow schema and a DuckDB select expression. Nothing
else in the project may spell out a column list.

What must hold:

* time is int64 nanoseconds UTC, price and quantity are int64 fixed point whose power-of-ten scale
  (:class:`Scales`) stands in the file's metadata, money is int64 at 1e-8 of the account currency,
  statistics are int64 at 1e-9 ("fp9");
* zero in ``recv_ns``, ``seq`` or ``id`` means *not known*; it is never invented;
* a column may be added in a later :data:`SCHEMA_VERSION` with a default, never changed in meaning.

It refuses to know where files lie, how they are merged, and what anybody does with an event.
pyarrow is imported only by the functions that return Arrow objects, so that the compiled kernel
can import this module cheaply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.enums import (
    ENUMS,
    REFERENCE,
    Action,
    BrokerAct,
    Control,
    ExitReason,
    FillReason,
    FoldKind,
    GapReason,
    Kind,
    Lifecycle,
    Liquidity,
    MarketState,
    OrderReason,
    OrderState,
    OrderType,
    Side,
)
from data.record_tables import RECORDS
from data.table import Field, Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ENUMS",
    "RECORDS",
    "REFERENCE",
    "Action",
    "BrokerAct",
    "Control",
    "ExitReason",
    "Field",
    "FillReason",
    "FoldKind",
    "GapReason",
    "Kind",
    "Lifecycle",
    "Liquidity",
    "MarketState",
    "OrderReason",
    "OrderState",
    "OrderType",
    "Side",
    "Table",
]

SCHEMA_VERSION = 1
"""Version written into every file. Readers know this one and every older one."""

DEPTH_LEVELS_MAX = 25
"""Most levels a side that a depth event may carry."""

RECORD_VERSION = 4
"""Version of the record tables, a manifest's ``schema``: 2 added the touch to orders and fills, 4
the intents. A run of an older version lacks the columns and tables whose ``since`` is higher."""

MONEY_SCALE = 8
"""Money is int64 at 1e-8 of the account currency."""

FP9 = 1_000_000_000
"""Statistics that are compared, logged or digested are int64 at 1e-9."""

NS = 1_000_000_000
"""Nanoseconds a second."""

PRICE_QTY_PRODUCT_MAX = 1 << 62
"""price * qty of one event stays below this, so that the product never overflows an int64."""


@dataclass(frozen=True, slots=True)
class Scales:
    """Power-of-ten scales of an instrument: ``stored = round(value * 10**scale)``.

    Example: price 27950.1 at ``price=1`` is stored as 279501.
    """

    price: int
    qty: int

    def __post_init__(self) -> None:
        if not (0 <= self.price <= 12 and 0 <= self.qty <= 12):
            raise ValueError(f"scales must lie in 0..12, got price={self.price} qty={self.qty}")


def _common(id_doc: str) -> tuple[Field, ...]:
    return (
        Field("ts_ns", "ns", "exchange time"),
        Field("recv_ns", "ns", "receive time of the recorder, 0 = not known"),
        Field("seq", "id", "order in which the recorder took it, 0 = archive"),
        Field("id", "id", id_doc),
    )


_EVENTS: dict[Kind, Table] = {
    Kind.TRADE: Table(
        "trade",
        "trades",
        "one public trade (a Binance aggTrade is an aggregate)",
        (
            *_common("venue's trade id (Binance a or t)"),
            Field("price", "price", "trade price"),
            Field("qty", "qty", "base quantity"),
            Field("side", "enum:side", "aggressor as the venue flags it", "i1"),
            Field(
                "tick", "flag", "venue's tick direction: 2 plus, 1 zero plus, -1, -2; 0 none", "i1"
            ),
        ),
    ),
    Kind.DEPTH: Table(
        "depth",
        "depth",
        "a snapshot of the best levels, best first",
        (
            *_common("last update id in the snapshot"),
            Field("bid_price", "price[]", "bid prices, falling"),
            Field("bid_qty", "qty[]", "bid quantities"),
            Field("ask_price", "price[]", "ask prices, rising"),
            Field("ask_qty", "qty[]", "ask quantities"),
        ),
    ),
    Kind.BAR: Table(
        "bar",
        "bars",
        "a closed OHLCV bar of a venue; ts_ns is the end of its interval",
        (
            *_common("first trade id, 0 = not known"),
            Field("open_ns", "ns", "start of the interval"),
            Field("interval_ns", "ns", "length of the interval (shown as seconds)"),
            Field("open", "price", "first price"),
            Field("high", "price", "highest price"),
            Field("low", "price", "lowest price"),
            Field("close", "price", "last price"),
            Field("volume", "qty", "base volume"),
            Field("buy_volume", "qty", "taker buy base volume, 0 where not known"),
            Field("trades", "count", "number of trades, 0 where not known"),
        ),
    ),
    Kind.QUOTE: Table(
        "quote",
        "quotes",
        "a venue's best bid and ask",
        (
            *_common("update id"),
            Field("bid", "price", "best bid"),
            Field("bid_qty", "qty", "size at the best bid, 0 where not known"),
            Field("ask", "price", "best ask"),
            Field("ask_qty", "qty", "size at the best ask, 0 where not known"),
        ),
    ),
    Kind.LIQUIDATION: Table(
        "liquidation",
        "liquidations",
        "a forced order; sums of these are lower bounds",
        (
            *_common("0"),
            Field("price", "price", "average fill price"),
            Field("qty", "qty", "filled quantity"),
            Field("side", "enum:side", "side of the forced order (BUY closes a short)", "i1"),
        ),
    ),
    Kind.MARK: Table(
        "mark",
        "marks",
        "mark price, index price and funding",
        (
            *_common("0"),
            Field("mark", "price", "mark price, rounded to the price scale"),
            Field("index", "price", "index price, rounded to the price scale"),
            Field("funding_fp9", "fp9", "funding rate of the running period"),
            Field("next_funding_ns", "ns", "time of the next funding"),
        ),
    ),
    Kind.CLOCK: Table("clock", "clocks", "time passing", _common("0")),
    Kind.BROKER: Table(
        "broker",
        "brokers",
        "an answer of the broker",
        (
            *_common("broker's ticket: of the order, the deal or the position; 0 = none"),
            Field("act", "enum:broker_act", "what happened: says which columns count", "i1"),
            Field("order_id", "id", "our order, 0 = none of ours (ORDER, FILL)"),
            Field("position", "id", "broker's identifier of the position (FILL, LEVELS)"),
            Field("state", "enum:order_state", "what the order became (ORDER)", "i1"),
            Field("side", "enum:side", "side of the execution (FILL)", "i1"),
            Field("price", "price", "price of the execution (FILL), stop (LEVELS)"),
            Field("target", "price", "target (LEVELS)"),
            Field("qty", "qty", "quantity executed (FILL)"),
            Field("pnl", "money", "gross result that the broker booked (FILL)"),
            Field("fee", "money", "commission, fee and swap, positive is paid (FILL)"),
            Field("balance", "money", "balance as it stands (BALANCE)"),
            Field("reason", "enum:exit_reason", "why the server closed, else OPEN (FILL)", "i1"),
            Field("code", "id", "broker's return code (ORDER, BLOCK)"),
        ),
    ),
    Kind.CONTROL: Table(
        "control",
        "controls",
        "an operator's or a guard's act",
        (
            *_common("0"),
            Field("code", "id", "1 pause, 2 resume, 3 flatten, 4 stop, 5 to 8 plans, 9 unproven"),
            Field("value", "id", "argument of the act"),
        ),
    ),
    Kind.GAP: Table(
        "gap",
        "gaps",
        "events that are missing; ts_ns is where the hole ends",
        (
            *_common("0"),
            Field("stream", "enum:kind", "which kind is missing", "i1"),
            Field("from_ns", "ns", "time of the last event before the hole"),
            Field("to_ns", "ns", "time of the first event after it"),
            Field("from_id", "id", "last id before the hole, 0 = not known"),
            Field("to_id", "id", "first id after the hole, 0 = not known"),
            Field("reason", "enum:gap_reason", "why", "i1"),
            Field("filled", "flag", "1 when the events were fetched later", "i1"),
        ),
    ),
}

EVENTS: dict[Kind, Table] = _EVENTS
"""Tables of the log, by kind."""

KIND_BY_NAME: dict[str, Kind] = {t.name: k for k, t in _EVENTS.items()}
"""Kinds by the name that partitions and commands use."""


def numpy_dtype(table: Table) -> np.dtype:
    """Aligned structured dtype of the scalar columns of ``table`` (list columns are left out)."""
    return np.dtype([(f.name, f.dtype) for f in table.fields if not f.is_list], align=True)


def arrow_schema(table: Table, metadata: dict[str, str] | None = None) -> pa.Schema:
    """Arrow schema of ``table``; no column is nullable. ``metadata`` is attached as it is."""
    import pyarrow as pa

    scalar = {"i8": pa.int64(), "i4": pa.int32(), "i1": pa.int8()}
    levels = pa.list_(pa.field("item", pa.int64(), nullable=False))
    columns = [
        pa.field(f.name, levels if f.is_list else scalar[f.dtype], nullable=False)
        for f in table.fields
    ]
    return pa.schema(columns, metadata=metadata)


def file_metadata(kind: Kind, venue: str, symbol: str, scales: Scales) -> dict[str, str]:
    """Key-value metadata of a log file: schema version, kind, venue, symbol and scales."""
    return {
        "ofs.schema": str(SCHEMA_VERSION),
        "ofs.kind": EVENTS[kind].name,
        "ofs.venue": venue,
        "ofs.symbol": symbol,
        "ofs.price_scale": str(scales.price),
        "ofs.qty_scale": str(scales.qty),
    }


def duckdb_columns(table: Table, scales: Scales) -> list[tuple[str, str]]:
    """(name, SQL expression) pairs that turn stored integers into what a person reads.

    ``ts_ns`` becomes ``time``; other ``*_ns`` times become UTC timestamps without the suffix, or
    with ``_time`` in its place where the bare name is taken (NULL where 0); spans become seconds,
    prices, quantities and money become DOUBLE, enums their names.
    """
    return [_duckdb_column(f, scales) for f in table.fields]


_TIME_NAMES = {"open_ns": "open_time", "from_ns": "from_time", "to_ns": "to_time"}
"""Times whose bare name is another column, or a word that SQL keeps for itself."""


def _duckdb_column(f: Field, scales: Scales) -> tuple[str, str]:
    name = f.name
    if name == "ts_ns":
        return "time", "make_timestamp_ns(ts_ns)"
    if f.unit == "ns" and name in ("interval_ns", "latency_ns"):
        return name.replace("_ns", "_s"), f"{name} / 1e9"
    if f.unit == "ns":
        return _TIME_NAMES.get(name, name[:-3]), f"make_timestamp_ns(nullif({name}, 0))"
    if f.unit == "fp9":
        return name.removesuffix("_fp9"), f"{name} / 1e9"
    divisor = {"price": 10**scales.price, "qty": 10**scales.qty, "money": 10**MONEY_SCALE}
    if f.unit in divisor:
        return name, f"{name} / {float(divisor[f.unit])!r}"
    if f.is_list:
        return name, f"list_transform({name}, lambda x: x / {float(divisor[f.unit[:-2]])!r})"
    if f.unit.startswith("enum:"):
        whens = " ".join(f"WHEN {int(m)} THEN '{m.name}'" for m in ENUMS[f.unit[5:]])
        return name, f"CASE {name} {whens} END"
    return name, name


DECISION_DTYPE = numpy_dtype(RECORDS["decision"])
"""Layout of a decision, which the fold also keeps as the one being made."""
