"""Starts ``ofs`` in a process of its own without paying a second of imports each time.

A server, itself a fresh process, has loaded ofs and its libraries and called nothing; each command
is a fork of it: a process with its own environment, folder, streams, signals and exit code. What a
fork does not prove (what a start loads and says, memory, the hash seed, the JIT switched off, a
cold cache) is proved by processes started in the ordinary way: :func:`can_fork` sends them there,
and whoever asks for a fresh one.

Run as a module it is the server: requests come as lines of JSON on the socket whose descriptor is
its argument.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

LIBRARIES = ("pyarrow.compute", "pyarrow.parquet", "duckdb", "numba", "data.query",
             "data.log.store", "engine.report.report")  # fmt: skip
"""Loaded ahead, with all modules of :data:`PACKAGES`. Those that have threads once they are loaded
(OpenBLAS, jemalloc) start them again in a fork."""

PACKAGES = ("cli", "engine.runtime", "strategies")

EARLY = ("PYTHON", "NUMBA_", "LD_", "ARROW_", "OFS_CACHE")
"""Beginnings of variables that are read while something is loaded."""


def can_fork(env: dict[str, str]) -> bool:
    """Whether a command with ``env`` may be a fork of a process with the environment of tests."""
    return sys.platform == "linux" and _read_early(env) == _read_early(_server_environment())


def _read_early(env: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in env.items() if k.startswith(EARLY)}


def _server_environment() -> dict[str, str]:
    from tests.cli.run import environment

    return environment(Path(tempfile.gettempdir()))


class Forks:
    """The server, as a test sees it; one command at a time."""

    def __init__(self) -> None:
        assert sys.platform == "linux"
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.forks", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=_server_environment(),
            )  # fmt: skip
        self._lines = ours.makefile("rw", encoding="utf-8")
        self._socket = ours
        self._lock = threading.Lock()

    def run(
        self, words: list[str], env: dict[str, str], cwd: Path, stdin: str | None, timeout_s: float
    ) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of ``ofs`` with ``words``.

        TimeoutExpired where it takes longer than ``timeout_s``; it is killed then.
        """
        assert sys.platform == "linux"
        with self._lock, tempfile.TemporaryDirectory() as folder:
            streams = [str(Path(folder) / name) for name in ("in", "out", "err")]
            Path(streams[0]).write_text(stdin or "", encoding="utf-8")
            request = {"words": words, "env": env, "cwd": str(cwd), "streams": streams}
            self._lines.write(json.dumps(request) + "\n")
            self._lines.flush()
            pid = int(self._lines.readline())
            timer = threading.Timer(timeout_s, os.kill, (pid, signal.SIGKILL))
            timer.start()
            try:
                code = int(self._lines.readline())
            finally:
                alive = timer.is_alive()
                timer.cancel()
            if not alive:
                raise subprocess.TimeoutExpired(words, timeout_s)
            out, err = (Path(s).read_text(encoding="utf-8") for s in streams[1:])
        return code, out, err


@cache
def forks() -> Forks:
    """The server of this process; it ends when this process does."""
    return Forks()


def _become(request: dict[str, Any]) -> None:
    """Turn this fork into the process that was asked for; it never returns."""
    for descriptor, path in enumerate(request["streams"]):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["ofs", *request["words"]]
    from cli.main import main

    code: Any = 1
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code
    # what an interpreter does at its end, but for freeing what the server has loaded
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _load() -> None:
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    for name in LIBRARIES:
        importlib.import_module(name)
    from numba.core.registry import cpu_target

    cpu_target.typing_context.refresh()  # half a second, at the first compiled function
    cpu_target.target_context.refresh()


def serve(descriptor: int) -> None:
    """Answer requests until the other end is closed; returns in no fork."""
    assert sys.platform == "linux"
    _load()
    line = socket.socket(fileno=descriptor)
    lines = line.makefile("rw", encoding="utf-8")
    while request := lines.readline():
        pid = os.fork()
        if pid == 0:
            line.detach()
            os.close(descriptor)
            _become(json.loads(request))
        lines.write(f"{pid}\n")
        lines.flush()
        _, status = os.waitpid(pid, 0)
        lines.write(f"{os.waitstatus_to_exitcode(status)}\n")
        lines.flush()


if __name__ == "__main__":
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")  # as cli.main does
    serve(int(sys.argv[1]))
