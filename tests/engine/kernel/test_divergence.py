"""Pivots, impact and both divergences: nulls, planted truth, seed figures (reference 6, 9, 11)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numba import njit

from engine.kernel import cvd_divergence as cvd
from engine.kernel import delta_divergence as delta
from engine.kernel import impact, pivots
from engine.kernel.recent import RECENT_STATE, recent_trades
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.minutes import (
    CANDLES,
    GAP,
    TRADES,
    close_minute,
    null_minutes,
    parting_tape,
    record,
)
from tests.engine.kernel.oracle_divergence import seed_divergence
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import mirrored

IMPACT = record(impact.IMPACT_PARAMS, length=346, warm=240, activity=1, clip_fp9=3 * 10**9)
PIVOTS = record(pivots.PIVOTS_PARAMS, bars=3, separation=5)
UNGATED = -(10**12)
SCALE = {"price_scale": 10, "qty_scale": 1000}
CVD = record(
    cvd.CVD_DIVERGENCE_PARAMS, z_alpha_fp9=1_645_000_000, price_z_fp9=UNGATED, span=60,
    ttl_ns=300 * 10**9, **SCALE,
)  # fmt: skip
DELTA = record(
    delta.DELTA_DIVERGENCE_PARAMS, bars=6, z_alpha_fp9=1_645_000_000, price_z_fp9=UNGATED,
    slope_fp9=10**6, divisor_fp9=10**7, **SCALE,
)  # fmt: skip
UNITS = ((1e3, 1e9), (1e9, 1e3), (1e6, 1e6))
"""(sd of the price change, sd of the delta) in units: 10^-6 to 10^6 between them."""


class Market:
    """The records that a fold would hold, for minutes without trades."""

    def __init__(self) -> None:
        self.candles = CANDLES.copy()
        self.pivots = np.zeros(1, dtype=pivots.PIVOTS_STATE)
        self.impact = np.zeros(1, dtype=impact.IMPACT_STATE)
        self.cvd = np.zeros(1, dtype=cvd.CVD_DIVERGENCE_STATE)
        self.delta = np.zeros(1, dtype=delta.DELTA_DIVERGENCE_STATE)

    @property
    def records(self) -> tuple[Any, ...]:
        return self.candles[0], self.pivots[0], self.impact[0], self.cvd[0], self.delta[0]

    def minute(self, high: int, low: int, close: int, flow: int, flags: int = 0) -> None:
        arrays = [np.array([x], dtype=np.int64) for x in (high, low, close, flow, TRADES)]
        if flags:
            close_minute(self.candles[0], high, low, close, flow, flags)
            pivots.pivots_minute(self.pivots[0], PIVOTS[0], self.candles[0])
            impact.impact_minute(self.impact[0], IMPACT[0], self.candles[0])
            return
        run(*self.records, PIVOTS[0], IMPACT[0], CVD[0], DELTA[0], *arrays)


@njit
def run_minutes(candles, pv, im, cv, dl, pv_p, im_p, cv_p, dl_p, high, low, close, flow, trades):
    """Counts over minutes: [high pivots, bearish there, low pivots, bullish there, windows,
    bearish windows, bullish windows], ready ones only."""
    n = np.zeros(7, dtype=np.int64)
    for x in range(len(close)):
        close_minute(candles, high[x], low[x], close[x], flow[x], 0, trades[x])
        pivots.pivots_minute(pv, pv_p, candles)
        impact.impact_minute(im, im_p, candles)
        before = cv.signal.fired
        cvd.cvd_divergence_minute(cv, cv_p, candles, pv, im, im_p)
        delta.delta_divergence_minute(dl, dl_p, candles, im, im_p)
        fired = cv.signal.fired - before
        if cv.signal.ready == 1:
            for kind in range(2):
                seen = pv.fresh[kind] == 1 and pv.count[kind] > 1
                n[2 * kind] += seen
                n[2 * kind + 1] += seen and fired == 1 and cv.signal.direction == 2 * kind - 1
        if dl.signal.ready == 1:
            n[4] += 1
            n[5] += dl.signal.direction < 0
            n[6] += dl.signal.direction > 0
    return n


def run(*given: Any) -> Any:
    """The same of records, parameters and (high, low, close, flow), of TRADES trades a minute or
    of as many as a fifth array says."""
    trades = () if len(given) == 14 else (np.full(len(given[-1]), TRADES),)
    return run_minutes(*given, *trades)


def counts(minutes: tuple[np.ndarray, ...], cv: np.ndarray = CVD, dl: np.ndarray = DELTA) -> Any:
    return run(*Market().records, PIVOTS[0], IMPACT[0], cv[0], dl[0], *minutes)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
def test_null_rate_is_five_percent_a_side(rho: float, units: tuple[float, float]) -> None:
    """Independent bivariate normal minutes, no gate: 5 % +- 1 %, whatever rho and the units."""
    n = counts(null_minutes(3 + round(100 * rho), 100_000, rho, *units))
    assert n[0] > 8000 and n[2] > 8000 and n[4] > 99_000
    for seen, fired in ((0, 1), (2, 3), (4, 5), (4, 6)):
        assert 0.04 <= n[fired] / n[seen] <= 0.06, (rho, units, n.tolist())


def test_null_rate_of_both_sides_with_the_gate() -> None:
    """Reference 6.2: 2 * .3085 * Phi(-1.645) = 3.1 % of windows at any rho."""
    gated = DELTA.copy()
    gated["price_z_fp9"] = 500_000_000
    for rho in (0.0, 0.7, 0.9):
        n = counts(null_minutes(5, 100_000, rho, 1e6, 1e6), dl=gated)
        assert 0.026 <= (n[5] + n[6]) / n[4] <= 0.038


def test_a_bar_of_two_percent_of_null_windows_needs_one_point_eight_five() -> None:
    strict = DELTA.copy()
    strict["price_z_fp9"], strict["z_alpha_fp9"] = 500_000_000, 1_850_000_000
    n = counts(null_minutes(6, 100_000, 0.6, 1e6, 1e6), dl=strict)
    assert 0.016 <= (n[5] + n[6]) / n[4] <= 0.026


def test_classic_asks_that_the_flow_went_against_the_price() -> None:
    """Reference 6.2: 3.1 % at small rho, .6 % at .95."""
    classic = DELTA.copy()
    classic["price_z_fp9"], classic["classic"] = 500_000_000, 1
    for rho, low, high in ((0.0, 0.026, 0.038), (0.95, 0.003, 0.010)):
        n = counts(null_minutes(7, 100_000, rho, 1e6, 1e6), dl=classic)
        assert low <= (n[5] + n[6]) / n[4] <= high, rho


def bursts(seed: int, n: int, rho: float) -> tuple[np.ndarray, ...]:
    """Null minutes whose activity comes in bursts: both variances go with the trades of a minute,
    which wander by a factor of three over some twenty minutes."""
    rng = np.random.default_rng(seed)
    log = np.zeros(n)
    for x, z in enumerate(rng.normal(size=n)):
        log[x] = 0.95 * log[x - 1] + 0.34 * z if x else 0.0
    trades = np.maximum(np.rint(100 * np.exp(log)), 1).astype(np.int64)
    x, y = rng.normal(size=(2, n)) * np.sqrt(trades / 100)
    close = np.cumsum(np.rint(1e6 * x)).astype(np.int64) + 10**12
    flow = np.rint(1e6 * (rho * x + np.sqrt(1 - rho * rho) * y)).astype(np.int64)
    wick = np.int64(2e5)
    return close + wick, close - wick, close, flow, trades


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_null_rate_holds_where_activity_comes_in_bursts(rho: float) -> None:
    """5 % a side at 1.645 and .1 % at 3, within what estimates over half a day cost."""
    minutes = bursts(4, 100_000, rho)
    assert np.quantile(minutes[4], 0.95) > 4 * np.median(minutes[4])
    n = counts(minutes)
    for seen, fired in ((0, 1), (2, 3), (4, 5), (4, 6)):
        assert 0.04 <= n[fired] / n[seen] <= 0.065, n.tolist()
    far = DELTA.copy()
    far["z_alpha_fp9"] = 3 * 10**9
    n = counts(minutes, dl=far)
    assert (n[5] + n[6]) / n[4] < 0.008, n.tolist()


def test_what_is_looked_for_does_not_become_what_is_usual() -> None:
    """Thirty minutes of twenty sigmas each in half a day move sigma by less than a half."""
    high, low, close, flow = null_minutes(12, 900, 0.5, 1e4, 1e4)
    loud = flow.copy()
    loud[300:900:20] += 200_000
    sigma = []
    for x in (flow, loud):
        m = Market()
        run(*m.records, PIVOTS[0], IMPACT[0], CVD[0], DELTA[0], high, low, close, x)
        sigma.append(math.sqrt(float(m.impact["sums"]["ff"][0][0])))
    assert sigma[1] < 1.5 * sigma[0]


def planted(seed: int, n: int, every: int, side: int) -> tuple[np.ndarray, ...]:
    """Null minutes; in 6 of ``every`` the price drifts by ``side`` while the flow goes back."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    inside = (np.arange(n) % every) >= every - 6
    x = x + 0.8 * side * inside
    flow = np.where(inside, -1.2 * side + y, 0.6 * x + 0.8 * y)
    close = np.cumsum(np.rint(1e6 * x)).astype(np.int64) + 10**12
    wick = np.int64(2e5)
    return close + wick, close - wick, close, np.rint(1e6 * flow).astype(np.int64)


