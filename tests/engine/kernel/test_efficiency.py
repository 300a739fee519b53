"""The efficiency ratio: a line, a zigzag, no way at all, and where it is unknown."""

from __future__ import annotations

import pytest

from engine.kernel.efficiency import efficiency_fp9
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.minute_tapes import PRICE, gap, tape
from tests.engine.tapes import Event


def ratio(events: list[Event], bars: int = 4) -> int:
    state = fold_events(probe("candles"), events).fold.state
    return int(efficiency_fp9(state["candles"][0], bars))


@pytest.mark.parametrize(
    ("steps", "want"),
    [
        ([10, 20, 30, 40, 50], 10**9),
        ([50, 40, 30, 20, 10], 10**9),
        ([0, 10, 0, 10, 0], 0),
        ([0, 0, 0, 0, 0], 0),
        ([5, 5, 35, 25, 25], 500_000_000),
    ],
)
def test_by_hand(steps: list[int], want: int) -> None:
    """The last four changes: net over the sum of their sizes."""
    assert ratio(tape([(PRICE + x, 0) for x in steps])) == want


def test_unknown_before_enough_minutes_and_across_a_gap() -> None:
    events = tape([(PRICE + n, 0) for n in range(5)])
    assert ratio(events) == 10**9
    assert ratio(events, 5) == -1
    assert ratio([*events, gap(5)]) == -1
