"""Frames, the socket with its faults, and the GIL that a waiting call does not let go."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.broker.terminal import wire
from engine.broker.terminal.client import Terminal
from engine.broker.terminal.endpoint import NoTerminalError, connect_sandbox, sandbox_address
from engine.broker.terminal.wire import FrameReader, LinkError, Reply, SocketLink


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Address of a server in a process of its own."""
    command = [sys.executable, "-m", "tests.engine.broker.terminal.wire_server"]
    root = Path(__file__).parents[4]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.fixture
def link(address: str) -> Iterator[SocketLink]:
    made = SocketLink(address)
    yield made
    made.close()


# --- frames

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text()
    | st.integers(-(2**63), 2**64 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)  # fmt: skip


@given(VALUES, st.lists(st.integers(1, 50), max_size=5))
def test_a_reply_survives_any_cutting_of_its_bytes(value: Any, cuts: list[int]) -> None:
    replies = [Reply(value), Reply.failed(-1), Reply({"time": np.arange(3), "bid": np.ones(3)})]
    data = b"".join(wire.encode_reply("call", reply) for reply in replies)
    reader, got = FrameReader(), []
    while data:
        size = cuts.pop() if cuts else len(data)
        reader.feed(data[:size])
        data = data[size:]
        while (frame := reader.frame()) is not None:
            got.append(wire.decode_reply(*frame))
    assert [name for name, _ in got] == ["call"] * 3
    assert got[0][1] == replies[0] and got[1][1].error == (-1, "Terminal: Call failed")
    columns = got[2][1].value
    assert columns["time"].dtype == np.int64 and columns["bid"].tolist() == [1.0, 1.0, 1.0]
    assert reader.frame() is None and reader.wanted == 12


def test_what_is_no_frame_is_refused() -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"OFT1" + b"\xff" * 8):
        reader = FrameReader()
        reader.feed(data)
        with pytest.raises(ValueError, match="not a frame"):
            reader.frame()


# --- the socket


def test_values_columns_and_errors_cross(link: SocketLink) -> None:
    value = {"magic": 2**64 - 1, "price": 0.1 + 0.2, "comment": "é\U0001f600", "list": [None, True]}
    assert link.call("echo", {"value": value}).value == value
    rows = link.call("rows", {"rows": 200_000}).value
    assert rows["flags"].dtype == np.uint32 and rows["bid"][-1] == 199_999 * 0.1
    assert link.call("rows", {"rows": 0}).value["time"].shape == (0,)
    assert link.call("fail", {"code": -8}).error[0] == -8


def test_a_late_answer_is_waited_for(link: SocketLink) -> None:
    began = time.monotonic()
    assert link.call("echo", {"value": 1, "fault": "delay", "after_s": 0.2}).value == 1
    assert time.monotonic() - began >= 0.19


def test_a_broken_pipe_was_a_call_that_arrived(address: str, link: SocketLink) -> None:
    before = SocketLink(address).call("calls", {}).value
    with pytest.raises(LinkError) as broken:
        link.call("echo", {"fault": "pipe_death", "after_s": 0.05})
    assert broken.value.code == -10002
    with pytest.raises(LinkError) as gone:
        link.call("echo", {})
    assert gone.value.code == -10001, "nothing was sent"
    assert SocketLink(address).call("calls", {}).value == before + 2


def test_a_double_answer_shifts_those_that_follow(link: SocketLink) -> None:
    assert link.call("echo", {"value": 1, "fault": "duplicate"}).value == 1
    assert link.call("echo", {"value": 2}).value == 1
    assert link.call("echo", {"value": 3}).value == 2
    with pytest.raises(LinkError) as out_of_step:
        link.call("calls", {})
    assert out_of_step.value.code == -10002


HANGS = """
import sys
from engine.broker.terminal.wire import SocketLink
print("calls", flush=True)
SocketLink(sys.argv[1]).call("echo", {"fault": "hang"})
print("answered", flush=True)
"""


def test_a_hang_ends_with_the_process_alone(address: str) -> None:
    command = [sys.executable, "-c", HANGS, address]
    root = Path(__file__).parents[4]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None and process.stdout.readline() == "calls\n"
        time.sleep(0.3)
        assert process.poll() is None
        process.kill()
        assert process.stdout.read() == ""
    assert SocketLink(address).call("echo", {"value": 5}).value == 5, "others are served on"


def test_calls_of_several_threads_get_their_own_answers(address: str) -> None:
    shared, got = SocketLink(address), {}

    def ask(number: int) -> None:
        got[number] = [shared.call("echo", {"value": (number, i)}).value for i in range(50)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: [[number, i] for i in range(50)] for number in range(4)}


def turns_during(link: SocketLink) -> int:
    """How often another thread came round while a call waited for 0.3 s."""
    turns, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            turns[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = turns[0]
        link.call("echo", {"fault": "delay", "after_s": 0.3})
        return turns[0] - before
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(os.name != "posix", reason="the stand-in lets the GIL go on Windows")
def test_no_other_thread_moves_while_a_call_waits(address: str) -> None:
    held = turns_during(SocketLink(address))
    free = turns_during(SocketLink(address, hold_gil=False))
    assert held <= 5 and free >= 20 + held, (held, free)


def test_a_client_that_speaks_something_else_is_let_go(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as strange:
        strange.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert strange.recv(10) == b""


# --- where the sandbox is


def test_the_address_comes_from_the_path_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = tmp_path / "sandbox.json"
    line.write_text('{"schema": 1, "terminal": "127.0.0.1:5"}\nmore\n', encoding="utf-8")
    monkeypatch.delenv("OFS_SANDBOX", raising=False)
    with pytest.raises(NoTerminalError, match="MetaTrader 5 x64 not found"):
        sandbox_address(None)
    for named in ("localhost:7", str(line)):
        monkeypatch.setenv("OFS_SANDBOX", named)
        wanted = "localhost:7" if named != str(line) else "127.0.0.1:5"
        assert sandbox_address(None) == wanted == sandbox_address(named)
    assert sandbox_address("127.0.0.1:9") == "127.0.0.1:9", "a path wins"


def test_what_leads_nowhere_fails_as_a_terminal_that_is_not_there(tmp_path: Path) -> None:
    bad = [tmp_path / name for name in ("none.json", "text.json", "other.json", "list.json")]
    for path, text in zip(bad[1:], ("no json", '{"terminal": 5}', "[1]"), strict=True):
        path.write_text(text, encoding="utf-8")
    for path in bad:
        mt5 = Terminal()
        assert mt5.initialize(str(path)) is False
        assert mt5.last_error() == (
            -10003,
            f"IPC initialize failed, Process create failed '{path}'",
        )
    for nobody in ("127.0.0.1:1", "127.0.0.1:99999"):
        with pytest.raises(NoTerminalError, match=r"CreateFile failed \[\d+\]"):
            connect_sandbox(nobody)


def test_the_module_works_over_a_socket(address: str) -> None:
    mt5 = Terminal()
    for _ in range(2):
        assert mt5.initialize(address) and mt5.last_error() == (1, "Success")
        assert mt5.positions_total() > 0
    assert mt5.shutdown() and mt5.positions_total() is None
