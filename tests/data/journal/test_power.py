"""The power goes at any moment: what was synced is there, and nothing that was not meant to be."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from data.errors import JournalError
from data.events import Kind
from data.journal import Journal, check, look
from data.journal.files import publish
from data.journal.recover import recover
from tests.data.journal.disks import MemoryFiles, PowerCutFiles
from tests.data.journal.support import (
    NEVER,
    SERIES,
    events_in,
    group,
    open_quiet,
    plain,
    records,
)

LIVES = ((Kind.TRADE, Kind.DEPTH), (Kind.QUOTE, Kind.TRADE), (Kind.MARK,))
"""The kinds of each life tell its events from those of another with the same numbers."""

Row = Any


@dataclass(slots=True)
class Held:
    """What a journal must still hold: rows in order, and the last event."""

    rows: list[Row] = field(default_factory=list)
    last_seq: int = 0


def live(folder: Path, files: PowerCutFiles, life: int, chance: random.Random) -> list[Row]:
    """A session: appends, syncs, rolls and drops at random; everything it wrote, in order."""
    journal = open_quiet(folder, files, segment_bytes=chance.choice((6_000, 1 << 20)))
    files.said("ack", (journal.synced_seq, 0))
    written: list[Row] = []
    synced = 0
    for _ in range(14):
        dice = chance.random()
        before = journal.synced_seq
        if dice < 0.6:
            one = group(journal.written_seq + 1, chance.randint(1, 30), LIVES[life])
            journal.append(one)
            if journal.synced_seq > before:  # it began a new segment first
                synced = len(written)
            written += plain(one)
        elif dice < 0.7:
            rows = records("order", 2, len(written) + life)  # no two frames are alike
            journal.append_records(1, "order", rows, journal.written_seq)
            written.append((1, "order", journal.written_seq, rows.tolist()))
        elif dice < 0.95:
            journal.sync() if dice < 0.9 else journal.roll()
            synced = len(written)
        else:
            files.said("sealed", journal.synced_seq)
            journal.drop(journal.synced_seq)
        files.said("ack", (journal.synced_seq, synced))
    journal.close(clean=chance.random() < 0.5)
    return written


def told(files: PowerCutFiles, cut: int, word: str, none: Any) -> Any:
    """The last mark ``word`` before the cut."""
    marks = [value for name, _, value in files.steps[:cut] if name == word]
    return marks[-1] if marks else none


def compare(got: list[Row], whole: list[Row], at_least: int, sealed: int) -> None:
    """What came back is what was written from some dropped segment on, as far as it was synced."""
    head = whole.index(got[0]) if got else len(whole)
    assert got == whole[head : head + len(got)]
    assert head + len(got) >= at_least
    lost = [row for row in whole[:head] if not isinstance(row[1], str)]
    assert all(row[0] <= sealed for row in lost[: at_least if got else len(lost)])


def cut_and_look(
    folder: Path, base: PowerCutFiles, before: Held, written: list[Row], seed: int
) -> tuple[MemoryFiles, Held, Counter[str]]:
    chance = random.Random(seed)
    cut = chance.randint(0, len(base.steps))
    files = MemoryFiles(base.after_cut(cut, chance))
    acked, synced = told(base, cut, "ack", (before.last_seq, 0))
    raw = {path: bytes(data) for path, data in files.content.items()}
    seen = recover(folder, files)
    assert seen.last_seq >= acked
    lost = sum(map(len, raw.values())) - sum(map(len, files.content.values()))
    assert lost == seen.torn_bytes
    got = events_in(folder, files=files)
    whole = before.rows + written
    if got:
        compare(got, whole, len(before.rows) + synced, told(base, cut, "sealed", before.last_seq))
    assert look(folder, files).torn_bytes == 0
    numbers = [row[0] for row in got if not isinstance(row[1], str)]
    assert not numbers or numbers[-1] == seen.last_seq
    assert numbers or seen.last_seq == acked or not synced
    reached = Counter(
        torn=seen.torn_bytes > 0,
        headless=bool(seen.headless),
        beyond=seen.last_seq > acked,
        behind=any(b"OFSJ" in raw[p][files.size(p) :] for p in files.content),
        dropped=bool(numbers) and numbers[0] > 1,
    )
    return files, Held(got, seen.last_seq), reached


@pytest.mark.campaign
def test_power_cuts(tmp_path: Path) -> None:
    """Forty cuts of each session, and after some of them two more sessions that are cut, too."""
    rounds = 250 if os.environ.get("OFS_CAMPAIGN") else 25
    reached: Counter[str] = Counter()
    for trace in range(rounds):
        base = PowerCutFiles()
        written = live(tmp_path, base, 0, random.Random(trace))
        for seed in range(trace * 40, trace * 40 + 40):
            files, held, seen = cut_and_look(tmp_path, base, Held(), written, seed)
            reached += seen
            for life in (1, 2) if seed % 8 == 0 else ():
                again = PowerCutFiles(files.content)
                more = live(tmp_path, again, life, random.Random(seed))
                files, held, seen = cut_and_look(tmp_path, again, held, more, seed + 1)
                reached += seen
    assert all(reached[w] for w in ("torn", "headless", "beyond", "behind", "dropped")), reached


@pytest.mark.parametrize("seed", range(60))
def test_a_published_file_is_the_old_one_or_the_new_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "session.json"
    files = PowerCutFiles()
    for version in range(4):
        publish(files, path, b"%d" % version * 100)
        files.said("done", version)
    cut = chance.randint(0, len(files.steps))
    left = files.after_cut(cut, chance).get(path)
    done = told(files, cut, "done", -1)
    assert left in [b"%d" % v * 100 for v in range(max(done, 0), 4)] or (left is None and done < 0)


def test_a_lost_name_takes_nothing_acknowledged_with_it(tmp_path: Path) -> None:
    """A new segment's name is synced with its first events, not before: so it may be lost alone."""
    files = PowerCutFiles()
    journal = Journal.open(tmp_path, files=files, **NEVER)  # type: ignore[arg-type]
    journal.set_series(SERIES)
    journal.append(group(1, 10))
    journal.roll()
    journal.append(group(11, 10))
    assert journal.synced_seq == 10
    names = set()
    for seed in range(20):
        left = files.after_cut(len(files.steps), random.Random(seed))
        names.add(len(left))
        assert look(tmp_path, MemoryFiles(left)).last_seq in (10, 20)
    assert names == {1, 2}
    journal.close(clean=False)


