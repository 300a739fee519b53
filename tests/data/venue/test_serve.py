"""The stand-in venue is held to the reference: frames, acknowledgements, close codes, REST."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

import replays
from data.errors import CorruptFileError, DataError, UsageError
from data.events import Kind, Scales
from data.live.endpoint import Endpoint
from data.live.feed import SocketFeed
from data.live.items import Ended, Frame, Served
from data.live.streams import plan
from data.log import LogStore
from data.venue import sockets
from data.venue.names import MARKET, PUBLIC
from data.venue.rest_server import RestServer
from data.venue.serve import Options, Venue, running
from data.venue.tape import LogTape
from tests.data.make_log import T, trades
from tests.data.venue import client
from tests.data.venue.made import SECONDS, make
from tests.shared import CAMPAIGN, shared_data

MS = T // 1_000_000
ALL_UM = (
    ("/public/stream", ("btcusdt@depth20@100ms", "btcusdt@bookTicker")),
    ("/market/stream", ("btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@markPrice@1s",
                        "btcusdt@forceOrder")),
)  # fmt: skip

Start = Callable[..., tuple[Venue, dict[str, Any]]]


@pytest.fixture(scope="module")
def um(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("um")
    make(folder, symbols=("BTCUSDT", "ETHUSDT"))
    return folder


@pytest.fixture(scope="module")
def spot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spot")
    make(folder, "binance-spot")
    return folder


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a venue that is stopped with the test."""
    with ExitStack() as stack:

        def run(
            folder: Path, layout: str = "futures", span: Any = (None, None), **more: Any
        ) -> Any:
            tape = LogTape(LogStore(folder), from_ns=span[0], to_ns=span[1])
            options = Options(layout, **{"speed": 1000.0, "grace_s": 0.1, **more})
            return stack.enter_context(running(tape, options))

        yield run


def hear_all(ws: str, lanes: Any) -> list[client.Heard]:
    """All lanes to the end of the range."""
    sockets = [client.subscribe(ws + path, *names) for path, names in lanes]
    return [client.listen(socket) for socket in sockets]


def test_futures_frames_and_the_end_of_the_range(um: Path, start: Start) -> None:
    _, told = start(um)
    public, market = hear_all(told["ws"], ALL_UM)
    assert (public.code, public.reason) == (market.code, market.reason) == (1000, "end of range")
    trades = market.data("btcusdt@aggTrade")
    assert [t["a"] for t in trades] == list(range(1, SECONDS + 1))
    assert trades[1] == {"e": "aggTrade", "E": MS + 1000, "a": 2, "s": "BTCUSDT", "p": "60000.0",
                         "q": "0.002", "nq": "0.002", "f": 2, "l": 2, "T": MS + 1000, "m": False,
                         "st": 1}  # fmt: skip
    books = public.data("btcusdt@depth20@100ms")
    assert len(books) == SECONDS and all(len(b["b"]) == len(b["a"]) == 5 for b in books)
    assert books[0]["b"][0] == ["59999.9", "0.010"] and books[0]["a"][4] == ["60000.5", "0.015"]
    assert [b["pu"] for b in books[1:]] == [b["u"] for b in books[:-1]]
    assert [q["u"] for q in public.data("btcusdt@bookTicker")] == list(range(5000, 5000 + SECONDS))
    bars = market.data("btcusdt@kline_1m")
    assert [b["k"]["t"] for b in bars] == [MS, MS + 60_000] and bars[0]["k"]["x"] is True
    assert bars[0]["k"] | {"q": "", "Q": ""} == {
        "t": MS, "T": MS + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 60, "o": "60000.0",
        "c": "60000.1", "h": "60000.6", "l": "59999.8", "v": "0.180", "n": 60, "x": True, "q": "",
        "V": "0.100", "Q": "", "B": "0"}  # fmt: skip
    mark = market.data("btcusdt@markPrice@1s")[0]
    assert (mark["p"], mark["r"], mark["T"]) == ("60001.00000000", "0.000001000", MS + 8 * 3600_000)
    forced = market.data("btcusdt@forceOrder")[1]["o"]
    assert (forced["S"], forced["ap"], forced["z"]) == ("SELL", "60000.1", "0.002")
    clock = client.get(told["rest"] + "/ofs/clock")[1]
    assert clock["ended"] and clock["now_ns"] == clock["end_ns"] == told["end_ns"]
    late = client.listen(client.opened(told["ws"] + "/public/stream"))
    assert (late.messages, late.code, late.reason) == ([], 1000, "end of range")


