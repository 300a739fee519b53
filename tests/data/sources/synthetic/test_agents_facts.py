"""What is known of real order flow and prices, measured on markets of agents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.sources.synthetic import agents_flow
from data.sources.synthetic.agents import AgentSpec
from tests.data.sources.synthetic.agent_markets import HOUR_S, LIGHT, seen

LONG = AgentSpec(seed=2, duration_s=20 * HOUR_S, kinds=LIGHT, depth_ms=60_000)


def arrivals(spec: AgentSpec) -> tuple[agents_flow.Arrivals, np.ndarray, np.ndarray]:
    made = agents_flow.Arrivals(spec)
    parts = [made.block(i, i * 600, 600) for i in range(spec.duration_s // 600)]
    return made, np.concatenate([t for t, _ in parts]), np.concatenate([s for _, s in parts])


def autocorrelation(x: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    x = x - x.mean()
    return np.array([(x[:-k] * x[k:]).mean() / x.var() for k in lags])


def kolmogorov(x: np.ndarray) -> float:
    """Distance of ``x`` from Exp(1), times the root of its length (1.95 is the 0.1 % point)."""
    cdf = 1 - np.exp(-np.sort(x))
    n = len(x)
    step = np.arange(n)
    return float(max((cdf - step / n).max(), ((step + 1) / n - cdf).max()) * np.sqrt(n))


@pytest.mark.parametrize("branching", [0.0, 0.5, 0.8])
def test_residuals_of_the_arrivals_are_unit_exponentials(branching: float) -> None:
    made, t, side = arrivals(AgentSpec(seed=5, duration_s=2 * HOUR_S, branching=branching))
    k = made.kernel
    assert k.branching == pytest.approx(branching)
    rest = agents_flow.residuals(
        made.immigrants, k.same, k.other, agents_flow.decay_table(k.beta), t, side
    )
    for sign in (1, -1):
        mine = rest[side == sign]
        assert len(mine) > 10_000
        assert kolmogorov(mine) < 1.95
        assert abs(autocorrelation(mine, (1,))[0]) < 0.03
    if branching:  # and they are not, where excitation is left out
        plain = agents_flow.residuals(
            made.immigrants / (1 - branching), 0.0, 0.0, agents_flow.decay_table(k.beta), t, side
        )
        assert kolmogorov(plain[side > 0]) > 4


@pytest.mark.parametrize("branching", [0.3, 0.6, 0.8])
def test_the_branching_ratio_is_recovered_by_maximum_likelihood(branching: float) -> None:
    spec = AgentSpec(seed=6, duration_s=2 * HOUR_S, branching=branching, noise=1.0)
    made, t, side = arrivals(spec)
    beta = made.kernel.beta
    # excitation of both sides just before each order, for jumps of 1
    own, other = np.zeros(len(t)), np.zeros(len(t))
    memory = [0.0, 0.0]
    gap = np.exp(-beta * np.diff(t, prepend=0) / 1e6)
    for i, s in enumerate((side < 0).astype(int)):
        memory = [memory[0] * gap[i], memory[1] * gap[i]]
        own[i], other[i] = memory[s], memory[1 - s]
        memory[s] += 1.0
    base = made.immigrants[:, t // 1_000_000][(side < 0).astype(int), np.arange(len(t))]
    base = base / (1 - branching)

    def likelihood(n: float) -> float:
        cross = agents_flow.CROSS
        rate = (1 - n) * base + n * beta * ((1 - cross) * own + cross * other)
        return float(np.log(rate).sum())  # the compensator is the number of orders for every n

    grid = np.linspace(0.0, 0.95, 96)
    best = grid[int(np.argmax([likelihood(n) for n in grid]))]
    assert best == pytest.approx(branching, abs=0.05)


def test_signs_have_a_long_memory() -> None:
    _, _, side = arrivals(LONG)
    near, far = autocorrelation(side.astype(float), (1, 10)), (100, 150, 200, 250, 300)
    late = autocorrelation(side.astype(float), far).mean()
    assert near[0] > 0.08 and near[1] > 0.03
    assert late > 4 / np.sqrt(len(side) * len(far)) and late > 0.1 * near[1]
    # noise traders alone: nothing is left beyond the reach of excitation
    _, _, plain = arrivals(replace(LONG, noise=1.0))
    assert abs(autocorrelation(plain.astype(float), far).mean()) < 0.004


def test_volatility_clusters_and_returns_do_not() -> None:
    late, kurtosis, first = [], [], []
    for seed in (1, 2):
        _, r = seen(replace(LONG, seed=seed)).minutes
        late.append(autocorrelation(np.abs(r), tuple(range(1, 11))).mean())
        first.append(autocorrelation(r, (1,))[0])
        kurtosis.append(((r - r.mean()) ** 4).mean() / r.var() ** 2)
    assert min(late) > 0.02 and np.mean(late) > 0.04
    assert max(abs(x) for x in first) < 0.2
    assert np.mean(kurtosis) > 3.3


@pytest.mark.parametrize(
    ("rate", "rho", "noise", "spread"),
    [(5.0, 0.3, 0.5, 1.0), (5.0, 0.5, 0.2, 3.0), (5.0, 0.7, 0.5, 1.0), (1.0, 0.5, 0.5, 2.0),
     (12.0, 0.6, 0.8, 1.0)],
)  # fmt: skip
def test_rho_is_what_was_asked_for(rate: float, rho: float, noise: float, spread: float) -> None:
    hours = 6 if rate > 10 else 12
    spec = replace(
        LONG, rate_per_s=rate, rho=rho, noise=noise, spread_ticks=spread, duration_s=hours * HOUR_S
    )
    assert seen(spec).rho == pytest.approx(rho, abs=0.12)


def test_rate_and_spread_are_what_was_asked_for() -> None:
    for spread in (1.0, 3.0):
        m = seen(replace(LONG, duration_s=8 * HOUR_S, spread_ticks=spread))
        orders = len(np.unique(np.stack([m.trades["ts_ns"], m.trades["side"]]), axis=1).T)
        assert orders / m.spec.duration_s == pytest.approx(5.0, rel=0.3)
        held = np.diff(m.quotes["ts_ns"], append=m.spec.end_ns)
        wide = (m.quotes["ask"] - m.quotes["bid"]) / m.spec.tick_units
        assert (wide * held).sum() / held.sum() == pytest.approx(spread, abs=0.8)


def test_a_price_moves_because_queues_run_out() -> None:
    """An order within the queue leaves the touch where it is; one beyond it does not."""
    m = seen(replace(LONG, duration_s=2 * HOUR_S))
    q, t = m.quotes, m.trades
    alone = np.flatnonzero(np.diff(t["ts_ns"], prepend=0) > 0)
    alone = alone[np.isin(alone + 1, np.append(alone, len(t["ts_ns"])))]  # one print at its ms
    after = np.searchsorted(q["ts_ns"], t["ts_ns"][alone], side="left")
    ok = (after > 0) & (after < len(q["ts_ns"]))
    alone, after = alone[ok], after[ok]
    buys = t["side"][alone] > 0
    before_qty = np.where(buys, q["ask_qty"][after - 1], q["bid_qty"][after - 1])
    before = np.where(buys, q["ask"][after - 1], q["bid"][after - 1])
    then = np.where(buys, q["ask"][after], q["bid"][after])
    at_touch = (before == t["price"][alone]) & (q["ts_ns"][after] == t["ts_ns"][alone])
    within = at_touch & (t["qty"][alone] < before_qty)
    whole = at_touch & (t["qty"][alone] == before_qty)
    assert within.sum() > 5_000 and whole.sum() > 30
    assert (then[within] == before[within]).mean() > 0.99
    assert (then[whole] != before[whole]).mean() > 0.9
