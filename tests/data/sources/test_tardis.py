"""Tardis CSV of every type that maps to an event: values, venues, receive times, books."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.events import GapReason, Kind
from data.ids import opaque_id
from data.sources.archive_layouts import titles_of
from data.sources.chunks import Chunk
from data.sources.detect import detect
from data.sources.opening import members_of
from data.sources.rejects import REASONS, Rejects
from data.sources.tardis_book import TardisBooks
from data.sources.tardis_layouts import recognise, settled
from tests.data.sources.bybit_feed import rows_of
from tests.data.sources.imported import Imported

HEAD = "exchange,symbol,timestamp,local_timestamp"
TRADES = f"{HEAD},id,side,price,amount"
QUOTES = f"{HEAD},ask_amount,ask_price,bid_price,bid_amount"
TICKER = (
    f"{HEAD},funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,"
    "index_price,mark_price"
)
L2 = f"{HEAD},is_snapshot,side,price,amount"
US = 1_598_918_400_000_000
UUID = "ccc3c1fa-212c-e8b0-1706-9b9c4f3d5ecf"


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
    return path


def take(tmp_path: Path, name: str, *lines: str, **options: Any) -> Imported:
    made = Imported(tmp_path / "log")
    made.take("x", write(tmp_path, name, *lines), **options)
    return made


def values(made: Imported, kind: Kind, market: str, *names: str) -> list[tuple[Any, ...]]:
    venue, symbol = market.split()
    got = made.rows(kind, venue, symbol)
    scale = {"price": int(got["price_scale"]), "qty": int(got["qty_scale"])}
    priced = {"bid": "price", "ask": "price", "mark": "price", "index": "price"}
    columns = []
    for name in names:
        own = scale.get(priced.get(name, name.removeprefix("bid_").removeprefix("ask_")))
        plain = got[name].tolist()
        columns.append(plain if own is None else [Decimal(v).scaleb(-own) for v in plain])
    return list(zip(*columns, strict=True))


D = Decimal


def test_trades_of_exchanges_with_numbers_texts_and_no_ids(tmp_path: Path) -> None:
    names = ("ts_ns", "recv_ns", "seq", "id", "price", "qty", "side")
    stamps = (US * 1000, US * 1000 + 5_000, 0)
    for exchange, market, given_id, stored in (
        ("binance-futures", "binance-um BTCUSDT", "2228503268", 2_228_503_268),
        ("binance", "binance-spot BTCUSDT", "42", 42),
        ("bybit", "bybit BTCUSDT", UUID, opaque_id(UUID)),
        ("bybit-spot", "bybit-spot BTCUSDT", "2290000000053478163",
         opaque_id("2290000000053478163")),
        ("kraken", "kraken BTCUSDT", "", 0),
    ):  # fmt: skip
        for side, sign in (("buy", 1), ("sell", -1), ("unknown", 0)):
            folder = tmp_path / f"{exchange}{sign}"
            folder.mkdir()
            row = f"{exchange},BTCUSDT,{US},{US + 5},{given_id},{side},8531.5,2152"
            made = take(folder, "trades_2020-09-01.csv.gz", TRADES, row)
            expected = (*stamps, stored, D("8531.5"), D(2152), sign)
            assert values(made, Kind.TRADE, market, *names) == [expected]


def test_the_order_of_arrival_is_that_of_the_file(tmp_path: Path) -> None:
    rows = [f"kraken,XBTUSD,{US},{US + i // 4},,buy,{100 + i % 7},1" for i in range(40)]
    made = take(tmp_path, "trades.csv", TRADES, *rows)
    got = values(made, Kind.TRADE, "kraken XBTUSD", "price")
    assert [int(p) for (p,) in got] == [100 + i % 7 for i in range(40)]


def test_quotes(tmp_path: Path) -> None:
    made = take(
        tmp_path, "quotes.csv", QUOTES,
        f"binance,BTCUSDT,{US},{US + 5},0.5,11660.01,11660,1e-05",
        f"binance,BTCUSDT,{US + 1},{US + 6},,,11660,2",
    )  # fmt: skip
    names = ("ts_ns", "recv_ns", "id", "bid", "bid_qty", "ask", "ask_qty")
    assert values(made, Kind.QUOTE, "binance-spot BTCUSDT", *names) == [
        (US * 1000, US * 1000 + 5_000, 0, D(11660), D("0.00001"), D("11660.01"), D("0.5"))
    ]
    assert made.reports["x"].counted("rejected") == {"one_sided": 1}


def test_liquidations_are_told_by_name_and_stand_by_the_log_s_own_convention(
    tmp_path: Path,
) -> None:
    rows = [f"bybit,BTCUSDT,{US},{US + 5},{UUID},buy,100.5,3"]  # a short position was closed
    rows += [f"bybit,BTCUSDT,{US + 1},{US + 6},,sell,100.5,4"]
    made = take(tmp_path, "bybit_liquidations_2020-09-01_BTCUSDT.csv.gz", TRADES, *rows)
    got = values(made, Kind.LIQUIDATION, "bybit BTCUSDT", "id", "side", "price", "qty")
    assert got == [(0, 1, D("100.5"), D(3)), (0, -1, D("100.5"), D(4))]
    folder = tmp_path / "liquidations"
    folder.mkdir()
    (member,) = members_of(write(folder, "BTCUSDT.csv", TRADES, *rows))
    assert detect(member, None, None).format == "Tardis liquidations CSV"
    layout = recognise(titles_of(TRADES))
    assert layout is not None
    with pytest.raises(UsageError, match="trades or liquidations"):
        settled(layout, "bybit", Path("x/BTCUSDT.csv"))


def test_a_derivative_ticker_is_a_mark(tmp_path: Path) -> None:
    next_us = US + 28_800_000_000
    made = take(
        tmp_path, "derivative_ticker.csv", TICKER,
        f"bybit,BTCUSDT,{US},{US + 5},{next_us},0.0001,0.00012,5,100.5,100.4,100.25",
        f"bybit,BTCUSDT,{US + 1},{US + 6},,,,,,,100.5",
        f"bybit,BTCUSDT,{US + 2},{US + 7},,-0.00000123456,,,,,",
    )  # fmt: skip
    names = ("ts_ns", "mark", "index", "funding_fp9", "next_funding_ns")
    assert values(made, Kind.MARK, "bybit BTCUSDT", *names) == [
        (US * 1000, D("100.25"), D("100.4"), 100_000, next_us * 1000),
        (US * 1000 + 1000, D("100.5"), D(0), 0, 0),
    ]
    assert made.reports["x"].counted("rejected") == {"price": 1}


# --- books ---------------------------------------------------------------------------------------


def snapshot_header(levels: int) -> str:
    cells = [
        f"{side}s[{i}].{what}"
        for i in range(levels)
        for side in ("ask", "bid")
        for what in ("price", "amount")
    ]
    return ",".join([HEAD, *cells])


def snapshot_row(us: int, asks: list[tuple[str, str]], bids: list[tuple[str, str]]) -> str:
    cells = [cell for pair in zip(asks, bids, strict=True) for level in pair for cell in level]
    return ",".join(["bybit", "BTCUSDT", str(us), str(us + 5), *cells])


def depth(made: Imported) -> list[tuple[Any, ...]]:
    got = made.rows(Kind.DEPTH, "bybit", "BTCUSDT")
    out = []
    for i, ts in enumerate(got["ts_ns"].tolist()):
        sides = []
        for side in ("bid", "ask"):
            cut = slice(int(got[f"{side}_offsets"][i]), int(got[f"{side}_offsets"][i + 1]))
            for what in ("price", "qty"):
                scale = int(got[f"{what}_scale"])
                sides.append([D(v).scaleb(-scale) for v in got[f"{side}_{what}"][cut].tolist()])
        out.append((ts, *sides))
    return out


@pytest.mark.parametrize("levels", [5, 25])
def test_book_snapshots(tmp_path: Path, levels: int) -> None:
    asks = [(f"{101 + i}.5", str(i + 1)) for i in range(levels)]
    bids = [(f"{100 - i}", f"{i}.25") for i in range(levels)]
    short = [*asks[:2], *[("", "")] * (levels - 2)]
    bad = [asks[1], asks[0], *asks[2:]]
    rows = [snapshot_row(US + i, a, bids) for i, a in enumerate((asks, short, bad))]
    name = f"book_snapshot_{levels}.csv.gz"
    made = take(tmp_path, name, snapshot_header(levels), *rows, cadence_ns=0, levels=3)
    shown = [(D(p), D(q)) for p, q in bids[:3]]
    offered = [(D(p), D(q)) for p, q in asks[:3]]
    first = (US * 1000, [p for p, _ in shown], [q for _, q in shown],
             [p for p, _ in offered], [q for _, q in offered])  # fmt: skip
    second = (US * 1000 + 1000, *first[1:3], first[3][:2], first[4][:2])
    assert depth(made) == [first, second]
    assert made.reports["x"].counted("rejected") == {"levels": 1}


def test_the_cadence_thins_snapshots_out(tmp_path: Path) -> None:
    asks = [(str(101 + i), "1") for i in range(5)]
    bids = [(str(100 - i), "1") for i in range(5)]
    rows = [snapshot_row(US + i * 30_000, asks, bids) for i in range(20)]
    made = take(tmp_path, "book_snapshot_5.csv", snapshot_header(5), *rows)
    times = [row[0] // 10**6 - US // 1000 for row in depth(made)]
    assert times == [0, 120, 210, 300, 420, 510]
    assert made.reports["x"].counted("skipped") == {"book within a slot": 14}


def l2(us: int, snapshot: bool, side: str, price: str, amount: str, symbol: str = "BTCUSDT") -> str:
    return f"bybit,{symbol},{us},{us + 5},{str(snapshot).lower()},{side},{price},{amount}"


def test_single_levels_become_books(tmp_path: Path) -> None:
    rows = [
        l2(US - 9, False, "bid", "1", "1"),  # before the first snapshot: no book
        l2(US, True, "ask", "101", "3"),
        l2(US, True, "bid", "100", "1"),
        l2(US, True, "bid", "99.5", "2"),
        l2(US, True, "bid", "98", "0"),  # a level that is none
        l2(US + 20, False, "bid", "100", "0"),
        l2(US + 20, False, "ask", "100.5", "4"),
        l2(US + 40, False, "bid", "97", "0"),
        l2(US + 60, True, "bid", "90", "1"),  # the connection was made anew
        l2(US + 60, True, "ask", "91", "1"),
    ]
    made = take(tmp_path, "incremental_book_L2.csv.gz", L2, *rows, cadence_ns=0)
    low, high = [D("99.5")], [D("100.5"), D(101)]
    assert depth(made) == [
        (US * 1000, [D(100), D("99.5")], [D(1), D(2)], [D(101)], [D(3)]),
        (US * 1000 + 20_000, low, [D(2)], high, [D(4), D(3)]),
        (US * 1000 + 40_000, low, [D(2)], high, [D(4), D(3)]),
        (US * 1000 + 60_000, [D(90)], [D(1)], [D(91)], [D(1)]),
    ]
    got = made.rows(Kind.DEPTH, "bybit", "BTCUSDT")
    assert not got["id"].any()
    assert not got["seq"].any()
    gaps = made.rows(Kind.GAP, "bybit", "BTCUSDT")
    assert gaps["reason"].tolist() == [GapReason.NO_SNAPSHOT, GapReason.DISCONNECT]
    (file,) = made.reports["x"].files
    assert (file.snapshots, file.diffs, file.diffs_applied, file.restarts) == (2, 3, 2, 1)
    before = made.digest()
    made.take("again", tmp_path / "incremental_book_L2.csv.gz", cadence_ns=0)
    assert made.digest() == before


def books_of(text: bytes, cuts: list[int], cadence_ns: int) -> tuple[list[Chunk], Rejects]:
    layout = recognise(titles_of(L2))
    assert layout is not None
    rejects = Rejects("x", lambda _name, _data: None)
    settled_layout = settled(layout, "bybit", Path("x"))
    parser = TardisBooks(settled_layout, False, rejects, levels=5, cadence_ns=cadence_ns)
    ends = {text.rfind(b"\n", 0, min(c, len(text))) + 1 for c in cuts} | {0, len(text)}
    chunks = [c for a, b in pairwise(sorted(ends)) for c in parser.parse(text[a:b])]
    return chunks + parser.finish(), rejects


def market(rng: random.Random, rows: int) -> Iterator[str]:
    us = US
    for i in range(rows):
        if rng.random() < 0.4:
            us += rng.randrange(1, 40_000)
        snapshot = i < 8 or rng.random() < 0.01
        side = rng.choice(("bid", "ask"))
        price = 100 + (rng.randrange(1, 9) if side == "ask" else -rng.randrange(9))
        yield l2(us, snapshot, side, str(price), str(rng.randrange(4)), rng.choice("AB") + "USDT")


@settings(max_examples=40)
@given(
    st.integers(0, 10**6), st.lists(st.integers(0, 9_000), max_size=6), st.sampled_from([0, 10**8])
)
def test_books_do_not_depend_on_where_blocks_end(seed: int, cuts: list[int], cadence: int) -> None:
    text = "".join(f"{row}\n" for row in market(random.Random(seed), 120)).encode()
    whole, parts = books_of(text, [], cadence)[0], books_of(text, cuts, cadence)[0]

    def rows(chunks: list[Chunk]) -> list[Any]:
        names = ("ts_ns", "recv_ns", "bid_price", "bid_qty", "ask_price", "ask_qty")
        books = [(c.symbol, r) for c in chunks if c.kind == Kind.DEPTH for r in rows_of(c, *names)]
        return sorted(books, key=str)

    assert rows(whole) == rows(parts)


@settings(max_examples=150)
@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(0, 4_000), st.binary(max_size=5)), min_size=1, max_size=6),
)
def test_any_damage_becomes_rejects(seed: int, edits: list[tuple[int, bytes]]) -> None:
    text = "".join(f"{row}\n" for row in market(random.Random(seed), 40)).encode()
    for at, put in edits:
        text = text[: at % len(text)] + put + text[at % len(text) + len(put) :]
    chunks, rejects = books_of(text, [len(text) // 2], 0)
    assert set(rejects.counts) <= set(REASONS)
    for chunk in chunks:
        if chunk.kind == Kind.DEPTH:
            for side in ("bid", "ask"):
                price, quantity = chunk.columns[f"{side}_price"], chunk.columns[f"{side}_qty"]
                assert isinstance(price, tuple)
                assert isinstance(quantity, tuple)
                assert (price[0] > 0).all()
                assert (quantity[0] > 0).all()


# --- what a file is ------------------------------------------------------------------------------


def test_several_symbols_and_rows_of_another_exchange(tmp_path: Path) -> None:
    rows = [
        f"bybit,{symbol},{US + i},{US + i},,buy,1,1"
        for i, symbol in enumerate(["BTCUSDT", "ETHUSDT", "btcusdt", "../../x", "ETHUSDT"])
    ]
    rows.append(f"okex,BTCUSDT,{US},{US},,buy,1,1")
    made = take(tmp_path, "bybit_trades_PERPETUALS.csv.gz", TRADES, *rows)
    report = made.reports["x"]
    assert report.counted("rejected") == {"market": 2}
    assert {(s.symbol, s.rows) for s in made.store.series()} == {("BTCUSDT", 2), ("ETHUSDT", 2)}


@pytest.mark.parametrize(
    ("exchange", "match"),
    [("binance-delivery", "COIN-M"), ("../x", "without an exchange"), ("", "without an exchange")],
)
def test_exchanges_that_cannot_be_imported(tmp_path: Path, exchange: str, match: str) -> None:
    rows = [f"{exchange},BTCUSDT,{US},{US},1,buy,1,1"] if exchange else []
    (member,) = members_of(write(tmp_path, "trades.csv", TRADES, *rows))
    with pytest.raises(DataError, match=match) as error:
        detect(member, None, None)
    assert error.value.where


def test_books_of_one_time_from_two_files_are_not_mixed(tmp_path: Path) -> None:
    made = Imported(tmp_path / "log")
    asks = [(str(101 + i), "1") for i in range(5)]
    bids = [(str(100 - i), "1") for i in range(5)]
    one = write(tmp_path, "a.csv", snapshot_header(5), *(
        snapshot_row(US + i * 10**6, asks, bids) for i in range(3)
    ))  # fmt: skip
    two = write(tmp_path, "b.csv", L2, *(
        l2(US + i * 10**6 + 7, i == 0, side, price, "1")
        for i in range(3) for side, price in (("bid", "100"), ("ask", "101"))
    ))  # fmt: skip
    report = made.take("x", one, two, cadence_ns=0)
    assert len(depth(made)) == 3
    assert report.counted("left_out") == {"incremental_book_L2 (there is book_snapshot_5)": 3}
    assert np.all(np.diff(made.rows(Kind.DEPTH, "bybit", "BTCUSDT")["ts_ns"]) == 10**9)
