"""The pump: whatever the disk does and wherever it is killed, the log has every event once."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.enums import GapReason, Kind
from data.events import EVENTS, Scales
from data.journal.files import Files
from data.live.blocks import Group, Series
from data.live.clock import SessionClock
from data.live.inlet import Inlet
from data.live.items import Ended, FeedFacts, Frame, Item, Opened, Overrun
from data.live.recorder import Limits, Recorder, RecordRows
from data.live.reopen import Opened as Journalled
from data.live.reopen import groups_after, left_behind, reopen, seal_rest
from data.log import LogReader, LogStore
from data.log.seal import seal
from tests.data.live.frames import BTC, Hands, depth, trade
from tests.data.live.test_bybit_live import shown, text

SESSION = "20261121T120000-record"


class ListFeed:
    """Items of a list; ``cut`` says how many a call may take."""

    def __init__(self, items: Sequence[Item], cut: Callable[[], int] = lambda: 1 << 30) -> None:
        self.facts = FeedFacts()
        self.items = list(items)
        self.taken = 0
        self.cut = cut
        self.renewed: list[str] = []

    def start(self) -> None: ...

    def renew(self, streams: Sequence[str]) -> None:
        self.renewed += streams

    def stop(self) -> None: ...

    def take(self, most: int, wait_s: float) -> Sequence[Item]:
        n = min(most, self.cut())
        found = self.items[self.taken : self.taken + n]
        self.taken += len(found)
        return found


def market(n: int) -> list[Item]:
    """Trades, and a book after every third."""
    items: list[Item] = [Opened(1, 1, ("btcusdt@aggTrade", "btcusdt@depth20@100ms"))]
    for i in range(1, n + 1):
        items.append(Frame(1000 * i, 1, trade(i, i * 10)))
        if i % 3 == 0:
            items.append(Frame(1000 * i + 1, 1, depth(i * 100, i * 10)))
    return items


class Full(Files):
    """A disk that is full while ``full`` is set: half of a write fits."""

    full = False

    def append(self, handle: Any, data: memoryview) -> int:
        if self.full:
            super().append(handle, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "no space left")
        return super().append(handle, data)


class Keeps:
    """A consumer that writes a record a group, and remembers what it folded."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.cuts: list[int] = []

    def fold(self, group: Group) -> Sequence[RecordRows]:
        assert group.first_seq == (self.seqs[-1] + 1 if self.seqs else group.first_seq)
        self.seqs += range(group.first_seq, group.last_seq + 1)
        return ()

    def cut(self, seq: int) -> int:
        assert self.seqs[-1] == seq
        return seq

    def keep(self, seq: int, cut: int) -> None:
        self.cuts.append(cut)


def begin(log: Path, feed: ListFeed, **more: Any) -> Recorder:
    """A recorder over what stands in ``log``."""
    files = more.pop("files", None)
    session = more.pop("session", SESSION)
    opened = reopen(log, session, [more.pop("series", BTC)], sync_ms=1, files=files)
    hands = Hands()
    clock = SessionClock(False, hands.mono, hands.wall, opened.last_recv_ns)
    resume = None if opened.fresh else opened.resume
    inlet = Inlet(opened.series, clock, opened.last_seq + 1, resume)
    limits = Limits(checkpoint_ns=1 << 62, checkpoint_bytes=1 << 40)
    return Recorder(opened, feed, inlet, clock, limits=limits, sleep=lambda _s: None, **more)


def finish(recorder: Recorder) -> None:
    recorder.drain()
    recorder.opened.close(clean=True)


def logged(log: Path) -> tuple[list[int], list[int]]:
    """(seq of everything, trade ids) of a log."""
    kinds = dict.fromkeys(EVENTS, ("seq", "id"))
    reader = LogReader(LogStore(log), BTC.venue, BTC.symbol, kinds)
    seqs, ids = [], []
    for batch in reader:
        seqs += [int(s) for kind in kinds for s in batch.columns[kind]["seq"]]
        ids += [int(i) for i in batch.columns[Kind.TRADE]["id"]]
    return sorted(seqs), ids


def test_the_log_has_what_came_in_order(tmp_path: Path) -> None:
    feed = ListFeed([*market(300), Ended(10**9)], cut=lambda: 7)
    consumer = Keeps()
    recorder = begin(tmp_path, feed, consumer=consumer)
    while not recorder.ended:
        recorder.step(0)
        if recorder.journal.written_seq > 150 and not recorder.checkpoints:
            recorder.checkpoint()
            recorder._look_at_work(wait=True)
    finish(recorder)
    seqs, ids = logged(tmp_path)
    assert seqs == consumer.seqs == list(range(1, 401))
    assert ids == list(range(1, 301))
    assert recorder.states.sealed == recorder.states.checkpointed == 400
    assert recorder.tally.kinds == {"trade": 300, "depth": 100}
    assert len(consumer.cuts) == 2


