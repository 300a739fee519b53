"""Which streams go where, within the venues' limits; addresses; and patience."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.enums import Kind
from data.errors import UsageError
from data.live.backoff import Attempts, Backoff
from data.live.budget import MINUTE_NS, Budget
from data.live.endpoint import Endpoint
from data.live.streams import TERMINAL, VENUES, plan
from data.live.watch import KindWatch

ALL = (Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.BAR, Kind.MARK, Kind.LIQUIDATION)


def test_futures_streams_go_to_the_path_that_serves_them() -> None:
    lanes = plan("binance-um", ["BTCUSDT"], ALL)
    assert {lane.path: lane.streams for lane in lanes} == {
        "/market/stream": (
            "btcusdt@aggTrade",
            "btcusdt@kline_1m",
            "btcusdt@markPrice@1s",
            "btcusdt@forceOrder",
        ),
        "/public/stream": ("btcusdt@depth20@100ms", "btcusdt@bookTicker"),
    }


def test_spot_has_one_path_and_neither_marks_nor_liquidations() -> None:
    (lane,) = plan("binance-spot", ["BTCUSDT", "ETHUSDT"], [Kind.TRADE, Kind.DEPTH])
    assert lane.path == "/stream"
    assert len(lane.streams) == 4


def test_what_a_venue_lacks_and_what_is_no_venue_is_said_whole() -> None:
    with pytest.raises(UsageError, match="no stream of mark") as lacks:
        plan("binance-spot", ["BTCUSDT"], [Kind.MARK])
    assert lacks.value.where == "--streams" and lacks.value.why and "trade" in lacks.value.do
    with pytest.raises(UsageError, match="binance-uk") as unknown:
        plan("binance-uk", ["BTCUSDT"], [Kind.TRADE])
    assert unknown.value.where == "--venue" and unknown.value.why
    assert "did you mean binance-um?" in unknown.value.do
    with pytest.raises(UsageError, match="kraken") as far:
        plan("kraken", ["BTCUSDT"], [Kind.TRADE])
    assert far.value.do == "choose one of binance-spot, binance-um, bybit, mt5"


@settings(max_examples=25)
@given(
    st.sampled_from(sorted(set(VENUES) - {TERMINAL})),
    st.integers(1, 1500),
    st.sets(st.sampled_from([Kind.TRADE, Kind.DEPTH, Kind.QUOTE]), min_size=1),
)
def test_every_stream_is_asked_for_once_within_the_limits(venue, count, kinds) -> None:
    symbols = [f"COIN{i:04}USDT" for i in range(count)]
    lanes = plan(venue, symbols, kinds)
    about = VENUES[venue]
    streams = [name for lane in lanes for name in lane.streams]
    assert len(streams) == len(set(streams)) == count * len(kinds)
    for lane in lanes:
        assert 0 < len(lane.streams) <= about.streams
        assert sum(len(name) + 3 for name in lane.streams) <= about.arguments
        assert {about.paths[kind] for kind in lane.kinds} == {lane.path}


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_a_streams_name_tells_its_kind(venue: str) -> None:
    about = VENUES[venue]
    for kind in about.names:
        assert about.kind(about.stream("BTCUSDT", kind)) == kind
    assert about.kind("btcusdt@miniTicker") is None


def test_a_silence_is_doubted_less_and_less_often_until_it_ends() -> None:
    (lane,) = plan("binance-spot", ["A", "B"], [Kind.TRADE, Kind.BAR])
    watch = KindWatch(lane)
    counts = {name.encode(): 0 for name in lane.streams}
    found = []
    for second in range(4000):
        counts[b"a@aggTrade"] += 1  # one symbol of two is enough
        counts[b"b@kline_1m"] += second == 3000
        if watch.silent(counts, second * 10**9, second * 10**9) == [Kind.BAR]:
            found.append(second)
    assert found == [300, 900, 2100, 3300, 3900]


def test_an_endpoint_is_two_addresses_or_the_line_of_a_server(tmp_path: Path) -> None:
    want = Endpoint("ws://127.0.0.1:1", "http://127.0.0.1:2")
    assert Endpoint.of("ws://127.0.0.1:1/,http://127.0.0.1:2") == want
    file = tmp_path / "served.json"
    file.write_text(
        '{"schema":1,"ws":"ws://h:1","rest":"http://h:2","venue":"bybit","x":[1]}\n',
        encoding="utf-8",
    )
    assert Endpoint.of(str(file)) == Endpoint("ws://h:1", "http://h:2", "bybit")
    for bad in ("ws://h:1", "ws://h:1,ws://h:2", "http://h,http://i", "ws://:1,http://h", "nofile"):
        with pytest.raises(UsageError, match="endpoint"):
            Endpoint.of(bad)
    for text in ("", "{", '{"ws":"ws://h:1"}', '{"ws":"ftp://h","rest":"http://h"}'):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match="endpoint"):
            Endpoint.of(str(file))


def test_waits_grow_to_their_limit_and_are_never_all_alike() -> None:
    backoff = Backoff(random.Random(3), 1.0, 8.0)
    waits = [[backoff.next_s() for _ in range(8)] for _ in range(200) if not backoff.reset()]
    most = [max(column) for column in zip(*waits, strict=True)]
    assert [round(m) for m in most] == [1, 2, 4, 8, 8, 8, 8, 8]
    assert min(w[7] for w in waits) < 1.0  # full jitter


def test_attempts_stay_within_the_limit_and_a_hold_holds() -> None:
    attempts = Attempts(3, 10.0)
    assert [attempts.wait_s(t) for t in (0.0, 1.0, 2.0)] == [0.0, 0.0, 0.0]
    assert attempts.wait_s(4.0) == 6.0
    assert attempts.wait_s(10.0) == 0.0
    attempts.hold(50.0)
    assert attempts.wait_s(20.0) == 30.0
    assert attempts.wait_s(50.0) == 0.0


def test_a_budget_waits_for_the_venues_next_minute_and_believes_the_venue() -> None:
    budget = Budget(100, 0.5)
    assert budget.wait_ns(40, 5 * MINUTE_NS) == 0
    assert budget.wait_ns(20, 5 * MINUTE_NS + 1) == MINUTE_NS - 1
    assert budget.wait_ns(20, 6 * MINUTE_NS) == 0
    budget.told(45, 6 * MINUTE_NS + 9)  # somebody else at this address
    assert budget.wait_ns(20, 6 * MINUTE_NS + 9) == MINUTE_NS - 9
    budget.hold(9 * MINUTE_NS)
    assert budget.wait_ns(1, 7 * MINUTE_NS) == 2 * MINUTE_NS
    assert budget.wait_ns(80, 9 * MINUTE_NS) == 0  # heavier than all of it: alone in its minute