@pytest.mark.parametrize("side", [1, -1])
def test_planted_divergence_is_found_with_its_direction(side: int) -> None:
    """At the end of each planted window; the other direction hardly ever."""
    minutes = planted(2, 40_000, 80, side)
    m = Market()
    gated = DELTA.copy()
    gated["price_z_fp9"] = 500_000_000
    hits = wrong = windows = 0
    for x in range(0, 40_000, 80):
        part = tuple(a[x : x + 80] for a in minutes)
        run(*m.records, PIVOTS[0], IMPACT[0], CVD[0], gated[0], *part)
        if x >= 800:
            windows += 1
            hits += int(m.delta["signal"]["direction"][0]) == -side
            wrong += int(m.delta["signal"]["direction"][0]) == side
    assert hits / windows > 0.8, "a window's own noise leaves 7 % of them under the price gate"
    assert wrong == 0


def test_a_divergence_at_pivots_by_hand() -> None:
    """Two highs ten minutes apart, the second higher on flow that left: e by the formula."""
    m = Market()
    calm = null_minutes(11, 900, 0.6, 100.0, 100.0)
    run(*m.records, PIVOTS[0], IMPACT[0], CVD[0], DELTA[0], *calm)
    at = int(calm[2][-1])
    path = [0, 300, 600, 900, 600, 400, 200, 100, 200, 400, 700, 900, 1000, 1300, 1000, 800, 600]
    for n, step in enumerate(path):
        flow = -150 if n > 3 else 100
        m.minute(at + step + 1000, at + step - 1000, at + step, flow)
    g = m.cvd["signal"][0]
    assert (int(g["direction"]), int(g["fired_ns"])) == (-1, (900 + len(path)) * 60 * 10**9)
    sums = m.impact["sums"][0][2]
    scale = math.sqrt(10 * TRADES)
    z_p = 400 / (math.sqrt(sums["rr"]) * scale)
    z_c = -1500 / (math.sqrt(sums["ff"]) * scale)
    rho = sums["rf"] / math.sqrt(sums["rr"] * sums["ff"])
    e = (z_c - rho * z_p) / math.sqrt(1 - rho * rho)
    # ten minutes are judged by sums over six
    assert impact.impact_horizon(10) == 2
    assert int(g["value_fp9"]) == pytest.approx(e * 1e9, abs=2)
    assert int(g["strength_fp9"]) == pytest.approx(math.erf(abs(e) / math.sqrt(2)) * 1e9, abs=2)
    assert int(m.cvd["cvd_change"][0]) == -1500
    cvd.cvd_divergence_boundary(m.cvd[0], int(g["until_ns"]) - 1)
    assert int(m.cvd["signal"]["direction"][0]) == -1
    cvd.cvd_divergence_boundary(m.cvd[0], int(g["until_ns"]))
    assert int(m.cvd["signal"]["direction"][0]) == 0