@pytest.mark.parametrize(
    ("file", "stream", "path"),
    [
        ("usdm_aggTrade_combined_real", "btcusdt@aggTrade", "/market/stream"),
        ("usdm_bookTicker_combined_real", "btcusdt@bookTicker", "/public/stream"),
        ("usdm_depth20_100ms_combined_real_trimmed3", "btcusdt@depth20@100ms", "/public/stream"),
        ("usdm_kline_1m_combined_real", "btcusdt@kline_1m", "/market/stream"),
        ("usdm_markPrice_1s_combined_real", "btcusdt@markPrice@1s", "/market/stream"),
    ],
)
def test_frames_have_the_fields_of_real_ones(
    file: str, stream: str, path: str, um: Path, start: Start
) -> None:
    real = json.loads(shared_data(f"binance-samples/{file}.json").read_text(encoding="utf-8"))[
        "payload"
    ]
    _, told = start(um)
    heard = client.listen(client.subscribe(told["ws"] + path, stream), 1)
    ours = heard.messages[0]
    assert list(ours) == list(real) and list(ours["data"]) == list(real["data"])
    for name, value in real["data"].items():
        assert type(ours["data"][name]) is type(value), name
        if isinstance(value, dict):
            assert list(ours["data"][name]) == list(value)


def test_spot_frames(spot: Path, start: Start) -> None:
    _, told = start(spot, "spot")
    names = ("btcusdt@aggTrade", "btcusdt@depth20@100ms", "btcusdt@bookTicker")
    url = f"{told['ws']}/stream?streams={'/'.join(names)}&timeUnit=MICROSECOND"
    fine = client.opened(url)
    plain = client.opened(f"{told['ws']}/ws/{names[0]}")
    heard, raw = client.listen(fine), client.listen(plain)
    assert heard.data(names[0])[1] == {
        "e": "aggTrade", "E": MS * 1000 + 10**6, "s": "BTCUSDT", "a": 2, "p": "60000.00000000",
        "q": "0.00200000", "f": 2, "l": 2, "T": MS * 1000 + 10**6, "m": False,
        "M": True}  # fmt: skip
    assert list(heard.data(names[1])[0]) == ["lastUpdateId", "bids", "asks"]
    assert list(heard.data(names[2])[0]) == ["u", "s", "b", "B", "a", "A"]
    assert len(raw.messages) == SECONDS and raw.messages[0]["T"] == MS


def test_a_wrong_path_acknowledges_and_stays_silent(um: Path, start: Start) -> None:
    _, told = start(um)
    lanes = [
        ("/stream", ("btcusdt@aggTrade", "btcusdt@depth20@100ms")),
        ("/public/stream", ("btcusdt@aggTrade",)),
        ("/market/stream", ("btcusdt@depth20@100ms", "BTCUSDT@aggTrade", "btcusdt@nonsense")),
        ("/private/ws", ("btcusdt@aggTrade",)),
    ]
    old, public, market, private = hear_all(told["ws"], lanes)
    assert len(old.messages) == len(old.data("btcusdt@depth20@100ms")) == SECONDS
    assert public.messages == market.messages == private.messages == []
    with pytest.raises(Exception, match="404"):
        client.opened(told["ws"] + "/nowhere/at/all")


