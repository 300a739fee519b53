"""Drafts: of any sane table they import unchanged; known formats explain themselves."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.events import Kind
from data.sources.mapping_explain import Hints, explain
from tests.data.sources.exports import bars, minutes, terminal_bars
from tests.data.sources.imported import Imported
from tests.shared import shared_data

START_NS = 1_704_164_645_123_000_000

TIMES = {
    "s": lambda ns: str(ns // 10**9),
    "ms": lambda ns: str(ns // 10**6),
    "us": lambda ns: str(ns // 10**3),
    "ns": str,
    "iso": lambda ns: datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "space": lambda ns: datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S"),
    "two": lambda ns: datetime.fromtimestamp(ns / 1e9, UTC).strftime("%d.%m.%Y{}%H:%M:%S"),
}
TITLES = {
    "time": ["timestamp", "Time", "date_time", "ts"],
    "price": ["price", "Price", "px"],
    "qty": ["qty", "Size", "amount", "base_volume"],
    "side": ["side", "Taker Side", "direction", "odd title"],
    "bid": ["bid", "Bid Price", "best_bid"],
    "ask": ["ask", "Ask Price", "offer"],
}
SIDES = [("buy", "sell"), ("Buy", "Sell"), ("B", "S"), ("1", "-1"), ("LONG", "SHORT")]


@dataclass(frozen=True)
class Table:
    """A table that a sane program could have written, and the events that it holds."""

    text: str
    kind: Kind
    rows: list[tuple[int, ...]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    kind = draw(st.sampled_from([Kind.TRADE, Kind.QUOTE, Kind.BAR]))
    form = draw(st.sampled_from(sorted(TIMES)))
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    comma = separator != "," and draw(st.booleans())
    header = draw(st.booleans()) or form == "two" or kind == Kind.TRADE
    sides = draw(st.sampled_from(SIDES))
    count = draw(st.integers(3, 30))
    steps = draw(st.lists(st.integers(60, 90), min_size=count, max_size=count))
    prices = draw(st.lists(st.integers(10_001, 99_999), min_size=count, max_size=count))
    titles = {k: draw(st.sampled_from(v)) for k, v in TITLES.items()}
    if sides[0] == "1" and titles["side"] == "odd title":
        titles["side"] = "side"  # numbers under a strange title could be a tick direction too
    time_titles = [titles["time"]] if form != "two" else ["Date", "Clock"]
    names, lines, rows, ns = [], [], [], START_NS // 10**9 * 10**9
    for n, (step, price) in enumerate(zip(steps, prices, strict=True)):
        ns += (60 if kind == Kind.BAR else step) * 10**9
        when = TIMES[form](ns).format(separator)
        tail = 1 + price % 9
        if kind == Kind.TRADE:
            names = [titles["price"], titles["qty"], titles["side"]]
            cells = [f"{price / 100:.2f}", f"0.{tail}", sides[n % 2]]
            rows.append((ns, price, tail, 1 - 2 * (n % 2)))
        elif kind == Kind.QUOTE:
            names = [titles["bid"], titles["ask"]]
            cells = [f"{price / 100:.2f}", f"{(price + tail) / 100:.2f}"]
            rows.append((ns, price, price + tail))
        else:
            names = ["open", "high", "low", "close"]
            cells = [f"{p / 100:.2f}" for p in (price, price + tail, price - tail, price)]
            rows.append((ns, price, price + tail, price - tail, price))
        cells = [c.replace(".", ",") if comma else c for c in cells]
        lines.append(separator.join([when, *cells]))
    head = [separator.join([*time_titles, *names])] if header else []
    return Table("\n".join([*head, *lines]) + "\n", kind, rows)


COLUMNS = {
    Kind.TRADE: ("ts_ns", "price", "qty", "side"),
    Kind.QUOTE: ("ts_ns", "bid", "ask"),
    Kind.BAR: ("open_ns", "open", "high", "low", "close"),
}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_the_draft_of_a_sane_table_imports_unchanged(table: Table) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "BTCUSDT_my_table.csv"
        path.write_text(table.text, encoding="utf-8", newline="")
        told = explain(path, Hints())
        assert told.toml, told.format
        (folder / "m.toml").write_text(told.toml, encoding="utf-8")
        made = Imported(folder / "log")
        report = made.take("one", path, mapping=folder / "m.toml")
        assert not report.counted("rejected")
        found = made.rows(table.kind, "custom", "BTCUSDT")
        price, qty = (10 ** int(found[s]) for s in ("price_scale", "qty_scale"))
        scale = {"qty": qty / 10, "side": 1, "ts_ns": 1, "open_ns": 1}
        read = [
            [round(v / scale.get(c, price / 100)) if c not in ("ts_ns", "open_ns") else v
             for v in found[c].tolist()] for c in COLUMNS[table.kind]
        ]  # fmt: skip
        assert list(zip(*read, strict=True)) == table.rows
        assert len(told.rows) == min(5, len(table.rows))
        assert not told.rejected


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_columns_that_do_not_tell_are_named_as_doubts(tmp_path: Path) -> None:
    text = "time,price,qty,side\n" + "".join(f"170416464{i},1.5,2,{i % 2}\n" for i in range(9))
    told = explain(write(tmp_path, text), Hints())
    assert "side" not in {r for row in told.rows for r in row if row[r] == "BUY"}
    assert any("do not tell which is the buyer" in doubt for doubt in told.asks)
    assert "# Doubt:" in told.toml


def test_numbers_of_floating_point_are_rounded_by_the_draft(tmp_path: Path) -> None:
    text = "time,price,qty\n1704164641,0.30000000000000004,1\n1704164642,0.25,1e-07\n"
    told = explain(write(tmp_path, text), Hints(symbol="X1"))
    assert not told.rejected and [row["price"] for row in told.rows] == [0.3, 0.25]
    assert [row["qty"] for row in told.rows] == [1, 1e-07]


def test_books_of_several_levels(tmp_path: Path) -> None:
    text = (
        "ts,bids[0].price,bids[0].amount,bids[1].price,bids[1].amount,"
        "asks[0].price,asks[0].amount,asks[1].price,asks[1].amount\n"
        "1704164645123,10,1,9,2,11,3,12,4\n1704164645124,10,1,9,2,11,3,12,5\n"
    )
    told = explain(write(tmp_path, text), Hints())
    assert [row["kind"] for row in told.rows] == ["depth", "depth"]
    assert told.rows[0]["ask_qty"] == [3, 4]
    made = Imported(tmp_path / "log")
    (tmp_path / "m.toml").write_text(told.toml, encoding="utf-8")
    made.take("one", tmp_path / "data.csv", mapping=tmp_path / "m.toml")
    assert made.rows(Kind.DEPTH, "custom", "DATA")["bid_price"].tolist() == [10, 9, 10, 9]


def test_a_row_says_its_symbol_and_flags_choose(tmp_path: Path) -> None:
    text = "time,symbol,price,amount,side,id\n" + "".join(
        f"170416464{i},{'BTCUSDT' if i % 3 else 'ETHUSDT'},1.5,2,buy,{i}\n" for i in range(9)
    )
    path = write(tmp_path, text)
    (tmp_path / "m.toml").write_text(explain(path, Hints()).toml, encoding="utf-8")
    made = Imported(tmp_path / "log")
    made.take("all", path, mapping=tmp_path / "m.toml", venue="mine")
    assert len(made.rows(Kind.TRADE, "mine", "ETHUSDT")["id"]) == 3
    one = Imported(tmp_path / "one")
    report = one.take("one", path, mapping=tmp_path / "m.toml", symbol="BTCUSDT")
    assert dict(report.counted("left_out")) == {"rows of ETHUSDT": 3}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no table"),
        ("hello\nworld\n", "no table"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n", "holds times"),
        ("time,b\n1704164645123,2\n", "not clear"),
        ("\x00\x01,\x02\n", "no rows"),
    ],
)
def test_what_is_no_market_is_refused_in_words(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        explain(write(tmp_path, text), Hints())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text('0123456789,;.:-\n\t"abT ', max_size=200).map(str.encode))
def test_no_file_is_too_strange_to_be_explained(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.csv"
        path.write_bytes(raw)
        try:
            told = explain(path, Hints())
        except (DataError, UsageError):
            return
        json.dumps(told.as_dict())


def test_a_known_format_says_what_it_is(tmp_path: Path) -> None:
    rows = bars(list(minutes("2024-07-05T12:00", "2024-07-08T03:00")))
    told = explain(write(tmp_path, terminal_bars(rows, 3), "EURUSD_M1.csv"), Hints())
    assert (told.format, told.venue, told.symbol) == (
        "MetaTrader terminal export, bars", "mt5", "EURUSD",
    )  # fmt: skip
    facts = dict(told.facts)
    assert facts["time"].startswith("<DATE> <TIME>, text, clock America/New_York +7 h")
    assert facts["trades"] == "<TICKVOL>"
    assert told.rows[0]["open_time"] == "2024-07-05T12:00:00.000Z"
    assert not told.toml and not told.asks
    blind = explain(write(tmp_path, terminal_bars(rows[:100], 3), "EURUSD.csv"), Hints())
    assert any("broker's clock is not known" in ask for ask in blind.asks)
    assert blind.rows[0]["open_time"] == "2024-07-05T15:00:00.000Z"
    unnamed = explain(write(tmp_path, terminal_bars(rows, 3), "export.csv"), Hints())
    assert any("pass --symbol" in ask for ask in unnamed.asks)


@pytest.mark.parametrize(
    ("path", "format_", "kind"),
    [
        ("binance-spot/LTCUSDT_2025-06-21_06h_trades.csv", "collector trades CSV", "trade"),
        ("quotes/cfd/oanda/tick/xauusd/20140504_quote.zip", "LEAN tick quotes", "quote"),
        ("binance-um/btcusdt_20240718.gz", "websocket recording", "quote"),
        ("bybit/BYBIT.ws.25.0.txt", "Bybit websocket recording", "trade"),
    ],
)
def test_real_files_explain_themselves(path: str, format_: str, kind: str) -> None:
    told = explain(shared_data(path), Hints())
    assert told.format == format_
    assert kind in {row["kind"] for row in told.rows}
    assert not told.toml


def test_one_file_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        explain(tmp_path, Hints())
