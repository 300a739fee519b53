"""Bybit messages of the v5 feed: events, gaps, and what goes wrong."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UsageError
from data.events import EVENTS, GapReason, Kind
from data.ids import opaque_id
from data.sources.bybit import BybitParser
from data.sources.detect import detect
from data.sources.lines import Session
from data.sources.opening import members_of
from data.sources.rejects import REASONS, Rejects
from tests.data.sources.bybit_feed import MS, US, Run, book, deal, rows_of, stamp
from tests.data.sources.imported import Imported

TICKS = {"PlusTick": 2, "ZeroPlusTick": 1, "ZeroMinusTick": -1, "MinusTick": -2}


# --- v5 ------------------------------------------------------------------------------------------


def test_a_v5_trade() -> None:
    run = Run(stamp(deal(), deal(S="Sell", L="ZeroMinusTick", i="2290000000053478163")))
    names = ("ts_ns", "recv_ns", "seq", "id", "price", "qty", "side", "tick")
    recv = MS * 10**6 + 123_000
    price, qty = Decimal("16578.5"), Decimal("0.001")
    uuid = opaque_id("20f43950-d8dd-5b31-9112-a178eb6023af")
    assert run.rows(Kind.TRADE, *names) == [
        (MS * 10**6, recv, 1, uuid, price, qty, 1, 2),
        (MS * 10**6, recv, 2, opaque_id("2290000000053478163"), price, qty, -1, -1),
    ]


@pytest.mark.parametrize("side", ["Buy", "Sell"])
@pytest.mark.parametrize("tick", TICKS)
def test_tick_direction_is_never_put_above_the_side(side: str, tick: str) -> None:
    run = Run(stamp(deal(S=side, L=tick)))
    expected = ({"Buy": 1, "Sell": -1}[side], TICKS[tick])
    assert run.rows(Kind.TRADE, "side", "tick") == [expected]


def test_trades_of_one_message_keep_their_order() -> None:
    message = deal()
    message["data"] = [
        {**message["data"][0], "p": str(100 + i), "i": f"{i:08x}-0000-4000-8000-{0:012x}"}
        for i in range(30)
    ]
    run = Run(stamp(message))
    assert [p for (p,) in run.rows(Kind.TRADE, "price")] == [100 + i for i in range(30)]
    assert {s for (s,) in run.rows(Kind.TRADE, "seq")} == {1}


def test_a_book_of_snapshot_and_deltas() -> None:
    run = Run(stamp(
        book("snapshot", 10, [["100", "1"], ["99.5", "2"]], [["101", "3"]]),
        book("delta", 11, [["100", "0"]], [["100.5", "4"]]),
        book("delta", 12, [["99.5", "2.5"], ["98", "0"]], []),
    ))  # fmt: skip
    D = Decimal  # noqa: N806
    assert run.rows(Kind.DEPTH, "id", "bid_price", "bid_qty", "ask_price", "ask_qty") == [
        (1010, [D(100), D("99.5")], [D(1), D(2)], [D(101)], [D(3)]),
        (1011, [D("99.5")], [D(2)], [D("100.5"), D(101)], [D(4), D(3)]),
        (1012, [D("99.5")], [D("2.5")], [D("100.5"), D(101)], [D(4), D(3)]),
    ]
    assert [t for (t,) in run.rows(Kind.DEPTH, "ts_ns")] == [
        (MS + u * 20) * 10**6 for u in (10, 11, 12)
    ], "the matching engine's time"


def gaps_of(run: Run) -> list[tuple[Any, ...]]:
    return run.rows(Kind.GAP, "reason", "from_id", "to_id")


def test_a_missing_delta_is_a_gap_and_the_book_waits_for_a_snapshot() -> None:
    run = Run(stamp(
        book("snapshot", 10, [["100", "1"]], [["101", "3"]]),
        book("delta", 12, [["99", "1"]], []),
        book("delta", 13, [["98", "1"]], []),
        book("snapshot", 14, [["97", "1"]], [["101", "3"]]),
        book("delta", 15, [["96", "1"]], []),
    ))  # fmt: skip
    assert [i for (i,) in run.rows(Kind.DEPTH, "id")] == [1010, 1014, 1015]
    assert gaps_of(run) == [
        (GapReason.SEQUENCE_BREAK, 1010, 1012),
        (GapReason.NO_SNAPSHOT, 0, 0),
    ]
    counts = run.parser.counts.books["BTCUSDT orderbook.50"]
    assert (counts.sequence_breaks, counts.restarts, counts.snapshots_used) == (1, 0, 2)


def test_a_service_restart_replaces_the_book() -> None:
    run = Run(stamp(
        book("snapshot", 500, [["100", "1"]], [["101", "3"]]),
        book("snapshot", 1, [["90", "1"]], [["91", "3"]], seq=2000, ms=MS + 90_000),
        book("delta", 2, [["89", "1"]], [], seq=2001, ms=MS + 91_000),
    ))  # fmt: skip
    best = [bids[0] for (bids,) in run.rows(Kind.DEPTH, "bid_price")]
    assert best == [100, 90, 90]
    assert gaps_of(run) == [(GapReason.DISCONNECT, 1500, 2000)]
    assert run.parser.counts.books["BTCUSDT orderbook.50"].restarts == 1


def test_a_repeated_snapshot_is_no_restart_and_an_old_one_is_left_out() -> None:
    run = Run(stamp(
        book("snapshot", 10, [["100", "1"]], [["101", "3"]]),
        book("snapshot", 10, [["100", "1"]], [["101", "3"]], ms=MS + 3_000),
        book("snapshot", 11, [["100", "1"]], [["102", "3"]], ms=MS + 3_100),
        book("snapshot", 9, [["1", "1"]], [["2", "3"]], ms=MS + 60),
        book("delta", 10, [["1", "1"]], [], ms=MS + 80),
        book("delta", 12, [["99", "1"]], [], ms=MS + 3_200),
    ))  # fmt: skip
    assert [i for (i,) in run.rows(Kind.DEPTH, "id")] == [1010, 1010, 1011, 1012]
    assert gaps_of(run) == []
    counts = run.parser.counts.books["BTCUSDT orderbook.50"]
    assert (counts.stale, counts.restarts, counts.sequence_breaks) == (2, 0, 0)


def test_a_second_file_goes_on_or_says_that_it_does_not() -> None:
    first = stamp(book("snapshot", 10, [["100", "1"]], [["101", "3"]]))
    going_on = stamp(book("delta", 11, [["99", "1"]], []))
    assert gaps_of(Run(first, going_on)) == []
    hole = Run(first, stamp(book("delta", 15, [["99", "1"]], [])))
    assert gaps_of(hole) == [(GapReason.DISCONNECT, 1010, 1015)]
    assert hole.parser.counts.books["BTCUSDT orderbook.50"].restarts == 1
    anew = Run(first, stamp(book("snapshot", 40, [["99", "1"]], [["101", "3"]])))
    assert gaps_of(anew) == [(GapReason.DISCONNECT, 1010, 1040)]


def test_deltas_without_a_snapshot_are_a_gap_at_the_end() -> None:
    run = Run(stamp(book("delta", 5, [["100", "1"]], []), book("delta", 6, [["99", "1"]], [])))
    assert not run.rows(Kind.DEPTH, "id")
    ((key, chunk),) = run.finished.items()
    assert key == ("bybit", "BTCUSDT", "orderbook.50")
    assert rows_of(chunk, "reason", "from_ns", "to_ns") == [
        (GapReason.NO_SNAPSHOT, (MS + 100) * 10**6, (MS + 120) * 10**6)
    ]


def test_the_cadence_keeps_the_last_state_of_a_slot() -> None:
    updates = [book("delta", 11 + i, [["100", str(i + 1)]], [], ms=MS + 20 * i) for i in range(40)]
    start = book("snapshot", 10, [["100", "9"]], [["101", "3"]], ms=MS - 1)
    run = Run(stamp(start, *updates), cadence_ms=100, levels=1)
    slots = [t // 10**8 for (t,) in run.rows(Kind.DEPTH, "ts_ns")]
    assert slots == sorted(set(slots))
    assert len(slots) == 8
    for ts, (qty,) in run.rows(Kind.DEPTH, "ts_ns", "bid_qty")[1:]:
        assert qty == (ts // 10**6 - MS) // 20 + 1


def test_crossed_and_empty_books_are_not_shown() -> None:
    run = Run(stamp(
        book("snapshot", 1, [], []),
        book("delta", 2, [["100", "1"]], [["99", "1"]]),
        book("delta", 3, [["100", "0"]], []),
    ))  # fmt: skip
    assert [i for (i,) in run.rows(Kind.DEPTH, "id")] == [1003]
    assert run.parser.counts.books["BTCUSDT orderbook.50"].crossed == 1


def test_a_book_of_one_level_is_a_quote_and_repeats_are_kept_as_they_came() -> None:
    run = Run(stamp(
        book("snapshot", 7, [["100", "1"]], [["101", "3"]], depth=1),
        book("snapshot", 7, [["100", "1"]], [["101", "3"]], depth=1, ms=MS + 3_140),
        book("delta", 8, [["100", "0"], ["99", "2"]], [], depth=1, ms=MS + 3_150),
        book("snapshot", 9, [], [["101", "3"]], depth=1, ms=MS + 3_160),
    ))  # fmt: skip
    D = Decimal  # noqa: N806
    assert run.rows(Kind.QUOTE, "id", "bid", "bid_qty", "ask", "ask_qty") == [
        (1007, D(100), D(1), D(101), D(3)),
        (1007, D(100), D(1), D(101), D(3)),
        (1008, D(99), D(2), D(101), D(3)),
    ]
    assert run.skipped["quote of one side"] == 1
    assert not run.rows(Kind.DEPTH, "id")


def test_of_two_depths_the_deeper_is_used(tmp_path: Path) -> None:
    lines = stamp(
        book("snapshot", 10, [["100", "1"]], [["101", "3"]], depth=50),
        book("snapshot", 10, [["100", "1"], ["99", "5"]], [["101", "3"]], depth=200),
        book("delta", 12, [["98", "5"]], [], depth=50),
        book("delta", 11, [["98", "5"]], [], depth=200),
        deal(),
    )
    (tmp_path / "x.txt").write_text("\n".join(lines), encoding="utf-8")
    made = Imported(tmp_path / "log")
    report = made.take("x", tmp_path / "x.txt", cadence_ns=0)
    assert len(made.rows(Kind.DEPTH, "bybit", "BTCUSDT")["id"]) == 2
    assert report.counted("left_out") == {
        "orderbook.50 (there is orderbook.200)": 1,
        "gaps of unused depth diffs": 2,
    }


def test_a_liquidation_is_the_order_that_closed_the_position() -> None:
    messages = [
        {"topic": "allLiquidation.ROSEUSDT", "type": "snapshot", "ts": MS, "data": [
            {"T": MS, "s": "ROSEUSDT", "S": side, "v": "20000", "p": "0.04499"}
        ]} for side in ("Buy", "Sell")
    ]  # fmt: skip
    run = Run(stamp(*messages))
    assert run.rows(Kind.LIQUIDATION, "side", "price", "qty") == [
        (-1, Decimal("0.04499"), 20000),  # a long position ended: it was sold
        (1, Decimal("0.04499"), 20000),
    ]


def test_other_messages_are_counted_by_topic() -> None:
    run = Run(
        [
            "wss://stream.bybit.com/v5/public/linear <-> 1618677785.48",
            US + '{"success":true,"ret_msg":"pong","op":"ping"}',
            US + '{"topic":"tickers.BTCUSDT","type":"snapshot","data":{}}',
            US + '{"topic":"kline.1.BTCUSDT","data":[]}',
            US + '{"topic":"orderbook.rpi.BTCUSDT","data":{}}',
            "",
        ]
    )
    assert run.skipped == {
        "control line": 1, "answer": 1, "topic tickers": 1, "topic kline.1": 1,
        "topic orderbook.rpi": 1,
    }  # fmt: skip
    assert not run.rejects.counts


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (deal(S="buy"), "side"),
        (deal(L="UpTick"), "tick"),
        (deal(p="x"), "number"),
        (deal(p=16578.5), "frame"),
        (deal(p="-5"), "price"),
        (deal(v="0"), "qty"),
        (deal(T=5), "time"),
        (deal(i=""), "frame"),
        (deal(v="0.0000000001"), "precision"),
        (deal(p="9" * 30), "overflow"),
        ({**deal(), "topic": "publicTrade.ETHUSDT"}, "symbol"),
        ({**deal(), "data": None}, "frame"),
        (book("snapshot", 1, [["-1", "1"]], []), "price"),
        (book("snapshot", 1, [["1", "-1"]], []), "qty"),
        (book("other", 1, [], []), "frame"),
    ],
)
def test_what_is_wrong_is_said(message: dict[str, Any], reason: str) -> None:
    run = Run(stamp(message))
    assert run.rejects.counts == {reason: 1}
    run.rejects.flush()
    (kept,) = [json.loads(line) for line in b"".join(run.kept).splitlines()]
    assert kept["raw"] == stamp(message)[0]


def test_one_bad_trade_takes_its_message_along_and_no_other() -> None:
    bad = deal()
    bad["data"] = [bad["data"][0], {**bad["data"][0], "S": "?"}]
    run = Run(stamp(deal(), bad, deal()))
    assert len(run.rows(Kind.TRADE, "id")) == 2
    assert run.rejects.counts == {"side": 1}


# --- the archive of books, and what a file is ----------------------------------------------------


def archive(tmp_path: Path, folder: str = "linear") -> Path:
    """Three messages as the archive ships them, in a zip."""
    messages = [
        book("snapshot", 10, [["100", "1"]], [["101", "3"]], depth=200),
        book("delta", 11, [["99", "1"]], [], depth=200),
        book("delta", 12, [["98", "1"]], [], depth=200),
    ]
    text = "".join(json.dumps(m, separators=(",", ":")) + "\n" for m in messages)
    path = tmp_path / folder / "2025-07-24_BTCUSDT_ob200.data.zip"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("2025-07-24_BTCUSDT_ob200.data", text)
    return path


def test_the_archive_has_no_receive_time_and_no_order_of_arrival(tmp_path: Path) -> None:
    made = Imported(tmp_path / "log")
    report = made.take("x", archive(tmp_path), cadence_ns=0)
    (file,) = report.files
    assert file.found.endswith(
        "Bybit archive of books, bybit BTCUSDT (by its content, by its name)"
    )
    rows = made.rows(Kind.DEPTH, "bybit", "BTCUSDT")
    assert rows["id"].tolist() == [1010, 1011, 1012]
    assert not rows["recv_ns"].any()
    assert not rows["seq"].any()
    before = made.digest()
    made.take("again", archive(tmp_path), cadence_ns=0)
    assert made.digest() == before


def test_books_look_the_same_in_all_markets_so_the_user_is_asked(tmp_path: Path) -> None:
    (member,) = members_of(archive(tmp_path, "somewhere"))
    with pytest.raises(UsageError, match="venue is not known"):
        detect(member, None, None)
    assert detect(member, "bybit-spot", None).venue == "bybit-spot"
    with pytest.raises(UsageError, match="contradicts"):
        detect(member, "binance-um", None)
    with pytest.raises(UsageError, match="contradicts"):
        detect(member, "bybit", "ETHUSDT")
    (member,) = members_of(archive(tmp_path, "spot"))
    assert detect(member, None, None).venue == "bybit-spot"


@pytest.mark.parametrize(
    ("lines", "venue"),
    [
        (stamp(deal()), "bybit"),
        (stamp({**deal(), "data": [{k: v for k, v in deal()["data"][0].items() if k != "L"}]}),
         "bybit-spot"),
        (["wss://stream.bybit.com/v5/public/spot <-> 1618677785.48",
          *stamp(book("snapshot", 1, [], []))], "bybit-spot"),
        (["wss://stream.bybit.com/v5/public/inverse <-> 1618677785.48",
          *stamp(book("snapshot", 1, [], []))], "bybit"),
    ],
)  # fmt: skip
def test_the_venue_by_content(tmp_path: Path, lines: list[str], venue: str) -> None:
    path = tmp_path / "x.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = detect(members_of(path)[0], None, None)
    assert (found.venue, found.symbol, found.layout) == (venue, "BTCUSDT", None)


# --- event or reject -----------------------------------------------------------------------------

SAMPLES = [
    *stamp(
        deal(),
        book("snapshot", 10, [["100", "1"]], [["101", "3"]]),
        book("delta", 11, [["99", "1"]], []),
        book("snapshot", 10, [["100", "1"]], [["101", "3"]], depth=1),
    ),
    '1618677786.799668: {"topic":"trade.BCHUSDT","data":[{"symbol":"BCHUSDT","tick_direction":'
    '"MinusTick","price":"1053.90","size":0.14,"timestamp":"2021-04-17T16:43:05.000Z",'
    '"trade_time_ms":"1618677785116","side":"Buy",'
    '"trade_id":"01cacfe9-8d1c-5ee4-995d-d79a43f955a6"}]}',
    '1618677786.98: {"topic":"orderBookL2_25.EOSUSD","type":"snapshot","data":[{"price":"7.943",'
    '"symbol":"EOSUSD","id":79430,"side":"Buy","size":154219}],"cross_seq":1,'
    '"timestamp_e6":1618677786598877}',
    '1618677786.99: {"topic":"orderBookL2_25.EOSUSD","type":"delta","data":{"delete":[],"update":'
    '[{"price":"7.943","symbol":"EOSUSD","id":79430,"side":"Buy","size":4}],"insert":[],'
    '"transactTimeE6":0},"cross_seq":2,"timestamp_e6":1618677786698877}',
]


@settings(max_examples=300)
@given(
    st.integers(0, len(SAMPLES) - 1),
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 6), st.binary(max_size=6)),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_any_mutation_of_a_line_becomes_an_event_or_a_reject(
    which: int, edits: list[tuple[int, int, bytes]], stamped: bool
) -> None:
    raw = SAMPLES[which].encode()
    for at, length, put in edits:
        raw = raw[: at % len(raw)] + put + raw[at % len(raw) + length :]
    kept: list[bytes] = []
    rejects = Rejects("x", lambda _name, data: kept.append(data))
    session = Session(levels=5, cadence_ns=0)
    parser = BybitParser("bybit", session, rejects, stamped=stamped)
    # good lines around it must come through, whatever it is
    around = deal()
    good = stamp(around) if stamped else [json.dumps(around)]
    text = b"\n".join([good[0].encode(), raw, good[0].encode(), b""])
    chunks = parser.parse(text)
    for (kind, _symbol, _source), chunk in chunks:
        for field in EVENTS[kind].fields:
            column = chunk.columns[field.name]
            values = column[0] if isinstance(column, tuple) else column
            assert values.dtype == (np.int64 if field.is_list else np.dtype(field.dtype))
        if kind in (Kind.TRADE, Kind.LIQUIDATION):
            assert (chunk.array("price") > 0).all()
            assert (chunk.array("qty") > 0).all()
    trades = Counter(s for (kind, s, _), c in chunks if kind == Kind.TRADE for _ in range(len(c)))
    assert trades["BTCUSDT"] >= 2
    assert set(rejects.counts) <= set(REASONS)