def test_requests_and_their_answers(um: Path, start: Start) -> None:
    _, told = start(um, grace_s=30.0)
    socket = client.subscribe(told["ws"] + "/market/ws", "btcusdt@aggTrade", number=7)
    client.ask(socket, "SUBSCRIBE", "ethusdt@aggTrade", number=8)
    client.ask(socket, "UNSUBSCRIBE", "btcusdt@aggTrade", number=9)
    client.ask(socket, "LIST_SUBSCRIPTIONS", number=10)
    client.ask(socket, "NONSENSE", number=11)
    socket.send("{")
    answers = [json.loads(socket.recv(5)) for _ in range(5)]
    assert answers[:3] == [{"result": None, "id": 8}, {"result": None, "id": 9},
                           {"result": ["ethusdt@aggTrade"], "id": 10}]  # fmt: skip
    assert [a["error"]["code"] for a in answers[3:]] == [2, 3]
    client.ask(socket, "SUBSCRIBE", "btcusdt", number=12)
    end = client.listen(socket)
    assert end.messages == [{"error": {"code": 2, "msg": "Invalid request: invalid stream"},
                             "id": 12}]  # fmt: skip
    assert end.code == 1008


def test_limits_of_a_connection(um: Path, spot: Path, start: Start) -> None:
    _, told = start(um, grace_s=30.0)
    names = [f"s{i}usdt@aggTrade" for i in range(1024)]
    socket = client.subscribe(told["ws"] + "/market/ws", *names)
    client.ask(socket, "SUBSCRIBE", "one@aggTrade", number=2)
    end = client.listen(socket)
    assert end.messages[0]["error"]["code"] == 4 and end.code == 1008
    for folder, layout, path, answered in (
        (um, "futures", "/market/ws", 15),
        (spot, "spot", "/ws", 5),
    ):
        _, told = start(folder, layout, grace_s=30.0)
        socket = client.opened(told["ws"] + path)
        with suppress(ConnectionClosed):
            for number in range(40):
                client.ask(socket, "SUBSCRIBE", f"s{number}@aggTrade", number=number)
        end = client.listen(socket)
        assert (end.code, end.reason) == (1008, "Too many requests")
        assert answered <= len(end.messages) < answered + 5


def test_the_clock_stands_until_somebody_subscribes(um: Path, start: Start) -> None:
    _, told = start(um, speed=20.0, grace_s=0.3)
    time.sleep(0.2)
    assert client.get(told["rest"] + "/ofs/clock")[1]["now_ns"] == told["from_ns"] == T
    socket = client.subscribe(told["ws"] + "/market/ws", "btcusdt@aggTrade")
    assert client.get(told["rest"] + "/ofs/clock")[1]["now_ns"] == T
    began, first = time.monotonic(), json.loads(socket.recv(5))
    for _ in range(20):
        last = json.loads(socket.recv(5))
    took = time.monotonic() - began
    assert first["T"] == MS and last["T"] == MS + 20_000
    assert 0.8 < took < 20.0
    assert client.get(told["rest"] + "/fapi/v1/time")[1]["serverTime"] >= MS + 19_000


def test_a_client_that_does_not_read_holds_the_clock(um: Path, start: Start) -> None:
    _, told = start(um, window=10)
    socket = client.opened(told["ws"] + "/market/ws", queue=4)
    client.ask(socket, "SUBSCRIBE", "btcusdt@aggTrade")
    time.sleep(1.0)
    now_ns = client.get(told["rest"] + "/ofs/clock")[1]["now_ns"]
    assert now_ns < T + 60 * 10**9
    assert len(client.listen(socket).messages) == SECONDS + 1


def raw_client(ws: str, path: str) -> socket.socket:
    """A client that speaks for itself: it has opened and subscribed, and answers no ping."""
    host, port = ws.removeprefix("ws://").split(":")
    peer = socket.create_connection((host, int(port)), timeout=10)
    peer.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return peer


