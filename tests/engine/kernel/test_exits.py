"""The exits against their slow oracle, and what must hold of every stop that they ask for."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel import exits, placement
from engine.runtime.groups_trading import PRESETS, TRADING
from tests.engine.kernel.exits_desk import Desk, core_params
from tests.engine.kernel.oracle_exits import (
    Asked,
    Follower,
    Moment,
    Terms,
    break_even,
)
from tests.engine.kernel.oracle_exits import settings as fields
from tests.engine.kernel.test_handlers import EXAMPLES

S = 10**9
G = 10**9
START = 1_000_000 * 30 * S
MANY = settings(EXAMPLES, max_examples=20 * EXAMPLES.max_examples)

ratios = st.sampled_from([0, G // 5, G // 2, G, G * 3 // 2])
params = st.builds(
    fields,
    check_ns=st.sampled_from([0, 0, 30 * S]),
    breakeven_by=st.integers(0, 4),
    breakeven_at_fp9=st.sampled_from([G // 1000, G // 5, G // 2, G]),
    breakeven_fees=st.integers(0, 1),
    breakeven_extra_fp9=st.sampled_from([0, 100_000]),
    partial_by=st.integers(0, 4),
    partial_at_fp9=st.sampled_from([G // 500, G // 2, G]),
    partial_share_fp9=st.sampled_from([0, G // 3, G // 2, G]),
    widen=st.integers(0, 1),
    widen_ratio_fp9=st.sampled_from([0, G * 3 // 2]),
    widen_vix_fp9=st.sampled_from([0, 18 * G]),
    widen_most_fp9=st.sampled_from([G, 2 * G]),
    widen_base=st.integers(0, 1),
    widen_atr_fp9=st.sampled_from([G, G * 3 // 2]),
    trail_fp9=st.sampled_from([0, G, 2 * G]),
    trail_from=st.integers(0, 1),
    trail_step_fp9=st.sampled_from([0, 500_000]),
    hold_ns=st.sampled_from([0, 60 * S]),
    momentum=st.integers(0, 2),
    momentum_z_fp9=st.sampled_from([G // 2, 2 * G]),
    momentum_n=st.integers(1, 6),
    momentum_move_fp9=st.sampled_from([G // 1000, G // 500]),
)
terms = st.builds(
    Terms,
    step=st.sampled_from([1, 5, 10]),
    qty_step=st.sampled_from([1, 10]),
    qty_min=st.sampled_from([1, 10]),
    taker_ppb=st.sampled_from([0, 100_000, 400_000]),
    fee=st.integers(0, 3),
)
steps = st.lists(
    st.tuples(
        st.integers(-150, 150), st.integers(0, 12), st.integers(-1500, 1500),
        st.sampled_from([-3.0, -1.0, -0.6, 0.0, 1.0]), st.sampled_from([1, 1, 1, 0]),
        st.sampled_from([0.0, 30.0, 47.3, 90.0, 200.0]), st.sampled_from([0, 0, 15 * G, 25 * G]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@st.composite
def followers(draw: Any) -> Follower:
    t, direction = draw(terms), draw(st.sampled_from([-1, 1]))
    entry = draw(st.integers(9_000, 11_000)) * 10 + draw(st.integers(0, 9))
    away, goal = draw(st.integers(3, 60)), draw(st.integers(0, 60))
    base = entry // t.step * t.step
    qty = draw(st.integers(1, 50)) * t.qty_step
    budget = draw(st.sampled_from([0, 1, 2, 5])) * away * t.step * qty
    return Follower(
        draw(params), t, direction, entry, qty,
        draw(st.sampled_from([1, 1, 1, 0])) * (base - direction * away * t.step),
        base + direction * goal * t.step * 3 if goal else 0,
        draw(st.sampled_from([0.0, 30.0, 60.5])), budget,
        draw(st.integers(-1000, 1000)), draw(st.sampled_from([5 * S, 30 * S])),
        draw(st.sampled_from(["seed", "cusum"])), START + draw(st.integers(0, 5)) * S,
    )  # fmt: skip


def moments(f: Follower, steps: list[Any]) -> list[Moment]:
    price, found = f.entry, []
    for n, (move, spread, delta, z, ready, atr, vix) in enumerate(steps):
        price += move
        found.append(
            Moment(START + (n + 1) * 5 * S, price, price + spread, delta, z, ready, atr, vix)
        )
    return found


def follow(f: Follower, tape: list[Moment]) -> list[tuple[Moment, Asked]]:
    """What the compiled exits ask, each compared with the oracle."""
    desk, found = Desk(f), []
    for m in tape:
        m.qty = abs(int(desk.known["qty"][0]))
        have = desk.decide(m)
        assert have == f.decide(m), m
        found.append((m, have))
        assert int(desk.s["stop"][0]) == f.stop
        if have.rule in ("flip", "time", "momentum"):
            break
    return found


@MANY
@given(followers(), steps)
def test_agrees_with_its_oracle_and_keeps_its_word(f: Follower, walk: list[Any]) -> None:
    """One action a decision in the fixed order, and every stop where it may be."""
    stop, rules = f.first_stop, []
    for m, asked in follow(f, moments(f, walk)):
        rules.append(asked.rule)
        if not asked.stop:
            continue
        assert asked.stop % f.terms.step == 0
        mark = m.bid if f.direction > 0 else m.ask
        least = max(3 * f.terms.step, m.ask - m.bid)
        if asked.rule == "volatility":
            assert f.direction * (stop - asked.stop) > 0, "it only widens"
            assert loss(f, asked.stop, m.qty) <= f.budget, "and never beyond the budget"
        else:
            assert stop == 0 or f.direction * (asked.stop - stop) > 0, "only in favour"
            assert f.direction * (mark - asked.stop) >= least
        stop = asked.stop
    for once in ("breakeven", "partial", "volatility"):
        assert rules.count(once) <= 1
    assert "volatility" not in rules[rules.index("breakeven") :] if "breakeven" in rules else True


def loss(f: Follower, stop: int, qty: int) -> Fraction:
    """Money lost where the stop fills at its price, fees both ways."""
    away = f.direction * (f.entry - stop)
    return qty * (away + f.terms.side(f.entry) + f.terms.side(stop))


@MANY
@given(followers(), steps)
def test_long_and_short_mirror_exactly(f: Follower, walk: list[Any]) -> None:
    """Turned round about the entry, with fees and shares of the price out of the way."""
    f.terms.taker_ppb = 0
    f.p |= {"breakeven_extra_fp9": 0, "trail_step_fp9": 0, "momentum_move_fp9": 0}
    f.entry = f.entry // f.terms.step * f.terms.step
    f = dataclasses.replace(f)
    other = dataclasses.replace(
        f, direction=-f.direction, entry_delta=-f.entry_delta, p=dict(f.p),
        first_stop=2 * f.entry - f.first_stop if f.first_stop else 0,
        target=2 * f.entry - f.target if f.target else 0,
    )  # fmt: skip
    for p in (f.p, other.p):  # shares of a price do not mirror
        for name in ("breakeven_by", "partial_by"):
            p[name] = 0 if p[name] == 4 else p[name]
    tape = moments(f, walk)
    turned = [
        dataclasses.replace(
            m, bid=2 * f.entry - m.ask, ask=2 * f.entry - m.bid, delta=-m.delta, z=-m.z
        )
        for m in tape
    ]
    for (_, a), (_, b) in zip(follow(f, tape), follow(other, turned), strict=True):
        turned_stop = 2 * f.entry - b.stop if b.stop else 0
        assert (a.rule, a.stop, a.part) == (b.rule, turned_stop, b.part)


def plain(direction: int = 1, **p: int) -> Follower:
    """A position at 100000 with a stop 200 away and a target at 400."""
    return Follower(
        fields(**p), Terms(), direction, 100_000, 10, 100_000 - 200 * direction,
        100_000 + 400 * direction, 50.0, 10**9, 1000 * direction, 30 * S, "seed", START,
    )  # fmt: skip


ALL = {
    "breakeven_by": 1, "breakeven_at_fp9": G // 2, "breakeven_fees": 1,
    "partial_by": 1, "partial_at_fp9": G // 2, "partial_share_fp9": G // 2,
    "widen": 1, "widen_vix_fp9": 18 * G, "widen_most_fp9": 2 * G,
    "trail_fp9": G, "hold_ns": S, "momentum": 2, "momentum_n": 1,
}  # fmt: skip


@pytest.mark.parametrize("direction", [1, -1])
def test_rules_come_in_their_order_and_what_waits_is_asked_again(direction: int) -> None:
    """All want something at once: each gets its turn, the flip before any of them."""
    f = plain(direction, **ALL)
    f.terms.taker_ppb = 1000
    tape = []
    for n, gain in enumerate((150, 150, 148, 140, 120)):
        price = 100_000 + direction * gain
        tape.append(Moment(START + (n + 1) * 5 * S, price, price, 0, 0.0, 1, 60.0, 25 * G))
    rules = [asked.rule for _, asked in follow(f, tape)]
    assert rules == ["breakeven", "partial", "trail", "time"]
    f = plain(direction, **ALL | {"breakeven_by": 0, "partial_by": 0, "hold_ns": 0, "trail_fp9": 0})
    assert [a.rule for _, a in follow(f, tape)] == ["volatility", "none", "momentum"]
    f = plain(direction, **ALL)
    tape[0].delta = -800 * direction
    assert [a.rule for _, a in follow(f, tape)] == ["flip"]


@pytest.mark.parametrize("direction", [1, -1])
def test_the_seeds_flip_is_off_where_the_entry_had_the_other_sign(direction: int) -> None:
    """Its defect 23: a long bought against the flow is never asked."""
    f = plain(direction)
    f.entry_delta = -1000 * direction
    price = 100_000
    tape = [
        Moment(START + n * 5 * S, price, price, -(10**6) * direction, -9.0 * direction)
        for n in range(1, 9)
    ]
    assert {a.rule for _, a in follow(f, tape)} == {"none"}
    f = dataclasses.replace(f, flip_mode="cusum")
    assert [a.rule for _, a in follow(f, tape)][-1] == "flip", "the CUSUM asks against the position"


@MANY
@given(
    terms, st.sampled_from([1, -1]), st.integers(1, 10**6), st.integers(0, 300), st.booleans(),
    st.sampled_from([0, 100_000, 10**7]),
)  # fmt: skip
def test_break_even_is_the_first_price_that_pays(
    t: Terms, direction: int, entry: int, spread: int, fees: bool, extra: int
) -> None:
    core = core_params(t)
    have = placement.break_even(core[0], direction, entry, spread, int(fees), extra)
    assert int(have) == break_even(t, direction, entry, spread, fees, Fraction(extra, G))


def test_a_partial_that_finds_nothing_is_asked_three_times_and_no_more() -> None:
    f = plain(**{k: v for k, v in ALL.items() if k.startswith("partial")})
    desk, price = Desk(f), 100_150
    rules = [
        desk.decide(Moment(START + n * 5 * S, price, price), fills=False).rule for n in range(1, 7)
    ]
    assert rules == ["partial"] * 3 + ["none"] * 3


def test_an_exit_that_was_not_filled_is_asked_again() -> None:
    desk = Desk(plain(hold_ns=S))
    first = desk.decide(Moment(START + 5 * S, 100_000, 100_001))
    desk.known["open_orders"] = 1
    waits = desk.decide(Moment(START + 10 * S, 100_000, 100_001))
    desk.known["open_orders"] = 0
    again = desk.decide(Moment(START + 15 * S, 100_000, 100_001))
    assert [a.rule for a in (first, waits, again)] == ["time", "none", "time"]


def test_an_entry_in_pieces_grows_the_position_and_its_end_wipes_it() -> None:
    f = plain()
    desk = Desk(f)
    assert (int(desk.s["distance"][0]), int(desk.s["risk"][0])) == (200, 2000)
    desk.know(30, 100_010, START)
    assert desk.follow() == 0
    assert [int(desk.s[n][0]) for n in ("qty", "distance", "risk")] == [30, 210, 6300]
    desk.know(0, 0, 0)
    assert desk.follow() == -1
    desk.s["expected"] = 0
    desk.s["marks"] = 0
    assert not desk.s.tobytes().strip(b"\0") and not desk.flip.tobytes().strip(b"\0")
    assert desk.follow() == 0


def test_presets_name_settings_that_there_are() -> None:
    for group, presets in PRESETS.items():
        names = {p.name for p in TRADING[group]}
        assert all(set(values) <= names for values in presets.values())
        choices = next(p for p in TRADING[group] if p.name == "preset").choices
        assert set(choices) == set(presets)


def test_parameters_and_their_record_agree() -> None:
    assert [p.field for p in TRADING["exits"]] == list(exits.EXITS_PARAMS.names or ())
