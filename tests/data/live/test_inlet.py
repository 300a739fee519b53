"""Admission, frame by frame: what becomes an event, what is left out, and what is said of holes."""

from __future__ import annotations

from data.enums import GapReason, Kind
from data.events import Scales
from data.live.blocks import Series
from data.live.inlet import BROKER_COLUMNS
from data.live.items import Closed, Frame, Opened, Overrun
from tests.data.live.frames import (
    MS,
    T0_NS,
    Door,
    depth,
    framed,
    kline,
    liquidation,
    mark,
    quote,
    trade,
)


def test_every_kind_comes_through_at_the_scales_of_its_series() -> None:
    door = Door().send(10, trade(7, 3), depth(50, 4), quote(51, 5), mark(6), liquidation(7))
    door.send(70_000, kline(0))
    assert door.rows("ts_ns", "id", "price", "qty", "side") == [(T0_NS + 3 * MS, 7, 279501, 120, 1)]
    (book,) = [e for e in door.events if e["kind"] is Kind.DEPTH]
    assert book["id"] == 50 and len(book["bid_price"]) == len(book["ask_qty"]) == 20
    assert book["bid_price"][:2] == [279501, 279491] and book["ask_qty"][:2] == [2500, 3500]
    assert door.rows("bid", "bid_qty", "ask", "ask_qty", kind=Kind.QUOTE) == [
        (279501, 1000, 279502, 2000)
    ]
    assert door.rows("mark", "index", "funding_fp9", kind=Kind.MARK) == [(279502, 279499, 100000)]
    assert door.rows("price", "qty", "side", kind=Kind.LIQUIDATION) == [(279106, 14, -1)]
    ((ts_ns, open_ns, interval_ns, id),) = door.rows(
        "ts_ns", "open_ns", "interval_ns", "id", kind=Kind.BAR
    )
    assert ts_ns - open_ns == interval_ns == 60_000 * MS and id == 100
    assert door.events[0]["recv_ns"] == T0_NS + 10 * MS
    assert door.inlet.facts.admitted == dict.fromkeys(
        (Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.MARK, Kind.LIQUIDATION, Kind.BAR), 1
    )


def test_what_was_seen_before_is_left_out() -> None:
    door = Door()
    for ms in (10, 20):
        door.send(ms, trade(7, 3), trade(8, 3), depth(50), quote(51), mark(6), liquidation(7))
        door.send(ms + 70_000, kline(0), kline(1, closed=False))
    assert door.inlet.facts.events == 7
    assert door.inlet.facts.duplicates.total() == 7
    assert not door.gaps()


def test_a_swap_within_the_hold_is_put_right_with_everything_else_in_its_place() -> None:
    door = Door().send(10, trade(1), trade(3), depth(9), trade(4), quote(9), trade(2), depth(10))
    order = [(e["kind"].name, e["id"]) for e in door.events]
    assert order == [
        ("TRADE", 1), ("TRADE", 2), ("DEPTH", 9), ("TRADE", 3), ("QUOTE", 9), ("TRADE", 4),
        ("DEPTH", 10),
    ]  # fmt: skip
    assert not door.gaps()
    assert door.inlet.facts.restored == 1


def test_another_symbol_does_not_wait() -> None:
    door = Door().send(10, trade(1), trade(3), trade(5, s="ETHUSDT"))
    assert door.rows("id") == [1]
    assert door.rows("id", series=1) == [5]
    door.send(100, trade(2))
    assert door.rows("id") == [1, 2, 3]


def test_a_hole_is_said_before_the_trade_that_shows_it_once_the_hold_is_over() -> None:
    door = Door(hold_ns=500 * MS).send(10, trade(1, 1), trade(4, 4), depth(9)).send(400, trade(5))
    assert door.rows("id") == [1]
    door.put(511)
    assert [(e["kind"].name, e["id"]) for e in door.events] == [
        ("TRADE", 1), ("GAP", 0), ("TRADE", 4), ("DEPTH", 9), ("TRADE", 5),
    ]  # fmt: skip
    assert door.gaps() == [("TRADE", "ID_HOLE", 1, 4, 0)]
    assert door.rows("ts_ns", "from_ns", "to_ns", kind=Kind.GAP) == [
        (T0_NS + 4 * MS, T0_NS + 1 * MS, T0_NS + 4 * MS)
    ]
    door.send(600, trade(3))
    assert door.inlet.facts.late == {Kind.TRADE: 1}


def test_a_lost_connection_is_a_gap_at_once_and_again_when_the_stream_speaks() -> None:
    streams = ("btcusdt@aggTrade", "btcusdt@depth20@100ms")
    door = Door().put(0, Opened(1_000, 1, streams)).send(10, trade(1, 1), depth(9, 2))
    door.put(100, Closed(door.at(100), 1, streams, GapReason.DISCONNECT, "reset"))
    assert door.gaps() == [("TRADE", "DISCONNECT", 1, 0, 0), ("DEPTH", "DISCONNECT", 9, 0, 0)]
    door.put(900, Opened(door.at(900), 2, streams)).send(910, trade(2, 905), depth(20, 906))
    assert door.gaps()[2:] == [("TRADE", "DISCONNECT", 1, 2, 1), ("DEPTH", "DISCONNECT", 9, 20, 0)]
    door.put(1000, Overrun(door.at(1000), 5, streams[:1])).send(1001, trade(4, 1000)).end()
    assert door.gaps()[4:] == [("TRADE", "OVERRUN", 2, 0, 0), ("TRADE", "OVERRUN", 2, 4, 0)]


