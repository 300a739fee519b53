"""Raw websocket recordings: every sample message, and "event or reject" for any line."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import EVENTS, Kind
from data.sources.chunks import Chunk, concat
from data.sources.recording import Key, RecordingParser, Session, local_time_ns
from data.sources.rejects import REASONS, RejectedError, Rejects
from tests.shared import shared_data

US = 1_791_382_994_700_123
UM, SPOT = "binance-um", "binance-spot"


class Run:
    """One recording, parsed."""

    def __init__(
        self,
        lines: list[str] | list[bytes],
        venue: str = UM,
        symbol: str | None = None,
        cadence_ms: int = 0,
        levels: int = 20,
    ) -> None:
        self.session = Session(levels=levels, cadence_ns=cadence_ms * 1_000_000)
        self.files: list[bytes] = []
        self.rejects = Rejects("x", lambda _name, data: self.files.append(data))
        self.parser = RecordingParser(venue, symbol, self.session, self.rejects)
        text = b"\n".join(x.encode() if isinstance(x, str) else x for x in lines)
        self.chunks: dict[Key, list[Chunk]] = {}
        for key, chunk in self.parser.parse(text):
            self.chunks.setdefault(key, []).append(chunk)
        self.skipped = self.parser.counts.skipped

    def rows(self, kind: Kind, *names: str) -> list[tuple[Any, ...]]:
        """Values row by row; prices and quantities as decimals."""
        chunks = [c for key, parts in self.chunks.items() if key[0] == kind for c in parts]
        if not chunks:
            return []
        whole = concat(chunks)
        columns = []
        for name in names:
            unit = EVENTS[kind].field(name).unit.removesuffix("[]")
            scale = {"price": whole.scales.price, "qty": whole.scales.qty}.get(unit)
            column = whole.columns[name]
            if isinstance(column, tuple):
                cuts = zip(column[1][:-1], column[1][1:], strict=True)
                assert scale is not None
                columns.append(
                    [[Decimal(int(v)).scaleb(-scale) for v in column[0][a:b]] for a, b in cuts]
                )
            elif scale is None:
                columns.append(column.tolist())
            else:
                columns.append([Decimal(int(v)).scaleb(-scale) for v in column])
        return list(zip(*columns, strict=True))


def sample(name: str) -> Any:
    return json.loads(shared_data(f"binance-samples/{name}.json").read_text(encoding="utf-8"))


def line(payload: Any, local: Any = US) -> str:
    return f"{local} {json.dumps(payload, separators=(',', ':'))}"


def D(*texts: str) -> list[Decimal]:  # noqa: N802
    return [Decimal(t) for t in texts]


# --- the samples -------------------------------------------------------------------------------


def test_um_agg_trade() -> None:
    run = Run([line(sample("usdm_aggTrade_combined_real")["payload"])])
    assert run.rows(Kind.TRADE, "ts_ns", "recv_ns", "seq", "id", "price", "qty", "side") == [
        (1791382992338 * 10**6, US * 1000, 1, 3477868433, *D("83091.7", "0.022"), 1)
    ]


def test_um_book_ticker() -> None:
    run = Run([line(sample("usdm_bookTicker_combined_real")["payload"])])
    assert run.rows(Kind.QUOTE, "ts_ns", "id", "bid", "bid_qty", "ask", "ask_qty") == [
        (1791382994657 * 10**6, 11757092630476, *D("83091.6", "4.215", "83091.7", "3.763"))
    ]


def test_um_partial_depth_is_told_from_a_diff_by_its_stream() -> None:
    payload = sample("usdm_depth20_100ms_combined_real_trimmed3")["payload"]
    run = Run([line(payload)])
    assert run.rows(Kind.DEPTH, "ts_ns", "id", "bid_price", "bid_qty", "ask_price", "ask_qty") == [
        (
            1791382994613 * 10**6,
            11757092625654,
            D("83091.6", "83091.5", "83091.4"),
            D("4.215", "0.2", "0.002"),
            D("83091.7", "83091.8", "83092"),
            D("3.768", "0.002", "0.002"),
        )
    ]
    assert Run([line(payload)], levels=2).rows(Kind.DEPTH, "ask_qty") == [(D("3.768", "0.002"),)]
    raw = Run([line(payload["data"])])
    assert not raw.rows(Kind.DEPTH, "id")
    assert raw.parser.counts.books["BTCUSDT"].diffs == 1


def test_um_kline_only_when_it_is_closed() -> None:
    payload = sample("usdm_kline_1m_combined_real")["payload"]
    run = Run([line(payload)])
    assert not run.chunks
    assert run.skipped == {"open kline": 1}
    payload["data"]["k"]["x"] = True
    run = Run([line(payload)])
    assert run.rows(Kind.BAR, "open_ns", "ts_ns", "interval_ns", "id", "trades") == [
        (1791382980000 * 10**6, 1791383040000 * 10**6, 60 * 10**9, 8153633367, 1027)
    ]
    assert run.rows(Kind.BAR, "open", "high", "low", "close", "volume", "buy_volume") == [
        tuple(D("83084.9", "83091.7", "83051.2", "83091.6", "13.551", "6.426"))
    ]


def test_um_mark_price() -> None:
    run = Run([line(sample("usdm_markPrice_1s_combined_real")["payload"])])
    names = ("ts_ns", "mark", "index", "funding_fp9", "next_funding_ns")
    assert run.rows(Kind.MARK, *names) == [
        (1791382993 * 10**9, *D("83084.3", "83123.65891304"), 780, 1791388800 * 10**9)
    ]


def test_um_liquidation() -> None:
    run = Run([line(sample("usdm_doc_liquidation_order_streams")["payload"])])
    assert run.rows(Kind.LIQUIDATION, "ts_ns", "price", "qty", "side") == [
        (1568014460893 * 10**6, *D("9910", "0.014"), -1)
    ]
    frame = {
        "stream": "!forceOrder@arr",
        "data": sample("usdm_doc_liquidation_order_streams")["payload"],
    }
    assert len(Run([line(frame)]).rows(Kind.LIQUIDATION, "qty")) == 1
    frame["data"]["st"] = 2
    assert Run([line(frame)]).rejects.counts == {"coin_m": 1}


def test_insurance_fund_is_no_market_trade() -> None:
    (text,) = sample("usdm_trade_INSURANCE_FUND_real")["lines"]
    run = Run([text.rstrip("\n")])
    assert not run.chunks
    assert run.rejects.counts == {"not_market": 1}
    run.rejects.flush()
    record = json.loads(run.files[0])
    assert (record["line"], record["reason"]) == (1, "not_market")
    assert record["raw"] == text.rstrip("\n")


@pytest.mark.parametrize(
    ("name", "venue"),
    [
        ("usdm_doc_aggregate_trade_streams", UM),
        ("usdm_doc_diff_book_depth_streams", UM),
        ("spot_doc_diff_depth", SPOT),
        ("usdm_doc_individual_symbol_book_ticker_streams", UM),
        ("usdm_doc_kline_candlestick_streams", UM),
        ("usdm_doc_mark_price_stream", UM),
        ("usdm_doc_partial_book_depth_streams", UM),
        ("usdm_doc_rpi_diff_book_depth_streams", UM),
        ("spot_doc_blockTrade", SPOT),
        ("spot_doc_partial_depth", SPOT),
        ("usdm_rest_depth5_real", UM),
        ("usdm_rest_aggTrades_real", UM),
        ("usdm_rest_klines_1m_real", UM),
        ("usdm_rest_errors_measured", UM),
    ],
)
def test_every_sample_is_accounted_for(name: str, venue: str) -> None:
    run = Run([line(sample(name)["payload"])], venue, "BNBUSDT")
    assert accounted(run) == 1
    expected = {
        "usdm_doc_aggregate_trade_streams": {"time": 1},  # its times are of 1970
        "usdm_doc_diff_book_depth_streams": {"time": 1},
        "usdm_doc_rpi_diff_book_depth_streams": {"time": 1},
        "usdm_doc_partial_book_depth_streams": {"frame": 1},  # levels without a quantity
        "usdm_rest_aggTrades_real": {"frame": 1},
        "usdm_rest_klines_1m_real": {"frame": 1},
    }
    assert dict(run.rejects.counts) == expected.get(name, {})


def test_rpi_and_block_trade_streams_are_skipped_and_counted() -> None:
    rpi = {
        "stream": "btcusdt@rpiDepth@500ms",
        "data": sample("usdm_doc_rpi_diff_book_depth_streams")["payload"],
    }
    block = {"stream": "bnbbtc@blockTrade", "data": sample("spot_doc_blockTrade")["payload"]}
    run = Run([line(rpi), line(block), '1791382994700123 {"result":null,"id":1}'])
    assert run.skipped == {"stream rpiDepth@500ms": 1, "stream blockTrade": 1, "answer": 1}


def test_348_trades_of_one_millisecond_are_348_trades() -> None:
    path = "binance-samples/recorded/usdm_btcusdt_20240808_trades_in_one_ms_T1723161502324.jsonl"
    run = Run([x for x in shared_data(path).read_bytes().split(b"\n") if x])
    rows = run.rows(Kind.TRADE, "id", "ts_ns", "side")
    assert [r[0] for r in rows] == list(range(5266595813, 5266596161))
    assert {r[1:] for r in rows} == {(1723161502324 * 10**6, -1)}


@pytest.mark.parametrize(
    ("path", "venue", "diffs", "applied", "trades", "quotes"),
    [
        ("usdm_btcusdt_20240808_with_rest_snapshot.jsonl", UM, 46, 42, 102, 355),
        ("spot_btcusdt_20240808_with_rest_snapshot.jsonl", SPOT, 9, 7, 47, 190),
    ],
)
def test_slices_with_a_snapshot_sync(
    path: str, venue: str, diffs: int, applied: int, trades: int, quotes: int
) -> None:
    text = shared_data(f"binance-samples/recorded/{path}").read_bytes()
    run = Run([x for x in text.split(b"\n") if x], venue, "BTCUSDT")
    counts = run.parser.counts.books["BTCUSDT"]
    assert (counts.diffs, counts.applied, counts.sequence_breaks) == (diffs, applied, 0)
    assert len(run.rows(Kind.DEPTH, "id")) == applied
    assert len(run.rows(Kind.TRADE, "id")) == trades
    assert len(run.rows(Kind.QUOTE, "id")) == quotes


# --- lines -------------------------------------------------------------------------------------


def test_local_times() -> None:
    want = 1_626_992_741_062_170_000
    assert local_time_ns(b"1626992741062170000") == want
    assert local_time_ns(b"1626992741062170") == want
    assert local_time_ns(b"1626992741.06217:") == want
    assert local_time_ns(b"1626992741.0621701:") == want + 100
    for bad in (
        b"x",
        b"",
        b"162699274106",
        b"1626992741.06217",
        b"1.2.3:",
        b"-1.5:",
        b"1626992741.:x",
    ):
        with pytest.raises(RejectedError):
            local_time_ns(bad)
    with pytest.raises(RejectedError, match="2009"):
        local_time_ns(b"0000000000000001")


def test_control_lines_and_blank_lines() -> None:
    run = Run(["wss://x?streams=a@b <-> 1626992740.179554", "", "hello world", "hello"])
    assert run.skipped == {"control line": 1}
    assert run.rejects.counts == {"line": 2}


TRADE = {"e": "trade", "E": 1720055357511, "T": 1720055357510, "s": "BTCUSDT", "t": 7}
TRADE |= {"p": "100.50", "q": "2.000", "X": "MARKET", "m": True}


def combined(stream: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"stream": stream, "data": data}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"X": "NA", "p": "0", "q": "0"}, "not_market"),
        ({"X": "ADL"}, "not_market"),
        ({"p": "0.00"}, "price"),
        ({"p": "-1"}, "price"),
        ({"q": "0"}, "qty"),
        ({"p": "x"}, "number"),
        ({"p": ""}, "number"),
        ({"p": "1.123456789"}, "precision"),
        ({"p": 100.5}, "frame"),
        ({"T": 0}, "time"),
        ({"T": 123456789}, "time"),
        ({"T": 2**63}, "frame"),
        ({"t": -5}, "frame"),
        ({"t": 2**64}, "frame"),
        ({"s": "ETHUSDT"}, "symbol"),
        ({"m": None}, "frame"),
        ({"q": "99999999999999"}, ""),
        ({"q": "99999999999.99999999"}, "overflow"),
    ],
)
def test_a_trade_is_rejected_for_its_reason(change: dict[str, Any], reason: str) -> None:
    good = line(combined("btcusdt@trade", TRADE), 1720055357600000)
    bad = line(combined("btcusdt@trade", TRADE | change), 1720055357600001)
    run = Run([good, bad, good])
    assert dict(run.rejects.counts) == ({reason: 1} if reason else {})
    assert len(run.rows(Kind.TRADE, "id")) == 3 - bool(reason)


def test_frames_without_a_stream_name_and_with_other_spacing() -> None:
    spaced = json.dumps(combined("btcusdt@trade", TRADE))
    run = Run([line(TRADE), f"{US} {spaced}", f"{US} {spaced}\r"])
    assert len(run.rows(Kind.TRADE, "id")) == 3
    ticker = {"u": 5, "s": "BTCUSDT", "b": "1.5", "B": "2", "a": "1.6", "A": "3"}
    quotes = Run([line(ticker), line(combined("!bookTicker", ticker))], SPOT)
    assert quotes.rows(Kind.QUOTE, "ts_ns", "bid") == [(US * 1000, *D("1.5"))] * 2


def test_both_kinds_of_trades_are_kept_apart() -> None:
    agg = {k: v for k, v in TRADE.items() if k not in ("t", "X")} | {"a": 3, "f": 7, "l": 7}
    run = Run([line(combined("btcusdt@trade", TRADE)), line(combined("btcusdt@aggTrade", agg))])
    assert {key[2] for key in run.chunks} == {"trade", "aggTrade"}
    agg |= {"p": "0", "q": "0", "f": -1, "l": -1}
    assert Run([line(combined("btcusdt@aggTrade", agg))]).rejects.counts == {"tombstone": 1}


def depth_frame(first: int, last: int, at_ms: int, **sides: Any) -> str:
    data = {"e": "depthUpdate", "E": 1720055357510 + at_ms, "s": "BTCUSDT", "U": first, "u": last}
    return line(combined("btcusdt@depth@100ms", data | {"b": [], "a": []} | sides))


REST = {"lastUpdateId": 100, "bids": [["10.5", "1"]], "asks": [["10.6", "2"]]}


def test_a_bad_level_rejects_the_diff_and_shows_as_a_break() -> None:
    run = Run(
        [
            line(REST),
            depth_frame(101, 101, 0),
            depth_frame(102, 102, 1, b=[["1.5", "oops"]]),
            depth_frame(103, 103, 2),
        ],
        SPOT,
        "BTCUSDT",
    )
    assert run.rejects.counts == {"number": 1}
    assert run.parser.counts.books["BTCUSDT"].sequence_breaks == 1
    assert run.rows(Kind.DEPTH, "id") == [(101,)]
    assert run.rows(Kind.GAP, "stream", "from_id", "to_id", "seq") == [
        (int(Kind.DEPTH), 101, 103, 4)
    ]
    for level in (["0", "1"], ["-1", "1"], ["1", "-1"], ["1"], ["1", "1", "1"], [1, 2], "1"):
        one = Run([depth_frame(1, 1, 0, b=[level])], SPOT, "BTCUSDT")
        assert one.rejects.counts.total() == 1, level


def test_a_snapshot_among_several_symbols_cannot_be_placed() -> None:
    other = depth_frame(101, 101, 0).replace("btcusdt", "ethusdt").replace("BTC", "ETH")
    run = Run([depth_frame(101, 101, 0), other, line(REST)], SPOT, "BTCUSDT")
    assert run.rejects.counts == {"snapshot_symbol": 1}


def test_spot_partial_books_have_no_time_and_are_checked() -> None:
    good = line(combined("btcusdt@depth5", REST))
    crossed = line(combined("btcusdt@depth5", REST | {"asks": [["10.5", "2"]]}))
    unsorted = line(combined("btcusdt@depth5", REST | {"bids": [["1", "2"], ["2", "2"]]}))
    run = Run([good, crossed, unsorted], SPOT)
    assert run.rows(Kind.DEPTH, "ts_ns", "id", "bid_price") == [(US * 1000, 100, D("10.5"))]
    assert run.rejects.counts == {"levels": 2}


def test_a_long_cadence_thins_partial_books_out_and_counts_it() -> None:
    frames = [line(combined("btcusdt@depth5", REST), US + i * 100_000) for i in range(20)]
    assert len(Run(frames, SPOT, cadence_ms=100).rows(Kind.DEPTH, "id")) == 20
    run = Run(frames, SPOT, cadence_ms=1000)
    assert len(run.rows(Kind.DEPTH, "id")) == 3
    assert run.skipped == {"partial book within a slot": 17}


def test_quantities_beyond_the_working_scale_keep_their_value() -> None:
    rest = REST | {"bids": [["0.00000123", "5000000000000.00"]]}
    run = Run([line(rest), depth_frame(101, 101, 0)], SPOT, "BTCUSDT")
    assert run.rows(Kind.DEPTH, "bid_price", "bid_qty") == [(D("0.00000123"), D("5000000000000"))]


# --- the property ------------------------------------------------------------------------------


def accounted(run: Run) -> int:
    """Lines that became rows, fed a book, were skipped or rejected."""
    direct = sum(len(c) for key, chunks in run.chunks.items() if key[2] != "book" for c in chunks)
    books = run.parser.counts.books.values()
    fed = sum(b.diffs + b.snapshots for b in books)
    return direct + fed + run.skipped.total() + run.rejects.counts.total()


MARK = {"e": "markPriceUpdate", "E": 1720055357511, "s": "BTCUSDT", "p": "1", "i": "1", "r": "0.1"}
KLINE = {"t": 1720055340000, "T": 1720055399999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 2}
KLINE |= {"o": "1", "c": "1", "h": "1", "l": "1", "v": "1", "V": "1", "n": 1, "x": True}
FORCE = {"s": "BTCUSDT", "S": "SELL", "ap": "1", "z": "1", "T": 1720055357511}
UM_DIFF = {"e": "depthUpdate", "E": 1720055357511, "T": 1720055357511, "s": "BTCUSDT"}
UM_DIFF |= {"U": 95, "u": 105, "pu": 94, "b": [["1", "1"]], "a": [["2", "0"]]}
TICKER = {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1", "T": 1720055357511}
BASES = [
    line(combined("btcusdt@trade", TRADE)),
    line(combined("btcusdt@aggTrade", {**TRADE, "a": 3, "f": 1})),
    line(combined("btcusdt@depth@0ms", UM_DIFF)),
    line(combined("btcusdt@depth5@100ms", UM_DIFF | {"a": [["2", "1"]]})),
    line(combined("btcusdt@kline_1m", {"e": "kline", "s": "BTCUSDT", "k": KLINE})),
    line(combined("btcusdt@markPrice@1s", MARK)),
    line(combined("btcusdt@bookTicker", TICKER)),
    line(combined("!forceOrder@arr", {"e": "forceOrder", "o": FORCE})),
    line({"e": "forceOrder", "o": FORCE}),
    line(TRADE),
    line(REST | {"E": 1720055357511, "T": 1720055357511}),
    "1720055357.5: " + json.dumps(combined("btcusdt@trade", TRADE)),
    "wss://x <-> 1.5",
]
PIECES = ['"', "{", "}", "[", "]", ",", "-", "0", "9" * 20, "null", '""', "e", ".", " ", "\x00"]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(BASES)).encode()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        stop = at + draw(st.integers(0, 6))
        piece = draw(st.one_of(st.sampled_from(PIECES).map(str.encode), st.binary(max_size=3)))
        text = text[:at] + piece.replace(b"\n", b"") + text[stop:]
    return text


@settings(deadline=None, max_examples=400)
@given(st.lists(mutated(), min_size=1, max_size=12), st.sampled_from([UM, SPOT]), st.booleans())
def test_every_line_is_an_event_or_a_reject(lines: list[bytes], venue: str, named: bool) -> None:
    run = Run(lines, venue, "BTCUSDT" if named else None)
    blank = sum(not x.strip() for x in lines)
    assert accounted(run) == len(lines) - blank
    assert set(run.rejects.counts) <= set(REASONS)
    run.session.finish()


def test_the_bases_are_all_good() -> None:
    run = Run(BASES, UM, "BTCUSDT")
    assert not run.rejects.counts
    assert accounted(run) == len(BASES)
