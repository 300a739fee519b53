"""A journal in good health: what is appended comes back, in order, across restarts."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import CorruptFileError, JournalError, LockedError
from data.events import EVENTS, RECORDS, Kind
from data.journal import Journal, States, check, look, read_frames
from data.journal.files import Files
from data.journal.frames import events_payload, frame_bytes, group_of, header_at
from data.live.blocks import Group, Part, Series
from data.log.columns import Rows
from tests.data.journal.support import (
    SERIES,
    events_in,
    group,
    open_quiet,
    plain,
    records,
    said,
    seqs_in,
)

ALL = tuple(EVENTS)


def test_what_is_appended_comes_back(tmp_path: Path) -> None:
    expected = []
    journal = open_quiet(tmp_path)
    for first in range(1, 200, 20):
        one = group(first, 20, ALL)
        journal.append(one)
        expected += plain(one)
        rows = records("decision", 3, first)
        journal.append_records(1, "decision", rows, first + 19)
        expected.append((1, "decision", first + 19, rows.tolist()))
    journal.close()
    assert events_in(tmp_path) == expected
    found = check(tmp_path)
    assert (found.last_seq, found.last_recv_ns) == (200, 200_000)
    assert (found.series, found.clean, found.torn_bytes) == (SERIES, True, 0)


@pytest.mark.parametrize("table", list(RECORDS))
def test_every_record_table_comes_back(tmp_path: Path, table: str) -> None:
    journal = open_quiet(tmp_path)
    rows = records(table, 5)
    journal.append_records(2, table, rows, 7)
    journal.close()
    (frame,) = read_frames(tmp_path)
    assert said(frame) == (2, table, 7, rows.tolist())  # type: ignore[arg-type]
    assert frame.rows.dtype == rows.dtype  # type: ignore[union-attr]


def test_reading_begins_behind_any_event(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path, segment_bytes=4_000)
    whole = []
    for first in range(1, 121, 12):
        journal.append(group(first, 12))
        whole += plain(group(first, 12))
        journal.append_records(0, "signal", records("signal", 1, first), first + 11)
        whole.append((0, "signal", first + 11, records("signal", 1, first).tolist()))
    journal.close()
    assert len(look(tmp_path).segments) > 3
    for after in range(0, 122):
        expected = [row for row in whole if (row[2] if row[1] == "signal" else row[0]) > after]
        assert events_in(tmp_path, after) == expected
    for frame in read_frames(tmp_path, 5):
        if hasattr(frame, "group"):
            assert frame.group.first_seq == 6
            break


def test_a_session_goes_on_where_it_was(tmp_path: Path) -> None:
    for start in range(1, 50, 10):
        journal = open_quiet(tmp_path)
        assert journal.recovered.last_seq == journal.synced_seq == start - 1
        assert journal.recovered.notes == ({"n": start - 10, "x": 1} if start > 1 else {})
        journal.append(group(start, 10))
        journal.note({"n": start, "x": 1})
        journal.close(clean=start % 20 == 1)
        assert look(tmp_path).clean == (start % 20 == 1)
    assert seqs_in(tmp_path) == list(range(1, 51))
    assert [(s.number, s.first_seq, s.last_seq) for s in check(tmp_path).segments] == [
        (n + 1, n * 10 + 1, n * 10 + 10) for n in range(5)
    ]


def test_notes_and_series_survive_the_drop_of_the_segments_they_stood_in(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    journal.note({"sealed": 3})
    journal.append(group(1, 30))
    assert [s.last_seq for s in journal.roll()] == [30]
    assert journal.roll() == journal.roll()  # nothing new: no new segment
    more = [*SERIES, Series("bybit", "BTCUSDT", SERIES[0].scales)]
    journal.set_series(more)
    journal.note({"sealed": 30})
    journal.append(group(31, 30))
    journal.roll()
    before = journal.bytes
    assert journal.drop(29) == []
    assert [s.number for s in journal.drop(59)] == [1]
    assert [s.number for s in journal.drop(60)] == [2]
    assert journal.bytes < before
    journal.close()
    found = look(tmp_path)
    assert (found.last_seq, found.last_recv_ns) == (60, 60_000)
    assert (found.series, found.notes) == (more, {"sealed": 30})
    assert [s.number for s in found.segments] == [3]


def test_a_journal_goes_on_behind_what_is_known_from_elsewhere(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    journal.append(group(1, 5))
    journal.close()
    journal = open_quiet(tmp_path, after_seq=40)
    assert journal.written_seq == 40
    journal.append(group(41, 5))
    journal.close()
    assert check(tmp_path).last_seq == 45
    assert seqs_in(tmp_path) == [1, 2, 3, 4, 5, 41, 42, 43, 44, 45]


def test_segments_follow_each_other_by_size(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path, segment_bytes=10_000)
    for first in range(1, 1_001, 50):
        journal.append(group(first, 50))
    journal.close()
    sizes = [p.stat().st_size for p in sorted(tmp_path.glob("*.wal"))]
    assert len(sizes) > 5
    assert max(sizes) < 10_000 + 20_000
    assert seqs_in(tmp_path) == list(range(1, 1_001))


def test_the_thread_syncs_after_a_while_and_after_so_many_events(tmp_path: Path) -> None:
    for options, most_s in ({"sync_ms": 20}, 1.0), ({"sync_ms": 1e9, "sync_events": 100}, 1.0):
        journal = Journal.open(tmp_path / str(len(options)), **options)  # type: ignore[arg-type]
        journal.set_series(SERIES)
        journal.append(group(1, 150))
        end_s = time.monotonic() + most_s
        while journal.synced_seq < 150 and time.monotonic() < end_s:
            time.sleep(0.002)
        assert journal.synced_seq == 150
        assert journal.facts.syncs >= 1
        journal.close()


def test_who_waits_has_a_sync_at_once(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    journal.append(group(1, 10))
    assert journal.synced_seq == 0
    assert not journal.wait_synced(11, 0.05)
    assert journal.wait_synced(10, 5.0)
    mark = journal.append_records(0, "order", records("order", 1), 10)
    assert journal.synced_mark < mark
    journal.sync()
    assert journal.synced_mark == mark
    journal.close()


def test_one_writer_and_any_readers(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    with pytest.raises(LockedError, match=r"process \d+ on .* \(boot ") as caught:
        Journal.open(tmp_path)
    assert caught.value.exit_code == 4
    journal.append(group(1, 10))
    assert seqs_in(tmp_path) == list(range(1, 11))
    assert look(tmp_path).last_seq == 10
    journal.close(clean=False)
    journal.close()
    Journal.open(tmp_path).close()


def test_reading_while_it_is_written(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, sync_ms=1, segment_bytes=30_000)
    journal.set_series(SERIES)
    done = threading.Event()

    def write() -> None:
        for first in range(1, 4_001, 20):
            journal.append(group(first, 20))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        seqs = seqs_in(tmp_path)
        assert seqs == list(range(1, len(seqs) + 1))
        seen.append(len(seqs))
    writer.join()
    journal.close()
    assert seen == sorted(seen)
    assert len(seqs_in(tmp_path)) == 4_000


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    for first in (1, 11, 21):
        journal.append(group(first, 10))
        journal.roll()
    journal.close()
    (tmp_path / "00000002.wal").unlink()
    with pytest.raises(CorruptFileError, match=r"00000002\.wal"):
        look(tmp_path)


def test_misuse_is_refused(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    with pytest.raises(AssertionError, match="table of series"):
        journal.append(group(1, 10))
    journal.set_series(SERIES)
    with pytest.raises(AssertionError, match="follow each other"):
        journal.append(group(2, 10))
    with pytest.raises(AssertionError, match="keeps its number"):
        journal.set_series(SERIES[1:])
    journal.close()


def test_a_failed_sync_is_fatal_and_never_tried_again(tmp_path: Path) -> None:
    class Failing(Files):
        calls, armed = 0, False

        def fdatasync(self, handle: object) -> None:
            if self.armed:
                self.calls += 1
                raise OSError(5, "Input/output error")
            super().fdatasync(handle)

    files = Failing()
    journal = Journal.open(tmp_path, files=files, sync_ms=1)
    journal.set_series(SERIES)
    journal.append(group(1, 10))
    assert journal.wait_synced(10, 5.0)
    files.armed = True
    journal.append(group(11, 10))
    with pytest.raises(JournalError) as caught:
        journal.wait_synced(20, 5.0)
    assert caught.value.exit_code == 4
    for call in (
        lambda: journal.append(group(21, 10)),
        lambda: journal.note({"a": 1}),
        journal.roll,
        journal.sync,
        journal.close,
    ):
        with pytest.raises(JournalError):
            call()
    assert (files.calls, journal.synced_seq) == (1, 10)
    journal = Journal.open(tmp_path)  # the lock was given back
    assert journal.recovered.last_seq == 20
    journal.close()


def test_states_are_what_they_are() -> None:
    assert States(5, 4, 3) == States(5, 4, 3, 0, 0)


INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    """Any values in any columns; only ``seq`` is what it must be."""
    first = draw(st.integers(1, 2**62))
    kinds = draw(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=12))
    parts = {}
    for kind in dict.fromkeys(kinds):
        seqs = np.array([first + i for i, k in enumerate(kinds) if k == kind])
        n, columns = len(seqs), {}
        for field in EVENTS[kind].fields:
            if field.is_list:
                side = field.name.split("_")[0] + "_offsets"
                if side not in columns:
                    lengths = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
                    columns[side] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
                n_values = int(columns[side][-1])
                values = draw(st.lists(INT64, min_size=n_values, max_size=n_values))
                columns[field.name] = np.array(values, np.int64)
            else:
                limits = np.iinfo(field.dtype)
                one = st.integers(int(limits.min), int(limits.max))
                values = draw(st.lists(one, min_size=n, max_size=n))
                columns[field.name] = np.array(values, field.dtype)
        columns["seq"] = seqs
        series = draw(st.lists(st.integers(0, 2**31 - 1), min_size=n, max_size=n))
        parts[kind] = Part(np.array(series, np.int32), Rows(kind, n, columns))
    return Group(first, first + len(kinds) - 1, parts)


@given(groups(), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_any_group_comes_back_whole_and_cut(one: Group, cut: int) -> None:
    data, crc = frame_bytes(events_payload(one), 3, 7, 11, 13, 17)
    view = memoryview(data)
    header = header_at(view, 0)
    assert header is not None
    assert (header.crc, header.link, header.synced, header.wall_ns) == (crc, 7, 11, 13)
    after = one.first_seq - 1 + cut
    back = group_of(header, view[64:], after)
    expected = [row for row in plain(one) if row[0] > after]
    assert (plain(back) if back else []) == expected
