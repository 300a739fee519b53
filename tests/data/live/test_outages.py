"""Restarts, silence, kinds left out for a while, ids that begin anew, served clocks."""

from __future__ import annotations

import json

import pytest

from data.enums import GapReason, Kind
from data.errors import DataError
from data.live.items import Closed, Ended, Opened, Served
from data.live.resume import Resume
from tests.data.live.frames import (
    MS,
    T0_NS,
    Door,
    depth,
    kline,
    liquidation,
    mark,
    quote,
    trade,
)

TRADES, DEPTH, MARK = "btcusdt@aggTrade", "btcusdt@depth20@100ms", "btcusdt@markPrice@1s"


def open_door(**more: object) -> Door:
    return Door(**more).put(0, Opened(1_000, 1, (TRADES, DEPTH, MARK)))


def stood_at(door: Door) -> Resume:
    """Where the streams stood, by what was admitted."""
    resume = Resume()
    for group in door.groups:
        resume.follow(group)
    return resume


def test_a_restart_is_downtime_from_the_last_event_on() -> None:
    first = Door().send(10, trade(5, 7), depth(50, 8), mark(9)).send(60_100, kline(0))
    stood = stood_at(first)
    resume = Resume.of_json(json.loads(json.dumps(stood.to_json())))
    assert resume == stood

    again = Door(resume=resume, next_seq=first.inlet.next_seq)
    again.hands.now = 90_000 * MS
    again.send(90_000, trade(6, 89_990), depth(90, 89_991), trade(5, 7))
    assert sorted(again.gaps()) == [
        ("BAR", "DOWNTIME", 0, 0, 0),
        ("DEPTH", "DOWNTIME", 50, 0, 0),
        ("DEPTH", "DOWNTIME", 50, 90, 0),
        ("MARK", "DOWNTIME", 0, 0, 0),
        ("TRADE", "DOWNTIME", 5, 0, 0),
        ("TRADE", "DOWNTIME", 5, 6, 1),
    ]
    assert again.rows("id") == [6]
    assert again.events[0]["seq"] == first.events[-1]["seq"] + 1


def test_trades_missed_in_downtime_are_told_by_id() -> None:
    resume = stood_at(Door().send(10, trade(5, 7)))
    again = Door(resume=resume).send(10, trade(5_000_000, 9)).end()
    assert again.gaps()[1:] == [("TRADE", "DOWNTIME", 5, 5_000_000, 0)]


@pytest.mark.parametrize("data", [{}, {"schema": 2, "last": []}, {"schema": 1, "last": [[1]]}])
def test_a_point_of_resumption_that_is_none_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(DataError, match="resumption"):
        Resume.of_json(data)


def test_a_silent_stream_is_a_gap_until_it_speaks() -> None:
    door = open_door().send(100, trade(1, 90), depth(9, 95), mark(99))
    door.send(6_200, depth(10, 6_190))
    assert door.inlet.silent_streams() == (MARK,)
    assert door.gaps() == [("MARK", "SILENCE", 0, 0, 0)]
    door.put(17_000)
    assert set(door.inlet.silent_streams()) == {MARK, DEPTH}
    door.send(17_100, mark(17_090), depth(11, 17_091))
    assert not door.inlet.silent_streams()
    assert len(door.gaps()) == 4
    assert door.rows("from_ns", "to_ns", kind=Kind.GAP)[-1] == (
        T0_NS + 6_190 * MS, T0_NS + 17_091 * MS,
    )  # fmt: skip


def test_a_stream_that_never_spoke_is_silent_too() -> None:
    door = open_door().put(11_500)
    assert set(door.inlet.silent_streams()) == {MARK, DEPTH}
    assert door.rows("from_ns", kind=Kind.GAP) == [T0_NS, T0_NS]


