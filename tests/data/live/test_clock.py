"""The clock of a session: never back, whatever the wall clock does, and explained by anchors."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from data.live.clock import STEP_NS, SessionClock

S = 1_000_000_000
START = 1_700_000_000 * S


class Machine:
    """A machine's two clocks."""

    def __init__(self) -> None:
        self.mono, self.wall = 5 * S, START

    def pass_ns(self, ns: int, drift: int = 0) -> None:
        self.mono += ns
        self.wall += ns + drift


def clock_of(machine: Machine, floor_ns: int = 0) -> SessionClock:
    return SessionClock(
        mono_ns=lambda: machine.mono, wall_ns=lambda: machine.wall, floor_ns=floor_ns
    )


MOVES = st.lists(
    st.tuples(
        st.integers(0, 5 * S),
        st.sampled_from([0, 0, 0, S, -S, 3600 * S, -3600 * S, 86_400 * S, -86_400 * S, 1_000_000]),
    ),
    max_size=60,
)


@given(MOVES)
@settings(max_examples=200, deadline=None)
def test_time_never_goes_back_and_never_stands_still(moves: list[tuple[int, int]]) -> None:
    machine = Machine()
    clock = clock_of(machine)
    before = clock.now()
    for ns, step in moves:
        machine.pass_ns(ns, step)
        clock.skew_ns()
        now = clock.now()
        assert now - before >= ns
        before = now


@given(MOVES)
@settings(max_examples=200, deadline=None)
def test_monotonic_and_wall_time_follow_from_a_receive_time(moves: list[tuple[int, int]]) -> None:
    machine = Machine()
    clock = clock_of(machine)
    for ns, step in moves:
        machine.pass_ns(ns, step)
        clock.skew_ns()
        machine.pass_ns(1234)
        recv = clock.now()
        a = clock.anchors[-1]
        assert a.mono_ns + recv - a.session_ns == machine.mono
        assert abs(a.wall_ns + recv - a.session_ns - machine.wall) <= STEP_NS


def test_a_step_forward_is_followed_and_one_back_is_not() -> None:
    machine = Machine()
    clock = clock_of(machine)
    machine.pass_ns(S, 3600 * S)
    assert clock.skew_ns() == 0
    assert clock.steps == 1
    assert clock.now() == machine.wall
    machine.pass_ns(S, -7200 * S)
    assert clock.skew_ns() == -7200 * S
    machine.pass_ns(S)
    assert clock.skew_ns() == -7200 * S
    assert clock.steps == 2
    assert clock.now() == machine.wall + 7200 * S
    machine.pass_ns(S, 7200 * S)
    assert clock.skew_ns() == 0
    assert clock.steps == 3


def test_after_a_restart_time_goes_on_from_the_last_event() -> None:
    machine = Machine()
    assert clock_of(machine, floor_ns=START + S).now() == START + S


def test_after_a_restart_with_the_clock_set_back_time_goes_on() -> None:
    machine = Machine()
    clock = clock_of(machine, floor_ns=START + 3600 * S)
    machine.pass_ns(10 * S)
    clock.skew_ns()
    machine.pass_ns(10 * S)
    assert clock.now() == START + 3620 * S
    machine.pass_ns(S, 3600 * S)  # and it is put right
    clock.skew_ns()
    assert clock.now() == START + 3621 * S


def test_a_served_clock_is_the_venues_alone() -> None:
    machine = Machine()
    clock = SessionClock(served=True, mono_ns=lambda: machine.mono, wall_ns=lambda: machine.wall)
    clock.told(7 * S)
    machine.pass_ns(100 * S, 3600 * S)
    assert (clock.now(), clock.skew_ns(), clock.steps) == (7 * S, 0, 0)
    clock.told(6 * S)
    assert clock.now() == 7 * S


def test_the_offset_is_the_smallest_of_the_last_minute() -> None:
    clock = clock_of(Machine())
    clock.saw(1000 * S, 1000 * S - 1_400_000_000)
    clock.saw(1001 * S, 1001 * S + 5_000_000)
    assert clock.offset_ns == -1_400_000_000
    assert clock.venue_ns(2000 * S) == 2000 * S + 1_400_000_000
    for second in range(2000, 2062):
        clock.saw(second * S, second * S + 3_000_000)
    assert clock.offset_ns == 3_000_000
