"""Orders to a running session: pause, resume, flatten, reload-plans, stop.

Owns the socket in the session's folder, the words that go over it, and both ends. A Unix socket
that only its user can open; where there is none (Windows, or a path that is too long for one) a
port on this machine whose number and token stand in a file that only its user can read. What must
hold: an order is answered with the ``seq`` of its control event, and only once that event is
synced; what no session took in time is said to be uncertain, never to have failed.

It refuses to know what an order does: the session takes :class:`Act` and answers it.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Event, Thread
from typing import Any

from data.errors import DataError
from data.events import Control
from data.private import FILE, keep_private

ACTS: dict[str, tuple[tuple[int, int], ...]] = {
    "pause": ((int(Control.PAUSE), 0),),
    "resume": ((int(Control.RESUME), 0),),
    "flatten": ((int(Control.FLATTEN), 0),),
    "reload-plans": (),
    "stop": ((int(Control.STOP), 0),),
}
"""Orders and their control events, (code, value) each; those of ``reload-plans`` are the session's
to make, from the file of plans."""

SOCKET = "control.sock"
DOOR = "control.json"
"""Says host, port and token where there is no Unix socket."""
PATH_MAX = 100
"""Longest path of a Unix socket, bytes; systems take 104 to 108."""
LINE_MAX = 4096
CLIENTS_MAX = 8
TAKEN_S = 30.0
"""How long an order may wait for its answer, seconds."""
_UNCERTAIN = "the session did not answer in time; whether it was done shows in its log"


class Act:
    """An order: the session calls :meth:`done` once its event is synced, or :meth:`refuse`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._answer: dict[str, Any] = {}
        self._answered = Event()

    def done(self, seq: int, **facts: Any) -> None:
        """The control event is ``seq``, and synced; ``facts`` are told to whoever asked."""
        self._answer = {"ok": True, "seq": seq, **facts}
        self._answered.set()

    def refuse(self, why: str) -> None:
        """Nothing was done, because of ``why``."""
        self._answer = {"ok": False, "why": why}
        self._answered.set()

    def wait(self, timeout_s: float) -> dict[str, Any]:
        """The answer."""
        if not self._answered.wait(timeout_s):
            return {"ok": False, "why": _UNCERTAIN}
        return self._answer


class ControlServer:
    """Listens in ``folder``; :meth:`take` gives the orders that came.

    ``who`` tells about the session (a JSON object) to whoever asks which one this is.
    """

    def __init__(
        self, folder: Path, who: Callable[[], dict[str, Any]], taken_s: float = TAKEN_S
    ) -> None:
        self.failures = 0
        self._folder, self._who, self._taken_s = folder, who, taken_s
        self._token = ""
        self._acts: SimpleQueue[Act] = SimpleQueue()
        self._room = BoundedSemaphore(CLIENTS_MAX)
        self._end = Event()
        self._socket = self._listen()
        self._thread = Thread(target=self._run, name="control", daemon=True)

    def _listen(self) -> socket.socket:
        _close_door(self._folder)
        path = self._folder / SOCKET
        if hasattr(socket, "AF_UNIX") and len(os.fsencode(path)) <= PATH_MAX:
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(str(path))
            keep_private(path)
        else:
            listening = socket.socket()
            listening.bind(("127.0.0.1", 0))
            self._token = secrets.token_urlsafe(24)
            door = {"schema": 1, "port": listening.getsockname()[1], "token": self._token}
            _write_private(self._folder / DOOR, json.dumps(door))
        listening.listen(CLIENTS_MAX)
        listening.settimeout(0.2)
        return listening

    def start(self) -> None:
        """Begin to listen, on a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close the door; orders that nobody took are refused."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        for act in self.take():
            act.refuse("the session has ended")
        _close_door(self._folder)

    def take(self) -> list[Act]:
        """Orders since the last call, in order; each must be answered."""
        acts = []
        with suppress(Empty):
            while True:
                acts.append(self._acts.get_nowait())
        return acts

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                self.failures += 1
                self._end.wait(0.2)  # too many open files, say: it may pass
                continue
            if self._room.acquire(blocking=False):
                Thread(target=self._serve, args=(client,), daemon=True).start()
            else:
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(5)
                answer = self._answer(_read_line(client))
                client.sendall(json.dumps({"schema": 1, **answer}).encode() + b"\n")
        except OSError:
            self.failures += 1  # the client left; its order stands
        finally:
            self._room.release()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            name, token = str(asked["act"]), str(asked.get("token", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"ok": False, "why": "that is no order"}
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return {"ok": False, "why": "the token is wrong"}
        if name == "who":
            return {"ok": True, **self._who()}
        if name not in ACTS:
            return {"ok": False, "why": f"there is no order {name!r}"}
        act = Act(name)
        self._acts.put(act)
        return {"act": name, **act.wait(self._taken_s)}


def ask(folder: Path, act: str, timeout_s: float = TAKEN_S + 5) -> dict[str, Any]:
    """Give the session in ``folder`` an order (or ask ``who`` it is) and return its answer.

    DataError where no session listens there.
    """
    try:
        with _knock(folder) as (server, token):
            server.settimeout(timeout_s)
            server.sendall(json.dumps({"schema": 1, "act": act, "token": token}).encode() + b"\n")
            answer = json.loads(_read_line(server))
    except (OSError, ValueError) as error:
        raise DataError(
            "the session does not listen",
            where=str(folder),
            why=f"it has ended, or cannot be reached: {error}",
            do="`ofs runs` lists what it published; start it again to go on",
        ) from error
    if not isinstance(answer, dict):
        raise DataError("the session gave no answer", where=str(folder), do="look into its log")
    return answer


@contextmanager
def _knock(folder: Path) -> Iterator[tuple[socket.socket, str]]:
    """A connection to the session in a folder, and the token that it wants."""
    door = folder / DOOR
    if door.is_file():
        found = json.loads(door.read_text(encoding="utf-8"))
        with socket.create_connection(("127.0.0.1", int(found["port"])), 5) as server:
            yield server, str(found["token"])
    elif hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(5)
            server.connect(str(folder / SOCKET))
            yield server, ""
    else:
        raise FileNotFoundError(str(door))


def _read_line(connection: socket.socket) -> bytes:
    """Up to the first newline; what is longer than LINE_MAX is cut."""
    line = b""
    while b"\n" not in line and len(line) < LINE_MAX:
        more = connection.recv(LINE_MAX - len(line))
        if not more:
            break
        line += more
    return line


def _write_private(path: Path, text: str) -> None:
    """A file that only its user can read, from its first byte on."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE)
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _close_door(folder: Path) -> None:
    """Remove what a session, or a killed one, left to knock at."""
    for name in (SOCKET, DOOR):
        (folder / name).unlink(missing_ok=True)
