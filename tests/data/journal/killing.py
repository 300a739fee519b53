"""Processes that write to a journal as fast as they can and die by SIGKILL at a random moment.

Run as a program: ``python -m tests.data.journal.killing FOLDER ROUNDS SEED`` forks a writer a
round, all on one journal, reads from a pipe what each calls acknowledged, kills it, and looks at
what it left. It prints one JSON object a round.
"""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

import numpy as np

from data.journal import Events, Journal, look, read_frames
from tests.data.journal.support import SERIES, group, rows_of

EACH = 50
KEEP = 20_000


def write(folder: Path, told: int) -> None:
    """Append for ever; each 8 bytes sent to ``told`` are a sequence number that is synced."""
    journal = Journal.open(folder, sync_ms=5, segment_bytes=400_000)
    journal.set_series(SERIES)
    acked = -1
    while True:
        journal.append(group(journal.written_seq + 1, EACH))
        if journal.synced_seq != acked:
            acked = journal.synced_seq
            os.write(told, struct.pack("<q", acked))
            journal.drop(acked - KEEP)


def one_round(folder: Path, chance: random.Random) -> dict[str, float]:
    """Let a process write for a while, kill it, and say what came of it."""
    assert hasattr(os, "fork"), "only where processes can be forked"
    reader, writer = os.pipe()
    began_s = time.monotonic()
    child = os.fork()
    if child == 0:
        write(folder, writer)
    os.close(writer)
    said = os.read(reader, 8)  # it records again
    ready_s = time.monotonic() - began_s
    time.sleep(chance.random() * 0.08)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 1 << 16):
        said += more
    os.close(reader)
    lived_s = time.monotonic() - began_s
    acked = struct.unpack_from("<q", said, len(said) // 8 * 8 - 8)[0]
    found = look(folder)
    return {
        "acked": acked, "last_seq": found.last_seq, "torn": found.torn_bytes,
        "holes": holes(folder), "ready_s": ready_s, "lived_s": lived_s,
    }  # fmt: skip


def holes(folder: Path) -> int:
    """Number of events that are not what, or not where, they must be."""
    wrong, expected = 0, None
    for frame in read_frames(folder):
        assert isinstance(frame, Events)
        if expected is not None and frame.group.first_seq != expected:
            wrong += 1
        expected = frame.group.last_seq + 1
        for kind, part in frame.group.parts.items():
            due = rows_of(kind, part.rows["seq"])
            wrong += any(not np.array_equal(part.rows[c], due[c]) for c in due.columns)
    return wrong


def main(folder: Path, rounds: int, seed: int) -> None:
    """One line a round."""
    chance = random.Random(seed)
    for _ in range(rounds):
        print(json.dumps(one_round(folder, chance)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
