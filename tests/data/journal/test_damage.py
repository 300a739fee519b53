"""Cut off anywhere, or with any bit turned: what is whole comes back, and nothing else does."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data.errors import CorruptFileError, DataError
from data.events import Kind
from data.journal import Journal, check, look, read_frames
from data.journal.frames import HEADER_BYTES, Type, frame_bytes, header_at, json_payload
from data.journal.segment import Walk, name_of
from tests.data.journal.disks import MemoryFiles
from tests.data.journal.support import events_in, group, open_quiet, records, seqs_in

EVERY = bool(os.environ.get("OFS_CAMPAIGN"))
LAST = 64 * 1024


def written(folder: Path, sync_every: int = 0, groups: int = 30, each: int = 100) -> MemoryFiles:
    """A journal of one segment in memory; synced after each ``sync_every``-th group."""
    files = MemoryFiles()
    journal = open_quiet(folder, files)
    for number in range(groups):
        journal.append(group(1 + number * each, each))
        if number % 5 == 4:
            last = journal.written_seq
            journal.append_records(0, "signal", records("signal", 2, number), last)
        if sync_every and number % sync_every == sync_every - 1:
            journal.sync()
    journal.close(clean=False)
    return files


def ends_of_frames(data: bytes) -> dict[int, int]:
    """Offset behind each frame, and the last event up to there."""
    walk = Walk(data, 1)
    out, last = {0: 0}, 0
    for header, _ in walk:
        last = header.seq + header.rows - 1 if header.type == Type.EVENTS else last
        out[walk.end] = last
    assert walk.end == len(data)
    return out


@pytest.mark.campaign
def test_cut_off_at_every_byte_of_the_last_64_kib(tmp_path: Path) -> None:
    """Exactly the frames that are whole. The short form takes every byte near the end of a frame,
    and every 23rd (which meets all places in a word) elsewhere."""
    files = written(tmp_path)
    path = tmp_path / name_of(1)
    whole = bytes(files.content[path])
    assert len(whole) > LAST
    ends = ends_of_frames(whole)
    for size in range(len(whole) - LAST, len(whole) + 1):
        good = max(end for end in ends if end <= size)
        if not EVERY and size % 23 and size - good > HEADER_BYTES + 8:
            continue
        files.content[path] = bytearray(whole[:size])
        found = look(tmp_path, files)
        assert (found.last_seq, found.torn_bytes) == (ends[good], size - good), size
        assert bool(found.torn_reason) == (size != good)


def test_a_torn_journal_goes_on(tmp_path: Path) -> None:
    files = written(tmp_path, groups=6)
    whole = bytes(files.content[tmp_path / name_of(1)])
    ends = sorted(ends_of_frames(whole).items())
    for size in range(ends[-3][0] + 1, len(whole), 397):
        files = MemoryFiles({tmp_path / name_of(1): bytearray(whole[:size])})
        expected = max((end, last) for end, last in ends if end <= size)
        before = events_in(tmp_path, files=files)
        journal = open_quiet(tmp_path, files)
        assert len(files.content[tmp_path / name_of(1)]) == expected[0]
        assert journal.recovered.torn_bytes == size - expected[0]
        journal.append(group(expected[1] + 1, 10))
        journal.close()
        assert events_in(tmp_path, files=files)[: len(before)] == before
        assert seqs_in(tmp_path, files) == list(range(1, expected[1] + 11))
        assert check(tmp_path, files).torn_bytes == 0


@pytest.mark.campaign
def test_every_flipped_bit_of_a_frame_is_found_and_named(tmp_path: Path) -> None:
    """In the middle of what was synced it is damage; the short form turns every 7th bit."""
    files = written(tmp_path, sync_every=1, groups=5, each=20)
    path = tmp_path / name_of(1)
    whole = bytes(files.content[path])
    starts = sorted(ends_of_frames(whole))
    start, stop = starts[2], starts[3]
    header = header_at(memoryview(whole), start)
    assert header is not None and header.type == Type.EVENTS
    for bit in range(start * 8, stop * 8, 1 if EVERY else 7):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        files.content[path] = data
        for ask in (look, check):
            with pytest.raises(CorruptFileError) as caught:
                ask(tmp_path, files)
            assert f"byte {start}:" in caught.value.why
            assert str(path) in str(caught.value)
            assert caught.value.exit_code == 4


def test_what_was_not_synced_is_a_torn_tail_whatever_stands_behind_it(tmp_path: Path) -> None:
    files = written(tmp_path, sync_every=2, groups=5, each=20)
    path = tmp_path / name_of(1)
    whole = bytes(files.content[path])
    starts = sorted(ends_of_frames(whole))
    for at, damaged in ((starts[2], True), (starts[-3], False), (starts[-2], False)):
        data = bytearray(whole)
        data[at + HEADER_BYTES + 3] ^= 4
        files.content[path] = data
        if damaged:
            with pytest.raises(CorruptFileError):
                look(tmp_path, files)
        else:
            assert look(tmp_path, files).torn_bytes == len(whole) - at


def test_damage_in_an_ended_segment_is_named_when_it_is_read(tmp_path: Path) -> None:
    files = MemoryFiles()
    journal = open_quiet(tmp_path, files)
    for first in (1, 51, 101):
        journal.append(group(first, 50))
        journal.roll()
    journal.close()
    first, second = (tmp_path / name_of(number) for number in (1, 2))
    whole = {path: bytes(data) for path, data in files.content.items()}
    for data in (whole[second][:-1], whole[second][:100], b"", whole[first]):
        files.content = {path: bytearray(kept) for path, kept in whole.items()}
        files.content[second] = bytearray(data)
        with pytest.raises(CorruptFileError, match=r"00000002\.wal"):
            check(tmp_path, files)
        assert seqs_in_until_damage(tmp_path, files)[:50] == list(range(1, 51))
    # a whole frame less is no whole segment either: the next one does not follow
    files.content = {path: bytearray(kept) for path, kept in whole.items()}
    ends = ends_of_frames(whole[first])
    files.content[first] = bytearray(whole[first][: sorted(ends)[-2]])
    with pytest.raises(CorruptFileError, match="does not follow"):
        check(tmp_path, files)


def seqs_in_until_damage(folder: Path, files: MemoryFiles) -> list[int]:
    seqs: list[int] = []
    try:
        for frame in read_frames(folder, files=files):
            seqs += np.arange(frame.group.first_seq, frame.group.last_seq + 1).tolist()  # type: ignore[union-attr]
    except CorruptFileError:
        return seqs
    raise AssertionError("the damage was not seen")


def test_a_frame_of_another_journal_is_not_believed(tmp_path: Path) -> None:
    """Old blocks that come back after a power cut: whole frames with good checksums."""
    files = written(tmp_path, groups=4, each=20)
    path = tmp_path / name_of(1)
    whole = bytes(files.content[path])
    ends = sorted(ends_of_frames(whole))
    for left_over in (whole[ends[1] : ends[2]], whole[ends[-2] :], whole[: ends[1]]):
        files.content[path] = bytearray(whole + left_over)
        found = look(tmp_path, files)
        assert (found.last_seq, found.torn_bytes) == (80, len(left_over))


def test_a_newer_layout_and_other_tables_are_said_so(tmp_path: Path) -> None:
    files = written(tmp_path, groups=1)
    path = tmp_path / name_of(1)
    whole = bytes(files.content[path])
    head = {"schema": 99, "records": 99, "series": [], "notes": {}, "recv_ns": 0}
    files.content[path] = bytearray(
        frame_bytes(json_payload(Type.SERIES, 1, head), 1, 0, 0, 0, 0)[0]
    )
    for ask in (look, check):
        with pytest.raises(DataError, match="another version of ofs"):
            ask(tmp_path, files)
    import data.journal.frames as layout

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "VERSION", 2)
        newer = frame_bytes(json_payload(Type.SERIES, 1, head), 1, 0, 0, 0, 0)[0]
    files.content[path] = bytearray(newer + whole)
    with pytest.raises(DataError, match="newer ofs"):
        look(tmp_path, files)


def test_an_unfinished_segment_is_made_again(tmp_path: Path) -> None:
    for left in (b"", b"\0" * 40, b"\0" * 4_000):
        files = written(tmp_path, groups=3)
        files.content[tmp_path / name_of(2)] = bytearray(left)
        assert seqs_in(tmp_path, files) == list(range(1, 301))
        journal = Journal.open(tmp_path, files=files)
        assert journal.recovered.last_seq == 300
        assert journal.recovered.headless == [tmp_path / name_of(2)]
        journal.close()
        assert check(tmp_path, files).segments[-1].number == 2


def test_every_kind_of_event_says_when_it_was_received(tmp_path: Path) -> None:
    files = MemoryFiles()
    journal = open_quiet(tmp_path, files)
    for first, kind in enumerate(Kind, start=1):
        journal.append(group(first, 1, [kind]))
        assert look(tmp_path, files).last_recv_ns == first * 1_000
    journal.close()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One of the things that disks, copies and people do to a file."""
    at, to = sorted(chance.choices(range(len(data) + 1), k=2))
    to = min(to, at + chance.choice((1, 8, 64, 5_000)))
    how = chance.randrange(6)
    middle = data[at:to]
    if how == 0 and middle:
        middle = bytes([middle[0] ^ 1 << chance.randrange(8)]) + middle[1:]
    elif how == 1:
        middle = bytes(len(middle))
    elif how == 2:
        middle = b""
    elif how == 3:
        middle += chance.randbytes(len(middle))
    elif how == 4:
        middle += middle
    elif how == 5:
        return data[:at]
    return data[:at] + middle + data[to:]