def test_a_gap_silences_standard_and_forgets_pivots() -> None:
    m = Market()
    calm = null_minutes(11, 900, 0.6, 100.0, 100.0)
    run(*m.records, PIVOTS[0], IMPACT[0], CVD[0], DELTA[0], *calm)
    assert m.pivots["count"].min() > 10
    kept = m.impact["sums"].copy()
    at = int(calm[2][-1])
    m.minute(at, at, at, 0, GAP)
    assert not m.pivots["count"].any() and int(m.pivots["run"][0]) == 0
    assert (m.impact["sums"] == kept).all(), "what was learned stays"
    for n in range(6):
        m.minute(at + 9, at - 9, at + n % 3, 10)
        assert int(m.delta["signal"]["ready"][0]) == 0, "six minutes reach back to the gap"
    m.minute(at + 9, at - 9, at, 10)
    assert int(m.delta["signal"]["ready"][0]) == 1


@pytest.mark.parametrize("flow", [0, 5])
def test_one_price_says_nothing(flow: int) -> None:
    n = 400
    flat = np.full(n, 10**9)
    m = Market()
    seen = run(*m.records, PIVOTS[0], IMPACT[0], CVD[0], DELTA[0], flat, flat, flat,
               np.full(n, flow))  # fmt: skip
    assert not seen.any() and not m.pivots["count"].any()