def test_a_frame_that_cannot_be_read_is_counted_by_reason() -> None:
    bad = {
        "json": b'{"stream":"btcusdt@aggTrade","data":{',
        "frame": b'{"stream":"btcusdt@aggTrade","data":{"e":1}}',
        "price": trade(1, p="0"),
        "qty": trade(1, q="-1"),
        "number": trade(1, p="NaN"),
        "precision": trade(1, p="1.05"),
        "overflow": trade(1, p="1e308"),
        "time": trade(1, T=9_000_000_000_000),
        "symbol": trade(1, s="BTCUSDT").replace(b'"BTCUSDT"', b'"ETHUSDT"'),
        "tombstone": trade(1, f=-1),
        "levels": depth(50, b=[["1.0", "1.0"], ["2.0", "1.0"]]),
    }
    for reason, frame in bad.items():
        door = Door().send(1, frame)
        assert dict(door.inlet.facts.rejects) == {reason: 1}, frame
        assert not door.groups


def test_answers_and_streams_of_others_are_skipped() -> None:
    door = Door().send(1, b'{"result":null,"id":1}', b'{"stream":"xyz@aggTrade","data":{}}')
    assert door.inlet.facts.skipped == {"answer": 1, "stream": 1}
    assert not door.inlet.facts.rejects


def test_a_tombstone_uses_up_its_id() -> None:
    door = Door().send(1, trade(1), trade(2, f=-1), trade(3))
    assert door.rows("id") == [1, 3]
    assert not door.gaps()


def test_seq_counts_everything_from_where_it_should() -> None:
    door = Door(next_seq=41).send(1, trade(1))
    door.inlet.clock_event(T0_NS + 5 * MS)
    door.inlet.control_event(3, 0, [0])
    door.send(2, trade(2))
    assert [(e["kind"].name, e["series"], e["seq"]) for e in door.events] == [
        ("TRADE", 0, 41), ("CLOCK", 0, 42), ("CLOCK", 1, 43), ("CONTROL", 0, 44), ("TRADE", 0, 45),
    ]  # fmt: skip
    assert door.inlet.next_seq == 46


def test_a_frame_is_not_an_item_of_another_kind() -> None:
    door = Door().put(1, Frame(door_at := 1_000, 1, trade(1)))
    assert door_at == 1_000 and door.rows("id") == [1]


def test_spot_books_and_quotes_carry_no_time_and_are_dated_by_receipt() -> None:
    spot = Series("binance-spot", "BTCUSDT", Scales(1, 3))
    quoted = {"u": 8, "s": "BTCUSDT", "b": "27950.1", "B": "1.0", "a": "27950.2", "A": "2.0"}
    sides = {"bids": [["27950.10000000", "1.50000000"]], "asks": [["27951.00000000", "2.00000000"]]}
    door = Door([spot]).send(
        7,
        framed("btcusdt@depth20@100ms", {"lastUpdateId": 5} | sides),
        framed("btcusdt@depth20@100ms", {"lastUpdateId": 5} | sides),
        framed("btcusdt@bookTicker", quoted),
    )
    stamp = T0_NS + 7 * MS
    assert door.rows("ts_ns", "id", "bid_price", "bid_qty", kind=Kind.DEPTH) == [
        (stamp, 5, [279501], [1500])
    ]
    assert door.rows("ts_ns", "recv_ns", "id", "bid", kind=Kind.QUOTE) == [
        (stamp, stamp, 8, 279501)
    ]
    assert door.inlet.facts.duplicates == {Kind.DEPTH: 1}


def test_old_ids_of_a_stream_without_times_are_believed_in_the_end() -> None:
    spot = Series("binance-spot", "BTCUSDT", Scales(1, 3))
    sides = {"bids": [["27950.1", "1.5"]], "asks": [["27951.0", "2.0"]]}
    door = Door([spot])
    for i, u in enumerate([900, *range(1, 30)]):
        door.send(i, framed("btcusdt@depth20@100ms", {"lastUpdateId": u} | sides))
    ids = door.rows("id", kind=Kind.DEPTH)
    assert ids[0] == 900 and ids[1:] == list(range(ids[1], 30)) and ids[1] < 20
    assert [g[1] for g in door.gaps()] == ["SEQUENCE_BREAK"]


def test_books_keep_their_levels_however_many_are_read_whichever_way() -> None:
    door, sent = Door(), []
    for i in range(700):
        bids = [[f"{20_000 + i}.5", "1.5"]]
        frame = depth(50 + i, i, 1, b=bids)
        sent.append(20_000 * 10 + i * 10 + 5)
        # blanks are not the usual form: every third frame is read the slow way
        door.put(i, Frame(door.at(i), 1, frame.replace(b",", b", ") if i % 3 else frame))
    assert door.rows("bid_price", kind=Kind.DEPTH) == [[price] for price in sent]


def test_what_a_broker_tells_is_an_event_at_once() -> None:
    door = Door()
    row = (T0_NS + 5, 77, 2, 3, 9, 0, 1, 27950, 0, 4, -50, 20, 0, 0, 0)
    door.inlet.broker_event(0, row)
    door.inlet.broker_event(0, (0, *row[1:]))
    group = door.inlet.collect()
    assert group is not None
    rows = group.parts[Kind.BROKER].rows
    assert [int(rows[name][0]) for name in BROKER_COLUMNS] == list(row)
    assert rows["ts_ns"][1] == door.inlet.clock.now(), "its time is that of the venue by now"