@pytest.mark.campaign
def test_whatever_is_done_to_the_files_no_wrong_event_comes_back(tmp_path: Path) -> None:
    """A prefix, or an error that names the file; and a journal that opens goes on from there."""
    files = MemoryFiles()
    journal = open_quiet(tmp_path, files)
    for first in range(1, 121, 10):
        journal.append(group(first, 10))
        if first in (41, 81):
            journal.roll()
        elif first % 20 == 1:
            journal.sync()
    journal.close(clean=False)
    whole = {path: bytes(data) for path, data in files.content.items()}
    expected = events_in(tmp_path, files=files)
    ends: Counter[str] = Counter()
    for seed in range(20_000 if EVERY else 400):
        chance = random.Random(seed)
        path = chance.choice(list(whole))
        content = {name: bytearray(data) for name, data in whole.items()}
        content[path] = bytearray(mutated(whole[path], chance))
        files = MemoryFiles(content)
        try:
            got = events_in(tmp_path, files=files)
            assert got == expected[: len(got)], seed
            journal = open_quiet(tmp_path, files)
            assert journal.written_seq == len(got), seed
            journal.close()
            ends["whole" if got == expected else "prefix"] += 1
        except CorruptFileError as error:
            assert str(path) in str(error) or name_of(int(path.stem) + 1) in str(error), seed
            ends["named"] += 1
    assert set(ends) == {"whole", "prefix", "named"} and ends["named"] > ends["prefix"]