def test_a_lost_stream_is_not_silent_besides() -> None:
    door = open_door().send(100, mark(99))
    door.put(200, Closed(door.at(200), 1, (TRADES, DEPTH, MARK), GapReason.DISCONNECT, "reset"))
    door.put(200_000)
    assert not door.inlet.silent_streams()
    assert {reason for _, reason, *_ in door.gaps()} == {"DISCONNECT"}


def test_an_unwanted_kind_is_a_gap_from_the_first_left_out_to_the_first_again() -> None:
    door = Door().send(10, trade(1, 1), depth(9, 2))
    door.inlet.wanted = {Kind.TRADE}
    door.send(20, trade(2, 11), depth(10, 12), depth(11, 13))
    door.inlet.wanted = {Kind.TRADE, Kind.DEPTH}
    door.send(30, trade(3, 21), depth(12, 22))
    assert door.rows("id", kind=Kind.DEPTH) == [9, 12]
    assert door.rows("id") == [1, 2, 3]
    assert door.gaps() == [("DEPTH", "DISK", 9, 0, 0), ("DEPTH", "DISK", 9, 12, 0)]
    assert door.inlet.facts.unwanted == {Kind.DEPTH: 2}


def test_ids_that_fall_back_with_newer_trades_begin_anew() -> None:
    door = Door().send(10, trade(900, 1), trade(1, 5), trade(2, 6), trade(3, 7))
    assert door.rows("id") == [900, 1, 2, 3]
    assert door.gaps() == [("TRADE", "SEQUENCE_BREAK", 900, 1, 0)]


def test_one_wrong_id_is_left_out_and_the_trade_counts_as_missing() -> None:
    for wrong in (7, 9_000_000_000_000_000):
        door = Door().send(10, trade(900, 1), trade(wrong, 5), trade(902, 6), trade(903, 7)).end()
        assert door.rows("id") == [900, 902, 903]
        assert door.gaps() == [("TRADE", "ID_HOLE", 900, 902, 0)]
        assert door.inlet.facts.rejects == {"id": 1}


def test_wrong_ids_in_a_row_are_left_out_one_by_one() -> None:
    door = Door().send(10, trade(900, 1), trade(7, 5), trade(9_000_000_000_000_000, 5))
    door.send(11, trade(4_000_000_000, 6), trade(904, 7), trade(905, 8)).end()
    assert door.rows("id") == [900, 904, 905]
    assert door.gaps() == [("TRADE", "ID_HOLE", 900, 904, 0)]
    assert door.inlet.facts.rejects == {"id": 3}


def test_a_jump_beyond_belief_that_nothing_follows_is_a_new_count_when_the_hold_is_over() -> None:
    door = Door(hold_ns=500 * MS).send(10, trade(900, 1), trade(9_000_000_000, 5)).put(600)
    assert door.gaps() == [("TRADE", "SEQUENCE_BREAK", 900, 9_000_000_000, 0)]
    assert door.send(700, trade(9_000_000_001, 650)).rows("id")[-1] == 9_000_000_001


def test_a_late_book_is_left_out_and_said() -> None:
    door = Door().send(10, depth(9, 1), depth(11, 3), depth(10, 2), depth(12, 4), depth(10, 2))
    assert door.rows("id", kind=Kind.DEPTH) == [9, 11, 12]
    assert door.gaps() == [("DEPTH", "DISORDER", 10, 11, 0)]
    assert door.rows("from_ns", "to_ns", kind=Kind.GAP) == [(T0_NS + 2 * MS, T0_NS + 3 * MS)]
    assert door.inlet.facts.late == {Kind.DEPTH: 1}
    assert door.inlet.facts.duplicates == {Kind.DEPTH: 1}


def test_update_ids_that_begin_anew_are_followed() -> None:
    door = Door().send(10, quote(900, 1), quote(5, 4), quote(6, 5))
    assert door.rows("id", kind=Kind.QUOTE) == [900, 5, 6]
    assert door.gaps() == [("QUOTE", "SEQUENCE_BREAK", 900, 5, 0)]


