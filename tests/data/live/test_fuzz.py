"""Malformed and absurd frames: an event or a counted rejection, never an exception, flat memory.

Ten thousand a venue by default, a million in the campaign (OFS_CAMPAIGN=1). And: the compiled
reader of books gives what the slow way gives, or leaves the frame to it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.enums import Kind
from data.events import PRICE_QTY_PRODUCT_MAX, Scales
from data.live.blocks import Series
from data.live.book_text import read_book
from data.live.decode import UNREADABLE, Blocks, Numbers, book
from data.sources.binance_frames import DepthUpdate
from data.sources.rejects import REASONS
from tests.data.live.frames import (
    BTC,
    ETH,
    T0,
    Door,
    depth,
    framed,
    kline,
    liquidation,
    mark,
    quote,
    trade,
)
from tests.data.live.test_bybit_live import deals, shown, text

CAMPAIGN = os.environ.get("OFS_CAMPAIGN") == "1"
FRAMES = 1_000_000 if CAMPAIGN else 10_000
ABSURD: list[Any] = [
    None, True, -1, 0, 1 << 62, 1 << 63, 1 << 64, 10**30, 1e308, 0.5, "", "0", "-1", "NaN", "inf",
    "1e308", "1e-308", "1e999999", "123456789012345678901234567890", "1.123456789", "0.1\x00",
    "\ud800", "1" * 500, [], {}, [["1", "2"]], [["1"]], [["1", "2", "3"]], [[1, 2]], [["2", "0"]],
    "0x10", "١٢", "1_000", " 5 ", "+5", "1.", ".5",
]  # fmt: skip


def corpus(i: int) -> list[bytes]:
    """Good frames of every kind; ids go on with ``i``."""
    return [
        trade(i + 1, i), trade(i + 1, i, s="ETHUSDT", p="27950.12"), depth(i + 50, i),
        quote(i + 50, i), kline(i % 1000), mark(i), liquidation(i),
    ]  # fmt: skip


def corpus_bybit(i: int) -> list[bytes]:
    one = {"T": T0, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "100.00"}
    ticks = {"symbol": "BTCUSDT", "markPrice": "100.055", "indexPrice": "99.5"}
    return [
        text(deals(str(i), ms=i)), text(shown(i + 2, i, "delta" if i % 9 else "snapshot")),
        text({"topic": "allLiquidation.BTCUSDT", "ts": T0 + i, "data": [one]}),
        text({"topic": "tickers.BTCUSDT", "type": "delta", "ts": T0 + i, "data": ticks}),
    ]  # fmt: skip


def corpus_spot(i: int) -> list[bytes]:
    """Frames without times; the book names no symbol either."""
    sides = json.loads(depth(9, 0))["data"]
    data = {"lastUpdateId": i, "bids": sides["b"], "asks": sides["a"]}
    return [
        trade(i, i, M=True, p="27950.10000000", q="0.12000000"),
        framed("btcusdt@depth20@100ms", data),
        framed("btcusdt@bookTicker", {
            "u": i, "s": "BTCUSDT", "b": "27950.10", "B": "1.0", "a": "27950.20", "A": "2.0",
        }),
    ]  # fmt: skip


MARKETS: dict[str, tuple[Any, list[Series]]] = {
    "binance-um": (corpus, [BTC, ETH]),
    "binance-spot": (corpus_spot, [Series("binance-spot", "BTCUSDT", Scales(1, 3))]),
    "bybit": (corpus_bybit, [Series("bybit", "BTCUSDT", Scales(2, 3))]),
}


def mutated(frame: bytes, rng: random.Random) -> bytes:
    """A frame with a few bytes changed, cut, doubled, or with an absurd value in it."""
    way = rng.randrange(6)
    if way == 0:
        return frame[: rng.randrange(len(frame) + 1)]
    if way == 1:
        data = bytearray(frame)
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    if way == 2:
        a, b = sorted(rng.randrange(len(frame)) for _ in range(2))
        return frame[:b] + frame[a:]
    if way == 3:
        return rng.choice(
            [b"", b"null", b"[]", b"{}", b"{" * 3_000, b"[" * 3_000, rng.randbytes(50)]
        )
    message = json.loads(frame)
    inner = message["data"]
    while isinstance(inner, (dict, list)) and inner:
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        key = rng.choice(list(keys))
        if not isinstance(inner[key], (dict, list)) or rng.random() < 0.3:
            inner[key] = rng.choice(ABSURD)
            break
        inner = inner[key]
    return json.dumps(message, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")


@pytest.mark.campaign
@pytest.mark.parametrize("venue", MARKETS)
def test_whatever_comes_is_an_event_or_a_counted_rejection(venue: str) -> None:
    make, series = MARKETS[venue]
    door, rng = Door(series), random.Random(7)
    facts, done = door.inlet.facts, 0
    tracemalloc.start()
    sizes = []
    for i in range(FRAMES // 40):
        frames = [
            frame if rng.random() < 0.5 else mutated(frame, rng)
            for frame in rng.choices(make(i), k=40)
        ]
        door.send(i, *frames)
        done += len(frames)
        for group in door.groups:
            check_group(group.parts)
        door.groups.clear()
        if i % (FRAMES // 400) == 0:
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    door.end()
    assert facts.frames == done
    assert set(facts.rejects) <= set(REASONS)
    refused = facts.rejects.total()
    assert facts.rejects["json"] > FRAMES / 100 and facts.rejects["frame"] > FRAMES / 200
    # a late liquidation is an event, too
    left_out = facts.duplicates.total() + facts.late.total() - facts.late[Kind.LIQUIDATION]
    told = refused + left_out + facts.skipped.total() + facts.events - facts.admitted[Kind.GAP]
    assert told == done if venue != "bybit" else told >= done
    # the memos of texts and of content fill up first; they are bounded on their own
    assert max(sizes) < 60_000_000


def check_group(parts: Any) -> None:
    for kind, part in parts.items():
        rows = part.rows
        assert int(rows["ts_ns"].min()) > 0
        if kind is Kind.TRADE:
            assert (rows["price"] > 0).all() and (rows["qty"] > 0).all()
            product = rows["price"].astype(object) * rows["qty"].astype(object)
            assert (product < PRICE_QTY_PRODUCT_MAX).all()
        if kind is Kind.DEPTH:
            assert len(rows["bid_price"]) == len(rows["bid_qty"]) == rows["bid_offsets"][-1]
            assert (rows["bid_price"] > 0).all() and (rows["ask_qty"] > 0).all()


def slow(frame: bytes, symbol: str, scales: Scales) -> tuple[Any, ...] | None:
    """A partial book read the slow way: what :func:`read_book` must give, None where refused."""
    try:
        message = msgspec.json.decode(frame)
        d = msgspec.json.decode(msgspec.json.encode(message["data"]), type=DepthUpdate)
        if d.s != symbol:
            return None
        levels = book(d.b, d.a, Numbers(scales, Blocks(), {}))
    except (*UNREADABLE, TypeError, KeyError):
        return None
    sides = levels.block[levels.at]
    counts = (levels.bids, levels.bids, levels.asks, levels.asks)
    return (d.E, d.T, d.u, *(sides[k, :n].tolist() for k, n in enumerate(counts)))


BEGIN = b'{"stream":"btcusdt@depth20@100ms","data":'
decimals = st.one_of(
    st.sampled_from([a for a in ABSURD if isinstance(a, str)]),
    st.decimals(0, 10**7, places=2).map(str),
    st.from_regex(r"\A[0-9]{1,20}(\.[0-9]{0,9})?\Z"),
)
levels = st.lists(st.tuples(decimals, decimals).map(list), max_size=28)


@settings(max_examples=5_000 if CAMPAIGN else 300, deadline=None)
@given(
    levels, levels, st.booleans(), st.integers(0, 8), st.integers(0, 8),
    st.integers(0, 1 << 64), st.sampled_from(["BTCUSDT", "ETHUSDT"]),
)  # fmt: skip
def test_the_compiled_reader_gives_what_the_slow_way_gives(
    bids: list[Any], asks: list[Any], tidy: bool, price: int, qty: int, u: int, s: str
) -> None:
    if tidy:
        bids = [[f"{900 - i}.{i:02d}", q] for i, (_, q) in enumerate(bids)]
        asks = [[f"{901 + i}.{i:02d}", q] for i, (_, q) in enumerate(asks)]
    frame = depth(90, 5, b=bids, a=asks, s=s)
    agree(frame.replace(b'"u":90', b'"u":%d' % u), Scales(price, qty))


def test_the_compiled_reader_reads_every_ordinary_frame() -> None:
    rng = random.Random(3)
    for i in range(300):
        frame = depth(90 + i, i, rng.randrange(1, 26))
        assert agree(frame, BTC.scales)
        for _ in range(20 if CAMPAIGN else 3):
            agree(mutated(frame, rng), BTC.scales)


def agree(frame: bytes, scales: Scales) -> bool:
    """True where the compiled reader took the frame; it must then say what the slow way says."""
    block = np.zeros((2, 4, 25), np.int64)
    if not frame.startswith(BEGIN):
        return False
    at = len(BEGIN)
    good, e, t, u, nb, na = read_book(frame, at, b"BTCUSDT", scales.price, scales.qty, block, 1)
    assert not block[0].any()
    if not good:
        return False
    counts = (nb, nb, na, na)
    got = (e, t, u, *(block[1, k, :n].tolist() for k, n in enumerate(counts)))
    assert got == slow(frame, "BTCUSDT", scales), frame
    return True
