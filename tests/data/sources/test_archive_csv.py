"""Archive CSV: every row exact, every defect noticed, nothing ever raised."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import EVENTS, Kind
from data.sources import bybit_layouts as bybit
from data.sources import tardis_layouts as tardis
from data.sources.archive_csv import ArchiveParser
from data.sources.archive_layouts import (
    INT_ROLES,
    LAYOUTS,
    Layout,
    by_name,
    is_decimal,
    recognise,
)
from data.sources.chunks import Chunk, concat
from data.sources.rejects import REASONS, Rejects
from tests.shared import CAMPAIGN, shared_data

AGG = by_name("USD-M aggTrades")
HEAD = ("exchange", "symbol", "timestamp", "localtimestamp")
DEAL = ("side", "price", "amount")
BYBIT = ("timestamp", "symbol", "side", "size", "price", "tickdirection", "trdmatchid")
NOTIONAL = ("grossvalue", "homenotional", "foreignnotional")
BOOK5 = tuple(
    f"{side}s[{i}].{what}" for i in range(5) for side in ("ask", "bid")
    for what in ("price", "amount")
)  # fmt: skip
TICKER = ("fundingtimestamp", "fundingrate", "predictedfundingrate", "openinterest", "lastprice")


def known(layout: Layout | None, name: str = "") -> Layout:
    """A layout that was recognised, settled as one of Bybit by Tardis where it has an exchange."""
    assert layout is not None
    return tardis.settled(layout, "bybit", PurePath(name)) if name else layout


OTHERS = (
    known(bybit.recognise((*BYBIT, *NOTIONAL))),
    known(bybit.recognise((*BYBIT[::-1], *NOTIONAL, "rpi"))),
    known(bybit.recognise(("id", "timestamp", "price", "volume", "side", "rpi"))),
    known(tardis.recognise((*HEAD, "id", *DEAL)), "bybit_trades.csv"),
    known(tardis.recognise((*HEAD, "id", *DEAL)), "bybit_liquidations.csv"),
    known(tardis.recognise((*HEAD, "askamount", "askprice", "bidprice", "bidamount")), "x"),
    known(tardis.recognise((*HEAD, *TICKER, "indexprice", "markprice")), "x"),
    known(tardis.recognise((*HEAD, *BOOK5)), "x"),
)


class Kept:
    """Rejects with their lines still at hand."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.rejects = Rejects("x.csv", lambda name, data: self.files.append((name, data)))


def parse(text: bytes, layout: Layout = AGG, header: bool = False) -> tuple[Chunk | None, Rejects]:
    """All rows of a text, and its rejects."""
    kept = Kept()
    chunks = ArchiveParser(layout, header, kept.rejects).parse(text)
    return (concat(chunks) if chunks else None), kept.rejects


def sample(name: str) -> tuple[Chunk | None, Rejects]:
    text = shared_data(f"binance-samples/archive_csv/{name}").read_bytes()
    found = recognise(text.split(b"\n")[0].decode())
    assert found is not None
    return parse(text, *found)


def rows(chunk: Chunk | None, *names: str) -> list[tuple[Any, ...]]:
    """Values of the named columns row by row; prices and quantities as decimals."""
    assert chunk is not None
    columns = []
    for name in names:
        unit = EVENTS[chunk.kind].field(name).unit
        scale = {"price": chunk.scales.price, "qty": chunk.scales.qty}.get(unit)
        values = chunk.array(name).tolist()
        columns.append(values if scale is None else [Decimal(v).scaleb(-scale) for v in values])
    return list(zip(*columns, strict=True))


def D(*texts: str) -> list[Decimal]:  # noqa: N802
    return [Decimal(t) for t in texts]


# --- the samples that really shipped -----------------------------------------------------------