def test_a_full_disk_makes_everything_wait_and_loses_nothing(tmp_path: Path) -> None:
    files, consumer = Full(), Keeps()
    feed = ListFeed(market(200), cut=lambda: 10)
    recorder = begin(tmp_path, feed, files=files, consumer=consumer)
    for _ in range(5):
        recorder.step(0)
    files.full = True
    recorder.step(0)
    before, taken = list(consumer.seqs), feed.taken
    for _ in range(20):
        assert not recorder.step(0)
    assert recorder.full
    assert consumer.seqs == before, "nothing is folded that is not written"
    assert feed.taken == taken, "nothing is taken that could not be kept"
    streams = ("btcusdt@aggTrade", "btcusdt@depth20@100ms")
    feed.items[feed.taken : feed.taken + 20] = [Overrun(1000 * feed.taken, 20, streams)]
    files.full = False
    while feed.taken < len(feed.items):
        recorder.step(0)
    assert not recorder.full
    finish(recorder)
    seqs, _ = logged(tmp_path)
    assert seqs == consumer.seqs == list(range(1, len(seqs) + 1))
    assert set(recorder.tally.reasons) == {"disk"}, "what the feed dropped meanwhile is said"


def test_a_disk_that_does_not_sync_holds_the_pump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.live.recorder.BACKLOG_MOST", 50)
    feed = ListFeed(market(500), cut=lambda: 20)
    recorder = begin(tmp_path, feed)
    monkeypatch.setattr(type(recorder.journal), "synced_seq", property(lambda _journal: 0))
    for _ in range(50):
        recorder.step(0)
    assert recorder.journal.written_seq <= 100
    monkeypatch.undo()
    finish(recorder)


class Crash(BaseException):
    """The process dies here."""


POINTS = ("cut", "sealed", "kept")


def test_a_restart_reads_only_the_last_of_a_long_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.live.recorder.NOTE_BYTES", 4096)
    recorder = begin(tmp_path, ListFeed(market(300), cut=lambda: 20))
    for _ in range(12):
        recorder.step(0)
    tally, resume = recorder.tally.facts(), recorder.resume.to_json()
    recorder.opened.close(clean=False)
    again = reopen(tmp_path, SESSION, [BTC])
    assert again.journal.recovered.notes["cut"]["seq"] > 100
    assert again.tally.facts() == tally
    assert again.resume.to_json() == resume
    again.close(clean=False)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_between_any_two_steps_of_a_checkpoint(tmp_path: Path, point: str) -> None:
    def crash(name: str) -> None:
        if name == point:
            raise Crash

    chance = random.Random(point)
    for start in range(3):
        items = market(300)
        feed = ListFeed(items, cut=lambda: chance.randint(1, 40))
        recorder = begin(tmp_path, feed, crash_point=crash, consumer=Keeps())
        for _ in range(chance.randint(3, 9) * (start + 1)):
            recorder.step(0)
        assert recorder.checkpoint()
        with pytest.raises(Crash):
            recorder._look_at_work(wait=True)
        recorder.opened.close(clean=False)
    recorder = begin(tmp_path, ListFeed(market(300)))
    recorder.admit(recorder.inlet.collect())
    recorder.step(0)
    finish(recorder)
    seqs, ids = logged(tmp_path)
    assert seqs == list(range(1, len(seqs) + 1)), "every event once, none missing"
    assert ids == list(range(1, 301)), "what came again was known"
    assert recorder.tally.reasons["downtime"] > 0
    assert recorder.tally.events == len(seqs)


def test_a_recording_of_two_is_refused(tmp_path: Path) -> None:
    recorder = begin(tmp_path, ListFeed([]))
    with pytest.raises(Exception, match="another process records"):
        reopen(tmp_path, "20261121T130000-record", [BTC])
    recorder.opened.close(clean=True)
    again: Journalled = reopen(tmp_path, SESSION, [BTC])
    again.close(clean=True)


def test_lags_are_of_every_frame(tmp_path: Path) -> None:
    heard: list[np.ndarray] = []
    now_ns = 10_000_000
    feed = ListFeed([Frame(now_ns, 1, trade(1, 10)), Frame(now_ns - 5_000_000, 1, b"{}")])
    recorder = begin(tmp_path, feed, heard=heard.append)
    recorder.step(0)
    assert len(heard[0]) == 2
    assert heard[0][1] - heard[0][0] == 5_000_000
    assert GapReason.ID_HOLE not in recorder.inlet.facts.gaps
    finish(recorder)


