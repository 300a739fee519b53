"""Nothing is shown before it is synced, and what is wrong is said."""

from __future__ import annotations

from dataclasses import replace

from data.journal.states import States
from engine.runtime.alarms import alarms
from engine.runtime.view import OFFERS_MAX, Board, View
from tests.engine.runtime.pictures import a_view, ill


def at(seq: int) -> View:
    return replace(a_view(), as_of_seq=seq, states=States(seq, seq, seq - 5, 0, 0))


def test_a_picture_is_shown_once_its_events_are_synced() -> None:
    board = Board(at(0))
    board.offer(at(10))
    board.offer(at(20))
    assert board.view().as_of_seq == 0
    board.synced(19)
    assert board.view().as_of_seq == 10
    board.synced(20)
    assert board.view().as_of_seq == 20
    board.offer(at(15))
    assert board.view().as_of_seq == 15


def test_the_synced_state_is_that_of_now() -> None:
    board = Board(at(10))
    board.offer(at(20))
    board.synced(7)
    assert board.view().states == States(10, 10, 7, 0, 0)
    board.synced(3)
    assert board.view().states.synced == 7
    board.synced(12)
    assert board.view().states == States(10, 10, 10, 0, 0)


def test_what_waits_is_bounded() -> None:
    board = Board(at(0))
    for seq in range(1, 10 * OFFERS_MAX):
        board.offer(at(seq))
    board.synced(10 * OFFERS_MAX)
    assert board.view().as_of_seq == 10 * OFFERS_MAX - 1


def test_a_session_that_is_well_has_no_alarm_but_its_guards() -> None:
    view = a_view()
    assert alarms(view) == ("no entries: BTCUSDT (cooldown)",)
    assert view.healthy
    assert replace(view, alarms=alarms(view)).healthy
    assert not replace(view, alarms=(*alarms(view), "no connection")).healthy


def test_what_is_wrong_is_said_gravest_first() -> None:
    view = ill(a_view())
    feed = replace(view.feed, lag_p99_ms=9_000.0, decision_p99_ms=1_500.0)
    states = States(900_000, 0, 0, 0, 0)
    found = alarms(replace(view, phase="paused", feed=feed, states=states))
    assert [x.split(":")[0] for x in found] == [
        "recording waits for space on the disk", "the disk is slow", "the disk is nearly full",
        "no connection", "120 messages were dropped", "events are late", "checks are slow",
        "no entries",
    ]  # fmt: skip
    assert alarms(replace(view, phase="stopped")) == ()
    assert not any("connection" in x for x in alarms(replace(view, uptime_s=1.0)))
    silent = replace(a_view().feed, silent=("a", "b", "c", "d", "e"))
    assert "silent: a, b, c and 2 more" in alarms(replace(a_view(), feed=silent))


def test_a_symbol_is_found_in_any_case() -> None:
    assert a_view().symbol("btcusdt") is not None
    assert a_view().symbol("nothing") is None
