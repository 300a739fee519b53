"""The trend of the CVD: Student's t without information, the seed's ten trades by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from engine.kernel import cvd_trend as trend
from engine.kernel.recent import RECENT_STATE, RING, recent_delta, recent_trades
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.minutes import CANDLES, GAP, close_minute, parting_tape, record
from tests.engine.kernel.test_handlers import follow, market_of

P = record(trend.CVD_TREND_PARAMS, bars=10, t_fp9=10**9, price_scale=10, qty_scale=1000)
SEED = record(trend.CVD_TREND_PARAMS, mode=trend.SEED, price_scale=10, qty_scale=1000)


@njit
def run(candles, s, p, flow):
    """(ready, rising, falling) minutes."""
    n = np.zeros(3, dtype=np.int64)
    for x in range(len(flow)):
        close_minute(candles, 1000, 1000, 1000, flow[x], 0)
        trend.cvd_trend_minute(s, p, candles)
        n[0] += s.signal.ready
        n[1] += s.signal.direction > 0
        n[2] += s.signal.direction < 0
    return n


def state() -> np.ndarray:
    return np.zeros(1, dtype=trend.CVD_TREND_STATE)


@pytest.mark.parametrize("sd", [1e2, 1e6, 1e14])
def test_without_information_t_is_students(sd: float) -> None:
    """P(|t| > 1) = .3434 and P(|t| > 2.262) = .05 with nine degrees of freedom, in any units."""
    flow = np.rint(np.random.default_rng(3).normal(0, sd, 100_000)).astype(np.int64)
    n = run(CANDLES.copy()[0], state()[0], P[0], flow)
    assert n[0] == 100_000 - 9
    assert n[1:] / n[0] == pytest.approx(0.3434 / 2, abs=0.01)
    strict = P.copy()
    strict["t_fp9"] = 2_262_157_163
    n = run(CANDLES.copy()[0], state()[0], strict[0], flow)
    assert n[1:].sum() / n[0] == pytest.approx(0.05, abs=0.006)


def of_minutes(*flow: int) -> np.ndarray:
    s = state()
    run(CANDLES.copy()[0], s[0], P[0], np.array(flow, dtype=np.int64))
    return s[0]


def test_t_by_hand() -> None:
    """Mean 55 and sd 30.2765 of 10, 20 .. 100: t = 55 / (30.2765 / sqrt 10) = 5.7446."""
    s = of_minutes(*range(10, 110, 10))
    assert int(s["signal"]["value_fp9"]) == pytest.approx(5.744562646e9, abs=2)
    assert [int(s["signal"][n]) for n in ("ready", "direction", "fired")] == [1, 1, 1]
    assert int(s["slope_fp9"]) == 55_000_000
    assert int(s["signal"]["fired_ns"]) == 600 * 10**9
    mirror = of_minutes(*range(-10, -110, -10))
    assert int(mirror["signal"]["value_fp9"]) == -int(s["signal"]["value_fp9"])
    assert int(of_minutes(*range(10, 100, 10))["signal"]["ready"]) == 0, "nine minutes"


def test_edges() -> None:
    """No flow is flat; one lone delta is t = 1, within the dead band; ten alike are certain."""
    assert int(of_minutes(*[0] * 10)["signal"]["direction"]) == 0
    lone = of_minutes(*[0] * 9, 10**15)
    assert int(lone["signal"]["value_fp9"]) == pytest.approx(1e9, abs=2)
    assert int(lone["signal"]["direction"]) == 0
    same = of_minutes(*[-7] * 10)["signal"]
    assert (int(same["direction"]), int(same["strength_fp9"])) == (-1, 10**9)


def test_a_gap_silences_ten_minutes_in_standard_mode() -> None:
    candles, s = CANDLES.copy(), state()
    run(candles[0], s[0], P[0], np.full(12, 5))
    seed = s.copy()
    trend.cvd_trend_gap(s[0], P[0])
    trend.cvd_trend_gap(seed[0], SEED[0])
    assert int(s["signal"]["ready"][0]) == 0
    assert int(seed["signal"]["ready"][0]) == 1, "the seed does not notice"
    close_minute(candles[0], 9, 9, 9, 5, GAP)
    assert run(candles[0], s[0], P[0], np.full(9, 5))[0] == 0
    assert run(candles[0], s[0], P[0], np.full(1, 5))[0] == 1


def seed_says(*deltas: int) -> tuple[int, int, int]:
    r, s = np.zeros(1, dtype=RECENT_STATE), state()
    q = np.array(deltas, dtype=np.int64)
    recent_trades(r[0], np.abs(q), np.sign(q).astype(np.int8), 0, len(q))
    trend.cvd_trend_boundary(s[0], SEED[0], r[0], 5)
    g = s["signal"][0]
    return int(g["ready"]), int(g["direction"]), int(s["slope_fp9"][0])


def test_seed_by_hand() -> None:
    """(c[-1] - c[0]) / len(c): the first of the ten deltas does not count (reference 11.2)."""
    assert seed_says() == (1, 0, 0)
    assert seed_says(500) == (1, 0, 0)
    assert seed_says(500, 300) == (1, 1, 150_000_000)
    assert seed_says(500, -300, 100) == (1, -1, -66_666_667)
    assert seed_says(10**6, *[-1] * 9) == (1, -1, -900_000)
    assert seed_says(10**6, 10**6, *[1] * 9) == (1, 1, 900_000)
    assert seed_says(7, 4, -4) == (1, 0, 0)


@pytest.mark.parametrize("length", [1, 5, 31, 32, 33, 100])
def test_recent_trades_are_the_last_however_they_come(length: int) -> None:
    """Runs of any length leave the same ring; an unknown side is a sell, as the seed has it."""
    rng = np.random.default_rng(length)
    qty, side = rng.integers(1, 10**12, 400), rng.integers(-1, 2, 400).astype(np.int8)
    one, many = np.zeros((2, 1), dtype=RECENT_STATE)
    recent_trades(one[0], qty, side, 0, 400)
    for i in range(0, 400, length):
        recent_trades(many[0], qty, side, i, min(400, i + length))
    assert one.tobytes() == many.tobytes()
    for back in range(1, RING + 1):
        want = int(qty[-back]) if side[-back] > 0 else -int(qty[-back])
        assert recent_delta(one[0], back) == want


@pytest.mark.parametrize("mode", ["standard", "seed"])
@pytest.mark.parametrize("seed", [2, 3])
def test_agrees_with_its_oracle_where_it_speaks(mode: str, seed: int) -> None:
    events = parting_tape(seed, 120, gap=60 if seed == 3 else 0)
    follow(
        "cvd_trend", events, market_of("cvd_trend", seed_trend=mode == "seed"), cvd_trend__mode=mode
    )
    s = fold_events(probe("cvd_trend"), events, {"cvd_trend.mode": mode}).fold.state["cvd_trend"]
    assert int(s["signal"]["fired"][0]) > 3