def test_um_agg_trades_with_header() -> None:
    chunk, rejects = sample("um_aggTrades_header_since_2022-08-11.csv")
    assert rows(chunk, "id", "ts_ns", "price", "qty", "side") == [
        (2228503268, 1720055357510 * 10**6, *D("60276.3", "0.029"), 1),
        (2228503269, 1720055357601 * 10**6, *D("60276.2", "0.049"), -1),
        (2228503270, 1720055357781 * 10**6, *D("60276.2", "0.008"), -1),
        (2228503271, 1720055357799 * 10**6, *D("60276.3", "0.009"), 1),
    ]
    assert not rejects.counts
    assert chunk is not None
    assert (chunk.scales.price, chunk.scales.qty) == (1, 3)
    assert not chunk.array("recv_ns").any()
    assert chunk.lines.tolist() == [2, 3, 4, 5]


def test_spot_agg_trades_without_header() -> None:
    chunk, rejects = sample("spot_aggTrades_noheader_ms_2021-12-14.csv")
    assert rows(chunk, "id", "ts_ns", "price", "qty", "side") == [
        (1031427002, 1639474150066 * 10**6, *D("47319.84", "0.02736"), -1),
        (1031427003, 1639474150077 * 10**6, *D("47319.99", "0.01186"), -1),
        (1031427004, 1639474150155 * 10**6, *D("47320", "0.00105"), 1),
        (1031427005, 1639474150242 * 10**6, *D("47320", "0.00001"), 1),
    ]
    assert not rejects.counts


def test_spot_klines_in_microseconds() -> None:
    chunk, rejects = sample("spot_klines_1s_us_2025-01-01.csv")
    start = 1735689600 * 10**9
    assert rows(chunk, "open_ns", "ts_ns", "interval_ns", "trades") == [
        (start, start + 10**9, 10**9, 1),
        (start + 10**9, start + 2 * 10**9, 10**9, 5),
    ]
    assert rows(chunk, "open", "high", "low", "close", "volume", "buy_volume") == [
        tuple(D("0.316", "0.316", "0.316", "0.316", "27", "0")),
        tuple(D("0.31601", "0.31601", "0.31601", "0.31601", "17", "17")),
    ]
    assert not rejects.counts


def test_defect_interleaved_months_keep_every_row() -> None:
    chunk, rejects = sample("DEFECT_um_aggTrades_monthly_interleaved_2023-10.csv")
    assert [r[0] for r in rows(chunk, "id")] == [
        1862715434, 1896999302, 1862715435, 1896999303, 1862715436, 1896999304,
    ]  # fmt: skip
    assert [r[0] for r in rows(chunk, "price")] == D(
        "26951.0", "33944.3", "26950.9", "33944.4", "26951.0", "33944.5"
    )
    assert not rejects.counts


def test_defect_duplicates_are_left_to_the_log() -> None:
    chunk, _ = sample("DEFECT_um_aggTrades_duplicates_2022-09.csv")
    assert [r[0] for r in rows(chunk, "id")] == [1446230265] * 2 + [1446230266] * 2


def test_defect_one_id_two_trades() -> None:
    chunk, _ = sample("DEFECT_spot_aggTrades_same_id_two_trades_ZILBTC_2021-02-28.csv")
    assert rows(chunk, "id", "price", "qty") == [
        (12027554, *D("0.00000238", "276")),
        (12027555, *D("0.00000238", "824")),
        (12027555, *D("0.00000239", "19332")),
    ]


def test_defect_book_ticker_out_of_order() -> None:
    chunk, rejects = sample("DEFECT_um_bookTicker_out_of_order_2024-01-15.csv")
    assert rows(chunk, "id", "ts_ns", "bid", "bid_qty", "ask", "ask_qty") == [
        (3831603310013, 1705276800000 * 10**6, *D("2474.3", "6.009", "2474.31", "44.757")),
        (3835812359996, 1705350085394 * 10**6, *D("2535.78", "57.393", "2535.79", "14.668")),
        (3831603310668, 1705276800011 * 10**6, *D("2474.3", "6.09", "2474.31", "44.757")),
    ]
    assert not rejects.counts