def test_a_client_that_answers_no_ping_does_not_stop_the_clock(
    um: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_DEAF_S", 0.3)
    _, told = start(um, window=5)
    with raw_client(told["ws"], "/market/ws/btcusdt@aggTrade") as peer:
        data = b""
        while b"end of range" not in data:
            data += peer.recv(65_536)
    assert data.startswith(b"HTTP/1.1 101") and data.count(b'"e":"aggTrade"') == SECONDS


def test_the_venue_pings_and_drops_who_does_not_answer(
    um: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sockets._PING_S, "futures", 0.2)
    monkeypatch.setitem(sockets._PONG_S, "futures", 0.4)
    _, told = start(um, speed=1.0)
    answers = client.subscribe(told["ws"] + "/market/ws", "btcusdt@aggTrade")
    with raw_client(told["ws"], "/market/ws/ethusdt@aggTrade") as peer:
        data = b""
        while b"Pong timeout" not in data:
            data += peer.recv(65_536)
    assert f"{MS // 1_000_000}".encode() in data, "a ping carries the venue's time"
    assert len(client.listen(answers, 2).messages) == 2


def test_rest_of_futures(um: Path, start: Start) -> None:
    _, told = start(um)
    root = told["rest"] + "/fapi/v1"
    assert client.get(root + "/aggTrades?symbol=BTCUSDT")[1] == []  # nothing has happened yet
    hear_all(told["ws"], ALL_UM)
    status, info, headers = client.get(root + "/exchangeInfo")
    assert status == 200 and int(headers["X-MBX-USED-WEIGHT-1M"]) >= 1
    filters = {f["filterType"]: f for f in info["symbols"][0]["filters"]}
    assert (
        filters["PRICE_FILTER"]["tickSize"] == "0.1" and filters["LOT_SIZE"]["stepSize"] == "0.001"
    )
    seen, next_id = [], 1
    while page := client.get(f"{root}/aggTrades?symbol=BTCUSDT&fromId={next_id}&limit=50")[1]:
        assert page[0]["a"] == next_id
        seen += [row["a"] for row in page]
        next_id = page[-1]["a"] + 1
    assert seen == list(range(1, SECONDS + 1))
    row = client.get(f"{root}/aggTrades?symbol=BTCUSDT&fromId=2&limit=1")[1][0]
    assert row == {"a": 2, "p": "60000.0", "q": "0.002", "nq": "0.002", "f": 2, "l": 2,
                   "T": MS + 1000, "m": False}  # fmt: skip
    last = client.get(f"{root}/aggTrades?symbol=BTCUSDT&limit=3")[1]
    assert [r["a"] for r in last] == [118, 119, 120]
    span = client.get(f"{root}/aggTrades?symbol=BTCUSDT&startTime={MS + 5000}&endTime={MS + 7000}")
    assert [r["a"] for r in span[1]] == [6, 7, 8]
    bars = client.get(f"{root}/klines?symbol=BTCUSDT&interval=1m&startTime={MS}")[1]
    assert [b[0] for b in bars] == [MS, MS + 60_000] and bars[0][1:7] == [
        "60000.0", "60000.6", "59999.8", "60000.1", "0.180", MS + 59_999]  # fmt: skip
    book = client.get(f"{root}/depth?symbol=BTCUSDT&limit=5")[1]
    assert book["lastUpdateId"] == 1000 + SECONDS - 1 and len(book["bids"]) == 5


def test_rest_refuses_as_the_venue_does(um: Path, start: Start) -> None:
    measured = json.loads(
        shared_data("binance-samples/usdm_rest_errors_measured.json").read_text(encoding="utf-8")
    )
    _, told = start(um)
    root = told["rest"] + "/fapi/v1"
    asked = {
        "fapi_unknown_symbol": "/aggTrades?symbol=NONE",
        "fapi_bad_depth_limit": "/depth?symbol=BTCUSDT&limit=7",
        "fapi_klines_limit_1501": "/klines?symbol=BTCUSDT&interval=1m&limit=1501",
        "fapi_aggTrades_older_than_48h": f"/aggTrades?symbol=BTCUSDT&startTime={MS - 176_400_000}",
    }
    for name, path in asked.items():
        status, body, _ = client.get(root + path)
        assert (status, body) == (
            measured["payload"][name]["http"],
            measured["payload"][name]["body"],
        )
    assert client.get(root + "/nothing")[0] == 404
    assert client.get(root + '/exchangeInfo?symbols=["NONE"]')[1]["code"] == -1121
    statuses = []
    for _ in range(140):
        status, _, headers = client.get(root + "/aggTrades?symbol=BTCUSDT&limit=1")
        statuses.append((status, "Retry-After" in headers))
    kinds = sorted(set(statuses))
    assert (429, True) in kinds and (418, True) in kinds and (200, False) in kinds


def test_two_sockets_are_read_in_the_order_of_the_log(um: Path, start: Start) -> None:
    _, told = start(um, speed=500.0, skew_ns=0)
    kinds = [Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.MARK, Kind.BAR]
    lanes = plan("binance-um", ["BTCUSDT", "ETHUSDT"], kinds)
    assert len(lanes) == 2
    feed = SocketFeed(lanes, Endpoint.of(f"{told['ws']},{told['rest']}"))
    feed.start()
    items: list[Any] = []
    while not items or not isinstance(items[-1], Ended):
        items += feed.take(1000, 5.0)
    feed.stop()
    frames = [json.loads(item.data) for item in items if isinstance(item, Frame)]
    sent = [frame["data"]["E"] for frame in frames]
    assert len(sent) == 2 * (4 * SECONDS + 2) and sent == sorted(sent)
    clocks = [item.now_ns for item in items if isinstance(item, Served)]
    assert clocks == sorted(clocks) and clocks[-1] == told["end_ns"]


def test_the_clock_never_goes_back(um: Path, start: Start) -> None:
    _, told = start(um, speed=60.0)
    seen: list[int] = []

    def watch() -> None:
        while not seen or seen[-1] < told["end_ns"]:
            seen.append(client.get(told["rest"] + "/ofs/clock")[1]["now_ns"])

    watcher = threading.Thread(target=watch, daemon=True)
    market = client.subscribe(told["ws"] + "/market/stream", "btcusdt@kline_1m")
    watcher.start()
    for _ in range(4):  # sockets that come late, and one that is seldom told anything
        peer = client.subscribe(told["ws"] + "/market/stream", "btcusdt@aggTrade")
        client.listen(peer, 15)
        peer.close()
    client.listen(market)
    watcher.join(20)
    assert seen == sorted(seen) and len(set(seen)) > 20 and seen[-1] == told["end_ns"]


def test_the_clock_can_wait_for_a_client_that_went_away(um: Path, start: Start) -> None:
    missing = {}
    for hold_s in (0.0, 10.0):
        _, told = start(um, speed=200.0, hold_s=hold_s)
        url = told["ws"] + "/market/stream"
        first = client.subscribe(url, "btcusdt@aggTrade")
        seen = client.listen(first, 10).data("btcusdt@aggTrade")
        first.close()
        time.sleep(0.3)
        seen += client.listen(client.subscribe(url, "btcusdt@aggTrade")).data("btcusdt@aggTrade")
        missing[hold_s] = set(range(1, SECONDS + 1)) - {t["a"] for t in seen}
    assert len(missing[0.0]) > 10
    assert len(missing[10.0]) < 10, "what was on its way when the client went"


def test_a_connection_lives_for_24_hours_of_the_venue(tmp_path: Path, start: Start) -> None:
    store = LogStore(tmp_path, create=True)
    with store.transaction() as change:
        rows = trades(T, 360, step_ns=600 * 10**9)
        change.merge(Kind.TRADE, "binance-um", "BTCUSDT", rows, Scales(1, 3))
    _, told = start(tmp_path, speed=100_000.0)
    root = told["rest"] + "/fapi/v1/aggTrades?symbol=BTCUSDT"
    heard = client.listen(client.subscribe(told["ws"] + "/market/stream", "btcusdt@aggTrade"))
    assert (heard.code, heard.reason) == (1001, "24 hours")
    assert abs(len(heard.messages) - 144) < 30
    rest = client.listen(client.subscribe(told["ws"] + "/market/stream", "btcusdt@aggTrade"))
    assert (rest.code, rest.reason) in ((1001, "24 hours"), (1000, "end of range"))
    while not client.get(told["rest"] + "/ofs/clock")[1]["ended"]:
        time.sleep(0.05)
    assert client.get(root + "&fromId=1&limit=10")[1]["code"] == -4166
    assert client.get(root + "&fromId=100&limit=10")[1][0]["a"] == 100


def test_ranges_and_mistakes(um: Path, start: Start, tmp_path: Path) -> None:
    _, told = start(um, span=(T + 30 * 10**9, T + 40 * 10**9))
    heard = client.listen(client.subscribe(told["ws"] + "/market/stream", "btcusdt@aggTrade"))
    assert [t["a"] for t in heard.data("btcusdt@aggTrade")] == list(range(31, 41))
    make(tmp_path / "two")
    make(tmp_path / "two", "bybit")
    with pytest.raises(UsageError, match="2 venues"):
        LogTape(LogStore(tmp_path / "two"))
    with pytest.raises(DataError, match="NONE"):
        LogTape(LogStore(um), symbols=["NONE"])


def test_a_frame_costs_little() -> None:
    """30,000 frames a second leave most of a core to the client: 6 us each."""

    class Sink:
        combined, kinds, number = True, PUBLIC | MARKET, 1

        def __init__(self) -> None:
            self.frames: list[bytes] = []

        def put(self, frame: bytes) -> None:
            self.frames.append(frame)

        def flush(self, _now_ns: int) -> None:
            b"".join(self.frames)
            self.frames = []

    tape = LogTape(LogStore(replays.path("btc_flow")), to_ns=1_767_616_200_000_000_000)
    venue = Venue(tape, Options("futures"))
    names = ("btcusdt@aggTrade", "btcusdt@depth20@100ms", "btcusdt@kline_1m")
    venue.hub.add(Sink(), names, 1_000_000)
    due = list(tape)
    began = time.process_time()
    for n, event in enumerate(due):
        venue.striker.send(event)
        if n % 200 == 0:
            venue.hub.flush(0)
    us = (time.process_time() - began) * 1e6 / len(due)
    print(f"\n{us:.1f} us of CPU a frame, {len(due):,} frames")
    assert venue.hub.frames == len(due) > 15_000
    assert us < (12 if CAMPAIGN else 60)


def test_rows_without_an_id_are_numbered(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    with store.transaction() as change:
        rows = trades(T, 10_000)
        rows["id"][:] = 0
        change.merge(Kind.TRADE, "oanda", "XAUUSD", rows, Scales(1, 3))
    due = list(LogTape(store))
    assert [d.sheet["id"][d.row] for d in due] == list(range(1, 10_001))
    assert max(len(d.sheet["id"]) for d in due) <= 8192, "the tape holds what it does not need"


def test_a_damaged_file_ends_it(tmp_path: Path) -> None:
    tape = LogTape(make(tmp_path))
    file = next(tmp_path.glob("kind=trade/**/*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))
    with running(tape, Options("futures")) as (venue, _):
        time.sleep(0.2)
    assert isinstance(venue.failure, CorruptFileError) and str(file) in str(venue.failure)


def test_rest_says_what_is_wrong_with_the_log() -> None:
    def get(_path: str, _query: Any) -> Any:
        raise CorruptFileError("it is torn", where="x.parquet")

    server = RestServer(get)
    server.start()
    status, body, _ = client.get(server.url + "/fapi/v1/time")
    server.stop()
    assert status == 500 and "x.parquet" in body["msg"]


def test_a_tape_is_the_log_in_its_order(um: Path) -> None:
    tape = LogTape(LogStore(um), delay_ns=5)
    rows = list(tape)
    assert len(rows) == 2 * (5 * SECONDS + 2)
    at = [r.at_ns for r in rows]
    assert at == sorted(at) and rows[0].at_ns == T + 5
    assert {r.kind for r in rows} >= {Kind.TRADE, Kind.DEPTH, Kind.BAR}
    assert tape.end_ns > at[-1]