def test_flow_that_is_the_price_leaves_no_residual() -> None:
    high, low, close, _ = null_minutes(1, 600, 0.0, 1e6, 1e6)
    flow = np.diff(close, prepend=close[0])
    seen = counts((high, low, close, flow))
    assert seen[4] > 0 and not seen[[1, 3, 5, 6]].any()


def test_large_numbers_do_not_overflow() -> None:
    """Prices about 1e9 and 1e12 a trade, a thousand trades a minute."""
    n = counts(null_minutes(9, 20_000, 0.5, 1e7, 1e15))
    assert 0.03 <= n[5] / n[4] <= 0.07


def test_impact_by_hand() -> None:
    """r = 2 F exactly: sigma_r = 2 sigma_D, rho 1, lambda 2; nothing folded before its time."""
    m = Market()
    level = 10**6
    for n, flow in enumerate((5, -3, 8, 1, -9, 4, 2)):
        level += 2 * flow
        m.minute(level, level, level, flow)
        assert int(m.impact["sums"][0]["n"][0]) == max(0, n - 1)
    sums = m.impact["sums"][0][0]
    folded = [-3, 8, 1, -9, 4]
    assert float(sums["ff"]) == pytest.approx(np.mean(np.square(folded)) / TRADES)
    assert impact.impact_lambda(sums) == pytest.approx(2.0)
    assert impact.impact_rho(sums) == pytest.approx(1.0)


@pytest.mark.parametrize("mode", ["standard", "seed"])
@pytest.mark.parametrize("seed", [2, 3])
def test_both_divergences_agree_with_their_oracles_where_they_fire(mode: str, seed: int) -> None:
    events = parting_tape(seed, 200, gap=110 if seed == 3 else 0)
    for name, setting in (
        ("cvd_divergence", "seed_divergence"),
        ("delta_divergence", "seed_delta_divergence"),
    ):
        options: dict[str, Any] = {setting: mode == "seed"}
        follow(name, events, market_of(name, **options), **{f"{name}__mode": mode})
        s = fold_events(probe(name), events, {f"{name}.mode": mode}).fold.state[name][0]
        assert int(s["signal"]["fired"]) > 0
        m = fold_events(
            probe(name), mirrored(events, 1_000_000), {f"{name}.mode": mode}
        ).fold.state[name][0]  # fmt: skip
        if (name, mode) != ("cvd_divergence", "seed"):  # which tests the bearish side first
            assert int(m["signal"]["direction"]) == -int(s["signal"]["direction"])
            assert int(m["signal"]["fired"]) == int(s["signal"]["fired"])