# --- what is rejected, and why -----------------------------------------------------------------

GOOD = b"10,100.5,2,11,12,1720055357510,false\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"10,100.5,2,11,12,1720055357510", "columns"),
        (b"10,100.5,2,11,12,1720055357510,false,x", "columns"),
        (b"10,abc,2,11,12,1720055357510,false", "number"),
        (b"10,,2,11,12,1720055357510,false", "number"),
        (b"1.0,100.5,2,11,12,1720055357510,false", "number"),
        (b"0x1F,100.5,2,11,12,1720055357510,false", "number"),
        (b"99999999999999999999,100.5,2,11,12,1720055357510,false", "number"),
        (b"10,100.5,0.1234567890123,11,12,1720055357510,false", "precision"),
        (b"10,1e30,2,11,12,1720055357510,false", "overflow"),
        (b"10,90000000000,90000000000,11,12,1720055357510,false", ""),
        (b"10,100.5,2,11,12,0,false", "time"),
        (b"10,100.5,2,11,12,5000000000000,false", "time"),
        (b"10,100.5,2,11,12,1720055357510000000,false", "time"),
        (b"-1,100.5,2,11,12,1720055357510,false", "id"),
        (b"10,0,2,11,12,1720055357510,false", "price"),
        (b"10,-3,2,11,12,1720055357510,false", "price"),
        (b"10,100.5,0,11,12,1720055357510,false", "qty"),
        (b"10,0,0,-1,-1,1720055357510,false", "tombstone"),
        (b"10,100.5,2,11,12,1720055357510,maybe", "side"),
        (b"\xff\xfe,100.5,2,11,12,1720055357510,false", "number"),
    ],
)
def test_a_bad_line_is_rejected_for_its_reason_and_hurts_no_other(line: bytes, reason: str) -> None:
    chunk, rejects = parse(GOOD * 40 + line + b"\n" + GOOD * 40)
    assert chunk is not None
    assert len(chunk) == 80 + (not reason)
    assert dict(rejects.counts) == ({reason: 1} if reason else {})


def test_bars_must_make_sense() -> None:
    layout = by_name("klines")
    good = b"1720000000000,10,12,9,11,5,1720000059999,50,7,2,20,0\n"
    bad = {
        b"1720000000000,10,9,9,11,5,1720000059999,50,7,2,20,0\n": "bar",
        b"1720000000000,10,12,11,11,5,1720000059999,50,7,2,20,0\n": "bar",
        b"1720000000000,10,12,9,11,5,1720000059999,50,7,6,20,0\n": "bar",
        b"1720000000000,10,12,9,11,5,1719999999999,50,7,2,20,0\n": "time",
        b"1720000000000,10,12,9,11,5,1720000059999999,50,7,2,20,0\n": "time",
        b"1720000000000,10,12,9,11,5,1620000059999,50,7,2,20,0\n": "time",
        b"1720000000000,0,12,0,11,5,1720000059999,50,7,2,20,0\n": "price",
        b"1720000000000,10,12,9,11,-5,1720000059999,50,7,2,20,0\n": "qty",
    }
    for line, reason in bad.items():
        chunk, rejects = parse(good + line, layout)
        assert chunk is not None
        assert len(chunk) == 1
        assert dict(rejects.counts) == {reason: 1}, line
    assert rows(parse(good, layout)[0], "interval_ns", "ts_ns") == [
        (60 * 10**9, 1720000060000 * 10**6)
    ]


def test_a_reject_says_file_line_reason_and_text() -> None:
    kept = Kept()
    parser = ArchiveParser(AGG, True, kept.rejects)
    parser.parse(b"header\n" + GOOD)
    parser.parse(GOOD + b"\n" + b"oops\n" + GOOD)
    kept.rejects.flush()
    ((name, data),) = kept.files
    assert name.startswith("x.csv.")
    assert data == b'{"file": "x.csv", "line": 5, "reason": "columns", "raw": "oops"}\n'


