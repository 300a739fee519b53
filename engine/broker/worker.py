"""A terminal in a process of its own, which can be timed out, killed and replaced.

Owns the client's side of the worker's protocol: requests and answers with a number each, one call
at a time, a deadline for each, and the named tuples and arrays that come back. The package holds
the interpreter's lock while it waits and knows no timeout, so nothing in this process may call it.

What must hold: a missed deadline kills the process and raises CallTimeoutError; the next call
starts another, which is not connected to anything yet (it answers -10004 until ``initialize``). An
answer is only ever taken for the request whose number it carries. No error tells an argument.
It refuses to know what a call means.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import queue
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from engine.broker.calls import (
    Answer,
    CallLostError,
    CallNotSentError,
    CallRaisedError,
    CallTimeoutError,
)
from engine.broker.worker_main import PROTOCOL, SECRETS, frame, read_frame

START_S = 60.0
"""A worker has this long to import its module, seconds."""

CLOSE_S = 2.0
"""A worker that is let go has so long to end by itself, seconds."""

KILL_S = 5.0
"""A killed worker is waited for so long, seconds; a system may be slow to end it."""

_ROOT = Path(__file__).parents[2]


class Channel(ABC):
    """Frames to one worker and back."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send a whole frame; OSError where the other end is gone (nothing of it was read)."""

    @abstractmethod
    def receive(self, seconds: float) -> bytes | None:
        """The next frame's body, None where the worker is gone; TimeoutError after ``seconds``."""

    @abstractmethod
    def kill(self) -> str:
        """End the worker at once; words on how it had ended, if it had."""

    @abstractmethod
    def close(self) -> None:
        """Let the worker end by itself."""


class FramedTerminal(ABC):
    """What a worker's pipe and a bridge's socket share: a :class:`engine.broker.calls.Terminal`.

    ``clock`` gives ns UTC, ``sleep`` waits seconds; a session that runs in another time passes its
    own. Calls of several threads wait for each other, within the deadline of each.
    """

    def __init__(
        self,
        clock: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
        start_s: float = START_S,
    ) -> None:
        self.restarts = 0
        self.round_trip_ns = 0
        self.greeting: dict[str, Any] = {}
        self._clock = clock
        self._sleep = sleep
        self._start_s = start_s
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._started = 0
        self._number = 0

    @abstractmethod
    def _open(self) -> Channel:
        """A channel to a new worker; BrokerGoneError where there is none to be had."""

    def now_ns(self) -> int:
        """Time now, ns UTC."""
        return self._clock()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._sleep(seconds)

    def call(self, name: str, *args: Any, deadline_s: float, **kwargs: Any) -> Answer:
        """See :meth:`engine.broker.calls.Terminal.call`."""
        until = time.monotonic() + deadline_s
        if not self._lock.acquire(timeout=deadline_s):
            raise CallNotSentError(
                f"{name} was not called within {deadline_s:g} s",
                why="another call to the terminal was still under way",
                do="look why it takes so long, or give this caller a worker of its own",
            )
        try:
            if self._channel is None:
                self._begin()
                until = time.monotonic() + deadline_s
            return self._exchange(name, args, kwargs, until, deadline_s)
        finally:
            self._lock.release()

    def _begin(self) -> None:
        """Start a worker and hear its greeting."""
        channel = self._open()
        try:
            body = channel.receive(self._start_s)
        except OSError:  # a TimeoutError is one too
            body = None
        hello = _object(body).get("hello")
        hello = hello if isinstance(hello, dict) else {}
        if hello.get("protocol") != PROTOCOL or "failed" in hello:
            how = channel.kill()
            raise CallNotSentError(
                "the terminal's worker did not start",
                where=str(hello.get("module", "")),
                why=str(hello.get("failed", how or "it said nothing that this version knows")),
                do="install the package for the Python that runs the worker, or use a bridge",
            )
        self.greeting = hello
        self._channel = channel
        self._started += 1
        self.restarts = self._started - 1

    def _exchange(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], until: float,
        deadline_s: float,
    ) -> Answer:  # fmt: skip
        """One request and its answer."""
        channel = self._channel
        assert channel is not None
        self._number += 1
        request = {"id": self._number, "call": name, "args": args, "kwargs": kwargs}
        began = time.monotonic_ns()
        try:
            channel.send(frame(request))
        except OSError:
            raise CallNotSentError(f"{name} was not called", why=self._drop()) from None
        try:
            body = channel.receive(max(0.0, until - time.monotonic()))
        except TimeoutError:
            self._drop()
            raise CallTimeoutError(
                f"{name} was not answered within {deadline_s:g} s",
                why="the terminal hangs or the server is slow; its worker was killed",
                do="what was asked may have been done: read positions, orders and deals",
            ) from None
        except OSError:
            body = None
        said = _object(body)
        if said.get("id") != self._number:
            raise self._lost(name, "the worker ended, or answered another request")
        self.round_trip_ns = time.monotonic_ns() - began
        try:
            return self._read(name, said)
        except (KeyError, TypeError, ValueError):
            raise self._lost(name, "the worker's answer is of no version that is known") from None

    def _lost(self, name: str, why: str) -> CallLostError:
        """The error of an answer that cannot be had; its worker is of no more use."""
        return CallLostError(
            f"the answer to {name} was lost",
            why=self._drop() or why,
            do="what was asked may have been done: read positions, orders and deals",
        )

    def _read(self, name: str, said: dict[str, Any]) -> Answer:
        """An answer as its caller wants it."""
        if "raised" in said:
            kind, text = said["raised"]
            raise CallRaisedError(f"{name} raised {kind}", why=str(text))
        code, text = said["error"]
        return Answer(
            decoded(said["value"]), int(code), str(text), said["began_ns"], said["took_ns"]
        )

    def _drop(self) -> str:
        """Kill the worker; how it had ended, in words."""
        channel, self._channel = self._channel, None
        return channel.kill() if channel is not None else ""

    def close(self) -> None:
        """Let the worker end; a later call starts another."""
        with self._lock:
            channel, self._channel = self._channel, None
            if channel is not None:
                channel.close()


