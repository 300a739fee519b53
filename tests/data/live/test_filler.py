"""A session's recorded gaps are filled while REST has the rows, and given up after three tries."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import NetworkError
from data.events import Kind
from data.live import filler as module
from data.live.endpoint import Endpoint
from data.live.filler import Filler, open_gaps
from data.live.rest import Rest
from data.log import LogStore
from tests.data.live.test_rest_fill import SYMBOL, Venue, gap_row, log_without, rows_of
from tests.data.make_log import VENUE, T


@pytest.fixture(autouse=True)
def all_is_within_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REACH_NS", 1 << 60)


def made(
    store: LogStore, endpoint: Endpoint, now_ns: Callable[[], int] = time.time_ns
) -> tuple[Filler, Rest]:
    rest = Rest(VENUE, endpoint, patience_s=1.0)
    return Filler(store, VENUE, [SYMBOL], rest, now_ns), rest


def test_a_gap_is_filled_and_not_looked_at_again(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(150, 160), range(2000, 2001))
    gap_row(store, 149, 160)
    gap_row(store, 1999, 2001)
    with Venue().up() as endpoint:
        filler, rest = made(store, endpoint)
        filler.fill()
        asked = rest.requests
        filler.fill()
        assert rest.requests == asked
    assert filler.added == 11
    assert rows_of(store, Kind.GAP)["filled"].tolist() == [1, 1]
    assert open_gaps(store, VENUE, SYMBOL, 0) == []


def test_what_three_tries_do_not_fill_is_given_up(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(150, 160))
    gap_row(store, 149, 160)

    def others(_number: int, rows: list) -> list:
        return [row | {"T": row["T"] + 5} for row in rows]

    with Venue(others).up() as endpoint:
        filler, rest = made(store, endpoint)
        counts = []
        for _ in range(5):
            filler.fill()
            counts.append(rest.requests)
    assert counts[2] == counts[4] > counts[1]
    assert filler.added == 0


def test_a_venue_that_cannot_be_asked_is_no_try(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(150, 160))
    gap_row(store, 149, 160)

    def banned(number: int, rows: list) -> object:
        return (418, {"Retry-After": "2"}, {}) if number == 1 else rows

    venue = Venue(banned)
    with venue.up() as endpoint:
        filler, _ = made(store, endpoint)
        for _ in range(4):
            with pytest.raises(NetworkError, match="418"):
                filler.fill()
        assert venue.asked == 1, "who goes on asking is banned for longer"
        time.sleep(2.0)
        filler.fill()
    assert filler.added == 10


def test_what_is_out_of_reach_or_has_no_ids_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = log_without(tmp_path, range(150, 160))
    gap_row(store, 149, 160)
    with Venue().up() as endpoint:
        monkeypatch.setattr(module, "REACH_NS", 10**9)
        filler, rest = made(store, endpoint, lambda: T + 10**11)
        filler.fill()
        Filler(store, "bybit", [SYMBOL], Rest("bybit", endpoint), time.time_ns).fill()
    assert rest.requests == 0