def test_a_missing_bar_is_a_gap() -> None:
    door = Door().send(300_000, kline(0), kline(1), kline(3), kline(2))
    assert door.gaps() == [("BAR", "ID_HOLE", 0, 0, 0), ("BAR", "DISORDER", 0, 0, 0)]
    assert len(door.rows("ts_ns", kind=Kind.BAR)) == 3


def test_a_late_liquidation_is_kept_and_said() -> None:
    door = Door().send(5_000, liquidation(2_000), liquidation(1_000), liquidation(2_000))
    assert door.rows("ts_ns", kind=Kind.LIQUIDATION) == [T0_NS + 2_000 * MS, T0_NS + 1_000 * MS]
    assert door.gaps() == [("LIQUIDATION", "DISORDER", 0, 0, 0)]


def test_operators_do_not_wait_and_time_does_not_pass_for_who_waits() -> None:
    door = Door().send(10, trade(1, 1), trade(3, 3))
    door.inlet.clock_event(T0_NS + 5 * MS)
    door.inlet.control_event(3, 0, [0])
    door.send(20, trade(2, 2))
    door.inlet.clock_event(T0_NS + 6 * MS, [0])
    door.keep(door.inlet.collect())
    assert [(e["kind"].name, e["series"], e["id"]) for e in door.events] == [
        ("TRADE", 0, 1), ("CLOCK", 1, 1_000 + 10 * MS), ("CONTROL", 0, 0), ("TRADE", 0, 2),
        ("TRADE", 0, 3), ("CLOCK", 0, 1_000 + 20 * MS),
    ]  # fmt: skip


def test_a_served_clock_stands_where_the_frames_are() -> None:
    door = Door(served=True).put(0, Served(1_000, T0_NS))
    door.send(1, trade(1, 50_000), trade(2, 51_000))
    assert door.rows("recv_ns") == [T0_NS + 50_005 * MS, T0_NS + 51_005 * MS]
    assert not door.inlet.silent_streams()
    # what the venue says that it sent may still be on its way: believed one message later
    door.put(2, Served(door.at(2), T0_NS + 90_000 * MS))
    assert door.clock.now() == T0_NS + 51_005 * MS
    door.put(3, Served(door.at(3), T0_NS + 95_000 * MS))
    assert door.clock.now() == T0_NS + 90_000 * MS
    door.put(4, Ended(door.at(4)))
    assert door.clock.now() == T0_NS + 95_000 * MS and door.inlet.ended


def test_a_served_symbol_waits_by_the_wall_too_because_another_socket_may_be_ahead() -> None:
    door = Door(served=True, hold_ns=1_000 * MS).put(0, Served(1_000, T0_NS))
    door.send(1, trade(1, 50), trade(3, 60), depth(9, 90_000), trade(2, 55), trade(4, 70))
    assert door.rows("id") == [1, 2, 3, 4] and not door.gaps()
    door.send(2, trade(6, 90_060), depth(10, 99_000)).send(40, depth(11, 99_500))
    assert door.rows("id") == [1, 2, 3, 4]
    door.send(60, depth(12, 99_600))
    assert door.rows("id") == [1, 2, 3, 4, 6]
    assert door.gaps() == [("TRADE", "ID_HOLE", 4, 6, 0)]


def test_a_clock_that_is_hours_off_is_found_out() -> None:
    hours = 3 * 3_600_000
    door = Door()
    for i in range(40):
        door.send(i, trade(i + 1, hours + i))
    assert door.inlet.facts.rejects == {"time": 31}
    assert len(door.rows("id")) == 9
    door.send(50, trade(41, 100 * hours))
    assert door.inlet.facts.rejects == {"time": 32}
    assert door.clock.now() < T0_NS + hours * MS


def test_what_waits_is_bounded() -> None:
    door = Door(hold_most=50).send(10, trade(1), trade(3), *(depth(9 + i) for i in range(60)))
    assert len(door.rows("id", kind=Kind.DEPTH)) == 60
    assert door.gaps() == [("TRADE", "ID_HOLE", 1, 3, 0)]
