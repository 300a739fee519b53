"""Rows of tables: values, rejects, what is carried on, and that nothing ever raises."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import Kind
from data.sources.chunks import Chunk, concat
from data.sources.mapping import Mapping, TimeForm, side_words
from data.sources.mapping_parser import MappingParser, symbol_name
from data.sources.mapping_zones import parse_zone
from data.sources.rejects import Rejects

TICKS = Mapping(
    "ticks", Kind.QUOTE, 5, 4, {"bid": (2,), "ask": (3,)}, TimeForm((0, 1), wall=True), "\t",
    header_lines=1, carry=True,
)  # fmt: skip
BARS = Mapping(
    "bars", Kind.BAR, 6, 6,
    {"open": (1,), "high": (2,), "low": (3,), "close": (4,), "trades": (5,)},
    TimeForm((0,)), interval_ns=60 * 10**9,
)  # fmt: skip
TRADES = Mapping(
    "trades", Kind.TRADE, 5, 5, {"price": (1,), "qty": (2,), "side": (3,), "id": (4,)},
    TimeForm((0,), "ms"), sides=side_words(),
)  # fmt: skip
DEPTH = Mapping(
    "depth", Kind.DEPTH, 9, 9,
    {"bid_price": (1, 2), "bid_qty": (3, 4), "ask_price": (5, 6), "ask_qty": (7, 8)},
    TimeForm((0,), "ms"),
)  # fmt: skip


class Read:
    """A text read by a mapping, in blocks that end at the given lines."""

    def __init__(self, mapping: Mapping, text: str | bytes, *cuts: int) -> None:
        raw = text.encode() if isinstance(text, str) else text
        lines = raw.splitlines(keepends=True) if b"\r" not in raw else raw.split(b"\n")
        if b"\r" in raw:
            lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        self.rejects = Rejects("x", lambda _n, _d: None)
        self.parser = MappingParser(mapping, self.rejects)
        self.chunks: list[tuple[str, Chunk]] = []
        edges = [0, *sorted(c % (len(lines) + 1) for c in cuts), len(lines)]
        for start, stop in pairwise(edges):
            self.chunks += self.parser.parse(b"".join(lines[start:stop]))

    @property
    def chunk(self) -> Chunk:
        return concat([c for _, c in self.chunks])

    def column(self, name: str) -> list[int]:
        return self.chunk.array(name).tolist() if self.chunks else []

    @property
    def whole(self) -> dict[str, object]:
        """Everything that was read, for comparison."""
        if not self.chunks:
            return {"skipped": dict(self.parser.skipped), "rejects": dict(self.rejects.counts)}
        columns = {
            n: [p.tolist() for p in (c if isinstance(c, tuple) else (c,))]
            for n, c in self.chunk.columns.items()
        }
        return {
            **columns, "lines": self.chunk.lines.tolist(), "skipped": dict(self.parser.skipped),
            "rejects": dict(self.rejects.counts), "scales": self.chunk.scales,
        }  # fmt: skip


HEAD = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\n"


def test_an_empty_side_goes_on_with_its_last_value() -> None:
    text = HEAD + (
        "2024.01.02\t00:00:00.100\t\t1.2\t\n"  # no bid yet
        "2024.01.02\t00:00:00.200\t1.1\t\t\n"
        "2024.01.02\t00:00:00.300\t\t1.25\t\n"
        "2024.01.02\t00:00:00.400\t\t\t7\n"  # a trade, no quote
        "2024.01.02\t00:00:00.500\tx\t1.3\t\n"  # at fault: passes nothing on
        "2024.01.02\t00:00:00.600\t1.105\t\t\n"
        "2024.01.02\t00:00:00.700\t0.0\t1.9\t\n"
        "2024.01.02\t00:00:00.800\t\t1.26\t\n"
    )
    for cuts in ((), (2,), (3, 4), range(1, 9)):
        read = Read(TICKS, text, *cuts)
        assert read.chunk.scales.price == 3
        assert read.column("bid") == [1100, 1100, 1105, 1105]
        assert read.column("ask") == [1200, 1250, 1250, 1260]
        assert dict(read.parser.skipped) == {
            "the other side is not known yet": 1, "neither bid nor ask changed": 1,
        }  # fmt: skip
        assert dict(read.rejects.counts) == {"number": 1, "price": 1}
        assert (read.parser.lines, read.parser.rows) == (9, 4)


def test_bars_end_where_their_interval_does() -> None:
    text = "2024-01-02 00:00,1.1,1.3,1.0,1.2,5\n2024-01-02 00:01,1.2,1.2,1.25,1.2,5\n"
    read = Read(BARS, text)
    (start,) = read.column("open_ns")
    assert read.column("ts_ns") == [start + 60 * 10**9]
    assert read.column("trades") == [5]
    assert dict(read.rejects.counts) == {"bar": 1}
    closing = Read(replace(BARS, close_time=True), text)
    assert closing.column("ts_ns") == [start]


def test_sides_ids_and_texts_that_are_neither() -> None:
    text = (
        "1704164645123,43000.5,0.01,Buy,7\n"
        "1704164645123,43000.5,0.02,S,8\n"
        "1704164645123,43000.5,0.02,?,9\n"
        "1704164645123,43000.5,0.02,buy,1.5\n"
        "1704164645123,43000.5,0,buy,10\n"
        "1704164645123,-1,1,buy,10\n"
        "1704164645,1,1,buy,10\n"
        "today,1,1,buy,10\n"
        "1704164645123,1,1,buy\n"
    )
    read = Read(TRADES, text)
    assert (read.column("side"), read.column("id")) == ([1, -1], [7, 8])
    assert dict(read.rejects.counts) == {
        "side": 1, "number": 1, "qty": 1, "price": 1, "time": 1, "time_text": 1, "columns": 1,
    }  # fmt: skip
    assert read.chunk.lines.tolist() == [1, 2]


def test_a_trade_without_a_side_has_none() -> None:
    mapping = replace(TRADES, roles={"price": (1,), "qty": (2,), "id_text": (4,)})
    text = "1704164645123,1,1,x,6f9619ff-8b86-d011-b42d-00cf4fc964ff\n1704164645123,1,1,x,a\n"
    read = Read(mapping, text)
    assert read.column("side") == [0, 0]
    assert len(set(read.column("id"))) == 2
    assert read.column("id") == Read(mapping, text, 1).column("id")


def test_levels_of_a_book() -> None:
    text = (
        "1704164645123,10,9,1,2,11,12,3,4\n"
        "1704164645124,10,,1,,11,12,3,4\n"
        "1704164645125,9,10,1,2,11,12,3,4\n"
        "1704164645126,11,9,1,2,11,12,3,4\n"
        "1704164645127,,9,1,2,11,12,3,4\n"
    )
    read = Read(DEPTH, text)
    assert dict(read.rejects.counts) == {"levels": 3}
    values, offsets = read.chunk.columns["bid_price"]
    assert (values.tolist(), offsets.tolist()) == ([10, 9, 10], [0, 2, 3])


def test_rows_of_several_symbols() -> None:
    mapping = replace(TRADES, symbol_column=4, roles={"price": (1,), "qty": (2,)})
    text = (
        "1704164645123,1,1,x,btc/usdt\n1704164645123,2,1,x,ETH-USDT\n1704164645124,3,1,x,BTC/USDT\n"
    )
    read = Read(mapping, text)
    assert [(name, len(c)) for name, c in read.chunks] == [
        ("BTCUSDT", 1),
        ("ETH-USDT", 1),
        ("BTCUSDT", 1),
    ]
    assert [symbol_name(t) for t in ("a b", "///", "x" * 99)] == ["AB", "UNNAMED", "X" * 30]


def test_the_skipped_hour_is_rejected_by_name() -> None:
    mapping = replace(BARS, time=TimeForm((0,), zone=parse_zone("Europe/Athens")))
    rows = ("02:59", "03:30", "04:00")
    read = Read(mapping, "".join(f"2024-03-31 {t},1,1,1,1,5\n" for t in rows))
    assert (len(read.chunk), dict(read.rejects.counts)) == (2, {"skipped_hour": 1})
    assert np.diff(read.chunk.array("ts_ns")).tolist() == [60 * 10**9]


def test_a_zone_in_the_text_rules_unless_it_is_a_wall_clock() -> None:
    text = "2024-01-02 00:00:00+02:00,1,1,1,1,5\n"
    plain = Read(replace(BARS, time=TimeForm((0,), zone=parse_zone("+05:00"))), text)
    wall = Read(replace(BARS, time=TimeForm((0,), zone=parse_zone("+05:00"), wall=True)), text)
    assert plain.column("open_ns")[0] - wall.column("open_ns")[0] == 3 * 3600 * 10**9


MUTATED = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from([b"", b"\t", b"\n", b"\r", b'"', b"\0", b"9",
                                                      b"-", b".", b"\xff", b"e9", b",", b"  "])),
    max_size=8,
)  # fmt: skip


def damaged(text: str, changes: list[tuple[int, bytes]]) -> bytes:
    raw = bytearray(text.encode())
    for place, bad in changes:
        at = place % (len(raw) + 1)
        raw[at : at + 1] = bad
    return bytes(raw)


@pytest.mark.parametrize("which", ["ticks", "trades", "bars", "depth"])
@settings(deadline=None)
@given(changes=MUTATED, cuts=st.lists(st.integers(0, 40), max_size=3))
def test_a_damaged_line_is_rejected_and_blocks_leave_no_trace(
    which: str, changes: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    mapping, text = {
        "ticks": (TICKS, HEAD + "".join(f"2024.01.02\t00:00:0{i}\t1.{i}\t2\t\n" for i in range(9))),
        "trades": (TRADES, "".join(f"170416464512{i},1.{i},2,buy,{i}\n" for i in range(9))),
        "bars": (BARS, "".join(f"2024-01-02 00:0{i},1.{i},2,1,1.5,{i}\n" for i in range(9))),
        "depth": (DEPTH, "".join(f"170416464512{i},10,9,1,2,11,12,3,4\n" for i in range(9))),
    }[which]  # fmt: skip
    raw = damaged(text, changes)
    whole = Read(mapping, raw)
    blank = sum(not line.strip(b" \r\t" if mapping.separator != "\t" else b" \r") for line in
                raw.split(b"\n")[mapping.header_lines : -1])  # fmt: skip
    told = whole.parser.rows + whole.rejects.counts.total() + whole.parser.skipped.total()
    last = raw.split(b"\n")[-1]
    assert told <= whole.parser.lines - min(mapping.header_lines, whole.parser.lines)
    assert told + blank >= raw.count(b"\n") - mapping.header_lines - 1 - (not last)
    assert Read(mapping, raw, *cuts).whole == whole.whole
