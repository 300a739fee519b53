"""How fast events get behind a barrier: the floor is 100,000 a second in groups of 100.

The campaign asserts it; a shared machine is asked for a twentieth."""

from __future__ import annotations

import time
from pathlib import Path

from data.events import Kind
from data.journal import Journal, check
from tests.data.journal.support import SERIES, group
from tests.shared import CAMPAIGN

FLOOR = 100_000 if CAMPAIGN else 5_000
EACH = 100


def test_events_a_second_through_append_and_sync(tmp_path: Path) -> None:
    groups = [group(1 + n * EACH, EACH, [Kind.TRADE, Kind.QUOTE]) for n in range(400)]
    journal = Journal.open(tmp_path)
    journal.set_series(SERIES)
    began_s = time.monotonic()
    for one in groups:
        journal.append(one)
    assert journal.wait_synced(groups[-1].last_seq, 30.0)
    took_s = time.monotonic() - began_s
    journal.close()
    assert check(tmp_path).last_seq / took_s > FLOOR
    assert journal.facts.sync_p50_ms <= journal.facts.sync_p99_ms
    assert journal.facts.bytes >= 50 * groups[-1].last_seq
