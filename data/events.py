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

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ENUMS",
    "REFERENCE",
    "Action",
    "BrokerAct",
    "Control",
    "ExitReason",
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
]

SCHEMA_VERSION = 1
"""Version written into every file. Readers know this one and every older one."""

DEPTH_LEVELS_MAX = 25
"""Most levels a side that a depth event may carry."""

RECORD_VERSION = 3
"""Version of the record tables, a manifest's ``schema``: 2 added the touch to orders and fills.
A run of an older version lacks the columns whose :attr:`Field.since` is higher."""

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


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name, its unit, its width and what it means.

    ``unit`` is one of ns, price, qty, money, fp9, id, count, flag, bits, an ``enum:NAME`` of
    :data:`ENUMS`, or price[] and qty[] for lists of levels. ``since`` is the first
    :data:`RECORD_VERSION` that has it.
    """

    name: str
    unit: str
    doc: str
    dtype: str = "i8"
    since: int = 1

    @property
    def is_list(self) -> bool:
        """True for a list of levels (one list a row)."""
        return self.unit.endswith("[]")


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of event, or a kind of record that a run writes."""

    name: str
    view: str
    doc: str
    fields: tuple[Field, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in storage order."""
        return tuple(f.name for f in self.fields)

    def field(self, name: str) -> Field:
        """The column called ``name``; KeyError where there is none."""
        for f in self.fields:
            if f.name == name:
                return f
        raise KeyError(f"{self.name} has no column {name!r}; it has {', '.join(self.names)}")


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
            Field("code", "id", "1 pause, 2 resume, 3 flatten, 4 stop, 5 to 8 plans"),
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

_RECORDS: tuple[Table, ...] = (
    Table(
        "signal",
        "signals",
        "one detector's output at a decision, written when its direction is not 0",
        (
            Field("ts_ns", "ns", "decision time"),
            Field("decision_id", "id", "the decision it belongs to"),
            Field("detector", "id", "detector number; the manifest names it"),
            Field("direction", "flag", "-1, 0 or +1", "i1"),
            Field("strength_fp9", "fp9", "0 to 1"),
            Field("value_fp9", "fp9", "the number behind it"),
            Field("threshold_fp9", "fp9", "what it was compared with"),
        ),
    ),
    Table(
        "decision",
        "decisions",
        "the whole evaluation at one boundary",
        (
            Field("ts_ns", "ns", "boundary, a whole multiple of the step in UTC"),
            Field("id", "id", "1, 2, 3 ... within the run"),
            Field("grid_s", "count", "largest of the decision steps that ends here, seconds"),
            Field("action", "enum:action", "what was decided", "i1"),
            Field("exit_reason", "enum:exit_reason", "why, where the action is EXIT", "i1"),
            Field("direction", "flag", "side of the idea, -1, 0 or +1", "i1"),
            Field("score_fp9", "fp9", "score of the evaluation"),
            Field("delta", "qty", "delta of the strategy's window"),
            Field("cvd", "qty", "CVD since the session anchor"),
            Field("entry_delta", "qty", "delta stored at entry, 0 when flat"),
            Field("delta_z_fp9", "fp9", "delta over its own deviation"),
            Field("book_fp9", "fp9", "log ratio of bid to ask quantity, 0 when not ready"),
            Field("flip_fp9", "fp9", "value of the flip rule in use"),
            Field("price", "price", "last trade price, 0 before the first"),
            Field("position", "qty", "signed position as the strategy knows it"),
            Field("gates", "bits", "gates that passed, by bit; the manifest names them"),
            Field("blocked", "bits", "gates that were asked and did not pass"),
            Field(
                "quality", "bits", "1 gap in window, 2 CVD approximate, 4 book stale, 8 warming up"
            ),
            Field("events", "count", "events folded before it"),
            Field("lifecycle", "enum:lifecycle", "where the trade stands", "i1", since=3),
            Field("market", "enum:market_state", "state of the market", "i1", since=3),
            Field("plan", "id", "number of the plan that it acts for, 0 = none", since=3),
            Field("probability_fp9", "fp9", "calibrated probability of a win, 0 = none", since=3),
            Field("needed_fp9", "fp9", "probability that this stop and target need", since=3),
            Field("refused", "bits", "guards that refused, by bit; the manifest names", since=3),
            Field("qty", "qty", "quantity of the entry that it considered", since=3),
            Field("stop", "price", "stop of that entry, or the stop it moves to", since=3),
            Field("target", "price", "target of that entry", since=3),
            Field("risk", "money", "what that stop would cost, fees included", since=3),
        ),
    ),
    Table(
        "order",
        "orders",
        "one row an order, as it ended (or as it stood when the run ended)",
        (
            Field("ts_ns", "ns", "time the intent left the engine"),
            Field("id", "id", "order id within the run"),
            Field("decision_id", "id", "the decision that asked for it, 0 = broker-side"),
            Field("position_id", "id", "position that it opens or closes, 0 = not known yet"),
            Field("type", "enum:order_type", "market, limit, stop or target", "i1"),
            Field("side", "enum:side", "side", "i1"),
            Field("qty", "qty", "quantity asked"),
            Field("price", "price", "limit or trigger price, 0 for market"),
            Field("state", "enum:order_state", "last state", "i1"),
            Field("reason", "enum:order_reason", "why it ended so", "i1"),
            Field("filled_qty", "qty", "quantity filled"),
            Field("active_ns", "ns", "time it reached the matching engine"),
            Field("done_ns", "ns", "time of its last change"),
            Field("bid", "price", "best bid known when the intent left, 0 = not known", since=2),
            Field("ask", "price", "best ask known when the intent left, 0 = not known", since=2),
        ),
    ),
    Table(
        "fill",
        "fills",
        "one execution, with why",
        (
            Field("ts_ns", "ns", "exchange time of the fill"),
            Field("id", "id", "1, 2, 3 ... within the run"),
            Field("order_id", "id", "order filled"),
            Field("position_id", "id", "position opened, enlarged or reduced"),
            Field("side", "enum:side", "side of the order", "i1"),
            Field("price", "price", "fill price"),
            Field("qty", "qty", "fill quantity"),
            Field("fee", "money", "commission, positive is paid"),
            Field("pnl", "money", "gross result realised by this fill"),
            Field("liquidity", "enum:liquidity", "taker or maker", "i1"),
            Field("reason", "enum:fill_reason", "the rule that filled it", "i1"),
            Field("cause_kind", "enum:kind", "kind of the event that caused it", "i1"),
            Field("cause_ts_ns", "ns", "exchange time of that event"),
            Field("cause_id", "id", "venue id of that event"),
            Field("queue_ahead", "qty", "quantity ahead in the queue when it filled"),
            Field("latency_ns", "ns", "order latency applied (shown as seconds)"),
            Field("known_ns", "ns", "time the engine learned of it"),
            Field("model", "count", "fill model version times 10 plus queue model"),
            Field("bid", "price", "best bid in the matching engine then, 0 = not known", since=2),
            Field("ask", "price", "best ask in the matching engine then, 0 = not known", since=2),
        ),
    ),
    Table(
        "position",
        "positions",
        "one row a position: a round trip, or what stood open at the end",
        (
            Field("ts_ns", "ns", "time of the first fill"),
            Field("id", "id", "position id within the run"),
            Field("side", "enum:side", "side", "i1"),
            Field("qty", "qty", "largest quantity held"),
            Field("entry_notional", "money", "sum of entry price times quantity"),
            Field("exit_notional", "money", "sum of exit price times quantity"),
            Field("entry_qty", "qty", "quantity bought to open, sum"),
            Field("exit_qty", "qty", "quantity closed, sum"),
            Field("gross_pnl", "money", "result before fees"),
            Field("fees", "money", "commissions"),
            Field("net_pnl", "money", "gross_pnl - fees"),
            Field("exit_reason", "enum:exit_reason", "OPEN when it stood at the end", "i1"),
            Field("closed_ns", "ns", "time of the last fill, 0 when open"),
            Field("entry_order_id", "id", "order that opened it"),
            Field("exit_order_id", "id", "order that closed it, 0 when open"),
        ),
    ),
    Table(
        "equity",
        "equity",
        "the account, each minute of market time and after each closed position",
        (
            Field("ts_ns", "ns", "time"),
            Field("balance", "money", "start balance plus realised result less fees"),
            Field("equity", "money", "balance plus open result at the touch"),
            Field("margin", "money", "margin in use"),
            Field("position", "qty", "signed net position"),
            Field("drawdown", "money", "highest equity so far less equity"),
        ),
    ),
)

RECORDS: dict[str, Table] = {t.name: t for t in _RECORDS}
"""Tables that a run writes, by name."""

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