def test_seed_cvd_divergence_on_nulls() -> None:
    """Reference 6.1: fires on 34-46 % of null windows, strength in [.5, 1], bearish more often."""
    p = CVD.copy()
    p["mode"], p["price_scale"], p["qty_scale"] = 1, 1, 1
    kinds, strengths = [], []
    for part in range(1000):
        # windows that share no minute
        minutes = null_minutes(part, 50, 0.6, 1e4, 1e4)
        m = Market()
        run(*m.records, PIVOTS[0], IMPACT[0], p[0], DELTA[0], *minutes)
        kinds.append(int(m.cvd["signal"]["direction"][0]))
        if kinds[-1]:
            strengths.append(int(m.cvd["signal"]["strength_fp9"][0]) / 1e9)
        high, low, _, flow = minutes
        want, strength = seed_divergence(
            [float(x) for x in high], [float(x) for x in low],
            [float(x) for x in itertools.accumulate(flow)],
        )  # fmt: skip
        assert {"none": 0, "bearish": -1, "bullish": 1}[want] == kinds[-1]
        if kinds[-1]:
            assert strengths[-1] == pytest.approx(strength, abs=2e-9)
    rate = sum(map(abs, kinds)) / len(kinds)
    assert 0.34 < rate < 0.46
    assert kinds.count(-1) > kinds.count(1)
    assert 0.78 < np.mean(strengths) < 0.88
    assert min(strengths) >= 0.5 and max(strengths) <= 1.0


def seed_slopes(closes: np.ndarray, flows: np.ndarray, price_scale: int) -> np.ndarray:
    p = DELTA.copy()
    p["mode"], p["price_scale"] = delta.SEED, price_scale
    m = Market()
    for x in closes:
        close_minute(m.candles[0], x, x, x, 0, 0)
    r = np.zeros(1, dtype=RECENT_STATE)
    side = np.sign(flows).astype(np.int8)
    recent_trades(r[0], np.abs(flows), side, 0, len(flows))
    delta.delta_divergence_boundary(m.delta[0], p[0], m.candles[0], r[0], 0)
    return m.delta[0]


def test_seed_delta_divergence_by_hand() -> None:
    """Slope -2 of the closes and +.5 of the deltas; polyfit's slopes; strength pinned at 1."""
    closes = 100_000 - 20 * np.arange(20)
    flows = 1000 + 500 * np.arange(20)
    s = seed_slopes(closes, flows, 10)
    assert int(s["price_fp9"]) == pytest.approx(-2e9, abs=2)
    assert int(s["flow_fp9"]) == pytest.approx(0.5e9, abs=2)
    g = s["signal"]
    assert [int(g[n]) for n in ("ready", "direction", "strength_fp9")] == [1, 1, 10**9]
    rng = np.random.default_rng(4)
    closes, flows = rng.integers(10**5, 2 * 10**5, 20), rng.integers(1, 10**5, 20)
    s = seed_slopes(closes, flows, 10)
    want = np.polyfit(np.arange(20), closes / 10, 1)[0]
    assert int(s["price_fp9"]) == pytest.approx(want * 1e9, rel=1e-9)
    assert int(seed_slopes(closes[:19], flows, 10)["signal"]["ready"]) == 0
    assert int(seed_slopes(closes, flows[:19], 10)["signal"]["ready"]) == 0


def test_seed_delta_divergence_never_fires_on_eurusd_and_half_the_time_on_bitcoin() -> None:
    """Reference 6.1, defect 10: the raw threshold .001 knows one kind of price."""
    rng = np.random.default_rng(8)
    fires = {"eurusd": 0, "btc": 0}
    strengths = []
    for _ in range(400):
        flows = rng.integers(-3000, 3000, 20)
        flows[flows == 0] = 1
        for name, start, sd, scale in (("eurusd", 108_000, 8, 100_000), ("btc", 600_000, 400, 10)):
            closes = start + np.cumsum(np.rint(rng.normal(0, sd, 20))).astype(np.int64)
            g = seed_slopes(closes, flows, scale)["signal"]
            fires[name] += int(g["direction"]) != 0
            if int(g["direction"]):
                strengths.append(int(g["strength_fp9"]) / 1e9)
    assert fires["eurusd"] == 0
    assert 0.4 < fires["btc"] / 400 < 0.6
    assert min(strengths) > 0.2
