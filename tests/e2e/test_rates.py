"""How fast a session is, with the sender on the same cores: events a second, and how late.

The campaign (OFS_CAMPAIGN=1, a machine of one's own) holds the figures; the short form only that
nothing is lost and that it keeps up on a busy machine.
"""

from __future__ import annotations

import time

import pytest

import replays
from tests.e2e.served import PAPER, serving_log
from tests.e2e.support import CAMPAIGN, User

SPAN = ("2026-01-05T16:30:00Z", "2026-01-05T18:00:00Z" if CAMPAIGN else "2026-01-05T16:35:00Z")
SPEED = 700
PER_S = 20_000 if CAMPAIGN else 2_000
DECISION_MS = 20.0 if CAMPAIGN else 2_000.0


@pytest.mark.campaign
def test_twenty_thousand_messages_a_second(user: User) -> None:
    file = user.home / "paper.toml"
    file.write_text(PAPER.format(checkpoint="24h"), encoding="utf-8")
    span = ("--from", SPAN[0], "--to", SPAN[1])
    with serving_log(user, replays.path(), "spot", *span, speed=SPEED) as served:
        began = time.monotonic()
        facts = user.json("paper", "--config", str(file), "--endpoint", str(served.address),
                          "--until-end")  # fmt: skip
        took_s = time.monotonic() - began
    print(f"{facts['events'] / took_s:,.0f} events/s, start and end included; {facts}")
    assert facts["dropped"] == 0
    assert facts["gaps"] == 0
    assert facts["synced"] == facts["events"]
    assert facts["events"] / took_s > PER_S / 3, "a third of the time is start and end"
    assert facts["decision_p99_ms"] < DECISION_MS
    assert facts["lag_p99_ms"] < 10 * DECISION_MS
