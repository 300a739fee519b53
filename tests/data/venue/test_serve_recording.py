"""Raw recordings are sent again as they stand, under their own stream names."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError, UsageError
from data.venue.serve import Options, running
from data.venue.tape_recording import RecordingTape
from tests.data.make_log import T
from tests.data.venue import client
from tests.shared import shared_data


def line(n: int, stream: str, **data: Any) -> bytes:
    frame = {"stream": stream, "data": {"s": "BTCUSDT", **data}}
    return f"{T + n * 10**9} {json.dumps(frame, separators=(',', ':'))}\n".encode()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    lines = [b'1723161600000000000 {"lastUpdateId":1,"bids":[],"asks":[]}\n', b"wss://x\n"]
    for n in range(50):
        lines.append(line(n, "btcusdt@trade", e="trade", t=n + 1, p="60000.10", q="0.001", T=1))
        lines.append(line(n, "btcusdt@depth@0ms", e="depthUpdate", u=n, pu=n - 1, b=[], a=[]))
        lines.append(line(n, "btcusdt@markPrice@1s", e="markPriceUpdate", p="1.0", T=0, E=1))
    (tmp_path / "r.gz").write_bytes(gzip.compress(b"".join(lines)))
    return tmp_path / "r.gz"


def test_frames_come_back_byte_by_byte(recording: Path) -> None:
    tape = RecordingTape([recording])
    assert tape.venue == "binance-um" and len(tape.streams) == 3
    assert dict(tape.skipped) == {"rest book": 1, "no local time": 1}
    assert tape.instruments[0].symbol == "BTCUSDT" and tape.instruments[0].scales.price == 1
    sent = [t.partition(b" ")[2] for t in gzip.decompress(recording.read_bytes()).splitlines()]
    with running(tape, Options("futures", speed=1000.0, grace_s=0.1)) as (_, told):
        public = client.opened(
            told["ws"] + "/public/stream?streams=btcusdt@trade/btcusdt@depth@0ms"
        )
        market = client.opened(told["ws"] + "/market/ws/btcusdt@markPrice@1s")
        wrong = client.opened(told["ws"] + "/market/stream?streams=btcusdt@trade")
        heard, marks, silent = (client.listen(s) for s in (public, market, wrong))
        assert client.get(told["rest"] + "/fapi/v1/aggTrades?symbol=BTCUSDT")[1] == []
    packed = [json.dumps(m, separators=(",", ":")).encode() for m in heard.messages]
    assert packed == [s for s in sent if b"@trade" in s or b"@depth" in s]
    assert len(marks.messages) == 50 and marks.messages[0]["e"] == "markPriceUpdate"
    assert silent.messages == [] and silent.reason == "end of range"


def test_ranges_symbols_and_mistakes(recording: Path, tmp_path: Path) -> None:
    part = RecordingTape([recording], from_ns=T + 10 * 10**9, to_ns=T + 20 * 10**9)
    assert len(list(part)) == 30 and part.from_ns == T + 10 * 10**9
    with pytest.raises(DataError, match="no message that could be sent"):
        RecordingTape([recording], symbols=["ETHUSDT"])
    with pytest.raises(UsageError, match="no such file"):
        RecordingTape([tmp_path / "typo.gz"])


def test_a_real_recording(tmp_path: Path) -> None:
    source = shared_data("binance-um/btcusdt_20240718.gz")
    with gzip.open(source) as file:
        head = b"".join(file.readline() for _ in range(3000))
    (tmp_path / "head.txt").write_bytes(head)
    tape = RecordingTape([tmp_path / "head.txt"])
    expected = Counter(d.series for d in tape)
    with running(tape, Options("futures", speed=1000.0, grace_s=0.1)) as (_, told):
        names = "/".join(tape.streams)
        heard = client.listen(client.opened(told["ws"] + f"/public/stream?streams={names}"))
    got = Counter(m["stream"] for m in heard.messages)
    assert got == {tape.streams[n]: count for n, count in expected.items()}
    assert sum(got.values()) == 2999 and set(got) == {
        "btcusdt@trade", "btcusdt@depth@0ms", "btcusdt@bookTicker"}  # fmt: skip
