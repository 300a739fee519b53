"""The worker process and the bridge: values, deadlines, deaths, secrets, two threads at once."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.broker import worker_main
from engine.broker.bridge import BridgeTerminal
from engine.broker.calls import (
    CallLostError,
    CallNotSentError,
    CallRaisedError,
    CallTimeoutError,
    Terminal,
)
from engine.broker.worker import Channel, FramedTerminal, WorkerTerminal, decoded
from engine.broker.worker_main import CALLS, SECRETS, frame, plain
from tests.engine.broker import scripted
from tests.engine.broker.terminal.modules import FACTS

ROOT = Path(__file__).parents[3]
MODULE = "tests.engine.broker.scripted"
TOKEN = "a token of the tests"
SECRET = "planted-Secret-4711"
PATHS = {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def bridge() -> Iterator[str]:
    """The address of a bridge to the scripted module."""
    command = [sys.executable, worker_main.__file__, "--module", MODULE, "--listen", "127.0.0.1:0"]
    env = os.environ | PATHS | {"OFS_BRIDGE_TOKEN": TOKEN}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["bridge"]
        process.kill()


@pytest.fixture(scope="module", params=["worker", "bridge"])
def terminal(request: pytest.FixtureRequest) -> Iterator[FramedTerminal]:
    """A terminal of each kind over the scripted module, one for all: it outlives its workers."""
    made: FramedTerminal
    if request.param == "worker":
        made = WorkerTerminal(MODULE, env=PATHS)
    else:
        made = BridgeTerminal(request.getfixturevalue("bridge"), TOKEN)
    yield made
    made.close()


def test_values_come_over_as_they_are(terminal: Terminal) -> None:
    tick = terminal.call("symbol_info_tick", "EURUSD", deadline_s=20)
    assert tick.value._asdict()["time_msc"] == tick.value.time_msc == 5001
    assert (tick.value.bid, tick.code, tick.text) == (1.5, 1, "Success")
    assert tick.began_ns > 0 and tick.took_ns > 0
    rows = terminal.call("copy_ticks_from", "EURUSD", 0, 2, -1, deadline_s=5).value
    assert rows.dtype == scripted.structs.TICKS and rows["bid"].tolist() == [1.25, 2.5]
    with pytest.raises(ValueError, match="read-only"):
        rows["bid"] = 0
    big = terminal.call("positions_get", ticket=1, deadline_s=5).value
    assert [(p.ticket, p.symbol) for p in big] == [(1, "é"), (2**63, "é")]
    sent = terminal.call("order_send", {"magic": 1 << 62, "volume": 0.1}, deadline_s=5).value
    assert (sent.retcode, sent.request.magic) == (10009, 1 << 62)


def test_none_is_not_empty_and_last_error_is_that_of_the_call(terminal: Terminal) -> None:
    assert terminal.call("orders_get", deadline_s=20).value == ()
    assert terminal.call("symbol_info_tick", "", deadline_s=5).value is None
    lost = terminal.call("account_info", deadline_s=5)
    assert (lost.value, lost.code, lost.text) == (None, -10004, "No IPC connection")


def test_a_missed_deadline_kills_and_the_next_call_has_a_new_process(
    terminal: FramedTerminal,
) -> None:
    first = terminal.call("version", deadline_s=20).value[1]
    began, restarts = time.monotonic(), terminal.restarts
    with pytest.raises(CallTimeoutError, match="symbols_total was not answered"):
        terminal.call("symbols_total", deadline_s=0.2)
    assert time.monotonic() - began < 5
    second = terminal.call("version", deadline_s=20).value[1]
    assert first != second and terminal.restarts == restarts + 1
    until = time.monotonic() + 5
    while alive(first) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(first)


def alive(pid: int) -> bool:
    """Whether a process runs (Linux; one that nobody waited for is dead too)."""
    status = Path(f"/proc/{pid}/stat")
    if not sys.platform.startswith("linux"):
        pytest.skip("processes are looked at in /proc")
    return status.exists() and status.read_text(encoding="utf-8").rsplit(")")[-1].split()[0] != "Z"


def test_a_death_under_a_call_is_an_unknown_outcome(terminal: FramedTerminal) -> None:
    with pytest.raises(CallLostError, match="answer to shutdown was lost") as error:
        terminal.call("shutdown", deadline_s=20)
    assert not isinstance(error.value, CallTimeoutError)
    assert terminal.call("orders_get", deadline_s=20).value == ()


def test_what_the_module_raises_is_told_without_the_password(terminal: Terminal) -> None:
    with pytest.raises(CallRaisedError, match="login raised ValueError") as error:
        terminal.call("login", 7, password=SECRET, server="S", deadline_s=20)
    assert "7: *** is not right at S" in str(error.value) and SECRET not in str(error.value)
    with pytest.raises(CallRaisedError) as error:
        terminal.call("login", 7, SECRET, deadline_s=5)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("name", ["time", "__doc__", "os", "Buy", "_RawOrder"])
def test_nothing_else_can_be_called(terminal: Terminal, name: str) -> None:
    with pytest.raises(CallRaisedError, match="AttributeError"):
        terminal.call(name, deadline_s=20)


def test_two_threads_wait_for_each_other_within_their_deadlines(terminal: Terminal) -> None:
    terminal.call("version", deadline_s=20)
    wrong = []

    def many(symbol: str, expected: object) -> None:
        for _ in range(200):
            value = terminal.call("symbol_info_tick", symbol, deadline_s=20).value
            if (value is not None) != expected:
                wrong.append(value)

    threads = [threading.Thread(target=many, args=a) for a in (("x", True), ("", False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_who_waits_too_long_for_another_call_has_not_sent(terminal: FramedTerminal) -> None:
    terminal.call("version", deadline_s=20)

    def hang() -> None:
        with pytest.raises(CallTimeoutError):
            terminal.call("symbols_total", deadline_s=0.5)

    other = threading.Thread(target=hang)
    other.start()
    time.sleep(0.2)
    with pytest.raises(CallNotSentError, match="order_send was not called within"):
        terminal.call("order_send", {"magic": 1}, deadline_s=0.1)
    other.join()


def test_a_module_that_is_not_there_is_told() -> None:
    with pytest.raises(CallNotSentError, match="worker did not start") as error:
        WorkerTerminal("no_such_package").call("version", deadline_s=5)
    assert "ModuleNotFoundError" in error.value.why and error.value.do
    with pytest.raises(CallNotSentError, match="worker did not start"):
        WorkerTerminal(MODULE, python="/no/such/python").call("version", deadline_s=5)


def test_the_worker_ends_with_its_master() -> None:
    terminal = WorkerTerminal(MODULE, env=PATHS)
    pid = terminal.call("version", deadline_s=20).value[1]
    assert terminal.pid == pid
    terminal.close()
    assert not alive(pid) and terminal.pid == 0


@pytest.mark.skipif(os.name != "posix", reason="processes are sent signals")
def test_an_interrupt_from_the_keyboard_is_left_to_the_master() -> None:
    terminal = WorkerTerminal(MODULE, env=PATHS)
    pid = terminal.call("version", deadline_s=20).value[1]
    for _ in range(3):
        os.kill(pid, signal.SIGINT)
        assert terminal.call("version", deadline_s=5).value[1] == pid
    terminal.close()


def test_nothing_that_is_seen_of_a_worker_has_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, SECRET)
    terminal = WorkerTerminal(MODULE, env=PATHS)
    with pytest.raises(CallRaisedError):
        terminal.call("login", 7, password=SECRET, deadline_s=20)
    if not sys.platform.startswith("linux"):
        pytest.skip("command lines are looked at in /proc")
    line = Path(f"/proc/{terminal.pid}/cmdline").read_bytes()
    around = Path(f"/proc/{terminal.pid}/environ").read_bytes()
    assert b"worker_main" in line and b"PATH=" in around
    assert SECRET.encode() not in line + around
    terminal.close()


# --- the bridge's own


def test_a_wrong_token_is_refused_by_both_sides(bridge: str) -> None:
    with pytest.raises(CallNotSentError, match="bridge to the terminal cannot be used"):
        BridgeTerminal(bridge, "another token of the tests").call("version", deadline_s=5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=impostor, args=(server,))
        thread.start()
        with pytest.raises(CallNotSentError, match="cannot be used") as error:
            BridgeTerminal(address, TOKEN).call("version", deadline_s=5)
        thread.join()
    assert TOKEN not in str(error.value)


def impostor(server: socket.socket) -> None:
    """A bridge that does not know the token and says that all is well."""
    connection, _ = server.accept()
    with connection:
        connection.sendall(frame({"bridge": 1, "challenge": "00"}))
        said = connection.recv(4096)
        assert TOKEN.encode() not in said
        connection.sendall(frame({"proof": "00" * 32}))


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(CallNotSentError, match="cannot be used"):
        BridgeTerminal(address, TOKEN).call("version", deadline_s=5)


def test_a_bridge_without_a_good_token_does_not_start() -> None:
    command = [sys.executable, worker_main.__file__, "--listen", "127.0.0.1:0"]
    for token in ("", "short"):
        env = os.environ | {"OFS_BRIDGE_TOKEN": token}
        run = subprocess.run(command, env=env, capture_output=True, check=False, timeout=20)
        assert run.returncode == 3 and b"at least 16 letters" in run.stderr


def test_several_clients_have_a_process_each(bridge: str) -> None:
    one, two = BridgeTerminal(bridge, TOKEN), BridgeTerminal(bridge, TOKEN)
    pids = {t.call("version", deadline_s=20).value[1] for t in (one, two)}
    assert len(pids) == 2
    with pytest.raises(CallTimeoutError):
        one.call("symbols_total", deadline_s=0.1)
    assert two.call("version", deadline_s=5).value[1] in pids
    one.close()
    two.close()


# --- the script by itself


def test_the_script_needs_nothing_but_python() -> None:
    text = Path(worker_main.__file__).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    named |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in named} <= sys.stdlib_module_names


def test_it_can_call_every_function_of_the_package_and_no_other() -> None:
    assert set(FACTS["functions"]) - {"Buy", "Sell", "Close", "_RawOrder"} == CALLS


class Said(Channel):
    """A worker that greets well and then says what it is told to."""

    def __init__(self, bodies: list[bytes | None]) -> None:
        self.bodies = [json.dumps({"hello": {"protocol": 1}}).encode(), *bodies]
        self.killed = 0

    def send(self, data: bytes) -> None: ...

    def receive(self, seconds: float) -> bytes | None:
        return self.bodies.pop(0)

    def kill(self) -> str:
        self.killed += 1
        return ""

    def close(self) -> None: ...


class Scripted(FramedTerminal):
    """A terminal whose worker is a list of what it says."""

    def __init__(self, *bodies: bytes | None) -> None:
        super().__init__()
        self.said = Said(list(bodies))

    def _open(self) -> Channel:
        return self.said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "value", "error", "raised", "struct", "fields", "values", "rows", "tuple", "array"]
    ), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(body=st.binary(max_size=40) | JSON.map(lambda v: json.dumps(v).encode()) | st.none())
def test_what_cannot_be_read_is_a_lost_answer(body: bytes | None) -> None:
    check_lost(body)


@given(parts=st.dictionaries(st.sampled_from(["value", "error", "raised", "took_ns"]), JSON))
def test_half_an_answer_is_a_lost_answer(parts: dict[str, object]) -> None:
    check_lost(json.dumps({"id": 1, "began_ns": 1, **parts}).encode())


def check_lost(body: bytes | None) -> None:
    """A call whose answer is ``body`` answers, is lost, or raised; nothing else comes out."""
    terminal = Scripted(body)
    try:
        terminal.call("version", deadline_s=1)
    except CallLostError:
        assert terminal.said.killed == 1
    except CallRaisedError:
        assert body is not None and b"raised" in body


def test_an_answer_to_another_request_is_not_taken() -> None:
    other = json.dumps({"id": 7, "value": 1, "error": [1, ""], "began_ns": 1, "took_ns": 1})
    terminal = Scripted(other.encode())
    with pytest.raises(CallLostError, match="answer to version was lost"):
        terminal.call("version", deadline_s=1)
    assert terminal.said.killed == 1


@pytest.mark.parametrize("hello", [b"", b"[]", b'{"hello": {"protocol": 99}}', b'{"hello": []}'])
def test_a_worker_of_another_version_is_not_used(hello: bytes) -> None:
    terminal = Scripted()
    terminal.said.bodies = [hello]
    with pytest.raises(CallNotSentError, match="did not start"):
        terminal.call("version", deadline_s=1)
    assert terminal.said.killed == 1


@pytest.mark.parametrize("value", [None, True, 0, -1, 2**64 - 1, 1.5, "x", (), (1, "a", (2.0,))])
def test_plain_values_survive(value: object) -> None:
    again = decoded(json.loads(json.dumps(plain(value))))
    assert again == value and type(again) is type(value)


def test_arrays_survive() -> None:
    rows = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i8"), ("b", "<f8")])
    again = decoded(json.loads(json.dumps(plain(rows))))
    assert again.dtype == rows.dtype and again.tolist() == rows.tolist()