def test_what_a_killed_process_left_is_synced_before_it_counts(tmp_path: Path) -> None:
    """It stands in the cache of the machine, so the next process sees it; then the power goes."""
    files = PowerCutFiles()
    journal = open_quiet(tmp_path, files)
    journal.append(group(1, 10))
    journal.roll()
    journal.append(group(11, 10))
    journal.close(clean=False)
    killed = len(files.steps)
    journal = open_quiet(tmp_path, files)
    assert journal.synced_seq == 20
    opened = len(files.steps)
    journal.close(clean=False)
    expected = plain(group(1, 20))
    for seed in range(20 * (opened - killed + 1)):
        cut = killed + seed // 20
        left = MemoryFiles(files.after_cut(cut, random.Random(seed)))
        held = check(tmp_path, left).last_seq
        assert held in ((20,) if cut == opened else (10, 20))
        assert events_in(tmp_path, files=left) == [row for row in expected if row[0] <= held]


def test_what_is_appended_during_a_sync_is_not_covered_by_it(tmp_path: Path) -> None:
    class Meanwhile(PowerCutFiles):
        work: Callable[[], object] | None = None

        def fdatasync(self, handle: object) -> None:
            super().fdatasync(handle)
            work, self.work = self.work, None
            if work is not None:
                work()

    files = Meanwhile()
    journal = open_quiet(tmp_path, files)
    journal.append(group(1, 10))
    marks = []
    files.work = lambda: marks.append(journal.append(group(11, 10)))
    journal.sync()
    assert (journal.written_seq, journal.synced_seq) == (20, 10)
    assert journal.synced_mark < marks[0]
    journal.append(group(21, 10))  # its header says what was synced
    kept = min(
        look(tmp_path, MemoryFiles(files.after_cut(len(files.steps), random.Random(n)))).last_seq
        for n in range(20)
    )
    assert kept == 10
    assert journal.wait_synced(30, 5.0)
    journal.close()


def test_pages_that_a_failed_sync_dropped_are_not_believed(tmp_path: Path) -> None:
    """After a failed fsync Linux calls the pages clean: they read well and are on no disk."""

    class Dropping(PowerCutFiles):
        fails = False

        def fdatasync(self, handle: Path) -> None:
            if self.fails:
                self.steps = [s for s in self.steps if s[0] != "write" or s in self.safe]
                raise OSError(5, "Input/output error")
            super().fdatasync(handle)
            self.safe = list(self.steps)

        def forget(self, handle: Path) -> None:
            now = PowerCutFiles()
            now.steps = [*self.steps, ("sync", handle, None), ("folder", tmp_path, None)]
            self.content[handle] = now.after_cut(len(now.steps), random.Random(0))[handle]

    files = Dropping()
    journal = open_quiet(tmp_path, files)
    journal.append(group(1, 10))
    journal.sync()
    journal.append(group(11, 10))
    files.fails = True
    with pytest.raises(JournalError):
        journal.close()
    files.fails = False
    assert look(tmp_path, files).last_seq == 20
    journal = open_quiet(tmp_path, files)
    assert journal.synced_seq == 10
    journal.close()
