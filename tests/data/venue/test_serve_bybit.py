"""The stand-in Bybit: topics, requests, REST, and that our own client gets the log back from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from data.log import LogStore
from data.venue.serve import Options, running
from data.venue.tape import LogTape
from tests.data.make_log import T
from tests.data.venue import client
from tests.data.venue.made import SECONDS, make

MS = T // 1_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bybit")
    make(folder, "bybit")
    return folder


@contextmanager
def served(log: Path) -> Iterator[dict[str, Any]]:
    options = Options("bybit", speed=1000.0, grace_s=0.1)
    with running(LogTape(LogStore(log)), options) as (_, told):
        yield told


def op(socket: Any, name: str, *topics: str) -> Any:
    socket.send(json.dumps({"op": name, "args": list(topics), "req_id": "7"}))
    return json.loads(socket.recv(5))


def test_topics(log: Path) -> None:
    names = [f"{t}.BTCUSDT" for t in ("publicTrade", "orderbook.50", "orderbook.1", "kline.1",
                                      "allLiquidation", "tickers")]  # fmt: skip
    with served(log) as told:
        socket = client.opened(told["ws"] + "/v5/public/linear")
        assert op(socket, "ping")["ret_msg"] == "pong"
        assert op(socket, "subscribe", "nonsense")["success"] is False
        answer = op(socket, "subscribe", *names)
        assert answer == {"success": True, "ret_msg": "subscribe", "conn_id": "served",
                          "req_id": "7", "op": "subscribe"}  # fmt: skip
        heard = client.listen(socket)
    by_topic = {n: [m for m in heard.messages if m["topic"] == n] for n in names}
    assert heard.reason == "end of range"
    trade = by_topic[names[0]][1]
    assert trade["data"] == [{"T": MS + 1000, "s": "BTCUSDT", "S": "Buy", "v": "0.002",
                              "p": "60000.0", "i": "00000000-0000-0000-0000-000000000002",
                              "BT": False, "RPI": False, "seq": 2}]  # fmt: skip
    books = by_topic[names[1]]
    assert [b["type"] for b in books] == ["snapshot"] + ["delta"] * (SECONDS - 1)
    ids = [b["data"]["u"] for b in books]
    assert ids == list(range(ids[0], ids[0] + SECONDS)) and books[0]["cts"] == MS + 500
    assert ["59999.9", "0"] not in books[1]["data"]["b"] and len(books[0]["data"]["b"]) == 5
    assert by_topic[names[2]][0]["data"]["b"] == [["60000.0", "0.010"]]
    assert [k["data"][0]["confirm"] for k in by_topic[names[3]]] == [True, True]
    assert [m["data"][0]["S"] for m in by_topic[names[4]][:2]] == ["Sell", "Buy"]
    assert by_topic[names[5]][0]["data"]["markPrice"] == "60001.0"


def test_books_put_together_are_those_of_the_log(log: Path) -> None:
    with served(log) as told:
        socket = client.opened(told["ws"] + "/v5/public/linear")
        assert op(socket, "subscribe", "orderbook.50.BTCUSDT")["success"]
        heard = client.listen(socket)
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    seen = []
    for message in heard.messages:
        for side in ("b", "a"):
            for price, qty in message["data"][side]:
                book[side][price] = qty
                if qty == "0":
                    del book[side][price]
        best = max(map(float, book["b"])), min(map(float, book["a"]))
        seen.append((*best, len(book["b"]), len(book["a"])))
    expected = [(60000 + (n % 7 - 1) / 10, 60000 + (n % 7 + 1) / 10, 5, 5) for n in range(SECONDS)]
    assert [tuple(round(x, 1) for x in row) for row in seen] == [
        tuple(round(x, 1) for x in row) for row in expected
    ]


def test_rest(log: Path) -> None:
    with served(log) as told:
        socket = client.opened(told["ws"] + "/v5/public/linear")
        assert op(socket, "subscribe", "orderbook.50.BTCUSDT")["success"]
        client.listen(socket)
        root = told["rest"] + "/v5/market"
        info = client.get(f"{root}/instruments-info?category=linear")[1]
        assert info["result"]["list"][0]["priceFilter"] == {"tickSize": "0.1"}
        trades = client.get(f"{root}/recent-trade?category=linear&symbol=BTCUSDT&limit=2")[1]
        assert [t["time"] for t in trades["result"]["list"]] == [
            str(MS + 119_000),
            str(MS + 118_000),
        ]
        book = client.get(f"{root}/orderbook?symbol=BTCUSDT&limit=3")[1]["result"]
        assert len(book["b"]) == 3 and book["u"] == 1000 + SECONDS - 1
        bars = client.get(f"{root}/kline?symbol=BTCUSDT&interval=1")[1]["result"]["list"]
        assert [b[0] for b in bars] == [str(MS + 60_000), str(MS)]
        assert client.get(f"{root}/time")[1]["result"]["timeNano"] == str(told["end_ns"])
        assert client.get(f"{root}/kline?symbol=NONE")[1]["retCode"] == 10001
        assert client.get(f"{root}/nothing")[0] == 404