def test_windows_line_ends_byte_order_mark_and_blank_lines() -> None:
    text = b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n") * 3 + b"\r\n" + GOOD.rstrip(b"\n")
    chunk, rejects = parse(text)
    assert chunk is not None
    assert chunk.lines.tolist() == [1, 2, 3, 5]
    assert not rejects.counts


def test_a_value_that_needs_the_smallest_and_one_that_needs_the_largest_scale() -> None:
    text = b"1,0.00001234,10000000000000,1,1,1720055357510,true\n" * 3
    assert rows(parse(text)[0], "price", "qty")[0] == tuple(D("0.00001234", "10000000000000"))


# --- properties --------------------------------------------------------------------------------

number = st.one_of(
    st.decimals(min_value=0, max_value=10**7, places=3).map(lambda d: f"{d:f}"),
    st.sampled_from(["1e3", "1E-5", "-1", "", "nan", "1.", ".5", "+7", " 8 ", "0x1", "1_0", "９"]),
)
integer = st.one_of(
    st.integers(-2, 10**13).map(str),
    st.sampled_from(["", "x", "1.0", "-", "٣", " 5", "0x1F", str(2**63), "+1"]),
)
moment = st.one_of(st.integers(1_230_768_000_000, 4_102_444_799_999).map(str), integer)
flag = st.sampled_from(["true", "false", "True", "FALSE", "tRuE", "1", "", "buy"])


TIMES = ("time", "close_time", "event_time", "recv", "funding_time")
TEXTS = {
    "side": ["buy", "Sell", "unknown"],
    "tick": ["PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick"],
    "text_id": [
        "20f43950-d8dd-5b31-9112-a178eb6023af",
        "20F43950-D8DD-5B31-9112-A178EB602300",
        "7",
    ],
    "symbol": ["BTCUSDT", "BTCUSDT", "btcusdt", "AVAX-27DEC24"],
    "exchange": ["bybit"],
}
EVERY = (*LAYOUTS, *OTHERS)


def cell(role: str) -> st.SearchStrategy[str]:
    if is_decimal(role):
        return number
    if role in TIMES:
        return moment
    if role in INT_ROLES:
        return integer
    if role in TEXTS:
        return st.sampled_from([*TEXTS[role], "", "x", "0x1", " "])
    return flag


def fine_cell(role: str) -> st.SearchStrategy[str]:
    """Cells of which rows of every layout are good, or nearly."""
    if role == "seconds":
        return st.sampled_from(["1720055357.51", "1720055357", "1720055357.510000001"])
    if role.startswith(("bid_price", "ask_price")):
        return st.just(str(900 + int(role[9:]) if role[0] == "a" else 800 - int(role[9:])))
    if is_decimal(role):
        return st.sampled_from(["7", "7.0", "7.000", "7.00000001"])
    if role in TIMES:
        return st.just("1720055357510" if role != "close_time" else "1720055417509")
    if role in INT_ROLES:
        return st.integers(0, 10**12).map(str)
    if role in TEXTS:
        return st.sampled_from(TEXTS[role])
    return st.sampled_from(["true", "False"])


def line_of(layout: Layout) -> st.SearchStrategy[str]:
    row = st.tuples(*(cell(r) for r in layout.roles)).map(",".join)
    fine = st.tuples(*(fine_cell(r) for r in layout.roles)).map(",".join)
    noise = st.text(max_size=30).map(lambda t: t.replace("\n", ""))
    return st.integers(0, 39).flatmap(lambda i: noise if i == 0 else row if i < 4 else fine)