def test_a_book_that_lacks_a_message_is_asked_for_anew(tmp_path: Path) -> None:
    topic = "orderbook.50.BTCUSDT"
    books = [shown(10, 0, "snapshot"), shown(12, 150), shown(13, 300)]
    frames = [Frame(1_000 + i, 1, text(book)) for i, book in enumerate(books)]
    feed = ListFeed([Opened(1, 1, (topic,)), *frames])
    recorder = begin(tmp_path / "log", feed, series=Series("bybit", "BTCUSDT", Scales(2, 3)))
    recorder.step()
    recorder.step()
    assert feed.renewed == [topic], "once, however often it is looked at"
    finish(recorder)


def journal_of_a_session_that_ended(log: Path) -> Journalled:
    opened = reopen(log, SESSION, [BTC], sync_ms=1, segment_bytes=2_000)
    inlet = Inlet(opened.series, SessionClock(), 1)
    recorder = Recorder(opened, ListFeed(market(60), cut=lambda: 5), inlet, inlet.clock)
    for _ in range(30):
        recorder.step(0)
    return opened


@pytest.mark.parametrize("way", ["forget", "seal_rest"])
def test_a_crash_while_a_journal_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Wherever it stops, the next start finds a journal that can be read, or none."""
    real = os.unlink
    for most in (0, 1, 2, 5, 12):
        log = tmp_path / str(most)
        opened = journal_of_a_session_that_ended(log)
        last = opened.last_seq
        opened.close(clean=True)
        if way == "forget":
            lock = reopen(log, SESSION, [BTC], segment_bytes=2_000)
            seal(lock.store, SESSION, lock.series, groups_after(lock.journal.folder, 0), last)
            lock.close(clean=True)
        left = [most]

        def unlink(path: Any, *how: Any, left: list[int] = left, **more: Any) -> None:
            if str(path).endswith(".wal"):
                if not left[0]:
                    raise Crash
                left[0] -= 1
            real(path, *how, **more)

        monkeypatch.setattr(os, "unlink", unlink)
        with suppress(Crash):
            if way == "forget":
                lock.forget()
            else:
                seal_rest(log, SESSION)
        monkeypatch.setattr(os, "unlink", real)
        for name in left_behind(log):
            assert seal_rest(log, name) == last
        assert not left_behind(log)
        assert logged(log)[0] == list(range(1, last + 1))


def test_a_stop_does_not_wait_for_ever_for_a_checkpoint_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.live.recorder.DRAIN_S", 0.2)

    def full(*_what: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("data.live.recorder.seal", full)
    recorder = begin(tmp_path, ListFeed(market(30)))
    recorder.step(0)
    assert recorder.checkpoint()
    stopped: list[BaseException] = []

    def stop() -> None:
        try:
            recorder.drain()
        except OSError as error:
            stopped.append(error)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    thread.join(10)
    assert stopped, "it waits for space that may never come"
    recorder.opened.close(clean=False)
    monkeypatch.undo()
    again = begin(tmp_path, ListFeed([]))
    again.admit(again.inlet.collect())
    finish(again)
    assert logged(tmp_path)[1] == list(range(1, 31))


def test_what_was_lost_to_a_full_disk_is_said_however_long_the_queue_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.live.recorder.TAKE_MOST", 10)
    files, feed = Full(), ListFeed(market(200))
    recorder = begin(tmp_path, feed, files=files)
    recorder.step(0)
    files.full = True
    recorder.step(0)
    streams = ("btcusdt@aggTrade", "btcusdt@depth20@100ms")
    at = feed.taken + 35  # four turns behind what waited in the queue
    feed.items[at : at + 20] = [Overrun(1000 * at, 20, streams)]
    files.full = False
    while feed.taken < len(feed.items):
        recorder.step(0)
    feed.items += [Overrun(10**9, 20, streams)]  # and this one had nothing to do with it
    recorder.step(0)
    finish(recorder)
    assert recorder.tally.reasons == {"disk": 4, "overrun": 2}


@pytest.mark.parametrize("error", [ValueError("no sense"), OSError(errno.EIO, "bad sector")])
def test_a_fill_that_fails_ends_no_recording(tmp_path: Path, error: Exception) -> None:
    def fill() -> None:
        raise error

    recorder = begin(tmp_path, ListFeed(market(90), cut=lambda: 5), fill=fill)
    recorder.inlet.break_streams(GapReason.DISK)
    for _ in range(6):
        recorder.step(0)
    recorder.inlet.break_streams(GapReason.DISK)
    recorder.step(0)
    assert recorder.checkpoint()
    recorder._look_at_work(wait=True)
    while not recorder.fill_failures:
        recorder.step(0)
    assert str(error) in recorder.fill_error or repr(error) == recorder.fill_error
    finish(recorder)
    assert logged(tmp_path)[1] == list(range(1, 91))
