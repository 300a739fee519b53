"""Speed of the tape and large prints: by hand, on tapes with loose settings, nulls and plants."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import tape
from tests.engine.driving import Result, fold_events, probe
from tests.engine.kernel.oracles import Reference
from tests.engine.kernel.test_handlers import EXAMPLES, follow, needed
from tests.engine.tapes import Event, Plot, S, fixed, market, tapes, write

START = 1_723_161_600 * S


def fast(pace: int, before: int, **changes: int) -> bool:
    p = np.zeros(1, dtype=tape.TAPE_PARAMS)
    p["ratio_fp9"], p["trades"] = 1_500_000_000, 100
    for name, value in changes.items():
        p[name] = value
    return bool(tape.is_fast(p[0], pace, before))


@pytest.mark.parametrize(
    ("pace", "before", "want"),
    [
        (30, 380, False),  # the mean of 15 s is 380 / 19 = 20: thirty is 1.5 times and no more
        (31, 380, True),
        (151, 1900, True),
        (150, 1900, False),
        (1, 0, True),  # after silence anything is fast, where nothing else is asked
        (0, 0, False),
    ],
)
def test_one_and_a_half_times_the_mean(pace: int, before: int, want: bool) -> None:
    assert fast(pace, before) == want


def test_a_poisson_count_strays_by_a_root() -> None:
    """Mean 16, root 4: three of them above is 28."""
    assert not fast(28, 16 * 19, sigmas_fp9=3 * 10**9)
    assert fast(29, 16 * 19, sigmas_fp9=3 * 10**9)
    assert not fast(19, 0, least=20)
    assert fast(20, 0, least=20)


def test_the_fixed_rule() -> None:
    assert not fast(100, 0, rule=tape.FIXED)
    assert fast(101, 10**9, rule=tape.FIXED)


@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(1000, 5000))
def test_the_ratio_is_exact(pace: int, before: int, ratio: int) -> None:
    want = pace > 0 and pace > Fraction(ratio, 1000) * Fraction(before, 19)
    assert fast(pace, before, ratio_fp9=ratio * 10**6) == want


def steady(seconds: int, a_second: int = 2, qty: int = 100) -> list[Event]:
    """Trades of one size that alternate, evenly in time."""
    return [
        {"kind": 4, "ts_ns": START + n * (S // a_second), "id": n, "price": 1000, "qty": qty,
         "side": 1 if n % 2 else -1}
        for n in range(seconds * a_second)
    ]  # fmt: skip


def then(events: list[Event], *more: tuple[float, int, int]) -> list[Event]:
    """Further trades: (seconds after the start, signed quantity, how many)."""
    out = list(events)
    for at, qty, times in more:
        for _ in range(times):
            out.append({"kind": 4, "ts_ns": START + round(at * S), "id": len(out), "price": 1000,
                        "qty": abs(qty), "side": 1 if qty > 0 else -1})  # fmt: skip
    return out


def clock(at: float) -> Event:
    return {"kind": 9, "ts_ns": START + round(at * S), "id": 0}


def folded(events: list[Event], **settings: str) -> Result:
    return fold_events(probe("tape"), events, {f"tape.{k}": v for k, v in settings.items()})


def signals(result: Result) -> tuple[dict[str, int], dict[str, int]]:
    s = result.fold.state["tape"][0]
    names = s["signal"].dtype.names
    speed, prints = ({n: int(s[w][n]) for n in names} for w in ("signal", "prints"))
    return speed, prints


def test_a_fast_tape_leans() -> None:
    """30 trades in 15 s for 305 s, then 60 more that buy: 90 against a mean of 30."""
    calm = steady(305)
    speed, _ = signals(folded([*then(calm, (304.9, 100, 60)), clock(305)]))
    assert (speed["ready"], speed["direction"], speed["fired"]) == (1, 1, 1)
    assert speed["value_fp9"] == 3 * 10**9
    assert speed["strength_fp9"] == round(60 / 90 * (1 - 1 / 3) * 1e9)
    speed, _ = signals(folded([*then(calm, (304.9, -100, 60)), clock(305)]))
    assert speed["direction"] == -1


def test_fast_without_a_side() -> None:
    both = then(steady(305), (304.8, 100, 30), (304.9, -100, 30))
    result = folded([*both, clock(305)])
    assert int(result.fold.state["tape"]["fast"][0]) == 1
    assert signals(result)[0]["direction"] == 0


def test_slow_or_too_short_a_history_says_nothing() -> None:
    speed, prints = signals(folded([*then(steady(299), (298.9, 100, 60)), clock(300)]))
    assert (speed["ready"], speed["direction"]) == (1, 1), "300 s since the first trade"
    assert prints["ready"] == 0, "what is large was not known before"
    speed, prints = signals(folded([*then(steady(294), (293.9, 100, 60)), clock(295)]))
    assert (speed["ready"], prints["ready"]) == (0, 0)
    assert signals(folded([*steady(305), clock(305)]))[0]["direction"] == 0


def test_a_large_print_is_more_than_ten_means() -> None:
    """Prints of 100: above 1000 is large, and 2000 is twice that."""
    calm = steady(305)
    assert signals(folded([*then(calm, (305.1, 1000, 1)), clock(310)]))[1]["fired"] == 0
    _, prints = signals(folded([*then(calm, (305.1, 2000, 1)), clock(310)]))
    assert (prints["fired"], prints["direction"]) == (1, 1)
    assert prints["strength_fp9"] == 500_000_000
    assert prints["value_fp9"] == 2 * 10**9
    assert (prints["fired_ns"], prints["until_ns"]) == (START + 310 * S, START + 325 * S)


def test_large_prints_of_both_sides_are_set_off() -> None:
    calm = steady(305)
    _, prints = signals(folded([*then(calm, (305.1, 2000, 1), (305.2, -6000, 1)), clock(310)]))
    assert prints["direction"] == -1
    assert prints["strength_fp9"] == round(4000 / 8000 * (1 - 1000 / 6000) * 1e9)
    _, prints = signals(folded([*then(calm, (305.1, 2000, 1), (305.2, -2000, 1)), clock(310)]))
    assert (prints["fired"], prints["direction"]) == (0, 0)


def test_it_falls_silent_after_its_life() -> None:
    calm = then(steady(305), (305.1, 2000, 1))
    for at, direction in ((320, 1), (325, 0)):
        _, prints = signals(folded([*calm, *(clock(t) for t in (310, 315, at))]))
        assert prints["direction"] == direction, at


@pytest.mark.parametrize(("qty", "fired"), [(500, 0), (501, 1)])
def test_by_quantity_and_by_notional(qty: int, fired: int) -> None:
    """.5 of the base; 50 of the account's currency at a price of 100.0: both are 500 lots."""
    early = then(steady(5), (5.1, qty, 1))
    for rule in ({"size": "quantity", "quantity": "0.5"}, {"size": "notional", "notional": "50"}):
        assert signals(folded([*early, clock(10)], **rule))[1]["fired"] == fired