def by_line(chunks: list[Chunk]) -> dict[int, list[Any]]:
    """Symbol and values of every row, decimals and lists included, by its line."""
    found: dict[int, list[Any]] = {}
    for chunk in chunks:
        for i, line in enumerate(chunk.lines.tolist()):
            assert line not in found
            found[line] = [chunk.symbol]
            for field in EVENTS[chunk.kind].fields:
                unit = field.unit.removesuffix("[]")
                scale = {"price": chunk.scales.price, "qty": chunk.scales.qty}.get(unit, 0)
                column = chunk.columns[field.name]
                if isinstance(column, tuple):
                    values = column[0][column[1][i] : column[1][i + 1]]
                else:
                    values = column[i : i + 1]
                found[line].append([Decimal(int(v)).scaleb(-scale) for v in values])
    return found


@settings(deadline=None, max_examples=2_000 if CAMPAIGN else 120)
@given(st.data(), st.sampled_from(EVERY))
def test_every_line_is_an_event_or_a_reject_and_both_ways_agree(
    data: st.DataObject, layout: Layout
) -> None:
    lines = data.draw(st.lists(line_of(layout), max_size=80))
    block = "\n".join(lines).encode("utf-8", "surrogatepass")
    kept = Kept()
    fast = ArchiveParser(layout, False, kept.rejects)
    chunks = fast.parse(block) + fast.finish()
    text = block.replace(b"\r\n", b"\n").removeprefix(b"\xef\xbb\xbf")
    blank = sum(not x.strip() for x in text.split(b"\n")[: fast.lines])
    total = sum(len(c) for c in chunks) + kept.rejects.counts.total()
    assert total == fast.lines - blank
    assert set(kept.rejects.counts) <= set(REASONS)

    slow_kept = Kept()
    slow = ArchiveParser(layout, False, slow_kept.rejects)
    slow_chunks = slow._line_by_line(text, 1)
    assert slow_kept.rejects.counts == kept.rejects.counts
    assert by_line(chunks) == by_line(slow_chunks)
    if "symbol" not in layout.roles and not layout.newest_first:
        assert [x for c in chunks for x in c.lines] == [x for c in slow_chunks for x in c.lines]


@pytest.mark.parametrize("blank", [" ", " 7", "7 ", "\t7"])
def test_blanks_around_a_text_id_do_not_count(blank: str) -> None:
    layout = next(x for x in EVERY if x.roles[0] == "text_id" and len(x.roles) == 11)
    rest = ",PlusTick,7,7,buy,BTCUSDT,1720055357.51,1,1,1,1\n"
    found = []
    for line in (blank + rest, blank.strip() + rest):
        kept = Kept()
        parser = ArchiveParser(layout, False, kept.rejects)
        found.append((by_line(parser.parse(line.encode()) + parser.finish()), kept.rejects.counts))
    assert found[0] == found[1]


good_price = st.decimals(min_value=Decimal("0.00000001"), max_value=10**6, places=8)


@settings(deadline=None)
@given(
    st.lists(st.tuples(good_price, good_price, st.booleans()), min_size=1, max_size=200),
    st.lists(st.integers(0, 10_000), max_size=5),
)
def test_rows_do_not_depend_on_the_blocks_and_are_exact(
    trades: list[tuple[Decimal, Decimal, bool]], cuts: list[int]
) -> None:
    text = "".join(
        f"{i},{p:f},{q:f},1,1,{1720055357510 + i},{str(m).lower()}\n"
        for i, (p, q, m) in enumerate(trades, start=1)
    ).encode()
    ends = {text.rfind(b"\n", 0, min(c, len(text))) + 1 for c in cuts} | {0, len(text)}
    parser = ArchiveParser(AGG, False, Kept().rejects)
    parts = sorted(ends)
    chunks = [c for a, b in pairwise(parts) for c in parser.parse(text[a:b])]
    got = [r for c in chunks for r in rows(c, "id", "price", "qty", "side")]
    want = [(i, p, q, -1 if m else 1) for i, (p, q, m) in enumerate(trades, start=1)]
    assert got == want
    assert np.concatenate([c.lines for c in chunks]).tolist() == [w[0] for w in want]
    assert all(c.kind == Kind.TRADE for c in chunks)
