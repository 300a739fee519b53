"""Frames taken apart without the library are those that the library would have given."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import serve
from websockets.frames import Frame as RawFrame
from websockets.frames import Opcode

from data.live.connect import MAX_BYTES, Refused, open_socket
from data.live.items import Frame

MESSAGE = st.tuples(
    st.sampled_from(["text", "binary", "ping", "pong", "fragments"]),
    st.one_of(
        st.integers(0, 130), st.sampled_from([125, 126, 127, 65535, 65536, 70_000]), st.just(200)
    ),
)


def wire(messages: list[tuple[str, int]]) -> tuple[bytes, list[bytes]]:
    """The bytes of ``messages`` as a server sends them, and the data that must come out."""
    out, data = bytearray(), []
    for number, (kind, size) in enumerate(messages):
        body = (f"{number}:".encode() * size)[:size]
        if kind in ("ping", "pong"):
            opcode = Opcode.PING if kind == "ping" else Opcode.PONG
            out += RawFrame(opcode, body[:100]).serialize(mask=False)
        elif kind == "fragments":
            half = size // 2
            out += RawFrame(Opcode.TEXT, body[:half], fin=False).serialize(mask=False)
            out += RawFrame(Opcode.PING, b"between").serialize(mask=False)
            out += RawFrame(Opcode.CONT, body[half:], fin=True).serialize(mask=False)
            data.append(body)
        else:
            opcode = Opcode.TEXT if kind == "text" else Opcode.BINARY
            out += RawFrame(opcode, body).serialize(mask=False)
            data.append(body)
    return bytes(out), data


async def received(pieces: list[bytes], close: bytes = b"") -> tuple[list[Frame], str, int]:
    """What a socket makes of ``pieces``; how it ended; how many pings it heard."""
    got: list[Frame] = []

    async def script(raw) -> None:
        for piece in pieces:
            raw.transport.write(piece)
            await asyncio.sleep(0)
        raw.transport.write(close or RawFrame(Opcode.CLOSE, b"\x03\xe8bye").serialize(mask=False))
        await raw.wait_closed()

    async with serve(script, "127.0.0.1", 0, close_timeout=1) as server:
        port = server.sockets[0].getsockname()[1]
        socket = await open_socket(f"ws://127.0.0.1:{port}/x", 7, lambda f, _size: got.extend(f))
        await asyncio.wait_for(socket.lost, 3)
        return got, socket.ending(), socket.pings


@settings(max_examples=40, deadline=None)
@given(st.lists(MESSAGE, max_size=12), st.integers(0, 1 << 30))
def test_any_messages_in_any_pieces(messages: list[tuple[str, int]], seed: int) -> None:
    """Cut anywhere, also while the handshake is still being answered."""
    whole, want = wire(messages)
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(whole) + 1) for _ in range(chance.randrange(20)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    got, how, pings = asyncio.run(received([p for p in pieces if p]))
    assert [frame.data for frame in got] == want
    assert how == "closed with 1000 bye"
    assert pings == sum(kind in ("ping", "fragments") for kind, _ in messages)
    assert all(frame.lane == 7 for frame in got)
    stamps = [frame.mono_ns for frame in got]
    assert stamps == sorted(stamps)
    assert not got or stamps[0] > 0


def test_every_single_byte_by_itself() -> None:
    whole, want = wire([("text", 3), ("text", 200), ("ping", 4), ("fragments", 9), ("binary", 0)])
    got, how, _ = asyncio.run(received([bytes([b]) for b in whole]))
    assert [frame.data for frame in got] == want
    assert how == "closed with 1000 bye"


def test_a_frame_that_is_too_long_or_masked_ends_the_connection_behind_what_was_good() -> None:
    good, want = wire([("text", 20), ("text", 200)])
    long = bytes([0x81, 127]) + (MAX_BYTES + 1).to_bytes(8, "big") + b"x" * 100
    masked = RawFrame(Opcode.TEXT, b"abc").serialize(mask=True)
    for bad, code in ((long, "1009"), (masked, "1002"), (b"\x83\x01x", "1002")):
        got, how, _ = asyncio.run(received([good + bad + good], b" "))
        assert [frame.data for frame in got] == want
        assert code in how


def test_the_longest_message_comes_through() -> None:
    whole, want = wire([("text", MAX_BYTES), ("text", 5)])
    got, _, _ = asyncio.run(received([whole]))
    assert [frame.data for frame in got] == want


def test_a_refusal_has_its_status_and_its_pause() -> None:
    async def main() -> Refused:
        def refuse(raw, _request):
            answer = raw.respond(429, "later")
            answer.headers["Retry-After"] = "17"
            return answer

        async def nobody(_raw) -> None:
            return None

        async with serve(nobody, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(Refused) as refused:
                await open_socket(f"ws://127.0.0.1:{port}/", 1, lambda *_: None)
        with pytest.raises(OSError):
            await open_socket(f"ws://127.0.0.1:{port}/", 1, lambda *_: None)
        return refused.value

    refused = asyncio.run(main())
    assert (refused.status, refused.retry_after_s) == (429, 17.0)