def test_nothing_reaches_over_a_gap() -> None:
    hole = {"kind": 0, "ts_ns": START + 305 * S + 1, "id": 0, "stream": 4,
            "from_ns": START + 305 * S, "to_ns": START + 305 * S + 1, "filled": 0}  # fmt: skip
    tail = then([], (305.2, 2000, 80))
    speed, prints = signals(folded([*steady(305), hole, *tail, clock(310)]))
    assert (speed["ready"], prints["ready"]) == (0, 0)


def test_large_numbers_and_degenerate_tapes() -> None:
    big = steady(305, qty=10**12)
    _, prints = signals(folded([*then(big, (305.1, 2 * 10**13, 1)), clock(310)]))
    assert prints["strength_fp9"] == 500_000_000
    one_sided = [{**e, "side": 1} for e in steady(305)]
    speed, prints = signals(folded([*one_sided, clock(305)]))
    assert (speed["direction"], prints["direction"]) == (0, 0), "steady flow is not fast"


LOOSE: dict[str, Any] = {"least": 1, "sigmas": 0, "ratio": 1, "lean": 0, "multiple": 1}
LOOSE_TEXT = {f"tape__{k}": str(v) for k, v in LOOSE.items()}


def loose() -> Reference:
    names = needed("tape")
    return Reference(names, **{"tape": LOOSE})  # type: ignore[arg-type]


@EXAMPLES
@given(tapes(12))
def test_loose_settings_agree_with_the_oracle(plot: Plot) -> None:
    follow("tape", write(plot), loose(), **LOOSE_TEXT)


@pytest.mark.parametrize("seed", [4, 8])
def test_long_tapes_agree_with_the_oracle(seed: int) -> None:
    follow("tape", fixed(seed, 70), loose(), **LOOSE_TEXT)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_market_agrees_with_the_oracle(seed: int) -> None:
    """With bursts of one-sided flow, so that both speak, and a gap in its middle."""
    events = market(seed, 1200, 6)
    follow("tape", events, loose(), **LOOSE_TEXT)
    given_ = {k.replace("__", "."): v for k, v in LOOSE_TEXT.items()}
    speed, prints = signals(fold_events(probe("tape"), events, given_))
    assert speed["fired"] > 10
    assert prints["fired"] > 10


def poisson(seed: int, seconds: int, rate: float, burst: tuple[int, int] = (0, 0)) -> list[Event]:
    """Poisson trades of exponential size on a fair coin; in the burst four times as many buy."""
    rng = np.random.default_rng(seed)
    out: list[Event] = []
    for n in range(seconds):
        inside = burst[0] <= n < burst[1]
        for at in np.sort(rng.random(rng.poisson(rate * (4 if inside else 1)))):
            side = 1 if rng.random() < (0.8 if inside else 0.5) else -1
            out.append({"kind": 4, "ts_ns": START + round((n + at) * S), "id": len(out),
                        "price": 1000, "qty": int(rng.exponential(100)) + 1,
                        "side": side})  # fmt: skip
    return out


def test_null_rate_and_planted_truth() -> None:
    """Of a Poisson tape at most one look in fifty is called fast; a burst is told within 10 s."""
    rows = folded(poisson(1, 6000, 4.0)).sink.rows("decision")
    looks = rows["delta"] // 10_000_000 % 10
    assert len(looks) > 1000
    assert np.mean(looks == 1) <= 0.02
    for seed in range(5):
        events = poisson(seed, 425, 4.0, (410, 425))
        state = folded([*[e for e in events if e["ts_ns"] < START + 420 * S], clock(420)])
        speed, _ = signals(state)
        assert speed["direction"] == 1, seed
