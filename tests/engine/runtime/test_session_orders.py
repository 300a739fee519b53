"""A paper session that somebody watches and orders, on threads as in real life."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from data.live.items import Ended, FeedFacts, Frame, Item, Opened
from data.live.run import Ends
from engine.runtime import recording_picture
from engine.runtime import session as module
from engine.runtime.control_server import ControlServer, ask
from engine.runtime.session import Session, prepare
from tests.data.live.frames import BTC, depth, trade
from tests.engine.runtime.make_session import paper_setup, paper_text

CONFIG = paper_text(entry_z=1.1)
STEP_MS = 100


class Stream:
    """A feed of a trade every STEP_MS of served time, as fast as it is taken, up to ``upto``."""

    def __init__(self) -> None:
        self.facts = FeedFacts(connections=1)
        self.sent = 0
        self.upto = 0
        self.opened = False
        self.over = False

    @staticmethod
    def of(n: int) -> bytes:
        """Trade ``n``: a third are sales; behind the 400th each minute has a burst of them."""
        if n > 400 and n % 600 < 100:
            return trade(n, n * STEP_MS, q="9", m=True)
        return trade(n, n * STEP_MS, q="0.5", m=n % 3 == 0)

    def start(self) -> None: ...

    def stop(self) -> None:
        self.upto = self.sent

    def take(self, most: int, wait_s: float) -> Sequence[Item]:
        found: list[Item] = []
        if not self.opened:
            self.opened = True
            found.append(Opened(time.monotonic_ns(), 1, ("btcusdt@aggTrade",)))
        while self.sent < self.upto and len(found) < 50:
            self.sent += 1
            found.append(Frame(time.monotonic_ns(), 1, self.of(self.sent)))
            if self.sent % 5 == 0:
                book = depth(self.sent, self.sent * STEP_MS)
                found.append(Frame(time.monotonic_ns(), 1, book))
        if self.over and self.sent >= self.upto:
            self.over, self.facts.connections = False, 0
            found.append(Ended(time.monotonic_ns()))
        elif not found:
            time.sleep(0.002)
        return found


class Running:
    """A session on a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.stream = Stream()
        self.session: Session = prepare(paper_setup(folder, CONFIG, self.stream, 0))
        path = self.session.folder.path
        self.control = ControlServer(path, lambda: {"phase": self.session.phase})
        self.session.control = self.control
        self.control.start()
        self.asked = ""
        self.why: list[str] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.why.append(self.session.run(Ends(lambda: self.asked)))

    def order(self, act: str) -> dict[str, Any]:
        return ask(self.session.folder.path, act, 20)

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline and self.thread.is_alive()
            time.sleep(0.01)

    def play(self, trades: int) -> None:
        """Let trades come, and wait until they are shown."""
        self.stream.upto += trades
        wanted = self.stream.upto
        self.until(lambda: self.session.board.view().by_kind.get("trade", 0) >= wanted)

    def end(self) -> str:
        self.asked = self.asked or "SIGTERM"
        self.thread.join(30)
        self.control.stop()
        return self.why[0]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(module, "instruments", lambda *_: [BTC])
    made = Running(tmp_path)
    yield made
    if made.thread.is_alive():
        made.end()


def test_orders_are_events_that_the_fold_obeys(running: Running) -> None:
    running.play(300)
    paused = running.order("pause")
    assert paused["ok"]
    assert running.session.recorder.journal.synced_seq >= paused["seq"]
    running.play(100)
    running.until(lambda: running.session.board.view().symbols[0].paused)
    view = running.session.board.view()
    assert view.by_kind["control"] == 1
    assert view.symbols[0].lifecycle == "paused"
    assert running.order("resume")["seq"] > paused["seq"]
    running.play(100)
    running.until(lambda: not running.session.board.view().symbols[0].paused)
    refused = running.order("reload-plans")
    assert not refused["ok"]
    assert "no file of plans" in refused["why"]
    assert running.order("flatten")["ok"]
    assert running.order("stop")["ok"]
    running.stream.upto += 200
    running.thread.join(30)
    assert running.end() == "stopped by an operator"
    folder = running.session.folder
    assert folder.ended
    said = (folder.path / "session.log").read_text(encoding="utf-8").splitlines()
    orders = [x.get("order") for x in map(json.loads, said) if x["what"].startswith("order")]
    assert orders == ["pause", "resume", "reload-plans", "flatten", "stop"]


def test_nothing_is_shown_before_its_events_and_records_are_synced(running: Running) -> None:
    seen: list[tuple[int, int, int]] = []
    board, recorder = running.session.board, running.session.recorder
    for _ in range(10):
        running.play(60)
        view, settled = board.view(), recorder.settled_seq
        seen.append((view.as_of_seq, settled, view.symbols[0].counts["decision"]))
    assert all(shown <= settled for shown, settled, _ in seen)
    assert seen[-1][2] > 5
    assert seen[-1][0] >= 600


def test_the_picture_is_that_of_the_fold(running: Running) -> None:
    running.play(400)
    running.until(lambda: running.session.board.view().symbols[0].events >= 400)
    view = running.session.board.view()
    (x,) = view.symbols
    assert (x.price, x.symbol) == (27950.1, "BTCUSDT")
    sells = 400 // 3
    assert x.cvd == pytest.approx(0.5 * (400 - 2 * sells))
    assert len(x.chart.delta) >= 8
    assert sum(x.chart.delta) == pytest.approx(x.cvd)
    assert view.feed.lag_p99_ms > 0
    assert view.feed.decision_p99_ms > 0
    assert view.disk.syncs > 0
    assert running.end() == "stopped"


def test_the_trades_of_before_are_shown_after_a_restart(running: Running, tmp_path: Path) -> None:
    running.play(900)
    assert running.order("flatten")["ok"]
    running.play(300)
    running.until(lambda: len(running.session.board.view().symbols[0].trades) > 0)
    assert running.end() == "stopped"
    before = running.session.board.view().symbols[0]
    again = Running(tmp_path)
    try:
        assert again.session.folder.id == running.session.folder.id
        after = again.session.picture.view("running").symbols[0]
        assert [t.id for t in after.trades] == [t.id for t in before.trades]
        assert after.account.round_trips == before.account.round_trips > 0
        assert after.account.net_pnl == before.account.net_pnl
        assert after.chart.cvd == before.chart.cvd
    finally:
        again.end()


def test_the_last_picture_of_a_session_that_is_over_can_be_made(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_picture, "DISK_EVERY_S", -1.0)
    running.play(50)
    running.order("stop")
    running.stream.upto += 400  # time goes on, and the position is closed
    running.thread.join(30)
    assert running.end() == "stopped by an operator"
    assert running.session.phase == "stopped"
    assert not running.session.recorder.journal.folder.exists()


def test_a_stop_waits_for_nothing_once_the_served_range_is_over(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time passes there any more: a position cannot be closed, and its wait would be in vain."""
    monkeypatch.setattr(module, "STOP_MOST_S", 600.0)
    running.play(500)
    running.stream.over = True
    running.until(lambda: bool(running.session.board.view().alarms))
    said = "the served range is over (end it with `ofs control stop`, or start with --until-end)"
    running.until(lambda: running.session.board.view().alarms == (said,))
    assert running.order("stop")["ok"]
    running.thread.join(30)
    assert running.end() == "stopped by an operator"
    assert running.session.board.view().alarms == ()
    file = running.session.folder.path / "session.log"
    assert file.read_text(encoding="utf-8").count(said) == 1
