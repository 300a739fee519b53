"""Orders over a real socket: answered with the seq of a synced event, or not at all."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.errors import DataError
from data.events import Control
from engine.runtime import control_server as module
from engine.runtime.control_server import ACTS, DOOR, SOCKET, Act, ControlServer, ask


def serve(folder: Path, taken_s: float = 5.0) -> ControlServer:
    server = ControlServer(folder, lambda: {"session": "s1", "pid": 7}, taken_s)
    server.start()
    return server


@pytest.fixture(params=["unix", "port"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A session's folder: with a Unix socket, and with the port that stands in for one."""
    if request.param == "unix":
        if not hasattr(socket, "AF_UNIX"):
            pytest.skip("no Unix sockets here")
        monkeypatch.chdir(tmp_path)
        yield Path()
    else:
        monkeypatch.setattr(module, "PATH_MAX", 0)
        yield tmp_path


def pump(server: ControlServer, handle: Callable[[Act], None], acts: int = 1) -> threading.Thread:
    """A session that takes ``acts`` orders."""

    def run() -> None:
        left = acts
        while left:
            for act in server.take():
                handle(act)
                left -= 1
            time.sleep(0.005)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_an_order_is_answered_with_its_seq(folder: Path) -> None:
    server = serve(folder)
    seen: list[str] = []

    def handle(act: Act) -> None:
        seen.append(act.name)
        act.done(100 + len(seen), events=1)

    thread = pump(server, handle, len(ACTS))
    for n, name in enumerate(ACTS, 1):
        assert ask(folder, name) == {
            "schema": 1, "act": name, "ok": True, "seq": 100 + n, "events": 1,
        }  # fmt: skip
    thread.join()
    assert seen == list(ACTS)
    assert ask(folder, "who") == {"schema": 1, "ok": True, "session": "s1", "pid": 7}
    server.stop()


def test_it_waits_for_the_sync(folder: Path) -> None:
    server = serve(folder)
    held: list[Act] = []
    answers: list[dict[str, object]] = []
    thread = pump(server, held.append)
    client = threading.Thread(target=lambda: answers.append(ask(folder, "pause")))
    client.start()
    thread.join()
    time.sleep(0.1)
    assert not answers
    held[0].done(5)
    client.join()
    assert answers[0]["seq"] == 5
    server.stop()


def test_what_is_refused_and_what_is_uncertain(folder: Path) -> None:
    server = serve(folder, taken_s=0.1)
    assert "in time" in ask(folder, "flatten")["why"]
    pump(server, lambda act: act.refuse("no plans"), 2)
    assert ask(folder, "reload-plans")["why"] == "no plans"
    assert "no order" in ask(folder, "explode")["why"]
    server.stop()
    with pytest.raises(DataError, match="does not listen"):
        ask(folder, "who")
    assert not (folder / SOCKET).exists()
    assert not (folder / DOOR).exists()


def test_an_order_that_nobody_took_is_refused_at_the_end(folder: Path) -> None:
    server = serve(folder)
    answers: list[dict[str, object]] = []
    client = threading.Thread(target=lambda: answers.append(ask(folder, "stop")))
    client.start()
    deadline = time.monotonic() + 5
    while server._acts.empty() and time.monotonic() < deadline:
        time.sleep(0.005)
    server.stop()
    client.join()
    assert answers[0]["ok"] is False


def test_a_killed_session_leaves_a_door_that_the_next_one_replaces(folder: Path) -> None:
    first = serve(folder)
    first._end.set()
    first._thread.join()
    first._socket.close()
    with pytest.raises(DataError, match="does not listen"):
        ask(folder, "who")
    second = serve(folder)
    assert ask(folder, "who")["session"] == "s1"
    second.stop()


def test_only_its_user_can_open_the_door(folder: Path) -> None:
    before = os.umask(0)
    server = serve(folder)
    os.umask(before)
    door = folder / (DOOR if (folder / DOOR).exists() else SOCKET)
    if os.name != "nt":
        assert door.stat().st_mode & 0o077 == 0
    if door.name == DOOR:
        told = json.loads(door.read_text(encoding="utf-8"))
        with socket.create_connection(("127.0.0.1", told["port"])) as client:
            client.sendall(b'{"act": "stop", "token": "guess"}\n')
            assert "token" in json.loads(client.recv(4096))["why"]
        assert server.take() == []
    server.stop()


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b"x" * 9_000, b"7\n"])
def test_nonsense_is_no_order(folder: Path, line: bytes) -> None:
    server = serve(folder)
    with module._knock(folder) as (client, _token):
        client.sendall(line)
        assert json.loads(client.recv(4096))["ok"] is False
    assert server.take() == []
    server.stop()


def test_the_orders_are_the_control_events_of_the_log() -> None:
    codes = {name: [code for code, _ in events] for name, events in ACTS.items()}
    assert codes == {
        "pause": [Control.PAUSE], "resume": [Control.RESUME], "flatten": [Control.FLATTEN],
        "reload-plans": [], "stop": [Control.STOP],
    }  # fmt: skip