class WorkerTerminal(FramedTerminal):
    """A module in a worker process of this machine.

    ``module`` is what the worker imports (``MetaTrader5``, or ``engine.broker.terminal``), ``env``
    what its environment has besides ours, ``python`` the interpreter that runs it.
    """

    def __init__(
        self,
        module: str = "MetaTrader5",
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        self.module = module
        self._env = dict(env or {})
        self._python = python

    @property
    def pid(self) -> int:
        """Process id of the worker, 0 where none runs."""
        return self._channel.pid if isinstance(self._channel, _Pipe) else 0

    def _open(self) -> Channel:
        """A new worker process."""
        env = {k: v for k, v in os.environ.items() if k not in SECRETS} | self._env
        if self.module.startswith("engine."):
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), env.get("PYTHONPATH")]))
        main = Path(__file__).with_name("worker_main.py")
        try:
            return _Pipe([self._python, str(main), "--module", self.module], env)
        except OSError as error:
            raise CallNotSentError(
                "the terminal's worker did not start",
                where=self._python,
                why=str(error.strerror),
                do="name a Python that can be run",
            ) from None


class _Pipe(Channel):
    """A child process and its two pipes. A thread reads, because a pipe cannot be waited for with
    a timeout on every system."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=dict(env), bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._process.pid
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._listen, name="terminal-worker", daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        """Read frames until the process ends."""
        assert self._process.stdout is not None
        # buffered: head and body of an answer come with one wait, mostly
        with io.BufferedReader(self._process.stdout) as stdout:  # type: ignore[type-var]
            while True:
                try:
                    body = read_frame(stdout)
                except (OSError, ValueError):
                    body = None
                self._frames.put(body)
                if body is None:
                    return

    def send(self, data: bytes) -> None:
        """See :meth:`Channel.send`; a request is far shorter than what a pipe holds."""
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) or 0 :]

    def receive(self, seconds: float) -> bytes | None:
        """See :meth:`Channel.receive`."""
        try:
            return self._frames.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    def kill(self) -> str:
        """See :meth:`Channel.kill`."""
        ended = self._process.poll()
        self._process.kill()
        self._end()
        return "" if ended is None else f"the worker ended with exit code {ended}"

    def close(self) -> None:
        """See :meth:`Channel.close`; one that does not end by itself is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()

    def _end(self) -> None:
        """Reap the process and let go of its pipes."""
        assert self._process.stdin is not None
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that the system cannot end yet
            self._process.wait(KILL_S)
        with contextlib.suppress(OSError):  # what could not be flushed has nobody to read it
            self._process.stdin.close()
        self._reader.join(KILL_S)


def _object(body: bytes | None) -> dict[str, Any]:
    """A frame's JSON object; empty for anything else."""
    try:
        said = json.loads(body) if body is not None else None
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


@lru_cache(maxsize=256)
def _tuple_type(name: str, fields: tuple[str, ...]) -> Any:
    """The named tuple that stands for a structure."""
    return namedtuple(name, fields)


def decoded(value: Any) -> Any:
    """What ``worker_main.plain`` made of a value, turned back; arrays are read-only.
    ValueError, KeyError or TypeError for anything else."""
    if not isinstance(value, dict):
        return value
    if "struct" in value:
        kind = _tuple_type(value["struct"], tuple(value["fields"]))
        return kind._make(decoded(v) for v in value["values"])
    if "structs" in value:
        kind = _tuple_type(value["structs"], tuple(value["fields"]))
        return tuple(kind._make(decoded(v) for v in row) for row in value["rows"])
    if "tuple" in value:
        return tuple(decoded(v) for v in value["tuple"])
    if "array" in value:
        dtype = np.dtype([(name, form) for name, form in value["array"]])
        return np.frombuffer(base64.b64decode(value["bytes"]), dtype=dtype)
    raise ValueError("the worker's answer is of another version of the protocol")
