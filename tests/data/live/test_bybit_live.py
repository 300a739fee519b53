"""Bybit's topics through the door; books against the importer of recordings."""

from __future__ import annotations

import json
import random
from typing import Any

from data.enums import GapReason, Kind
from data.events import Scales
from data.live.blocks import Series
from data.live.items import Closed, Opened
from tests.data.live.frames import MS as NS_MS
from tests.data.live.frames import T0, T0_NS, Door
from tests.data.sources.bybit_feed import Run, book, deal, stamp

SERIES = [Series("bybit", "BTCUSDT", Scales(2, 3))]
BOOK = "orderbook.50.BTCUSDT"


def door() -> Door:
    return Door(SERIES).put(0, Opened(1_000, 1, (BOOK, "publicTrade.BTCUSDT")))


def text(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def deals(*ids: str, ms: int = 0, **more: Any) -> dict[str, Any]:
    """One message with a trade an id."""
    first = deal(T=T0 + ms, **more)
    first["data"] = [first["data"][0] | {"i": id} for id in ids]
    return first | {"ts": T0 + ms + 3}


def shown(u: int, ms: int, kind: str = "delta", **more: Any) -> dict[str, Any]:
    bids, asks = more.pop("bids", [["100.00", f"{u}.000"]]), more.pop("asks", [["101.00", "1.000"]])
    return book(kind, u, bids, asks, ms=T0 + ms, **more)


def test_trades_are_told_apart_by_ids_that_tell_no_order() -> None:
    run = door().send(5, text(deals("a", "b")), text(deals("b", "c", S="Sell", ms=1)))
    assert run.rows("price", "qty", "side", "tick") == [
        (1657850, 1, 1, 2), (1657850, 1, 1, 2), (1657850, 1, -1, 2),
    ]  # fmt: skip
    assert run.inlet.facts.duplicates == {Kind.TRADE: 1}
    assert not run.gaps()


def test_one_bad_trade_of_a_message_does_not_take_the_others_along_and_is_a_gap() -> None:
    message = deals("a", "b", "c")
    message["data"][1]["p"] = "-1"
    run = door().send(5, text(deals("x"))).send(6, text(message)).send(9, text(deals("d", ms=8)))
    assert len(run.rows("id")) == 4
    assert run.inlet.facts.rejects == {"price": 1}
    assert run.gaps() == [("TRADE", "UNKNOWN", 0, 0, 0), ("TRADE", "UNKNOWN", 0, 0, 0)]


def test_a_liquidation_is_turned_round_and_a_ticker_is_put_together() -> None:
    one = {"T": T0, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "100.00"}
    ticks = {"symbol": "BTCUSDT", "markPrice": "100.055", "indexPrice": "99.5"}
    run = door().send(
        5,
        text({"topic": "allLiquidation.BTCUSDT", "ts": T0, "data": [one]}),
        text({"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": T0, "data": ticks}),
        text({"topic": "tickers.BTCUSDT", "type": "delta", "ts": T0 + 100, "data": ticks}),
        text({
            "topic": "tickers.BTCUSDT", "type": "delta", "ts": T0 + 1_000,
            "data": {"symbol": "BTCUSDT", "fundingRate": "-0.0001"},
        }),
    )  # fmt: skip
    assert run.rows("price", "qty", "side", kind=Kind.LIQUIDATION) == [(10000, 500, -1)]
    assert run.rows("mark", "index", "funding_fp9", kind=Kind.MARK) == [
        (10006, 9950, 0), (10006, 9950, -100_000),
    ]  # fmt: skip


def test_one_bad_field_of_a_ticker_does_not_silence_those_after_it() -> None:
    def ticker(ms: int, **fields: str) -> bytes:
        data = {"symbol": "BTCUSDT", **fields}
        return text({"topic": "tickers.BTCUSDT", "type": "delta", "ts": T0 + ms, "data": data})

    run = door().send(
        5,
        ticker(0, markPrice="100.05", fundingRate="0.0001"),
        ticker(1_000, markPrice="100.06", nextFundingTime="soon"),
        ticker(2_000, markPrice="100.07"),
        ticker(3_000, indexPrice="100.01"),
    )
    assert run.rows("mark", "index", kind=Kind.MARK) == [(10005, 0), (10007, 0), (10007, 10001)]
    assert run.inlet.facts.rejects.total() == 1
    assert [gap[:2] for gap in run.gaps()] == [("MARK", "UNKNOWN"), ("MARK", "UNKNOWN")]


def test_a_closed_candle_is_a_bar() -> None:
    k = {
        "start": T0, "end": T0 + 59_999, "interval": "1", "open": "5", "close": "6", "high": "7",
        "low": "4", "volume": "2.5", "turnover": "1", "confirm": False, "timestamp": T0,
    }  # fmt: skip
    topic = {"topic": "kline.1.BTCUSDT", "ts": T0 + 60_000, "type": "snapshot"}
    run = Door(SERIES).send(60_000, text(topic | {"data": [k]}))
    assert not run.events
    run.send(60_001, text(topic | {"data": [k | {"confirm": True}]}))
    names = ("open_ns", "interval_ns", "open", "high", "low", "close", "volume")
    assert run.rows(*names, kind=Kind.BAR) == [(T0_NS, 60_000 * NS_MS, 500, 700, 400, 600, 2500)]


def test_a_lost_change_of_the_book_is_a_gap_and_nothing_is_heard_until_a_snapshot() -> None:
    run = door().send(1, text(shown(10, 0, "snapshot")), text(shown(11, 150)))
    run.send(400, text(shown(13, 300)), text(shown(14, 450)))
    assert [g[1] for g in run.gaps()] == ["SEQUENCE_BREAK"]
    run.send(20_000, text(shown(15, 20_000)))
    assert run.inlet.stuck_streams() == (BOOK,)
    assert BOOK in run.inlet.silent_streams()
    run.send(20_200, text(shown(99, 20_100, "snapshot")), text(shown(100, 20_300)))
    assert not run.inlet.silent_streams() and not run.inlet.stuck_streams()
    assert run.gaps()[-1][1] == "SILENCE"


def test_a_book_of_an_impossible_time_is_a_gap_of_possible_times() -> None:
    run = door().send(1, text(shown(10, 0, "snapshot")), text(shown(11, 150)))
    for more in ({"ts": (1 << 63) - 1, "cts": (1 << 63) - 1}, {"cts": (1 << 63) - 1}, {"cts": 5}):
        run.send(200, text(shown(12, 250) | more))
    run.send(300, text(shown(14, 280)), text(shown(15, 400)))
    # three messages, and the book as of the first of them
    assert run.inlet.facts.rejects == {"time": 4}
    times = run.rows("ts_ns", "from_ns", "to_ns", kind=Kind.GAP)
    assert len(times) == 2 and all(T0_NS <= t < T0_NS + 10**9 for row in times for t in row)
    assert {g[1] for g in run.gaps()} == {"UNKNOWN", "SEQUENCE_BREAK"}


def test_a_new_connection_begins_with_a_new_book() -> None:
    run = door().send(1, text(shown(10, 0, "snapshot")), text(shown(11, 150)))
    run.put(200, Closed(run.at(200), 1, (BOOK,), GapReason.DISCONNECT, "reset"))
    run.send(300, text(shown(12, 250)))
    assert run.rows("id", kind=Kind.DEPTH) == [1010]  # a change without a book shows nothing
    run.send(900, text(shown(500, 800, "snapshot")), text(shown(501, 950)))
    assert run.gaps()[-1] == ("DEPTH", "DISCONNECT", 1010, 1500, 0)
    assert run.rows("bid_qty", kind=Kind.DEPTH)[-1] == [500_000]


def test_books_are_those_that_the_importer_makes_of_the_same_messages() -> None:
    rng = random.Random(5)
    messages, u, ms = [], 10, 0
    for i in range(300):
        u, ms = u + 1 + (rng.random() < 0.02), ms + rng.choice([20, 20, 40, 130])
        sides = [
            [[f"{base + sign * rng.randrange(30)}.50", f"{rng.randrange(5)}.000"]
             for _ in range(rng.randrange(1, 5))]
            for base, sign in ((100, -1), (101, 1))
        ]  # fmt: skip
        if i % 60 == 0:
            sides = [
                [[f"{base + sign * k}.50", f"{k + 1}.000"] for k in range(40)]
                for base, sign in ((100, -1), (101, 1))
            ]
        kind = "snapshot" if i % 60 == 0 else "delta"
        messages.append(book(kind, u, *sides, ms=T0 + ms))
    live = door().send(ms, *map(text, messages)).end()
    run = Run(stamp(*messages), cadence_ms=100)
    names = ("ts_ns", "id", "bid_price", "bid_qty", "ask_price", "ask_qty")
    scaled = [
        (ts, id, *([int(v * 100 if k % 2 == 0 else v * 1000) for v in side]
                   for k, side in enumerate(sides)))
        for ts, id, *sides in run.rows(Kind.DEPTH, *names)
    ]  # fmt: skip
    assert len(scaled) > 60
    assert live.rows(*names, kind=Kind.DEPTH) == scaled
