"""Holes that are closed over REST, by id, within what the venue allows and keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.errors import NetworkError
from data.events import EVENTS, Kind, Scales
from data.live.endpoint import Endpoint
from data.live.rest import TOO_OLD, RefusedError, Rest
from data.live.rest_fill import fill_by_rest, joined
from data.log import LogReader, LogStore
from data.log.checks import Wanted
from data.sources.http import Http
from tests.data.live.scripted import ScriptedVenue
from tests.data.make_log import VENUE, T, trades

SYMBOL = "BTCUSDT"
COUNT = 6000
WHOLE = trades(T, COUNT, step_ns=10**8)
SCALES = Scales(1, 3)
MINUTE = 60_000


def agg(at: int) -> dict:
    """Row ``at`` of the whole series as the venue has it."""
    price, qty = int(WHOLE["price"][at]), int(WHOLE["qty"][at])
    return {
        "a": int(WHOLE["id"][at]),
        "p": f"{price / 10:.2f}",
        "q": f"{qty / 1000:.3f}",
        "nq": "0",
        "f": 5,
        "l": 6,
        "T": int(WHOLE["ts_ns"][at]) // 10**6,
        "m": int(WHOLE["side"][at]) == -1,
    }


def kline(at: int) -> list:
    opened = T // 10**6 + at * MINUTE
    return [opened, "60000.1", "60002", "60000", "60001.5", "1.250", opened + MINUTE - 1,
            "75000", 12, "0.750", "45000", "0"]  # fmt: skip


class Venue(ScriptedVenue):
    """Has everything; ``spoil`` may change an answer to aggTrades."""

    def __init__(self, spoil: Callable[[int, list], object] = lambda _n, rows: rows) -> None:
        super().__init__([], pages=self.page)
        self.spoil = spoil
        self.asked = 0

    def page(self, path: str, query: dict[str, str]) -> tuple[int, dict, object]:
        headers = {"X-MBX-USED-WEIGHT-1M": "20"}
        if path == "/fapi/v1/aggTrades":
            self.asked += 1
            first, limit = int(query["fromId"]) - 1, int(query["limit"])
            rows = [agg(at) for at in range(first, min(first + limit, COUNT))]
            answer = self.spoil(self.asked, rows)
            return answer if isinstance(answer, tuple) else (200, headers, answer)
        if path == "/fapi/v1/time":
            return 200, headers, {"serverTime": time.time_ns() // 10**6}
        if path == "/fapi/v1/klines":
            low, high = int(query["startTime"]), int(query["endTime"])
            bars = [kline(at) for at in range(100)]
            return 200, headers, [bar for bar in bars if low <= bar[0] <= high]
        return 404, {}, {}


def log_without(folder: Path, *lacking: range) -> LogStore:
    """The series, received live, but for the rows of ``lacking``."""
    keep = np.ones(COUNT, bool)
    for gap in lacking:
        keep[list(gap)] = False
    rows = {name: values[keep] for name, values in WHOLE.items()}
    rows["recv_ns"] = rows["ts_ns"] + 5_000_000
    rows["seq"] = np.arange(1, keep.sum() + 1, dtype=np.int64)
    store = LogStore(folder, create=True)
    with store.transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, rows, SCALES)
    return store


def gap_row(store: LogStore, low: int, high: int) -> None:
    """What a session wrote down about the lost rows between ``low`` and ``high``."""
    row = dict.fromkeys(EVENTS[Kind.GAP].names, 0)
    row |= {"ts_ns": int(WHOLE["ts_ns"][high]), "stream": int(Kind.TRADE), "reason": 2}
    row |= {"from_ns": int(WHOLE["ts_ns"][low]), "to_ns": int(WHOLE["ts_ns"][high])}
    row |= {"from_id": int(WHOLE["id"][low]), "to_id": int(WHOLE["id"][high])}
    small = {"stream", "reason", "filled"}
    columns = {n: np.array([v], np.int8 if n in small else np.int64) for n, v in row.items()}
    with store.transaction() as change:
        change.merge(Kind.GAP, VENUE, SYMBOL, columns, SCALES)


def filled(store: LogStore, endpoint: Endpoint, wanted: Wanted | None = None):
    rest = Rest(VENUE, endpoint, http=Http(read_s=5.0))
    report = fill_by_rest(store, wanted or Wanted(), lambda _venue: rest)
    return report, rest


def rows_of(store: LogStore, kind: Kind = Kind.TRADE) -> dict[str, np.ndarray]:
    reader = LogReader(store, VENUE, SYMBOL, {kind: EVENTS[kind].names})
    parts = [batch.columns[kind] for batch in reader]
    return {name: np.concatenate([p[name] for p in parts]) for name in EVENTS[kind].names}


def test_holes_are_closed_and_what_came_has_no_receive_time(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(100, 101), range(150, 160), range(2000, 5500))
    gap_row(store, 149, 160)
    with Venue().up() as endpoint:
        report, rest = filled(store, endpoint)
    assert report.whole
    assert (report.added, report.marked) == (1 + 10 + 3500, 1)
    # one page for the two small holes; the long one: its far edge, then four pages
    assert rest.requests == 1 + 1 + 4
    got = rows_of(store)
    order = np.argsort(got["id"])
    for name, want in WHOLE.items():
        assert np.array_equal(got[name][order], want), name
    fresh = np.isin(got["id"] - 1, [100, *range(150, 160), *range(2000, 5500)])
    assert not got["recv_ns"][fresh].any() and not got["seq"][fresh].any()
    assert got["recv_ns"][~fresh].all()
    assert rows_of(store, Kind.GAP)["filled"].tolist() == [1]


def test_bars_are_filled_by_the_minute(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    opens = np.array([0, 1, 2, 7, 8], np.int64) * MINUTE * 10**6 + T
    ones = np.ones(5, np.int64)
    bars = {"ts_ns": opens + MINUTE * 10**6, "open_ns": opens, "interval_ns": ones * 60 * 10**9}
    bars |= dict.fromkeys(("open", "high", "low", "close"), ones * 600000)
    bars |= {"volume": ones, "buy_volume": ones, "trades": ones}
    with store.transaction() as change:
        change.merge(Kind.BAR, VENUE, SYMBOL, bars, SCALES)
    with Venue().up() as endpoint:
        report, _ = filled(store, endpoint)
    assert report.whole and report.added == 4
    got = rows_of(store, Kind.BAR)
    assert ((got["open_ns"] - T) // (MINUTE * 10**6)).tolist() == list(range(9))
    assert got["close"][3] == 600_015 and got["volume"][3] == 1250 and got["buy_volume"][3] == 750
    assert got["trades"][3] == 12


@pytest.mark.parametrize("shift", [1, 17])
def test_other_trades_under_the_same_ids_do_not_come_in(tmp_path: Path, shift: int) -> None:
    """Single trades are numbered otherwise: the time at an edge tells."""
    store = log_without(tmp_path, range(100, 103), range(2000, 4000))

    def other(_number: int, rows: list) -> list:
        return [row | {"T": row["T"] + shift} for row in rows]

    with Venue(other).up() as endpoint:
        report, _ = filled(store, endpoint)
    assert report.added == 0
    holes = [hole for hole in report.holes if hole.finding.check == "id_hole"]
    assert [hole.left for hole in holes] == [3, 2000]
    assert all("another numbering" in hole.why for hole in holes)


def test_a_page_that_begins_elsewhere_or_is_out_of_order_is_not_used(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(100, 103), range(3000, 3003))

    def late(number: int, rows: list) -> list:
        return rows[1:] if number == 1 else rows[::-1]

    with Venue(late).up() as endpoint:
        report, _ = filled(store, endpoint)
    assert report.added == 0
    assert "asked for id 100, got 101" in report.holes[0].why
    assert "asked for id 3000" in report.holes[1].why


def test_what_is_too_old_waits_for_the_archive(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(100, 103), range(3000, 3003))

    def old(number: int, rows: list) -> object:
        if number == 1:
            return 400, {}, {"code": TOO_OLD, "msg": "Only support the last 48 hours"}
        return rows

    with Venue(old).up() as endpoint:
        first, _ = filled(store, endpoint)
        assert "archive has it" in first.holes[0].why
        assert [h.left for h in first.holes] == [3, 0]
        second, _ = filled(store, endpoint)
    assert second.whole
    both = joined(first, second)
    assert both.whole and both.added == 6 and len(both.holes) == 2


def test_rows_that_are_cancelled_or_no_numbers_are_left_out(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(100, 104))

    def spoiled(_number: int, rows: list) -> list:
        rows[1] |= {"p": "0", "q": "0", "f": -1, "l": -1}
        rows[2] |= {"p": "1e999"}
        return rows

    with Venue(spoiled).up() as endpoint:
        report, _ = filled(store, endpoint)
    assert report.added == 2
    assert sum(hole.left for hole in report.holes) == 2
    assert "cancelled" in report.holes[0].why


def test_a_pause_that_is_ordered_is_kept_and_trouble_is_waited_out(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(100, 103))

    def busy(number: int, rows: list) -> object:
        if number == 1:
            return 429, {"Retry-After": "1"}, {"code": -1003, "msg": "Too many requests"}
        return (503, {}, {}) if number == 2 else rows

    with Venue(busy).up() as endpoint:
        began = time.monotonic()
        report, rest = filled(store, endpoint)
    assert report.whole and rest.requests == 3
    assert time.monotonic() - began > 1.5


def test_a_ban_longer_than_patience_and_a_venue_that_is_away_are_said(tmp_path: Path) -> None:
    store = log_without(tmp_path, range(100, 103))

    def banned(_number: int, _rows: list) -> object:
        return 418, {"Retry-After": "86400"}, {}

    with Venue(banned).up() as endpoint:
        with pytest.raises(NetworkError, match="418"):
            filled(store, endpoint)
        rest = Rest(VENUE, endpoint, stop=lambda: True)
        rest._budget.hold(time.time_ns() + 10**12)
        with pytest.raises(NetworkError, match="not waited"):
            rest.time_ms()


@pytest.mark.parametrize("status", [403, 451])
def test_who_is_refused_for_where_he_asks_from_does_not_ask_hole_by_hole(
    tmp_path: Path, status: int
) -> None:
    store = log_without(tmp_path, range(100, 103), range(3000, 3003), range(5000, 5003))
    venue = Venue(lambda _n, _rows: (status, {}, {}))
    with venue.up() as endpoint:
        rest = Rest(VENUE, endpoint, patience_s=1.0)
        with pytest.raises(NetworkError, match=str(status)) as refused:
            fill_by_rest(store, Wanted(), lambda _venue: rest)
    assert venue.asked == 1
    assert not isinstance(refused.value, RefusedError)


def test_an_answer_in_another_shape_is_an_error() -> None:
    with Venue(lambda _n, _rows: {"rows": []}).up() as endpoint:
        rest = Rest(VENUE, endpoint)
        with pytest.raises(NetworkError, match="200") as wrong:
            rest.agg_trades(SYMBOL, 1)
        assert not isinstance(wrong.value, RefusedError)
        assert "shape" in wrong.value.why


def row_with(name: str, value: object) -> Callable[[int, list], list]:
    return lambda _n, rows: [{**row, name: value} if i == 3 else row for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("name", "value"),
    [("T", 2**63 + 5), ("a", 2**63 + 5), ("T", 5), ("T", T // 10**6 + 90_000_000)],
)
def test_a_number_beyond_belief_in_a_page_is_not_believed(
    tmp_path: Path, name: str, value: int
) -> None:
    with Venue(row_with(name, value)).up() as endpoint:
        store = log_without(tmp_path, range(1000, 1010))
        before = rows_of(store)
        report, _ = filled(store, endpoint)
    after = rows_of(store)
    for end in (np.min, np.max):
        assert end(after["ts_ns"]) == end(before["ts_ns"])
    assert [hole for hole in report.holes if hole.left]
