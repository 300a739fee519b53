"""``ofs control``: which session is meant, what it answers, and what is told of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.control import ORDERS
from data.live.session_folder import SessionFolder
from engine.runtime.control_server import ACTS, Act, ControlServer
from tests.cli.conftest import Ofs


class Session:
    """A session that answers orders."""

    def __init__(self, runs: Path, name: str, handle: Callable[[Act], None]) -> None:
        self.folder = SessionFolder.create(runs, "paper", name, {})
        self.server = ControlServer(self.folder.path, lambda: {"session": self.folder.id})
        self.server.start()
        self._handle = handle
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            for act in self.server.take():
                self._handle(act)
            time.sleep(0.005)

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        self.server.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    begun: list[Session] = []

    def make(name: str, handle: Callable[[Act], None] = lambda act: act.done(7)) -> Session:
        begun.append(Session(tmp_path / "runs", name, handle))
        return begun[-1]

    yield make
    for session in begun:
        session.stop()


def test_the_words_are_those_of_the_server() -> None:
    assert tuple(ACTS) == ORDERS


def test_the_only_session_that_runs_is_found(run: Ofs, start: Callable[..., Session]) -> None:
    session = start("one", lambda act: act.done(41, plans=2))
    SessionFolder.create(session.folder.path.parents[1], "paper", "dead", {})
    done = run("control", "pause", "--runs", "runs")
    assert (done.code, done.out) == (0, f"pause: event 41 of {session.folder.id} (plans 2)\n")
    done = run("control", "reload-plans", "--runs", "runs", "--json")
    assert done.json() == {
        "schema": 1, "session": session.folder.id, "act": "reload-plans", "ok": True, "seq": 41,
        "plans": 2,
    }  # fmt: skip


def test_several_must_be_told_apart(run: Ofs, start: Callable[..., Session]) -> None:
    one, two = start("one"), start("two", lambda act: act.refuse("it has no plans"))
    done = run("control", "stop", "--runs", "runs")
    assert done.code == 2
    assert one.folder.id in done.err
    assert two.folder.id in done.err
    assert run("control", "stop", "--runs", "runs", "--session", one.folder.id).code == 0
    refused = run("control", "reload-plans", "--runs", "runs", "--session", two.folder.id)
    assert (refused.code, refused.out) == (1, "")
    assert "it has no plans" in refused.err


def test_none_runs(run: Ofs, tmp_path: Path, start: Callable[..., Session]) -> None:
    none = run("control", "pause", "--runs", "runs")
    assert none.code == 4
    assert "ofs paper --config paper.toml, or ofs live --config live.toml" in none.err
    session = start("one")
    assert run("control", "pause", "--runs", "runs", "--session", "other").code == 4
    session.stop()
    done = run("control", "pause", "--runs", "runs", "--session", session.folder.id)
    assert done.code == 4
    assert "does not listen" in done.err
    assert run("control", "explode", "--runs", "runs").code == 2
